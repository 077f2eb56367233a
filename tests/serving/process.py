"""`tabularay serve` as a process of its own, for tests that need all that stands in front of the application."""

import re
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from benchmarks.served import Served

WITHIN_S = 60


@contextmanager
def serving(folder, model, *options, says=("", ""), variables=None):
    """Serve a model for the length of a block, and stop it as Ctrl-C would.

    Args:
        folder: Where it is started; its registry is there.
        model: What it serves.
        options: As for Served.
        variables: More of its environment.
        says: What it is to have said by its end, after that it was ready, on its standard output and error.
    """
    variables = {"TABULARAY_TOKENS": ""} | (variables or {})
    with Served(folder, *options, model=model, variables=variables, stderr=subprocess.PIPE) as server:
        yield server
    out, err = server.process.stdout, server.process.stderr
    with out, err:
        assert (server.process.returncode, out.read(), err.read()) == (0, *says)


def haproxies(server):
    """Processes of HAProxy, the oldest first."""
    return server.find(r"^\S*haproxy -db")


def own_folder(server):
    """Where a server keeps what goes with it, such as counts of its replicas."""
    command = Path(f"/proc/{haproxies(server)[0]}/cmdline").read_text()
    return Path(re.search(r"/[^\0]*/tabularay-[^/]+", command)[0])


def until(condition, seconds=WITHIN_S, every_s=0.1):
    """Wait for something, and return it.

    Raises: AssertionError: it did not come.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(every_s)
    return found
