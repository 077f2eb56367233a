"""A column that only counts the rows: what pandas makes of an index that was saved twice."""

from __future__ import annotations

import re
from collections.abc import Collection

import numpy as np
import pandas as pd
import pyarrow as pa

SAVED = re.compile(r"Unnamed: \d+(\.\d+)*|__index_level_\d+__|index_level_\d+")


class CellTexts:
    """Cells as they were written: names of rows that were left out, and decimals, which floats would round."""

    def __init__(self, cells: pa.ChunkedArray) -> None:
        self._cells = cells

    def column(self) -> pd.Series:
        """The cells as a column of texts."""
        return self._cells.to_pandas()


def with_row_names(frame: pd.DataFrame, wanted: Collection[str]) -> pd.DataFrame:
    """The table with the names of its rows, for a model of 0.1.0 that learned from them."""
    names = frame.attrs.get("row_names")
    if (
        names is None
        or "index" not in wanted
        or "index" in frame.columns
        or len(names.column()) != len(frame)
    ):
        return frame
    return frame.assign(index=names.column())


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
