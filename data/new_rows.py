"""What in a table to be predicted is unlike the training rows: missing, categories never seen, out of range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from data.cell_format import read_dates, read_numbers
from data.columns import Column, canonical
from data.dates import show_dates
from data.encoder import Encoder
from data.messages import percent, show, show_number
from data.values import factorise

if TYPE_CHECKING:
    import pandas as pd

# Told: this share of the rows, or more.
UNSEEN_SHARE = 0.01
OUTSIDE_SHARE = 0.05
# Told: so many more rows miss a value than in training.
MORE_MISSING = 0.25
N_SHOWN = 3


def unlike_training(encoder: Encoder, frame: pd.DataFrame) -> list[str]:
    """One line for each column whose values training did not prepare the model for, with figures.

    Args:
        encoder: The model's.
        frame: The rows as they were read; they were encoded without an error.
    """
    notes = []
    for column in encoder.columns:
        series = frame[column.name]
        notes += _unseen(column, series) if column.kind == "categorical" else _outside(column, series)
    return notes


def contradicting(encoder: Encoder, frame: pd.DataFrame) -> list[str]:
    """One line for each column of which cells were taken for missing, as they contradict how it is written.

    Args:
        encoder: The model's.
        frame: Rows as they were read, encoded with unreadable="missing".
    """
    notes = []
    for column in encoder.columns:
        series = frame[column.name]
        if column.kind == "numeric" and column.numbers is not None:
            note = read_numbers(series, column.numbers, "missing")[1]
        elif column.kind == "datetime" and column.dates is not None:
            note = read_dates(series, column.dates, "missing")[1]
        else:
            continue
        notes += [f"column {show(column.name)}: {note}"] if note else []
    return notes


def _unseen(column: Column, series: pd.Series) -> Iterable[str]:
    codes, values = factorise(series, f"column {show(column.name)}")
    yield from _missing(column, codes < 0)
    known = set(column.categories)
    strange = [canonical(value, column.labels) not in known for value in values]
    rows = np.append(strange, False)[codes].astype(bool)
    share = rows.mean()
    if not rows.any() or share < UNSEEN_SHARE:
        return
    counts = np.bincount(codes[rows], minlength=len(values))
    most = [values[k] for k in np.argsort(-counts, kind="stable")[:N_SHOWN] if counts[k]]
    shown = ", ".join(f"{show(value)}{_alike(str(value), column.categories)}" for value in most)
    more = sum(strange) - len(most)
    yield (
        f"column {show(column.name)}: {rows.sum():,} of {len(series):,} rows ({percent(share)}) hold categories that "
        f"training never saw, which count as missing: {shown}{f' and {more} more' if more else ''}"
    )


def _alike(value: str, categories: Iterable[str]) -> str:
    """The category that is the same but for case and blanks."""
    same = [known for known in categories if known.strip().casefold() == value.strip().casefold()]
    return f" (training knows {show(same[0])})" if same else ""


def _outside(column: Column, series: pd.Series) -> Iterable[str]:
    numbers = column.raw(series, "missing")
    numbers = numbers if numbers.ndim == 1 else numbers[:, 0]
    yield from _missing(column, np.isnan(numbers))
    if column.low is None or column.high is None or column.kind == "boolean":
        return
    rows = (numbers < column.low) | (numbers > column.high)
    if not rows.any() or rows.mean() < OUTSIDE_SHARE:
        return
    yield (
        f"column {show(column.name)}: {rows.sum():,} of {len(series):,} rows ({percent(rows.mean())}) lie outside what "
        f"training saw, {_span(column, column.low, column.high)}; here {_span(column, *_ends(numbers))}"
    )


def _ends(numbers: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(numbers)), float(np.nanmax(numbers))


def _span(column: Column, low: float, high: float) -> str:
    if column.kind == "datetime":
        first, last = show_dates((low, high))
        return f"{first} to {last}"
    return f"{show_number(low)} to {show_number(high)}"


def _missing(column: Column, missing: np.ndarray) -> Iterable[str]:
    share = float(missing.mean())
    if column.missing_share is not None and share >= column.missing_share + MORE_MISSING:
        yield (
            f"column {show(column.name)}: {missing.sum():,} of {len(missing):,} rows ({percent(share)}) have no value, "
            f"in training {percent(column.missing_share)}"
        )
