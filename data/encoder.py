"""The Encoder: the only thing that knows raw values, at training and at serving.

What becomes of a cell, in a frame and in a record alike:

    missing (None, NaN, "", "NA")            NaN
    category never seen in training          NaN
    column the encoder does not know         ignored
    column the encoder knows, not given      DataError naming the column
    text in a numeric column                 the number it reads as, or DataError naming column and value
    true or false in a numeric column        DataError
    list, dict, bytes, infinity              DataError
    2, 2.0 and "2" in a numeric category     the same category
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from data.features import MAX_CATEGORIES, FeatureSpec
from data.messages import did_you_mean, show, show_list
from data.values import (
    Converter,
    convert,
    data_row,
    factorise,
    is_boolean,
    is_missing,
    is_number,
    is_numeric_dtype,
    to_boolean,
    to_number,
    to_text,
)
from errors import BundleError, DataError

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1


@dataclass(frozen=True)
class Column:
    """How one column is encoded.

    Attributes:
        name: Column name.
        kind: numeric, boolean (both become the number) or categorical (becomes a code).
        categories: Canonical texts, in code order.
        labels: What the categories were in training: other types are matched through it.
    """

    name: str
    kind: Literal["numeric", "boolean", "categorical"]
    categories: tuple[str, ...] = ()
    labels: Literal["text", "number", "boolean"] = "text"

    @property
    def cardinality(self) -> int:
        """Number of category codes, 0 for a number."""
        return max(1, len(self.categories)) if self.kind == "categorical" else 0

    def converter(self) -> Converter:
        """The function from a raw value to its encoding."""
        if self.kind == "categorical":
            codes = {text: float(code) for code, text in enumerate(self.categories)}
            return partial(_to_code, codes, self.labels)
        return to_boolean if self.kind == "boolean" else to_number


def _to_code(codes: dict[str, float], labels: str, value: Any) -> float:
    if is_missing(value):
        return np.nan
    return codes.get(_canonical(value, labels), np.nan)


def _canonical(value: Any, labels: str) -> str:
    text = to_text(value)
    try:
        if labels == "boolean":
            return to_text(bool(to_boolean(value)))
        if labels == "number" and isinstance(value, str):
            return to_text(to_number(value))
    except ValueError:
        return text  # a category never seen, not a wrong type
    return text


@dataclass(frozen=True)
class Encoder:
    """Raw values to float32: numbers as they are, categories as codes 0..n-1, everything else as documented.

    Attributes:
        columns: The encoded columns, in table order.
    """

    columns: tuple[Column, ...]
    _converters: tuple[tuple[str, Converter], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        converters = tuple((column.name, column.converter()) for column in self.columns)
        object.__setattr__(self, "_converters", converters)

    @classmethod
    def fit(cls, frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> Encoder:
        """Learn the categories; give it training rows only.

        Raises: DataError: a categorical column holds a list, a dict or infinity.
        """
        kept = [spec for spec in specs if spec.kind != "ignore"]
        return cls(tuple(_fit_column(frame[spec.name], spec) for spec in kept))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The encoded columns, in table order."""
        return tuple(column.name for column in self.columns)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Per feature, the number of category codes; 0 marks a number, and true/false are numbers."""
        return tuple(column.cardinality for column in self.columns)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Categorical columns whose values were texts: reading a file, keep "01" a text there."""
        return tuple(c.name for c in self.columns if c.kind == "categorical" and c.labels == "text")

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Encode the rows of a frame.

        Shape: frame n_samples rows -> float32 (n_samples, n_features).
        Raises: DataError: a column is missing or twice there, or a value cannot be encoded; names column, row
            and value.
        """
        X = np.empty((len(frame), len(self.columns)), dtype=np.float32)
        for j, (name, converter) in enumerate(self._converters):
            if name not in frame.columns:
                raise DataError(self._absent(name, frame.columns, "the table"))
            series = frame[name]
            if series.ndim > 1:
                raise DataError(
                    f"column {name!r} is in the table {series.shape[1]} times; names must be unique"
                )
            X[:, j] = convert(series, converter, f"column {name!r}")
        return X

    def encode(self, record: Mapping[str, Any]) -> np.ndarray:
        """Encode one record, column by column as transform does.

        Shape: -> float32 (n_features,).
        Raises: DataError: a column is missing, or a value cannot be encoded; names column and value.
        """
        if not isinstance(record, Mapping):
            raise DataError(f"a record maps column names to values; got {show(record)}")
        try:
            values = [record[name] for name, _ in self._converters]
        except KeyError as missing:
            raise DataError(self._absent(missing.args[0], record, "the record")) from None
        return self._encode(values)

    def encode_values(self, values: Sequence[Any]) -> np.ndarray:
        """Encode the values of one row, given in the order of feature_names.

        Shape: values (n_features,) -> float32 (n_features,).
        Raises: DataError: their number is wrong, or a value cannot be encoded; names column and value.
        """
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise DataError(f"a row is a list of values; got {show(values)}")
        if len(values) != len(self.columns):
            names = show_list(self.feature_names, 100)
            raise DataError(f"got {len(values)} values, expected {len(self.columns)}: {names}")
        return self._encode(values)

    def _encode(self, values: Sequence[Any]) -> np.ndarray:
        row = np.empty(len(self._converters), dtype=np.float32)
        for j, ((name, converter), value) in enumerate(zip(self._converters, values, strict=True)):
            try:
                row[j] = converter(value)
            except ValueError as reason:
                raise DataError(f"column {name!r}: {show(value)} {reason}") from None
        return row

    def _absent(self, name: str, given: Iterable[Any], where: str) -> str:
        hint = did_you_mean(name, [str(other) for other in given if other not in self.feature_names])
        return (
            f"column {name!r} is missing from {where}{hint}; expected: {show_list(self.feature_names, 100)}"
        )

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON holds exactly; from_json makes an equal encoder of it."""
        return {"format": FORMAT, "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoder:
        """The encoder that to_json described.

        Raises: BundleError: the description is damaged or of another format.
        """
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise BundleError(
                f"encoder: unknown format in {show(content)}; this version reads format {FORMAT}"
            )
        try:
            columns = [Column(**c | {"categories": tuple(c["categories"])}) for c in content["columns"]]
        except (KeyError, TypeError) as error:
            raise BundleError(f"encoder: damaged description of the columns: {error!r}") from error
        return cls(tuple(columns))


def _fit_column(series: pd.Series, spec: FeatureSpec) -> Column:
    if spec.kind != "categorical":
        return Column(spec.name, spec.kind)
    codes, values = factorise(series, f"column {spec.name!r}")
    labels = _labels(values) if not is_numeric_dtype(series) else "number"
    counts: Counter[str] = Counter()
    n_rows = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
    for code, value in enumerate(values):
        try:
            counts[_canonical(value, labels)] += n_rows[code]
        except ValueError as reason:
            row = data_row(series, int(np.argmax(codes == code)))
            raise DataError(f"column {spec.name!r}, data row {row}: {show(value)} {reason}") from None
    order = float if labels == "number" else str
    frequent = sorted(counts, key=lambda text: (-counts[text], order(text)))[:MAX_CATEGORIES]
    return Column(spec.name, "categorical", tuple(sorted(frequent, key=order)), labels)


def _labels(values: Sequence[Any]) -> Literal["text", "number", "boolean"]:
    if values and all(is_boolean(value) for value in values):
        return "boolean"
    return "number" if values and all(is_number(value) for value in values) else "text"
