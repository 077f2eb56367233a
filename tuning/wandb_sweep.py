"""The W&B Sweep that a run's trials belong to: its page shows them, while the search stays ours."""

from __future__ import annotations

from typing import Any

import wandb
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from configs.schema import JobConfig, TrackingConfig
from tuning.runs import Run
from tuning.spaces import searched_space


def create_sweep(run: Run, config: TrackingConfig, event: dict[str, Any]) -> str | None:
    """Create the sweep.

    Args:
        run: The run.
        config: Project and entity.
        event: The event that began the sweep.

    Returns: its id, or None when W&B refuses; the runs are then sent without one.
    """
    try:
        return wandb.sweep(
            sweep_config(run.name, run.config(), event), entity=config.entity, project=config.project
        )
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - wandb raises what its server says, and runs can do without
        print(f"no W&B sweep, the runs are sent without one: {error}", flush=True)  # noqa: T201 - tracking.log
        return None


def sweep_config(name: str, job: JobConfig, event: dict[str, Any]) -> dict[str, Any]:
    """A sweep's configuration: our search space, and a local controller, so that W&B proposes nothing.

    Args:
        name: Name of the run.
        job: Its configuration.
        event: The event that began the sweep.
    """
    return {
        "name": name,
        "description": f"{event['rows']} rows, {event['features']} features, {event['problem_type']}",
        "method": "bayes",
        "controller": {"type": "local"},
        "metric": {"name": event["metric"], "goal": "maximize" if event["mode"] == "max" else "minimize"},
        "parameters": _parameters(job, event),
    }


def _parameters(job: JobConfig, event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of each parameter what any family searches or fixes, as runs of all families share its axis."""
    found: dict[str, list[dict[str, Any]]] = {}
    for family in event["families"]:
        space, fixed = searched_space(family, event["problem_type"], job.params.get(family, {}))
        for name, distribution in space.items():
            found.setdefault(name, []).append(_parameter(distribution))
        for name, value in fixed.items():
            found.setdefault(name, []).append({"values": [value]})
    return {"family": {"values": list(event["families"])}} | {n: _union(p) for n, p in found.items()}


def _parameter(distribution: BaseDistribution) -> dict[str, Any]:
    if isinstance(distribution, CategoricalDistribution):
        return {"values": list(distribution.choices)}
    bounds = {"min": distribution.low, "max": distribution.high}
    if isinstance(distribution, IntDistribution):
        kind = "q_log_uniform_values" if distribution.log else "q_uniform"
        return {"distribution": kind, **bounds, "q": distribution.step}
    return {"distribution": "log_uniform_values" if distribution.log else "uniform", **bounds}


def _union(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    """The narrowest parameter that holds them all; ranges win over lists of values."""
    values = list({repr(v): v for p in parameters for v in p.get("values", ())}.values())
    ranges = sorted((p for p in parameters if "min" in p), key=lambda p: "q" in p)
    if not ranges:
        return {"values": values}
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    low = min([*numbers, *(r["min"] for r in ranges)])
    high = max([*numbers, *(r["max"] for r in ranges)])
    if low == high:
        return {"values": [low]}
    kind = ranges[0]["distribution"]  # of a float if there is one, as it takes integers too
    return ranges[0] | {
        "min": low,
        "max": high,
        "distribution": kind if low > 0 else kind.replace("log_", "").removesuffix("_values"),
    }
