"""Tables in Parquet, Arrow and Feather, each column in pandas' plain types."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import feather

from data.exact import EXACT, decimal_series, exact_series
from data.messages import show_error
from data.names import check_names
from data.rownames import CellTexts
from errors import DataLoadError

UNNAMED = "__index_level_"
NAMES = {"parquet": "Parquet", "arrow": "Arrow", "feather": "Feather"}


def parse_arrow(data: bytes, kind: str, where: str) -> pd.DataFrame:
    """A table of typed cells.

    The names of the rows that pandas saved along are a column where they have a name themselves, else left out,
    which `attrs["notes"]` tells.

    Raises: DataLoadError: it is damaged, or its columns cannot be told apart.
    """
    said = f"{where}: not a {NAMES[kind]} file"
    try:
        if kind == "parquet":
            check_names(where, pq.read_schema(io.BytesIO(data)).names)
        table = _read(data, kind)
        check_names(where, table.column_names)
        table.validate(full=kind != "parquet")
        return _frame(table, where)
    except UnicodeDecodeError:
        raise DataLoadError(f"{said}: a name or a text is not UTF-8") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, pa.ArrowException) as error:
        raise DataLoadError(f"{said}: {show_error(error)}") from None


def _read(data: bytes, kind: str) -> pa.Table:
    if kind == "parquet":
        return pq.read_table(io.BytesIO(data))
    if kind == "feather" or data.startswith(b"ARROW1"):
        return feather.read_table(pa.BufferReader(data))
    return pa.ipc.open_stream(pa.BufferReader(data)).read_all()


def _frame(table: pa.Table, where: str) -> pd.DataFrame:
    saved = table.schema.pandas_metadata or {}
    n_headers = len(saved.get("column_indexes") or [None])
    if n_headers > 1:
        raise DataLoadError(f"{where}: {n_headers} header rows; allowed: one name per column")
    index = saved.get("index_columns") or []
    unnamed = [name for name in index if isinstance(name, str) and name.startswith(UNNAMED)]
    first = [name for name in index if isinstance(name, str) and name not in unnamed]
    names = [*first, *(name for name in table.column_names if name not in (*first, *unnamed))]
    columns = {name: series_of(table.column(name)) for name in names if name in table.column_names}
    ranges = [one for one in index if isinstance(one, dict) and one.get("name") is not None]
    for one in ranges:
        columns = {str(one["name"]): pd.Series(range(one["start"], one["stop"], one["step"]))} | columns
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(table)))
    notes = ["the index has no name: taken for names of the rows, and left out"] if unnamed else []
    frame.attrs["notes"] = notes
    frame.attrs["written"] = {
        name: CellTexts(table.column(name).cast(pa.string()))
        for name in columns
        if name in table.column_names and pa.types.is_decimal(table.column(name).type)
    }
    return frame


def series_of(column: pa.ChunkedArray) -> pd.Series:
    """A column in a plain type: text, float, int, bool, date, or objects that lose nothing."""
    if getattr(column.type, "extension_name", "").startswith("pandas."):  # periods and intervals
        return pd.Series(
            [None if one is pd.NaT else one for one in column.to_pandas().astype("str")], dtype="str"
        )
    column = _unwrapped(column)
    kind = column.type
    if pa.types.is_decimal(kind):
        return decimal_series(column.to_pylist()) if kind.scale <= 0 else _floats(column)
    if pa.types.is_integer(kind) and column.null_count:
        return _nullable(column)
    if pa.types.is_date(kind):
        return _dates(column)
    if pa.types.is_time(kind):
        return pd.Series([None if one is None else str(one) for one in column.to_pylist()], dtype="str")
    # Without what pandas noted of its own types: those are plain then.
    return pa.table({"x": column}).to_pandas(ignore_metadata=True)["x"]


def _unwrapped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values themselves, where a column holds codes of them, runs of them, or a type around them."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _unwrapped(pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type))
    if pa.types.is_run_end_encoded(kind):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return _unwrapped(pa.chunked_array(chunks, kind.value_type))
    if pa.types.is_dictionary(kind):
        return _unwrapped(column.cast(kind.value_type))
    if pa.types.is_float16(kind):
        return column.cast(pa.float64())
    return column.cast(pa.large_string()) if pa.types.is_string_view(kind) else column


def _floats(column: pa.ChunkedArray) -> pd.Series:
    values = [np.nan if value is None else float(value) for value in column.to_pylist()]
    return pd.Series(values, dtype=float)


def _nullable(column: pa.ChunkedArray) -> pd.Series:
    ends = pc.min_max(column)
    low, high = ends["min"].as_py() or 0, ends["max"].as_py() or 0
    if max(abs(low), abs(high)) >= EXACT:
        return exact_series(column.to_pylist())
    return pd.Series(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=float)


def _dates(column: pa.ChunkedArray) -> pd.Series:
    try:
        return pa.table({"x": column.cast(pa.timestamp("us"))}).to_pandas()["x"]
    except pa.ArrowInvalid:  # of years that no timestamp holds
        return pd.Series(column.to_pylist(), dtype=object)
