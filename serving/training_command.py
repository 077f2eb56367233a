"""From a request to the settings that a user would type after `tabularay tune`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.overrides import as_override
from configs.unused import without
from errors import ConfigError
from models.families import check_family
from serving.training_schema import SearchRequest, TrainFields

FAMILY = "dnn"
# What a request asks for, and the settings for every task that would then say nothing.
YIELDING = {
    "data.val_size": ("data.n_folds", "data.holdout_rows", "search.scheduler", "search.reduction_factor"),
    "data.n_folds": ("data.val_size", "data.holdout_rows"),
    "search.num_trials": ("search.choice",),
    f"params.{FAMILY}.hidden_dims": (f"params.{FAMILY}.n_blocks", f"params.{FAMILY}.d_block"),
}


def job_overrides(
    request: TrainFields, source: str, runs: Path, registry: str, common: Sequence[str]
) -> list[str]:
    """The settings of the job that a request asks for.

    The split is the CLI's: `test_size` of all rows is withheld (data.test_size), then `val_size` of the others
    validates (data.val_size), which both ends a fit early and scores it; without it five folds do so in turn.

    Args:
        request: The request.
        source: Its table.
        runs: Folder of the runs.
        registry: Where its model is registered.
        common: Settings that every task gets; the request's own win.

    Raises: ConfigError: an unknown family, or params of one that is not searched.
    """
    asked = {
        "data.source": source,
        "data.target": request.target_column,
        "data.test_size": request.test_size,
        "data.val_size": request.val_size,
        "data.ignore": request.ignore or None,
        "problem_type": request.task_type,
        "name": request.name,
        "promote": request.promote or None,
        "seed": request.seed,
        **(_network(request) if request.search is None else _search(request.search)),
    }
    fixed = {"alias": "candidate", "runs": str(runs), "registry": registry}
    settings = {key: value for key, value in (asked | fixed).items() if value is not None}
    yielding = [other for key in settings for other in YIELDING.get(key, ())]
    return [*without(common, yielding), *(as_override(key, value) for key, value in settings.items())]


def here(name: str) -> list[str]:
    """Settings of every job of the service: its name, whatever the table's, and the Ray that it is sent to."""
    return [as_override("name", name), "cluster=running", "cluster.address=auto"]


def _network(request: TrainFields) -> dict[str, Any]:
    """One trial of one family; what is not asked for is the family's first starting point."""
    asked: dict[str, Any] = {}
    if request.network is not None:
        asked |= {
            "hidden_dims": request.network.hidden_dims,
            "dropout": request.network.dropout_rate,
            "activation": request.network.activation,
        }
    if request.training is not None:
        asked |= request.training.model_dump()
    params = {f"params.{FAMILY}.{key}": value for key, value in asked.items()}
    return {"families": [FAMILY], "search.num_trials": 1, **params}


def _search(search: SearchRequest) -> dict[str, Any]:
    for family in (*(search.families or ()), *search.params):
        check_family(family)
    if search.families is not None:
        for family in search.params:
            if family not in search.families:
                raise ConfigError(
                    f"search.params.{family}: the family is not searched; families: {', '.join(search.families)}"
                )
    return {
        "families": search.families,
        "metric": search.metric,
        **{
            f"params.{f}.{name}": value for f, given in search.params.items() for name, value in given.items()
        },
        "search.num_trials": search.num_trials,
        "search.time_budget_s": search.time_budget_s,
        "data.n_folds": search.n_folds,
    }
