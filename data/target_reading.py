"""Settles how the labels of a table are read: as text, as the numbers that their text means, or not at all."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import AskedProblemType
from data.cell_format import read_numbers
from data.columns import are_numbers_in_text
from data.date_recognition import recognise_dates
from data.dates import is_iso_date
from data.datetext import DateText
from data.format_examples import parse_example
from data.messages import show, show_list
from data.number_recognition import SAYING_MISSING, Numbers, recognise
from data.numbertext import NumberText
from data.target import SOME_INTEGERS, Target, is_absent
from data.values import MISSING_TEXT, data_row, factorise, is_date_dtype, is_number, is_numeric_dtype
from errors import DataError

# Words that people write for a missing label, and for a class: North America, not applicable.
MAYBE_CLASS = frozenset({"NA", "N/A", "n/a", "null", "NULL"})
MARKS = frozenset({"?", "-", "--", "."})
MIN_CLASS_SHARE = 0.05
N_ROWS_SHOWN = 5
# Whole numbers of so many values may be meant as classes or as numbers.
FEW_CLASSES, FEW_NUMBERS = 5, 3
FEW_VALUES = 50
CLASSES = ("binary", "multiclass", "classification")


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a table and what they pose.

    Attributes:
        target: How they are encoded.
        missing: Which rows have none, (n_samples,) bool.
        notes: What the user should know.
    """

    target: Target
    missing: np.ndarray
    notes: list[str]


def read_labels(
    series: pd.Series,
    asked: AskedProblemType | None = None,
    positive_class: str | None = None,
    example: str | None = None,
    untyped: bool = False,
) -> Labels:
    """Say what labels are, and which problem they pose.

    Args:
        series: The labels as they were read.
        asked: Overrides the inferred problem type.
        positive_class: Label of the positive class, as text.
        example: How they are written (`data.formats`).
        untyped: Whether the source holds text alone, in which 1 may be a number.

    Raises:
        ConfigError: the example says nothing, or two things.
        DataError: nothing can be learned from the labels, or they do not fit what was asked for.
    """
    where = f"target {show(str(series.name))}"
    given = parse_example(str(series.name), example) if example is not None else None
    if isinstance(given, DateText) or (asked not in CLASSES and example is None and _are_dates(series)):
        raise DataError(
            f"{where}: dates; a date is no target. Predict a number made of it (days until then), or ask for "
            "problem_type=classification, a class for every date"
        )
    if is_numeric_dtype(series) or getattr(series.dtype, "kind", "O") in "bM":
        return _typed(series, asked, positive_class)
    found = _numbers(series, where, asked) if example is None else Numbers(given)
    numbers = found.text
    as_text = example is not None and given is None
    if asked is None and given is not None:
        asked = "regression"  # whoever says how numbers are written means numbers
    if numbers is not None and asked not in CLASSES and not as_text:
        labels = _numeric(series, numbers, asked, positive_class, untyped)
        if labels is not None:
            parts = [part for part in found.note.split("; ") if " with " in part or " is taken for " in part]
            return replace(labels, notes=[*(f"{where}: {part}" for part in parts), *labels.notes])
    return _classes(series, where, asked, positive_class, untyped and not as_text)


def _are_dates(series: pd.Series) -> bool:
    if is_date_dtype(series):
        return True
    if is_numeric_dtype(series) or getattr(series.dtype, "kind", "O") == "b":
        return False
    _, values = factorise(series, f"target {show(str(series.name))}")
    if any(re.fullmatch(r"\d+", str(value).strip()) for value in values):
        found = recognise_dates(values, "").text
        return found is not None and found.forms == ("compact",)
    texts = [value for value in values if isinstance(value, str)]
    others = [value for value in values if not isinstance(value, str)]
    dates = len(values) > 2 and all(is_iso_date(value) for value in others)  # noqa: PLR2004 - two dates are two classes
    return dates and (not texts or recognise_dates(texts, "").text is not None)


def _typed(series: pd.Series, asked: AskedProblemType | None, positive_class: str | None) -> Labels:
    target = Target.infer(series, asked, positive_class)
    notes = [] if asked else _taken_for(target, series.dropna())
    return Labels(target, series.isna().to_numpy(dtype=bool), notes)


def _taken_for(target: Target, present: pd.Series) -> list[str]:
    """What few whole numbers were taken for, and how it is changed."""
    n_values = present.nunique()
    few = FEW_CLASSES if target.classes else FEW_NUMBERS
    if getattr(present.dtype, "kind", "O") == "b" or not few <= n_values <= FEW_VALUES:
        return []
    kind = "whole numbers" if (present == np.floor(present)).all() else "numbers"
    if kind == "numbers" and n_values > SOME_INTEGERS:
        return []
    whole = f"target {show(target.name)} holds {n_values} different {kind} and is taken for"
    if target.classes:
        return [f"{whole} as many classes; problem_type=regression predicts a number"]
    return [f"{whole} a number; problem_type=classification has a class for each"]


def _numbers(series: pd.Series, where: str, asked: AskedProblemType | None) -> Numbers:
    """How the labels are written where they are numbers, or nearly all are."""
    _, values = factorise(series, where)
    if not values or not any(isinstance(value, str) for value in values):
        return Numbers(None)
    found = recognise(values, asked == "regression")
    return Numbers(NumberText()) if found.text is None and asked == "regression" else found


def _numeric(
    series: pd.Series,
    numbers: NumberText,
    asked: AskedProblemType | None,
    positive_class: str | None,
    untyped: bool,
) -> Labels | None:
    """Labels that are numbers; None where so few of them are classes."""
    where = f"target {show(str(series.name))}"
    values, _ = read_numbers(series, numbers, "error", where)
    typed = pd.Series(values, index=series.index, name=series.name)
    if asked is None:
        present = typed.dropna()
        if present.nunique() <= SOME_INTEGERS and present.nunique() < _n_texts(series[~np.isnan(values)]):
            return None  # 1.1 and 1.10 are two versions
        if len(present) and present.nunique() <= SOME_INTEGERS and (present.nunique() == 2 or not untyped):  # noqa: PLR2004
            return None
        target = Target.infer(typed, None, None) if len(present) else None
        if target is None or target.classes:
            return None
    target = replace(Target.infer(typed, "regression", positive_class), numbers=numbers)
    notes = [*_said_missing(series, numbers, where), *([] if asked else _taken_for(target, typed.dropna()))]
    return Labels(target, np.isnan(values), notes)


def _n_texts(series: pd.Series) -> int:
    return series.astype("str").str.strip().nunique()


def _said_missing(series: pd.Series, numbers: NumberText, where: str) -> list[str]:
    texts = series.astype("str").str.strip()
    marks = set(texts.dropna().unique()) & {*MARKS, "None", "none", *numbers.words}
    rows = np.flatnonzero(texts.isin(marks).to_numpy(dtype=bool))
    if not len(rows):
        return []
    first = ", ".join(str(data_row(series, int(row))) for row in rows[:N_ROWS_SHOWN])
    first += ", ..." if len(rows) > N_ROWS_SHOWN else ""
    counted = f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'} (data row {first})"
    return [f"{where}: {show_list(sorted(marks))} is no number: {counted} left out"]


def _classes(
    series: pd.Series, where: str, asked: AskedProblemType | None, positive_class: str | None, untyped: bool
) -> Labels:
    """Labels as they are written; NA is one where other words are."""
    codes, values = factorise(series, where, is_absent)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    words = [isinstance(value, str) and value.strip() in MISSING_TEXT for value in values]
    words = _with_marks(values, words)
    kept, notes = _kept_words(series, values, counts, words)
    gone = np.array([*(word and not keep for word, keep in zip(words, kept, strict=True)), True], dtype=bool)
    missing = gone[codes]
    if missing.all():
        raise DataError(f"{where}: all {len(series):,} rows are missing; nothing to learn from")
    present = series[~missing]
    if untyped and are_numbers_in_text(
        [value for value, word in zip(values, words, strict=True) if not word]
    ):
        read = pd.to_numeric(present.astype("str").str.strip())
        target = Target.infer(read, asked, positive_class)
        notes += [] if asked else _taken_for(target, read)
        return Labels(target, missing, notes)
    target = Target.infer(present.astype(object), asked, positive_class, every_text=True)
    return Labels(target, missing, notes)


def _with_marks(values: list[Any], words: list[bool]) -> list[bool]:
    """Words for missing labels, "?" and "unknown" among them where all other labels are numbers."""
    marks = [
        isinstance(value, str) and (value.strip() in MARKS or value.strip().casefold() in SAYING_MISSING)
        for value in values
    ]
    others = [value for value, word, mark in zip(values, words, marks, strict=True) if not word and not mark]
    plain = len(others) > 1 and all(isinstance(value, str) or is_number(value) for value in others)
    if not any(marks) or not plain or not are_numbers_in_text(others):
        return words
    return [word or mark for word, mark in zip(words, marks, strict=True)]


def _kept_words(
    series: pd.Series, values: list[Any], counts: np.ndarray, words: list[bool]
) -> tuple[list[bool], list[str]]:
    """Which of the words for missing labels are classes, and what is said of them."""
    others = [count for count, word in zip(counts, words, strict=True) if not word]
    are_words = any(
        isinstance(value, str) and not word and not re.match(r"\s*[+-]?\d", value)
        for value, word in zip(values, words, strict=True)
    )
    kept, notes = [], []
    for value, count, word in zip(values, counts.tolist(), words, strict=True):
        often = bool(others) and (count >= min(others) or count >= MIN_CLASS_SHARE * len(series))
        keep = word and are_words and often and value.strip() in MAYBE_CLASS
        kept.append(keep)
        if keep:
            notes.append(
                f"{show(value)} is a class of {show(str(series.name))} ({count:,} rows), as other words are"
            )
        elif word:
            notes.append(f"{count:,} rows hold {show(value)} as {show(str(series.name))}, read as missing")
    return kept, notes
