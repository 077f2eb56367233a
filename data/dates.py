"""A date as numbers: days since 1970, and the parts of the calendar that trees and networks can't work out.

Dates with a zone are turned to UTC, dates without one are taken as they stand. Frames and single records give
the same numbers to the bit: both count whole days and whole microseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from data.messages import show
from data.values import (
    MISSING_NUMBER_TEXT,
    check_scalar,
    convert,
    data_row,
    is_boolean,
    is_date_dtype,
    is_missing,
    is_number,
)
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# days: since 1970-01-01, with the time as a fraction; weekday: 0 is Monday; hour: with minutes as a fraction.
PARTS = ("days", "year", "month", "day", "weekday", "hour")
NO_DATE = (math.nan,) * len(PARTS)
US_PER_DAY = 86_400_000_000
US_PER_HOUR = 3_600_000_000
EPOCH = datetime(1970, 1, 1)
EPOCH_DAY = EPOCH.toordinal()
# What is taken for a date without being asked: nothing else is written so.
ISO_DATE = re.compile(
    r"[12]\d{3}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|[+-]\d\d(:?\d\d(:?\d\d)?)?))?)?", re.ASCII
)
YEAR_FIRST = re.compile(r"(\d{4})([/.]) ?(\d\d?)\2 ?(\d\d?)\b\.?", re.ASCII)
EIGHT_DIGITS = re.compile(r"[12]\d{7}", re.ASCII)
# Texts that mean "no value" where a date is expected.
MISSING_DATE_TEXT = MISSING_NUMBER_TEXT | {"NaT", "0000-00-00", "0000-00-00 00:00:00"}
ALLOWED = "dates are written 2024-01-31, 2024-01-31T09:30:00+09:00, 2024/01/31 or 20240131"


def is_iso_date(value: Any) -> bool:
    """Whether the value is a date, or a text that can be nothing else."""
    if not isinstance(value, str):
        return isinstance(value, (date, np.datetime64))
    text = value.strip()
    return bool(ISO_DATE.fullmatch(text)) and _reads(datetime.fromisoformat, text)


def is_common_date(value: Any) -> bool:
    """Whether the value reads as a date once it is known to be one: 2024/01/31 and 20240131, too."""
    return is_iso_date(value) or (isinstance(value, str) and _reads(date_parts, value))


def _reads(reader: Callable[[str], Any], text: str) -> bool:
    try:
        reader(text)
    except ValueError:
        return False
    return True


def is_no_date(value: Any) -> bool:
    """Whether the value is a text that stands for a missing date."""
    return isinstance(value, str) and value.strip() in MISSING_DATE_TEXT


def date_parts(value: Any) -> tuple[float, ...]:
    """A date as the numbers named in PARTS; NaN where missing.

    Raises: ValueError: not a date; the text is a reason.
    """
    moment = to_moment(value)
    return NO_DATE if moment is None else parts_of_moment(moment)


def parts_of_moment(moment: datetime) -> tuple[float, ...]:
    """A moment without a zone as the numbers named in PARTS."""
    us = (moment.hour * 3600 + moment.minute * 60 + moment.second) * 1_000_000 + moment.microsecond
    days = moment.toordinal() - EPOCH_DAY + us / US_PER_DAY
    return (days, moment.year, moment.month, moment.day, moment.weekday(), us / US_PER_HOUR)


def to_moment(value: Any) -> datetime | None:
    """The date in UTC, without a zone; None where missing.

    Raises: ValueError: not a date; the text is a reason.
    """
    if isinstance(value, str):
        value = value.strip()
        if value in MISSING_DATE_TEXT:
            return None
        value = _parse(value)
    elif is_missing(value):
        return None
    if not isinstance(value, datetime):
        value = _from_other(value)
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("is a date outside the years 1 to 9999") from None


def _parse(text: str) -> datetime:
    if not ISO_DATE.fullmatch(text):
        text = YEAR_FIRST.sub(lambda m: f"{m[1]}-{int(m[3]):02d}-{int(m[4]):02d}", text, count=1)
        if not (ISO_DATE.fullmatch(text) or EIGHT_DIGITS.fullmatch(text)):
            raise ValueError(f"is not a date; {ALLOWED}")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"is not a date: {error}") from None


def _from_other(value: Any) -> datetime:
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()  # a number where Python's years 1 to 9999 do not suffice
    elif is_number(value):
        check_scalar(value)
        return _parse(str(value).removesuffix(".0"))
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if not is_boolean(value):
        check_scalar(value)
    raise ValueError(f"is not a date; {ALLOWED}")


def all_parts(series: pd.Series, where: str, unreadable: str = "error") -> np.ndarray:
    """A column of dates as numbers, whatever its dtype.

    Shape: (n_samples,) -> float64 (n_samples, 6), the columns named in PARTS, NaN where missing.
    Raises: DataError: a cell is not a date; names the row and the value.
    """
    if is_date_dtype(series):
        return _series_parts(series, where)
    return convert(series, date_parts, where, NO_DATE, unreadable)


def _series_parts(series: pd.Series, where: str) -> np.ndarray:
    """A column of a date dtype as numbers, equal to date_parts of its cells."""
    if getattr(series.dt, "tz", None) is not None:
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    moments = series.to_numpy(dtype="M8[us]")
    missing = np.isnat(moments)
    years = moments.astype("M8[Y]").astype(np.int64) + 1970
    outside = ~missing & ((years < 1) | (years > 9999))  # noqa: PLR2004 - what a record can hold
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"{where}, data row {data_row(series, row)}: {show(str(moments[row]))} is a date outside the "
            "years 1 to 9999"
        )
    return parts_of_moments(moments)


def parts_of_moments(moments: np.ndarray) -> np.ndarray:
    """Moments without a zone as the numbers named in PARTS, NaN where missing.

    Shape: datetime64[us] (n_samples,) -> float64 (n_samples, 6).
    """
    missing = np.isnat(moments)
    years = moments.astype("M8[Y]").astype(np.int64) + 1970
    days, months = moments.astype("M8[D]"), moments.astype("M8[M]")
    day, us = days.astype(np.int64), (moments - days).astype(np.int64)
    day_of_month = (days - months.astype("M8[D]")).astype(np.int64) + 1
    month = months.astype(np.int64) % 12 + 1
    parts = (day + us / US_PER_DAY, years, month, day_of_month, (day + 3) % 7, us / US_PER_HOUR)
    out = np.column_stack(parts)
    out[missing] = np.nan
    return out


def varying_parts(parts: np.ndarray) -> tuple[str, ...]:
    """The parts worth a feature: the days, and what differs between rows."""
    rows = parts[~np.isnan(parts[:, 0])]
    return tuple(name for j, name in enumerate(PARTS) if j == 0 or len(np.unique(rows[:, j])) > 1)


def parts_of_days(days: float, with_time: bool) -> tuple[float, ...]:
    """The parts of the moment so many days after 1970-01-01, its time taken off where there are no times."""
    return date_parts(EPOCH + timedelta(days=days if with_time else math.floor(days)))


def show_dates(days: Sequence[float]) -> list[str]:
    """Days since 1970 as text: dates where all are whole, else to the minute."""
    texts = [(EPOCH + timedelta(days=number)).isoformat(" ") for number in days]
    whole = all(text.endswith(" 00:00:00") for text in texts)
    return [text[:10] if whole else text[:16] for text in texts]
