"""Numbers written as text, read in one way only: "1,234.5", "1.234,5", "12 %", "$5", "3 kg"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from data.values import LARGEST, MISSING_NUMBER_TEXT, to_number

if TYPE_CHECKING:
    import pyarrow as pa

Decimal = Literal[".", ","]

EXPONENT = r"(?:[eE][+-]?\d+)?"
# "-1.5" and "2e3"; and of these what is no code, such as 007 or more digits than any amount has.
PLAIN = rf"^-?(?:\d+\.?\d*|\.\d+){EXPONENT}$"
NO_CODE = rf"^-?(?:(?:0|[1-9]\d{{0,18}})(?:\.\d*)?|\.\d+){EXPONENT}$"
# Between thousands, and never anything else: blanks (a narrow one, one that does not break) and apostrophes.
BLANKS = " \u00a0\u202f\u2009"
APOSTROPHES = "'\u2019"
DIGITS = rf"\d(?:[\d.,{BLANKS}{APOSTROPHES}]*[\d.,])?"
# sign, what stands before the number, sign, number, what stands after it; (5) is -5, as bookkeepers write it.
PARTS = re.compile(
    rf"(?P<sign>[+\-\u2212]?)[{BLANKS}]*(?P<before>[^\d.,+\-\u2212()\s]{{0,4}}\.?)[{BLANKS}]*"
    rf"(?P<inner>[+\-\u2212]?)[{BLANKS}]*(?P<number>(?:{DIGITS}|[.,]\d+){EXPONENT})"
    rf"(?P<behind>-)?(?P<after>[{BLANKS}]*[^\d\s.,+\-\u2212()'][^\d.,+()]{{0,11}})?",
    re.ASCII,
)
# Without its sign, .12 may be 12 %.
SHARES = ("%", "‰")
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
# Longer texts are no numbers: what a pattern does to a text grows faster than the text.
MAX_LENGTH = 400
CURRENCY_SIGNS = frozenset("$€£¥₩₹₽₺₫₴₪฿₦")
CURRENCY_CODES = frozenset(
    {"USD", "EUR", "GBP", "JPY", "KRW", "CNY", "INR", "CHF", "CAD", "AUD", "SEK", "NOK", "DKK", "PLN", "CZK"}
    | {
        "BRL",
        "MXN",
        "RUB",
        "TRY",
        "ZAR",
        "SGD",
        "HKD",
        "NZD",
        "US$",
        "R$",
        "A$",
        "C$",
        "Fr.",
        "Rs.",
        "Rs",
        "kr",
    }
)
# Units that are written against their number; after a blank, any word that stands behind every number is one.
MAGNITUDES = frozenset(
    {
        "k",
        "K",
        "m",
        "M",
        "mn",
        "mm",
        "MM",
        "b",
        "B",
        "bn",
        "Mio",
        "Mio.",
        "Mrd",
        "Mrd.",
        "Tsd",
        "Tsd.",
        "Tsd. €",
        "T",
        "tr",
    }
    | {
        "thousand",
        "million",
        "millions",
        "billion",
        "billions",
        "trillion",
        "lakh",
        "crore",
        "cr",
        "mil",
        "천",
        "만",
        "억",
    }
)
UNITS = frozenset(
    {
        "%",
        "‰",
        "원",
        "円",
        "元",
        "kg",
        "g",
        "mg",
        "t",
        "lb",
        "lbs",
        "oz",
        "km",
        "m",
        "cm",
        "mm",
        "mi",
        "ft",
        "in",
    }
    | {
        "l",
        "L",
        "ml",
        "h",
        "min",
        "s",
        "ms",
        "°",
        "°C",
        "°F",
        "C",
        "K",
        "W",
        "kW",
        "kWh",
        "MWh",
        "V",
        "A",
        "Hz",
    }
    | {
        "GHz",
        "MHz",
        "MB",
        "GB",
        "TB",
        "kB",
        "KB",
        "px",
        "bp",
        "bps",
        "m²",
        "m2",
        "km/h",
        "mph",
        "hp",
        "PS",
        "cc",
    }
)


@dataclass(frozen=True)
class NumberText:
    """How the numbers of a column are written.

    Attributes:
        decimal: The decimal mark.
        unit: A percent or currency sign, or a unit, around the numbers: "12%" is read as 12; empty for none.
        words: Texts that stand for a missing number.
        thousands: Whether the other of the two marks was seen between thousands. None: nobody looked, it counts as
            seen. Where it was not, a cell that could also be a decimal number ("1,234") is refused.
    """

    decimal: Decimal = "."
    unit: str = ""
    words: tuple[str, ...] = ()
    thousands: bool | None = None

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> NumberText | None:
        """What `asdict` and JSON described.

        Raises: KeyError, TypeError: the description is damaged.
        """
        return None if content is None else cls(**{**content, "words": tuple(content["words"])})

    @property
    def example(self) -> str:
        """A number written so."""
        other = "," if self.decimal == "." else "."
        number = f"1{other if self.thousands is not False else ''}234{self.decimal}5"
        if self.unit in CURRENCY_SIGNS:
            return f"{self.unit}{number}"
        return f"{number} {self.unit}".strip() if self.unit != "%" else f"{number}%"

    def read(self, value: Any) -> float:
        """A number, or a text that reads as one; the unit may be left out. NaN where missing.

        Raises: ValueError: anything else; the text is a reason.
        """
        if not isinstance(value, str):
            return to_number(value)
        text = value.strip()
        if text in MISSING_NUMBER_TEXT or text in self.words:
            return math.nan
        if INFINITE.fullmatch(text):
            return to_number(text)
        unit, number = split_unit(text)
        if number in MISSING_NUMBER_TEXT and unit == self.unit:
            return math.nan
        bare_share = not unit and self.unit in SHARES and self.thousands is not None
        if unit not in ("", self.unit) or bare_share or not fits(number, self.decimal, self.thousands):
            raise ValueError(f"is not a number as the others are written, like {self.example!r}")
        return to_number(plain(number, self.decimal))

    def read_all(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of distinct texts, and which of them cannot be read.

        Shape: texts (n,), none null -> float64 (n,), NaN where missing or unreadable; bool (n,).
        """
        values, known = self._read_regular(texts)
        bad = np.zeros(len(values), dtype=bool)
        for place in np.flatnonzero(~known):
            try:
                values[place] = self.read(texts[place].as_py())
            except ValueError:
                values[place], bad[place] = math.nan, True
        return values, bad

    def _read_regular(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """What all but odd texts are, a million of them in a moment: as read, or not known."""
        import pyarrow as pa  # noqa: PLC0415 - not on the way of one record
        import pyarrow.compute as pc  # noqa: PLC0415 - likewise

        if self.decimal == "." and not self.unit and self.thousands is False:
            return read_plain(texts)
        number, unit = (
            _number(self.decimal, self.thousands).pattern.removeprefix("[+-]?"),
            re.escape(self.unit),
        )
        before = rf"(?:{unit})? ?" if self.unit in CURRENCY_SIGNS | CURRENCY_CODES else ""
        bare = rf"^[+-]?{before}(?:{number})$"
        if self.unit in SHARES and self.thousands is not None:
            bare = "^$"  # none: a share without its sign is refused
        known = pc.match_substring_regex(texts, bare)
        if unit and self.unit not in ("e", "E"):
            known = pc.or_(known, pc.match_substring_regex(texts, rf"^[+-]?(?:{number}) ?{unit}$"))
        digits = pc.if_else(known.fill_null(False), texts, pa.scalar(None, texts.type))
        for mark in (self.unit, *BLANKS, *APOSTROPHES, "+", "," if self.decimal == "." else "."):
            digits = pc.replace_substring(digits, mark, "") if mark else digits
        return read_plain(pc.replace_substring(digits, ",", "."))


def read_plain(texts: pa.Array, pattern: str = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of texts such as "-1.5" and "2e3", and which of the texts are such.

    Args:
        texts: The texts; null is none.
        pattern: Which texts are read, of those that are such.

    Shape: (n,) -> float64 (n,), bool (n,).
    """
    import pyarrow as pa  # noqa: PLC0415 - not on the way of one record
    import pyarrow.compute as pc  # noqa: PLC0415 - likewise

    known = pc.match_substring_regex(texts, pattern).fill_null(False)
    numbers = pc.cast(pc.if_else(known, texts, pa.scalar(None, texts.type)), pa.float64())
    values = numbers.fill_null(math.nan).to_numpy(zero_copy_only=False).copy()
    return values, known.to_numpy(zero_copy_only=False) & (np.abs(values) <= LARGEST)


def split_unit(text: str) -> tuple[str, str]:
    """The unit before or after a number, and the number; no unit where the text is something else."""
    if len(text) > MAX_LENGTH:
        return "", text
    bookkept = len(text) > 2 and text[0] == "(" and text[-1] == ")"  # noqa: PLR2004 - both brackets
    match = PARTS.fullmatch(text[1:-1].strip() if bookkept else text)
    if match is None:
        return _only_unit(text)
    before, after = match["before"].strip(), (match["after"] or "").strip(BLANKS)
    sign, inner = match["sign"], match["inner"] + (match["behind"] or "")
    spaced = (match["after"] or "")[:1] in BLANKS and bool(after)
    if (before and after) or len(sign + inner) > 1 or (bookkept and (sign or inner)):
        return "", text
    if not _is_unit(before, after, spaced):
        return "", text
    minus = "-" if bookkept or "-" in (sign + inner) or "\u2212" in (sign + inner) else ""
    return before or after, minus + match["number"].strip()


def _is_unit(before: str, after: str, spaced: bool) -> bool:
    if before:
        return before in CURRENCY_SIGNS or before in CURRENCY_CODES or before.upper() in CURRENCY_CODES
    if after.removesuffix(".") in MAGNITUDES:  # they multiply, which leaving them out would not
        return False
    known = after in CURRENCY_SIGNS or after.upper() in CURRENCY_CODES or after in UNITS
    return not after or known or (spaced and "\n" not in after)


def _only_unit(text: str) -> tuple[str, str]:
    """A currency sign with a mark of nothing: "$ -"."""
    for sign in (text[:1], text[-1:]):
        rest = text.strip(sign).strip() if sign in CURRENCY_SIGNS | {"%", "원"} else "x"
        if rest in MISSING_NUMBER_TEXT:
            return sign, rest
    return "", text


def _number(decimal: str, thousands: bool | None) -> re.Pattern[str]:
    """What a number with that decimal mark looks like; the other mark is always read where it can be one thing only."""
    mark, other = re.escape(decimal), re.escape("," if decimal == "." else ".")
    first = r"[1-9]\d{0,2}"
    grouped = rf"{first}(?:{other}\d{{3}}){{2,}}(?:{mark}\d*)?|{first}(?:{other}\d{{3}})+{mark}\d+"
    if thousands is not False:
        grouped += rf"|{first}(?:{other}\d{{3}})+{mark}?"
    blanks = "|".join(rf"{first}(?:{blank}\d{{3}})+(?:{mark}\d*)?" for blank in (*BLANKS, *APOSTROPHES))
    indian = r"[1-9]\d?(?:,\d\d)+,\d{3}(?:\.\d*)?|" if decimal == "." and thousands is not False else ""
    return re.compile(rf"[+-]?(?:\d+(?:{mark}\d*)?|{mark}\d+|{grouped}|{indian}{blanks}){EXPONENT}", re.ASCII)


PATTERNS = {(mark, seen): _number(mark, seen) for mark in (".", ",") for seen in (None, True, False)}


def fits(number: str, decimal: Decimal, thousands: bool | None = None) -> bool:
    """Whether a text without a unit is a number with that decimal mark."""
    return len(number) <= MAX_LENGTH and PATTERNS[decimal, thousands].fullmatch(number) is not None


def is_another_number(text: str) -> bool:
    """Whether a text is a number in some notation, with or without a unit."""
    number = split_unit(text.strip())[1]
    return any(digit.isdigit() for digit in number) and (fits(number, ".") or fits(number, ","))


def plain(number: str, decimal: Decimal) -> str:
    """The number as Python reads it."""
    for mark in (*BLANKS, *APOSTROPHES, "," if decimal == "." else "."):
        number = number.replace(mark, "")
    return number.replace(",", ".")
