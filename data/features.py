"""Infers what each column is, and says why one is left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from data.cell_format import CellFormat
from data.dates import all_parts, show_dates
from data.datetext import DateText
from data.kinds import id_note, kind_of
from data.messages import did_you_mean, show, show_list
from data.numbertext import NumberText
from data.values import (
    convert,
    factorise,
    is_boolean,
    is_date_dtype,
    is_numeric_dtype,
    to_boolean,
    to_number,
)
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import ColumnKind

MAX_CATEGORIES = 1_000
N_EXAMPLES = 3
MAX_EXAMPLE_LENGTH = 40
# Told where so large a share of the rows holds one: mostly it stands for nothing there.
MAYBE_NAMES = ("NA", "N/A", "n/a", "null", "NULL")
MANY_WORDS = 0.05


@dataclass(frozen=True)
class FeatureSpec:
    """What a column is taken for.

    Attributes:
        name: Column name.
        kind: numeric, categorical, boolean, datetime, or ignore.
        n_missing: Cells without a value.
        n_distinct: Different values, missing aside.
        note: Why it is ignored, or what is unusual; empty where there is nothing to say.
        examples: The first few different values, as text.
        low, high: The smallest and the largest number, or the first and the last date as text; None elsewhere.
        numbers: How its numbers are written, where they were texts.
        dates: How its dates are written, where they were texts or numbers.
    """

    name: str
    kind: ColumnKind
    n_missing: int
    n_distinct: int
    note: str
    examples: tuple[str, ...]
    low: float | str | None = None
    high: float | str | None = None
    numbers: NumberText | None = None
    dates: DateText | None = None

    @property
    def written(self) -> str:
        """A cell as the column has them; empty where it is what it is."""
        if self.dates is not None:
            return self.dates.example
        return self.numbers.example if self.numbers is not None else ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FeatureSpec:
        """What `asdict` and JSON described.

        Raises: KeyError, TypeError: the description is damaged.
        """
        formats = {
            "numbers": NumberText.from_json(content.get("numbers")),
            "dates": DateText.from_json(content.get("dates")),
        }
        return cls(**{**content, **formats, "examples": tuple(content["examples"])})


def infer_features(
    frame: pd.DataFrame,
    target: str,
    ignore: Collection[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, CellFormat] | None = None,
) -> tuple[FeatureSpec, ...]:
    """Say what every column but the target is.

    Args:
        frame: The training rows.
        target: Column to predict.
        ignore: Columns to leave out.
        kinds: Kinds that override the inferred ones. A constant or all missing column is ignored anyway.
        formats: How its columns were written, where that was settled on more rows than these; None: it is settled here.

    Raises: DataError: a name in ignore or kinds is not a column, a column holds lists or dicts, infinite
        values, or values that do not fit the kind asked for.
    """
    kinds = kinds or {}
    _check_names("ignore", ignore, frame, target)
    _check_names("kinds", kinds, frame, target)
    asked = dict(kinds) | dict.fromkeys(ignore, "ignore")
    if formats is None:
        from data.settle import settle_table  # noqa: PLC0415 - serving infers nothing

        settled = settle_table(frame, asked, {}, leave=[target])
        frame, formats = settled.frame, settled.formats
    names = [name for name in frame.columns if name != target]
    return tuple(_infer(frame[name], asked.get(name), formats.get(name, CellFormat())) for name in names)


def _check_names(key: str, names: Collection[str], frame: pd.DataFrame, target: str) -> None:
    for name in names:
        if name == target:
            raise DataError(f"data.{key}: {name!r} is the target, not a feature")
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise DataError(f"data.{key}: no column {name!r}{hint}; columns: {show_list(frame.columns)}")


def _infer(series: pd.Series, asked: ColumnKind | None, written: CellFormat) -> FeatureSpec:
    spec = _infer_kind(series, asked, written.note)
    if spec.kind not in ("numeric", "datetime"):
        return spec
    note = "; ".join(dict.fromkeys(filter(None, [written.note, spec.note])))
    return replace(spec, note=note, numbers=written.numbers, dates=written.dates)


def _infer_kind(series: pd.Series, asked: ColumnKind | None, note: str) -> FeatureSpec:
    if asked == "ignore":
        return _left_out(series, "ignored by configuration")
    if getattr(series.dtype, "kind", "O") == "m" and asked is None:
        return _left_out(series, "a duration; make numbers of it to use it")
    if is_date_dtype(series) and asked in (None, "datetime"):
        return _infer_dates(series)
    if is_numeric_dtype(series) and asked != "datetime":
        return _infer_numbers(series, asked)
    return _infer_objects(series, asked, note)


def _left_out(series: pd.Series, note: str) -> FeatureSpec:
    present = series.dropna()
    if present.dtype == object:  # lists and dicts cannot be counted as they are
        present = present.astype(str)
    return _spec(series, "ignore", note, int(series.isna().sum()), present.unique())


def _spec(
    series: pd.Series, kind: ColumnKind, note: str, n_missing: int, values: Sequence[Any]
) -> FeatureSpec:
    examples = tuple(str(value)[:MAX_EXAMPLE_LENGTH] for value in values[:N_EXAMPLES])
    return FeatureSpec(str(series.name), kind, n_missing, len(values), note, examples)


def _infer_dates(series: pd.Series) -> FeatureSpec:
    days = all_parts(series, _where(series))[:, 0]
    values = series.dropna().unique()
    n_missing = int(series.isna().sum())
    if len(values) <= 1:
        return _spec(series, "ignore", _nothing_to_learn(values, None), n_missing, values)
    return _with_range(_spec(series, "datetime", "", n_missing, values), days, None)


def _infer_numbers(series: pd.Series, asked: ColumnKind | None) -> FeatureSpec:
    numbers = convert(series, to_number, _where(series))
    values = series.dropna().unique()
    n_missing = int(series.isna().sum())
    if len(values) <= 1:
        return _spec(series, "ignore", _nothing_to_learn(values, asked), n_missing, values)
    if asked == "boolean":
        convert(series, to_boolean, _where(series))
    note = id_note(series, values) if asked is None else ""
    if note:
        return _spec(series, "ignore", note, n_missing, values)
    kind = asked or "numeric"
    spec = _spec(series, kind, _too_many(values) if kind == "categorical" else "", n_missing, values)
    return spec if kind == "categorical" else _with_range(spec, numbers, asked)


def _with_range(spec: FeatureSpec, numbers: np.ndarray, asked: ColumnKind | None) -> FeatureSpec:
    """The spec with its range, and with what reads as missing counted."""
    n_missing = int(np.isnan(numbers).sum())
    if n_missing == len(numbers):
        return replace(spec, kind="ignore", note=_nothing_to_learn((), asked), n_missing=n_missing)
    low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    if spec.kind == "datetime":
        shown = show_dates((low, high))
    else:
        shown = [int(number) if number.is_integer() else number for number in (low, high)]
    return replace(spec, n_missing=n_missing, low=shown[0], high=shown[1])


def _infer_objects(series: pd.Series, asked: ColumnKind | None, note: str) -> FeatureSpec:
    codes, values = factorise(series, _where(series))
    n_missing = int((codes < 0).sum())
    if len(values) <= 1:
        return _spec(series, "ignore", _nothing_to_learn(values, asked), n_missing, values)
    if asked is None:
        kind, note = kind_of(values, len(series) - n_missing, note)
    else:
        kind, note = _override(series, values, asked)
    if kind == "categorical":
        note = "; ".join(filter(None, [_too_many(values) or note, _words_for_missing(series)]))
    spec = _spec(series, kind, note, n_missing, values)
    if kind == "datetime":
        return _with_range(spec, all_parts(series, _where(series))[:, 0], asked)
    return _with_range(spec, convert(series, to_number, _where(series)), asked) if kind == "numeric" else spec


def _words_for_missing(series: pd.Series) -> str:
    """Words that may be names, Namibia's NA, and are taken for missing values."""
    texts = series[series.isin(MAYBE_NAMES)]
    if len(texts) < MANY_WORDS * len(series):
        return ""
    return f"{show_list(sorted(texts.unique()))} read as missing, in {len(texts):,} rows"


def _where(series: pd.Series) -> str:
    return f"column {show(str(series.name))}"


def _nothing_to_learn(values: Sequence[Any], asked: ColumnKind | None) -> str:
    note = "constant" if len(values) else "all missing"
    return f"{note}; the kind {asked} that was asked for has nothing to learn from" if asked else note


def _too_many(values: Sequence[Any]) -> str:
    if len(values) <= MAX_CATEGORIES:
        return ""
    return f"{len(values):,} different values; the {MAX_CATEGORIES:,} most frequent are kept"


def _override(series: pd.Series, values: list[Any], asked: ColumnKind) -> tuple[ColumnKind, str]:
    if asked == "numeric" and all(
        is_boolean(v) or str(v).strip().casefold() in ("true", "false") for v in values
    ):
        return "boolean", "true and false are the numbers 1 and 0"
    if asked == "boolean":
        convert(series, to_boolean, _where(series))
    return asked, ""
