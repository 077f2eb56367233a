"""Training as a service: takes tasks, and tells how they stand. A trainer runs them, see tuning/trainer.py.

All of it is on disk, see configs/tasks.py, so every replica knows the same and none has anything to lose.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema import ServingConfig
from configs.sources import source_scheme
from configs.tasks import ENDED, Task, TaskFolder
from errors import ConflictError, TaskNotFoundError
from serving.checking import Checker
from serving.refusals import OverloadedError
from serving.retention import forget, remove_upload
from serving.roots import Roots, upload_of
from serving.training_command import here, job_overrides
from serving.training_schema import Accepted, TaskList, TaskProblem, TaskStatus, TrainFields

LOG_TAIL_BYTES = 1_000_000
EVENT_BYTES = 1 << 20
# What an event tells; the rest of it is in the run directory.
HIDDEN = ("config", "leaderboard")


@dataclass(frozen=True)
class RunEvent:
    """One line of a run's events.

    Attributes:
        kind: What happened: sweep, resume, trial, fold, end, ensemble, retry, summary, close.
        text: All of it, as JSON.
        end: Where in the file it ends; reading on from there misses nothing.
    """

    kind: str
    text: str
    end: int


class TrainingService:
    """Takes training tasks.

    Args:
        config: How the model is served; `training` is its part.
        registry: Where models are registered: a folder or a URI.
        checker: What checks tasks; default: one of its own.

    Raises: ConfigError: a root is no folder, or would allow everything.
    """

    def __init__(self, config: ServingConfig, registry: str, checker: Checker | None = None) -> None:
        self.config = config.training
        self._checker = checker or Checker()
        self.tasks = TaskFolder(config.training.runs)
        self._registry = registry if source_scheme(registry) else str(Path(registry).resolve())
        self._roots = Roots(config.training.roots, self.tasks.uploads)

    @property
    def max_upload_bytes(self) -> int:
        """Largest table that may be sent."""
        return int(self.config.max_upload_mb * 1e6)

    def submit(self, request: TrainFields, dataset_path: str, who: str) -> Accepted:
        """Take a task.

        Args:
            request: What to train.
            dataset_path: The table, as the client named it.
            who: Who asks.

        Raises: ConfigError, DataError: what is wrong, and where, as far as it is known at once. OverloadedError: too
            many wait.
        """
        self._count_unfinished()
        source = self._roots.source(dataset_path)
        if upload_of(dataset_path):
            os.utime(Path(source).parent)  # named again, it is kept as long again
        overrides = job_overrides(request, source, self.tasks.runs, self._registry, self.config.overrides)
        name = self._checker.check(overrides)
        n_waiting = self._count_unfinished()  # others may have come while it was checked
        task = self.tasks.create(
            who=who,
            kind="network" if request.search is None else "sweep",
            name=name,
            dataset_path=dataset_path,
            target_column=request.target_column,
            overrides=[*overrides, *here(name)],
        )
        ahead = f"behind {n_waiting} others" if n_waiting else "next"
        return Accepted(task_id=task.task_id, status="pending", message=f"accepted, {ahead}")

    def _count_unfinished(self) -> int:
        n_waiting = len(self.tasks.unfinished())
        if n_waiting >= self.config.max_running + self.config.max_waiting:
            raise OverloadedError(
                f"{n_waiting} tasks are unfinished; allowed: serving.training.max_running={self.config.max_running} "
                f"and serving.training.max_waiting={self.config.max_waiting}"
            )
        return n_waiting

    def status(self, task_id: str) -> TaskStatus:
        """How a task stands.

        Raises: TaskNotFoundError: there is none of that name.
        """
        return _describe(self.tasks.find(task_id))

    def newest(self, limit: int) -> TaskList:
        """The newest tasks, newest first."""
        described = []
        for task in self.tasks.newest(limit):
            with suppress(TaskNotFoundError):  # removed meanwhile
                described.append(_describe(task))
        return TaskList(tasks=described)

    def cancel(self, task_id: str) -> TaskStatus:
        """Ask a task to end; what it has finished is kept.

        Raises: TaskNotFoundError: there is none of that name. ConflictError: it has ended.
        """
        task = self.tasks.find(task_id)
        state = task.state()
        if state.status in ENDED:
            raise ConflictError(f"{task_id}: has ended; it {state.status}")
        task.cancel()
        return _describe(task)

    def forget(self, task_id: str) -> None:
        """Remove an ended task, and its uploaded table unless another task names it; its run and model stay.

        Raises: TaskNotFoundError: there is none of that name. ConflictError: it has not ended.
        """
        task = self.tasks.find(task_id)
        status = task.state().status
        if status not in ENDED:
            raise ConflictError(
                f"{task_id}: is {status}; cancel it first: POST /api/ml/train/cancel/{task_id}"
            )
        forget(self.tasks, task)

    def discard(self, dataset_path: str) -> None:
        """Remove an uploaded table of which no task has been made."""
        upload = upload_of(dataset_path)
        if upload is not None:
            remove_upload(self.tasks.uploads / upload)

    def log(self, task_id: str) -> str:
        """The end of what a task has printed.

        Raises: TaskNotFoundError: there is none of that name.
        """
        path = self.tasks.find(task_id).log
        try:
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return text

    def events(self, task_id: str, start: int) -> Iterator[RunEvent]:
        """What has happened in a task's run since a place in its events; nothing before it has a run.

        Args:
            task_id: The task.
            start: `end` of the last event that is known; 0: from the beginning.

        Raises: TaskNotFoundError: there is none of that name.
        """
        run = self.tasks.find(task_id).state().run
        if run is None:
            return
        try:
            with Path(run, "events.jsonl").open("rb") as file:
                file.seek(start)
                read = 0
                for line in file:
                    if not line.endswith(b"\n") or read > EVENT_BYTES:
                        return
                    read += len(line)
                    if event := _event(line):
                        yield RunEvent(
                            str(event.get("event")), json.dumps(event, ensure_ascii=False), start + read
                        )
        except FileNotFoundError:
            return


def _describe(task: Task) -> TaskStatus:
    request, state = task.request(), task.state()
    error = state.error and TaskProblem(code=_code(state.error.error), detail=state.error.detail)
    ending = task.wants_end and state.status not in ENDED
    return TaskStatus.model_validate(
        state.model_dump(include=set(TaskStatus.model_fields) - {"run", "error", "message"})
        | request.model_dump(include=set(TaskStatus.model_fields))
        | {
            "run": None if state.run is None else Path(state.run).name,
            "message": "ending: somebody has cancelled it" if ending else state.message,
            "error": error,
        }
    )


def _code(error: str) -> str:
    """The stable code of an error's class, like data_load_error."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", error).lower()


def _event(line: bytes) -> dict[str, Any] | None:
    """An event of which JSON can hold everything; None for a line that a crash has torn."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return {key: _finite(value) for key, value in event.items() if key not in HIDDEN}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
