"""What is removed of training: records of tasks that ended long ago, and tables that no task names any more.

Run directories and registered models are never removed, nor is a task that has not ended. A run that is resumed by
hand needs neither its task nor its table: it has a copy of the rows.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from configs.tasks import ENDED, Task, TaskFolder
from errors import TaskNotFoundError
from serving.roots import upload_of

DAY_S = 86_400.0
# What was begun and not finished, such as a table whose server was killed while it arrived, is removed after this.
UNFINISHED_S = DAY_S
logger = logging.getLogger("tabularay.serving")


def clean_up(tasks: TaskFolder, keep_days: float) -> None:
    """Remove what is older.

    Args:
        tasks: The tasks and their tables.
        keep_days: How long a task is kept after its end, and a table after it was last named.
    """
    before = time.time() - keep_days * DAY_S
    n_tasks = n_tables = 0
    for task in tasks.newest():
        state = task.state()
        if state.status in ENDED and state.updated < before:
            n_tasks += tasks.remove(task)
    named = _named(tasks)
    for folder in _folders(tasks.uploads):
        if folder.name not in named and _changed(folder) < before:
            n_tables += remove_upload(folder)
    for parent in (tasks.uploads, tasks.folder / "tasks"):
        for folder in _folders(parent, hidden=True):
            if _changed(folder) < time.time() - UNFINISHED_S:
                shutil.rmtree(folder, ignore_errors=True)
    if n_tasks or n_tables:
        logger.info("%d tasks and %d tables of more than %g days are removed", n_tasks, n_tables, keep_days)


def forget(tasks: TaskFolder, task: Task) -> None:
    """Remove an ended task, and its table unless another task names it."""
    upload = upload_of(task.request().dataset_path)
    tasks.remove(task)
    if upload is not None and upload not in _named(tasks):
        remove_upload(tasks.uploads / upload)


def _named(tasks: TaskFolder) -> set[str | None]:
    """The folders of uploaded tables that tasks name."""
    named = set()
    for task in tasks.newest():
        with suppress(TaskNotFoundError):  # removed meanwhile
            named.add(upload_of(task.request().dataset_path))
    return named


def remove_upload(folder: Path) -> bool:
    """Remove an uploaded table; it is there as a whole or not at all. Whether it was there."""
    gone = folder.with_name(f".{folder.name}.gone")
    try:
        folder.rename(gone)
    except FileNotFoundError:
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _folders(parent: Path, hidden: bool = False) -> Iterator[Path]:
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return
    yield from (parent / name for name in names if name.startswith(".") == hidden)


def _changed(folder: Path) -> float:
    """When it was last written or named; now where it has just gone."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()
