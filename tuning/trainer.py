"""The trainer: one process that runs the training tasks of a service, apart from the service and longer than it.

    python -m tuning.trainer RUNS [--address URL] [--cpus N] [--max-running N] [--idle-s S]

It leaves the process that has started it, so that a restart of the service does not end it, and ends by itself when
there has been nothing to do for a while. A service starts it again whenever a task waits and no trainer is at work;
of several that start at once one stays.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from configs.tasks import TaskFolder

LOOK_EVERY_S = 1.0
# Training takes what serving leaves: the least of the scheduler's shares.
NICENESS = 19
log = logging.getLogger("tabularay.trainer")


def main(arguments: list[str] | None = None) -> None:
    """Run the tasks of a folder until there has been nothing to do for a while.

    Args:
        arguments: Default: those of the process.
    """
    given = _parse(arguments)
    if given.detach and os.fork():
        return
    folder = TaskFolder(given.runs)
    folder.folder.mkdir(parents=True, exist_ok=True)
    if given.detach:
        _leave(folder.folder / "trainer.log")
    with folder.lock.open("a") as lock:
        if not _take(lock):
            return
        _be_modest(given.cpus)
        logging.basicConfig(
            stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s", force=True
        )
        with _ending() as ends:
            _work(folder, given, ends)


def _work(folder: TaskFolder, given: argparse.Namespace, ends: list[int]) -> None:
    # Ray reads its token as it is imported, and both of these may bring it.
    from tuning.training_ray import GivenRay, OwnRay  # noqa: PLC0415

    ray = GivenRay(given.address) if given.address else OwnRay(folder.folder, given.cpus)
    from tuning.supervisor import Supervisor  # noqa: PLC0415

    supervisor = Supervisor(folder, ray, given.max_running)
    log.info("process %d looks after %s", os.getpid(), folder.folder)
    idle_since = time.monotonic()
    while not ends:
        if supervisor.look():
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= given.idle_s:
            ray.stop()
            break
        time.sleep(LOOK_EVERY_S)
    log.info("process %d ends", os.getpid())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tuning.trainer", description=__doc__.splitlines()[0])
    parser.add_argument("runs", help="folder of the runs")
    parser.add_argument("--address", help="job server of a running Ray cluster")
    parser.add_argument("--cpus", type=int, default=len(os.sched_getaffinity(0)), help="of the own Ray")
    parser.add_argument("--max-running", type=int, default=1, help="tasks at once")
    parser.add_argument("--idle-s", type=float, default=300.0, help="seconds without work before it ends")
    parser.add_argument("--detach", action="store_true", help="leave the process that has started it")
    return parser.parse_args(arguments)


def _leave(output: Path) -> None:
    """Become a process of its own, with its output in a file."""
    os.setsid()
    sys.stdout.flush()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)


def _take(lock: IO[str]) -> bool:
    """Whether this process is the trainer now; whoever only looks at the lock lets go of it at once."""
    for _attempt in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
        else:
            return True
    return False


def _be_modest(n_cpus: int) -> None:
    """Keep this process, and all that it starts, to the last CPUs and the lowest priority."""
    os.nice(NICENESS)
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[-n_cpus:])


@contextmanager
def _ending() -> Iterator[list[int]]:
    """The signals that have asked for an end; what runs goes on, and the next trainer finds it."""
    seen: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: seen.append(got))
    yield seen


if __name__ == "__main__":
    main()
