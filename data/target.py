"""The column to predict: which problem it poses, and how its labels become codes and back."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.cell_format import read_numbers
from data.messages import show, show_list
from data.numbertext import NumberText
from data.values import (
    Converter,
    convert,
    data_row,
    factorise,
    is_missing,
    is_number,
    is_numeric_dtype,
    number_name,
    to_number,
    to_plain,
    to_text,
)
from data.versions import format_problem, stamp
from errors import BundleError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import AskedProblemType, ProblemType

Label = bool | int | float | str

FORMAT = 2
# Of 0.1.0: without how numbers are written.
FORMATS = (1, FORMAT)
MAX_CLASSES = 1_000
# Whole numbers are classes when at most FEW are different, or SOME that are a small share of the rows.
FEW_INTEGERS = 10
SOME_INTEGERS = 20
SMALL_SHARE = 0.05


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes:
        name: Column name.
        problem_type: binary, multiclass or regression.
        classes: Original labels in code order, as Python values; empty for regression. Binary: the positive
            class is the last.
        positive: The positive class (binary), else None.
        numbers: Regression: how values are written where they are texts; None: as Python writes them.
    """

    name: str
    problem_type: ProblemType
    classes: tuple[Label, ...] = ()
    positive: Label | None = None
    numbers: NumberText | None = None

    @classmethod
    def infer(
        cls,
        series: pd.Series,
        asked: AskedProblemType | None = None,
        positive_class: str | None = None,
        every_text: bool = False,
    ) -> Target:
        """Say which problem the labels pose, taken as they are; data.target_reading says how texts are read.

        Args:
            series: The labels; missing ones are passed over.
            asked: Overrides the inferred problem type.
            positive_class: Label of the positive class, as text (binary; default: the last in order).
            every_text: Whether texts such as NA are labels, too.

        Raises: DataError: nothing can be learned from the labels, or they do not fit what was asked for.
        """
        name = str(series.name)
        where = f"target {show(name)}"
        many = is_numeric_dtype(series) and series.nunique() > SOME_INTEGERS
        if asked == "regression" or (asked is None and many):
            return cls._regression(series, where, positive_class)
        labels, counts = _distinct(series, where, is_absent if every_text else is_missing)
        _check_learnable(where, labels, len(series))
        if asked == "classification":
            problem_type: ProblemType = "binary" if len(labels) == 2 else "multiclass"  # noqa: PLR2004
        else:
            problem_type = asked or _infer_problem_type(labels, counts)
        if problem_type == "regression":
            return cls._regression(series, where, positive_class)
        _check_classes(where, labels, counts, problem_type)
        classes = _order(labels)
        if positive_class is not None:
            classes = _move_last(where, classes, positive_class, problem_type)
        return cls(name, problem_type, classes, classes[-1] if problem_type == "binary" else None)

    @classmethod
    def _regression(cls, series: pd.Series, where: str, positive_class: str | None) -> Target:
        values = convert(series, to_number, where)
        _check_learnable(where, np.unique(values[~np.isnan(values)]).tolist(), len(series))
        if positive_class is not None:
            raise DataError(f"data.positive_class: {positive_class!r} given, but {where} is a regression")
        return cls(str(series.name), "regression")

    @property
    def n_outputs(self) -> int:
        """Number of classes, 1 for regression."""
        return len(self.classes) or 1

    def encode(self, series: pd.Series) -> np.ndarray:
        """Labels as int64 codes into `classes`, or as float64 values.

        Shape: (n_samples,) -> (n_samples,).
        Raises: DataError: a label is missing, is not among the classes, or is not a number.
        """
        y = self._read(series)
        missing = np.isnan(y)
        if missing.any():
            row = data_row(series, int(np.argmax(missing)))
            where = f"target {show(self.name)}"
            raise DataError(f"{where}: {missing.sum():,} rows have no value, the first is data row {row}")
        return y if self.problem_type == "regression" else y.astype(np.int64)

    def missing(self, series: pd.Series) -> np.ndarray:
        """Which rows have no label; a class that is called NA is one.

        Shape: (n_samples,) -> bool (n_samples,).
        Raises: DataError: a label is not among the classes, or is not a number.
        """
        return np.isnan(self._read(series))

    def _read(self, series: pd.Series) -> np.ndarray:
        where = f"target {show(self.name)}"
        if self.problem_type != "regression":
            return convert(series, self._to_class(), where, absent=is_absent)
        if self.numbers is None:
            return convert(series, to_number, where)
        return read_numbers(series, self.numbers, "error", where)[0]

    def _to_class(self) -> Converter:
        codes = {to_text(label): float(code) for code, label in enumerate(self.classes)}
        loose = _loose_codes(codes)

        def to_class(value: Any) -> float:
            text = to_text(value)
            code = codes.get(text)
            if code is None and is_missing(value):
                return math.nan
            if code is None and not (isinstance(value, str) and self._are_texts):
                code = loose.get(_loose(text))
            if code is None:
                raise ValueError(f"is not among the classes of the training rows: {show_list(self.classes)}")
            return code

        return to_class

    @property
    def _are_texts(self) -> bool:
        return all(isinstance(label, str) for label in self.classes)

    def decode(self, codes: Iterable[int] | np.ndarray) -> list[Label]:
        """Original labels of class codes; regression values come back as floats."""
        values = np.asarray(codes).tolist()
        return [self.classes[int(code)] for code in values] if self.classes else [float(v) for v in values]

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON holds exactly; from_json makes an equal target of it."""
        return {**stamp(FORMAT), **asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Target:
        """The target that to_json described.

        Raises: BundleError: the description is damaged or of another format.
        """
        problem = format_problem(content, FORMATS)
        if problem:
            raise BundleError(f"target: {problem}")
        try:
            values = {key: value for key, value in content.items() if key not in ("format", "needs")}
            numbers = NumberText.from_json(values.get("numbers"))
            return cls(**values | {"classes": tuple(values["classes"]), "numbers": numbers})
        except (KeyError, TypeError) as error:
            raise BundleError(f"target: damaged description: {error!r}") from error


def is_absent(value: Any) -> bool:
    """Whether a label is no text and no number at all; "NA" may be a class."""
    return is_missing(value) and not (isinstance(value, str) and value.strip())


def _loose_codes(codes: Mapping[str, float]) -> dict[str, float]:
    """Codes by what a class is called elsewhere, true for "True" and 1 for "1.0", where that is one class."""
    names = [_loose(text) for text in codes]
    return {name: code for name, code in zip(names, codes.values(), strict=True) if names.count(name) == 1}


def _loose(text: str) -> str:
    try:
        return number_name(text)
    except ValueError:
        return text.strip().casefold()


def _distinct(series: pd.Series, where: str, absent: Callable[[Any], bool]) -> tuple[list[Label], list[int]]:
    """Distinct labels as Python values, and how many rows have each.

    Floats become ints where all are whole: missing labels make floats of ints.
    """
    if is_numeric_dtype(series):
        convert(series, to_number, where)  # refuses infinity
    codes, values = factorise(series, where, absent)
    n_rows = np.bincount(codes[codes >= 0], minlength=len(values)).tolist()
    whole = all(value.is_integer() for value in values if isinstance(value, float))
    labels: dict[str, Label] = {}
    counts: dict[str, int] = {}
    for value, count in zip(values, n_rows, strict=True):
        label, text = _label(value, where, whole)
        if type(labels.setdefault(text, label)) is not type(label):
            raise DataError(
                f"{where}: {show(labels[text])} and {show(label)} read the same; make them one type"
            )
        counts[text] = counts.get(text, 0) + count
    return list(labels.values()), list(counts.values())


def _label(value: Any, where: str, whole: bool) -> tuple[Label, str]:
    try:
        text = to_text(value)
    except ValueError as reason:
        raise DataError(f"{where}: {show(value)} {reason}") from None
    label = value if isinstance(value, str) else to_plain(value)
    return (int(label) if whole and isinstance(label, float) else label), text


def _check_learnable(where: str, labels: list[Label], n_rows: int) -> None:
    if not labels:
        raise DataError(f"{where}: all {n_rows:,} rows are missing; nothing to learn from")
    if len(labels) == 1:
        raise DataError(f"{where}: constant, every row is {show(labels[0])}; nothing to learn")


def _infer_problem_type(labels: list[Label], counts: list[int]) -> ProblemType:
    if len(labels) == 2:  # noqa: PLR2004 - what binary means
        return "binary"
    if not all(is_number(label) for label in labels):
        return "multiclass"
    if not all(isinstance(label, numbers.Integral) for label in labels):
        return "regression"
    few = len(labels) <= FEW_INTEGERS
    some = len(labels) <= SOME_INTEGERS and len(labels) <= SMALL_SHARE * sum(counts)
    return "multiclass" if few or some else "regression"


def _check_classes(where: str, labels: list[Label], counts: list[int], problem_type: ProblemType) -> None:
    if problem_type == "binary" and len(labels) != 2:  # noqa: PLR2004 - what binary means
        raise DataError(
            f"{where}: binary asked for, but there are {len(labels):,} classes: {show_list(labels)}"
        )
    if max(counts) == 1:
        raise DataError(
            f"{where}: every one of the {len(labels):,} classes has a single row ({show_list(labels, 3)}); "
            "a class needs two rows or more. Is it an id, or a number (problem_type=regression)?"
        )
    if len(labels) > MAX_CLASSES:
        raise DataError(
            f"{where}: {len(labels):,} classes in {sum(counts):,} rows ({show_list(labels, 3)}); allowed: "
            f"{MAX_CLASSES:,}. Is it free text, or a number (problem_type=regression)?"
        )


def _order(labels: list[Label]) -> tuple[Label, ...]:
    return tuple(sorted(labels, key=lambda v: (isinstance(v, str), "" if isinstance(v, str) else v, str(v))))


def _move_last(
    where: str, classes: tuple[Label, ...], positive_class: str, problem_type: ProblemType
) -> tuple[Label, ...]:
    if problem_type != "binary":
        raise DataError(
            f"data.positive_class: {positive_class!r} given, but {where} is {problem_type}, "
            f"with {len(classes)} classes; it is for binary problems"
        )
    for label in classes:
        if str(label) == positive_class:
            return (*(other for other in classes if str(other) != positive_class), label)
    raise DataError(
        f"data.positive_class: {positive_class!r} is not a class of {where}; classes: {show_list(classes)}"
    )
