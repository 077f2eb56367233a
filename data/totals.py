"""A last row that sums up those above it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

# First words of such a row.
TOTALS = frozenset(
    [
        "total",
        "totals",
        "subtotal",
        "sum",
        "gesamt",
        "summe",
        "gesamtsumme",
        "somme",
        "suma",
        "totale",
        "totaal",
        "summa",
        "razem",
        "итого",
        "всего",
        "합계",
        "총계",
        "소계",
        "총합",
        "合計",
        "総計",
        "合计",
        "总计",
        "小计",
    ]
) | {"grand total"}
# Sums are rounded as they are written.
CLOSE = 1e-3


def says_total(frame: pd.DataFrame, is_whole: bool = True) -> tuple[bool, list[str]]:
    """Whether the last row is a total of those above it, and its cells where it says so of itself.

    It is one where each of its numbers is the sum of its column, or the mean, or where it has no number but one that
    nothing contradicts: the column is empty above, or not all of the rows are there to be added up.

    Args:
        frame: The last rows of a table, three at least, as they were read.
        is_whole: Whether these are all rows.

    Returns: whether it is a total; and the row's cells, none where it does not call itself one.
    """
    last = [None if pd.isna(cell) else cell for cell in frame.iloc[-1].tolist()]
    label = next((j for j, cell in enumerate(last) if cell is not None), None)
    if label is None or not is_total_word(last[label]):
        return False, []
    cells = ["" if cell is None else str(cell) for cell in last]
    above = frame.iloc[:-1]
    if is_total_word(above.iloc[:, label].iloc[0]):
        return False, []  # a column of such words
    sums = [
        _is_sum(cell, above.iloc[:, j])
        for j, cell in enumerate(last)
        if cell is not None and j != label and _number(cell) is not None
    ]
    if is_whole and sums:
        return all(sums), cells
    n_missing = int(above.isna().sum(axis=1).max())
    return last.count(None) > n_missing or _are_numbers(above.iloc[:, label]), cells


def is_total_word(cell: Any) -> bool:
    """Whether a cell says that a total follows."""
    return isinstance(cell, str) and cell.strip().rstrip(":").casefold() in TOTALS


def _is_sum(cell: Any, above: pd.Series) -> bool:
    numbers = [number for number in map(_number, above.dropna()) if number is not None]
    if not numbers:
        return True
    value, total = _number(cell), float(np.sum(numbers))
    near = [abs(value - one) <= CLOSE * max(abs(one), 1e-9) for one in (total, total / len(numbers))]
    return any(near)


def _are_numbers(series: pd.Series) -> bool:
    present = series.dropna().tolist()
    return bool(present) and all(_number(cell) is not None for cell in present)


def _number(cell: Any) -> float | None:
    """A number however it is written; which mark is decimal does not matter where sums are compared with sums."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        return float(cell)
    text = re.sub(r"[\s$€£¥₩%'\u00a0\u202f]", "", str(cell))
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+|-?\d+,\d+", text):
        text = text.replace(".", "").replace(",", ".")
    return float(text) if re.fullmatch(r"-?\d+(\.\d+)?|-?\.\d+", text) else None
