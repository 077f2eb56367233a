"""From the configuration to the rows that train, the rows that are validated, and the rows that are withheld."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import DataConfig
from configs.sources import mask_secrets
from data.dates import date_parts
from data.features import FeatureSpec
from data.folds import training_rows
from data.messages import did_you_mean, show, show_list
from data.splits import Split, assign_folds, assign_holdout, hold_out
from data.summary import class_notes
from data.target import Target
from data.values import convert, data_row, factorise, is_missing, is_number, to_number
from errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_FOLDS = 5
MONTH = re.compile(r"[12]\d{3}-\d\d")
# The share of one fold in five, but no more than tells models apart: at 50,000 rows the standard error of an
# accuracy of .9 is .0013.
HOLDOUT_SHARE = 0.2
MAX_HOLDOUT_ROWS = 50_000


def check_division(config: DataConfig) -> None:
    """Refuse keys that contradict each other.

    Raises: ConfigError: names both keys and what is allowed.
    """
    for one, two in (("test_source", "test_size"), ("val_size", "n_folds"), ("group", "time")):
        if getattr(config, one) and getattr(config, two):
            values = (f"data.{key}={mask_secrets(str(getattr(config, key)))}" for key in (one, two))
            raise ConfigError(f"{' and '.join(values)}: give one of them")
    for kind in ("group", "time"):
        column = getattr(config, kind)
        if config.split == kind and column is None:
            raise ConfigError(f"data.split={kind}: which column? Add data.{kind}=COLUMN")
        if config.split not in (None, kind) and column is not None:
            raise ConfigError(
                f"data.{kind}={column} and data.split={config.split}: allowed with data.{kind}: "
                f"data.split={kind}, which is also the default there"
            )


def choose_split(config: DataConfig, frame: pd.DataFrame, y: np.ndarray, target: Target, seed: int) -> Split:
    """The rows as they are to be divided.

    Args:
        config: How.
        frame: The rows that have a label.
        y: Their labels, encoded.
        target: What the labels are.
        seed: Same seed, same division.

    Raises:
        ConfigError: classes are to be stratified, but the target is a number.
        DataError: the column of data.group or data.time is not there, or a value does not serve; names its row.
    """
    codes = y if target.classes else np.zeros(len(y), dtype=np.int64)
    if config.group is not None:
        return Split("group", codes, _groups(_column(frame, "group", config.group, target.name)), seed)
    if config.time is not None:
        return Split("time", codes, _moments(_column(frame, "time", config.time, target.name)), seed)
    if config.split == "stratified" and not target.classes:
        raise ConfigError(
            f"data.split=stratified: target {target.name!r} is a regression; allowed: random, group, time"
        )
    return Split(config.split or ("stratified" if target.classes else "random"), codes, None, seed)


def withhold(config: DataConfig, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """The rows that train or are validated, and those withheld for the test.

    Raises: DataError: too few rows, groups or times to withhold some.
    """
    if not config.test_size:
        return np.arange(len(split.codes)), np.arange(0)
    return hold_out(split, config.test_size, "data.test_size")


def assign(config: DataConfig, split: Split) -> tuple[np.ndarray, list[str]]:
    """Fold of every training row, -1 where it is never validated, and what the user should be told of it.

    Raises: DataError: too few rows, groups or times.
    """
    n_rows = len(split.codes)
    if config.val_size is not None:
        return assign_holdout(split, config.val_size, "data.val_size"), []
    if config.n_folds is not None or not config.holdout_rows or n_rows <= config.holdout_rows:
        return assign_folds(split, config.n_folds or DEFAULT_FOLDS), []
    share = min(HOLDOUT_SHARE, MAX_HOLDOUT_ROWS / n_rows)
    folds = assign_holdout(split, share, "data.holdout_rows")
    note = (
        f"more than data.holdout_rows={config.holdout_rows:,} rows: {np.count_nonzero(folds == 0):,} of them "
        f"validate every trial, instead of {DEFAULT_FOLDS} folds (data.n_folds={DEFAULT_FOLDS} has folds again)"
    )
    return folds, [note]


def division_notes(config: DataConfig, split: Split, folds: np.ndarray, target: Target) -> list[str]:
    """What the division is by, and the classes that are too rare for every fold, or gathered in one.

    Args:
        config: How the rows were divided.
        split: The training rows.
        folds: The fold of each.
        target: What the labels are.
    """
    if split.kind == "group":
        n_groups = len(np.unique(split.keys))
        notes = [f"rows with the same {config.group!r} stay together; {n_groups:,} groups train"]
    elif split.kind == "time":
        notes = [f"rows are ordered by {config.time!r}: every model is validated and tested on later ones"]
    else:
        notes = []
    n_folds = int(folds.max()) + 1
    if split.kind == "stratified":
        return class_notes(target, split.codes, n_folds) if n_folds > 1 else []
    present = np.unique(split.codes)
    unseen = {
        int(code)
        for fold in range(n_folds)
        for code in np.setdiff1d(present, split.codes[training_rows(folds, fold, split.kind)])
    }
    if unseen:
        names = show_list(target.classes[code] for code in sorted(unseen))
        notes.append(f"classes that some folds train without: {names}")
    return notes


def set_aside(specs: Iterable[FeatureSpec], config: DataConfig) -> tuple[FeatureSpec, ...]:
    """Leave out the columns that divide the rows, unless data.kinds says what they are.

    A group says nothing of the rows of other groups, and a time that is a category none of later ones; a time that
    is a number may be learned from.
    """
    return tuple(_set_aside(spec, config) for spec in specs)


def _set_aside(spec: FeatureSpec, config: DataConfig) -> FeatureSpec:
    if spec.name in config.kinds or spec.kind == "ignore":
        return spec
    if spec.name == config.group:
        return replace(spec, kind="ignore", note="it groups the rows")
    if spec.name == config.time and spec.kind == "categorical":
        return replace(spec, kind="ignore", note="it orders the rows; its values do not come again")
    return spec


def _column(frame: pd.DataFrame, key: str, name: str, target: str) -> pd.Series:
    if name == target:
        raise DataError(f"data.{key}: {name!r} is the target; rows are divided by another column")
    if name not in frame.columns:
        hint = did_you_mean(name, frame.columns)
        raise DataError(f"data.{key}: no column {name!r}{hint}; columns: {show_list(frame.columns)}")
    return frame[name]


def _groups(series: pd.Series) -> np.ndarray:
    codes, _ = factorise(series, f"data.group: column {str(series.name)!r}")
    _check_complete(series, codes < 0, "data.group")
    return codes


def _moments(series: pd.Series) -> np.ndarray:
    """Times as numbers; dates as days since 1970."""
    where = f"data.time: column {str(series.name)!r}"
    first = next((value for value in series if not is_missing(value)), None)
    moments = convert(series, to_number if is_number(first) else _to_moment, where)
    _check_complete(series, np.isnan(moments), "data.time")
    return moments


def _to_moment(value: Any) -> float:
    """Days since 1970; a month is its first day. Raises ValueError: not a date; the text is a reason."""
    month = isinstance(value, str) and MONTH.fullmatch(value.strip())
    return date_parts(f"{value.strip()}-01" if month else value)[0]


def _check_complete(series: pd.Series, missing: np.ndarray, key: str) -> None:
    if missing.any():
        position = int(np.argmax(missing))
        (value,) = series.iloc[[position]].tolist()
        raise DataError(
            f"{key}: column {str(series.name)!r}, data row {data_row(series, position)}: {show(value)}; every row "
            f"needs a value there, {missing.sum():,} of {len(series):,} have none"
        )
