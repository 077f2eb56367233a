"""What is searched of each family: its space with the user's params frozen or narrowed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from configs.schema import JobConfig, ProblemType
from errors import ConfigError
from models.families import check_family, get_family
from search_spaces import get_space
from search_spaces.unused import unused_params


@dataclass(frozen=True)
class FamilySpace:
    """One family's part of a sweep.

    Attributes:
        family: Family key.
        space: What is searched.
        fixed: Parameters frozen by the user.
        portfolio: Starting points, inside space; at least one.
        n_warm: How many of the first starting points come from an earlier run.
        seen: Params and running mean scores of trials of an earlier run on the same table.
    """

    family: str
    space: dict[str, BaseDistribution]
    fixed: dict[str, Any]
    portfolio: tuple[dict[str, Any], ...]
    n_warm: int = 0
    seen: tuple[tuple[dict[str, Any], tuple[float, ...]], ...] = ()

    @property
    def size(self) -> float:
        """How many different configurations there are; infinite when a parameter is continuous."""
        return math.prod(_size(d) for d in self.space.values())


def check_families(config: JobConfig) -> None:
    """Check the names of a job's families, without importing them.

    Raises: ConfigError: unknown, named twice, or given params without being searched.
    """
    for family in (*config.families, *config.params, *config.search.resources):
        check_family(family)
    if len(set(config.families)) != len(config.families):
        raise ConfigError(f"families: named twice; got {', '.join(config.families)}")
    for section, named in (("params", config.params), ("search.resources", config.search.resources)):
        for family in named:
            if family not in config.families:
                raise ConfigError(
                    f"{section}.{family}: the family is not searched; families: {', '.join(config.families)}"
                )


def family_spaces(config: JobConfig, problem_type: ProblemType) -> dict[str, FamilySpace]:
    """The space of every family of a job, in the job's order.

    Raises: ConfigError: an unknown parameter, or a value the family does not take.
    """
    return {f: _family_space(f, problem_type, config.params.get(f, {})) for f in config.families}


def searched_space(
    family: str, problem_type: ProblemType, given: Mapping[str, Any]
) -> tuple[dict[str, BaseDistribution], dict[str, Any]]:
    """What is searched of a family, and what is frozen; needs no model library.

    Args:
        family: Family key.
        problem_type: What its starting ranges depend on.
        given: The user's params of the family.

    Raises: ConfigError: bounds or choices that the parameter does not take; one that another makes meaningless.
    """
    full, _ = get_space(family, problem_type)
    space, fixed = dict(full), {}
    for name, value in given.items():
        if isinstance(value, dict):
            space[name] = _narrow(family, name, value, full)
        elif isinstance(value, list | tuple) and name in full:
            space[name] = _choices(family, name, value)
        else:
            fixed[name] = list(value) if isinstance(value, tuple) else value
            space.pop(name, None)
    for name, rule in unused_params(fixed).items():
        if given.get(name) is not None:
            raise ConfigError(
                f"params.{family}.{name}={given[name]}: nothing uses it with "
                f"params.{family}.{rule.by}={fixed[rule.by]}: {rule.why}; leave one of the two out"
            )
        space.pop(name, None)
    return space, fixed


def _family_space(family: str, problem_type: ProblemType, given: Mapping[str, Any]) -> FamilySpace:
    """The family's library is imported only to check what the user has given; the rest a test has checked."""
    _, defaults = get_space(family, problem_type)
    space, fixed = searched_space(family, problem_type, given)
    points: list[dict[str, Any]] = []
    for default in defaults:
        point = {name: _clip(default.get(name), d) for name, d in space.items()}
        if point not in points:
            points.append(point)
    if given:
        _check_given(family, problem_type, given, space, points)
    return FamilySpace(family, space, fixed, tuple(points))


def _check_given(
    family: str,
    problem_type: ProblemType,
    given: Mapping[str, Any],
    space: Mapping[str, BaseDistribution],
    points: Sequence[Mapping[str, Any]],
) -> None:
    model = get_family(family)
    fixed = {name: value for name, value in given.items() if name not in space}
    if problem_type == "regression" and given.get("class_weight"):
        raise ConfigError(
            f"params.{family}.class_weight: got {given['class_weight']!r}, but the target is a number and has no "
            "classes; allowed: null"
        )
    if problem_type != "regression" and given.get("beta") is not None and "beta" in model.check_params({}):
        raise ConfigError(
            f"params.{family}.beta={given['beta']}: nothing uses it here: it weighs the noise of numbers, and the "
            "target has classes; leave it out"
        )
    for name in given.keys() & space.keys():
        for edge in _edges(space[name]):
            model.check_params(fixed | {name: edge})
    for point in points:
        model.check_params(fixed | point)


def _narrow(
    family: str, name: str, bounds: Mapping[str, Any], full: Mapping[str, BaseDistribution]
) -> BaseDistribution:
    where = f"params.{family}.{name}"
    if name not in full:
        near = get_close_matches(name, full, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise ConfigError(f"{where}: not a searched parameter{hint}; searched: {', '.join(full)}")
    old = full[name]
    if isinstance(old, CategoricalDistribution) or set(bounds) != {"low", "high"}:
        raise ConfigError(
            f"{where}: got {dict(bounds)}; expected a value, a list of choices, or {{low, high}} of a number"
        )
    try:
        low, high = (float(bounds[k]) for k in ("low", "high"))
        if isinstance(old, IntDistribution):
            return IntDistribution(int(low), int(high), log=old.log)
        return FloatDistribution(low, high, log=old.log)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}; got {dict(bounds)}") from None


def _choices(family: str, name: str, values: Sequence[Any]) -> CategoricalDistribution:
    if not values:
        raise ConfigError(f"params.{family}.{name}: an empty list of choices")
    return CategoricalDistribution(tuple(values))


def _edges(distribution: BaseDistribution) -> tuple[Any, ...]:
    """Values that are allowed if all of a distribution's are."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    return (distribution.low, distribution.high)


def _clip(value: Any, distribution: BaseDistribution) -> Any:
    """The allowed value nearest to a default."""
    if isinstance(distribution, CategoricalDistribution):
        return value if value in distribution.choices else distribution.choices[0]
    if isinstance(distribution, IntDistribution | FloatDistribution):
        clipped = min(max(value, distribution.low), distribution.high)
        return int(clipped) if isinstance(distribution, IntDistribution) else float(clipped)
    raise ConfigError(f"unknown kind of distribution: {json.dumps(str(distribution))}")


def _size(distribution: BaseDistribution) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution):
        return (distribution.high - distribution.low) // distribution.step + 1
    return math.inf if not distribution.single() else 1
