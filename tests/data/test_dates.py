import datetime as dt
import math

import numpy as np
import pandas as pd
import pytest

from data.dates import PARTS, all_parts, date_parts, is_iso_date, parts_of_days, show_dates, varying_parts
from errors import DataError

NO_DATES = ["2024-02-30", "2024-13-01", "31.01.2024", "01/31/2024", "2024-W05-3", "2024", "yesterday"]
NO_DATES += ["2024-01-31T25:00", "٢٠٢٤-01-31", "0001-01-01T00:00+09:00", b"2024-01-31"]
SEOUL = dt.timezone(dt.timedelta(hours=9))


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("1970-01-01", (0, 1970, 1, 1, 3, 0)),
        ("1969-12-31T18:00", (-0.25, 1969, 12, 31, 2, 18)),
        ("2024-02-29 12:30:00", (19782 + 12.5 / 24, 2024, 2, 29, 3, 12.5)),
        ("2024-02-29T06:00:00Z", (19782.25, 2024, 2, 29, 3, 6)),
        ("2024-03-01 03:00+09:00", (19782.75, 2024, 2, 29, 3, 18)),
        ("2024-03-01 03:00:00 +0900", (19782.75, 2024, 2, 29, 3, 18)),
        (" 2024/2/29 ", (19782, 2024, 2, 29, 3, 0)),
        ("2024. 02. 29.", (19782, 2024, 2, 29, 3, 0)),
        ("2024.02.29 06:00", (19782.25, 2024, 2, 29, 3, 6)),
        ("20240229", (19782, 2024, 2, 29, 3, 0)),
        (20240229, (19782, 2024, 2, 29, 3, 0)),
        (20240229.0, (19782, 2024, 2, 29, 3, 0)),
        (dt.date(2024, 2, 29), (19782, 2024, 2, 29, 3, 0)),
        (dt.datetime(2024, 2, 29, 6), (19782.25, 2024, 2, 29, 3, 6)),
        (dt.datetime(2024, 3, 1, 3, tzinfo=SEOUL), (19782.75, 2024, 2, 29, 3, 18)),
        (pd.Timestamp("2024-03-01 03:00", tz="Asia/Seoul"), (19782.75, 2024, 2, 29, 3, 18)),
        (np.datetime64("2024-02-29T06", "h"), (19782.25, 2024, 2, 29, 3, 6)),
        (np.datetime64("2024-02-29"), (19782, 2024, 2, 29, 3, 0)),
    ],
)
def test_a_date_is_the_same_however_it_comes(value, parts):
    assert date_parts(value) == parts


@pytest.mark.parametrize(
    "value", [None, "", "NaT", "-", "0000-00-00", math.nan, pd.NaT, np.datetime64("NaT")]
)
def test_a_missing_date(value):
    assert all(math.isnan(part) for part in date_parts(value))


@pytest.mark.parametrize(
    "value",
    [
        *NO_DATES,
        2024,
        20241301,
        0.5,
        1e300,
        math.inf,
        True,
        [1],
        {},
        dt.time(9),
        np.datetime64("20000-01-01"),
    ],
)
def test_what_is_no_date_is_refused(value):
    with pytest.raises(ValueError, match=r"not a date|holds a number|outside the years"):
        date_parts(value)


@pytest.mark.parametrize(
    "value", ["2024/01/31", "20240131", "2024-01", "12:30", "2024-02-30", 20240131, None, "-"]
)
def test_what_is_not_taken_for_a_date_without_being_asked(value):
    assert not is_iso_date(value)


def assert_bits_equal(a, b):
    assert a.dtype == b.dtype == np.float64
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_columns_and_cells_agree_to_the_bit(unit, zone):
    rng = np.random.default_rng(0)
    moments = pd.Series(
        pd.to_datetime(rng.integers(-(2**33), 2**33, 500) * 10**9 + rng.integers(0, 10**9, 500))
    )
    series = moments.astype(f"datetime64[{unit}]")
    series[7] = pd.NaT
    if zone:
        series = series.dt.tz_localize("UTC").dt.tz_convert(zone)
    parts = all_parts(series, "column 'a'")
    assert_bits_equal(parts, np.array([date_parts(value) for value in series.tolist()]))
    assert_bits_equal(parts, all_parts(series.astype(object), "column 'a'"))
    texts = series.map(lambda value: None if pd.isna(value) else value.isoformat())
    assert_bits_equal(parts, all_parts(texts, "column 'a'"))
    assert_bits_equal(parts, np.array([date_parts(value) for value in texts]))


def test_a_wrong_date_in_a_column_names_row_and_value():
    with pytest.raises(
        DataError, match=r"^column 'a', data row 2: '2024-02-30' is not a date: day is out of range"
    ):
        all_parts(pd.Series(["2024-02-29", "2024-02-30"]), "column 'a'")
    with pytest.raises(
        DataError, match=r"^column 'a', data row 1: '12024-01-01.*outside the years 1 to 9999"
    ):
        all_parts(pd.Series(np.array(["12024-01-01"], dtype="M8[s]")), "column 'a'")


def test_only_what_differs_is_kept():
    assert varying_parts(all_parts(pd.Series(["2024-01-01", "2024-02-01", None]), "")) == (
        "days",
        "month",
        "weekday",
    )
    assert varying_parts(all_parts(pd.Series(["2024-01-01T09:00", "2024-01-01T10:00"]), "")) == (
        "days",
        "hour",
    )
    several = pd.Series(["1999-12-31T09:00", "2024-01-01T10:00"])
    assert varying_parts(all_parts(several, "")) == PARTS


def test_days_are_shown_as_dates():
    assert show_dates([10956.0, 19753.0]) == ["1999-12-31", "2024-01-31"]
    assert show_dates([19753.0, 19753.4]) == ["2024-01-31 00:00", "2024-01-31 09:36"]


def test_days_become_parts_again():
    assert parts_of_days(19782.75, with_time=True) == date_parts("2024-02-29T18:00")
    assert parts_of_days(19782.75, with_time=False) == date_parts("2024-02-29")
