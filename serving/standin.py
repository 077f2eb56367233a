"""A second HAProxy beside Ray's: should that one be killed, new connections go to this one at once.

Run by the wrapper that starts HAProxy, beside it, with nothing but the standard library:

    python -I -S standin.py HAPROXY_PID MANAGER_PID BINARY CONFIG

CONFIG is a copy of that HAProxy's configuration, and removed in the end. The same configuration runs once more, with
an admin socket of its own; both listen on the port, for which SERVE_SOCKET_REUSE_PORT_ENABLED=1 must be set, and the
kernel shares the connections out. So it needs no moment to notice a death, and what breaks is what was in the
process that died. Ray sees through its own HAProxy's socket that it is dead, and starts another.

It follows reloads: each comes with a stand-in of its own, which takes the sockets of the one before over (-x) and has
it finish (-sf), as HAProxy's own reloads do. One that is killed is started again. One whose HAProxy is gone serves on
until there is another HAProxy that has backends, but not for ever, and it never outlives the Ray node.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOOK_S = 0.1
# How long a stand-in may serve alone, and beside a HAProxy whose own stand-in does not come.
LONGEST_S = 120.0
FOLLOWED_S = 3.0
START_S = 30.0
MOST_FAILURES = 5
ANSWER_S = 5.0
DRAIN_S = 60.0
PR_SET_PDEATHSIG = 1
ADMIN = re.compile(r"^( *stats socket )(\S+)", re.MULTILINE)
STATE = re.compile(r"^ *(server-state-base|server-state-file|load-server-state-from-file) .*\n", re.MULTILINE)


def main() -> None:
    """Stand in for one HAProxy, for as long as its configuration holds."""
    haproxy, manager, binary, config = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    os.setsid()  # Ray ends the process group of a worker that it stops
    try:
        StandIn(haproxy, os.pidfd_open(haproxy), os.pidfd_open(parent_of(manager)), binary, config).run()
    except (ProcessLookupError, FileNotFoundError):
        return  # one of them is gone already
    finally:
        config.unlink(missing_ok=True)


class StandIn:
    """A stand-in for one HAProxy.

    Args:
        haproxy: Its process id.
        alive: The same as a file descriptor, which is readable when it is dead.
        node: The Ray node's.
        binary: HAProxy.
        config: The configuration, which is changed for the stand-in.

    Raises: FileNotFoundError: there is no configuration, or it has no admin socket.
    """

    def __init__(self, haproxy: int, alive: int, node: int, binary: str, config: Path) -> None:
        text = config.read_text("utf-8")
        found = ADMIN.search(text)
        if found is None:
            raise FileNotFoundError(f"{config}: no admin socket")
        self.haproxy, self.alive, self.node = haproxy, alive, node
        self.admin = found[2]
        self.own = str(Path(self.admin).with_name("in.sock"))
        self._command = [binary, "-db", "-f", str(config)]
        self._lock = config.with_name("stand-in.lock")
        config.write_text(ADMIN.sub(rf"\g<1>{self.own}", STATE.sub("", text)), "utf-8")

    def run(self) -> None:
        """Stand in from when the HAProxy is up until another stand-in has taken over."""
        while pid_of(self.admin) != self.haproxy:
            if select.select([self.alive, self.node], [], [], LOOK_S)[0]:
                return self._end()
        failures = 0
        while failures < MOST_FAILURES and self._is_needed():
            process = self._start()
            failures = failures + 1 if process is None else 0
            if process is not None and self._watch(process):
                return self._end(process)
            time.sleep(LOOK_S)  # it was killed
        return self._end()

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Serve, instead of the stand-in before; None where it is not needed, or cannot start."""
        with locked(self._lock):
            if not self._is_needed():
                return None
            before = pid_of(self.own)
            if before is not None:
                process = self._try("-x", self.own, "-sf", str(before))
                if process is not None:
                    return process
                with contextlib.suppress(ProcessLookupError):
                    os.kill(before, signal.SIGUSR1)  # its configuration is an old one
            return self._try()

    def _is_needed(self) -> bool:
        """Whether no other HAProxy has taken over yet."""
        if select.select([self.alive], [], [], 0)[0]:
            return not has_backends(self.admin)
        return pid_of(self.admin) in (None, self.haproxy)

    def _try(self, *options: str) -> subprocess.Popen[bytes] | None:
        process = subprocess.Popen([*self._command, *options], preexec_fn=die_with_parent)  # noqa: PLW1509, S603
        deadline = time.monotonic() + START_S
        while process.poll() is None and time.monotonic() < deadline:
            if pid_of(self.own) == process.pid:
                return process
            time.sleep(LOOK_S / 2)
        process.kill()
        process.wait()
        return None

    def _watch(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until it is over; False: it was killed, and is needed."""
        ended = os.pidfd_open(process.pid)
        try:
            over = select.select([self.alive, self.node, ended], [], [])[0]
            died = time.monotonic()
            followed = 0.0
            while self.node not in over and ended not in over:
                if time.monotonic() > died + LONGEST_S:
                    return True
                if has_backends(self.admin):
                    followed = followed or time.monotonic()
                    if time.monotonic() > followed + FOLLOWED_S:
                        return True
                over = select.select([self.node, ended], [], [], LOOK_S)[0]
        finally:
            os.close(ended)
        # Where there is another, that one has told it to finish.
        return self.node in over or pid_of(self.own) is not None

    def _end(self, process: subprocess.Popen[bytes] | None = None) -> None:
        if select.select([self.node], [], [], 0)[0]:
            # Killed, it could not end its HAProxy, which would keep the port and answer for nobody.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.alive, signal.SIGTERM)
        elif process is not None and process.poll() is None:
            process.send_signal(signal.SIGUSR1)
            ended = os.pidfd_open(process.pid)
            select.select([ended, self.node], [], [], DRAIN_S)
        if process is not None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one stand-in at a time change what stands in."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def parent_of(pid: int) -> int:
    """The parent of a process.

    Raises: FileNotFoundError: there is no such process.
    """
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def ask(path: str, command: bytes) -> bytes:
    """What a HAProxy answers on its admin socket; nothing where there is none."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(ANSWER_S)
        answer = b""
        try:
            admin.connect(path)
            admin.sendall(command + b"\n")
            while part := admin.recv(4096):
                answer += part
        except OSError:
            return b""
    return answer


def pid_of(path: str) -> int | None:
    """Process of the HAProxy behind an admin socket."""
    found = re.search(rb"^Pid: (\d+)", ask(path, b"show info"), re.MULTILINE)
    return None if found is None else int(found[1])


def has_backends(path: str) -> bool:
    """Whether the HAProxy behind an admin socket knows where to send requests."""
    return re.search(rb"^http-", ask(path, b"show backend"), re.MULTILINE) is not None


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
