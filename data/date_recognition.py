"""Finds out how the dates of a column are written, from all of its distinct values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from data.dates import MISSING_DATE_TEXT, is_no_date
from data.datetext import EPOCH_FORMS, EXAMPLES, FORMS, DateText, read_form, unread
from data.messages import show_list
from data.number_recognition import NUMBERS_PER_WORD, SAYING_MISSING, spread
from data.values import MISSING_TEXT, is_number

# A column of whole numbers is of dates where so many different ones are all dates, or where its name says so.
MANY_DATES = 12
TIME_NAME = re.compile(
    r"(.*[\W_])?(time|timestamp|ts|date|datetime|day|month|period|epoch|unix\w*|created|updated|modified|at|since|seen|"
    r"opened|closed|start|end|when|yyyymm(dd)?|ymd?|dt|일자|날짜|시간|일시|년월|日期|時間|时间)([\W_].*)?|.*[a-z](At|On|Time|Date)",
    re.IGNORECASE,
)
CAMEL_NAME = re.compile(r".*[a-z](At|On|Time|Date|Timestamp)")
# Of seconds since 1970: balance_at_end is none.
EPOCH_NAME = re.compile(
    r"(.*[\W_])?(time|timestamp|ts|datetime|date|epoch|unix\w*|created|updated|modified|일시|시간|時間|时间)|"
    r"(time|timestamp|ts|created|updated|modified)[\W_].*|.*[\W_](at|on)",
    re.IGNORECASE,
)
YEARS = (1900, 2100)
EPOCH_YEARS = (1990, 2050)
# Two digits of a year between points or dashes are as likely a version: 1.10.12.
SHORT_YEAR = re.compile(r"\d{1,2}([-.])\d{1,2}\1\d\d\b.*")
SURE_SHORT_YEAR = re.compile(r"\d\d([-.])\d\d\1\d\d\b.*")
# A decimal number rather than a month.
DECIMAL_MONTH = re.compile(r"\d{4}\.\d{1,2}|\d{1,2}\.\d{4}")
WHOLE = re.compile(r"\d{6,20}(\.0+)?", re.ASCII)
N_TRIED = 40
FAR_YEARS = 40
ORDERS = ("dmy", "mdy", "yymd")
OTHERWISE = {
    "dmy": ("day first", "01/31/2024 or yy-mm-dd"),
    "mdy": ("month first", "31/01/2024"),
    "yymd": ("year first", "31/01/24"),
}


@dataclass(frozen=True)
class Dates:
    """What was found of a column.

    Attributes:
        text: How its dates are written; None where they are no dates, or in no order that can be told.
        note: What the user should know of it; empty where there is nothing to say.
        maybe: Whether the note says only that numbers may be dates, too.
    """

    text: DateText | None
    note: str = ""
    maybe: bool = False


def recognise_dates(values: Sequence[Any], name: str, asked: bool = False) -> Dates:
    """How the distinct values of a column of texts or whole numbers are written, where they are dates.

    Args:
        values: Distinct values, none missing.
        name: The column's name, which tells moments from other numbers.
        asked: Whether the user says that they are dates.
    """
    texts = _texts(values)
    marks = sorted({str(value).strip() for value in values if is_no_date(value)} - MISSING_TEXT)
    found = _recognise(texts, name, asked)
    if found.text is None or not marks:
        return found
    return replace(found, note="; ".join(filter(None, [found.note, f"{show_list(marks)} read as missing"])))


def _recognise(texts: list[str], name: str, asked: bool) -> Dates:
    if not texts or not _may_be_dates(spread(texts), asked):
        return Dates(None)
    if all(WHOLE.fullmatch(text) for text in spread(texts)):
        return _of_numbers(texts, name, asked)
    return _of_texts(texts, asked)


def most_likely_dates(values: Sequence[Any]) -> DateText:
    """What reads most values where nothing reads all, so that the odd one is blamed."""
    texts = [value if isinstance(value, str) else str(value) for value in spread(values)]
    counts = {form: sum(read_form(text.strip(), form) is not None for text in texts) for form in FORMS}
    return DateText((max(counts, key=lambda form: counts[form]),))


def _texts(values: Sequence[Any]) -> list[str]:
    """The values as texts without outer blanks; none where one is something else."""
    if not all(isinstance(value, str) or (is_number(value) and value == value // 1) for value in values):
        return []
    texts = (value.strip() if isinstance(value, str) else str(int(value)) for value in values)
    return list(dict.fromkeys(text for text in texts if text not in MISSING_DATE_TEXT))


def _may_be_dates(texts: Sequence[str], asked: bool) -> bool:
    tried = texts[:: max(1, len(texts) // N_TRIED)]
    n_read = sum(bool(_forms_of(text, asked)) or bool(WHOLE.fullmatch(text)) for text in tried)
    return n_read > 0 and (asked or 2 * n_read >= len(tried))


def _forms_of(text: str, asked: bool) -> list[str]:
    """Forms in which a text is a date, numbers aside, and versions too where nobody asked for dates."""
    version = SHORT_YEAR.fullmatch(text) and not SURE_SHORT_YEAR.fullmatch(text)
    if not asked and (version or DECIMAL_MONTH.fullmatch(text)):
        return []
    numbers = ("compact", "compact_ym") if text.isdigit() else ("compact_ym",)
    return [form for form in FORMS if form not in numbers and read_form(text, form)]


def _of_numbers(texts: list[str], name: str, asked: bool) -> Dates:
    for form in ("compact", "compact_ym", *EPOCH_FORMS):
        years = EPOCH_YEARS if form in EPOCH_FORMS else YEARS
        named = (EPOCH_NAME if form in EPOCH_FORMS else TIME_NAME).fullmatch(name.strip()) is not None
        named |= CAMEL_NAME.fullmatch(name.strip()) is not None
        read = [text for text in texts if _within(read_form(text, form), years)]
        words = [text for text in texts if text not in set(read)]
        enough = asked or named or (form not in EPOCH_FORMS and len(read) >= MANY_DATES)
        if enough and _are_few(words, len(read)) and len(read) > 1:
            return Dates(DateText((form,), tuple(sorted(words))), _said((form,), words))
        if form in EPOCH_FORMS and not words and len(read) >= MANY_DATES:
            units = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
            note = f"may be {units[form.partition('_')[2]]} since 1970: kind datetime reads them so"
            return Dates(None, note, maybe=True)
    return Dates(None)


def _within(moment: datetime | None, years: tuple[int, int]) -> bool:
    return moment is not None and years[0] <= moment.year <= years[1]


def _are_few(words: Sequence[str], n_dates: int) -> bool:
    telling = [word for word in words if word.casefold() not in SAYING_MISSING]
    return n_dates > 0 and len(telling) * NUMBERS_PER_WORD <= n_dates


def _of_texts(texts: list[str], asked: bool) -> Dates:
    """The one form that reads all, or the few that read all between them."""
    forms: list[str] = []
    rest, ambiguous = texts, False
    while rest and len(forms) < 3:  # noqa: PLR2004 - more than three ways to write a date are no way
        form, ambiguous_here = _best_form(rest, asked)
        if form is None or len({form, *forms} & set(ORDERS)) > 1:
            break
        forms.append(form)
        ambiguous |= ambiguous_here
        rest = unread(rest, form)
    both = "dmy" in forms and any(read_form(text, "mdy") for text in rest)
    both |= "mdy" in forms and any(read_form(text, "dmy") for text in rest)
    if both and not _are_few(rest, len(texts) - len(rest)):
        shown = show_list([next(t for t in texts if read_form(t, forms[0])), rest[0]], 2)
        return Dates(
            None, f"dates with the day first and with the month first: {shown}; write them in one order"
        )
    if not forms or not _are_few(rest, len(texts) - len(rest)):
        return Dates(None, _strangers(texts, rest) if forms else "")
    note = "; ".join(filter(None, [_said(tuple(forms), rest), _centuries(texts, forms)]))
    if ambiguous:
        order, other = OTHERWISE[next(form for form in forms if form in ORDERS)]
        example = next(
            text for text in texts if sum(read_form(text, form) is not None for form in ORDERS) > 1
        )
        note = "; ".join(
            filter(None, [note, f"{example!r} could be read in another order: taken for {order}; "
                          f"data.formats={{...: {other}}} says otherwise"])
        )  # fmt: skip
    return Dates(DateText(tuple(forms), tuple(sorted(rest))), note)


def _centuries(texts: Sequence[str], forms: Sequence[str]) -> str:
    """What two digits of a year were read as, where they are of two centuries."""
    short = [text for text in spread(texts) if not re.search(r"\d{4}", text)]
    read = (read_form(text, form) for text in short for form in forms)
    years = sorted({moment.year for moment in read if moment is not None})
    if not years or years[-1] - years[0] < FAR_YEARS:
        return ""
    return f"two digits of a year are read as {years[0]} to {years[-1]}: write four where that is wrong"


def _best_form(texts: list[str], asked: bool) -> tuple[str | None, bool]:
    """The form that reads most of them, and whether another order of day and month reads as many."""
    sample = texts if len(texts) <= 2 * N_TRIED else list(spread(texts))
    counts = dict.fromkeys((form for form in FORMS if form != "compact_ym"), 0)
    for text in sample:
        for form in _forms_of(text, asked):
            counts[form] += 1
    best = max(counts, key=lambda form: counts[form])
    if not counts[best]:
        return None, False
    return _ordered(texts, sample) if best in ORDERS else (best, False)


def _ordered(texts: list[str], sample: list[str]) -> tuple[str, bool]:
    """Which of day, month and year is first, and whether that is not certain."""
    n = {order: sum(read_form(text, order) is not None for text in texts) for order in ORDERS}
    orders = [order for order in ORDERS if n[order] == max(n.values())]
    if len(orders) == 1:
        return orders[0], False
    if "yymd" in orders:  # a year comes again more often than a day does
        first, last = ({re.split(r"\D+", text)[place] for text in sample} for place in (0, 2))
        if len(first) < len(last):
            return "yymd", True
        orders.remove("yymd")
    if len(orders) == 1:
        return orders[0], True
    slashes = sum("/" in text for text in sample)
    return ("mdy" if 2 * slashes > len(sample) else "dmy"), True


def _strangers(texts: list[str], rest: list[str]) -> str:
    few = len(rest) * 4 <= len(texts)
    return f"all dates but for {show_list(rest, 3)}" if few else ""


def _said(forms: tuple[str, ...], words: Sequence[str]) -> str:
    said = []
    if forms != ("ymd",):
        order = {"dmy": ", day first", "mdy": ", month first"}
        said.append("dates like " + " and ".join(EXAMPLES[form] + order.get(form, "") for form in forms))
    if len(forms) > 1:
        said[0] += " (in several forms)"
    if words:
        said.append(f"{show_list(words)} read as missing")
    return "; ".join(said)
