"""A training task on disk: what was asked of the service, and what became of it.

    <runs>/service/
        tasks/<task id>/
            request.json   what was asked; written once, by the service
            cancel         there once somebody wants it to end
            state.json     how it stands; written by the trainer
            log.txt        what its commands have printed
        open/<task id>     there while the task has not ended
        uploads/<id>/      tables that clients have sent
        trainer.lock       held by the trainer, the one process that runs the tasks
        ray.json           the Ray that the trainer has started

The service writes what is asked, the trainer what is done, and nobody else anything. So either may be killed, and
begins again with what is here. What has ended the service also removes, see serving/retention.py.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from configs.locks import is_locked
from errors import TaskNotFoundError

Status = Literal["pending", "running", "succeeded", "failed", "stopped"]
ENDED: tuple[Status, ...] = ("succeeded", "failed", "stopped")
TASK_ID = re.compile(r"train-[0-9a-f-]{8,60}")


class Stored(BaseModel):
    """Base of what is stored: frozen; keys of a later version are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class TaskRequest(Stored):
    """What was asked.

    Attributes:
        task_id: The task.
        created: time.time() when it was accepted.
        who: Who asked.
        kind: One fixed network, or a sweep.
        name: Name that the model is registered under.
        dataset_path: The table, as the client named it.
        target_column: Column to predict.
        overrides: What follows `tabularay tune`.
    """

    task_id: str
    created: float
    who: str
    kind: Literal["network", "sweep"]
    name: str
    dataset_path: str
    target_column: str
    overrides: tuple[str, ...]


class TaskError(Stored):
    """Why a task failed.

    Attributes:
        error: Name of the project's error.
        detail: Its message.
    """

    error: str
    detail: str


class TaskFinding(Stored):
    """Something to beware of in a task's table; see data/findings.py.

    Attributes:
        code: Stable name of what was found.
        message: What, where, and what to do about it.
        columns: The columns concerned.
    """

    code: str
    message: str
    columns: tuple[str, ...] = ()


class TaskState(Stored):
    """How a task stands.

    Attributes:
        status: pending, running, succeeded, failed or stopped.
        message: The same in words.
        progress: Per cent of its time or trials, 0-100.
        updated: time.time() of the trainer's last look.
        job: Its job on the Ray cluster.
        sessions: How often it was sent to the cluster.
        deaths: How often its process was killed from outside.
        run: Its run directory.
        metric: What its search optimises.
        best_score: The best score so far: the ensemble's, once there is one, else the best trial's.
        trials: Trials by state.
        model_id: The model it has registered.
        findings: What to beware of in its training rows.
        doubts: Why its model should not be in production before somebody has looked.
        promotion: Whether that went into production, and why; None: nobody asked.
        test_scores: The model's scores on the withheld rows, by metric.
        error: Why it failed.
    """

    status: Status = "pending"
    message: str = "waiting for the trainer"
    progress: float = 0.0
    updated: float = 0.0
    job: str | None = None
    sessions: int = 0
    deaths: int = 0
    run: str | None = None
    metric: str | None = None
    best_score: float | None = None
    trials: dict[str, int] = {}
    model_id: str | None = None
    findings: tuple[TaskFinding, ...] = ()
    doubts: tuple[str, ...] = ()
    promotion: dict[str, Any] | None = None
    test_scores: dict[str, float] = {}
    error: TaskError | None = None


class Task:
    """One task's folder."""

    def __init__(self, folder: Path, marker: Path) -> None:
        self.folder = folder
        self.task_id = folder.name
        self.log = folder / "log.txt"
        self._marker = marker
        self._cancel = folder / "cancel"

    def request(self) -> TaskRequest:
        """What was asked.

        Raises: TaskNotFoundError: it was removed meanwhile.
        """
        try:
            return TaskRequest.model_validate_json((self.folder / "request.json").read_bytes())
        except FileNotFoundError:
            raise _not_found(self.task_id) from None

    def state(self) -> TaskState:
        """How it stands; what nobody has looked at yet is pending."""
        try:
            return TaskState.model_validate_json((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            return TaskState()

    def write_state(self, state: TaskState) -> None:
        """Write the state in one step; an ended task is closed after it."""
        write_whole(self.folder / "state.json", state.model_dump_json(indent=1))
        if state.status in ENDED:
            self._marker.unlink(missing_ok=True)

    @property
    def wants_end(self) -> bool:
        """Whether somebody has cancelled it."""
        return self._cancel.exists()

    def cancel(self) -> None:
        """Say that it is to end."""
        self._cancel.touch()


class TaskFolder:
    """The tasks of a service, in its folder of runs.

    Args:
        runs: Folder of the run directories.
    """

    def __init__(self, runs: str | Path) -> None:
        self.runs = Path(runs).resolve()
        self.folder = self.runs / "service"
        self.uploads = self.folder / "uploads"
        self.lock = self.folder / "trainer.lock"
        self._tasks = self.folder / "tasks"
        self._open = self.folder / "open"

    def create(self, **facts: Any) -> Task:
        """Store a new task; it exists as a whole or not at all.

        Args:
            facts: The request's, without task_id and created.
        """
        created = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(created))
        # In the order of their creation, also within a second.
        task_id = f"train-{stamp}-{int(created % 1 * 1e6):06d}-{secrets.token_hex(2)}"
        for folder in (self._tasks, self._open):
            folder.mkdir(parents=True, exist_ok=True)
        beside = self._tasks / f".{task_id}"
        beside.mkdir()
        request = TaskRequest(task_id=task_id, created=created, **facts)
        (beside / "request.json").write_text(request.model_dump_json(indent=1), "utf-8")
        beside.rename(self._tasks / task_id)
        (self._open / task_id).touch()
        return self._task(task_id)

    def find(self, task_id: str) -> Task:
        """A task.

        Raises: TaskNotFoundError: there is none of that name.
        """
        if not TASK_ID.fullmatch(task_id) or not (self._tasks / task_id).is_dir():
            raise _not_found(task_id)
        return self._task(task_id)

    def remove(self, task: Task) -> bool:
        """Remove an ended task; whether it was there."""
        gone = task.folder.with_name(f".{task.task_id}.gone")
        try:
            task.folder.rename(gone)
        except FileNotFoundError:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def newest(self, limit: int | None = None) -> list[Task]:
        """The newest tasks, newest first; all of them without a limit."""
        return [self._task(name) for name in sorted(_names(self._tasks), reverse=True)[:limit]]

    def unfinished(self) -> list[Task]:
        """Tasks that have not ended, oldest first."""
        return [self._task(name) for name in sorted(_names(self._open))]

    def has_trainer(self) -> bool:
        """Whether a trainer is at work."""
        return is_locked(self.lock)

    def _task(self, task_id: str) -> Task:
        return Task(self._tasks / task_id, self._open / task_id)


def _not_found(task_id: str) -> TaskNotFoundError:
    return TaskNotFoundError(f"'{task_id}': no such training task; see GET /api/ml/train")


def write_whole(path: Path, text: str) -> None:
    """Write a small file in one step, readable by its owner alone."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def read_stored(kind: type[Stored], path: Path) -> Stored | None:
    """What a file holds; None where it is missing or of another format."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if TASK_ID.fullmatch(name)]
    except FileNotFoundError:
        return []
