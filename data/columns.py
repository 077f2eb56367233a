"""How one column is encoded: numbers stay numbers, categories become codes, dates become several numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from data.cell_format import Unreadable, read_dates, read_numbers
from data.dates import (
    NO_DATE,
    PARTS,
    all_parts,
    date_parts,
    parts_of_days,
    parts_of_moment,
    parts_of_moments,
    varying_parts,
)
from data.datetext import DateText
from data.features import MAX_CATEGORIES, FeatureSpec
from data.messages import show
from data.numbertext import NumberText, fits
from data.precision import PLAIN, Scaling, fit_scaling
from data.values import (
    LARGEST,
    Converter,
    convert,
    data_row,
    factorise,
    is_boolean,
    is_date_dtype,
    is_missing,
    is_number,
    is_numeric_dtype,
    number_name,
    to_boolean,
    to_number,
    to_single,
    to_text,
)
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import MissingPolicy

Labels = Literal["text", "number", "boolean"]
# Digits that are a name, not an amount: 007, +7, 1e5, 1.10.
NAME_OF_DIGITS = re.compile(r"[+-]?0\d|\+|.*[eE]|.*\.\d*0$")
WHOLE_WITH_POINT = re.compile(r"-?(?:0|[1-9]\d{0,14})\.0", re.ASCII)
EXACT_DIGITS, WHOLE_DIGITS = 15, 18


@dataclass(frozen=True)
class Column:
    """How one column is encoded.

    Attributes:
        name: Column name.
        kind: numeric, boolean (both become the number), categorical (becomes a code) or datetime (becomes the
            numbers named in `parts`).
        categories: Canonical texts, in code order.
        labels: What the categories were in training: other types are matched through it.
        numbers: How numbers are written where they are texts; None: as Python writes them.
        dates: How dates are written that are texts or numbers; None: as ISO 8601 writes them.
        parts: What a date becomes, of data.dates.PARTS.
        fill: What a missing value is read as, one number per feature; empty for NaN.
        scaling: What a number becomes before it is rounded to 32 bits, one per feature; empty: it stays as it is.
        low, high: Of the training rows' numbers, of dates the days since 1970; None for categories, and in old bundles.
        missing_share: Share of the training rows without a value; None in old bundles.
    """

    name: str
    kind: Literal["numeric", "boolean", "categorical", "datetime"]
    categories: tuple[str, ...] = ()
    labels: Labels = "text"
    numbers: NumberText | None = None
    dates: DateText | None = None
    parts: tuple[str, ...] = ()
    fill: tuple[float, ...] = ()
    scaling: tuple[Scaling, ...] = ()
    low: float | None = field(default=None, compare=False)
    high: float | None = field(default=None, compare=False)
    missing_share: float | None = field(default=None, compare=False)

    @property
    def cardinality(self) -> int:
        """Number of category codes, 0 for a number."""
        return max(1, len(self.categories)) if self.kind == "categorical" else 0

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What the column becomes: itself, or `days(itself)`, `year(itself)` and so on."""
        return tuple(f"{part}({self.name})" for part in self.parts) or (self.name,)

    def reader(self) -> Converter:
        """The function from a raw value to its encoding: a number, for dates a tuple of numbers."""
        fill = self.fill[0] if self.fill else math.nan
        if self.kind == "categorical":
            codes = {text: float(code) for code, text in enumerate(self.categories)}
            numbers = self.labels == "number"
            direct = {_number_of(text): code for text, code in codes.items()} if numbers else codes
            return partial(_to_code, direct, codes, self.labels, fill)
        if self.kind == "datetime":
            missing = self.fill or (math.nan,) * len(self.parts)
            scaled = tuple((each.center, each.scale) for each in self.scaling)
            read = date_parts if self.dates is None else partial(_parts_as_written, self.dates)
            return partial(_to_parts, read, self._places(), missing, scaled)
        read = self._to_number()
        if self.fill or self.scaling or read not in (to_number, to_boolean):
            scaling = self.scaling[0] if self.scaling else PLAIN
            return partial(_to_scaled, read, fill, scaling.center, scaling.scale)
        return to_single if read is to_number else read

    def _to_number(self) -> Converter:
        if self.kind == "boolean":
            return to_boolean
        return to_number if self.numbers is None else self.numbers.read

    def _places(self) -> tuple[int, ...]:
        return tuple(PARTS.index(part) for part in self.parts)

    def encode(self, series: pd.Series, unreadable: Unreadable = "error") -> np.ndarray:
        """Encode every row, as the reader does.

        Shape: (n_samples,) -> float64 (n_samples,), for dates (n_samples, n_parts).
        Raises: DataError: a value cannot be encoded and `unreadable` is error; names column, row and value.
        """
        if self.kind == "categorical":
            where = f"column {show(self.name)}"
            return convert(series, self.reader(), where, self.fill[0] if self.fill else math.nan)
        out = self.raw(series, unreadable)
        if self.fill:
            out = np.where(np.isnan(out), self.fill, out)
        if self.scaling:
            center, scale = np.array([(each.center, each.scale) for each in self.scaling]).T
            with np.errstate(over="ignore", under="ignore"):
                out = (out - center) / scale
        return self._within(out, series)

    def raw(self, series: pd.Series, unreadable: Unreadable = "error") -> np.ndarray:
        """The numbers of every row as they are, NaN where missing; not for categories.

        Shape, Raises: see encode.
        """
        where = f"column {show(self.name)}"
        if self.kind == "datetime":
            return self._all_parts(series, where, unreadable)[:, self._places()]
        if self.kind == "numeric" and self.numbers is not None:
            return read_numbers(series, self.numbers, unreadable)[0]
        return convert(series, self._to_number(), where, unreadable=unreadable)

    def _within(self, encoded: np.ndarray, series: pd.Series) -> np.ndarray:
        """Raises: DataError: a number is more than float32 holds; names its row and the value."""
        outside = np.abs(encoded) > LARGEST
        if outside.any():
            first = int(np.argmax(outside))
            value, scaling = series.tolist()[first], self.scaling[0] if self.scaling else PLAIN
            raise DataError(
                f"column {show(self.name)}, data row {data_row(series, first)}: {show(value)} {_outside(scaling)}; "
                f"so are {np.count_nonzero(outside):,} values"
            )
        return encoded

    def _all_parts(self, series: pd.Series, where: str, unreadable: Unreadable) -> np.ndarray:
        if self.dates is None or is_date_dtype(series):
            return all_parts(series, where, unreadable)
        return parts_of_moments(read_dates(series, self.dates, unreadable)[0])

    def missing(self, series: pd.Series) -> np.ndarray:
        """Which rows have no value; a category never seen is one.

        Shape: (n_samples,) -> bool (n_samples,).
        """
        if self.kind == "categorical":
            return factorise(series, f"column {show(self.name)}")[0] < 0
        numbers = self.raw(series)
        return np.isnan(numbers if numbers.ndim == 1 else numbers[:, 0])

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Column:
        """The column that `asdict` and JSON described.

        Raises: KeyError, TypeError: the description is damaged.
        """
        lists = {key: tuple(content[key]) for key in ("categories", "parts", "fill")}
        numbers = NumberText.from_json(content["numbers"])
        dates = DateText.from_json(content.get("dates"))
        scaling = tuple(Scaling(**each) for each in content.get("scaling", ()))  # 0.1.0 had none
        formats = {"numbers": numbers, "dates": dates, "scaling": scaling}
        return cls(**{**content, **lists, **formats})


def _parts_as_written(dates: DateText, value: Any) -> tuple[float, ...]:
    written = isinstance(value, str) or is_number(value)
    if not written:
        return date_parts(value)
    moment = dates.moment(value)
    return NO_DATE if moment is None else parts_of_moment(moment)


def _to_parts(
    read: Converter,
    places: tuple[int, ...],
    fill: tuple[float, ...],
    scaled: tuple[tuple[float, float], ...],
    value: Any,
) -> tuple[float, ...]:
    parts = read(value)
    numbers = fill if parts is NO_DATE else tuple([parts[place] for place in places])
    if not scaled:
        return numbers
    return tuple([(n - center) / scale for n, (center, scale) in zip(numbers, scaled, strict=True)])


def _to_scaled(converter: Converter, fill: float, center: float, scale: float, value: Any) -> float:
    number = converter(value)
    if math.isnan(number):
        number = fill
    scaled = (number - center) / scale
    if abs(scaled) > LARGEST:
        raise ValueError(_outside(Scaling(center, scale)))
    return scaled


def _outside(scaling: Scaling) -> str:
    if scaling.is_plain:
        return f"is too large; numbers lie within +-{LARGEST:.3g}"
    low, high = (scaling.center + end * scaling.scale for end in (-LARGEST, LARGEST))
    return f"is too far from what this column held in training; numbers lie within {low:.3g} and {high:.3g}"


def _to_code(
    direct: dict[Any, float], codes: dict[str, float], labels: Labels, fill: float, value: Any
) -> float:
    if type(value) in (str, int, float):  # most values are just as in training; True, equal to 1, is not
        code = direct.get(value)
        if code is not None:
            return code
    if is_missing(value):
        return fill
    return codes.get(canonical(value, labels), math.nan)


def _number_of(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def canonical(value: Any, labels: Labels) -> str:
    """The text under which a category is known.

    Raises: ValueError: the value is no category; the text is a reason.
    """
    text = to_text(value)
    try:
        if labels == "boolean":
            return to_text(bool(to_boolean(value)))
        if labels == "number" and isinstance(value, str):
            return number_name(value)
    except ValueError:
        return text  # a category never seen, not a wrong type
    return text


def fit_column(series: pd.Series, spec: FeatureSpec, missing: MissingPolicy = "native") -> Column:
    """Learn how to encode a column from its training rows.

    Raises: DataError: a value does not fit the column's kind; names column, row and value.
    """
    if spec.kind == "categorical":
        column = _fit_categories(series, spec.name)
    elif spec.kind == "datetime":
        column = Column(spec.name, "datetime", dates=spec.dates)
        parts = varying_parts(column._all_parts(series, f"column {show(spec.name)}", "error"))
        column = Column(spec.name, "datetime", dates=spec.dates, parts=parts)
    else:
        column = Column(spec.name, spec.kind, numbers=spec.numbers)
    if missing not in ("native", "drop"):
        column = replace(column, fill=_fill(column, series, missing))
    return replace(_with_range(column, series), scaling=_scaling(column, series))


def _with_range(column: Column, series: pd.Series) -> Column:
    """The column with what its training rows held, for later rows to be compared with."""
    if column.kind == "categorical":
        codes, _ = factorise(series, f"column {show(column.name)}")
        return replace(column, missing_share=float((codes < 0).mean()))
    numbers = column.raw(series)
    numbers = numbers if numbers.ndim == 1 else numbers[:, 0]
    missing = np.isnan(numbers)
    ends = (None, None) if missing.all() else (float(np.nanmin(numbers)), float(np.nanmax(numbers)))
    return replace(column, low=ends[0], high=ends[1], missing_share=float(missing.mean()))


def _scaling(column: Column, series: pd.Series) -> tuple[Scaling, ...]:
    if column.kind not in ("numeric", "datetime"):
        return ()
    numbers = column.raw(series)
    found = tuple(fit_scaling(part) for part in (numbers.T if numbers.ndim > 1 else [numbers]))
    return () if all(scaling.is_plain for scaling in found) else found


def _fit_categories(series: pd.Series, name: str) -> Column:
    codes, values = factorise(series, f"column {show(name)}")
    labels = _labels(values) if not is_numeric_dtype(series) else "number"
    counts: Counter[str] = Counter()
    n_rows = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
    for code, value in enumerate(values):
        try:
            counts[canonical(value, labels)] += n_rows[code]
        except ValueError as reason:
            row = data_row(series, int(np.argmax(codes == code)))
            raise DataError(f"column {show(name)}, data row {row}: {show(value)} {reason}") from None
    order = float if labels == "number" else str
    frequent = sorted(counts, key=lambda text: (-counts[text], order(text)))[:MAX_CATEGORIES]
    return Column(name, "categorical", tuple(sorted(frequent, key=order)), labels)


def _labels(values: Sequence[Any]) -> Labels:
    if values and all(is_boolean(value) for value in values):
        return "boolean"
    if values and all(is_number(value) for value in values):
        return "number"
    return "number" if values and are_numbers_in_text(values) else "text"


AS_PYTHON = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)


def are_numbers_in_text(values: Sequence[Any]) -> bool:
    """Whether texts name the same categories as numbers do: "2" and "2.0" are one, but "02" and "1e5" are names."""
    texts = [to_text(value) for value in values]
    if texts and all(WHOLE_WITH_POINT.fullmatch(text) for text in texts):
        return True  # whole numbers in a column with holes, as pandas writes them
    if not texts or not all(fits(text, ".", False) and not NAME_OF_DIGITS.match(text) for text in texts):
        return False
    if not all(AS_PYTHON.fullmatch(text) for text in texts):
        return False  # "1 000" and ".5" are names, in which nothing may be changed
    exact = all(len(text) <= (EXACT_DIGITS if "." in text else WHOLE_DIGITS) for text in texts)
    return exact and len({_number_of(text) for text in texts}) == len(set(texts))


def _fill(column: Column, series: pd.Series, missing: MissingPolicy) -> tuple[float, ...]:
    if column.kind == "datetime":
        days = column._all_parts(series, f"column {show(column.name)}", "error")[:, 0]
        moment = parts_of_days(_middle(days, missing), missing == "mode" or "hour" in column.parts)
        return tuple(moment[place] for place in column._places())
    values = column.encode(series) if column.kind == "categorical" else column.raw(series)
    return (_middle(values, missing if column.kind == "numeric" else "mode"),)


def _middle(values: np.ndarray, missing: MissingPolicy) -> float:
    present = values[~np.isnan(values)]
    if missing == "mean":
        try:
            return math.fsum(present) / len(present)  # the same whatever the order of the rows
        except OverflowError:
            return math.fsum(present / len(present))
    if missing == "median":
        return float(np.median(present))
    different, counts = np.unique(present, return_counts=True)
    return float(different[np.argmax(counts)])  # of equally frequent ones, the first in order
