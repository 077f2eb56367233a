"""What to beware of in a table: repeated rows and columns, and a test file that does not fit."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from data.encoder import Encoder
from data.features import FeatureSpec
from data.messages import ignore, percent, show, show_list
from data.target import Target
from data.values import factorise, is_numeric_dtype, to_text
from errors import DataError

# Fewer rows show no leak and no drift.
MIN_ROWS = 50
# Fewer repeated rows flatter no score.
REPEATED_SHARE = 0.005
# Rows with equal features and different targets are told of when they are more than noise.
CONFLICT_SHARE = 0.01
# More groups of columns that are alike are told of in one line.
MOST_GROUPS = 3
# The code of what keeps a model out of production.
LEAK = "leak"


@dataclass(frozen=True)
class Finding:
    """One thing to beware of.

    Attributes:
        code: Stable name of what was found.
        message: What, where, and what to do about it, in one line.
        columns: The columns concerned.
    """

    code: str
    message: str
    columns: tuple[str, ...] = ()


@dataclass
class Allowance:
    """The time that looking may take, and what was left out for it.

    Attributes:
        end: time.monotonic() at which what can be left out is; infinite: never.
        left_out: What was, in words.
    """

    end: float = math.inf
    left_out: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() > self.end

    def leave_out(self, what: str) -> None:
        """Note what is not looked at."""
        self.left_out.append(what)


@dataclass(frozen=True, eq=False)
class Table:
    """What the checks look at.

    Attributes:
        frame: The rows that have a label.
        kept: Columns that would be learned from.
        target: None where no target was named.
        y: Class codes or values, (n_samples,); empty without a target.
    """

    frame: pd.DataFrame
    kept: tuple[FeatureSpec, ...]
    target: Target | None
    y: np.ndarray

    @cached_property
    def hashes(self) -> dict[str, np.ndarray]:
        """Hash of every cell, (n_samples,) per column that would be learned from."""
        return {spec.name: _hash(self.frame[spec.name], spec.kind) for spec in self.kept}

    @property
    def names(self) -> list[str]:
        """Columns that would be learned from."""
        return [spec.name for spec in self.kept]


def as_numbers(series: pd.Series) -> np.ndarray:
    """The numbers of a column, also plain ones among texts; NaN for anything else.

    Shape: (n_samples,) -> float64 (n_samples,).
    """
    if is_numeric_dtype(series) or getattr(series.dtype, "kind", "O") == "b":
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, values = factorise(series, _where(series))
    numbers = pd.to_numeric(pd.Series([str(value) for value in values], dtype="str"), errors="coerce")
    return np.append(numbers.to_numpy(np.float64), np.nan)[codes]


def as_dates(series: pd.Series) -> pd.Series | None:
    """The dates of a column; None where it holds something else."""
    return series.dt.tz_localize(None) if getattr(series.dtype, "kind", "O") == "M" else None


def find_repeats(table: Table) -> Iterable[Finding]:
    """Rows that are there twice, and rows with equal features and different targets."""
    if not table.kept:
        return
    features, n_rows = _row_hashes(table.hashes.values()), len(table.frame)
    label = pd.util.hash_array(table.y) if table.target else np.zeros(n_rows, dtype=np.uint64)
    both = _row_hashes([features, label])
    copied = pd.Series(both).duplicated().to_numpy()
    n_repeated = int(copied.sum())
    if n_repeated > REPEATED_SHARE * n_rows:
        yield Finding(
            "duplicate_rows",
            f"{n_repeated:,} of {n_rows:,} rows ({percent(n_repeated / n_rows)}) repeat another row in every column "
            "learned from: if these are copies, and not alike by chance, the same row trains and is scored, which "
            "flatters scores; drop them then",
        )
    if table.target is None:
        return
    group, groups = pd.factorize(features)
    if len(groups) == n_rows - n_repeated:
        return
    n_conflicting = int((np.bincount(group[~copied]) > 1)[group].sum())
    if n_conflicting > CONFLICT_SHARE * n_rows:
        yield Finding(
            "conflicting_rows",
            f"{n_conflicting:,} of {n_rows:,} rows ({percent(n_conflicting / n_rows)}) equal another row in every "
            f"column but {table.target.name!r}: no model can tell them apart; a column may be missing or rounded",
        )


def find_identical(table: Table) -> Iterable[Finding]:
    """Columns with the same value in every row."""
    groups: dict[bytes, list[str]] = {}
    for name, hashes in table.hashes.items():
        groups.setdefault(hashes.tobytes(), []).append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if len(alike) > MOST_GROUPS:
        spare = [name for names in alike for name in names[1:]]
        examples = "; ".join(show_list(names, 3) for names in alike[:MOST_GROUPS])
        yield Finding(
            "identical_columns",
            f"{len(alike):,} groups of columns hold the same values, such as {examples}: leave all but one of each out "
            f"with {ignore(spare)}",
            tuple(spare),
        )
        return
    for names in alike:
        yield Finding(
            "identical_columns",
            f"columns {show_list(names)} hold the same values: leave all but one out with "
            f"{ignore(names[1:])}",
            tuple(names),
        )


def find_in_test(table: Table, test: pd.DataFrame, raw: pd.DataFrame) -> Iterable[Finding]:
    """Columns, values and rows of the test file that do not fit the training rows.

    Args:
        table: The training rows.
        test: The test file with numbers and dates as the training table's formats read them.
        raw: The same as it was read.
    """
    yield from _compare_columns(table, test)
    shared = [spec for spec in table.kept if spec.name in test.columns]
    unseen = {}
    for spec in shared:
        train_column, test_column = table.frame[[spec.name]], raw[[spec.name]]
        try:
            Encoder.fit(train_column, [spec]).transform(test_column)
        except DataError as error:
            message = f"{error} in the test file, but it is {spec.kind} in training: correct one of the files"
            yield Finding("test_values", message, (spec.name,))
        if spec.kind == "categorical":
            values, n_rows = _new_values(table.frame[spec.name], test[spec.name])
            if values:
                unseen[spec.name] = (
                    f"{show(spec.name)} {len(values)} ({show_list(values, 3)}; {n_rows:,} rows)"
                )
    if unseen:
        yield Finding(
            "new_categories",
            "categories of the test file that training never saw, which count as missing: "
            + ", ".join(unseen.values()),
            tuple(unseen),
        )
    yield from _compare_classes(table, test)
    if shared:
        known = _row_hashes(table.hashes[spec.name] for spec in shared)
        found = _row_hashes(_hash(test[spec.name], spec.kind) for spec in shared)
        n_shared = int(np.isin(found, known).sum())
        if n_shared:
            yield Finding(
                "shared_rows",
                f"{n_shared:,} of {len(test):,} test rows ({percent(n_shared / len(test))}) are also in training, in "
                "every column learned from, which flatters the test score; drop them from one of the files",
            )


def _compare_columns(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    absent = [name for name in table.names if name not in test.columns]
    if absent:
        yield Finding(
            "missing_test_columns",
            f"columns that the test file lacks: {show_list(absent)}; add them there, or train without them, "
            f"{ignore(absent)}",
            tuple(absent),
        )
    extra = [name for name in test.columns if name not in table.frame.columns]
    if extra:
        yield Finding(
            "extra_test_columns",
            f"columns of the test file that training lacks, which are passed over: {show_list(extra)}",
            tuple(extra),
        )


def _compare_classes(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    if table.target is None:
        return
    name = table.target.name
    if name not in test.columns:
        yield Finding(
            "unlabelled_test",
            f"the test file has no {name!r}: it can be predicted (tabularay predict), but not be scored "
            "(data.test_source)",
            (name,),
        )
    elif table.target.classes:
        values, n_rows = _new_values(table.frame[name], test[name])
        if values:
            yield Finding(
                "new_classes",
                f"classes of the test file that training never saw: {show_list(values)} ({n_rows:,} rows); leave these "
                "rows out, or train on such rows too",
                (name,),
            )


def _new_values(train: pd.Series, test: pd.Series) -> tuple[list[Any], int]:
    """Values of the test file that training never saw, and how many rows have one."""
    known = {to_text(value) for value in factorise(train, _where(train))[1]}
    codes, values = factorise(test, _where(test))
    new = [to_text(value) not in known for value in values]
    n_rows = int(np.array([*new, False], dtype=bool)[codes].sum())
    return [value for value, is_new in zip(values, new, strict=True) if is_new], n_rows


def _row_hashes(hashes: Iterable[np.ndarray]) -> np.ndarray:
    """One hash per row of the hashes of its cells."""
    total = np.uint64(0)
    for column in hashes:
        total = total * np.uint64(1_000_003) + column
    return total


def _hash(series: pd.Series, kind: str) -> np.ndarray:
    """One hash per cell, the same in two files; of numbers also for 2, 2.0 and "2", of dates for their ISO texts."""
    dates = as_dates(series)
    if dates is not None:
        return pd.util.hash_array(dates.to_numpy("M8[us]").view(np.int64))
    if is_numeric_dtype(series):
        return pd.util.hash_array(as_numbers(series) + 0.0)  # -0.0 is 0.0
    codes, values = factorise(series, _where(series))
    hashes = pd.util.hash_array(np.array([to_text(value) for value in values], dtype=object))
    if kind == "datetime":
        dates = pd.to_datetime(pd.Series(values, dtype=object), errors="coerce", format="ISO8601", utc=True)
        moments = dates.dt.tz_localize(None).to_numpy("M8[us]").view(np.int64)
        hashes = np.where(dates.isna(), hashes, pd.util.hash_array(moments))
    if kind == "numeric":
        numbers = as_numbers(pd.Series(values, dtype=object))
        hashes = np.where(np.isnan(numbers), hashes, pd.util.hash_array(numbers + 0.0))
    return np.append(hashes, pd.util.hash_array(np.array([np.nan])))[codes]


def _where(series: pd.Series) -> str:
    return f"column {str(series.name)!r}"
