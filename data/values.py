"""What one raw cell means: missing, a number, true or false, or a category's text.

Frames and single records go through the same functions, so both are encoded alike. Nothing here imports
pandas: a column is used through the methods of the Series it is given as.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from data.messages import show
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Texts that mean "no value", in every column. The word None is not among them: it is a common class label.
MISSING_TEXT = frozenset(
    {"", "nan", "NaN", "NAN", "-nan", "-NaN", "NA", "<NA>", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "null"}
    | {"NULL", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"}
)
# Texts that mean "no value" where a number is expected.
MISSING_NUMBER_TEXT = MISSING_TEXT | {"None", "none", "?", "-", "--", "."}
BOOLEAN_TEXT = {"true": 1.0, "yes": 1.0, "y": 1.0, "t": 1.0, "1": 1.0, "1.0": 1.0} | dict.fromkeys(
    ["false", "no", "n", "f", "0", "0.0"], 0.0
)
# What NumPy or Python counts among the numbers, and no table means so.
NO_NUMBERS = (bool, np.bool_, np.timedelta64)
# Python does not write longer ints as text (sys.get_int_max_str_digits).
MAX_BITS = 14_000
# What models reckon with, and what a table can hold.
LARGEST = float(np.finfo(np.float32).max)
HUGEST = float(np.finfo(np.float64).max)

PLAIN_NUMBER = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.(\d*))?", re.ASCII)

Converter = Callable[[Any], Any]


def is_missing(value: Any) -> bool:
    """Whether the cell holds no value: None, NaN, NaT, NA, or a text of MISSING_TEXT."""
    if isinstance(value, str):
        return value.strip() in MISSING_TEXT
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    if isinstance(value, np.datetime64):
        return bool(np.isnat(value))
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, (float, np.floating)) and math.isnan(value)


def is_boolean(value: Any) -> bool:
    """Whether the value is a Python or NumPy true or false."""
    return isinstance(value, (bool, np.bool_))


def is_number(value: Any) -> bool:
    """Whether the value is a real number; true and false are not."""
    return isinstance(value, (numbers.Real, Decimal)) and not isinstance(value, NO_NUMBERS)


def check_scalar(value: Any) -> None:
    """Refuse what no cell can mean.

    Raises: ValueError: a list, a dict, bytes or another container, an int of thousands of digits; the text is a
        reason.
    """
    scalars = (str, numbers.Real, Decimal, np.bool_, date, np.datetime64)
    if isinstance(value, np.timedelta64) or (not isinstance(value, scalars) and not is_missing(value)):
        raise ValueError(f"is a {type(value).__name__}; a cell holds a number, a text, true/false or nothing")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("is too large")


def to_number(value: Any) -> float:
    """A number, or a text that reads as one; NaN where missing.

    Raises: ValueError: anything else, or infinity; the text is a reason.
    """
    number = value if isinstance(value, float) else _as_float(value)
    if abs(number) > HUGEST:
        raise ValueError(f"is infinite or too large; numbers lie within +-{HUGEST:.3g}")
    return number


def to_single(value: Any) -> float:
    """As to_number, and no larger than float32 holds.

    Raises: ValueError: see to_number, and larger numbers; the text is a reason.
    """
    number = value if isinstance(value, float) else _as_float(value)
    if abs(number) > LARGEST:
        raise ValueError(f"is infinite or too large; numbers lie within +-{LARGEST:.3g}")
    return number


def _as_float(value: Any) -> float:
    if isinstance(value, str):
        return _parse(value)
    if type(value) is not int:
        if is_missing(value):
            return math.nan
        if not is_number(value):
            check_scalar(value)
            raise ValueError("is not a number")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _parse(text: str) -> float:
    stripped = text.strip()
    if stripped in MISSING_NUMBER_TEXT:
        return math.nan
    if "_" in stripped:  # Python reads 1_000 as a number, no table means it so.
        raise ValueError("is not a number")
    try:
        return float(stripped)
    except ValueError:
        raise ValueError("is not a number") from None


def to_boolean(value: Any) -> float:
    """1.0 or 0.0 for true/false, yes/no, y/n, t/f in any case, and 1/0; NaN where missing.

    Raises: ValueError: anything else; the text is a reason.
    """
    if value is True or value is False:
        return float(value)
    if is_missing(value):
        return math.nan
    check_scalar(value)
    number = BOOLEAN_TEXT.get(str(value).strip().casefold())
    if number is None:
        raise ValueError("is neither true nor false; allowed: true/false, yes/no, 1/0")
    return number


def to_text(value: Any) -> str:
    """The canonical text of a category that is not missing: 2 and 2.0 are both "2", texts stay as they are.

    Raises: ValueError: a list, a dict, infinity; the text is a reason.
    """
    if isinstance(value, str):
        return value
    check_scalar(value)
    if isinstance(value, np.datetime64):
        value = value.astype("M8[us]").item()
    if isinstance(value, date):
        return value.isoformat().removesuffix("T00:00:00")
    if is_boolean(value):
        return str(bool(value))
    if isinstance(value, numbers.Integral):
        return str(int(value))
    number = _as_float(value)
    if math.isinf(number):
        raise ValueError("is infinite; a category is a text or a finite number")
    return str(int(number)) if number.is_integer() else repr(number)


def number_name(text: str) -> str:
    """The canonical text of a number that is written as one, 2 for "2.0"; "02", "+2" and "2e0" are other names.

    Raises: ValueError: it is no number so written.
    """
    match = PLAIN_NUMBER.fullmatch(text.strip())
    if match is None:
        raise ValueError("is not a number as Python writes it")
    fraction = (match[2] or "").rstrip("0")
    name = f"{match[1]}.{fraction}" if fraction else match[1]
    return "0" if name == "-0" else name


def to_plain(value: Any) -> bool | int | float | str | None:
    """The cell as JSON holds it: None where missing; dates become texts, other types keep theirs.

    Raises: ValueError: a list, a dict; the text is a reason.
    """
    if is_missing(value):
        return None
    if isinstance(value, str):
        return str(value)
    if is_boolean(value):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if is_number(value) else to_text(value)


def data_row(series: pd.Series, position: int) -> int:
    """Number of the row in its file, counting from 1 below the header."""
    label = series.index[position]
    return (int(label) if isinstance(label, numbers.Integral) else position) + 1


def is_numeric_dtype(series: pd.Series) -> bool:
    """Whether every cell is a number by dtype, NumPy's own or nullable."""
    return getattr(series.dtype, "kind", "O") in "iuf"


def is_date_dtype(series: pd.Series) -> bool:
    """Whether every cell is a date by dtype, with a zone or without."""
    return getattr(series.dtype, "kind", "O") == "M"


def factorise(
    series: pd.Series, where: str, absent: Callable[[Any], bool] = is_missing
) -> tuple[np.ndarray, list[Any]]:
    """Codes of the distinct values, and those values as Python objects; missing cells have code -1.

    Args:
        series: The cells.
        where: What messages call the column.
        absent: Says of a value whether it is missing.

    Shape: series (n_samples,) -> codes int64 (n_samples,), values (n_distinct,). 1 and True stay apart.
    Raises: DataError: a cell holds a list, a dict or another container.
    """
    if str(series.dtype) == "category":
        codes, values = series.cat.codes.to_numpy(), series.cat.categories.tolist()
    elif series.dtype == object:
        codes, values = _factorise_objects(series, where, absent)
    else:
        codes, values = series.factorize()
        values = values.tolist()
    kept = np.array([not absent(value) for value in values] + [False], dtype=bool)
    new_codes = np.where(kept, np.cumsum(kept) - 1, -1)  # the last one serves code -1
    return new_codes[codes], [value for value, keep in zip(values, kept[:-1], strict=True) if keep]


def _factorise_objects(
    series: pd.Series, where: str, absent: Callable[[Any], bool]
) -> tuple[np.ndarray, list[Any]]:
    seen: dict[tuple[type, Any], int] = {}
    values: list[Any] = []
    codes = np.empty(len(series), dtype=np.int64)
    for position, value in enumerate(series.tolist()):
        if absent(value):
            codes[position] = -1
            continue
        try:
            check_scalar(value)
        except ValueError as reason:
            row = data_row(series, position)
            raise DataError(f"{where}, data row {row}: {show(value)} {reason}") from None
        # Equal, but encoded differently: 0.0 and -0.0, a moment in two zones.
        key = repr(value) if not value or isinstance(value, date) else value
        codes[position] = seen.setdefault((type(value), key), len(seen))
        if len(values) < len(seen):
            values.append(value)
    return codes, values


def convert(
    series: pd.Series,
    converter: Converter,
    where: str,
    missing: Any = math.nan,
    unreadable: str = "error",
    absent: Callable[[Any], bool] = is_missing,
) -> np.ndarray:
    """Convert every cell; each distinct value is converted once.

    Args:
        series: The cells.
        converter: From a value to a number, or to a tuple of numbers.
        where: What messages call the column.
        missing: What stands for a missing cell, shaped as the converter's answers.
        unreadable: "missing": a cell that the converter refuses counts as missing.
        absent: Says of a value whether it is missing, before it is converted.

    Shape: (n_samples,) -> float64 (n_samples,), or (n_samples, n_numbers).
    Raises: DataError: a cell the converter refuses; names `where`, the row, the value and the reason.
    """
    if converter is to_number and is_numeric_dtype(series):
        return _finite(series, where)
    codes, values = factorise(series, where, absent)
    table = [missing] * (len(values) + 1)  # the last one serves code -1
    for code, value in enumerate(values):
        try:
            table[code] = converter(value)
        except ValueError as reason:
            if unreadable == "missing":
                continue
            row = data_row(series, int(np.argmax(codes == code)))
            raise DataError(f"{where}, data row {row}: {show(value)} {reason}") from None
    return np.asarray(table, dtype=np.float64)[codes]


def _finite(series: pd.Series, where: str) -> np.ndarray:
    values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isinf(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise DataError(
            f"{where}: {bad.sum():,} infinite or too large values, the first in data row "
            f"{data_row(series, first)}: {values[first]}; numbers lie within +-{HUGEST:.3g}"
        )
    return values
