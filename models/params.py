"""Parameters of a family: checked against a declared range, and explained when they are wrong."""

from __future__ import annotations

from difflib import get_close_matches
from types import NoneType
from typing import Any, ClassVar, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from errors import ConfigError

_SIGNS = {Ge: ">= {ge}", Gt: "> {gt}", Le: "<= {le}", Lt: "< {lt}"}
_KINDS = {int: "an integer", float: "a number", bool: "true or false"}


class Params(BaseModel):
    """Base of every family's parameters: frozen, unknown names refused, infinities refused.

    Attributes:
        SYNONYMS: Names other libraries use for a parameter, offered as a correction and never accepted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    SYNONYMS: ClassVar[dict[str, str]] = {}


def check(kind: type[Params], key: str, params: dict[str, Any]) -> dict[str, Any]:
    """Complete and validate params; `key` names the family in messages.

    Returns: every parameter with its value, as JSON types.
    Raises: ConfigError: an unknown name, with the nearest valid one, or a value out of range, with the range.
    """
    for name in params:
        if name not in kind.model_fields:
            raise ConfigError(_unknown(kind, key, name))
    try:
        return kind.model_validate(params).model_dump(mode="json")
    except ValidationError as error:
        names = dict.fromkeys(str(item["loc"][0]) for item in error.errors())
        raise ConfigError("; ".join(_wrong(kind, key, name, params[name]) for name in names)) from None


def _unknown(kind: type[Params], key: str, name: str) -> str:
    fields = list(kind.model_fields)
    near = [kind.SYNONYMS[name]] if name in kind.SYNONYMS else get_close_matches(name, fields, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return f"params.{key}: unknown parameter '{name}'{hint}; allowed: {', '.join(fields)}"


def _wrong(kind: type[Params], key: str, name: str, value: object) -> str:
    return f"params.{key}.{name}: got {value!r}; allowed: {_allowed(kind.model_fields[name])}"


def _allowed(field: FieldInfo) -> str:
    if field.description:
        return field.description
    if get_origin(field.annotation) is Literal:
        return ", ".join(map(str, get_args(field.annotation)))
    types = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not NoneType]
    bounds = [
        sign.format(**{type(limit).__name__.lower(): getattr(limit, type(limit).__name__.lower())})
        for limit in field.metadata
        if (sign := _SIGNS.get(type(limit)))
    ]
    return " ".join([_KINDS.get(types[0], str(types[0])), " and ".join(bounds)]).strip()
