"""Which encoding a text is in, and the same text in UTF-8."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

from data.messages import did_you_mean, show
from errors import ConfigError, DataLoadError

CHUNK_BYTES = 1 << 24
SAMPLE_BYTES = 200_000
# How far from the first byte that is not UTF-8 the letters are looked at.
NEAR_BYTES = 1 << 23
SETTING = "data.encoding"
# Longer marks first: that of UTF-32 begins as that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# What tables are written in; rarer ones only take votes from these on short texts.
CANDIDATES = (
    *("cp949", "johab", "cp932", "euc_jis_2004", "gb18030", "big5hkscs", "cp874"),
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("koi8-r", "koi8-u", "cp850", "cp852", "cp866", "mac-roman", "iso8859-2", "iso8859-15"),
)
# One byte a letter, most of them Latin: told apart by a few letters only, of which cp1252 is far the commonest.
LATIN = frozenset(
    ("cp1250", "cp1254", "cp1257", "cp1258", "cp850", "cp852", "mac-roman", "iso8859-2", "iso8859-15")
)
NEARLY = 0.65
NEARLY_SHORT = 0.3
FEW_LETTERS = 3
SHOWN = {"cp949": "CP949", "cp932": "Shift-JIS (CP932)", "euc_jis_2004": "EUC-JP", "big5hkscs": "Big5"}
# Signs of cp1252 that stand alone beside numbers and words; in other encodings their bytes are letters.
SIGNS = frozenset("€£¥¢§©®°±²³¹µ·¼½¾×÷–—…•™‰´".encode("cp1252"))  # noqa: RUF001
# What Python calls encodings, and no text file is written in.
NO_ENCODINGS = re.compile(r"idna|punycode|mbcs|oem|undefined|.*unicode_escape")


def to_utf8(data: bytes, where: str, encoding: str | None = None) -> tuple[bytes, list[str]]:
    """A text in UTF-8 without a byte order mark, and what is to be said of how it was read.

    Args:
        data: The file.
        where: What messages call it.
        encoding: What it is in, as the user says; None: found out.

    Raises:
        DataLoadError: it is not in this encoding, or in none that is known; names the byte and its line.
        ConfigError: there is no such encoding.
    """
    if encoding is not None:
        return _decode(data, check_encoding(encoding), where), []
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return _decode(data[len(mark) :], name, where), []
    wide = _wide(data)
    if wide:
        return _decode(data, wide, where), [_said(wide)]
    wrong = first_wrong_byte(data)
    if wrong is None:
        return data, []
    if _is_cut(data, wrong) or _is_damaged_utf8(data[max(0, wrong - NEAR_BYTES) : wrong + NEAR_BYTES]):
        raise DataLoadError(
            f"{where}: {_place(data, wrong)} is not UTF-8, which the rest is; mend it, or say {SETTING}=..."
        )
    for name in _guesses(data[wrong : wrong + NEAR_BYTES]):
        try:
            return data.decode(name).encode(), [_said(name)]
        except UnicodeDecodeError:
            continue
    raise DataLoadError(
        f"{where}: {_place(data, wrong)} is not UTF-8, nor any encoding that fits; {SETTING}=... says which"
    )


def check_encoding(name: str) -> str:
    """Python's name of an encoding.

    Raises: ConfigError: it knows none of that name.
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding or NO_ENCODINGS.fullmatch(found.name.replace("-", "_")):
        hint = "" if found else did_you_mean(name, {*aliases, *aliases.values()})
        raise ConfigError(
            f"{SETTING}={show(name)}: no such encoding{hint}; for example utf-8, cp949, utf-16, cp1252"
        )
    return found.name


def first_wrong_byte(data: bytes) -> int | None:
    """The offset of the first byte that is not UTF-8; chunks keep memory flat."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    view = memoryview(data)
    for start in range(0, len(data), CHUNK_BYTES):
        n_held = len(decoder.getstate()[0])
        chunk = view[start : start + CHUNK_BYTES]
        try:
            decoder.decode(chunk, final=start + CHUNK_BYTES >= len(data))
        except UnicodeDecodeError as error:
            return start - n_held + error.start
    return None


def _decode(data: bytes, name: str, where: str) -> bytes:
    try:
        return data.decode(name).removeprefix("\ufeff").encode()
    except UnicodeDecodeError as error:
        place = _place(data, error.start, name)
        raise DataLoadError(
            f"{where}: not {name.upper()}: {place} does not decode; {SETTING}=... says which it is"
        ) from None
    except UnicodeEncodeError as error:  # halves of a character
        raise DataLoadError(
            f"{where}: not {name.upper()}: character {error.start:,} is half of one"
        ) from None


def _wide(data: bytes) -> str:
    """The encoding of two or four bytes a letter that a text without a mark is in; empty for none.

    Delimiters, digits and ends of lines have zero bytes at one side only, whatever the letters between them are.
    """
    sample = data[: SAMPLE_BYTES // 4 * 4]
    if b"\0" not in sample:
        return ""
    ends = {
        name: sum(_aligned(sample, mark.encode(name)) for mark in "\n\r,;\t")
        for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
    }
    for name, n_ends in ends.items():
        others = [n for other, n in ends.items() if other[:6] == name[:6] and other != name]
        if n_ends > 1 and n_ends > 10 * max(others) and _decodes(sample, name):
            return name
    return ""


def _aligned(sample: bytes, mark: bytes) -> int:
    """How often a character is at a place where one can begin."""
    return sum(match.start() % len(mark) == 0 for match in re.finditer(re.escape(mark), sample))


def _decodes(sample: bytes, name: str) -> bool:
    try:
        codecs.getincrementaldecoder(name)().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _is_cut(data: bytes, wrong: int) -> bool:
    """Whether a text in UTF-8 ends within a letter: there are letters before, all whole."""
    end = data[wrong:]
    n_bytes = 2 if end[0] < 0xE0 else 3 if end[0] < 0xF0 else 4  # noqa: PLR2004 - by UTF-8's first bytes
    begun = 0xC2 <= end[0] <= 0xF4 and len(end) < n_bytes and all(0x80 <= byte < 0xC0 for byte in end[1:])  # noqa: PLR2004
    return begun and not data[:wrong].isascii()


def _is_damaged_utf8(data: bytes) -> bool:
    """Whether most of what is not ASCII is UTF-8: a few wrong bytes make no other encoding of it."""
    letters = re.findall(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}", data)
    # The longer a letter, the less it is one by chance.
    n_right = sum(len(letter) - 1 for letter in letters)
    return n_right > 2 * data.decode("utf-8", "replace").count("\ufffd")


def _foreign(data: bytes) -> bytes:
    """The cells that are not ASCII, each once, as many as make a large sample."""
    cells: dict[bytes, None] = {}
    size = 0
    for cell in re.split(rb"[\n\r\t,;\"]+", data):
        if not cell.isascii() and cell not in cells:
            cells[cell] = None
            size += len(cell)
            if size > SAMPLE_BYTES:
                break
    return b"\n".join(cells)


def _guesses(data: bytes) -> list[str]:
    """Encodings, the likeliest first."""
    import chardet  # noqa: PLC0415 - most texts are UTF-8

    sample = _foreign(data)
    if _only_signs(sample):
        return ["cp1252"]
    found = chardet.detect_all(
        sample, ignore_threshold=True, prefer_superset=False, compat_names=False, include_encodings=CANDIDATES
    )
    sure = {
        str(one["encoding"]): float(one["confidence"] or 0) for one in found if one["encoding"] in CANDIDATES
    }
    names = sorted(sure, key=lambda name: -sure[name])
    if names and names[0] in LATIN and "cp1252" in sure:
        few = names[0] != "cp1254" and len(set(re.findall(rb"[\x80-\xff]", sample))) <= FEW_LETTERS
        if sure["cp1252"] >= (NEARLY_SHORT if few else NEARLY) * sure[names[0]]:
            names.insert(0, "cp1252")
    return names


def _only_signs(sample: bytes) -> bool:
    """Whether what is not ASCII are single signs of cp1252, such as in "£5" and "20 °C"."""
    runs = re.findall(rb"[\x80-\xff]+", sample)
    return bool(runs) and all(len(run) == 1 and run[0] in SIGNS for run in runs)


def _said(name: str) -> str:
    return f"read as {SHOWN.get(name, name.upper())}; {SETTING}=... says otherwise"


def _place(data: bytes, offset: int, name: str = "utf-8") -> str:
    """A byte, its offset and its line."""
    before = data[:offset].decode(name, "replace")
    line = len(re.findall(r"\r\n|\r|\n", before)) + 1
    return f"byte 0x{data[offset]:02x} at offset {offset:,} (line {line:,})"
