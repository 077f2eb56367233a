"""Looks at a table before anything is trained: what each column is, how the target is spread, what to beware of."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import AskedProblemType, DataConfig, ProblemType
from configs.sources import mask_secrets
from data.dataset import read_table, settle
from data.division import DEFAULT_FOLDS, few_folds
from data.encoder import Encoder
from data.features import MAX_CATEGORIES, FeatureSpec, infer_features
from data.findings import (
    Finding,
    Table,
    as_dates,
    as_numbers,
    find_identical,
    find_in_test,
    find_repeats,
)
from data.leaks import find_leaks
from data.messages import ignore, name_kind, percent, show
from data.order import find_order
from data.precision import check_target, lost_values
from data.settle import SettledTable, apply_formats
from data.sources import load_table
from data.target import Target
from data.values import factorise, is_numeric_dtype, to_text
from errors import DataError

N_FREQUENT = 5
N_LISTED = 12
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MANY_MISSING = 0.5
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


@dataclass(frozen=True)
class Frequency:
    """How often a value is there.

    Attributes:
        value: The value as text, or a class as it is.
        count: Rows that have it.
        share: Their share of the rows, missing ones included.
    """

    value: Any
    count: int
    share: float


@dataclass(frozen=True)
class ColumnReport:
    """What a column is taken for, and what is in it.

    Attributes:
        name: Column name.
        kind: As in the configuration; ignore is left out.
        missing: Cells without a value.
        missing_share: Their share of the rows.
        distinct: Different values, missing aside.
        low: Least number, or earliest date as ISO text; None for other columns.
        high: Greatest number, or latest date; None for other columns.
        frequent: The most frequent categories, most frequent first; empty for other columns.
        examples: The first few different values, as text.
        note: Why it is left out, or what is unusual.
        format: A cell as the column's text is read, such as 1.234,5 or 31.01.2024; empty where cells are what they are.
    """

    name: str
    kind: str
    missing: int
    missing_share: float
    distinct: int
    low: float | int | str | None
    high: float | int | str | None
    frequent: tuple[Frequency, ...]
    examples: tuple[str, ...]
    note: str
    format: str


@dataclass(frozen=True)
class TargetReport:
    """How the target is spread.

    Attributes:
        name: Column name.
        problem_type: binary, multiclass or regression.
        missing: Rows without a label, which are left out.
        classes: Every class, in the order of the model's probabilities; empty for regression.
        statistics: Regression: mean, std, min, quantiles p5 .. p95, max; empty for classes.
    """

    name: str
    problem_type: ProblemType
    missing: int
    classes: tuple[Frequency, ...]
    statistics: dict[str, float]


@dataclass(frozen=True)
class Inspection:
    """All that is known of a table before training.

    Attributes:
        source: The file.
        rows: Its rows.
        target: None where no target was named.
        columns: One report per column but the target, in table order.
        test_source: The test file, or None.
        test_rows: Its rows, or None.
        warnings: What to beware of.
    """

    source: str
    rows: int
    target: TargetReport | None
    columns: tuple[ColumnReport, ...]
    test_source: str | None
    test_rows: int | None
    warnings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON holds."""
        return asdict(self)


def inspect_table(
    config: DataConfig,
    problem_type: AskedProblemType | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Say what the table is, as training would take it.

    Args:
        config: Source, target ("" for none), test file, columns left out, kinds, folds.
        problem_type: Overrides what the target poses.
        tell: Called with what is being done.

    Raises:
        DataLoadError: a file is not a table.
        DataError: the target or a column cannot be learned from; names the file, the column and the value.
    """
    where = mask_secrets(config.source)
    tell(f"Reading {where}")
    frame = load_table(config.source, config.encoding)
    try:
        tell(f"Looking at {frame.shape[1]:,} columns of {len(frame):,} rows")
        target, settled, notes = _settled(frame, config, problem_type)
        labelled = settled.frame
        specs = infer_features(labelled, config.target, config.ignore, config.kinds, settled.formats)
        kept = tuple(spec for spec in specs if spec.kind != "ignore")
        y = np.empty(0) if target is None else target.encode(labelled[config.target])
        if target is not None and not target.classes:
            check_target(target.name, y)
        table = Table(labelled, kept, target, y)
        n_unlabelled = len(frame) - len(labelled)
        warnings = [
            *(Finding("reading", note) for note in notes),
            *_column_findings(labelled, specs, config),
            *_lost_findings(labelled, specs),
            *_target_findings(table, n_unlabelled, config),
        ]
        tell(f"Looking for repeated rows and order in {len(labelled):,} rows")
        warnings += [
            *find_identical(table),
            *find_repeats(table),
            *find_order(table, _ordering(labelled, specs)),
        ]
        warnings += find_leaks(table, tell)
    except DataError as error:
        raise type(error)(f"{where}: {error}") from error
    test = _load_test(config, tell)
    if test is not None:
        warnings += find_in_test(table, apply_formats(test, settled.formats), test)
    return Inspection(
        source=where,
        rows=len(frame),
        target=_describe_target(table.target, table.y, n_unlabelled) if table.target else None,
        columns=tuple(_describe(labelled[spec.name], spec) for spec in specs),
        test_source=config.test_source and mask_secrets(config.test_source),
        test_rows=None if test is None else len(test),
        warnings=tuple(warnings),
    )


def _settled(
    frame: pd.DataFrame, config: DataConfig, problem_type: AskedProblemType | None
) -> tuple[Target | None, SettledTable, list[str]]:
    if config.target:
        return read_table(frame, config, problem_type)
    return None, settle(frame, config), list(frame.attrs.get("notes", ()))


def _load_test(config: DataConfig, tell: Callable[[str], None]) -> pd.DataFrame | None:
    if config.test_source is None:
        return None
    tell(f"Reading {mask_secrets(config.test_source)}")
    return load_table(config.test_source, config.encoding)


def _ordering(frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> list[str]:
    """Columns that may tell the time; numbers that are left out are row numbers and the like."""
    return [s.name for s in specs if s.kind != "ignore" or not is_numeric_dtype(frame[s.name])]


def _describe(series: pd.Series, spec: FeatureSpec) -> ColumnReport:
    low, high = (None, None) if spec.kind in ("categorical", "boolean") else _range(series, spec.kind)
    return ColumnReport(
        name=spec.name,
        kind=spec.kind,
        missing=spec.n_missing,
        missing_share=spec.n_missing / len(series),
        distinct=spec.n_distinct,
        low=low,
        high=high,
        frequent=_frequent(series) if spec.kind in ("categorical", "boolean") else (),
        examples=spec.examples,
        note=spec.note,
        format=spec.written,
    )


def _range(series: pd.Series, kind: str) -> tuple[Any, Any]:
    dates = as_dates(series)
    if dates is not None:
        days = (dates.min(), dates.max())
        return tuple(
            None if pd.isna(day) else day.isoformat(" ", "auto").removesuffix(" 00:00:00") for day in days
        )
    if kind == "ignore" and not is_numeric_dtype(series):
        return None, None
    values = as_numbers(series)
    values = values[np.isfinite(values)]
    if not len(values):
        return None, None
    return _plain(values.min()), _plain(values.max())


def _plain(value: float) -> float | int:
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else float(value)


def _frequent(series: pd.Series) -> tuple[Frequency, ...]:
    codes, values = factorise(series, f"column {str(series.name)!r}")
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    first = np.argsort(-counts, kind="stable")[:N_FREQUENT]
    return tuple(Frequency(to_text(values[k]), int(counts[k]), float(counts[k] / len(series))) for k in first)


def _describe_target(target: Target, y: np.ndarray, n_missing: int) -> TargetReport:
    classes: tuple[Frequency, ...] = ()
    statistics: dict[str, float] = {}
    if target.classes:
        counts = np.bincount(y, minlength=len(target.classes)).tolist()
        classes = tuple(Frequency(c, n, n / len(y)) for c, n in zip(target.classes, counts, strict=True))
    else:
        quantiles = {f"p{q * 100:.0f}": v for q, v in zip(QUANTILES, np.quantile(y, QUANTILES), strict=True)}
        statistics = {"mean": y.mean(), "std": y.std(), "min": y.min(), **quantiles, "max": y.max()}
        statistics = {name: float(value) for name, value in statistics.items()}
    return TargetReport(target.name, target.problem_type, n_missing, classes, statistics)


def _column_findings(
    frame: pd.DataFrame, specs: Iterable[FeatureSpec], config: DataConfig
) -> Iterable[Finding]:
    ignored = {*config.ignore, *(name for name, kind in config.kinds.items() if kind == "ignore")}
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
    ids = [s for s in kept if s.kind == "numeric" and _looks_like_id(frame[s.name], s.n_distinct)]
    advice = f"if it names the row, leave out with {_ignore(ids)}"
    yield from _list("id_like", "another whole number in nearly every row", ids, advice)


def _lost_findings(frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> Iterable[Finding]:
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


def _target_findings(table: Table, n_missing: int, config: DataConfig) -> Iterable[Finding]:
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
