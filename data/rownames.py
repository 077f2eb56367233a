"""A column that only counts the rows: what pandas makes of an index that was saved twice."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

SAVED = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__|index_level_\d+")


def drop_row_numbers(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The table without such columns; `notes` gains what was left out."""
    counting = [name for name in frame.columns if SAVED.fullmatch(str(name)) and _counts(frame[name])]
    if not counting or len(counting) == frame.shape[1]:
        return frame
    notes += [f"column {name!r} only counts the rows and is left out" for name in counting]
    return frame.drop(columns=counting)


def _counts(column: pd.Series) -> bool:
    """Whether it is 0, 1, 2, ... or 1, 2, 3, ..."""
    numbers = pd.to_numeric(column, errors="coerce") if column.dtype in ("str", object) else column
    if numbers.dtype.kind not in "iuf" or not len(numbers) or numbers.iloc[0] not in (0, 1):
        return False
    return bool((np.diff(numbers.to_numpy(float)) == 1).all())
