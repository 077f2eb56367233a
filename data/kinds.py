"""Guesses the kind of a column from its distinct values, and says why one is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from data.dates import is_iso_date, is_no_date
from data.messages import show_list
from data.number_recognition import spread
from data.values import is_number, is_numeric_dtype, to_number

if TYPE_CHECKING:
    import pandas as pd

    from configs.schema import ColumnKind

# A text column with more distinct values than this share of its rows says nothing about new rows.
MAX_DISTINCT_SHARE = 0.95
MIN_ROWS_TO_CALL_DISTINCT = 20
# Texts of so many words, on average, are read and not looked up.
FREE_TEXT_WORDS = 3
# So large a share of strangers makes a column of texts, not one of numbers or dates with errors in it.
MAX_STRANGER_SHARE = 0.25
ROW_ID_NAME = re.compile(
    r"(.*[\W_])?(id|uid|uuid|idx|index|row|rownum|no|nr|number|seq|key|번호|순번)|unnamed: \d+", re.IGNORECASE
)
CAMEL_CASE_ID_NAME = re.compile(r".*[a-z](ID|Id|No|Idx|Index|Key)")
# Names that can't mean a quantity.
ID_NAME = re.compile(r"(.*[\W_])?(id|uid|uuid)|.*[a-z](ID|Id)|(?i:id|uid|uuid)")


def kind_of(values: list[Any], n_present: int, note: str = "") -> tuple[ColumnKind, str]:
    """The kind of a column that is neither of numbers nor of dates, and a note for the user.

    Args:
        values: Its distinct values, missing aside.
        n_present: Rows that have one.
        note: What was found where its format was settled.
    """
    if {str(value).strip().casefold() for value in values} in ({"true", "false"}, {"yes", "no"}):
        return "boolean", ""
    if all(is_number(value) for value in values):
        return "numeric", ""
    marks = [value for value in values if is_no_date(value)]
    if len(marks) < len(values) and all(is_iso_date(value) or is_no_date(value) for value in values):
        return "datetime", f"{show_list(marks)} read as missing" if marks else ""
    note = note or _strangers(values)
    if n_present >= MIN_ROWS_TO_CALL_DISTINCT and len(values) > MAX_DISTINCT_SHARE * n_present:
        about = f"{len(values):,} different values in {n_present:,} rows: {_what_texts(values)}"
        return "ignore", f"{about}; {note}" if note else about
    return "categorical", note


def id_note(series: pd.Series, values: Sequence[Any]) -> str:
    """Why a column of numbers by dtype is an id; empty where it is none."""
    name = str(series.name).strip()
    if ROW_ID_NAME.fullmatch(name) or CAMEL_CASE_ID_NAME.fullmatch(name):
        # Compared with the row's place in its file, which the index keeps when rows are withheld or shuffled.
        steps = series - series.index if is_numeric_dtype(series.index) else series
        if len(values) == len(series) and steps.nunique() == 1:
            return "a row number: rises by 1 from row to row"
    return _unique_ids(name, np.asarray(values, dtype=np.float64), len(series))


def _unique_ids(name: str, distinct: np.ndarray, n_rows: int) -> str:
    if n_rows < MIN_ROWS_TO_CALL_DISTINCT or not ID_NAME.fullmatch(name.strip()):
        return ""
    unique = len(distinct) == n_rows and bool((distinct == np.floor(distinct)).all())
    return f"an id: {n_rows:,} different whole numbers in {n_rows:,} rows" if unique else ""


def _what_texts(values: list[Any]) -> str:
    n_words = sum(len(str(value).split()) for value in values) / len(values)
    return "free text" if n_words >= FREE_TEXT_WORDS else "an id or free text"


def _strangers(values: list[Any]) -> str:
    """Warns of a column of numbers or dates that a few cells turned into text, and of dates in other forms."""
    for what, test in (("numbers", _reads_as_number), ("dates", is_iso_date)):
        if 2 * sum(map(test, spread(values))) < len(spread(values)):
            continue
        strangers = [value for value in values if not test(value)]
        if strangers and len(strangers) <= MAX_STRANGER_SHARE * len(values):
            return f"all {what} but for {show_list(strangers, 3)}"
    return ""


def _reads_as_number(value: Any) -> bool:
    try:
        to_number(value)
    except ValueError:
        return False
    return True
