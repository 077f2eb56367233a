"""Asks a process of its own whether a job could begin, see cli_check.py."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

import errors
from errors import ServingError
from serving.environment import passed_on

# Longest wait for an answer: the first one has to wait for the libraries, on a busy machine.
ANSWER_S = 120.0


class Checker:
    """A process that is started when it is first asked, again when it is gone, and answers one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def check(self, overrides: Sequence[str]) -> str:
        """Check what would follow `tabularay tune`.

        Returns: the name of its model.
        Raises: ConfigError, DataError: as the command would. ServingError: there is no answer.
        """
        line = json.dumps(list(overrides)).encode() + b"\n"
        with self._lock:
            # One that has just ended, as nobody asked it for long, is noticed only by asking.
            answer = self._ask(line) or self._ask(line)
        if not answer:
            raise ServingError("the task could not be checked: the process that checks tasks does not answer")
        found = json.loads(answer)
        if "error" in found:
            raise getattr(errors, found["error"], ServingError)(found["detail"])
        return found["name"]

    def stop(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, line: bytes) -> bytes:
        """The answer; empty where the process has ended or takes too long, and then it is gone."""
        process = self._running()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            if select.select([process.stdout], [], [], ANSWER_S)[0] and (answer := process.stdout.readline()):
                return answer
        except OSError:  # it has closed its end
            self._end()
            return b""
        self._end()
        return b""

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli_check"],
                env=passed_on(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):  # what it has not read any more
                process.stdin.close()
