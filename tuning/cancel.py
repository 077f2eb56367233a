"""Ending a run, or a cluster's job, as Ctrl-C would."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

from errors import ConfigError
from tuning.jobserver import JobServer, job_server_address
from tuning.runs import Run, find_run
from tuning.watch import RunWatch


def cancel(reference: str, runs: Path, address: str | None) -> str:
    """Ask a run or a job to end; it keeps what is finished and ends by itself.

    Args:
        reference: A run as find_run takes it, or a job of a cluster.
        runs: Folder of the run directories.
        address: The cluster's; see job_server_address.

    Returns: what was done, for the user.
    Raises: ConfigError: neither a run nor a job; it is not running; or it runs where it cannot be told.
    """
    try:
        run = find_run(reference, runs)
    except ConfigError as no_run:
        return _cancel_job(reference, address, no_run)
    return _cancel_run(run, address)


def _cancel_job(job_id: str, address: str | None, no_run: ConfigError) -> str:
    try:
        server = JobServer(job_server_address(address))
        stopped = server.stop(job_id)
    except ConfigError as no_job:
        raise type(no_job)(f"{no_run}\n{no_job}") from None
    if not stopped:
        raise ConfigError(f"{job_id}: not running; its state is {server.job(job_id)['state']}")
    return f"{job_id}: asked to end; finished folds are kept. Its log: {server.command('logs', job_id)}"


def _cancel_run(run: Run, address: str | None) -> str:
    if not run.is_driven():
        raise ConfigError(f"{run.name}: not running; its state is {RunWatch(run).state}")
    driver = json.loads(run.driver.read_text("utf-8"))
    if driver.get("job") and driver["host"] != socket.gethostname():
        JobServer(job_server_address(address)).stop(driver["job"])
    elif driver["host"] != socket.gethostname():
        raise ConfigError(
            f"{run.name}: runs on {driver['host']} as process {driver['pid']}, this is {socket.gethostname()}; "
            "cancel it there"
        )
    else:
        try:
            os.kill(driver["pid"], signal.SIGINT)
        except PermissionError:
            raise ConfigError(f"{run.name}: process {driver['pid']} belongs to another user") from None
        except ProcessLookupError:
            raise ConfigError(f"{run.name}: process {driver['pid']} has just ended") from None
    return f"{run.name}: asked to end; finished folds are kept. See: tabularay jobs show {run.name}"
