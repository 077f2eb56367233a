"""Dates as text or numbers, read in one way only: "31.12.2024", "12/31/2024 5 pm", "20240131", 1706659200."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np

from data.dates import EPOCH, MISSING_DATE_TEXT, to_moment
from data.values import check_scalar, is_missing, is_number

# Longer texts are no dates: what a pattern does to a text grows faster than the text.
MAX_LENGTH = 60
EPOCH_FORMS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
# Two digits of a year: 69 to 99 are of the last century, as POSIX has it.
PIVOT = 69

# Seconds lie below, and milliseconds not more than a thousand times below the same in milliseconds, and so on.
EPOCH_LIMIT = 100_000_000_000
EPOCH_TEXT = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?", re.ASCII)
# Forms that one replacement turns into what Arrow reads, a million of them in a moment.
_DATE2, _CLOCK = r"(?:0[1-9]|[12]\d|3[01])", r"([T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?"
_MONTH2 = r"(?:0[1-9]|1[0-2])"
REGULAR = {
    "ymd": (rf"^(\d{{4}})[-/.]({_MONTH2})[-/.]({_DATE2}){_CLOCK}$", r"\1-\2-\3\4"),
    "dmy": (rf"^({_DATE2})[-/.]({_MONTH2})[-/.](\d{{4}}){_CLOCK}$", r"\3-\2-\1\4"),
    "mdy": (rf"^({_MONTH2})[-/.]({_DATE2})[-/.](\d{{4}}){_CLOCK}$", r"\3-\1-\2\4"),
    "compact": (rf"^([12]\d{{3}})({_MONTH2})({_DATE2})$", r"\1-\2-\3"),
}

_WORDS = {
    1: "january jan januar januari janvier janv enero ene gennaio gen janeiro styczeń stycznia janúar",
    2: "february feb februar februari février févr fév febrero febbraio fevereiro fev lutego",
    3: "march mar märz mär mrz mars marzo março marca maart mrt",
    4: "april apr avril avr abril abr aprile kwietnia",
    5: "may mai mayo mag maggio maio maj maja mei",
    6: "june jun juni juin junio giugno giu junho czerwca",
    7: "july jul juli juillet juil julio luglio lug julho lipca",
    8: "august aug août aou agosto ago augustus sierpnia augusti",
    9: "september sep sept septembre septiembre settembre set setembro września",
    10: "october oct oktober okt octobre octubre ottobre ott outubro out października",
    11: "november nov novembre noviembre novembro listopada",
    12: "december dec dezember dez décembre déc diciembre dic dicembre dezembro grudnia",
}
MONTHS = {word: month for month, words in _WORDS.items() for word in words.split()}

_TIME = (
    r"(?:[T,:]?[\s,]*(?:at\s+)?(?P<H>\d{1,2})(?::(?P<M>\d\d)(?::(?P<S>\d\d)(?:[.,](?P<f>\d{1,9}))?)?)?\s?(?P<p>[AaPp]\.?[Mm]\.?)?"
    r"\s?(?P<z>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?(?::?\d\d)?)?)?"
)
_WEEKDAY = r"(?:[^\W\d_]{2,12}\.?,?\s+)?"
_DAY, _MONTH, _WORD, _YEAR4 = (
    r"(?P<d>\d{1,2})",
    r"(?P<m>\d{1,2})",
    r"(?P<w>[^\W\d_]{3,12})\.?",
    r"(?P<y>\d{4})",
)
_YEAR = r"(?P<y>\d{4}|\d\d)"
# What a text in each form looks like; the day may be missing, never the year.
FORMS: dict[str, re.Pattern[str]] = {
    "ymd": re.compile(rf"{_YEAR4}(?P<s>[-/.])\s?{_MONTH}(?P=s)\s?{_DAY}\.?{_TIME}"),
    "dmy": re.compile(rf"{_DAY}(?P<s>[-/.])\s?{_MONTH}(?P=s)\s?{_YEAR}{_TIME}"),
    "mdy": re.compile(rf"{_MONTH}(?P<s>[-/.])\s?{_DAY}(?P=s)\s?{_YEAR}{_TIME}"),
    "yymd": re.compile(rf"(?P<y>\d\d)(?P<s>[-/.])\s?(?P<m>\d\d?)(?P=s)\s?(?P<d>\d\d?)\.?{_TIME}"),
    "compact": re.compile(
        r"(?P<y>[12]\d{3})(?P<m>\d\d)(?P<d>\d\d)(?:[T_-]?(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)?(?P<z>Z)?)?(?:\.0+)?"
    ),
    "d_month_y": re.compile(
        rf"{_WEEKDAY}{_DAY}(?:st|nd|rd|th|\.|er|º)?[-/.\s]?\s?(?:de\s+)?{_WORD}[-/.,\s]?\s?(?:de\s+)?{_YEAR}{_TIME}"
    ),
    "month_d_y": re.compile(rf"{_WEEKDAY}{_WORD}[-/.\s]\s?{_DAY}(?:st|nd|rd|th)?[-/.,\s]\s?{_YEAR4}{_TIME}"),
    "ctime": re.compile(
        rf"{_WEEKDAY}{_WORD}\s+{_DAY}\s+(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)\s+(?:(?P<z>UTC|GMT)\s+)?{_YEAR4}"
    ),
    "y_month_d": re.compile(rf"{_YEAR4}[-/.,\s]\s?{_WORD}[-/.,\s]\s?{_DAY}{_TIME}"),
    "cjk": re.compile(rf"{_YEAR4}\s?[年년]\s?{_MONTH}\s?[月월]\s?(?:{_DAY}\s?[日일])?{_TIME}"),
    "ym": re.compile(rf"{_YEAR4}[-/.]{_MONTH}"),
    "my": re.compile(rf"{_MONTH}[-/.]{_YEAR4}"),
    "month_y": re.compile(rf"{_WORD}[-/.,\s]?\s?{_YEAR4}"),
    "y_month": re.compile(rf"{_YEAR4}[-/.,\s]?\s?{_WORD}"),
    "compact_ym": re.compile(r"(?P<y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?:\.0+)?"),
    "quarter": re.compile(r"(?P<y>\d{4})[-\s]?[Qq](?P<q>[1-4])"),
    "quarter_y": re.compile(r"[Qq](?P<q>[1-4])[-\s/]?(?P<y>\d{4})"),
}
EXAMPLES = {
    "ymd": "2024-01-31", "dmy": "31.01.2024", "mdy": "01/31/2024", "compact": "20240131", "d_month_y": "31 Jan 2024",
    "month_d_y": "Jan 31, 2024", "y_month_d": "2024 Jan 31", "cjk": "2024년 1월 31일", "ym": "2024-01", "my": "01/2024",
    "month_y": "Jan 2024", "y_month": "2024 Jan", "compact_ym": "202401", "quarter": "2024Q1",
    "quarter_y": "Q1 2024", "ctime": "Wed Jan 31 09:00:00 2024", "yymd": "24-01-31",
    "epoch_s": "1706659200", "epoch_ms": "1706659200000", "epoch_us": "1706659200000000",
    "epoch_ns": "1706659200000000000",
}  # fmt: skip


@dataclass(frozen=True)
class DateText:
    """How the dates of a column are written.

    Attributes:
        forms: Keys of FORMS or EPOCH_FORMS, tried in this order; a date that begins with its year is always read.
        words: Texts that stand for a missing date.
    """

    forms: tuple[str, ...]
    words: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, content: Mapping[str, Any] | None) -> DateText | None:
        """What `asdict` and JSON described.

        Raises: KeyError, TypeError: the description is damaged.
        """
        return None if content is None else cls(tuple(content["forms"]), tuple(content["words"]))

    @property
    def example(self) -> str:
        """A date written so."""
        return " or ".join(EXAMPLES[form] for form in self.forms)

    def moment(self, value: Any) -> datetime | None:
        """The date in UTC, without a zone; None where missing.

        Raises: ValueError: not a date as the others are written; the text is a reason.
        """
        if is_number(value):
            return self._of_number(value)
        if not isinstance(value, str):
            return to_moment(value)
        text = value.strip()
        if text in MISSING_DATE_TEXT or text in self.words:
            return None
        for form in self.forms if "ymd" in self.forms else (*self.forms, "ymd"):
            found = read_form(text, form)
            if found is not None:
                return found
        raise ValueError(f"is not a date as the others are written, like {self.example}")

    def read_all(self, values: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Moments of distinct values, and which of them cannot be read.

        Shape: (n,), none missing -> datetime64[us] (n,), NaT where missing or unreadable; bool (n,).
        """
        moments = _read_regular(values, self.forms[0])
        bad = np.zeros(len(values), dtype=bool)
        for place in np.flatnonzero(np.isnat(moments)):
            try:
                moment = self.moment(values[place])
            except ValueError:
                bad[place] = True
            else:
                moments[place] = np.datetime64("NaT") if moment is None else np.datetime64(moment, "us")
        return moments, bad

    def _of_number(self, value: Any) -> datetime | None:
        if is_missing(value):
            return None
        check_scalar(value)
        text = str(value).removesuffix(".0")
        for form in self.forms:
            if form in EPOCH_FORMS or form in ("compact", "compact_ym"):
                found = read_form(text, form)
                if found is not None:
                    return found
        raise ValueError(f"is not a date as the others are written, like {self.example}")


def _read_regular(values: Sequence[Any], form: str) -> np.ndarray:
    """What reads at once; NaT for the others."""
    nothing = np.full(len(values), np.datetime64("NaT", "us"))
    if form not in REGULAR or not all(isinstance(value, str) for value in values):
        return nothing
    import pyarrow as pa  # noqa: PLC0415 - not on the way of one record
    import pyarrow.compute as pc  # noqa: PLC0415 - likewise

    pattern, iso = REGULAR[form]
    try:
        texts = pa.array(values, pa.large_string())
    except UnicodeEncodeError:  # half of a character, from a JSON escape
        return nothing
    known = pc.match_substring_regex(texts, pattern)
    texts = pc.replace_substring_regex(pc.if_else(known, texts, pa.scalar(None, texts.type)), pattern, iso)
    try:
        return pc.cast(texts, pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("M8[us]")
    except pa.ArrowInvalid:  # 2024-02-30: one by one, then
        return nothing


def unread(texts: Sequence[str], form: str) -> list[str]:
    """The texts that are in no such form, or no date; of a million of the usual form in a moment."""
    known = ~np.isnat(_read_regular(texts, form))
    return [texts[k] for k in np.flatnonzero(~known) if read_form(texts[k], form) is None]


def read_form(text: str, form: str) -> datetime | None:
    """The moment that a text in a form means, in UTC without a zone; None where it is in no such form, or no date."""
    if len(text) > MAX_LENGTH:
        return None
    if form in EPOCH_FORMS:
        return _of_epoch(text, EPOCH_FORMS[form])
    match = FORMS[form].fullmatch(text)
    if match is None:
        return None
    try:
        return _moment(match.groupdict())
    except (ValueError, OverflowError):
        return None


def _moment(parts: dict[str, str | None]) -> datetime:
    """Raises ValueError, OverflowError: no such day or time."""
    year = int(parts["y"])
    if len(parts["y"]) == 2:  # noqa: PLR2004 - two digits
        year += 1900 if year >= PIVOT else 2000
    month = _month(parts)
    hour, minute, second = (int(parts.get(key) or 0) for key in "HMS")
    if parts.get("p"):
        if not 1 <= hour <= 12:  # noqa: PLR2004 - of a clock face
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if parts["p"][0] in "Pp" else 0)
    elif parts.get("H") and not parts.get("M"):
        raise ValueError("a number behind a date is no hour")
    micro = int((parts.get("f") or "0").ljust(6, "0")[:6])
    midnight = (hour, minute, second) == (24, 0, 0)
    moment = datetime(year, month, int(parts.get("d") or 1), 0 if midnight else hour, minute, second, micro)
    if midnight:
        moment += timedelta(days=1)
    return _to_utc(moment, parts.get("z"))


def _month(parts: dict[str, str | None]) -> int:
    if parts.get("q"):
        return 3 * int(parts["q"]) - 2
    if parts.get("w"):
        month = MONTHS.get(parts["w"].casefold())
        if month is None:
            raise ValueError("no month")
        return month
    return int(parts["m"])


def _to_utc(moment: datetime, zone: str | None) -> datetime:
    if zone in (None, "Z", "UTC", "GMT"):
        return moment
    digits = zone[1:].replace(":", "").ljust(6, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]), seconds=int(digits[4:]))
    offset = -offset if zone[0] == "-" else offset
    return moment.replace(tzinfo=timezone(offset)).astimezone(UTC).replace(tzinfo=None)


def _of_epoch(text: str, per_second: int) -> datetime | None:
    if not EPOCH_TEXT.fullmatch(text):
        return None
    whole = abs(int(text.partition(".")[0]))
    if whole >= EPOCH_LIMIT * per_second or (per_second > 1 and whole < EPOCH_LIMIT * per_second // 1000):
        return None  # of another unit: seconds among milliseconds would be moments in January 1970
    try:
        return EPOCH + timedelta(microseconds=int(Decimal(text) * 1_000_000 // per_second))
    except (ValueError, OverflowError):
        return None
