"""Where training tasks run: a Ray cluster that is named, or a Ray of this machine that is started for them."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Protocol

from configs.tasks import Stored, read_stored, write_whole
from errors import ConfigError, TrainingError
from tuning.jobserver import JobServer, job_server_address

log = logging.getLogger("tabularay.trainer")

CHECKOUT = Path(__file__).parent.parent
UP_WITHIN_S = 120.0
STOP_WITHIN_S = 10.0
PORTS = ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port")
# Ray stops a job with this signal, and kills it when it has not ended so many seconds later.
STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "60"}


class TrainingRay(Protocol):
    """A Ray cluster that takes jobs."""

    def server(self) -> JobServer:
        """Its job server, started if it has to be.

        Raises: ConfigError, TrainingError: it cannot be reached, or does not start.
        """

    def submit(self, job_id: str, arguments: list[str], output: Path) -> None:
        """Send `tabularay` with these arguments as a job, its output appended to a file."""

    def stop(self) -> None:
        """End what was started for the tasks."""


class GivenRay:
    """A running cluster; the folder of the runs is on storage that its machines share.

    Args:
        address: Of its job server, or of the cluster.
    """

    def __init__(self, address: str) -> None:
        self._address = job_server_address(address)
        self._server: JobServer | None = None

    def server(self) -> JobServer:
        """See TrainingRay."""
        self._server = self._server or JobServer(self._address)
        return self._server

    def submit(self, job_id: str, arguments: list[str], output: Path) -> None:
        """See TrainingRay; the checkout goes with the job."""
        from tuning.cluster import NOT_SHIPPED  # noqa: PLC0415 - brings Ray, which reads its token then

        server = self.server()
        python = sys.executable if server.is_here else "python"
        environment = {"working_dir": str(CHECKOUT), "excludes": NOT_SHIPPED, "env_vars": STOP}
        server.submit(job_id, _command(python, arguments, output), environment)

    def stop(self) -> None:
        """See TrainingRay; the cluster goes on."""


class _Started(Stored):
    """A Ray that was started here.

    Attributes:
        pid: Process that holds it up.
        address: Its job server.
        token: What guards it.
        folder: Its files.
    """

    pid: int
    address: str
    token: str
    folder: str


class OwnRay:
    """A Ray of this machine for training alone: ports, token and folder of its own, on loopback only.

    It does not end with its trainer, which finds it again when it comes back.

    Args:
        folder: The service's; what is running is noted there.
        n_cpus: Its CPUs.
    """

    def __init__(self, folder: Path, n_cpus: int) -> None:
        self._note = folder / "ray.json"
        self._n_cpus = n_cpus
        self._server: JobServer | None = None
        started = read_stored(_Started, self._note)
        # Ray reads the token once, as it is imported: one for as long as this process lives.
        self._token = started.token if started else secrets.token_hex(16)
        os.environ |= {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self._token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }
        for name in (
            "RAY_ADDRESS",
            "RAY_API_SERVER_ADDRESS",
            "RAY_AUTH_TOKEN_PATH",
            "RAY_JOB_CONFIG_JSON_ENV_VAR",
        ):
            os.environ.pop(name, None)

    def server(self) -> JobServer:
        """See TrainingRay."""
        started = read_stored(_Started, self._note)
        if started is not None and not _is_alive(started):
            self.stop()
            started = None
        if started is None:
            self._server = None
            started = self._start()
        if self._server is None:
            self._server = _wait_for(started)
        return self._server

    def submit(self, job_id: str, arguments: list[str], output: Path) -> None:
        """See TrainingRay; the job runs in this checkout."""
        command = f"cd {shlex.quote(str(CHECKOUT))} && {_command(sys.executable, arguments, output)}"
        self.server().submit(job_id, command, {"env_vars": STOP})

    def stop(self) -> None:
        """See TrainingRay; takes what is left of one that has died."""
        started = read_stored(_Started, self._note)
        self._server = None
        if started is None:
            return
        if _is_alive(started):
            _end(started.pid)
        shutil.rmtree(started.folder, ignore_errors=True)
        self._note.unlink(missing_ok=True)
        log.info("the Ray of process %d has ended", started.pid)

    def _start(self) -> _Started:
        # Ray's socket paths must be short.
        folder = tempfile.mkdtemp(prefix="tabularay-", dir=os.environ.get("RAY_TMPDIR", "/tmp"))  # noqa: S108
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        options = [f"--{name}={port}" for name, port in ports.items()]
        options += [
            f"--num-cpus={self._n_cpus}",
            f"--temp-dir={folder}",
            "--min-worker-port=0",
            "--max-worker-port=0",
        ]
        options += ["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1", "--disable-usage-stats"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *options]
        paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with open(f"{folder}/start.log", "w", encoding="utf-8") as output:
            process = subprocess.Popen(  # noqa: S603
                command,
                cwd=CHECKOUT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        address = f"http://127.0.0.1:{ports['dashboard-port']}"
        started = _Started(pid=process.pid, address=address, token=self._token, folder=folder)
        write_whole(self._note, started.model_dump_json())
        log.info("a Ray with %d CPUs starts: process %d, %s", self._n_cpus, process.pid, address)
        return started


def _command(python: str, arguments: list[str], output: Path) -> str:
    return f"exec {shlex.join([python, '-m', 'cli', *arguments])} >> {shlex.quote(str(output))} 2>&1"


def _wait_for(started: _Started) -> JobServer:
    until = time.monotonic() + UP_WITHIN_S
    while True:
        try:
            return JobServer(started.address)
        except ConfigError as error:
            if time.monotonic() > until or not _is_alive(started):
                _end(started.pid)
                raise TrainingError(
                    f"the Ray for training did not start within {UP_WITHIN_S:g} s: {error}; its own words: "
                    f"{_last_words(Path(started.folder, 'start.log'))}"
                ) from None
        time.sleep(0.3)


def _last_words(path: Path) -> str:
    try:
        lines = [
            line.strip() for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()
        ]
    except FileNotFoundError:
        lines = []
    return " / ".join(lines[-3:]) or "none"


def _is_alive(started: _Started) -> bool:
    """Whether the process is there and is that Ray, not a later one of the same number."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(started.pid, os.WNOHANG)
    try:
        command = Path(f"/proc/{started.pid}/cmdline").read_bytes()
        state = Path(f"/proc/{started.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    # For a moment after its start a process has no command line; neither has one that has ended.
    return started.folder.encode() in command or (not command and state != "Z")


def _end(pid: int) -> None:
    """End a session, first politely."""
    for number, seconds in ((signal.SIGTERM, STOP_WITHIN_S), (signal.SIGKILL, STOP_WITHIN_S)):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return
        until = time.monotonic() + seconds
        while time.monotonic() < until and Path(f"/proc/{pid}").exists():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            time.sleep(0.1)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for each in sockets:
        each.close()
    return ports
