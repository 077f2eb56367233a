"""Real servers for the tests: each started on a free port of this machine and stopped by its handle."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

PASSWORD = "s3cr3t-Pa55"  # noqa: S105 - of a server that lives as long as the tests
STARTING_S = 30


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def need(program, package):
    """Where the program is; without it the test is skipped, or fails where CI=true promises a full run."""
    folders = [os.environ.get("PATH", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
    found = shutil.which(program, path=os.pathsep.join(folders))
    if found is None:
        stop = pytest.fail if os.environ.get("CI", "").lower() == "true" else pytest.skip
        stop(f"{program} is not installed (Debian: apt-get install {package})")
    return found


@contextlib.contextmanager
def running(command, port, **options):
    """The command's process, from when its port answers until the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        wait_for(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(process, port):
    end = time.monotonic() + STARTING_S
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"{process.args[0]} did not start: exit status {process.poll()}")


@contextlib.contextmanager
def redis_server():
    """A Redis server; gives its URL without a password, which its user `reader` has."""
    program, port = need("redis-server", "redis-server"), free_port()
    settings = [f"port {port}", "bind 127.0.0.1", 'save ""', f"user reader on >{PASSWORD} ~* +@all"]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "redis.conf")
        config.write_text("\n".join(settings), encoding="utf-8")
        with running([program, str(config)], port, cwd=folder):
            yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def postgres_server():
    """A PostgreSQL cluster; gives its address, `host:port`. Its superuser is `tester` with PASSWORD."""
    initdb, server, is_ready = (need(name, "postgresql") for name in ("initdb", "postgres", "pg_isready"))
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        as_user = []
        if os.geteuid() == 0:  # initdb refuses root
            nobody = pwd.getpwnam("nobody")
            as_user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
            for path in (folder, folder / "password"):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        data = str(folder / "data")
        options = ["-U", "tester", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        subprocess.run(
            [*as_user, initdb, "-D", data, "-E", "UTF8", "--locale=C", *options],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", str(folder)]
        with running([*as_user, server, "-D", data, "-p", str(port), *settings], port, cwd=folder):
            while subprocess.run([is_ready, "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def s3_server():
    """An S3 server that checks credentials; gives its endpoint."""
    port = free_port()
    program = [sys.executable, "-c", "from moto.server import main; main()"]
    with running([*program, "-H", "127.0.0.1", "-p", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def gcs_server():
    """A Google Cloud Storage server with an empty bucket named `bucket`; gives its endpoint."""
    port = free_port()
    program = [sys.executable, "-m", "gcp_storage_emulator", "start", "--in-memory"]
    with running([*program, "--host=127.0.0.1", f"--port={port}", "--default-bucket=bucket"], port):
        yield f"http://127.0.0.1:{port}"
