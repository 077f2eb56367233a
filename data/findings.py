"""What to beware of in a table: leaks, repeated rows, order in time, and a test file that does not fit."""

from __future__ import annotations

import json
import re
import shlex
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from configs.schema import ProblemType
from data.encoder import Encoder
from data.features import FeatureSpec
from data.messages import show, show_list
from data.metrics import r2, roc_auc
from data.splits import assign_folds
from data.target import Target
from data.values import MISSING_NUMBER_TEXT, factorise, is_numeric_dtype, to_text

# A leak: one column whose cross-validated tree reaches this AUC, or this share of the variance.
LEAK_SCORE = 0.98
LEAK_ROWS = 10_000
LEAK_ROWS_PER_CLASS = 200
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
    codes, values = factorise(series, f"column {str(series.name)!r}")
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
        dates = pd.to_datetime(texts, errors="coerce")
    return dates if dates.notna().sum() >= 0.95 * len(present) else None


def find_repeats(table: Table) -> Iterable[Finding]:
    """Rows that are there twice, and rows with equal features and different targets."""
    features = _row_hashes(table.frame, table.kept)
    n_rows, label = len(features), _hash(table.frame[table.target.name], False) if table.target else 0
    n_repeated = n_rows - len(np.unique(features * np.uint64(31) + label))
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
    for spec in table.kept:
        hashes = _hash(table.frame[spec.name], spec.kind == "numeric")
        groups.setdefault(hashes.tobytes(), []).append(spec.name)
    for names in groups.values():
        if len(names) > 1:
            yield Finding(
                "identical_columns",
                f"columns {show_list(names)} hold the same values: leave {'all but one' if names[2:] else 'one'} out, "
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
    leaks = sorted((name for name, score in scores.items() if score >= LEAK_SCORE), key=lambda n: -scores[n])
    if leaks:
        what = "R2" if problem_type == "regression" else "AUC"
        shown = ", ".join(
            f"{show(name)} ({what} {np.floor(scores[name] * 1000) / 1000:.3f})" for name in leaks
        )
        yield Finding(
            "leak",
            f"{shown} {'each predict' if leaks[1:] else 'predicts'} {table.target.name!r} nearly alone: if not known "
            f"before the target is, leave {'them' if leaks[1:] else 'it'} out, {ignore(leaks)}",
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
    rare = by_class[(place_in_class < LEAK_ROWS_PER_CLASS) & (counts[y[by_class]] >= LEAK_FOLDS)]
    rows = np.union1d(shuffled[:LEAK_ROWS], rare)
    return rows[counts[y[rows]] >= LEAK_FOLDS]


def _score_alone(X: np.ndarray, y: np.ndarray, problem_type: ProblemType) -> float:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor  # noqa: PLC0415 - slow to import

    regression = problem_type == "regression"
    tree = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
        min_samples_leaf=3, max_leaf_nodes=200, random_state=0
    )
    folds = assign_folds(y, LEAK_FOLDS, problem_type, seed=0)
    P = np.zeros((len(y), 1 if regression else y.max() + 1))
    for k in range(LEAK_FOLDS):
        tree.fit(X[folds != k], y[folds != k])
        if regression:
            P[folds == k, 0] = tree.predict(X[folds == k])
        else:
            P[np.ix_(folds == k, tree.classes_)] = tree.predict_proba(X[folds == k])
    return r2(y, P) if regression else roc_auc(y, P)


def find_order(table: Table, names: Collection[str]) -> Iterable[Finding]:
    """Columns the rows are sorted by, and a target that changes along the rows or along a date.

    Args:
        table: The table.
        names: Columns that may tell the time: all but row numbers.
    """
    if len(table.frame) < MIN_ROWS:
        return
    for name in names:
        dates = as_dates(table.frame[name])
        order = _sort_key(table.frame[name] if dates is None else dates)
        if order is None:
            continue
        if _is_sorted(order):
            found = f"rows are sorted by {'the date ' * (dates is not None)}{name!r}"
        elif dates is not None and _drifts(table, np.argsort(order, kind="stable")):
            found = f"{table.target.name!r} changes along the date {name!r}"
        else:
            continue
        yield Finding(
            "time_order", f"{found}: if new rows come later than these, {_split_by_time(name)}", (name,)
        )
    rows = np.arange(len(table.frame))
    if _drifts(table, rows):
        yield Finding(
            "target_drift",
            f"{_describe_drift(table)}: rows that stand together are alike, and random folds flatter scores; if the "
            f"order is that of time, {_split_by_time('COLUMN')}",
        )


def _split_by_time(name: str) -> str:
    return f"validate on the latest rows, data.split=time {setting('data.time', name)}"


def _sort_key(series: pd.Series) -> np.ndarray | None:
    """The column as numbers, for dates and columns of numbers without holes; else None."""
    kind = getattr(series.dtype, "kind", "O")
    if kind == "M":
        series = series.ffill()  # a row without a date stands where its neighbours do
        return None if series.isna().any() else series.astype("int64").to_numpy()
    return series.to_numpy() if kind in "iuf" and not series.isna().any() else None


def _is_sorted(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return len(np.unique(values[:: max(1, len(values) // 1000)])) > 2 and bool(  # noqa: PLR2004 - not a mere flag
        (steps >= 0).all() or (steps <= 0).all()
    )


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
        low, high = min(means), max(means)
        return f"the mean of {target.name!r} is {low:.4g} in one tenth of the rows and {high:.4g} in another"
    shares = np.array([np.bincount(block, minlength=len(target.classes)) / len(block) for block in blocks])
    code = int(np.ptp(shares, axis=0).argmax())
    low, high = percent(shares[:, code].min()), percent(shares[:, code].max())
    return f"{target.name!r} is {show(target.classes[code])} in {low} of one tenth of the rows and {high} of another"


def find_in_test(table: Table, test: pd.DataFrame) -> Iterable[Finding]:
    """Columns, values and rows of the test file that do not fit the training rows."""
    yield from _compare_columns(table, test)
    shared = [spec for spec in table.kept if spec.name in test.columns]
    unseen, texts = {}, {}
    for spec in shared:
        found = _new_values(table.frame[spec.name], test[spec.name], spec.kind)
        if found:
            (texts if spec.kind == "numeric" else unseen)[spec.name] = found
    if unseen:
        shown = ", ".join(
            f"{show(n)} {len(v)} ({show_list(v, 3)}; {c:,} rows)" for n, (v, c) in unseen.items()
        )
        yield Finding(
            "new_categories",
            f"categories of the test file that training never saw, which count as missing: {shown}",
            tuple(unseen),
        )
    for name, (values, _) in texts.items():
        kind = setting("data.kinds", f"{{{json.dumps(name, ensure_ascii=False)}: categorical}}")
        yield Finding(
            "test_values",
            f"column {name!r} holds numbers in training and {show_list(values, 3)} in the test file: correct the file, "
            f"or make it a category, {kind}",
            (name,),
        )
    yield from _compare_classes(table, test)
    if shared:
        known = np.unique(_row_hashes(table.frame, shared))
        n_shared = int(np.isin(_row_hashes(test, shared), known).sum())
        if n_shared:
            yield Finding(
                "shared_rows",
                f"{n_shared:,} of {len(test):,} test rows ({percent(n_shared / len(test))}) are also in training, in "
                "every column learned from: the test score will be flattered; drop them from one of the files",
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
    elif table.target.classes and (found := _new_values(table.frame[name], test[name], "categorical")):
        yield Finding(
            "new_classes",
            f"classes of the test file that training never saw: {show_list(found[0])} ({found[1]:,} rows); leave these "
            "rows out, or train on such rows too",
            (name,),
        )


def _new_values(train: pd.Series, test: pd.Series, kind: str) -> tuple[list[str], int] | None:
    """Values of the test file that the column cannot encode, and how many rows have one."""
    codes, values = factorise(test, f"column {str(test.name)!r}")
    if kind == "numeric":
        is_text = np.isnan(as_numbers(pd.Series(values, dtype=object))).tolist()
        new = [t and str(v).strip() not in MISSING_NUMBER_TEXT for t, v in zip(is_text, values, strict=True)]
    else:
        known = {to_text(value) for value in factorise(train, f"column {str(train.name)!r}")[1]}
        new = [kind == "categorical" and to_text(value) not in known for value in values]
    if not any(new):
        return None
    return [v for v, n in zip(values, new, strict=True) if n], int(np.array([*new, False])[codes].sum())


def _row_hashes(frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> np.ndarray:
    """One hash per row over the columns; equal for equal rows of two files, whatever their dtypes."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for spec in specs:
        total = total * np.uint64(1_000_003) + _hash(frame[spec.name], spec.kind == "numeric")
    return total


def _hash(series: pd.Series, numeric: bool) -> np.ndarray:
    if numeric or is_numeric_dtype(series):
        return pd.util.hash_array(as_numbers(series) + 0.0)  # -0.0 is 0.0
    codes, values = factorise(series, f"column {str(series.name)!r}")
    hashes = pd.util.hash_array(np.array([to_text(value) for value in values], dtype=object))
    return np.append(hashes, np.uint64(0))[codes]


def percent(share: float) -> str:
    """A share as people read it."""
    return f"{100 * share:.3g} %"


def setting(key: str, value: str | Sequence[str]) -> str:
    """`key=value` as typed in a shell; a list where several values are given."""
    if isinstance(value, str):
        return shlex.quote(f"{key}={value}")
    names = [
        name if re.fullmatch(r"[\w .-]+", name) else json.dumps(name, ensure_ascii=False) for name in value
    ]
    return shlex.quote(f"{key}=[{','.join(names)}]")


def ignore(names: Sequence[str]) -> str:
    """The setting that leaves columns out."""
    return setting("data.ignore", names)
