"""Columns of typed cells in which no whole number loses a digit."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pandas as pd

# From here on, floats leave out whole numbers.
EXACT = 2**53


def exact_series(values: Sequence[Any]) -> pd.Series:
    """Cells as pandas would have them, but whole numbers that floats would round stay Python's."""
    kinds = {type(value) for value in values}
    if int in kinds and kinds & {float, type(None)}:
        large = any(type(value) is int and abs(value) >= EXACT for value in values)
        if large:
            return pd.Series(list(values), dtype=object)
    return pd.Series(list(values))


def decimal_series(values: Sequence[Decimal | None]) -> pd.Series:
    """Decimals as whole numbers where all of them are written so, else as floats."""
    present = [value for value in values if value is not None]
    if all(value.is_finite() and value.as_tuple().exponent >= 0 for value in present) and present:
        return exact_series([None if value is None else int(value) for value in values])
    return pd.Series([None if value is None else float(value) for value in values], dtype=float)
