"""What may be sampled: per family one module of Optuna distributions and tuned starting points.

Each module has the stem of its family and holds

    SPACE       dict[str, BaseDistribution]: every name is a parameter of the family
    DEFAULTS    {"binary": [...], "multiclass": [...], "regression": [...]}: starting points, tried before any
                search, the strongest first
    FAMILY_OWN  the family's own defaults of what a starting point leaves out, if any does

and says where its ranges come from.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from optuna.distributions import BaseDistribution

from configs.schema import ProblemType


def get_space(
    family: str, problem_type: ProblemType
) -> tuple[dict[str, BaseDistribution], list[dict[str, Any]]]:
    """Space and starting points of a family, as copies; a point has a value for all that is searched.

    Args:
        family: Key of a family, see models.families.
        problem_type: Which of the starting points.
    """
    module = import_module(f"search_spaces.{family}")
    own = getattr(module, "FAMILY_OWN", {})
    return dict(module.SPACE), [own | params for params in module.DEFAULTS[problem_type]]
