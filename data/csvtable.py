"""Tables in CSV and TSV: one header line, then as many fields in every row."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from data.messages import show_error
from data.names import check_names
from errors import DataLoadError

OTHER_DELIMITERS = ",;\t|"
INDEX_NAME = "index"


def parse_csv(data: bytes, delimiter: str, where: str, text_columns: Collection[str] = ()) -> pd.DataFrame:
    """A table from UTF-8 text.

    A first column without a name is taken for a row index saved along: left out where it only counts the
    rows, else called "index".

    Args:
        data: The text, without a byte order mark.
        delimiter: What is expected; where it does not split the header, the one that does is used.
        where: What messages call the file.
        text_columns: Columns kept as text even where every value reads as a number.

    Raises: DataLoadError: the header or a row does not make a table.
    """
    delimiter, header = _split_header(data, delimiter)
    has_index = len(header) > 1 and not header[0].strip() and INDEX_NAME not in header
    if has_index:
        header[0] = INDEX_NAME
    check_names(where, header)
    frame = _read(data, delimiter, where, header if has_index else None, text_columns)
    return frame.drop(columns=INDEX_NAME) if has_index and _counts_rows(frame[INDEX_NAME]) else frame


def _split_header(data: bytes, delimiter: str) -> tuple[str, list[str]]:
    """The delimiter, and the names it separates."""
    headers = {mark: _header(data, mark) for mark in (delimiter, *OTHER_DELIMITERS)}
    if len(headers[delimiter]) <= 1:
        delimiter = max(headers, key=lambda mark: len(headers[mark]))
    return delimiter, headers[delimiter]


def _read(
    data: bytes, delimiter: str, where: str, names: list[str] | None, text_columns: Collection[str]
) -> pd.DataFrame:
    with warnings.catch_warnings():
        # Rows longer than the header: pandas would cut them and only warn.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(
                io.BytesIO(data),
                sep=delimiter,
                header=0,
                names=names,
                index_col=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
                dtype="str",
            )
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise DataLoadError(
                _ragged(data, delimiter, where) or f"{where}: not a table: {show_error(error)}"
            ) from error
    # Rows shorter than the header end in missing values, so only such tables are counted row by row.
    if not frame.empty and frame.iloc[:, -1].isna().any():
        ragged = _ragged(data, delimiter, where)
        if ragged:
            raise DataLoadError(ragged)
    return frame


def _counts_rows(index: pd.Series) -> bool:
    """Whether it is 0, 1, 2, ... or 1, 2, 3, ..."""
    index = pd.to_numeric(index, errors="coerce")
    if index.dtype.kind != "i" or index.empty:
        return False
    return index[0] in (0, 1) and bool((np.diff(index.to_numpy()) == 1).all())


def _header(data: bytes, delimiter: str) -> list[str]:
    return next((row for row in _records(data, delimiter) if row), [])


def _records(data: bytes, delimiter: str) -> Iterable[list[str]]:
    csv.field_size_limit(1 << 30)  # the default refuses cells of 128 KiB, which pandas reads
    return csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", newline=""), delimiter=delimiter)


def _ragged(data: bytes, delimiter: str, where: str) -> str:
    """Where the first row is whose number of fields is not the header's; empty where there is none."""
    reader = _records(data, delimiter)
    n_fields = 0
    try:
        for row in reader:
            n_fields = n_fields or len(row)
            if row and len(row) != n_fields:
                split = "" if delimiter in ",\t" else f" (split at {delimiter!r})"
                return (
                    f"{where}: line {reader.line_num} has {len(row)} fields, the header has {n_fields}{split}"
                )
    except csv.Error as error:
        return f"{where}: line {reader.line_num}: {error}"
    return ""
