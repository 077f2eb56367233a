"""From the configuration to the rows that train, the rows that are validated, and the rows that are withheld."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from configs.schema import DataConfig, SplitKind
from configs.sources import mask_secrets
from data.dates import date_parts
from data.features import FeatureSpec
from data.folds import training_rows
from data.messages import did_you_mean, show, show_list
from data.splits import Split, assign_folds, assign_holdout, hold_out, most_folds
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
# A part of whole groups or moments that is larger or smaller than asked by this share of it is told of.
FAR_FROM_ASKED = 0.5
UNITS = {"group": "groups", "time": "different times"}


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
        folds = assign_holdout(split, config.val_size, "data.val_size")
        if split.keys is None:
            return folds, []
        return folds, share_notes("data.val_size", config.val_size, np.count_nonzero(folds == 0), n_rows)
    if config.n_folds is not None or not config.holdout_rows or n_rows <= config.holdout_rows:
        asked, most = config.n_folds or DEFAULT_FOLDS, most_folds(split)
        _check_some(config, split, most)
        return assign_folds(split, min(asked, most)), few_folds(split.kind, asked, most)
    share = min(HOLDOUT_SHARE, MAX_HOLDOUT_ROWS / n_rows)
    folds = assign_holdout(split, share, "data.holdout_rows")
    note = (
        f"more than data.holdout_rows={config.holdout_rows:,} rows: {np.count_nonzero(folds == 0):,} of them "
        f"validate every trial, instead of {DEFAULT_FOLDS} folds (data.n_folds={DEFAULT_FOLDS} has folds again)"
    )
    return folds, [note]


def _check_some(config: DataConfig, split: Split, most: int) -> None:
    if most >= (1 if split.kind == "time" else 2):
        return
    n_rows = len(split.codes)
    if split.kind not in UNITS:
        raise DataError(
            f"{n_rows} training rows cannot be divided: one trains and one validates, so two are needed"
        )
    unit = UNITS[split.kind].removesuffix("s")
    column = getattr(config, split.kind)
    held = f"; data.test_size={config.test_size:g} withholds the others" if config.test_size else ""
    raise DataError(
        f"data.{split.kind}: all {n_rows:,} training rows have one {unit} in {column!r}{held}, and two are needed: one "
        f"trains, one validates; leave data.{split.kind} out, or add rows of others"
    )


def few_folds(kind: SplitKind, asked: int, most: int) -> list[str]:
    """That there are fewer folds than were asked for, and why; nothing where there are enough.

    Args:
        kind: How the rows are divided.
        asked: Folds asked for, or the default.
        most: See most_folds.
    """
    if most >= asked:
        return []
    n_units = most + (kind == "time")
    why = {
        "group": f"there are {n_units} groups, and each is validated whole",
        "time": f"there are {n_units} different times, and the first only trains",
    }.get(kind, f"there are {n_units} rows to train on")
    return [f"data.n_folds: {most} {'fold' if most == 1 else 'folds'} instead of {asked}, as {why}"]


def share_notes(key: str, asked: float, n_held: int, n_rows: int) -> list[str]:
    """That whole groups or moments make a part much larger or smaller than was asked for."""
    share = n_held / n_rows
    if abs(share - asked) <= max(FAR_FROM_ASKED * asked, 1 / n_rows):
        return []
    return [f"{key}={asked:g} holds {share:.0%} of the rows, as groups and rows of one time stay together"]


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
