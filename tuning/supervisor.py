"""Runs training tasks: sends them to Ray as jobs, notes how they stand, and sends again what was killed."""

from __future__ import annotations

import json
import logging
import re
import time
from pathlib import Path
from typing import Any

from configs.tasks import ENDED, Task, TaskError, TaskFinding, TaskFolder, TaskState
from configs.tasks import Status as TaskStatus
from errors import TabularayError
from tuning.jobserver import INTERRUPTED
from tuning.runs import Run
from tuning.training_ray import TrainingRay
from tuning.watch import RunWatch

log = logging.getLogger("tabularay.trainer")

# So often may a task's process be killed before it counts as the task's own fault.
MAX_DEATHS = 3
ERROR_LINE = re.compile(r"^(\w+Error): (.*)", re.MULTILINE | re.DOTALL)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOG_TAIL = 20_000
SHOWN_ERROR = 4_000


class Supervisor:
    """Takes the tasks of a folder on, one look after the other.

    Args:
        folder: The tasks.
        ray: Where they run.
        max_running: How many at once.
    """

    def __init__(self, folder: TaskFolder, ray: TrainingRay, max_running: int) -> None:
        self._folder = folder
        self._ray = ray
        self._max_running = max_running
        self._watches: dict[str, RunWatch] = {}
        self._stopping: set[str] = set()
        self._trouble = ""

    def look(self) -> int:
        """Take every unfinished task one step on; returns how many are still unfinished."""
        tasks = self._folder.unfinished()
        states = {task.task_id: task.state() for task in tasks}
        for task in tasks:
            if states[task.task_id].status in ENDED:
                task.write_state(states[task.task_id])  # its marker was left when a trainer was killed
        tasks = [t for t in tasks if states[t.task_id].status not in ENDED]
        waiting = [t for t in tasks if states[t.task_id].job is None and self._settle(t, states[t.task_id])]
        sent = [t for t in tasks if states[t.task_id].job is not None]
        if not waiting and not sent:
            return 0
        try:
            jobs = {job["job"]: job for job in self._ray.server().jobs()}
            for task in sent:
                self._follow(task, states[task.task_id], jobs.get(str(states[task.task_id].job)))
            still = [t for t in self._folder.unfinished() if t.state().job is not None]
            for task in waiting[: max(0, self._max_running - len(still))]:
                self._send(task, task.state())
        except TabularayError as error:  # the cluster is away: tasks wait for it, and say so
            if str(error) != self._trouble:
                log.warning("%s", error)
            self._trouble = str(error)
            for task in [*sent, *waiting]:
                self._note(task, task.state(), message=f"waiting for Ray: {error}")
        else:
            self._trouble = ""
            self._tell_order(waiting)
        return len(self._folder.unfinished())

    def _settle(self, task: Task, state: TaskState) -> bool:
        """End a task that was cancelled before it began; whether it still waits."""
        if task.wants_end:
            self._end(task, state, "stopped", "cancelled before it began")
            return False
        return True

    def _tell_order(self, waiting: list[Task]) -> None:
        for place, task in enumerate(waiting):
            state = task.state()
            if state.job is None:
                ahead = f"waiting: {place} before it" if place else "waiting: next, as soon as one has ended"
                self._note(task, state, message=ahead)

    def _send(self, task: Task, state: TaskState) -> None:
        request = task.request()
        run = self._resumable(state)
        arguments = ["tune", "--resume", state.run] if run else ["tune", "--", *request.overrides]
        job_id = f"{task.task_id}-{state.sessions + 1}"
        if not run:
            self._watches.pop(task.task_id, None)
        # Noted first: a trainer killed in between finds a job that the cluster does not know, and sends it again.
        self._note(
            task,
            state,
            job=job_id,
            sessions=state.sessions + 1,
            run=state.run if run else None,
            message="resuming where it was killed" if run else "starting",
        )
        self._ray.submit(job_id, [str(a) for a in arguments], task.log)
        log.info("%s sent as %s", task.task_id, job_id)

    def _resumable(self, state: TaskState) -> bool:
        """Whether there is a run that got far enough to go on with."""
        run = Path(state.run) if state.run else None
        return (
            run is not None
            and (run / "dataset" / "dataset.json").is_file()
            and (run / "events.jsonl").is_file()
        )

    def _follow(self, task: Task, state: TaskState, job: dict[str, Any] | None) -> None:
        state = self._with_progress(task, state)
        watch = self._watches.get(task.task_id)
        if job is None or _was_killed(job):
            self._take_up(task, state, watch, job)
        elif job["state"] == "finished":
            self._finish(task, state, watch)
        elif job["state"] == "failed":
            self._fail(task, state, watch, job)
        elif job["state"] == "cancelled":
            self._end(task, state, "stopped", _stopped_message(watch))
        else:
            self._note(task, state, status="running" if job["state"] == "running" else "pending")
            if task.wants_end and task.task_id not in self._stopping:
                self._stopping.add(task.task_id)
                self._ray.server().stop(str(state.job))

    def _take_up(
        self, task: Task, state: TaskState, watch: RunWatch | None, job: dict[str, Any] | None
    ) -> None:
        """What to do with a task whose process is gone."""
        if watch is not None and watch.state == "running":
            self._note(task, state, message="its process is cut off from Ray; waiting for its end")
        elif watch is not None and watch.state == "finished":
            self._finish(task, state, watch)
        elif task.wants_end:
            self._end(task, state, "stopped", _stopped_message(watch))
        elif job is not None and state.deaths + 1 >= MAX_DEATHS:
            detail = f"its process was killed {MAX_DEATHS} times, by lack of memory perhaps; {job['message']}"
            self._end(task, state, "failed", detail, error=TaskError(error="TrainingError", detail=detail))
        else:
            deaths = state.deaths + (job is not None)
            self._note(
                task, state, status="pending", job=None, deaths=deaths, message="killed; will be resumed"
            )
            log.info("%s was killed; it will be resumed", task.task_id)

    def _finish(self, task: Task, state: TaskState, watch: RunWatch | None) -> None:
        result = (watch.result if watch is not None else None) or {}
        if not result.get("model_id"):
            detail = f"the job ended without a result in {state.run or 'any run directory'}"
            self._end(task, state, "failed", detail, error=TaskError(error="TrainingError", detail=detail))
            return
        promotion = result.get("promotion")
        done = (
            ""
            if promotion is None
            else f"; {'' if promotion['promoted'] else 'not '}promoted: {promotion['why']}"
        )
        doubts = result.get("doubts", ())
        doubtful = "".join(f"; {doubt}" for doubt in doubts) if promotion is None else ""
        self._end(
            task,
            state,
            "succeeded",
            f"registered as {result['model_id']}{doubtful}{done}",
            progress=100.0,
            model_id=result["model_id"],
            doubts=tuple(doubts),
            promotion=promotion,
            test_scores=result["scores"]["test"].get("ensemble", {}),
        )

    def _fail(self, task: Task, state: TaskState, watch: RunWatch | None, job: dict[str, Any]) -> None:
        if job["exit_code"] == INTERRUPTED or task.wants_end:
            self._end(task, state, "stopped", _stopped_message(watch))
            return
        error = _error_of(task.log, (watch.result if watch is not None else None) or {})
        self._end(task, state, "failed", f"{error.error}: {error.detail}", error=error)

    def _with_progress(self, task: Task, state: TaskState) -> TaskState:
        """The state with what the run directory tells, once there is one."""
        watch = self._watch(task, state)
        if watch is None:
            return state
        watch.refresh()
        row = watch.row()
        ensemble, best = row["ensemble"], row["best"]
        score = ensemble["score"] if ensemble else best["score"] if best else None
        return state.model_copy(
            update={
                "run": str(watch.run.path),
                "metric": row["metric"],
                "best_score": None if score != score else score,  # noqa: PLR0124 - NaN
                "trials": row["trials"],
                "findings": tuple(TaskFinding(**found) for found in watch.findings()),
                "progress": max(state.progress, round(min(99.0, 100 * _share(watch)), 1)),
                "message": _running_message(watch, row) if state.job else state.message,
            }
        )

    def _watch(self, task: Task, state: TaskState) -> RunWatch | None:
        known = self._watches.get(task.task_id)
        if known is not None:
            return known
        path = Path(state.run) if state.run else self._find_run(task, str(state.job))
        if path is None or not (path / "config.yaml").is_file():
            return None
        self._watches[task.task_id] = RunWatch(Run(path))
        return self._watches[task.task_id]

    def _find_run(self, task: Task, job_id: str) -> Path | None:
        """The run directory that a job has made: its driver notes the job there."""
        for path in self._folder.runs.glob(f"{task.request().name}-*/driver.json"):
            try:
                driver = json.loads(path.read_bytes())
            except ValueError:  # being written
                continue
            if driver.get("job") == job_id:
                return path.parent
        return None

    def _note(self, task: Task, state: TaskState, **changes: Any) -> None:
        new = state.model_copy(update=changes)
        if new != task.state():
            task.write_state(new.model_copy(update={"updated": time.time()}))

    def _end(self, task: Task, state: TaskState, status: TaskStatus, message: str, **changes: Any) -> None:
        self._note(task, state, status=status, message=message, **changes)
        self._watches.pop(task.task_id, None)
        self._stopping.discard(task.task_id)
        log.info("%s %s: %s", task.task_id, status, message)


def _was_killed(job: dict[str, Any]) -> bool:
    """Whether a job's process ended by a signal, or with its node, and not by its own decision."""
    code = job["exit_code"]
    return job["state"] == "failed" and (code is None or code < 0 or code > INTERRUPTED)


def _share(watch: RunWatch) -> float:
    """Share of the work done; a job of few trials is measured in folds."""
    trials, folds = watch.facts.get("num_trials"), watch.facts.get("n_folds")
    of_folds = watch.tally.n_folds / (trials * folds) if trials and folds else 0.0
    return max(watch.share, min(1.0, of_folds))


def _running_message(watch: RunWatch, row: dict[str, Any]) -> str:
    if not watch.facts:
        return "reading the table"
    ended = watch.tally.n_ended()
    of = f" of {row['num_trials']}" if row["num_trials"] else ""
    if row["num_trials"] and ended >= row["num_trials"]:
        return f"building the ensemble of {ended} trials"
    best = row["best"]
    score = f", best {row['metric']} {best['score']:.6g}" if best and best["score"] == best["score"] else ""
    return f"searching: {ended}{of} trials ended{score}"


def _stopped_message(watch: RunWatch | None) -> str:
    if watch is None:
        return "cancelled"
    return f"cancelled; what was finished is kept in the run {watch.run.name}"


def _error_of(path: Path, result: dict[str, Any]) -> TaskError:
    """What went wrong: the project's own error as the command has printed it last, else its last words."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL))
            text = ANSI.sub("", file.read().decode("utf-8", errors="replace")).strip()
    except FileNotFoundError:
        text = ""
    if result.get("error"):
        return TaskError(error="TrainingError", detail=str(result["error"])[:SHOWN_ERROR])
    starts = [match.start() for match in re.finditer(r"^\w+Error: ", text, re.MULTILINE)]
    match = ERROR_LINE.match(text[starts[-1] :]) if starts else None
    if match is None:
        return TaskError(
            error="TrainingError", detail=(text.splitlines() or ["the job ended without a word"])[-1]
        )
    return TaskError(error=match[1], detail=match[2].strip()[:SHOWN_ERROR])
