"""What clients send to be predicted, read once and checked while it is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from errors import DataError

ARROW = "application/vnd.apache.arrow.stream"
INFINITE = float("inf")
Cell = bool | int | float | str | None

# For the API's document; that there are rows is checked with a better message below.
SOME_ITEMS = Meta(extra_json_schema={"minItems": 1})
SOME_NAMES = Meta(extra_json_schema={"minProperties": 1})


class Rows(Struct, forbid_unknown_fields=True):
    """Rows to predict; exactly one of these.

    Attributes:
        records: Column name to value, per row; null stands for a missing value.
        columns: Column name to the values of all rows.
        features: One row's values, or several rows', in the order of the model's columns.
    """

    records: Annotated[list[dict[str, Cell]], SOME_ITEMS] | UnsetType = UNSET
    columns: Annotated[dict[str, list[Cell]], SOME_NAMES] | UnsetType = UNSET
    features: Annotated[list[Cell | list[Cell]], SOME_ITEMS] | UnsetType = UNSET


class PredictRequest(Struct, forbid_unknown_fields=True):
    """A request for predictions.

    Attributes:
        data: The rows.
        model_id: NAME, NAME:VERSION, NAME@ALIAS, or an alias of the served model; default: the served version.
    """

    data: Rows
    model_id: str | None = None


class Options(Struct, frozen=True):
    """What is asked for besides the prediction, in the URL's query.

    Attributes:
        interval: Level of a prediction interval or set, in (0, 1).
        explain: Also what each column adds to the prediction.
        of_class: The class whose probability is explained (`class`); None: see ensembles.explanation.
        draws: Also each member's own answer.
    """

    interval: float | None = None
    explain: bool = False
    of_class: str | None = None
    draws: bool = False


class Order(Struct):
    """A request, understood.

    Attributes:
        rows: Records, or lists of values; at least one.
        model_id: As the client named it.
        options: What else is asked for.
    """

    rows: list[Any]
    model_id: str | None
    options: Options


PLAIN = Options()
_decoder = msgspec.json.Decoder(PredictRequest)


def read_json(body: bytes, options: Options, max_rows: int) -> Order:
    """Understand a JSON body.

    Raises: DataError: what is wrong, and where.
    """
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise DataError(_explain(str(error), body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"body: not JSON: {error}") from None
    rows, n_names = _rows(request.data, max_rows)
    _refuse_duplicates(body, n_names + 2 + (b'"model_id"' in body))
    return Order(rows, request.model_id, options)


def read_arrow(body: bytes, options: Options, model_id: str | None, max_rows: int) -> Order:
    """Understand a body that is an Arrow IPC stream; one record batch or several.

    Raises: DataError: it is none, it has no rows or too many, or a name stands twice.
    """
    import pyarrow as pa  # noqa: PLC0415 - only for who sends it

    try:
        with pa.ipc.open_stream(body) as stream:
            table = stream.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"body: not an Arrow IPC stream: {error}") from None
    names = table.column_names
    if len(set(names)) < len(names):
        raise DataError(
            f"body: column '{next(n for n in names if names.count(n) > 1)}' is in the table twice"
        )
    _check_count(table.num_rows, max_rows)
    return Order(table.to_pylist(), model_id, options)


def read_options(query: bytes) -> tuple[Options, str | None]:
    """Understand a URL's query.

    Returns: the options, and model_id where it is named there (bodies in Arrow have no other place for it).
    Raises: DataError: an unknown name or a value that is not allowed.
    """
    if not query:
        return PLAIN, None
    found: dict[str, Any] = {}
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise DataError(f"query: {error}") from None
    for name, text in pairs:
        if name not in _READERS:
            raise DataError(f"query: unknown name '{name}'; allowed: {', '.join(_READERS)}")
        if name in found:
            raise DataError(f"query: '{name}' is given twice")
        found[name] = _READERS[name](name, text)
    model_id = found.pop("model_id", None)
    if "class" in found:
        if not found.get("explain"):
            raise DataError("query: class=: names the class to explain; it needs explain=true")
        found["of_class"] = found.pop("class")
    return Options(**found), model_id


def _rows(data: Rows, max_rows: int) -> tuple[list[Any], int]:
    """The rows as a list, and how many names stood in the body for them."""
    given = [name for name in Rows.__struct_fields__ if getattr(data, name) is not UNSET]
    if len(given) != 1:
        raise DataError(
            "data: give either 'records', 'columns' or 'features'; got " + (" and ".join(given) or "none")
        )
    if data.records is not UNSET:
        _check_count(len(data.records), max_rows, "data.records")
        return data.records, sum(map(len, data.records))
    if data.columns is not UNSET:
        return _turned(data.columns, max_rows), len(data.columns)
    features = data.features
    _check_count(
        len(features),
        max_rows if features and isinstance(features[0], list) else len(features),
        "data.features",
    )
    nested = [isinstance(value, list) for value in features]
    if not any(nested):
        return [features], 0
    if not all(nested):
        raise DataError(
            f"data.features[{nested.index(False)}]: a value among rows; give one row's values, or a list of rows"
        )
    return features, 0


def _turned(columns: dict[str, list[Cell]], max_rows: int) -> list[dict[str, Cell]]:
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        short = {name: len(values) for name, values in columns.items()}
        raise DataError(f"data.columns: their lengths differ: {str(short)[:200]}")
    _check_count(next(iter(lengths), 0), max_rows, "data.columns")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _check_count(n_rows: int, max_rows: int, where: str = "data") -> None:
    if not n_rows:
        raise DataError(f"{where}: no rows; at least one is needed")
    if n_rows > max_rows:
        raise DataError(f"{where}: {n_rows} rows; at most {max_rows} in one request")


def _refuse_duplicates(body: bytes, n_names: int) -> None:
    """A name twice in one object has no meaning; every name brings one colon, so most bodies need no second look."""
    if body.count(b":") == n_names:
        return

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            names = [name for name, _ in pairs]
            raise DataError(
                f"body: '{next(n for n in names if names.count(n) > 1)}' is given twice in one object"
            )
        return seen

    json.loads(body, object_pairs_hook=no_duplicates, parse_int=float)


def _explain(message: str, body: bytes) -> str:
    """Msgspec's message with a path that can be read, and the key where it leaves it out."""
    what, _, path = message.partition(" - at `$")
    path = path.rstrip("`").removeprefix(".")
    if "[...]" in path:
        try:
            path = _find(path, json.loads(body, parse_int=float))
        except RecursionError:  # some other part of it; the path without its key is still true
            path = path.replace("[...]", "")
    return f"{path or 'body'}: {what[:1].lower() + what[1:]}"


def _find(path: str, body: Any) -> str:
    """The path with the first name whose value no cell may have."""
    before, _, after = path.partition("[...]")
    value = body
    for part in before.replace("]", "").replace("[", ".").split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    for name, cell in value.items():
        cells = cell if after and isinstance(cell, list) else [cell]
        wrong = any(isinstance(c, (list, dict)) or c in (INFINITE, -INFINITE) for c in cells)
        if wrong or (after and not isinstance(cell, list)):
            return f"{before}.{name}{after}"
    return path


def _level(name: str, text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = float("nan")
    if not 0 < level < 1:
        raise DataError(f"query: {name}={text[:40]!r}; expected a number between 0 and 1, like 0.9")
    return level


def _switch(name: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise DataError(f"query: {name}={text[:40]!r}; expected true or false")
    return text.lower() in ("true", "1")


_READERS: dict[str, Callable[[str, str], Any]] = {
    "interval": _level,
    "explain": _switch,
    "class": lambda _, text: text,
    "draws": _switch,
    "model_id": lambda _, text: text,
}
