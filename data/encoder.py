"""The Encoder: the only thing that knows raw values, at training and at serving.

What becomes of a cell, in a frame and in a record alike:

    missing (None, NaN, "", "NA")            NaN, or what data.missing asks for
    category never seen in training          NaN: it is a value, so it is never filled
    column the encoder does not know         ignored
    column the encoder knows, not given      DataError naming the column
    text in a numeric column                 the number it reads as, or DataError naming column and value
    true or false in a numeric column        DataError
    date                                     its days since 1970 and the parts that differ between training rows
    what is no date in a column of dates     DataError
    list, dict, bytes, infinity              DataError
    number beyond what float32 then holds    DataError
    2, 2.0 and "2" in a numeric category     the same category
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from data.cell_format import Unreadable
from data.columns import Column, fit_column
from data.features import FeatureSpec
from data.given import check_frame
from data.messages import did_you_mean, show, show_list
from data.values import Converter
from data.versions import format_problem, stamp
from errors import BundleError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import MissingPolicy

FORMAT = 3
# Of 0.1.0: without the formats of dates, thousands, centres and scales.
FORMATS = (2, FORMAT)


@dataclass(frozen=True)
class Encoder:
    """Raw values to float32: numbers as they are, categories as codes 0..n-1, everything else as documented.

    Numbers that float32 would not tell apart are moved and scaled in float64 first, see data/precision.py. One
    column becomes one feature, a date several: `columns` and `column_names` are raw, `feature_names` and
    `cardinalities` describe the encoded row.

    Attributes:
        columns: The encoded columns, in table order.
        column_names: Their names: what a record or a frame must have.
    """

    columns: tuple[Column, ...]
    column_names: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _readers: tuple[Converter, ...] = field(init=False, repr=False, compare=False)
    _has_dates: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "column_names", tuple(column.name for column in self.columns))
        object.__setattr__(self, "_readers", tuple(column.reader() for column in self.columns))
        object.__setattr__(self, "_has_dates", any(column.kind == "datetime" for column in self.columns))

    @classmethod
    def fit(
        cls, frame: pd.DataFrame, specs: Iterable[FeatureSpec], missing: MissingPolicy = "native"
    ) -> Encoder:
        """Learn categories, parts of dates, and what fills missing values; give it training rows only.

        Raises: DataError: a value does not fit its column's kind; names column, row and value.
        """
        kept = [spec for spec in specs if spec.kind != "ignore"]
        return cls(tuple(fit_column(frame[spec.name], spec, missing) for spec in kept))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """What an encoded row holds; a date is `days(name)`, `month(name)` and so on."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Per feature, the number of category codes; 0 marks a number, and true/false are numbers."""
        return tuple(column.cardinality for column in self.columns for _ in column.feature_names)

    def transform(self, frame: pd.DataFrame, unreadable: Unreadable = "error") -> np.ndarray:
        """Encode the rows of a frame.

        Args:
            frame: Rows as read, or with numbers and dates by dtype.
            unreadable: What becomes of a cell that contradicts its column's format: an error, or missing.

        Shape: frame n_samples rows -> float32 (n_samples, n_features).
        Raises: DataError: a column is missing or twice there, or a value cannot be encoded; names column, row
            and value.
        """
        check_frame(frame)
        # Filled feature by feature, turned over at the end: three times as fast as writing across rows.
        X = np.empty((len(self.feature_names), len(frame)), dtype=np.float32)
        end = 0
        for column in self.columns:
            start, end = end, end + len(column.feature_names)
            X[start:end] = column.encode(self._series(frame, column.name), unreadable).T
        return np.ascontiguousarray(X.T)

    def missing_rows(self, frame: pd.DataFrame) -> np.ndarray:
        """Which rows miss a value in a column that is encoded.

        Shape: frame n_samples rows -> bool (n_samples,).
        Raises: DataError: as transform.
        """
        missing = np.zeros(len(frame), dtype=bool)
        for column in self.columns:
            missing |= column.missing(self._series(frame, column.name))
        return missing

    def _series(self, frame: pd.DataFrame, name: str) -> pd.Series:
        if name not in frame.columns:
            raise DataError(self._absent(name, frame.columns, "the table"))
        series = frame[name]
        if series.ndim > 1:
            raise DataError(
                f"column {show(name)} is in the table {series.shape[1]} times; names must be unique"
            )
        return series

    def encode(self, record: Mapping[str, Any]) -> np.ndarray:
        """Encode one record, column by column as transform does.

        Shape: -> float32 (n_features,).
        Raises: DataError: a column is missing, or a value cannot be encoded; names column and value.
        """
        if not isinstance(record, Mapping):
            raise DataError(f"a record maps column names to values; got {show(record)}")
        try:
            values = [record[name] for name in self.column_names]
        except KeyError as missing:
            raise DataError(self._absent(missing.args[0], record, "the record")) from None
        return self._encode(values)

    def encode_values(self, values: Sequence[Any]) -> np.ndarray:
        """Encode the values of one row, given in the order of column_names.

        Shape: values (n_columns,) -> float32 (n_features,).
        Raises: DataError: their number is wrong, or a value cannot be encoded; names column and value.
        """
        if isinstance(values, (str, bytes, Mapping, set, frozenset)) or not hasattr(values, "__len__"):
            raise DataError(f"a row is a list of values; got {show(values)}")
        if len(values) != len(self.columns):
            names = show_list(self.column_names, 100)
            raise DataError(f"got {len(values)} values, expected {len(self.columns)}: {names}")
        return self._encode(values)

    def _encode(self, values: Sequence[Any]) -> np.ndarray:
        row: list[Any] = []
        try:
            for read, value in zip(self._readers, values, strict=True):
                row.append(read(value))  # its length says which value was refused
        except ValueError as reason:
            place = len(row)
            name, value = self.columns[place].name, values[place]
            raise DataError(f"column {show(name)}: {show(value)} {reason}") from None
        if self._has_dates:
            row = [n for part in row for n in (part if type(part) is tuple else (part,))]
        return np.array(row, dtype=np.float32)

    def _absent(self, name: str, given: Iterable[Any], where: str) -> str:
        hint = did_you_mean(name, [str(other) for other in given if other not in self.column_names])
        return f"column {show(name)} is missing from {where}{hint}; expected: {show_list(self.column_names, 100)}"

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON holds exactly; from_json makes an equal encoder of it."""
        return {**stamp(FORMAT), "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Encoder:
        """The encoder that to_json described.

        Raises: BundleError: the description is damaged or of another format.
        """
        problem = format_problem(content, FORMATS)
        if problem:
            raise BundleError(f"encoder: {problem}")
        try:
            columns = [Column.from_json(column) for column in content["columns"]]
        except (KeyError, TypeError) as error:
            raise BundleError(f"encoder: damaged description of the columns: {error!r}") from error
        return cls(tuple(columns))
