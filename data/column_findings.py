"""What to beware of in single columns, and in how the target is spread."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import DataConfig
from data.division import DEFAULT_FOLDS, few_folds
from data.encoder import Encoder
from data.features import MAX_CATEGORIES, FeatureSpec
from data.findings import Finding, Table
from data.messages import ignore, name_kind, percent, show
from data.order import is_sorted
from data.precision import lost_values
from data.values import is_numeric_dtype

N_LISTED = 12
MANY_MISSING = 0.5
# Rows in which digits are looked for that 32 bits lose.
LOST_ROWS = 100_000
# Many categories: more than SOME, each in fewer than FEW_ROWS rows on average, or more than are kept.
SOME_CATEGORIES = 50
FEW_ROWS = 10
# Imbalance: a class has less than this part of the rows it would have if all classes had the same number.
RARE_SHARE = 0.1
# Whole numbers that name the row: by their name, and different in nearly every row.
ID_NAME = re.compile(
    r"(.*[\W_])?(id|uid|code|key|no|nr|num|number|serial)|.*(번호|코드|아이디)", re.IGNORECASE
)
ID_SHARE = 0.95
MIN_ROWS_TO_CALL_ID = 100


def column_findings(
    frame: pd.DataFrame, specs: Iterable[FeatureSpec], config: DataConfig
) -> Iterable[Finding]:
    """What is to be said of columns one by one, and of those that are left out without being asked to."""
    ignored = {
        config.group,
        config.time,
        *config.ignore,
        *(name for name, kind in config.kinds.items() if kind == "ignore"),
    }
    told = [spec for spec in specs if spec.name not in ignored]
    empty = [s for s in told if s.n_distinct == 0]
    constant = [s for s in told if s.n_distinct == 1]
    left_out = [s for s in told if s.n_distinct > 1 and s.kind == "ignore"]
    kept = [s for s in told if s.n_distinct > 1 and s.kind != "ignore"]
    yield from _list(
        "all_missing", "left out, no value in any row", empty, "look at the file if there should be some"
    )
    yield from _list(
        "constant", "left out, the same value in every row", constant, "look at the file if it should vary"
    )
    for spec in left_out:
        kind = "numeric" if is_numeric_dtype(frame[spec.name]) else "categorical"
        message = f"{show(spec.name)} is left out: {spec.note}; to use it, add {name_kind(spec.name, kind)}"
        yield Finding("left_out", message, (spec.name,))
    n_rows = len(frame)
    holes = {
        s: f" ({percent(s.n_missing / n_rows)} missing)" for s in kept if s.n_missing > MANY_MISSING * n_rows
    }
    advice = f"check that new rows will have them, or leave out with {_ignore(holes)}"
    yield from _list("many_missing", "more than half of the rows have no value", holes, advice)
    n_present = {s: n_rows - s.n_missing for s in kept if s.kind == "categorical"}
    many = {
        s: f" ({s.n_distinct:,} in {n:,} rows)" for s, n in n_present.items() if _is_high(s.n_distinct, n)
    }
    advice = f"group them, or leave out with {_ignore(many)}"
    yield from _list("high_cardinality", "many categories with few rows each", many, advice)
    named = find_ids(frame, kept, config)
    ids = [
        s for s in kept if s.name in named and not is_sorted(frame[s.name].to_numpy())
    ]  # see data/order.py
    advice = f"if it names the row, leave out with {_ignore(ids)}"
    yield from _list("id_like", "another whole number in nearly every row", ids, advice)


def find_ids(frame: pd.DataFrame, specs: Iterable[FeatureSpec], config: DataConfig) -> tuple[str, ...]:
    """Columns of numbers that would be learned from, and by name and values name the row."""
    told = {config.group, config.time, *config.kinds}
    numbers = [s for s in specs if s.kind == "numeric" and s.name not in told]
    return tuple(s.name for s in numbers if _looks_like_id(frame[s.name], s.n_distinct))


def lost_findings(frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> Iterable[Finding]:
    """Columns whose numbers 32 bits do not tell apart."""
    frame = frame.iloc[:: max(1, len(frame) // LOST_ROWS)]
    numbers = [spec for spec in specs if spec.kind in ("numeric", "datetime")]
    for name, message in lost_values(frame, Encoder.fit(frame, numbers).columns).items():
        yield Finding("lost_digits", message, (name,))


def _ignore(specs: Iterable[FeatureSpec]) -> str:
    return ignore([spec.name for spec in specs])


def _list(code: str, what: str, specs: Collection[FeatureSpec], advice: str) -> Iterable[Finding]:
    """One warning for all the columns it concerns, with what is said of each; none where there are none."""
    if specs:
        more = specs if isinstance(specs, dict) else dict.fromkeys(specs, "")
        shown = [show(spec.name) + text for spec, text in more.items()]
        rest = f" and {len(shown) - N_LISTED} more" if shown[N_LISTED:] else ""
        message = f"{what}: {', '.join(shown[:N_LISTED])}{rest}; {advice}"
        yield Finding(code, message, tuple(spec.name for spec in specs))


def _is_high(n_distinct: int, n_present: int) -> bool:
    return n_distinct > MAX_CATEGORIES or (n_distinct > SOME_CATEGORIES and n_present < FEW_ROWS * n_distinct)


def _looks_like_id(series: pd.Series, n_distinct: int) -> bool:
    named = ID_NAME.fullmatch(str(series.name).strip()) is not None
    whole = is_numeric_dtype(series) and series.dtype.kind != "f"
    return named and whole and n_distinct > ID_SHARE * len(series) and len(series) >= MIN_ROWS_TO_CALL_ID


def target_findings(table: Table, n_missing: int, config: DataConfig) -> Iterable[Finding]:
    """Rows without a label, classes too rare for the folds, and rare ones."""
    target, y = table.target, table.y
    if target is None:
        return
    asked, kind, most = config.n_folds or DEFAULT_FOLDS, "random", len(y)
    for name in ("group", "time"):
        column = getattr(config, name)
        if column in table.frame.columns:
            kind, most = name, table.frame[column].nunique() - (name == "time")
    n_folds = max(1, min(asked, most))
    if config.val_size is None:
        for note in few_folds(kind, asked, most):
            yield Finding("few_folds", note)
    if n_missing:
        yield Finding(
            "missing_labels",
            f"{n_missing:,} rows have no {target.name!r} and are left out; label them to use them",
            (target.name,),
        )
    counts = np.bincount(y, minlength=len(target.classes)).tolist() if target.classes else []
    rows = dict(zip(target.classes, counts, strict=True))
    few = [label for label, count in rows.items() if count < n_folds]
    if few:
        yield Finding(
            "rare_classes",
            f"classes of {target.name!r} with fewer rows than the {n_folds} folds: {_counted(few, rows)}; "
            "collect more, merge them into others, or leave these rows out",
            (target.name,),
        )
    expected = RARE_SHARE * len(y) / max(1, len(rows))
    rare = [label for label, count in rows.items() if n_folds <= count < expected]
    if rare:
        yield Finding(
            "imbalanced",
            f"classes of {target.name!r} with few of the {len(y):,} rows: {_counted(rare, rows)}; accuracy says little "
            "about them, judge by metric=f1 or by the scores per class",
            (target.name,),
        )


def _counted(labels: Sequence[Any], rows: dict[Any, int]) -> str:
    shown = ", ".join(f"{show(label)} ({rows[label]:,})" for label in labels[:N_LISTED])
    return shown + (f" and {len(labels) - N_LISTED} more" if len(labels) > N_LISTED else "")
