"""Tracking: one process of its own records all trials of a sweep, from the run's event file.

The sweep never talks to W&B or MLflow: it appends to `events.jsonl`, which this process follows. So they can be
slow, dead or unreachable and no trial waits; what was not recorded is still in the file, and `tabularay track RUN`
(or `python -m tuning.tracking RUN`) records it later, each trial once.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from configs.schema import TrackingConfig
from configs.sources import mask_secrets
from data.reach import check_reachable, is_unreachable
from errors import ConfigError
from tuning.runs import Run
from tuning.tracked import Happened, Ledger
from tuning.tracker import Recording, Tracker, read_session, resolve_mode

# How the process is told what to do; unlike arguments, others on the machine cannot read it.
VARIABLE = "TABULARAY_TRACKING"
ATTEMPTS = 3
NICENESS = 10
KILL_S = 1.0
PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306}
# What a user has set for one run of their own would make all our runs one.
ONE_RUN = ("RUN_ID", "RUN_GROUP", "NAME", "NOTES", "TAGS", "JOB_TYPE", "RESUME", "SWEEP_ID", "SWEEP_PARAM_PATH",
           "SERVICE", "DIR", "LAUNCH")  # fmt: skip


class TrackingProcess:
    """The process that follows the event file; the sweep holds only this handle.

    Args:
        run: The run.
        config: Where it is recorded.
    """

    def __init__(self, run: Run, config: TrackingConfig) -> None:
        self.run = run
        self.config = config
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, follow: bool = True) -> None:
        """Start recording.

        Args:
            follow: Whether this process is writing the event file, and its `close` is to be waited for.

        Raises: ConfigError: the package of the tracker is not installed.
        """
        if resolve_mode(self.config) == "disabled":
            return
        if self.config.backend == "mlflow" and importlib.util.find_spec("mlflow") is None:
            raise ConfigError(
                "tracking.backend=mlflow: MLflow is not installed: pip install 'tabularay[mlflow]'"
            )
        order: dict[str, Any] = {"config": dict(self.config)}
        if follow:
            size = self.run.events.stat().st_size if self.run.events.exists() else 0
            order |= {"writer": os.getpid(), "since": size}
        own = {f"WANDB_{name}" for name in ONE_RUN}
        environment = {k: v for k, v in os.environ.items() if k not in own}
        with (self.run.logs / "tracking.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "tuning.tracking", str(self.run.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=Path(__file__).parent.parent,
                env=environment | {VARIABLE: json.dumps(order)},
            )
        os.setpriority(os.PRIO_PROCESS, self.process.pid, NICENESS)

    def finish(self, time_s: float | None = None) -> str:
        """Wait a while for the last events.

        Args:
            time_s: What is left of the user's time; default: tracking.finish_timeout_s alone counts.

        Returns: what the user should know, or an empty string.
        """
        limit_s = self.config.finish_timeout_s
        return self.wait(limit_s if time_s is None else max(0.0, min(limit_s, time_s)))

    def wait(self, limit_s: float | None) -> str:
        """Wait for the process, and stop it after the limit; returns as finish does."""
        if self.process is None:
            return ""
        try:
            code = self.process.wait(limit_s)
            how = (
                f"was ended by signal {-code}"
                if code < 0
                else "ended" + (f" with code {code}" if code else "")
            )
        except subprocess.TimeoutExpired:
            how = f"was stopped after waiting {limit_s:.1f} s for it"
            _stop(self.process)
        return missing(self.run, self.config, how)


def missing(run: Run, config: TrackingConfig, how: str) -> str:
    """What of a run is not where its configuration wants it, in one sentence; empty if nothing.

    Args:
        run: The run.
        config: Its tracking.
        how: How the tracking process ended.
    """
    where, tracked, happened = resolve_mode(config), Ledger(run).read(), Happened.of(run)
    label = "MLflow" if config.backend == "mlflow" else "W&B"
    at_hand = "offline" if where == "online" else where
    lost = [n for n, end in happened.ends.items() if not tracked.has(n, end, at_hand)]
    unsent = [n for n, end in happened.ends.items() if not tracked.has(n, end, where)]
    total = len(happened.ends)
    later = f"record them: tabularay track {run.path}"
    if lost:
        log = run.logs / "tracking.log"
        return f"{label} tracking {how}: {len(lost)} of {total} trials not recorded; {later} (log: {log})"
    if unsent:
        why = f" ({tracked.fallback})" if tracked.fallback else ""
        return f"W&B could not be reached{why}: {len(unsent)} of {total} trials are in files only; {later}"
    if happened.summary is not None and not tracked.has_summary(happened.summary, where):
        return f"{label} tracking {how}: the summary is not recorded; record it: tabularay track {run.path}"
    return ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(KILL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def track_run(run: Run, config: TrackingConfig) -> dict[str, Any]:
    """Record what is not recorded yet of a run, and wait for it.

    Args:
        run: The run.
        config: Where to.

    Returns: run, where, trials, complete, unreachable (why it is not), and a message.

    Raises:
        ConfigError: tracking is disabled, a password is missing, or the sweep still runs and is being tracked.
        UnreachableError: MLflow's store does not answer.
    """
    where = resolve_mode(config)
    if where == "disabled":
        modes = "auto" if config.backend == "mlflow" else "online, or offline"
        raise ConfigError(f"tracking.mode is disabled; say where to: tracking.mode={modes}")
    if run.is_driven():
        raise ConfigError(f"{run.path}: its sweep is running and being tracked")
    if config.uri and "***" in config.uri:
        raise ConfigError(
            "tracking.uri: its password is not kept with a run; give it again: tracking.uri=..."
        )
    if where == "mlflow":
        check_store(config)
    process = TrackingProcess(run, config)
    process.start(follow=False)
    warning = process.wait(None)
    unreachable = bool(warning) and where == "online" and is_unreachable(Ledger(run).read().fallback or "")
    total = len(Happened.of(run).ends)
    places = {
        "online": "in W&B",
        "offline": f"in files; with a W&B key: wandb sync {run.path}/wandb/offline-run-*",
        "mlflow": "in MLflow",
    }
    done = f"{total} of {total} trials recorded {places[where]}"
    facts = {"run": str(run.path), "where": where, "trials": total}
    return facts | {"complete": not warning, "unreachable": unreachable, "message": warning or done}


def check_store(config: TrackingConfig) -> None:
    """Ask MLflow's server or database whether it is there.

    Raises: UnreachableError: it is not.
    """
    uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI") or ""
    parts = urlsplit(uri)
    port = PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port is not None:
        where = mask_secrets(uri)
        check_reachable(
            parts.hostname, parts.port or port, f"tracking.uri={where}: cannot be reached: REASON"
        )


def make_tracker(run: Run, config: TrackingConfig) -> Tracker:
    """The tracker that a configuration asks for."""
    if config.backend == "mlflow":
        from tuning.mlflow_tracker import MlflowTracker  # noqa: PLC0415 - an optional extra

        return MlflowTracker(run, config)
    from tuning.wandb_tracker import WandbTracker  # noqa: PLC0415 - half a second, for this process only

    return WandbTracker(run, config)


def record(run: Run, config: TrackingConfig, writer: int | None, since: int) -> bool:
    """Record what is not yet recorded.

    Returns: whether all is.
    """
    events = read_session(run, writer, since)
    # The tracker's import takes its seconds from the workers' own; before the first fold there is little to record.
    first = list(_until_fold(events))
    recording = Recording(run, make_tracker(run, config), config)
    for place, event in chain(first, events):
        recording.handle(place, event)
    recording.close()
    return not recording.lost


def _until_fold(events: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, dict[str, Any]]]:
    for place, event in events:
        yield place, event
        if event["event"] not in ("sweep", "resume", "trial"):
            return


def main(path: str) -> None:
    """Record a run; when W&B fails, begin anew and write files instead.

    Args:
        path: The run directory.
    """
    run, order = Run(Path(path)), json.loads(os.environ.get(VARIABLE, "{}"))
    config = TrackingConfig(**order["config"]) if "config" in order else run.config().tracking
    try:
        with Ledger(run).held():
            whole = record(run, config, order.get("writer"), order.get("since", 0))
    except ConfigError as error:
        sys.exit(str(error))
    except Exception as error:  # noqa: BLE001 - a tracker may fail in any way, and the answer is always the same
        traceback.print_exc()
        _again(run, config, order, error)
    sys.exit(0 if whole else 1)


def _again(run: Run, config: TrackingConfig, order: dict[str, Any], error: Exception) -> None:
    """Replace this process, and with it whatever state W&B was left in, by a new one."""
    attempt = order.get("attempt", 0) + 1
    if attempt > ATTEMPTS:
        sys.exit(f"given up after {ATTEMPTS} attempts")
    if config.backend == "wandb":
        from tuning.wandb_tracker import stop_wandb  # noqa: PLC0415 - half a second, for this process only

        # A connection lost is the one to W&B's own service process, which a new one replaces.
        if resolve_mode(config) == "online" and not isinstance(error, ConnectionError):
            config = config.model_copy(update={"mode": "offline"})
            reason = mask_secrets(" ".join(str(error).split())) or type(error).__name__
            Ledger(run).note(fallback=reason[:200])
        stop_wandb()
    os.environ[VARIABLE] = json.dumps(order | {"config": dict(config), "attempt": attempt})
    os.execv(sys.executable, [sys.executable, "-m", "tuning.tracking", str(run.path)])  # noqa: S606 - our own module


if __name__ == "__main__":
    main(*sys.argv[1:])
