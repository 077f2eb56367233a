"""What to beware of in a table: leaks, repeated rows, order in time, and a test file that does not fit."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import ProblemType
from data.encoder import Encoder
from data.features import FeatureSpec
from data.messages import ignore, percent, setting, show, show_list, show_number
from data.metrics import r2, roc_auc
from data.target import Target
from data.values import factorise, is_numeric_dtype, to_text
from errors import DataError

# A leak: one column whose cross-validated tree reaches this share of the variance (R2), or this AUC and what
# chance adds to it in few rows.
LEAK_SCORE = 0.98
SURE_SCORE = 0.995
LEAK_ROWS = 10_000
LEAK_ROWS_PER_CLASS = 200
LEAK_CLASSES = 30
LEAK_FOLDS = 3
MIN_ROWS = 50
# Drift: tenths of the table explain this share of the target's variance, far more than chance gives them.
N_BLOCKS = 10
DRIFT_SHARE = 0.02
DRIFT_F = 6.0
# Rows with equal features and different targets are told of when they are more than noise.
CONFLICT_SHARE = 0.01
DATE = re.compile(
    r"\s*(\d{4}\s?[-/.년]\s?\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{4})"
)
N_DATES_TRIED = 100
# Rows in order of a date may have a few out of place.
FEW_STEPS_BACK = 0.01


@dataclass(frozen=True)
class Finding:
    """One thing to beware of.

    Attributes:
        code: Stable name of what was found.
        message: What, where, and what to do about it, in one line.
        columns: The columns concerned.
    """

    code: str
    message: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Table:
    """What the checks look at.

    Attributes:
        frame: The rows that have a label.
        kept: Columns that would be learned from.
        target: None where no target was named.
        y: Class codes or values, (n_samples,); empty without a target.
    """

    frame: pd.DataFrame
    kept: tuple[FeatureSpec, ...]
    target: Target | None
    y: np.ndarray

    @cached_property
    def hashes(self) -> dict[str, np.ndarray]:
        """Hash of every cell, (n_samples,) per column that would be learned from."""
        return {spec.name: _hash(self.frame[spec.name], spec.kind == "numeric") for spec in self.kept}

    @property
    def names(self) -> list[str]:
        """Columns that would be learned from."""
        return [spec.name for spec in self.kept]


def as_numbers(series: pd.Series) -> np.ndarray:
    """The numbers of a column, also those written as text ("1,234", "12 %"); NaN for anything else.

    Shape: (n_samples,) -> float64 (n_samples,).
    """
    if is_numeric_dtype(series) or getattr(series.dtype, "kind", "O") == "b":
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, values = factorise(series, _where(series))
    texts = [re.sub(r"[,%\s]", "", str(value)) for value in values]
    numbers = pd.to_numeric(pd.Series(texts, dtype="str"), errors="coerce").to_numpy(np.float64)
    return np.append(numbers, np.nan)[codes]


def as_dates(series: pd.Series) -> pd.Series | None:
    """The dates of a column, also those written as text; None where it holds something else."""
    if getattr(series.dtype, "kind", "O") == "M":
        return series.dt.tz_localize(None)
    present = series.dropna()
    first = present.iloc[:N_DATES_TRIED].tolist()
    if is_numeric_dtype(series) or not first or not all(DATE.match(str(value)) for value in first):
        return None
    texts = (
        series.astype("str")
        .str.replace(r"\s?[년월]\s?", "-", regex=True)
        .str.replace(r"일|-$", "", regex=True)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas says so when no one format fits all cells
        dates = pd.to_datetime(texts, errors="coerce", utc=True).dt.tz_localize(None)
    return dates if dates.notna().sum() >= 0.95 * len(present) else None


def find_repeats(table: Table) -> Iterable[Finding]:
    """Rows that are there twice, and rows with equal features and different targets."""
    if not table.kept:
        return
    features, n_rows = _row_hashes(table.hashes.values()), len(table.frame)
    label = (
        _hash(table.frame[table.target.name], not table.target.classes)
        if table.target
        else np.zeros(n_rows, dtype=np.uint64)
    )
    n_repeated = n_rows - len(np.unique(_row_hashes([features, label])))
    if n_repeated:
        yield Finding(
            "duplicate_rows",
            f"{n_repeated:,} of {n_rows:,} rows ({percent(n_repeated / n_rows)}) repeat another row in every column "
            "learned from: the same row may train and be scored, which flatters scores; drop the copies",
        )
    if table.target is None:
        return
    _, group = np.unique(features, return_inverse=True)
    pairs = np.unique(np.stack([group, pd.factorize(label)[0]]), axis=1)
    n_conflicting = int((np.bincount(pairs[0]) > 1)[group].sum())
    if n_conflicting > CONFLICT_SHARE * n_rows:
        yield Finding(
            "conflicting_rows",
            f"{n_conflicting:,} of {n_rows:,} rows ({percent(n_conflicting / n_rows)}) equal another row in every "
            f"column but {table.target.name!r}: no model can tell them apart; a column may be missing or rounded",
        )


def find_identical(table: Table) -> Iterable[Finding]:
    """Columns with the same value in every row."""
    groups: dict[bytes, list[str]] = {}
    for name, hashes in table.hashes.items():
        groups.setdefault(hashes.tobytes(), []).append(name)
    for names in groups.values():
        if len(names) > 1:
            yield Finding(
                "identical_columns",
                f"columns {show_list(names)} hold the same values: leave all but one out with "
                f"{ignore(names[1:])}",
                tuple(names),
            )


def find_leaks(table: Table, tell: Callable[[str], None]) -> Iterable[Finding]:
    """Columns that predict the target alone, by a small cross-validated tree on a sample of the rows."""
    if table.target is None or len(table.y) < MIN_ROWS:
        return
    problem_type = table.target.problem_type
    rows = _sample(table.y, problem_type)
    sample, y = table.frame.iloc[rows], table.y[rows]
    scores = {}
    for place, spec in enumerate(table.kept, start=1):
        tell(f"Looking for leaks, column {place} of {len(table.kept)}")
        column = sample[[spec.name]]
        X = Encoder.fit(column, [spec]).transform(column)
        scores[spec.name] = _score_alone(X, y, problem_type)
    least = LEAK_SCORE
    if problem_type != "regression":
        least = min(SURE_SCORE, least + 0.2 / np.sqrt(len(y)))
    leaks = sorted((name for name, score in scores.items() if score >= least), key=lambda name: -scores[name])
    if leaks:
        what = "R2" if problem_type == "regression" else "AUC"
        shown = ", ".join(
            f"{show(name)} ({what} {np.floor(scores[name] * 1000) / 1000:.3f})" for name in leaks
        )
        yield Finding(
            "leak",
            f"{shown} {'each predict' if leaks[1:] else 'predicts'} {table.target.name!r} nearly alone: if not known "
            f"before the target is, leave {'them' if leaks[1:] else 'it'} out with {ignore(leaks)}",
            tuple(leaks),
        )


def _sample(y: np.ndarray, problem_type: ProblemType) -> np.ndarray:
    """Random rows, with more than their share of rare classes and without classes too rare to be validated."""
    shuffled = np.random.default_rng(0).permutation(len(y))
    if problem_type == "regression":
        return shuffled[:LEAK_ROWS]
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    counts = np.bincount(y)
    place_in_class = np.arange(len(y)) - (np.cumsum(counts) - counts)[y[by_class]]
    per_class = min(LEAK_ROWS_PER_CLASS, LEAK_ROWS // len(counts))
    rows = np.union1d(shuffled[:LEAK_ROWS], by_class[place_in_class < per_class])
    return rows[counts[y[rows]] >= LEAK_FOLDS]


def _score_alone(X: np.ndarray, y: np.ndarray, problem_type: ProblemType) -> float:
    from sklearn import model_selection, tree  # noqa: PLC0415 - slow to import

    limits = {"max_leaf_nodes": 200, "random_state": 0}
    n_least = len(y) // 1000
    if problem_type == "regression":
        model = tree.DecisionTreeRegressor(min_samples_leaf=max(2, n_least), **limits)
        folds = model_selection.KFold(LEAK_FOLDS)
        return r2(y, model_selection.cross_val_predict(model, X, y, cv=folds)[:, np.newaxis])
    model = tree.DecisionTreeClassifier(min_samples_leaf=max(5, n_least), **limits)
    folds = model_selection.StratifiedKFold(LEAK_FOLDS, shuffle=True, random_state=0)
    P = model_selection.cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    # Weighted by class: a rare class that stays hidden must not hide a leak of all others.
    labels, counts = np.unique(y, return_counts=True)
    most = np.argsort(-counts)[:LEAK_CLASSES]
    return float(np.average([roc_auc(y == labels[k], P[:, [k, k]]) for k in most], weights=counts[most]))


def find_order(table: Table, names: Collection[str]) -> Iterable[Finding]:
    """Columns the rows are sorted by, and a target that changes along the rows or along a date.

    Args:
        table: The table.
        names: Columns that may tell the time: all but row numbers.
    """
    if len(table.frame) < MIN_ROWS:
        return
    time = "COLUMN"
    for name in names:
        dates = as_dates(table.frame[name])
        order = _sort_key(table.frame[name] if dates is None else dates)
        if order is None:
            continue
        if _is_sorted(order, 0.0 if dates is None else FEW_STEPS_BACK):
            time = name
            found = f"rows are sorted by {'the date ' * (dates is not None)}{name!r}"
        elif dates is not None and _drifts(table, np.argsort(order, kind="stable")):
            found = f"{table.target.name!r} changes along the date {name!r}"
        else:
            continue
        yield Finding(
            "time_order", f"{found}: if new rows come later than these, {_split_by_time(name)}", (name,)
        )
    if _drifts(table, np.arange(len(table.frame))):
        yield Finding(
            "target_drift",
            f"{_describe_drift(table)}: rows that stand together are alike, and random folds flatter scores; if the "
            f"order is that of time, {_split_by_time(time)}",
        )


def _split_by_time(name: str) -> str:
    return f"validate on the latest rows with data.split=time {setting('data.time', name)}"


def _sort_key(series: pd.Series) -> np.ndarray | None:
    """The column as numbers, for dates and columns of numbers without holes; else None."""
    kind = getattr(series.dtype, "kind", "O")
    if kind == "M":
        series = series.ffill()  # a row without a date stands where its neighbours do
        return None if series.isna().any() else series.astype("int64").to_numpy()
    return series.to_numpy() if kind in "iuf" and not series.isna().any() else None


def _is_sorted(values: np.ndarray, share_back: float = 0.0) -> bool:
    """Whether the values rise, or fall, in all steps but a share; never of a mere flag."""
    steps = np.diff(values)
    back = min((steps < 0).mean(), (steps > 0).mean())
    return back <= share_back and len(np.unique(values[:: max(1, len(values) // 1000)])) > 2  # noqa: PLR2004


def _drifts(table: Table, order: np.ndarray) -> bool:
    if table.target is None:
        return False
    y = table.y[order]
    if table.target.problem_type == "regression":
        if _is_sorted(y):
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


def find_in_test(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    """Columns, values and rows of the test file that do not fit the training rows."""
    yield from _compare_columns(table, test)
    shared = [spec for spec in table.kept if spec.name in test.columns]
    unseen = {}
    for spec in shared:
        train_column, test_column = table.frame[[spec.name]], test[[spec.name]]
        try:
            Encoder.fit(train_column, [spec]).transform(test_column)
        except DataError as error:
            message = f"{error} in the test file, but it is {spec.kind} in training: correct one of the files"
            yield Finding("test_values", message, (spec.name,))
        if spec.kind == "categorical":
            values, n_rows = _new_values(table.frame[spec.name], test[spec.name])
            if values:
                unseen[spec.name] = (
                    f"{show(spec.name)} {len(values)} ({show_list(values, 3)}; {n_rows:,} rows)"
                )
    if unseen:
        yield Finding(
            "new_categories",
            "categories of the test file that training never saw, which count as missing: "
            + ", ".join(unseen.values()),
            tuple(unseen),
        )
    yield from _compare_classes(table, test)
    if shared:
        known = _row_hashes(table.hashes[spec.name] for spec in shared)
        found = _row_hashes(_hash(test[spec.name], spec.kind == "numeric") for spec in shared)
        n_shared = int(np.isin(found, known).sum())
        if n_shared:
            yield Finding(
                "shared_rows",
                f"{n_shared:,} of {len(test):,} test rows ({percent(n_shared / len(test))}) are also in training, in "
                "every column learned from, which flatters the test score; drop them from one of the files",
            )


def _compare_columns(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    absent = [name for name in table.names if name not in test.columns]
    if absent:
        yield Finding(
            "missing_test_columns",
            f"columns that the test file lacks: {show_list(absent)}; add them there, or train without them, "
            f"{ignore(absent)}",
            tuple(absent),
        )
    extra = [name for name in test.columns if name not in table.frame.columns]
    if extra:
        yield Finding(
            "extra_test_columns",
            f"columns of the test file that training lacks, which are passed over: {show_list(extra)}",
            tuple(extra),
        )


def _compare_classes(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    if table.target is None:
        return
    name = table.target.name
    if name not in test.columns:
        yield Finding(
            "unlabelled_test",
            f"the test file has no {name!r}: it can be predicted (tabularay predict), but not be scored "
            "(data.test_source)",
            (name,),
        )
    elif table.target.classes:
        values, n_rows = _new_values(table.frame[name], test[name])
        if values:
            yield Finding(
                "new_classes",
                f"classes of the test file that training never saw: {show_list(values)} ({n_rows:,} rows); leave these "
                "rows out, or train on such rows too",
                (name,),
            )


def _new_values(train: pd.Series, test: pd.Series) -> tuple[list[Any], int]:
    """Values of the test file that training never saw, and how many rows have one."""
    known = {to_text(value) for value in factorise(train, _where(train))[1]}
    codes, values = factorise(test, _where(test))
    new = [to_text(value) not in known for value in values]
    n_rows = int(np.array([*new, False], dtype=bool)[codes].sum())
    return [value for value, is_new in zip(values, new, strict=True) if is_new], n_rows


def _row_hashes(hashes: Iterable[np.ndarray]) -> np.ndarray:
    """One hash per row of the hashes of its cells."""
    total = np.uint64(0)
    for column in hashes:
        total = total * np.uint64(1_000_003) + column
    return total


def _hash(series: pd.Series, numeric: bool) -> np.ndarray:
    """One hash per cell, the same in two files; numeric: also for 2, 2.0 and "2"."""
    if is_numeric_dtype(series):
        return pd.util.hash_array(as_numbers(series) + 0.0)  # -0.0 is 0.0
    codes, values = factorise(series, _where(series))
    hashes = pd.util.hash_array(np.array([to_text(value) for value in values], dtype=object))
    if numeric:
        numbers = as_numbers(pd.Series(values, dtype=object))
        hashes = np.where(np.isnan(numbers), hashes, pd.util.hash_array(numbers + 0.0))
    return np.append(hashes, pd.util.hash_array(np.array([np.nan])))[codes]


def _where(series: pd.Series) -> str:
    return f"column {str(series.name)!r}"
