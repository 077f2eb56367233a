"""Rows in order of time, and a target that drifts along them."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from data.findings import MIN_ROWS, Finding, Table, as_dates
from data.messages import ignore, percent, setting, show, show_list, show_number

# Drift: tenths of the table explain this share of the target's variance, far more than chance gives them.
N_BLOCKS = 10
DRIFT_SHARE = 0.02
DRIFT_F = 6.0
# Rows in order of a date may have a few out of place.
FEW_STEPS_BACK = 0.01
# More columns in order are told of in one line.
MOST_ORDERS = 3


def find_order(table: Table, names: Collection[str], ids: Collection[str] = ()) -> Iterable[Finding]:
    """Columns the rows are sorted by, and a target that changes along the rows or along a date.

    Args:
        table: The table.
        names: Columns that may tell the time: all but row numbers.
        ids: Those that name the row.
    """
    if len(table.frame) < MIN_ROWS:
        return
    time, found_in = "COLUMN", list[Finding]()
    for name in names:
        dates = as_dates(table.frame[name])
        order = _sort_key(table.frame[name] if dates is None else dates)
        if order is None:
            continue
        if is_sorted(order, 0.0 if dates is None else FEW_STEPS_BACK):
            time = name
            found = f"rows are sorted by {'the date ' * (dates is not None)}{name!r}"
            found += ", another number in nearly every row" * (name in ids)
        elif dates is not None and _drifts(table, np.argsort(order, kind="stable")):
            found = f"{table.target.name!r} changes along the date {name!r}"
        else:
            continue
        advice = f"if new rows come later than these, {_split_by_time(name)}"
        if name in ids:
            advice += f"; if it only names the row, leave out with {ignore([name])}"
        found_in.append(Finding("time_order", f"{found}: {advice}", (name,)))
    yield from found_in if len(found_in) <= MOST_ORDERS else _summed_up(found_in)
    if _drifts(table, np.arange(len(table.frame))):
        yield Finding(
            "target_drift",
            f"{_describe_drift(table)}: rows that stand together are alike, and random folds flatter scores; if the "
            f"order is that of time, {_split_by_time(time)}",
        )


def _summed_up(findings: list[Finding]) -> Iterable[Finding]:
    """One finding of many columns: as a rule the same order many times."""
    names = tuple(name for finding in findings for name in finding.columns)
    message = f"{findings[0].message}; the same is true of {show_list(names[1:])}"
    yield Finding(findings[0].code, message, names)


def _split_by_time(name: str) -> str:
    return f"validate on the latest rows with data.split=time {setting('data.time', name)}"


def _sort_key(series: pd.Series) -> np.ndarray | None:
    """The column as numbers, for dates and columns of numbers without holes; else None."""
    kind = getattr(series.dtype, "kind", "O")
    if kind == "M":
        series = series.ffill()  # a row without a date stands where its neighbours do
        return None if series.isna().any() else series.astype("int64").to_numpy()
    return series.to_numpy() if kind in "iuf" and not series.isna().any() else None


def is_sorted(values: np.ndarray, share_back: float = 0.0) -> bool:
    """Whether the values rise, or fall, in all steps but a share; never of a mere flag."""
    steps = np.diff(values)
    back = min((steps < 0).mean(), (steps > 0).mean())
    return back <= share_back and len(np.unique(values[:: max(1, len(values) // 1000)])) > 2  # noqa: PLR2004


def _drifts(table: Table, order: np.ndarray) -> bool:
    if table.target is None:
        return False
    y = table.y[order]
    if table.target.problem_type == "regression":
        if is_sorted(y):
            return False
        parts = pd.Series(y).rank().to_numpy()[:, np.newaxis]
    else:
        if np.count_nonzero(np.diff(y)) < 2 * len(table.target.classes):  # sorted by the target, not by time
            return False
        parts = np.eye(len(table.target.classes), dtype=np.float32)[y]
    blocks = np.array_split(parts, N_BLOCKS)
    between = sum(len(block) * np.square(block.mean(axis=0) - parts.mean(axis=0)).sum() for block in blocks)
    share = float(between / (parts.var(axis=0).sum() * len(y)))
    f = share / max(1e-12, 1 - share) * (len(y) - N_BLOCKS) / (N_BLOCKS - 1)
    return share > DRIFT_SHARE and f > DRIFT_F


def _describe_drift(table: Table) -> str:
    target = table.target
    blocks = np.array_split(table.y, N_BLOCKS)
    if target.problem_type == "regression":
        means = [block.mean() for block in blocks]
        low, high = show_number(min(means)), show_number(max(means))
        return f"the mean of {target.name!r} is {low} in one tenth of the rows and {high} in another"
    shares = np.array([np.bincount(block, minlength=len(target.classes)) / len(block) for block in blocks])
    code = int(np.ptp(shares, axis=0).argmax())
    low, high = percent(shares[:, code].min()), percent(shares[:, code].max())
    return f"{target.name!r} is {show(target.classes[code])} in {low} of one tenth of the rows and {high} of another"
