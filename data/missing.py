"""Leaves out training rows that miss a value, for `data.missing=drop`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from configs.schema import DataConfig
from data.cell_format import CellFormat
from data.encoder import Encoder
from data.features import infer_features
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def complete_rows(
    train: pd.DataFrame, config: DataConfig, formats: Mapping[str, CellFormat] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Which rows have a value in every column that would be learned from, and a note of how many have not.

    Shape: train n_samples rows -> bool (n_samples,).
    Raises: DataError: no row is complete, and the column that misses most is named.
    """
    specs = infer_features(train, config.target, config.ignore, config.kinds, formats)
    missing = Encoder.fit(train, specs).missing_rows(train)
    if missing.all():
        worst = max((spec for spec in specs if spec.kind != "ignore"), key=lambda spec: spec.n_missing)
        raise DataError(
            f"data.missing=drop: every row misses a value; column {worst.name!r} misses most, "
            f"{worst.n_missing:,} of {len(train):,}; leave it out (data.ignore) or fill values (data.missing)"
        )
    if not missing.any():
        return ~missing, []
    return ~missing, [
        f"{missing.sum():,} of {len(train):,} rows miss a value and are left out (data.missing=drop)"
    ]
