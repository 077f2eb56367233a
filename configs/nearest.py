"""Which setting was meant: the nearest name of the schema to one that is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import cache

from pydantic import BaseModel

from configs.schema import JobConfig

NEAR = 0.6
# So many names are listed where none is near.
MOST_LISTED = 20
# What a name in its right place is worth: of two equally near ones, the one beside it is meant.
AT_HOME = 0.1
MOST_MEANT = 2


def nearest(path: Sequence[str]) -> str:
    """What to say of an unknown key: the key that was meant, in whichever section, else what its section has."""
    *section, word = path
    prefix = ".".join(section)
    scores = {key: _likeness(key, prefix, word) for key in keys()}
    best = max(scores.values())
    if best >= NEAR:
        meant = [key for key, score in scores.items() if score == best][:MOST_MEANT]
        return f" (did you mean {' or '.join(repr(key) for key in meant)}?)"
    siblings = _siblings(section)
    listed = (
        f"; allowed: {', '.join(siblings)}" if siblings and (prefix or len(siblings) < MOST_LISTED) else ""
    )
    family = "; a family's own parameter is params.FAMILY.NAME" if not prefix else ""
    return listed + family


def nearest_of(word: str, allowed: Sequence[str]) -> str:
    """The same among a few names."""
    near = get_close_matches(word, allowed, n=1, cutoff=NEAR)
    return f" (did you mean '{near[0]}'?)" if near else f"; allowed: {', '.join(allowed)}"


@cache
def keys() -> tuple[str, ...]:
    """Every key of the schema, dotted, sections included."""
    return tuple(_keys(JobConfig, ""))


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _keys(kind, f"{prefix}{name}.")


def _likeness(key: str, prefix: str, word: str) -> float:
    """How near a key is by its last name, whatever its section."""
    section, _, name = key.rpartition(".")
    by_name = SequenceMatcher(None, word.casefold(), name).ratio()
    if name.startswith(f"{word.casefold()}_"):  # only the unit is missing
        by_name = max(by_name, 0.95)
    home = AT_HOME if section == prefix else 0.0
    return by_name + home if by_name >= NEAR else 0.0


def _siblings(section: Sequence[str]) -> list[str]:
    model: type[BaseModel] = JobConfig
    for part in section:
        field = model.model_fields.get(part)
        annotation = None if field is None else field.annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
