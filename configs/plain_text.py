"""Values on the command line that are text, whatever they look like: names of columns and folders, labels, sources.

Hydra's grammar reads 2024_01 as a number, 1e5 as another, False as a truth, and stops at spaces, commas and letters
beyond ASCII. Where the schema asks for text, for a list of texts or for a mapping to texts, nothing of that applies.
"""

from __future__ import annotations

import json
import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from configs.schema import JobConfig

Shape = Literal["text", "texts", "mapping"]

# The rest of 1.234,5 and of Jan 31, 2024, which have a comma in them.
CONTINUED = re.compile(r"[\d\s.%]*|\d*\W|\s*\d{4}")
QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


def text_shape(key: str) -> Shape | None:
    """What kind of text a key of the job takes; None where its values are more than text."""
    annotation: Any = JobConfig
    for part in key.split("."):
        annotation = _inside(annotation, part)
        if annotation is None:
            return None
    return _shape(annotation)


def may_be_null(key: str) -> bool:
    """Whether a key that takes text may also have no value."""
    annotation: Any = JobConfig
    for part in key.split(".")[:-1]:
        annotation = _without_none(_inside(annotation, part))
    field = (
        annotation.model_fields.get(key.rpartition(".")[2]) if hasattr(annotation, "model_fields") else None
    )
    return field is not None and field.default is None


def _inside(annotation: Any, part: str) -> Any:
    annotation = _without_none(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(part)
        return None if field is None else field.annotation
    return get_args(annotation)[1] if get_origin(annotation) is dict else None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        some = [each for each in get_args(annotation) if each is not type(None)]
        return _without_none(some[0]) if len(some) == 1 else annotation
    return annotation


def _shape(annotation: Any) -> Shape | None:
    annotation = _without_none(annotation)
    if annotation is str or (
        get_origin(annotation) is Literal and all(isinstance(v, str) for v in get_args(annotation))
    ):
        return "text"
    if get_origin(annotation) is tuple:
        return "texts" if _shape(get_args(annotation)[0]) == "text" else None
    if get_origin(annotation) is dict:
        return "mapping" if _shape(get_args(annotation)[1]) == "text" else None
    return None


def parse_text(value: str, shape: Shape) -> str | list[str] | dict[str, str] | None:
    """What was typed, as the shape has it; None for null.

    Raises: ValueError: no list or mapping; the text is a reason.
    """
    stripped = value.strip()
    if stripped == "null":
        return None
    if shape == "mapping":
        return _mapping(stripped)
    if shape == "texts" and stripped[:1] == "[":
        if stripped[-1:] != "]":
            raise ValueError("a list ends with ]")
        return [unquote(stripped[1:-1][slice(*span)].strip()) for span in _spans(stripped[1:-1])]
    return unquote(value)


def _mapping(text: str) -> dict[str, str]:
    """`{name: value, ...}`; a piece without a colon belongs to the value before it, or to the name after it."""
    if text[:1] != "{" or text[-1:] != "}":
        raise ValueError("a mapping is written {name: value, ...}")
    inside = text[1:-1]
    found: dict[str, str] = {}
    begun: int | None = None
    last = ""
    for start, end in _spans(inside):
        name, value = _pair(inside[start if begun is None else begun : end])
        if value:
            found[unquote(name)], last, begun = value, unquote(name), None
        elif last and begun is None and CONTINUED.fullmatch(inside[start:end]):
            found[last] += f",{inside[start:end]}"
        else:
            begun = start if begun is None else begun
    if begun is not None:
        raise ValueError(
            f"{inside[begun:].strip()!r} has no value; a mapping is written {{name: value, ...}}"
        )
    return {name: unquote(value) for name, value in found.items()}


def _pair(item: str) -> tuple[str, str]:
    """The name and the value of an item; no value where there is no colon outside quotes."""
    item = item.strip()
    quoted = QUOTED.match(item)
    start = quoted.end() if quoted else 0
    rest = item[start:]
    word = re.search(r":\s*[a-z_]+\Z", rest)
    before, colon, after = (
        (rest[: word.start()], ":", rest[word.start() + 1 :]) if word else rest.partition(": ")
    )
    if not colon:
        before, colon, after = rest.partition(":")
    return (item[:start] + before).strip(), after.strip() if colon else ""


def _spans(text: str) -> list[tuple[int, int]]:
    """Where the pieces between commas stand, those within quotes aside."""
    spans, start, place = [], 0, 0
    while place < len(text):
        before = text[start:place].strip()
        quoted = QUOTED.match(text, place) if not before or before.endswith(":") else None
        if quoted:
            place = quoted.end()
            continue
        if text[place] == ",":
            spans.append((start, place))
            start = place + 1
        place += 1
    spans.append((start, len(text)))
    return [span for span in spans if text[slice(*span)].strip()]


def unquote(text: str) -> str:
    """What stands between quotes, as configs.overrides.quote or JSON wrote it; any other text as it is."""
    if len(text) > 1 and QUOTED.fullmatch(text):
        if text[0] == '"':
            try:
                return str(json.loads(text))
            except ValueError:
                return text[1:-1]
        inner = text[1:-1].replace("\\${", "${")
        inner = re.sub(r"(\\+)'", lambda match: "\\" * ((len(match[1]) - 1) // 2) + "'", inner)
        return re.sub(r"(\\+)\Z", lambda match: "\\" * (len(match[1]) // 2), inner)
    return text
