"""How a column is written, said by an example: `data.formats={price: "1.234,5", opened: "31/12/2024", code: text}`."""

from __future__ import annotations

import re

from data.date_recognition import ORDERS
from data.datetext import EPOCH_FORMS, EXAMPLES, FORMS, DateText, read_form
from data.messages import show
from data.numbertext import NumberText, fits, split_unit
from errors import ConfigError

TEXT = "text"
LETTERS = re.compile(r"[dmy]+(?:\W+[dmy]+)*", re.IGNORECASE)
ALLOWED = (
    "a number such as 1.234,5 or 1,234.5 or 12 %, a date such as 31/12/2024 or 12/31/2024 or 20241231, "
    f"{', '.join(EPOCH_FORMS)}, or {TEXT}"
)


def parse_example(column: str, example: str) -> NumberText | DateText | None:
    """What an example says; None: every cell is kept as text.

    Raises: ConfigError: it can be read in two ways, or in none.
    """
    text = example.strip()
    where = f"data.formats: column {show(column)}: {show(example)}"
    if text.casefold() == TEXT:
        return None
    if text in FORMS or text in EPOCH_FORMS:
        return DateText((text,))
    if LETTERS.fullmatch(text.replace("%", "")):
        return DateText((_order(text, where),))
    forms = [form for form in FORMS if read_form(text, form)]
    unit, number = split_unit(text)
    decimals = [decimal for decimal in (".", ",") if fits(number, decimal)]
    if not decimals:
        return DateText((_one_form(forms, where),))
    if forms in (["compact"], ["compact_ym"]):
        return DateText((forms[0],))
    if len(decimals) > 1 and re.search(r"[.,]", number):
        raise ConfigError(f"{where} can be read in two ways; with both marks it is clear: 1.234,5 or 1,234.5")
    decimal = decimals[0]
    return NumberText(decimal, unit)


def _one_form(forms: list[str], where: str) -> str:
    if not forms:
        raise ConfigError(f"{where} is no example of how a cell is written; allowed: {ALLOWED}")
    if len(set(forms) & set(ORDERS)) > 1:
        raise ConfigError(
            f"{where} can be read with the day or the month first, or the year; with a day above 12 and four digits "
            "of a year it is clear, or as letters: yy-mm-dd"
        )
    return forms[0]


def _order(letters: str, where: str) -> str:
    """dd/mm/yyyy and %d.%m.%Y are dmy."""
    order = "".join(dict.fromkeys(re.sub(r"[^dmy]", "", letters.casefold())))
    compact = not re.search(r"[^dmy%]", letters.casefold())
    if order == "ymd" and "yyyy" not in letters.casefold() and "%Y" not in letters and not compact:
        return "yymd"
    names = {"ymd": "compact" if compact else "ymd", "ym": "compact_ym" if compact else "ym"}
    form = names.get(order, order)
    if form not in EXAMPLES:
        raise ConfigError(f"{where} is no order of day, month and year; allowed: {ALLOWED}")
    return form
