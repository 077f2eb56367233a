"""W&B: one run per trial, in a group per sweep, and one summary run."""

from __future__ import annotations

import errno
import math
import os
import shutil
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Else wandb 0.31 sends counts of its own use to its maker, offline runs included.
os.environ.setdefault("WANDB_ERROR_REPORTING", "false")

import wandb

from configs.schema import TrackingConfig
from models.trials import trial_name
from tuning.artifact import bundle_artifact
from tuning.runs import Run
from tuning.tracked import Ledger
from tuning.tracker import finding_rows, limited, resolve_mode, told

STOP_S = 5.0
FLUSH_S, POLL_S = 2.0, 0.005
BLOCK, HEADER, WHOLE, LAST = 32768, 7, 1, 4


class WandbTracker:
    """Records trials as W&B runs.

    Config holds the family and its parameters and nothing else, and the summary one plain number per name, so that
    W&B's parallel coordinates and parameter importance need no choosing.

    Args:
        run: The sweep's run directory.
        config: Project, entity, mode.
    """

    def __init__(self, run: Run, config: TrackingConfig) -> None:
        self.run = run
        self.config = config
        self.where = resolve_mode(config)
        self.ledger = Ledger(run)
        self.metric = "score"
        self.sweep_id = self.ledger.read().sweep
        self.open: dict[int, wandb.Run] = {}

    def begin(self, event: dict[str, Any]) -> None:
        """Learn the metric; online, make the sweep that the trials belong to, once per run directory."""
        self.metric = event["metric"]
        if self.where == "online" and self.sweep_id is None:
            from tuning.wandb_sweep import create_sweep  # noqa: PLC0415 - brings Optuna, for this alone

            with limited(self.config.timeout_s):
                self.sweep_id = create_sweep(self.run, self.config, event)
            if self.sweep_id:
                self.ledger.note(sweep=self.sweep_id)

    def start(self, event: dict[str, Any]) -> None:
        """Open the trial's run."""
        name = trial_name(event["number"], event["family"])
        self.open[event["number"]] = run = self._init(
            name,
            tags=[event["family"], event["origin"]],
            job_type="trial",
            config={"family": event["family"], **event["params"]},
            notes=event["why"],
            began=event["time"],
        )
        for value in ("fold_score", "score", self.metric, "fold_fit_s", "fold_total_s"):
            run.define_metric(value, step_metric="fold")

    def fold(self, event: dict[str, Any]) -> None:
        """Log a fold, unless an earlier process did."""
        run = self.open[event["number"]]
        if event["fold"] >= run.starting_step:
            values = {k: event[k] for k in ("fold", "fold_score", "score")} | {self.metric: event["score"]}
            seconds = {"fold_fit_s": event["fit_s"], "fold_total_s": event["total_s"]}
            run.log(_numbers(values | seconds) | {"_timestamp": event["time"]})

    def end(self, event: dict[str, Any]) -> None:
        """Close the trial's run."""
        run = self.open.pop(event["number"])
        facts = {k: event[k] for k in ("state", "reason", "score", "n_folds", "fit_s", "wall_s")}
        run.summary.update(_numbers(facts | {self.metric: event["score"], "number": event["number"]}))
        self._finish(run, int(event["state"] == "failed"))

    def summary(self, event: dict[str, Any]) -> None:
        """One run with the leaderboard, the figures, the scores and the bundle."""
        name = f"{self.run.name}-summary"
        run = self._init(
            name, tags=["summary"], job_type="summary", config=event["config"], began=event["time"]
        )
        rows = event["leaderboard"]
        if rows:
            columns = list(rows[0])
            table = wandb.Table(columns=columns, data=[[row[c] for c in columns] for row in rows])
            figures = {
                f"figures/{p.stem}": wandb.Image(str(p)) for p in sorted(self.run.figures.glob("*.png"))
            }
            run.log({"leaderboard": table, **figures, "_timestamp": event["time"]})
        run.summary.update(_numbers(event["scores"]) | told(event))
        if found := finding_rows(event):
            table = wandb.Table(columns=list(found[0]), data=[list(row.values()) for row in found])
            run.log({"warnings": table, "_timestamp": event["time"]})
        self._log_bundle(run)
        self._finish(run, 0)

    def close(self) -> None:
        """End the runs of trials that have no end; whoever resumes the sweep opens them again."""
        for run in self.open.values():
            run.finish(exit_code=1)
        self.open.clear()

    def _log_bundle(self, run: wandb.Run) -> None:
        """The bundle as a version of the model's artifact, with its card as the description."""
        found = bundle_artifact(self.run)
        if found is None:
            return
        # Copies wait in the run directory: a later ensemble of the same run replaces the bundle.
        os.environ.setdefault("WANDB_DATA_DIR", str(self.run.path / "wandb"))
        artifact = wandb.Artifact(found.name, "model", found.card or None, found.facts)
        for name, path in found.files.items():
            artifact.add_file(str(path), name, skip_cache=True)
        run.log_artifact(artifact)

    def _init(self, name: str, began: float, **options: Any) -> wandb.Run:
        run_id = f"{self.run.name}-{name.removeprefix(f'{self.run.name}-')}"[-128:]
        _remove_files(self.run, run_id)
        of_sweep = {} if options["job_type"] == "summary" else {"sweep_id": self.sweep_id}
        return wandb.init(
            id=run_id,
            resume="allow" if self.where == "online" else None,
            project=self.config.project,
            entity=self.config.entity,
            dir=str(self.run.path),
            group=self.run.name,
            name=name,
            mode=self.where,
            reinit="create_new",
            settings=_settings(self.config.timeout_s, x_start_time=began, **of_sweep),
            **options,
        )

    def _finish(self, run: wandb.Run, exit_code: int) -> None:
        path = Path(run.settings.sync_file)
        run.finish(exit_code=exit_code)
        deadline = time.monotonic() + FLUSH_S
        while self.where == "offline" and not is_whole(path):  # the service writes on after finish
            if time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def stop_wandb() -> None:
    """End W&B's service process, if that is possible; it ends with this process anyway."""
    try:
        with limited(STOP_S):
            wandb.teardown()
    except Exception as error:  # noqa: BLE001 - it is given up whatever it says
        print(f"stopping W&B: {error!r}", flush=True)  # noqa: T201 - into tracking.log


def is_whole(path: Path) -> bool:
    """Whether a run's file has whole records to its end, as W&B says nothing of a disk that got full."""
    data = path.read_bytes()
    place, kind = HEADER, 0
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + HEADER])
        place += HEADER + length
    return place == len(data) and kind in (WHOLE, LAST)


def _settings(timeout_s: float, **more: Any) -> wandb.Settings:
    """Settings under which a run costs 20 ms of CPU instead of 140, most of it for listing packages."""
    return wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        symlink=False,
        init_timeout=timeout_s,
        finish_timeout=timeout_s,
        finish_timeout_raises=True,
        x_disable_stats=True,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        ignore_globs=(
            "config.yaml",
            "wandb-summary.json",
        ),  # copies of what the run holds: three requests less
        **more,
    )


def _remove_files(run: Run, run_id: str) -> None:
    """Remove what an earlier process wrote of a run that is now written anew, so that nothing is sent twice."""
    for folder in (run.path / "wandb").glob(f"*run-????????_??????-{run_id}"):
        shutil.rmtree(folder)


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that W&B can draw: no NaN, as of a trial that failed in its first fold."""
    return {k: v for k, v in values.items() if v is not None and not (isinstance(v, float) and math.isnan(v))}
