"""What Python programs hand to a model is taken where it has one meaning, and else refused by one line."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from data.given import as_rows
from ensembles import load_bundle
from ensembles.answers import answer_frame
from ensembles.compare import compare_models
from ensembles.explanation import contribution_columns
from ensembles.importance import permutation_importance
from errors import DataError
from tests.quick import quick_model

NAMES = ["age", "plan", "since"]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    n = 80
    return pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "plan": rng.choice(["basic", "plus"], n),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 400, n), unit="D"),
            "y": rng.choice(["no", "yes"], n),
        }
    )


@pytest.fixture(scope="module")
def bundle(frame, tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    frame.to_parquet(folder / "t.parquet")
    return load_bundle(quick_model(folder, folder / "t.parquet") / "bundle")


@pytest.fixture(scope="module")
def rows(frame):
    return frame[NAMES].head(3)


TAKEN = {
    "frame": lambda rows: rows,
    "frame of other order and more": lambda rows: rows[NAMES[::-1]].assign(more=1),
    "records": lambda rows: rows.to_dict("records"),
    "tuple of records": lambda rows: tuple(rows.to_dict("records")),
    "records one at a time": lambda rows: (record for record in rows.to_dict("records")),
    "lists": lambda rows: rows.astype(object).to_numpy().tolist(),
    "tuples": lambda rows: list(rows.itertuples(index=False, name=None)),
    "array": lambda rows: rows.astype(object).to_numpy(),
    "masked array": lambda rows: np.ma.masked_array(rows.astype(object).to_numpy(), mask=False),
    "structured array": lambda rows: rows.assign(plan=rows["plan"].astype(object)).to_records(index=False),
    "list of arrays": lambda rows: list(rows.astype(object).to_numpy()),
    "list of Series": lambda rows: [row for _, row in rows.iterrows()],
    "dict of lists": lambda rows: rows.to_dict("list"),
    "dict of arrays": lambda rows: {name: rows[name].to_numpy() for name in NAMES},
    "dict of Series": lambda rows: {name: rows[name] for name in NAMES},
}


@pytest.mark.parametrize("form", TAKEN)
def test_rows_of_one_meaning_are_taken(bundle, rows, form):
    expected = bundle.predict(rows).mean
    np.testing.assert_allclose(bundle.predict(TAKEN[form](rows)).mean, expected, rtol=1e-6)


ONE = {
    "Series": lambda rows: rows.iloc[1],
    "Series of more": lambda rows: pd.concat([pd.Series({"id": 7}), rows.iloc[1]]),
    "dict": lambda rows: rows.iloc[1].to_dict(),
    "list of one": lambda rows: [list(rows.iloc[1])],
    "array of one": lambda rows: rows.iloc[1].to_numpy().reshape(1, -1),
}


@pytest.mark.parametrize("form", ONE)
def test_one_row_is_taken(bundle, rows, form):
    expected = bundle.predict(rows).mean[1:2]
    np.testing.assert_allclose(bundle.predict(ONE[form](rows)).mean, expected, rtol=1e-6)


def test_numbers_alone():
    assert as_rows(np.arange(6).reshape(2, 3), NAMES) == [[0, 1, 2], [3, 4, 5]]
    assert as_rows(np.ma.masked_array([[1.0, 2.0, 3.0]], mask=[[0, 1, 0]]), NAMES) == [[1.0, None, 3.0]]
    assert as_rows(pd.Series([1.5, 2.0, 3.0], NAMES), NAMES) == [{"age": 1.5, "plan": 2.0, "since": 3.0}]
    days = np.array([["2024-01-01", "2024-01-02", "NaT"]], dtype="datetime64[ns]")
    assert str(as_rows(days, NAMES)[0][1]).startswith("2024-01-02")


REFUSED = {
    "a flat list": (
        lambda _: [42, "basic", 7],
        r"a list with 42 in it, where a row is expected; one row: \[\[\.\.\.\]\]",
    ),
    "a flat list of texts": (lambda _: ["a", "b"], r"a list with 'a' in it"),
    "a flat array": (
        lambda _: np.array([1.0, 2.0, 3.0]),
        r"shape \(3,\); one row: array\.reshape\(1, -1\).*'age', 'plan'",
    ),
    "a long flat array": (lambda _: np.zeros(9), r"shape \(9,\); allowed: 2-D, with the 3 columns"),
    "a wide array": (lambda _: np.zeros((2, 4)), r"shape \(2, 4\).*'age', 'plan', 'since'"),
    "a cube": (lambda _: np.zeros((2, 3, 4)), r"shape \(2, 3, 4\)"),
    "a number as an array": (lambda _: np.array(3.0), r"shape \(\)"),
    "no rows in an array": (lambda _: np.zeros((0, 3)), "at least one"),
    "no rows in a list": (lambda _: [], "at least one"),
    "no rows one at a time": (lambda _: iter(()), "at least one"),
    "no rows in columns": (lambda _: {name: [] for name in NAMES}, "at least one"),
    "a column": (
        lambda rows: rows["age"],
        r"a pandas\.Series of 3, whose index is 0, 1, 2; allowed: a Series whose",
    ),
    "a Series of some": (
        lambda _: pd.Series({"age": 1, "plan": "basic", "sinc": 2}),
        r"'since' is not among them.*'sinc'",
    ),
    "a Series of twice": (lambda _: pd.Series([1, 2, 3, 4], ["age", "age", "plan", "since"]), "twice"),
    "a dict of some": (
        lambda _: {"age": 1, "plan": "basic", "sinc": 2},
        r"'since' is missing.*did you mean 'sinc'",
    ),
    "a dict of both": (lambda _: {"age": [1, 2], "plan": "basic", "since": [1, 2]}, "one value for 'plan'"),
    "a dict of lengths": (
        lambda _: {"age": [1, 2], "plan": ["basic"], "since": [1, 2]},
        "1 values for 'plan'",
    ),
    "a text": (lambda _: "new.csv", r"got the text 'new\.csv'; a file is read with pandas first"),
    "bytes": (lambda _: b"1,2,3", "got a bytes"),
    "nothing": (lambda _: None, "got None; allowed: a DataFrame"),
    "a number": (lambda _: 42, "got a int"),
    "a set": (lambda _: {1, 2, 3}, "got a set"),
    "a table of Arrow": (pa.table, r"got a pyarrow\.Table.*to_pandas\(\)"),
    "a list of lists of lists": (lambda _: [[[1, 2, 3]]], r"row 0"),
    "a list of sets": (lambda _: [{1, 2, 3}], r"row 0"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_may_mean_several_things_or_none_is_refused_by_one_line(bundle, rows, form):
    make, expected = REFUSED[form]
    for method in (bundle.predict, bundle.encode):
        with pytest.raises(DataError, match=expected) as caught:
            method(make(rows))
        assert "\n" not in str(caught.value)


NO_FRAMES = [None, [{"age": 1}], np.zeros((2, 3)), {"age": [1]}, "t.csv", pd.Series([1])]


@pytest.mark.parametrize("given", NO_FRAMES, ids=lambda given: type(given).__name__)
def test_what_asks_for_columns_by_name_wants_a_frame(bundle, given):
    calls = [
        lambda: answer_frame(bundle, given),
        lambda: compare_models(bundle, bundle, given),
        lambda: permutation_importance(bundle, given),
        lambda: contribution_columns(bundle, given, pd.Series(["no"])),
        lambda: bundle.encoder.transform(given),
    ]
    for call in calls:
        with pytest.raises(DataError, match=r"a table: got .*allowed: a pandas DataFrame"):
            call()


def test_encoded_rows_are_numbers(bundle, rows):
    with pytest.raises(DataError, match=r"encoded rows: got DataFrame.*Bundle\.encode"):
        bundle.predict_encoded(rows)
    with pytest.raises(DataError, match=r"encoded rows of shape \(3,\)"):
        bundle.predict_encoded([1, 2, 3])
