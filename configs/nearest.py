"""Which setting was meant: the nearest name of the schema to one that is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import cache

from pydantic import BaseModel

from configs.schema import JobConfig

# How alike names are from which on one is meant: in the section that was typed, and in another.
NEAR, NEAR_ELSEWHERE = 0.6, 0.75
# The server's settings are for one command of many.
OF_THE_SERVER = 0.15
# What other libraries call it.
SYNONYMS = {
    "model": "families",
    "models": "families",
    "algorithms": "families",
    "estimators": "families",
    "label": "data.target",
    "y": "data.target",
    "train": "data.source",
    "file": "data.source",
    "cv": "data.n_folds",
    "folds": "data.n_folds",
    "budget": "search.time_budget_s",
    "time": "search.time_budget_s",
    "timeout": "search.time_budget_s",
    "time_limit": "search.time_budget_s",
    "n_iter": "search.num_trials",
    "max_trials": "search.num_trials",
    "n_jobs": "cluster.num_cpus",
    "n_threads": "search.cpus_per_trial",
    "random_state": "seed",
}
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
    meant = [key for key, score in scores.items() if score == best][:MOST_MEANT] if best else []
    if not section and word.casefold() in SYNONYMS:
        meant = [SYNONYMS[word.casefold()]]
    if meant:
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
    at_home = section == prefix
    if by_name < (NEAR if at_home else NEAR_ELSEWHERE):
        return 0.0
    is_far = section.startswith("serving") and not prefix.startswith("serving")
    return by_name + (AT_HOME if at_home else 0.0) - (OF_THE_SERVER if is_far else 0.0)


def _siblings(section: Sequence[str]) -> list[str]:
    model: type[BaseModel] = JobConfig
    for part in section:
        field = model.model_fields.get(part)
        annotation = None if field is None else field.annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
