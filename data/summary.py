"""What is kept and told of a table: its fingerprint, a few of its rows, and notes for the user."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from data.features import FeatureSpec
from data.messages import show_list
from data.target import Target
from data.values import to_plain

N_GOLDEN = 16
N_GOLDEN_MISSING = 4
MANY_REPEATED = 0.05


def fingerprint(frames: Iterable[pd.DataFrame]) -> str:
    """SHA-256, in hex, of the column names and all rows in their order."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(json.dumps([list(frame.columns), len(frame)]).encode())
        digest.update(_row_hashes(frame).tobytes())
    return digest.hexdigest()


def _row_hashes(frame: pd.DataFrame) -> np.ndarray:
    # Cells of mixed types, lists and dicts included, are hashed as text.
    mixed = [name for name in frame.columns if frame[name].dtype == object]
    as_text = frame.astype(dict.fromkeys(mixed, "str")) if mixed else frame
    return pd.util.hash_pandas_object(as_text, index=False).to_numpy(dtype="<u8")


def golden_rows(frame: pd.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    """Raw rows spread over the table, some with missing values where there are such, as JSON holds them."""
    spread = _spread(np.arange(len(frame)), N_GOLDEN)
    with_missing = _spread(np.flatnonzero(frame[list(names)].isna().any(axis=1)), N_GOLDEN_MISSING)
    rows = list(dict.fromkeys([*with_missing, *spread]))[:N_GOLDEN]
    cells = [[to_plain(value) for value in frame[name].iloc[rows].tolist()] for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*cells, strict=True)]


def _spread(rows: np.ndarray, most: int) -> list[int]:
    if len(rows) <= most:
        return rows.tolist()
    return rows[np.arange(most) * len(rows) // most].tolist()


def column_notes(specs: Iterable[FeatureSpec], ignore: Sequence[str]) -> list[str]:
    """What was decided about columns without the user asking for it."""
    told = [spec for spec in specs if spec.note and spec.name not in ignore]
    left_out = {spec.name: " is left out" for spec in told if spec.kind == "ignore"}
    return [f"column {spec.name!r}{left_out.get(spec.name, '')}: {spec.note}" for spec in told]


def row_notes(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Rows that repeat others."""
    n_repeated = len(frame) - len(np.unique(_row_hashes(frame[list(columns)])))
    if not n_repeated:
        return []
    many = n_repeated > MANY_REPEATED * len(frame)
    warning = "; the same row may train and be scored, which flatters scores" if many else ""
    return [f"{n_repeated:,} of {len(frame):,} rows repeat another row{warning}"]


def class_notes(target: Target, y: np.ndarray, n_folds: int) -> list[str]:
    """Classes too rare for every fold."""
    counts = np.bincount(y, minlength=len(target.classes)) if target.classes else np.array([], dtype=int)
    rare = [target.classes[code] for code in np.flatnonzero(counts < n_folds)]
    return [f"classes with fewer rows than the {n_folds} folds: {show_list(rare)}"] if rare else []
