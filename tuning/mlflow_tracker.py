"""MLflow: one parent run per sweep and one child run per trial."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from configs.schema import TrackingConfig
from models.trials import trial_name
from tuning.artifact import bundle_artifact
from tuning.runs import Run
from tuning.tracker import finding_rows, told

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # no git is needed, nor asked for

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun

STATUS = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
PARENT = "mlflow.parentRunId"
MAX_PARAM = 6000


class MlflowTracker:
    """Records a sweep in an MLflow experiment.

    Runs carry the names of our run and trial as tags and are found by them, so each exists once. Metrics carry the
    times of the events, so that one logged again is the same point.

    Args:
        run: The sweep's run directory.
        config: Experiment and store.
    """

    where = "mlflow"

    def __init__(self, run: Run, config: TrackingConfig) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(math.ceil(config.timeout_s)))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        self.run = run
        self.uri = config.uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(run)
        mlflow.set_tracking_uri(self.uri)
        self.client = MlflowClient()
        self.experiment = self._experiment(config.project)
        self.metric = "score"
        self.known = self._known()
        self.open: dict[int, str] = {}

    def begin(self, event: dict[str, Any]) -> None:
        """Open the parent run."""
        self.metric = event["metric"]
        self._open("", self.run.name, event["time"])
        params = {k: event[k] for k in ("rows", "features", "n_folds", "problem_type", "metric", "families")}
        self._log(self.known[""], event, params=params, tags={"job_type": "sweep", "mode": event["mode"]})

    def start(self, event: dict[str, Any]) -> None:
        """Open the trial's child run."""
        name = trial_name(event["number"], event["family"])
        if "" not in self.known:
            self._open("", self.run.name, event["time"])
        run_id = self.open[event["number"]] = self._open(name, name, event["time"])
        tags = {k: event[k] for k in ("family", "origin", "why")} | {"job_type": "trial"}
        self._log(run_id, event, params={"family": event["family"], **event["params"]}, tags=tags)

    def fold(self, event: dict[str, Any]) -> None:
        """Log a fold."""
        values = {k: event[k] for k in ("fold_score", "score")} | {self.metric: event["score"]}
        seconds = {"fold_fit_s": event["fit_s"], "fold_total_s": event["total_s"]}
        self._log(self.open[event["number"]], event, metrics=values | seconds)

    def end(self, event: dict[str, Any]) -> None:
        """End the trial's run."""
        run_id = self.open.pop(event["number"])
        tags = {k: event[k] for k in ("state", "reason")}
        self._log(run_id, event, metrics={k: event[k] for k in ("n_folds", "fit_s", "wall_s")}, tags=tags)
        self.client.set_terminated(run_id, STATUS[event["state"]], end_time=_ms(event))

    def summary(self, event: dict[str, Any]) -> None:
        """Scores, configuration, leaderboard, figures and the bundle, on the parent run."""
        parent = self._open("", self.run.name, event["time"])
        self._log(
            parent,
            event,
            metrics=event["scores"],
            tags={"name": str(event["config"].get("name"))} | told(event),
        )
        self.client.log_dict(parent, event["config"], "config.yaml")
        if found := finding_rows(event):
            self.client.log_text(parent, _csv(found), "warnings.csv")
        self.client.log_text(parent, _csv(event["leaderboard"]), "leaderboard.csv")
        for path in sorted(self.run.figures.glob("*.png")):
            self.client.log_artifact(parent, str(path), "figures")
        bundle = bundle_artifact(self.run)
        for name, path in bundle.files.items() if bundle else ():
            folder = Path("bundle", name).parent.as_posix()
            self.client.log_artifact(parent, str(path), folder)
        self.client.set_terminated(parent, "FINISHED", end_time=_ms(event))

    def close(self) -> None:
        """Leave open trials as running; whoever resumes the sweep goes on with them."""
        self.open.clear()

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        local = self.uri == default_uri(self.run)
        place = (self.run.path.parent / "mlartifacts").as_uri() if local else None
        return self.client.create_experiment(name, artifact_location=place)

    def _known(self) -> dict[str, str]:
        """Ids of the runs that exist already: of trials by their name, of the parent by an empty one."""
        wanted, token, known = f"tags.`tabularay.run` = '{self.run.name}'", None, {}
        while True:
            page = self.client.search_runs([self.experiment], wanted, page_token=token)
            known |= {r.data.tags.get("tabularay.trial", ""): r.info.run_id for r in page}
            token = page.token
            if not token:
                return known

    def _open(self, key: str, name: str, time: float) -> str:
        if key in self.known:
            self.client.update_run(self.known[key], "RUNNING")
            return self.known[key]
        tags = {"tabularay.run": self.run.name} | (
            {"tabularay.trial": key, PARENT: self.known[""]} if key else {}
        )
        run: MlflowRun = self.client.create_run(self.experiment, int(time * 1000), tags, name)
        self.known[key] = run.info.run_id
        return run.info.run_id

    def _log(self, run_id: str, event: dict[str, Any], **groups: dict[str, Any]) -> None:
        step = event.get("fold", 0)
        metrics = [
            Metric(k, float(v), _ms(event), step)
            for k, v in groups.get("metrics", {}).items()
            if _is_number(v)
        ]
        params = [Param(k, _text(v)) for k, v in groups.get("params", {}).items()]
        tags = [RunTag(k, _text(v)) for k, v in groups.get("tags", {}).items()]
        self.client.log_batch(run_id, metrics, params, tags)


def default_uri(run: Run) -> str:
    """One SQLite file for all runs of a folder, as `mlflow ui` compares the runs of one store."""
    return f"sqlite:///{Path(run.path.parent) / 'mlflow.db'}"


def _ms(event: dict[str, Any]) -> int:
    return int(event["time"] * 1000)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def _text(value: Any) -> str:
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:MAX_PARAM]


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()
