"""Serves in HAProxy's place from its death until Ray has started the next one, which takes Ray seconds.

Run by the wrapper that starts HAProxy, beside it, with nothing but the standard library:

    python -I -S standin.py HAPROXY_PID MANAGER_PID BINARY CONFIG

It sleeps until that HAProxy is gone. Where another has taken its port over, as in a reload, it ends. Otherwise it runs
the same configuration without the admin socket, so that Ray sees that its own HAProxy is dead, and withdraws when Ray's
next one has backends; both listen on the port meanwhile, for which SERVE_SOCKET_REUSE_PORT_ENABLED=1 must be set. It
never outlives the Ray node.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

LOOK_S = 0.1
LONGEST_S = 120.0
DRAIN_S = 60.0
PR_SET_PDEATHSIG = 1
ADMIN = re.compile(r"^ *stats socket (\S+)", re.MULTILINE)
FRONT = re.compile(r"^frontend http_frontend\n *bind (\S*):(\d+)", re.MULTILINE)
# What only one process can have.
OWN = re.compile(
    r"^ *(stats socket|server-state-base|server-state-file|load-server-state-from-file) .*\n", re.MULTILINE
)


def main() -> None:
    """Wait, stand in, withdraw."""
    haproxy, manager, binary, config = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    os.setsid()  # Ray ends the process group of a worker that it stops
    try:
        alive, node = os.pidfd_open(haproxy), os.pidfd_open(parent_of(manager))
    except (ProcessLookupError, FileNotFoundError):
        return
    ready, _, _ = select.select([alive, node], [], [])
    if node in ready:  # killed, it could not end its HAProxy, which would keep the port and answer for nobody
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(alive, signal.SIGTERM)
        return
    text = config.read_text("utf-8") if config.exists() else ""
    front, admin = FRONT.search(text), ADMIN.search(text)
    if not front or not admin or accepts(front[1], int(front[2])):
        return
    own = config.with_name(f"stand-in-{os.getpid()}.cfg")
    own.write_text(OWN.sub("", text), "utf-8")
    process = subprocess.Popen([binary, "-db", "-f", str(own)], preexec_fn=die_with_parent)  # noqa: PLW1509, S603
    deadline = time.monotonic() + LONGEST_S
    while process.poll() is None and not select.select([node], [], [], LOOK_S)[0]:
        if has_backends(admin[1]) or time.monotonic() > deadline:
            process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(DRAIN_S)
            break
    process.kill()
    process.wait()
    own.unlink(missing_ok=True)


def parent_of(pid: int) -> int:
    """The parent of a process.

    Raises: FileNotFoundError: there is no such process.
    """
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def accepts(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    if host in ("", "*", "0.0.0.0"):  # noqa: S104 - asked, not bound
        host = "127.0.0.1"
    try:
        socket.create_connection((host.strip("[]"), port), timeout=1).close()
    except OSError:
        return False
    return True


def has_backends(path: str) -> bool:
    """Whether the HAProxy behind an admin socket knows where to send requests."""
    with socket.socket(socket.AF_UNIX) as admin:
        admin.settimeout(1)
        try:
            admin.connect(path)
            admin.sendall(b"show backend\n")
            answer = b""
            while part := admin.recv(4096):
                answer += part
        except OSError:
            return False
    return re.search(rb"^http-", answer, re.MULTILINE) is not None


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
