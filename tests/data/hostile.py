"""Strategies for cells, records and files that no table should hold, and what every message must be."""

import csv
import datetime as dt
import gzip
import io
import json
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from data.messages import show

MAX_MESSAGE = 600


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


ODD_NAMES = [
    '"',
    "'",
    "\\",
    "{",
    "[0]",
    "a,b",
    "a:",
    "null",
    "나이",
    "é",
    "e\u0301",
    "\U0001f600",
    "1",
    "nan",
    "y",
]
ODD_NAMES += ["이름 (원)", " a", "a\tb", "a\nb", "a\u2028b", "Unnamed: 0", "index", "x" * 200]
NUMBER_TEXTS = "1e400 -1e400 1e-400 inf -Infinity +inf NaN nan 1_000 0x1F 1,234 1,23,4 12% % $5"
NUMBER_TEXTS += " 1.234,5 --5 + . e5 1e ٣ ½"
DATE_TEXTS = (
    "2024-02-30 0000-00-00 9999-12-31T23:59:59-14:00 2024-01-01T00:00:00.123456789Z 20241301 2024-01-01T24:00"
)
DATE_TEXTS += " 2024-01-01T00:00:60 1/1/2024 2024/1/1 +99:99 0001-01-01T00:00+14:00"
ODD_TEXTS = f"{NUMBER_TEXTS} {DATE_TEXTS} true Yes 0.0 None 가나다".split()
ODD_TEXTS += ["", "TRUE ", "₩1,000", "\x00", "a\x00b", "a\r\nb", '"', "\ufeff", "\u200b", "\x1c", "\x85"]
ODD_TEXTS += ["9" * 40, "9" * 5000, "x" * 300]
SURROGATE = "\ud800"

texts = st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=8))
# Made when drawn: nothing can print them.
huge = st.sampled_from([30, 63, 400, 5000]).map(lambda n: 10**n) | st.sampled_from(
    [2**63, -(2**64), 16777217]
)
deep = st.sampled_from([10, 10_000]).map(nested)
json_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-100, 100), huge, st.floats(), texts, st.just(SURROGATE)
)
json_values = st.recursive(
    json_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
zones = st.sampled_from(
    [None, dt.UTC, dt.timezone(dt.timedelta(hours=14)), dt.timezone(-dt.timedelta(hours=12))]
)
python_values = st.one_of(
    st.dates(),
    st.datetimes(timezones=zones),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=True),
    st.fractions(),
    huge.map(Fraction),
    st.complex_numbers(),
    st.binary(max_size=4),
    st.sampled_from(
        [Decimal("sNaN"), Decimal("1e999999"), Decimal("-0"), Fraction(10**40, 7), pd.NA, pd.NaT, np.nan]
    ),
    st.sampled_from(
        [np.float32(0.1), np.int8(-3), np.uint64(2**64 - 1), np.True_, np.float64("inf"), np.float16(2)]
    ),
    st.sampled_from(
        [np.datetime64("2024-01-01"), np.datetime64("NaT"), np.datetime64("30000-01-01"), np.str_("1")]
    ),
    st.sampled_from(
        [np.timedelta64(1, "s"), np.longdouble("1e4000"), pd.Timestamp("2024-01-01", tz="Asia/Seoul")]
    ),
    st.sampled_from([object, np.arange(100), pd.Series([1]), (), {1}, ...]),
    deep,
    deep.map(lambda value: {"a": value}),
)
cells = st.one_of(json_values, python_values)
names = st.one_of(st.sampled_from(ODD_NAMES), st.sampled_from("abcd"), st.text(max_size=5))

# Files: a good table, written in a format, then damaged.
GOOD = pd.DataFrame(
    {
        "수": [0.5, -1.25, None, 1e6, 3.0, 7.75, 0.0, 2.5, 9.0, -3.5],
        "price, $": ["1,234", "5", "67", "1,000", "0", "12", "8", "45", "9,999", "3"],
        "share": ["12%", "5%", "0.5%", "99%", "", "1%", "2%", "3%", "4%", "7%"],
        "flag": [True, False, True, True, False, True, False, True, False, True],
        "day": [f"2024-0{i % 9 + 1}-1{i}" for i in range(10)],
        'city "q"': ["서울", "부산", "서울", "b\\n", None, "부산", "서울", "서울", "b\\n", "부산"],
        "y": ["a", "b", "a", "b", "a", "b", "a", "b", "a", "b"],
    }
)
JUNK = rb""" " "" ' , ; | \ { } [ ] : # NaN -Infinity 1e999 null \ud800 \u0000 \ud83d\ude00 {"a":1,"a":2} """.split()
JUNK += [
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b"\xb0\xa1",
    b"\xed\xa0\x80",
    b"\xc2\x85",
]
JUNK += [b"\x1a", b" " * 20, b"9" * 5000, b"[" * 3000, b'{"a":' * 3000]


def written(frame, suffix):
    if suffix in (".csv", ".tsv"):
        return frame.to_csv(index=False, sep="," if suffix == ".csv" else "\t").encode()
    if suffix == ".parquet":
        out = io.BytesIO()
        frame.to_parquet(out)
        return out.getvalue()
    return frame.to_json(orient="records", force_ascii=False, lines=suffix == ".jsonl").encode()


GOOD_BYTES = {suffix: written(GOOD, suffix) for suffix in (".csv", ".tsv", ".json", ".jsonl", ".parquet")}


@st.composite
def damaged(draw, data):
    """The bytes, cut, flipped, or with junk between them, once to three times."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["cut", "drop", "repeat", "junk", "replace", "flip", "ends", "recode"]))
        end = min(len(data), start + draw(st.integers(1, 40)))
        if kind == "cut":
            data = data[:start]
        elif kind == "drop":
            data = data[:start] + data[end:]
        elif kind == "repeat":
            data = data[:end] + data[start:]
        elif kind in ("junk", "replace"):
            junk = draw(st.sampled_from(JUNK) | st.binary(min_size=1, max_size=6))
            data = data[:start] + junk + data[start if kind == "junk" else end :]
        elif kind == "flip":
            flipped = bytes(
                byte ^ draw(st.sampled_from([1, 2, 16, 32, 128])) for byte in data[start : start + 1]
            )
            data = data[:start] + flipped + data[start + 1 :]
        elif kind == "ends":
            mark = draw(st.sampled_from([b"\r\n", b"\r", b"\n\n", b"\n\r"]))
            data = data.replace(b"\n", mark, draw(st.integers(-1, 3)))
        else:
            text = data.decode("utf-8", errors="replace")
            data = text.encode(
                draw(st.sampled_from(["utf-16", "cp949", "utf-8-sig", "utf-32", "latin-1"])), "replace"
            )
    return data


@st.composite
def odd_csv(draw, delimiter=","):
    """Well-formed text of odd cells under odd names, now and then with a field too many or too few."""
    header = draw(st.lists(names, min_size=1, max_size=5, unique=draw(st.booleans())))
    width = len(header)
    pool = draw(st.lists(texts, min_size=1, max_size=4))
    rows = draw(st.lists(st.lists(st.sampled_from(pool) | texts, min_size=width, max_size=width), max_size=8))
    if draw(st.integers(0, 9)) == 0:
        rows.append(draw(st.lists(texts, max_size=7)))
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    writer = csv.writer(
        out, delimiter=delimiter, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))
    )
    writer.writerows([header, *rows])
    return out.getvalue().encode("utf-8", "replace")


def dumped(value):
    """JSON, with what JSON has no word for written as Python does, and numbers of any length."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**1000:
        return "9" * 5000
    if isinstance(value, list):
        return f"[{', '.join(map(dumped, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(k)}: {dumped(v)}' for k, v in value.items())}}}"
    return json.dumps(value)


@st.composite
def odd_json(draw, lines=False):
    """Records or columns of odd values, in JSON."""
    keys = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    pool = draw(st.lists(json_values, min_size=1, max_size=4))
    cell = st.sampled_from(pool) | json_scalars
    records = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(keys, cell)), max_size=8))
    if lines:
        return "\n".join(map(dumped, records)).encode()
    shape = draw(st.sampled_from(["records", "columns", "labelled", "ragged", "any"]))
    content = records
    if shape == "columns":
        content = {key: [record[key] for record in records] for key in keys}
    elif shape == "labelled":
        content = {key: {str(i): record[key] for i, record in enumerate(records)} for key in keys}
    elif shape == "ragged":
        content = [{key: value for key, value in record.items() if draw(st.booleans())} for record in records]
    elif shape == "any":
        content = draw(json_values)
    return dumped(content).encode()


PARQUET_TYPES = [pa.list_(pa.int64()), pa.struct([("a", pa.int64())]), pa.dictionary(pa.int8(), pa.string())]
PARQUET_TYPES += [pa.decimal128(20, 2), pa.time64("us"), pa.duration("s"), pa.date32(), pa.timestamp("s")]
PARQUET_TYPES += [pa.timestamp("ns", "Asia/Seoul"), pa.float16(), pa.uint64(), pa.float64(), pa.bool_()]
PARQUET_TYPES += [pa.null(), pa.binary(), pa.string(), pa.large_string()]
PARQUET_CELLS = {
    "list": st.lists(st.integers(0, 3), max_size=2),
    "struct": st.fixed_dictionaries({"a": st.integers(0, 3)}),
    "binary": st.binary(max_size=3),
    "decimal": st.decimals(-1000, 1000, places=2),
    "time": st.times(),
    "duration": st.integers(0, 10**6).map(lambda s: dt.timedelta(seconds=s)),
    "date": st.dates(),
    "timestamp": st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)),
    "halffloat": st.floats(width=16).map(np.float16),
    "uint": st.integers(0, 2**64 - 1),
    "null": st.none(),
    "bool": st.booleans(),
    "double": st.floats(),
}


@st.composite
def odd_parquet(draw):
    """A table of any of Parquet's types under odd names."""
    n_rows = draw(st.integers(0, 8))
    columns, keys = [], draw(st.lists(names, min_size=1, max_size=4))
    for _ in keys:
        kind = draw(st.sampled_from(PARQUET_TYPES))
        stem = str(kind).split("<")[0].split("[")[0].split("(")[0].rstrip("0123456789")
        cell = PARQUET_CELLS.get(stem, st.text(st.characters(codec="utf-8"), max_size=4))
        values = draw(st.lists(st.none() | cell, min_size=n_rows, max_size=n_rows))
        columns.append(pa.array(values, type=kind))
    out = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays(columns, names=[key.encode(errors="replace").decode() for key in keys]), out
    )
    return out.getvalue()


def packed(data, suffix):
    return gzip.compress(data, mtime=0) if suffix == ".gz" else pa.compress(data, codec="zstd", asbytes=True)


def check_message(error, *said, where=""):
    """One line, short, and naming what must be named; `where` is the file, however long its path."""
    message = str(error)
    assert message.isprintable(), message
    assert len(message.replace(where, "")) <= MAX_MESSAGE, message
    for value in said:
        assert show(value) in message, (message, show(value))
    assert where in message, message


def check_encoded(X, encoder, n_rows):
    """Numbers are finite or NaN, codes are codes."""
    assert X.dtype == np.float32
    assert X.shape == (n_rows, len(encoder.feature_names))
    assert not np.isinf(X).any()
    for j, cardinality in enumerate(encoder.cardinalities):
        present = X[~np.isnan(X[:, j]), j]
        if cardinality:
            assert ((present >= 0) & (present < cardinality) & (present == np.floor(present))).all()
