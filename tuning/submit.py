"""A tuning job for a Ray cluster: the command a user would type there, made of what they typed here."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.load import SAMPLES, load_config
from configs.schema import JobConfig
from configs.sources import STDIN, is_pattern, mask_secrets, source_scheme, split_member
from errors import ConfigError
from tuning.cluster import CHECKOUT, NOT_SHIPPED

# Ray stops a job with this signal, and kills it when it has not ended so many seconds later.
STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "60"}
# Keys that only say where the job is sent.
NOT_SENT = ("cluster", "cluster.address", "cluster.jobs_address")
NAME_LENGTH = 40


@dataclass(frozen=True)
class Submission:
    """What is sent.

    Attributes:
        job_id: Name of the job on the cluster.
        config: The job, validated here.
        arguments: What follows `tabularay` there.
        environment: Variables that the job gets from here.
        local_paths: Settings that name files of this machine, which the cluster must see too.
    """

    job_id: str
    config: JobConfig
    arguments: tuple[str, ...]
    environment: dict[str, str]
    local_paths: tuple[str, ...]

    def entrypoint(self, here: bool) -> str:
        """The shell command.

        Args:
            here: Whether it runs on this machine, by this very Python; elsewhere `python` is the cluster's.
        """
        return shlex.join(["exec", sys.executable if here else "python", "-m", "cli", *self.arguments])

    def runtime_env(self) -> dict[str, Any]:
        """Ray's runtime environment: the checkout and the variables."""
        return {"working_dir": str(CHECKOUT), "excludes": NOT_SHIPPED, "env_vars": STOP | self.environment}


def prepare(overrides: Sequence[str], config_dir: Path | None, variables: Sequence[str] = ()) -> Submission:
    """Check a job here, before anything is sent, and make its paths mean the same there.

    Args:
        overrides: As for `tune`.
        config_dir: As for `tune`.
        variables: Names of environment variables that go with the job.

    Raises: ConfigError: as load_config; a password among the overrides; a relative path that leads nowhere; a variable
        that is not set.
    """
    config = load_config(overrides, config_dir, "submit")
    for override in overrides:
        if mask_secrets(override) != override:
            raise ConfigError(
                f"{mask_secrets(override)}: everyone on the cluster could read this password in its list of jobs; "
                "set it in the environment (PGPASSWORD, REDIS_URL) and send that with --env NAME"
            )
    paths = _paths(config)
    sent = [o for o in overrides if o.partition("=")[0] not in (*NOT_SENT, *paths)]
    where = ["--config-dir", str(config_dir.resolve())] if config_dir is not None else []
    settings = [f"{key}={value}" for key, value in paths.items()]
    return Submission(
        job_id=_job_id(str(config.name)),
        config=config,
        arguments=("tune", *where, "--", *sent, *settings, "cluster=running", "cluster.address=auto"),
        environment=_environment(variables),
        local_paths=(*settings, *(f"--config-dir {path}" for path in where[1:])),
    )


def _paths(config: JobConfig) -> dict[str, str]:
    """Settings that are local paths, made absolute; samples are part of what is sent."""
    paths = {}
    for key, value in (("data.source", config.data.source), ("data.test_source", config.data.test_source)):
        if value is None or source_scheme(value) or Path(value).is_relative_to(SAMPLES):
            continue
        if value == STDIN:
            raise ConfigError(
                f"{key}=-: a job on a cluster has no standard input; name a file that it can read"
            )
        place = Path(split_member(value)[0])
        if not (place.is_absolute() or place.exists() or (is_pattern(value) and place.parent.is_dir())):
            raise ConfigError(
                f"{key}={value}: no such file here; a path on the cluster's machines is absolute"
            )
        paths[key] = str(Path(value).absolute())
    for key, value in (("runs", config.runs), ("registry", config.registry)):
        if not source_scheme(value):
            paths[key] = str(Path(value).absolute())
    return paths


def _environment(variables: Sequence[str]) -> dict[str, str]:
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ConfigError(f"--env {missing[0]}: not set here; expected the name of an environment variable")
    return {name: os.environ[name] for name in variables}


def _job_id(name: str) -> str:
    """Readable, new, and safe in URLs and file names."""
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-.")[:NAME_LENGTH] or "model"
    return f"job-{safe}-{secrets.token_hex(3)}"
