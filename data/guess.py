"""What the text of a delimited file was taken for before formats were settled: numbers, true and false."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from data.values import MISSING_TEXT

BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def guess_types(frame: pd.DataFrame, text_columns: Collection[str]) -> pd.DataFrame:
    """The table with numbers for text that reads as such, in every column but `text_columns`."""
    columns = {name: _guess(frame[name], name in text_columns) for name in frame.columns}
    guessed = pd.DataFrame(columns, index=frame.index)
    guessed.attrs = frame.attrs
    return guessed


def _guess(column: pd.Series, is_text: bool) -> pd.Series:
    column = column.mask(column.isin(MISSING_TEXT))
    present = column.dropna()
    if is_text:
        return column
    if len(present) and present.isin(BOOLEANS).all():
        return column.map(BOOLEANS) if len(present) < len(column) else column.map(BOOLEANS).astype(bool)
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column
