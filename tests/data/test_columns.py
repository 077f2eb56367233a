"""Every kind of column, through frames, records, files and JSON, with every way to treat missing values."""

import datetime as dt
import json
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from data.encoder import Encoder
from data.features import infer_features
from data.sources import load_table
from errors import DataError

N = 80
MOMENTS = pd.Series(pd.date_range("2019-12-30 07:30", periods=N, freq="17h13min"))


def every_kind():
    """One column of each kind, each with holes; a hole is None, whatever the dtype."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=N),
            "whole": pd.array(rng.integers(0, 2**60, N), dtype="Int64"),
            "thousands": [f"{n:,}" for n in rng.integers(0, 10**7, N)],
            "percent": [f"{n / 10} %" for n in rng.integers(0, 1000, N)],
            "comma": [f"{n / 100:.2f}".replace(".", ",") for n in rng.integers(0, 1000, N)],
            "words": [*(str(n) for n in range(N - 2)), "unknown", "-"],
            "flag": pd.array(rng.integers(0, 2, N), dtype="boolean"),
            "answer": rng.choice(["Yes", "no"], N),
            "text": rng.choice(["b", "a", "c d", "가나", "1"], N),
            "category": pd.Series(rng.choice(["x", "y"], N), dtype="category"),
            "code": rng.integers(1, 5, N).astype(float),
            "moment": MOMENTS,
            "zoned": MOMENTS.dt.tz_localize("Asia/Seoul"),
            "day": MOMENTS.dt.date,
            "iso": MOMENTS.map(lambda moment: moment.isoformat(" ")),
            "slashes": MOMENTS.dt.strftime("%Y/%m/%d"),
        }
    )
    for j, name in enumerate(frame):
        frame.loc[[5 * j % N, (5 * j + 7) % N], name] = None
    return frame


KINDS = {"code": "categorical", "slashes": "datetime"}
POLICIES = ["native", "mean", "median", "mode"]


def fit(frame, missing="native", **kinds):
    return Encoder.fit(frame, infer_features(frame.assign(y=range(len(frame))), "y", kinds=kinds), missing)


def records_of(frame):
    columns = {name: frame[name].tolist() for name in frame}
    return [{name: column[i] for name, column in columns.items()} for i in range(len(frame))]


def assert_bits_equal(a, b):
    assert a.dtype == b.dtype == np.float32
    assert a.shape == b.shape
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("missing", POLICIES)
def test_frames_and_records_of_every_kind_agree_to_the_bit(missing):
    frame = every_kind()
    encoder = fit(frame, missing, **KINDS)
    X = encoder.transform(frame)
    assert X.flags.c_contiguous
    assert X.shape == (N, len(encoder.feature_names))
    assert (
        len(encoder.cardinalities) == len(encoder.feature_names) > len(encoder.column_names) == frame.shape[1]
    )
    assert_bits_equal(X, np.stack([encoder.encode(record) for record in records_of(frame)]))
    rows = [list(record.values()) for record in records_of(frame)]
    assert_bits_equal(X, np.stack([encoder.encode_values(row) for row in rows]))
    alone = [encoder.transform(frame.iloc[[i]]) for i in range(0, N, 8)]
    assert_bits_equal(np.ascontiguousarray(X[::8]), np.concatenate(alone))
    assert_bits_equal(X, encoder.transform(frame.astype(object)))
    assert np.isnan(X).any() == (missing == "native")


@pytest.mark.parametrize("missing", POLICIES)
def test_the_encoder_of_every_kind_survives_json(missing):
    frame = every_kind()
    encoder = fit(frame, missing, **KINDS)
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), allow_nan=False)))
    assert again == encoder
    assert_bits_equal(again.transform(frame), encoder.transform(frame))
    assert fit(frame.sample(frac=1.0, random_state=1), missing, **KINDS) == encoder


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_every_file_gives_the_same_rows(tmp_path, suffix):
    frame = every_kind()
    path = tmp_path / f"table.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        plain = frame.astype(object).map(lambda v: v.isoformat() if isinstance(v, dt.date) else v)
        path.write_text(json.dumps(plain.where(frame.notna(), None).to_dict("records")))
    loaded = load_table(str(path))
    assert_bits_equal(fit(loaded, **KINDS).transform(loaded), fit(frame, **KINDS).transform(frame))


def test_a_date_becomes_the_parts_that_differ():
    frame = pd.DataFrame(
        {"가입일": ["2024-01-31", "2024-03-31", None, "2024-02-29"] * 10, "x": range(0, 80, 2)}
    )
    encoder = fit(frame)
    assert encoder.column_names == ("가입일", "x")
    assert encoder.feature_names == ("days(가입일)", "month(가입일)", "day(가입일)", "weekday(가입일)", "x")
    assert encoder.cardinalities == (0, 0, 0, 0, 0)
    assert encoder.encode({"가입일": dt.date(1999, 12, 31), "x": 1}).tolist() == [10956, 12, 31, 4, 1]
    with pytest.raises(DataError, match=r"column '가입일': '31\.12\.1999' is not a date"):
        encoder.encode({"가입일": "31.12.1999", "x": 1})
    with pytest.raises(DataError, match=r"column '가입일', data row 2: 7 is not a date"):
        encoder.transform(pd.DataFrame({"가입일": ["1999-12-31", 7], "x": [1, 2]}))


def test_float32_keeps_the_day_and_two_minutes():
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=2000, freq="3min")})
    assert len(np.unique(fit(frame).transform(frame)[:, 0])) == 2000


@pytest.mark.parametrize(
    ("missing", "number", "date"),
    [("mean", 3.25, "2024-01-04"), ("median", 2.0, "2024-01-03"), ("mode", 1.0, "2024-01-01")],
)
def test_what_a_missing_value_becomes(missing, number, date):
    frame = pd.DataFrame(
        {
            "n": [1.0, 1.0, 3.0, 8.0, None],
            "c": ["b", "b", "a", None, "c"],
            "f": [True, False, True, None, True],
            "d": ["2024-01-01", "2024-01-01", "2024-01-05", "2024-01-12", None],
        }
    )
    encoder = fit(frame, missing, d="datetime")
    filled = encoder.encode(dict.fromkeys(frame))
    expected = encoder.encode({"n": number, "c": "b", "f": True, "d": date})
    assert_bits_equal(filled, expected)
    assert_bits_equal(encoder.transform(frame)[3, [1]], expected[[1]])
    assert_bits_equal(encoder.transform(frame.iloc[4:])[0, [0]], expected[[0]])


def test_a_category_never_seen_is_not_filled():
    encoder = fit(pd.DataFrame({"c": ["a", "b", None] * 5}), "mode")
    assert math.isnan(encoder.encode({"c": "new"})[0])
    assert encoder.encode({"c": None})[0] == 0.0
    frame = pd.DataFrame({"c": ["new", None, "", "b"]})
    np.testing.assert_array_equal(encoder.transform(frame)[:, 0], [np.nan, 0, 0, 1])


def test_rows_that_miss_a_value():
    frame = pd.DataFrame(
        {
            "n": ["1,000", "-", "2", "3", "4"],
            "c": ["a", "b", None, "a", "b"],
            "d": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", None, "2024-01-04"]),
        }
    )
    encoder = fit(frame, n="numeric", c="categorical")
    assert encoder.missing_rows(frame).tolist() == [False, True, True, True, False]
    assert encoder.missing_rows(frame.assign(c="new")).tolist() == [False, True, False, True, False]


STYLES = {
    "thousands": ["1,234", 1234, "1234"],
    "percent": ["12%", "12 %", 12.0],
    "comma": ["1,5", 1.5, "1,50"],
}


@pytest.mark.parametrize("name", STYLES)
def test_a_number_in_text_is_read_however_it_is_written(name):
    frame = every_kind()[[name]]
    encoder = fit(frame)
    cells = STYLES[name]
    assert len({encoder.encode({name: cell}).tobytes() for cell in cells}) == 1
    assert len(set(encoder.transform(pd.DataFrame({name: pd.Series(cells, dtype=object)}))[:, 0])) == 1
    with pytest.raises(DataError, match=f"column '{name}': 'many' is not a number"):
        encoder.encode({name: "many"})


CELLS = [
    None,
    "",
    0,
    -1,
    1.5,
    -0.0,
    True,
    np.False_,
    np.int8(3),
    np.float32(3),
    2**63,
    10**400,
    -(10**400),
    1j,
]
CELLS += [
    math.nan,
    math.inf,
    pd.NA,
    pd.NaT,
    np.datetime64("NaT"),
    Decimal("1.5"),
    Decimal("sNaN"),
    Decimal("inf"),
]
CELLS += [
    Fraction(1, 3),
    b"x",
    (1,),
    {1},
    [1],
    {},
    object(),
    np.arange(3),
    pd.Interval(0, 1),
    pd.Period("2024-01"),
]
CELLS += [dt.time(9), dt.timedelta(1), np.timedelta64(1, "D"), dt.date.max, dt.datetime.min, pd.Timestamp.max]
CELLS += [np.datetime64("2024-01-01"), np.datetime64("20000-01-01"), np.datetime64(2**62, "ns"), 20240131.0]
CELLS += [
    "\ud800",
    "a\0b",
    "٣",
    "1e400",
    "nan",
    "9" * 5000,
    " a",
    "None",
    "YES",
    "unknown",
    "%",
    "$-",
    "--5",
    "1_000",
]
CELLS += [
    "1,234",
    "12 %",
    "$5",
    "1.234,5",
    "5€",
    "+5",
    "1E5",
    "2024-02-30",
    "9999-12-31T23:59:59-23:00",
    "24:00",
]


@pytest.mark.parametrize("name", list(every_kind()))
def test_any_cell_is_encoded_alike_or_refused_by_name(name):
    frame = every_kind()[[name]]
    encoder = fit(frame, "mode", **{name: KINDS[name]} if name in KINDS else {})
    for cell in CELLS:
        table = pd.DataFrame({name: pd.Series([None, cell], dtype=object)})
        table.at[0, name] = frame[name].iloc[40]
        record, expected = outcome(lambda cell=cell: encoder.encode({name: cell}))
        in_table, found = outcome(lambda table=table: encoder.transform(table)[1])
        assert (record, in_table) in ((True, True), (False, False)), cell
        if record:
            assert found.tobytes() == expected.tobytes(), cell
        else:
            assert expected.startswith(f"column '{name}': ")
            assert found.startswith(f"column '{name}', data row 2: ")


def outcome(work):
    try:
        return True, work()
    except DataError as refusal:
        return False, str(refusal)
