"""Finds out how the numbers of a column of texts are written, from all of its distinct values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from data.messages import show_list
from data.numbertext import INFINITE, Decimal, NumberText, fits, split_unit
from data.values import MISSING_NUMBER_TEXT, MISSING_TEXT, is_number

DIGIT = re.compile(r"\d")
# Digits that are a name: 007, and more of them than any amount has.
CODE = re.compile(r"[+-]?(?:0\d+$|\d{20}|\d{3}(?: \d{3}){2,}$)")
TELEPHONE = re.compile(r"\+\d{2}[\d ]{7}")
# Four numbers up to 255 are an address.
ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")
NUMBER_LIKE = re.compile(r"[-+.,\deE '\u2019\u00a0\u202f]+", re.ASCII)
ONE_GROUP = {mark: re.compile(rf"[+-]?[1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}", re.ASCII) for mark in ".,"}
# A comma that may stand between two choices: "1,5", but not "0,5" and not "3,05".
MAYBE_LIST = re.compile(r"[1-9]\d?,[1-9]\d?", re.ASCII)
NINES = re.compile("9[09]*")
FEW_GROUPED = 5
# Of more distinct texts than these, one of each shape is looked at.
MANY_TEXTS = 2_000
N_SPREAD = 200
# So few texts that are no number, among those that are, stand for missing ones.
NUMBERS_PER_WORD = 20
# Words that say so themselves, however few numbers there are.
SAYING_MISSING = frozenset(
    {
        "unknown",
        "missing",
        "not available",
        "not applicable",
        "n.a.",
        "n. a.",
        "n/d",
        "nd",
        "nil",
        "tbd",
        "unbekannt",
    }
    | {"k.a.", "k. a.", "keine angabe", "s.o.", "inconnu", "desconocido", "없음", "미상", "不明", "未知"}
)


@dataclass(frozen=True)
class Numbers:
    """What was found of a column of texts.

    Attributes:
        text: How they are written; None where they are not numbers, or not certainly.
        note: What the user should know of it; empty where there is nothing to say.
        sure: Whether the decimal mark is certain from these values alone.
    """

    text: NumberText | None
    note: str = ""
    sure: bool = False


def spread(values: Sequence[Any]) -> Sequence[Any]:
    """Some of the values, taken evenly."""
    return values[:: max(1, len(values) // N_SPREAD)]


def recognise(values: Sequence[Any], asked: bool = False, hint: Decimal | None = None) -> Numbers:
    """How the distinct values of a column of texts are written.

    Of very many texts, one of each shape is looked at: digits are of one kind but for zeros at a beginning.

    Args:
        values: Distinct values, none missing.
        asked: Whether the user says that they are numbers, which settles what a comma is.
        hint: The decimal mark of the table's other columns, where that is certain.
    """
    if not _may_be_numbers(values):
        return Numbers(None)
    texts = [value for value in values if isinstance(value, str)]
    n_plain = len(values) - len(texts)
    if len(texts) <= MANY_TEXTS:
        return _recognise(dict.fromkeys((text.strip() for text in texts), 1), n_plain, asked, hint)
    shapes, members = _shapes(texts)
    found = _recognise(shapes, n_plain, asked, hint)
    if found.text is None or not found.text.words:
        return found
    odd = {text.strip() for word in found.text.words for text in members(word)}
    return replace(found, text=replace(found.text, words=tuple(sorted(odd))))


def _shapes(texts: Sequence[str]) -> tuple[dict[str, int], Callable[[str], list[str]]]:
    """One text of each shape with the number of those that have it, and what gives them all."""
    import pyarrow as pa  # noqa: PLC0415 - for tables alone
    import pyarrow.compute as pc  # noqa: PLC0415 - likewise

    column = pc.utf8_trim_whitespace(pa.array([_whole(text) for text in texts], pa.large_string()))
    encoded = pc.dictionary_encode(pc.replace_substring_regex(column, "[1-9]", "9"))
    codes = encoded.indices.to_numpy()
    nines = [NINES.sub(lambda m: "9" * len(m[0]), shape) for shape in encoded.dictionary.to_pylist()]
    places = {shape: place for place, shape in enumerate(dict.fromkeys(nines))}
    shape_of = np.array([places[shape] for shape in nines])[codes]
    _, first, counts = np.unique(shape_of, return_index=True, return_counts=True)
    texts_of = {column[int(place)].as_py(): code for code, place in enumerate(first)}

    def members(text: str) -> list[str]:
        return column.take(pa.array(np.flatnonzero(shape_of == texts_of[text]))).to_pylist()

    return dict(zip(texts_of, counts.tolist(), strict=True)), members


def _whole(text: str) -> str:
    """The text, without halves of characters, which a JSON escape can hold and Arrow cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _recognise(weights: dict[str, int], n_plain: int, asked: bool, hint: Decimal | None) -> Numbers:
    """As recognise.

    Args:
        weights: How many distinct texts each stands for.
        n_plain: Distinct values that are numbers by type.
        asked: As for recognise.
        hint: Likewise.
    """
    split = {
        text: split_unit(text)
        for text in weights
        if text not in MISSING_NUMBER_TEXT and not INFINITE.fullmatch(text)
    }
    unit, problem = _unit(split, weights, n_plain)
    if problem:
        return Numbers(None, problem)
    numbers = {text: number for text, (found, number) in split.items() if found in ("", unit)}
    readable = {text: n for text, n in numbers.items() if fits(n, ".") or fits(n, ",")}
    decimal, sure, note = _decimal(readable, weights, asked, hint) if readable else (None, False, "")
    if decimal is None:
        words = [text for text in split if text not in readable]
        return Numbers(None, note if _are_few(words, weights, n_plain + _n(readable, weights)) else "")
    rest = {text: number for text, number in readable.items() if fits(number, decimal)}
    words = sorted(text for text in split if text not in rest)
    if not _are_few(words, weights, n_plain + _n(rest, weights)):
        odd = [text for text in readable if text not in rest]
        mixed = odd and _are_few([word for word in words if word not in odd], weights, _n(readable, weights))
        shown = show_list([*list(rest)[:2], *odd[:2]], 4)
        return Numbers(None, f"numbers with points and with commas: {shown}" if mixed else "")
    other = "," if decimal == "." else "."
    thousands = any(other in number for number in rest.values())
    found = NumberText(decimal, unit, tuple(words), thousands)
    with_marks = thousands or (decimal == "," and any("," in number for number in rest.values()))
    marks = sorted((weights.keys() & MISSING_NUMBER_TEXT) - MISSING_TEXT)
    said = _said(found, with_marks, [*marks, *words])
    return Numbers(found, "; ".join(filter(None, [said, note])), sure)


def _n(texts: Iterable[str], weights: dict[str, int]) -> int:
    return sum(weights[text] for text in texts)


def _may_be_numbers(values: Sequence[Any]) -> bool:
    """What a look at some of a million texts settles for most columns."""
    if not all(isinstance(value, str) or is_number(value) for value in values):
        return False
    texts = [value.strip() for value in spread([value for value in values if isinstance(value, str)])]
    numbers = [split_unit(text)[1] for text in texts if text not in MISSING_NUMBER_TEXT]
    n_like = sum(bool(NUMBER_LIKE.fullmatch(number) and DIGIT.search(number)) for number in numbers)
    return 2 * n_like >= len(numbers)


def _unit(split: dict[str, tuple[str, str]], weights: dict[str, int], n_plain: int) -> tuple[str, str]:
    """The unit of the numbers, and what is wrong with several."""
    counts: Counter[str] = Counter()
    for text, (unit, number) in split.items():
        if DIGIT.search(number):
            counts[unit] += weights[text]
    examples = {unit: text for text, (unit, _) in sorted(split.items(), reverse=True)}
    if n_plain:
        counts[""] += n_plain
    common = [unit for unit, n in counts.items() if n * NUMBERS_PER_WORD >= counts.total()]
    if len(common) > 1:
        shown = show_list(sorted(examples[unit] for unit in common if unit in examples), 3)
        return "", f"numbers with different units: {shown}"
    return (common[0] if common else ""), ""


def _are_few(words: list[str], weights: dict[str, int], n_numbers: int) -> bool:
    """Whether so few of the texts are no numbers that they stand for missing ones."""
    telling = [word for word in words if word.casefold() not in SAYING_MISSING]
    return n_numbers > 0 and _n(telling, weights) * NUMBERS_PER_WORD <= n_numbers


def _decimal(
    readable: dict[str, str], weights: dict[str, int], asked: bool, hint: Decimal | None
) -> tuple[Decimal | None, bool, str]:
    """The decimal mark that reads nearly all of them, whether that is sure, and what the user should know."""
    numbers = list(readable.values())
    if not asked and all(ADDRESS.fullmatch(number) for number in numbers):
        return None, False, ""
    if not asked and (any(map(CODE.match, numbers)) or any(map(TELEPHONE.match, readable))):
        return None, False, ""
    n_point = _n((text for text, n in readable.items() if _is_sure(n, ".")), weights)
    n_comma = _n((text for text, n in readable.items() if _is_sure(n, ",")), weights)
    if n_point or n_comma:
        return (".", True, "") if n_point >= n_comma else (",", True, "")
    marked = {mark: [n for n in numbers if mark in n] for mark in ".,"}
    if not marked["."] and not marked[","]:
        return hint or ".", False, ""
    n_marked = _n((text for text, n in readable.items() if "," in n), weights)
    return _open(numbers, marked, asked or hint == "," or n_marked >= NUMBERS_PER_WORD, hint)


def _is_sure(number: str, mark: Decimal) -> bool:
    """Whether the mark is a decimal one in this number, and can be nothing else."""
    other = "," if mark == "." else "."
    read = mark in number and fits(number, mark) and not fits(number, other)
    return read and not (mark == "," and MAYBE_LIST.fullmatch(number))


def _open(
    numbers: list[str], marked: dict[str, list[str]], no_lists: bool, hint: Decimal | None
) -> tuple[Decimal | None, bool, str]:
    """What no value settles: 1,5 may be two choices, 1,234 and 1.234 may be thousands or not."""
    mark: Decimal = "," if marked[","] else "."
    other: Decimal = "." if mark == "," else ","
    grouped = all(ONE_GROUP[mark].fullmatch(n) or n.count(mark) > 1 for n in marked[mark])
    if not grouped or not all(fits(n, other) for n in marked[mark]):
        if mark == "." or no_lists or not all(MAYBE_LIST.fullmatch(n) for n in marked[","]):
            return mark, mark == ".", ""
        shown = show_list(marked[","], 3)
        return None, False, f"decimal commas, or lists? {shown}; kind numeric reads decimal commas"
    if any(n.count(mark) > 1 for n in numbers):
        return other, True, ""
    if mark == ",":
        return (",", False, "") if hint == "," else (".", False, _ambiguous(marked[","], "thousands", "0,5"))
    if hint == ",":
        return ",", False, _ambiguous(marked["."], "thousands, as commas are decimal elsewhere", "0.5")
    return _points(numbers, marked["."])


def _points(numbers: list[str], marked: list[str]) -> tuple[Decimal, bool, str]:
    """Points before three digits, always: decimals of three digits, or thousands.

    Decimals come with fewer digits too, and thousands beside numbers below one; many of both are thousands.
    """
    below = [number for number in numbers if "." not in number]
    if below and len(marked) >= FEW_GROUPED and all(len(number.lstrip("+-")) <= 3 for number in below):  # noqa: PLR2004
        return ",", False, _ambiguous(marked, "thousands, as no number has fewer digits behind it", "0.5")
    many = len(numbers) >= NUMBERS_PER_WORD or len(marked) >= FEW_GROUPED
    return ".", False, _ambiguous(marked, "a decimal mark", "1.234,5") if many else ""


def _ambiguous(numbers: list[str], taken: str, otherwise: str) -> str:
    return (
        f"the mark in {numbers[0]!r} is taken for {taken}: if it is not, say how they are written, "
        f"for example {otherwise!r}, in data.formats"
    )


def _said(found: NumberText, with_marks: bool, missing: list[str]) -> str:
    said = []
    if with_marks:
        said.append("with decimal commas" if found.decimal == "," else "with commas between thousands")
    if found.unit:
        said.append(f"with {found.unit!r}, which is left out")
    if not said and not missing:
        return ""
    note = " ".join(["numbers written as text", *said[:1]]) + "".join(f", {more}" for more in said[1:])
    return f"{note}; {show_list(missing)} read as missing" if missing else note
