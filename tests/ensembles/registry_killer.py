"""Starts writers of a registry and kills them at random moments."""

import json
import random
import signal
import subprocess
import sys
import time

from tests.conftest import ENVIRONMENT, ROOT


def kill_writers(where, bundles, rounds, seconds, environment=ENVIRONMENT):
    """Three writers at once, each killed at a random moment, again and again; returns what they were told."""
    said, rng = [], random.Random(0)
    for turn in range(rounds):
        writers = [start(where, bundles, 3 * turn + i, environment) for i in range(3)]
        try:
            assert [w.stdout.readline() for w in writers] == ["ready\n"] * 3
            for writer in writers:
                time.sleep(rng.uniform(0, seconds))
                writer.kill()
        finally:
            for writer in writers:
                writer.kill()
        for writer in writers:
            output, errors = writer.communicate()
            assert (errors, writer.returncode) == ("", -signal.SIGKILL), errors
            said += [json.loads(line) for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return said


def start(where, bundles, seed, environment):
    command = [sys.executable, "-m", "tests.ensembles.registry_writer", str(where), str(bundles), str(seed)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
