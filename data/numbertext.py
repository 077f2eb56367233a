"""Numbers written as text: "1,234", "12%", "$5", "1.234,5"."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data.messages import show_list
from data.values import MISSING_NUMBER_TEXT, is_number, to_number

EXPONENT = r"(?:[eE][+-]?\d+)?"
POINT = re.compile(rf"[+-]?(?:\d+(?:\.\d*)?|\.\d+|[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?){EXPONENT}", re.ASCII)
COMMA = re.compile(rf"[+-]?(?:\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+)(?:,\d+)?{EXPONENT}", re.ASCII)
# What no thousands separator and no list of choices looks like: 0,5 and 3,05 and 1.234,5.
SURELY_COMMA = re.compile(r"[+-]?(0,\d+|\d+,0\d*|\d{1,3}(\.\d{3})+,\d+)", re.ASCII)
UNIT = re.compile(r"([+-]?)\s*([$€£¥₩]?)\s*([^%$€£¥₩원]*?)\s*([%$€£¥₩원]?)")
LEADING_ZERO = re.compile(r"[+-]?0\d")
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


def number_text(values: Sequence[Any]) -> NumberText | None:
    """How texts are written that were asked to be, or found to be, numbers; None where there are no texts.

    What recognise leaves open without being asked can only be a decimal comma or a leading zero.
    """
    return recognise(values, asked=True)[0] if any(isinstance(value, str) for value in values) else None


def recognise(values: Sequence[Any], asked: bool = False) -> tuple[NumberText | None, str]:
    """How the distinct values of a column of texts are written, and a note for the user.

    Args:
        values: Distinct values, none missing.
        asked: Whether the user says that they are numbers, which settles what a comma is.

    Returns: None where they are not certainly numbers; the note is empty where nothing looks like one.
    """
    texts = [value.strip() for value in values if isinstance(value, str)]
    if not all(isinstance(value, str) or is_number(value) for value in values):
        return None, ""
    marks = sorted({text for text in texts if text in MISSING_NUMBER_TEXT})
    split = {text: _split_unit(text) for text in texts if text not in MISSING_NUMBER_TEXT}
    words = tuple(sorted(text for text, (_, number) in split.items() if not re.search(r"\d", number)))
    numbers = {text: pair for text, pair in split.items() if text not in words}
    n_numbers = len(numbers) + len(values) - len(texts)
    if not numbers or len(words) * NUMBERS_PER_WORD > n_numbers:
        return None, ""
    decimal, problem = _decimal([number for _, number in numbers.values()], asked)
    units = sorted({unit for unit, _ in numbers.values()})
    if problem or decimal is None:
        return None, problem
    if len(units) > 1 or (units[0] == "%" and n_numbers > len(numbers)):
        return None, f"numbers with different units: {show_list(_one_of_each(numbers), 3)}"
    if any(LEADING_ZERO.match(number) for _, number in numbers.values()) and not asked:
        return None, ""  # codes: 007 is not 7
    found = NumberText(decimal, units[0], words)
    return found, _note(found, list(numbers.values()), [*marks, *words])


def _split_unit(text: str) -> tuple[str, str]:
    match = UNIT.fullmatch(text.strip())
    if match is None or (match[2] and match[4]):
        return "", text.strip()
    return match[2] or match[4], match[1] + match[3]


def _decimal(numbers: list[str], asked: bool) -> tuple[Literal[".", ","] | None, str]:
    """The decimal mark that reads all of them, if one does with certainty; else what stands in the way."""
    if all(POINT.fullmatch(number) for number in numbers):
        return ".", ""
    if not all(COMMA.fullmatch(number) for number in numbers):
        return None, ""
    if asked or any(SURELY_COMMA.fullmatch(number) for number in numbers):
        return ",", ""
    unclear = [number for number in numbers if not POINT.fullmatch(number)]
    return None, f"decimal commas, or lists? {show_list(unclear, 3)}; kind numeric reads decimal commas"


def _one_of_each(numbers: dict[str, tuple[str, str]]) -> list[str]:
    return list({unit: text for text, (unit, _) in numbers.items()}.values())


def _note(found: NumberText, numbers: list[tuple[str, str]], missing: list[str]) -> str:
    said = []
    if found.decimal == ",":
        said.append("with decimal commas")
    elif any("," in number for _, number in numbers):
        said.append("with commas between thousands")
    if found.unit:
        said.append(f"with {found.unit!r}, which is left out")
    note = " ".join(["numbers written as text", *said[:1]]) + "".join(f", {more}" for more in said[1:])
    return f"{note}; {show_list(missing)} read as missing" if missing else note
