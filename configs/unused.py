"""Settings that nothing would read: each is refused, with what to use instead, before any work.

Only what the user typed is asked about, never a default or a preset, which serves many jobs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from configs.schema import JobConfig, ServingConfig, TrainingServiceConfig
from configs.sources import mask_secrets, source_scheme
from errors import ConfigError

Command = Literal["tune", "submit", "inspect", "ensemble", "track", "serve"]
SEARCHES: tuple[Command, ...] = ("tune", "submit")
SETTINGS: tuple[Command, ...] = (*SEARCHES, "ensemble", "track")
# The two that are tried, and what else pyarrow opens where its libraries are.
STORES = ("s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss", "file", "mock")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:/", re.IGNORECASE)

NOT_LOOKED_AT = (
    *("name", "families", "metric", "params", "seed", "runs", "registry", "alias", "promote"),
    *("search", "tracking", "ensemble", "serving", "cluster"),
)
OF_TRAINING = tuple(
    f"serving.training.{name}" for name in TrainingServiceConfig.model_fields if name != "enabled"
)


@dataclass(frozen=True)
class Rule:
    """When a setting says nothing.

    Attributes:
        keys: The settings; a section stands for all that is in it.
        unused: Whether nothing reads them in a job like this.
        instead: Why, and what to do.
        commands: The commands that this holds of.
    """

    keys: tuple[str, ...]
    unused: Callable[[Any], bool]
    instead: str
    commands: tuple[Command, ...] = SEARCHES

    def covers(self, key: str) -> bool:
        """Whether a key that was typed is one of these."""
        return any(key == own or key.startswith(f"{own}.") for own in self.keys)


def _always(_config: Any) -> bool:
    return True


def _all_have(name: str) -> Callable[[JobConfig], bool]:
    """Whether every family has its own of a resource."""

    def check(config: JobConfig) -> bool:
        own = config.search.resources
        return all(f in own and getattr(own[f], name) is not None for f in config.families)

    return check


RULES = (
    Rule(
        ("data.holdout_rows",),
        lambda c: c.data.n_folds is not None or c.data.val_size is not None,
        "it decides where neither data.n_folds nor data.val_size is given; leave it out",
    ),
    Rule(
        ("search.scheduler", "search.reduction_factor"),
        lambda c: c.data.val_size is not None and c.search.scheduler != "none",
        "trials are stopped between folds, and data.val_size makes one part of them; leave it out, or use data.n_folds",
    ),
    Rule(
        ("search.reduction_factor",),
        lambda c: c.search.scheduler in ("median", "none"),
        "only search.scheduler=ensemble and search.scheduler=race have rungs; leave it out, or use one of those",
    ),
    Rule(
        ("search.choice",),
        lambda c: c.search.time_budget_s is None,
        "without search.time_budget_s families take turns, so that a seed gives the same trials; leave it out",
    ),
    Rule(
        ("search.choice",),
        lambda c: len(c.families) == 1,
        "one family is searched, so there is none to choose; leave it out",
    ),
    Rule(
        ("search.cpus_per_trial",),
        _all_have("cpus"),
        "search.resources gives every family its own cpus; leave one of the two out",
    ),
    Rule(
        ("search.gpus_per_trial",),
        _all_have("gpus"),
        "search.resources gives every family its own gpus; leave one of the two out",
    ),
    Rule(
        ("search.gpus_per_trial",),
        lambda c: set(c.families) == {"lightgbm"} and c.search.gpus_per_trial > 0,
        "LightGBM stays on the CPU; leave it out, or search other families",
    ),
    Rule(
        ("cluster.num_cpus", "cluster.num_gpus"),
        lambda c: c.cluster.address is not None,
        "with cluster.address the cluster has what it was started with (`ray start --num-cpus`); to use fewer: "
        "search.max_concurrent",
    ),
    Rule(
        ("cluster.num_cpus", "cluster.num_gpus"),
        _always,
        "a job that is sent to a cluster has what that was started with (`ray start --num-cpus`); to use fewer: "
        "search.max_concurrent",
        ("submit",),
    ),
    Rule(
        ("cluster.jobs_address",),
        _always,
        "`tabularay submit` sends jobs there; `tune` connects to cluster.address=HOST:6379",
        ("tune",),
    ),
    Rule(
        ("tracking.mode",),
        lambda c: c.tracking.backend == "mlflow" and c.tracking.mode in ("online", "offline"),
        "that is for W&B; MLflow records where tracking.uri says; allowed with it: auto, disabled",
        SETTINGS,
    ),
    Rule(
        ("tracking.entity",),
        lambda c: c.tracking.backend == "mlflow",
        "that is a W&B user or team; with MLflow use tracking.project=EXPERIMENT and tracking.uri",
        SETTINGS,
    ),
    Rule(
        ("tracking.uri",),
        lambda c: c.tracking.backend == "wandb",
        "that is MLflow's store; add tracking.backend=mlflow, or set WANDB_BASE_URL for a W&B server of your own",
        SETTINGS,
    ),
    Rule(
        ("tracking.finish_timeout_s",),
        _always,
        "`track` waits until all is sent; leave it out",
        ("track",),
    ),
    Rule(
        ("serving",),
        _always,
        "that is for the server; give it to `tabularay serve NAME`",
        (*SEARCHES, "ensemble", "track"),
    ),
    Rule(
        NOT_LOOKED_AT,
        _always,
        "`inspect` only looks at the table; it takes data.*, problem_type and experiment",
        ("inspect",),
    ),
    Rule(
        OF_TRAINING,
        lambda c: not c.training.enabled,
        "training is switched off by serving.training.enabled=false; leave one of the two out",
        ("serve",),
    ),
    Rule(
        ("serving.training.cpus", "serving.training.idle_s"),
        lambda c: c.training.address is not None,
        "they are of a Ray on this machine, and serving.training.address names a cluster; leave it out",
        ("serve",),
    ),
    Rule(
        ("serving.target_busy", "serving.scale_up_after_s", "serving.scale_down_after_s"),
        lambda c: c.max_replicas in (None, c.replicas),
        "replicas come and go only with serving.max_replicas above serving.replicas; add that, or leave it out",
        ("serve",),
    ),
)


def check_used(config: JobConfig | ServingConfig, overrides: Iterable[str], command: Command) -> None:
    """Refuse what was typed and nothing would read.

    Args:
        config: What all settings together came to.
        overrides: What was typed, `key=value` each.
        command: Where.

    Raises: ConfigError: names the setting, why nothing reads it, and what to use instead.
    """
    for override in overrides:
        key, _, value = override.partition("=")
        rule = None if value == "null" else _rule(config, key, command)
        if rule is not None:
            raise ConfigError(f"{mask_secrets(override)}: nothing uses it here: {rule.instead}")


def _rule(config: Any, key: str, command: Command) -> Rule | None:
    rules = (rule for rule in RULES if command in rule.commands and rule.covers(key))
    return next((rule for rule in rules if rule.unused(config)), None)


def without(settings: Sequence[str], keys: Iterable[str]) -> list[str]:
    """The settings but for some keys, and what is in those."""
    rule = Rule(tuple(keys), _always, "")
    return [setting for setting in settings if not rule.covers(setting.partition("=")[0])]


def check_registry(registry: str) -> None:
    """A place where models may be registered.

    Raises: ConfigError: an address of something else.
    """
    scheme = source_scheme(registry)
    if not registry or (scheme and scheme not in STORES):
        raise ConfigError(
            f"registry={mask_secrets(registry)}: allowed: a folder, s3://BUCKET/..., gs://BUCKET/..."
        )


def check_folder(folder: str, key: str) -> str:
    """A folder of run directories, which is a folder and not an address.

    Raises: ConfigError: it is empty, or an address, and a folder of that name would be made.
    """
    if not folder or ADDRESS.match(folder):
        raise ConfigError(
            f"{key}={mask_secrets(folder)}: allowed: a folder, on storage that all nodes share where there are several "
            "(NFS, EFS, ...); s3:// and gs:// are allowed for registry and data.source"
        )
    return folder
