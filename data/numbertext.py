"""Numbers written as text: "1,234", "12%", "$5", "1.234,5"."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data.messages import show_list
from data.values import MISSING_NUMBER_TEXT, Converter, is_number, to_number

EXPONENT = r"(?:[eE][+-]?\d+)?"
POINT = re.compile(rf"[+-]?(?:\d+(?:\.\d*)?|\.\d+|[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?){EXPONENT}", re.ASCII)
COMMA = re.compile(rf"[+-]?(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+)(?:,\d+)?{EXPONENT}", re.ASCII)
# What no thousands separator and no list of choices looks like: 0,5 and 3,05 and 1.234,5.
SURELY_COMMA = re.compile(r"[+-]?(0,\d+|\d+,0\d*|\d{1,3}(\.\d{3})+,\d+)", re.ASCII)
CURRENCIES = frozenset("$€£¥₩")
UNITS = CURRENCIES | {"%", "원"}
DIGIT = re.compile(r"\d")
LEADING_ZERO = re.compile(r"[+-]?0\d")
NUMBER_LIKE = re.compile(r"[-+.,\deE]+", re.ASCII)
N_SPREAD = 200
# One word that is no number, among so many that are, stands for a missing one.
NUMBERS_PER_WORD = 20


@dataclass(frozen=True)
class NumberText:
    """How the numbers of a column are written.

    Attributes:
        decimal: The decimal mark; the other of the two separates thousands.
        unit: A percent or currency sign around every number: "12%" is read as 12; empty for none.
        words: Texts that stand for a missing number.
    """

    decimal: Literal[".", ","] = "."
    unit: str = ""
    words: tuple[str, ...] = ()

    def read(self, value: Any) -> float:
        """A number, or a text that reads as one; the unit may be left out. NaN where missing.

        Raises: ValueError: anything else; the text is a reason.
        """
        if not isinstance(value, str):
            return to_number(value)
        unit, number = _split_unit(value)
        if number in MISSING_NUMBER_TEXT or value.strip() in self.words:
            return math.nan
        if unit not in ("", self.unit) or not (POINT if self.decimal == "." else COMMA).fullmatch(number):
            raise ValueError("is not a number")
        number = number.replace(",", "") if self.decimal == "." else number.replace(".", "").replace(",", ".")
        return to_number(number)


def spread(values: Sequence[Any]) -> Sequence[Any]:
    """Some of the values, taken evenly."""
    return values[:: max(1, len(values) // N_SPREAD)]


def number_text(values: Sequence[Any]) -> NumberText | None:
    """How texts are written that were asked to be, or found to be, numbers; None where there are no texts.

    What recognise leaves open without being asked can only be a decimal comma or a leading zero.
    """
    if not any(isinstance(value, str) for value in values):
        return None
    return recognise(values, asked=True)[0] or _most_likely(spread(values))


def _most_likely(values: Sequence[Any]) -> NumberText | None:
    """What reads most values where nothing reads all, so that the odd one is blamed; None for plain numbers."""
    units = sorted({_split_unit(value)[0] for value in values if isinstance(value, str)} | {""})
    forms = [NumberText(decimal, unit) for unit in units for decimal in (".", ",")]
    readers = {None: to_number} | {form: form.read for form in forms}
    return max(readers, key=lambda form: sum(_reads(readers[form], value) for value in values))


def _reads(reader: Converter, value: Any) -> bool:
    try:
        reader(value)
    except ValueError:
        return False
    return True


def recognise(values: Sequence[Any], asked: bool = False) -> tuple[NumberText | None, str]:
    """How the distinct values of a column of texts are written, and a note for the user.

    Args:
        values: Distinct values, none missing.
        asked: Whether the user says that they are numbers, which settles what a comma is.

    Returns: None where they are not certainly numbers; the note is empty where nothing looks like one.
    """
    if not _may_be_numbers(values):
        return None, ""
    texts = dict.fromkeys(value.strip() for value in values if isinstance(value, str))
    split = {text: _split_unit(text) for text in texts if text not in MISSING_NUMBER_TEXT}
    words = [text for text, (_, number) in split.items() if not DIGIT.search(number)]
    numbers = {text: split[text] for text in split.keys() - words}
    n_plain = sum(not isinstance(value, str) for value in values)
    if not numbers or len(words) * NUMBERS_PER_WORD > len(numbers) + n_plain:
        return None, ""
    decimal, problem = _decimal([number for _, number in numbers.values()], asked)
    units = sorted({unit for unit, _ in numbers.values()})
    if decimal is not None and (len(units) > 1 or (units[0] == "%" and n_plain)):
        examples = {unit: text for text, (unit, _) in sorted(numbers.items())}
        decimal, problem = None, f"numbers with different units: {show_list(sorted(examples.values()), 3)}"
    if decimal is None:
        return None, problem
    found = NumberText(decimal, units[0], tuple(sorted(words)))
    missing = sorted(texts.keys() & MISSING_NUMBER_TEXT) + sorted(words)
    return found, _note(found, any("," in text for text in numbers), missing)


def _may_be_numbers(values: Sequence[Any]) -> bool:
    """What a look at some of a million texts settles for most columns."""
    texts = [value for value in spread(values) if isinstance(value, str)]
    numbers = [_split_unit(text)[1] for text in texts if text.strip() not in MISSING_NUMBER_TEXT]
    n_like = sum(bool(NUMBER_LIKE.fullmatch(number) and DIGIT.search(number)) for number in numbers)
    return 2 * n_like >= len(numbers) and all(isinstance(value, str) or is_number(value) for value in values)


def _split_unit(text: str) -> tuple[str, str]:
    """The percent or currency sign before or after a number, and the number."""
    text = text.strip()
    sign = text[:1] if text[:1] in ("+", "-") else ""
    body = text[len(sign) :].strip()
    if body[:1] in CURRENCIES:
        return body[0], sign + body[1:].strip()
    if body[-1:] in UNITS:
        return body[-1], sign + body[:-1].strip()
    return "", text


def _decimal(numbers: list[str], asked: bool) -> tuple[Literal[".", ","] | None, str]:
    """The decimal mark that reads all of them, if one does with certainty; else what stands in the way."""
    if any(LEADING_ZERO.match(number) for number in numbers) and not asked:
        return None, ""  # codes: 007 is not 7
    if all(POINT.fullmatch(number) for number in numbers):
        return ".", ""
    if not all(COMMA.fullmatch(number) for number in numbers):
        return None, ""
    if asked or any(SURELY_COMMA.fullmatch(number) for number in numbers):
        return ",", ""
    unclear = [number for number in numbers if not POINT.fullmatch(number)]
    return None, f"decimal commas, or lists? {show_list(unclear, 3)}; kind numeric reads decimal commas"


def _note(found: NumberText, with_commas: bool, missing: list[str]) -> str:
    said = []
    if found.decimal == ",":
        said.append("with decimal commas")
    elif with_commas:
        said.append("with commas between thousands")
    if found.unit:
        said.append(f"with {found.unit!r}, which is left out")
    note = " ".join(["numbers written as text", *said[:1]]) + "".join(f", {more}" for more in said[1:])
    return f"{note}; {show_list(missing)} read as missing" if missing else note
