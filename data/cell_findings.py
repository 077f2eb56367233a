"""What is odd about the cells of single columns.

Values that stand for a missing one, codes read as amounts, one category in several spellings, columns that hardly vary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from configs.schema import DataConfig
from data.features import FeatureSpec
from data.findings import Finding, Table, as_dates, as_numbers
from data.messages import ignore, name_kind, percent, show, show_number
from data.values import factorise

# So many rows tell of a column's numbers.
MOST_ROWS = 100_000
N_LISTED = 12
# A number is told of where it stands in so many rows, and so large a share of them.
LEAST_ROWS, LEAST_SHARE = 3, 0.001
# It is far from the others where the gap is more than this share of what these span.
FAR = 0.5
# The one negative number among so many different ones.
MANY_NUMBERS = 10
NINES = re.compile(r"-?(?:9{2,}|8{3,})|-[1-9]0{2,}|-9")
DATES = ("0001-01-01", "1753-01-01", "1899-12-30", "1899-12-31", "1900-01-01", "1970-01-01", "2099-12-31")
DATES = (*DATES, "2100-01-01", "2999-12-31", "3000-01-01", "9999-01-01", "9999-12-31")
FAR_DAYS = 20 * 365
CODE_NAME = re.compile(
    r"(.*[\W_])?(zip|zip ?code|postal|postal ?code|post ?code|postleitzahl|plz|cep|"
    r"phone|phone ?(no|number)|tele(ph|f)one?|tel|mobile|"
    r"fax|code|fips|naics|sic|ean|upc|sku|isbn|ssn|iban)([\W_]\d)?|.*[a-z](Zip|Code|Phone)|.*(우편번호|전화번호|코드)",
    re.IGNORECASE,
)
CODE_DIGITS = 3
SAME_LENGTH = 0.9
MOST_SPELLINGS = 20_000
MOSTLY_ZERO = 0.9
NEAR_CONSTANT, ALL_BUT = 0.99, 0.9995
FEW_VALUES = 2


WHAT = {
    "sentinel": ("numbers or dates that may stand for a missing value", "if so, make these cells empty"),
    "code_as_number": (
        "read as amounts, but codes by their names and digits",
        "to learn from them as categories, add {kinds}",
    ),
    "near_constant": (
        "nearly every row has the same value",
        "check that the few others are meant, or leave out with {ignore}",
    ),
    "mostly_zero": ("nearly all zeros", "check that 0 is an amount there, and not a missing value"),
}


@dataclass(frozen=True)
class Counted:
    """The different numbers of a column, in order.

    Attributes:
        values: float64 (n_distinct,).
        rows: Rows that have each, (n_distinct,).
        n_rows: All rows, missing ones included.
    """

    values: np.ndarray
    rows: np.ndarray
    n_rows: int


def cell_findings(table: Table, config: DataConfig, ids: Sequence[str] = ()) -> Iterable[Finding]:
    """Look at every column that would be learned from.

    Args:
        table: The table; of a long one some rows are looked at, and shares are theirs.
        config: Which kinds were asked for.
        ids: Columns that are told of as ids.
    """
    frame = table.frame.iloc[:: -(-len(table.frame) // MOST_ROWS) or 1]
    said: dict[str, dict[str, str]] = {code: {} for code in WHAT}
    for spec in table.kept:
        for code, text in _look(spec, frame[spec.name]):
            if text and not (code == "code_as_number" and (spec.name in ids or spec.name in config.kinds)):
                said[code][spec.name] = text
    for code, columns in said.items():
        if columns:
            yield _finding(code, columns)
    yield from _spellings(table)


def _look(spec: FeatureSpec, series: pd.Series) -> Iterable[tuple[str, str]]:
    """What is odd about a column, by its code; empty texts where nothing is."""
    if spec.kind == "datetime":
        yield "sentinel", _odd_dates(series)
        return
    if spec.kind == "numeric":
        counted = _count(as_numbers(series))
        yield "sentinel", _odd_numbers(counted)
        yield "code_as_number", f"{_length(counted)} digits" if _is_code(spec, counted) else ""
        names = [show_number(value) for value in _commonest(counted)]
    else:
        codes, values = factorise(series, f"column {show(spec.name)}")
        counted = _count(np.where(codes < 0, np.nan, codes).astype(np.float64))
        names = [show(values[int(code)]) for code in _commonest(counted)]
    for code in _rarely_varies(counted, spec.kind):
        share = counted.rows.max() / counted.n_rows
        yield code, f"{percent(share) if share < ALL_BUT else 'over 99.9%'} are {names[0]}"


def _finding(code: str, found: dict[str, str]) -> Finding:
    what, advice = WHAT[code]
    shown = [f"{show(name)} ({text})" for name, text in found.items()]
    rest = f" and {len(shown) - N_LISTED} more" if shown[N_LISTED:] else ""
    kinds = " ".join(name_kind(name, "categorical") for name in list(found)[:N_LISTED])
    advice = advice.format(kinds=kinds, ignore=ignore(list(found)))
    return Finding(code, f"{what}: {', '.join(shown[:N_LISTED])}{rest}; {advice}", tuple(found))


def _count(numbers: np.ndarray) -> Counted:
    values, rows = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    return Counted(values, rows, len(numbers))


def _odd_numbers(counted: Counted) -> str:
    """Numbers at an end that are written like -999 or 9999, repeated, and far from the others; empty where none is."""
    low, high = 0, len(counted.values) - 1
    odd = []
    while high - low > FEW_VALUES:
        for end, place in ((low, low + 1), (high, high - 1)):
            rest = counted.values[low + 1 : high + 1] if end == low else counted.values[low:high]
            if _is_odd(counted, end, abs(counted.values[end] - counted.values[place]), rest):
                odd.append(end)
                low, high = (low + 1, high) if end == low else (low, high - 1)
                break
        else:
            break
    if not odd:
        return ""
    shares = ", ".join(
        f"{show_number(counted.values[end])} in {percent(counted.rows[end] / counted.n_rows)} of the rows"
        for end in odd
    )
    return f"{shares}, all others {show_number(counted.values[low])} .. {show_number(counted.values[high])}"


def _is_odd(counted: Counted, end: int, gap: float, rest: np.ndarray) -> bool:
    value, rows = float(counted.values[end]), counted.rows[end]
    if rows < max(LEAST_ROWS, LEAST_SHARE * counted.n_rows) or not value.is_integer():
        return False
    alone = value < 0 <= rest[0] and len(rest) >= MANY_NUMBERS
    if value == -1:
        return alone and bool((rest == np.floor(rest)).all())
    return NINES.fullmatch(f"{value:.0f}") is not None and (alone or gap > FAR * (rest[-1] - rest[0]))


def _odd_dates(series: pd.Series) -> str:
    dates = as_dates(series)
    if dates is None:
        return ""
    days = dates.to_numpy("M8[us]").astype("M8[D]")
    values, rows = np.unique(days[~np.isnat(days)], return_counts=True)
    odd = [
        k
        for k, day in enumerate(values)
        if str(day) in DATES and rows[k] >= max(LEAST_ROWS, LEAST_SHARE * len(series))
    ]
    rest = np.delete(values, odd)
    if not odd or len(rest) <= FEW_VALUES:
        return ""
    first, last = rest[0], rest[-1]
    least = min(FAR_DAYS, int(FAR * (last - first).astype(int)))
    far = [
        k
        for k in odd
        if max(int((first - values[k]).astype(int)), int((values[k] - last).astype(int))) > least
    ]
    shares = ", ".join(f"{values[k]} in {percent(rows[k] / len(series))} of the rows" for k in far)
    return f"{shares}, all others {first} .. {last}" if far else ""


def _is_code(spec: FeatureSpec, counted: Counted) -> bool:
    """Whether the name says so, and nearly all numbers have as many digits, three or more."""
    if not CODE_NAME.fullmatch(spec.name.strip()) or not len(counted.values):
        return False
    whole = bool((counted.values == np.floor(counted.values)).all() and counted.values[0] >= 0)
    return whole and len(counted.values) > FEW_VALUES and _length(counted) >= CODE_DIGITS


def _length(counted: Counted) -> int:
    """How many digits nearly all numbers have; 0 where they differ."""
    digits = np.floor(np.log10(np.maximum(counted.values, 1))).astype(int) + 1
    rows = np.bincount(digits, counted.rows)
    return int(rows.argmax()) if rows.max() >= SAME_LENGTH * rows.sum() else 0


def _commonest(counted: Counted) -> np.ndarray:
    return counted.values[[int(counted.rows.argmax())]] if len(counted.values) else counted.values


def _rarely_varies(counted: Counted, kind: str) -> list[str]:
    if not len(counted.values):
        return []
    if counted.rows.max() >= NEAR_CONSTANT * counted.n_rows:
        return ["near_constant"]
    zeros = counted.rows[counted.values == 0].sum() if kind == "numeric" else 0
    is_zero = zeros >= MOSTLY_ZERO * counted.n_rows and len(counted.values) > FEW_VALUES
    return ["mostly_zero"] if is_zero else []


def _spellings(table: Table) -> Iterable[Finding]:
    """Categories, and classes, that differ in case, blanks or the form of letters alone."""
    names = [spec.name for spec in table.kept if spec.kind == "categorical"]
    names += [table.target.name] if table.target is not None and table.target.classes else []
    found = {name: text for name in names if (text := _spelled(table.frame[name]))}
    if found:
        shown = [f"{show(name)} {text}" for name, text in found.items()]
        rest = f" and {len(shown) - N_LISTED} more columns" if shown[N_LISTED:] else ""
        yield Finding(
            "spelling",
            "categories that differ in case or blanks only count as different: "
            f"{'; '.join(shown[:N_LISTED])}{rest}; write them alike if they are the same",
            tuple(found),
        )


def _spelled(series: pd.Series) -> str:
    codes, values = factorise(series, f"column {show(str(series.name))}")
    if len(values) > MOST_SPELLINGS:
        return ""
    groups: dict[str, list[int]] = {}
    for code, value in enumerate(values):
        if isinstance(value, str):
            plain = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
            groups.setdefault(plain, []).append(code)
    alike = [group for group in groups.values() if len(group) > 1]
    if not alike:
        return ""
    rows = np.bincount(codes[codes >= 0], minlength=len(values))
    alike.sort(key=lambda group: -sorted(rows[group])[-2])
    shown = [" and ".join(f"{show(values[k])} ({rows[k]:,} rows)" for k in group[:4]) for group in alike[:3]]
    return ", ".join(shown) + (f" and {len(alike) - 3} more" if len(alike) > 3 else "")  # noqa: PLR2004
