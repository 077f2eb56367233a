import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.encoder import Encoder
from data.features import infer_features
from errors import BundleError, DataError

N = 60
ROOT = Path(__file__).parents[2]


def fit(frame, **kinds):
    return Encoder.fit(frame, infer_features(frame.assign(y=range(len(frame))), "y", kinds=kinds))


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "연간 소득": rng.normal(size=N),
            "code": rng.integers(1, 5, N).astype(float),
            "count": rng.integers(0, 2**60, N),
            "text": rng.choice(["b", "a", "c d", "가나"], N),
            "flag": rng.choice([True, False], N),
            "answer": rng.choice(["Yes", "no"], N),
            "skip": "constant",
        }
    )
    frame.loc[3, ["연간 소득", "code", "text", "answer"]] = None
    return frame


@pytest.fixture
def encoder(frame):
    return fit(frame, code="categorical")


def test_names_and_cardinalities_follow_the_table(encoder):
    assert encoder.feature_names == ("연간 소득", "code", "count", "text", "flag", "answer")
    assert encoder.cardinalities == (0, 4, 0, 4, 0, 0)


def test_codes_are_places_in_sorted_order(encoder, frame):
    X = encoder.transform(frame)
    assert X.dtype == np.float32
    categories = sorted(["b", "a", "c d", "가나"])
    expected = [np.nan if pd.isna(text) else categories.index(text) for text in frame["text"]]
    np.testing.assert_array_equal(X[:, 3], expected)
    np.testing.assert_array_equal(X[:, 1], (frame["code"] - 1).to_numpy(np.float32))
    np.testing.assert_array_equal(X[:, 4], frame["flag"].astype(np.float32))
    np.testing.assert_array_equal(X[:, 0], frame["연간 소득"].astype(np.float32))


def test_number_categories_are_in_number_order():
    frame = pd.DataFrame({"a": [10, 9, 100, 9.5] * 5})
    assert fit(frame, a="categorical").columns[0].categories == ("9", "9.5", "10", "100")


def assert_bits_equal(a, b):
    assert a.dtype == b.dtype == np.float32
    assert a.tobytes() == b.tobytes()


def test_record_values_and_frame_agree_to_the_bit(encoder, frame):
    rows = [
        {name: column[i] for name, column in {n: frame[n].tolist() for n in frame}.items()} for i in range(N)
    ]
    X = encoder.transform(frame)
    assert_bits_equal(X, np.stack([encoder.encode(row) for row in rows]))
    in_order = [[row[name] for name in encoder.column_names] for row in rows]
    assert_bits_equal(X, np.stack([encoder.encode_values(values) for values in in_order]))
    assert_bits_equal(X, np.concatenate([encoder.transform(frame.iloc[[i]]) for i in range(N)]))


HARD_CELLS = {
    "연간 소득": [None, "", " 1.5 ", "NA", 1e-45, 0.1, "0.1", 16777217, -0.0, 3.4e38],
    "code": [2, 2.0, "2", "2.0", "02", 99, "abc", None, np.int64(3), ""],
    "count": [2**63, "12", 0.5, None, "?", np.float32(0.1), -1, 2**53 + 1, 1.0, "1e3"],
    "text": ["a", "A", "c d", None, "", 1, 2.5, True, "가나", "None"],
    "flag": [True, "false", 1, 0.0, None, "Yes", "NO", "1", np.True_, ""],
    "answer": ["yes", "YES", False, 0, None, "n", "t", 1.0, "NA", "false"],
}


def test_hard_cells_agree_to_the_bit_in_frames_of_any_dtype(encoder):
    expected = np.stack(
        [encoder.encode({name: cells[i] for name, cells in HARD_CELLS.items()}) for i in range(10)]
    )
    as_objects = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in HARD_CELLS.items()})
    assert_bits_equal(encoder.transform(as_objects), expected)
    as_texts = as_objects.map(lambda cell: None if cell is None else str(cell)).astype("str")
    texts = np.stack([encoder.encode(row) for row in as_texts.to_dict("records")])
    assert_bits_equal(encoder.transform(as_texts), texts)
    assert_bits_equal(encoder.transform(as_texts.astype("category")), texts)
    assert np.isnan(expected).any(axis=0).all()


@pytest.mark.parametrize("dtype", ["float32", "int8", "Int64", "Float64", "uint16", "bool", "boolean"])
def test_every_number_dtype_agrees_with_records(dtype):
    encoder = fit(pd.DataFrame({"a": [0.5, 1.0], "b": [0, 1], "c": [True, False]}), b="categorical")
    column = pd.Series([1, 0, 1], dtype=dtype)
    names = ["c"] if "bool" in dtype else ["a", "b", "c"]
    frame = pd.DataFrame({name: column if name in names else pd.Series([0, 0, 0]) for name in "abc"})
    rows = frame.astype(object).to_dict("records")
    assert_bits_equal(encoder.transform(frame), np.stack([encoder.encode(row) for row in rows]))


@pytest.mark.parametrize("value", [2, 2.0, "2", "2.0", np.int32(2), np.float32(2)])
def test_a_number_category_is_matched_however_it_is_written(encoder, value):
    assert encoder.encode(valid() | {"code": value})[1] == 1.0


def test_text_categories_are_matched_as_written():
    encoder = fit(pd.DataFrame({"a": ["1", "01", "2.0", "x"] * 5}))
    seen = [("01", 0), ("1", 1), (1, 1), (1.0, 1), ("2.0", 2), ("x", 3)]
    for value, code in [*seen, ("2", np.nan), (2, np.nan), (" x", np.nan)]:
        np.testing.assert_array_equal(encoder.encode({"a": value}), [np.float32(code)])


def test_true_and_false_as_categories():
    encoder = fit(pd.DataFrame({"a": [True, False] * 5}), a="categorical")
    assert encoder.cardinalities == (2,)
    codes = [encoder.encode({"a": value})[0] for value in (False, True, "true", "FALSE", 1, "yes")]
    assert codes == [0, 1, 1, 0, 1, 1]


def valid():
    return {"연간 소득": 1.0, "code": 1, "count": 5, "text": "a", "flag": True, "answer": "no"}


def test_unseen_and_missing_are_nan_and_extra_is_ignored(encoder):
    row = encoder.encode(valid() | {"text": "never seen", "code": None, "more": [1, 2]})
    assert np.isnan(row[[1, 3]]).all()
    assert not np.isnan(row[[0, 2, 4, 5]]).any()
    frame = pd.DataFrame([valid()]).assign(more=[[1]])
    assert_bits_equal(encoder.transform(frame), encoder.encode(valid())[None])


def test_a_missing_column_is_named(encoder):
    record = valid()
    record["연간소득"] = record.pop("연간 소득")
    expected = r"column '연간 소득' is missing from the {} \(did you mean '연간소득'\?\)"
    with pytest.raises(DataError, match=expected.format("record")):
        encoder.encode(record)
    with pytest.raises(DataError, match=expected.format("table")):
        encoder.transform(pd.DataFrame([record]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("연간 소득", "abc"),
        ("연간 소득", "1,5"),
        ("연간 소득", True),
        ("연간 소득", [1.0]),
        ("연간 소득", {"a": 1}),
        ("연간 소득", float("inf")),
        ("연간 소득", "-inf"),
        ("연간 소득", 1e39),
        ("flag", "maybe"),
        ("flag", 2),
        ("text", ["a"]),
        ("text", {"a": 1}),
        ("text", b"a"),
        ("code", float("inf")),
    ],
)
def test_a_wrong_value_names_column_and_value(encoder, name, value):
    with pytest.raises(DataError) as of_record:
        encoder.encode(valid() | {name: value})
    assert str(of_record.value).startswith(f"column {name!r}: {value!r} ")
    cells = pd.Series([valid()[name], value], dtype=object)
    frame = pd.DataFrame([valid(), valid()]).assign(**{name: cells})
    with pytest.raises(DataError) as of_frame:
        encoder.transform(frame)
    assert str(of_frame.value).startswith(f"column {name!r}, data row 2: {value!r} ")


def test_infinity_in_a_number_column_of_a_frame(encoder):
    frame = pd.DataFrame([valid(), valid() | {"연간 소득": -np.inf}])
    with pytest.raises(DataError, match=r"column '연간 소득': 1 infinite .* data row 2: -inf"):
        encoder.transform(frame)


def test_a_column_twice_in_a_frame_is_refused(encoder):
    frame = pd.DataFrame([valid()])
    with pytest.raises(DataError, match="column 'text' is in the table 2 times"):
        encoder.transform(pd.concat([frame, frame[["text"]]], axis=1))


@pytest.mark.parametrize("values", [[1.0], [], [1] * 7, "abcdef", {"a": 1}, 3, None])
def test_a_row_of_the_wrong_shape(encoder, values):
    with pytest.raises(DataError, match=r"got \d values, expected 6|a row is a list"):
        encoder.encode_values(values)


@pytest.mark.parametrize("record", [[1, 2], None, "text"])
def test_a_record_that_is_none(encoder, record):
    with pytest.raises(DataError, match="a record maps column names to values"):
        encoder.encode(record)


def test_the_most_frequent_categories_are_kept():
    # 1,500 categories once, 600 of them twice: those stay, and of the others the first in sorted order.
    names = [f"c{i:04d}" for i in range(1_500)]
    twice = names[::5] + names[1::5]
    encoder = fit(pd.DataFrame({"a": (names + twice)[::-1]}), a="categorical")
    once = sorted(set(names) - set(twice))[:400]
    assert encoder.columns[0].categories == tuple(sorted(twice + once))
    assert encoder.cardinalities == (1_000,)
    assert np.isnan(encoder.encode({"a": sorted(set(names) - set(twice))[400]})[0])


def test_row_order_does_not_matter(frame):
    shuffled = frame.sample(frac=1.0, random_state=1)
    assert fit(frame, code="categorical") == fit(shuffled, code="categorical")


def test_json_round_trip_is_exact(encoder, frame):
    text = json.dumps(encoder.to_json(), allow_nan=False)
    again = Encoder.from_json(json.loads(text))
    assert again == encoder
    assert json.dumps(again.to_json(), allow_nan=False) == text
    assert_bits_equal(again.transform(frame), encoder.transform(frame))


def test_pickle_round_trip(encoder, frame):
    again = pickle.loads(pickle.dumps(encoder))
    assert again == encoder
    assert_bits_equal(again.transform(frame), encoder.transform(frame))


@pytest.mark.parametrize(
    "content", [{}, {"format": 99, "columns": []}, {"format": 1}, [], {"format": 1, "columns": [1]}]
)
def test_damaged_json_is_refused(content):
    with pytest.raises(BundleError, match="encoder: "):
        Encoder.from_json(content)


def test_encoding_needs_neither_pandas_nor_sklearn():
    code = (
        "import sys, data.encoder as e, data.target, data.metrics\n"
        "columns = (e.Column('a', 'numeric'), e.Column('b', 'categorical', ('x', 'y')))\n"
        "encoder = e.Encoder((*columns, e.Column('d', 'datetime', parts=('days', 'year'))))\n"
        "row = encoder.encode({'a': '1', 'b': 'y', 'd': '2024-01-31'})\n"
        "assert row.tolist() == [1.0, 1.0, 19753.0, 2024.0]\n"
        "assert not {'pandas', 'sklearn', 'scipy'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
