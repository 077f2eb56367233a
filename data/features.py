"""Infers what each column is, and says why one is left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data.messages import did_you_mean, show_list
from data.values import (
    MISSING_NUMBER_TEXT,
    convert,
    factorise,
    is_boolean,
    is_number,
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
# A text column with more distinct values than this share of its rows says nothing about new rows.
MAX_DISTINCT_SHARE = 0.95
MIN_ROWS_TO_CALL_DISTINCT = 20
ROW_ID_NAME = re.compile(
    r"(.*[\W_])?(id|uid|uuid|idx|index|row|rownum|no|nr|number|seq|key|번호|순번)|unnamed: \d+", re.IGNORECASE
)
CAMEL_CASE_ID_NAME = re.compile(r".*[a-z](ID|Id|No|Idx|Index|Key)")


@dataclass(frozen=True)
class FeatureSpec:
    """What a column is taken for.

    Attributes:
        name: Column name.
        kind: numeric, categorical, boolean, or ignore.
        n_missing: Cells without a value.
        n_distinct: Different values, missing aside.
        note: Why it is ignored, or what is unusual; empty where there is nothing to say.
        examples: The first few different values, as text.
    """

    name: str
    kind: ColumnKind
    n_missing: int
    n_distinct: int
    note: str
    examples: tuple[str, ...]


def infer_features(
    frame: pd.DataFrame,
    target: str,
    ignore: Collection[str] = (),
    kinds: Mapping[str, ColumnKind] | None = None,
) -> tuple[FeatureSpec, ...]:
    """Say what every column but the target is.

    Args:
        frame: The training rows.
        target: Column to predict.
        ignore: Columns to leave out.
        kinds: Kinds that override the inferred ones. A constant or all missing column is ignored anyway.

    Raises: DataError: a name in ignore or kinds is not a column, a column holds lists or dicts, infinite
        values, or values that do not fit the kind asked for.
    """
    kinds = kinds or {}
    _check_names("ignore", ignore, frame, target)
    _check_names("kinds", kinds, frame, target)
    asked = dict(kinds) | dict.fromkeys(ignore, "ignore")
    return tuple(_infer(frame[name], asked.get(name)) for name in frame.columns if name != target)


def _check_names(key: str, names: Collection[str], frame: pd.DataFrame, target: str) -> None:
    for name in names:
        if name == target:
            raise DataError(f"data.{key}: {name!r} is the target, not a feature")
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise DataError(f"data.{key}: no column {name!r}{hint}; columns: {show_list(frame.columns)}")


def _infer(series: pd.Series, asked: ColumnKind | None) -> FeatureSpec:
    if asked == "ignore":
        return _left_out(series, "ignored by configuration")
    if getattr(series.dtype, "kind", "O") in "mM" and asked is None:
        return _left_out(series, "a date or duration; make numbers of it to use it")
    if is_numeric_dtype(series):
        return _infer_numbers(series, asked)
    return _infer_objects(series, asked)


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


def _infer_numbers(series: pd.Series, asked: ColumnKind | None) -> FeatureSpec:
    convert(series, to_number, _where(series))
    values = series.dropna().unique()
    n_missing = int(series.isna().sum())
    if len(values) <= 1:
        return _spec(series, "ignore", _nothing_to_learn(values, asked), n_missing, values)
    if asked == "boolean":
        convert(series, to_boolean, _where(series))
    if asked is None and _is_row_id(series, len(values)):
        return _spec(series, "ignore", "a row number: rises by 1 from row to row", n_missing, values)
    kind = asked or "numeric"
    return _spec(series, kind, _too_many(values) if kind == "categorical" else "", n_missing, values)


def _infer_objects(series: pd.Series, asked: ColumnKind | None) -> FeatureSpec:
    codes, values = factorise(series, _where(series))
    n_missing = int((codes < 0).sum())
    if len(values) <= 1:
        return _spec(series, "ignore", _nothing_to_learn(values, asked), n_missing, values)
    kind, note = _kind_of(values, len(series) - n_missing)
    if asked is not None:
        kind, note = _override(series, values, asked)
    return _spec(series, kind, note, n_missing, values)


def _where(series: pd.Series) -> str:
    return f"column {str(series.name)!r}"


def _nothing_to_learn(values: Sequence[Any], asked: ColumnKind | None) -> str:
    note = "constant" if len(values) else "all missing"
    return f"{note}; the kind {asked} that was asked for has nothing to learn from" if asked else note


def _is_row_id(series: pd.Series, n_distinct: int) -> bool:
    name = str(series.name).strip()
    if not (ROW_ID_NAME.fullmatch(name) or CAMEL_CASE_ID_NAME.fullmatch(name)):
        return False
    # Compared with the row's place in its file, which the index keeps when rows are withheld or shuffled.
    steps = series - series.index if is_numeric_dtype(series.index) else series
    return n_distinct == len(series) and steps.nunique() == 1


def _kind_of(values: list[Any], n_present: int) -> tuple[ColumnKind, str]:
    """Kind of a column that is not numeric by dtype, from its distinct values."""
    if all(is_boolean(value) for value in values):
        return "boolean", ""
    if all(is_number(value) for value in values):
        return "numeric", ""
    texts = {str(value).strip().casefold() for value in values}
    if texts in ({"true", "false"}, {"yes", "no"}):
        return "boolean", ""
    marks = [value for value in values if isinstance(value, str) and value.strip() in MISSING_NUMBER_TEXT]
    if marks and len(marks) < len(values) and all(_reads_as_number(value) for value in values):
        return "numeric", f"{show_list(marks)} read as missing"
    if n_present >= MIN_ROWS_TO_CALL_DISTINCT and len(values) > MAX_DISTINCT_SHARE * n_present:
        note = f"{len(values):,} different values in {n_present:,} rows: an id, a date or free text"
        return "ignore", note + _strangers(values)
    return "categorical", _too_many(values) or _strangers(values).removeprefix("; ")


def _reads_as_number(value: Any) -> bool:
    try:
        to_number(value)
    except ValueError:
        return False
    return True


def _strangers(values: list[Any]) -> str:
    """Warns of a numeric column that a few cells turned into text."""
    strangers = [value for value in values if not _reads_as_number(value)]
    if not strangers or len(strangers) > len(values) // 4:
        return ""
    return f"; all numbers but for {show_list(strangers, 3)}"


def _too_many(values: Sequence[Any]) -> str:
    if len(values) <= MAX_CATEGORIES:
        return ""
    return f"{len(values):,} different values; the {MAX_CATEGORIES:,} most frequent are kept"


def _override(series: pd.Series, values: list[Any], asked: ColumnKind) -> tuple[ColumnKind, str]:
    if asked == "numeric" and all(is_boolean(value) for value in values):
        return "boolean", "true and false are the numbers 1 and 0"
    if asked == "categorical":
        return asked, _too_many(values)
    convert(series, to_boolean if asked == "boolean" else to_number, _where(series))
    return asked, ""
