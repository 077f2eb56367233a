"""Looks at a table before anything is trained: what each column is, how the target is spread, what to beware of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from configs.schema import AskedProblemType, DataConfig, ProblemType
from configs.sources import mask_secrets
from data.cell_findings import MOST_ROWS, cell_findings
from data.column_findings import column_findings, find_ids, lost_findings, target_findings
from data.dataset import read_table, settle
from data.division import set_aside
from data.features import FeatureSpec, infer_features
from data.findings import Finding, Table, as_dates, as_numbers, find_in_test
from data.leaks import LEAK_ROWS
from data.messages import SAMPLED
from data.precision import check_target
from data.row_findings import row_findings
from data.settle import SettledTable, apply_formats
from data.sources import load_table
from data.target import Target
from data.values import factorise, is_numeric_dtype, to_text
from errors import DataError

N_FREQUENT = 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


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
        specs = set_aside(specs, config)
        kept = tuple(spec for spec in specs if spec.kind != "ignore")
        y = np.empty(0) if target is None else target.encode(labelled[config.target])
        if target is not None and not target.classes:
            check_target(target.name, y)
        table = Table(labelled, kept, target, y)
        n_unlabelled = len(frame) - len(labelled)
        warnings = [
            *(Finding("reading", note) for note in notes),
            *column_findings(labelled, specs, config),
            *lost_findings(labelled, specs),
            *target_findings(table, n_unlabelled, config),
            *cell_findings(table, config, find_ids(labelled, kept, config)),
            *row_findings(table, specs, config, tell),
            *_sampled(table),
        ]
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


def _sampled(table: Table) -> list[Finding]:
    """Says of a long table in how many rows was looked for what."""
    n_rows = len(table.frame)
    if n_rows <= MOST_ROWS:
        return []
    leaks = f"leaks in about {LEAK_ROWS:,} and " if table.target else ""
    message = f"{leaks}odd numbers and lost digits in {MOST_ROWS:,} of {n_rows:,} rows; all else in every row"
    return [Finding(SAMPLED, f"looked for {message}")]


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
