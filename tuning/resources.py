"""What a trial asks of Ray, family by family, and how many trials that lets run at once."""

from __future__ import annotations

from typing import Any

import ray
from ray.tune import PlacementGroupFactory

from configs.schema import JobConfig, ResourcesConfig
from errors import ConfigError

CPU_ONLY = ("lightgbm",)


def family_resources(config: JobConfig) -> dict[str, ResourcesConfig]:
    """CPUs and share of a GPU of one trial of each family."""
    search = config.search
    resources = {}
    for family in config.families:
        given = search.resources.get(family, ResourcesConfig())
        gpus = 0.0 if family in CPU_ONLY else search.gpus_per_trial
        resources[family] = ResourcesConfig(
            cpus=given.cpus or search.cpus_per_trial, gpus=gpus if given.gpus is None else given.gpus
        )
    return resources


def request(config: dict[str, Any]) -> PlacementGroupFactory:
    """What Ray is asked for, for a trial's config."""
    bundle = {"CPU": float(config["cpus"])} | ({"GPU": config["gpus"]} if config["gpus"] else {})
    return PlacementGroupFactory([bundle])


def slots(config: JobConfig) -> int:
    """How many trials run at once.

    Raises: ConfigError: the cluster has too few CPUs or GPUs for a single trial of some family.
    """
    have = ray.cluster_resources()
    most = max(_fitting(family, r, have) for family, r in family_resources(config).items())
    return max(1, min(most, config.search.max_concurrent or most))


def _fitting(family: str, resources: ResourcesConfig, have: dict[str, float]) -> int:
    fitting = []
    for name, need, key in (("CPU", resources.cpus, "cpus"), ("GPU", resources.gpus, "gpus")):
        if need and have.get(name, 0.0) < need:
            raise ConfigError(
                f"search.{key}_per_trial={need:g}: the cluster has {have.get(name, 0.0):g} {name}s; "
                f"{family} can have less with search.resources.{family}.{key}"
            )
        if need:
            fitting.append(int(have[name] / need + 1e-9))
    return min(fitting)
