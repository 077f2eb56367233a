"""The job server of a Ray cluster: submits, lists, follows and stops jobs, with one clear error for each mistake."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from configs.sources import mask_secrets
from data.messages import show_error
from data.reach import check_reachable
from errors import ConfigError, UnreachableError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
STATES = {
    "PENDING": "pending",
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
    "STOPPED": "cancelled",
}
INTERRUPTED = 130
NO_AGENT = (
    " (with several clusters on one machine, each needs its own `ray start --dashboard-agent-listen-port`)"
)


def job_server_address(*given: str | None) -> str:
    """The URL of the job server from the first address given, be it its own or the Ray cluster's.

    Args:
        given: http(s)://host:port, as it is; host:port, ray://host:port or host: port 8265 of that host; auto:
            this machine; None: the next one counts. After them come RAY_API_SERVER_ADDRESS and RAY_ADDRESS.

    Raises: ConfigError: an address that is none.
    """
    environment = [os.environ.get(name) or None for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")]
    address = next((a for a in (*given, *environment) if a is not None), "auto")
    if address in ("auto", "local"):
        return DEFAULT_ADDRESS
    is_url = address.startswith(("http://", "https://"))
    parts = urlsplit(address if "://" in address else f"//{address}")
    if not parts.hostname or parts.username or not (is_url or parts.scheme in ("", "ray")):
        raise ConfigError(
            f"'{mask_secrets(address)}': not an address; expected http://HOST:8265 or HOST:PORT"
        )
    if is_url:
        return address.rstrip("/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"http://{host}:8265"


def has_job_server_address() -> bool:
    """Whether the environment names a cluster."""
    return any(os.environ.get(name) for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"))


class JobServer:
    """A connection to a cluster's job server; Ray itself reads the token, which no message shows.

    Args:
        address: URL, from job_server_address.

    Raises: ConfigError: nothing answers there, or the token is missing or wrong.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        _check_reachable(address)
        if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ["RAY_AUTH_MODE"] = (
                os.environ.get("RAY_AUTH_MODE") or "token"
            )  # a token given is to be used
        from ray.job_submission import JobSubmissionClient  # noqa: PLC0415 - seconds that runs need not pay

        for handler in logging.getLogger("ray").handlers:
            handler.setLevel(logging.ERROR)  # it tells of every file that it packs
        with self._explained(), _only_address(address):
            self._client = JobSubmissionClient(address)

    @property
    def is_here(self) -> bool:
        """Whether it runs on this machine, which then shares its files."""
        return is_this_machine(urlsplit(self.address).hostname or "")

    def command(self, what: str, job_id: str) -> str:
        """What to type to do something with a job here, with the address where it does not go without."""
        place = "" if self.address == job_server_address() else f" --address {shlex.quote(self.address)}"
        return f"tabularay jobs {what} {job_id}{place}"

    def submit(self, job_id: str, entrypoint: str, environment: dict[str, Any]) -> None:
        """Send a job.

        Args:
            job_id: Its name, new on this cluster.
            entrypoint: The command, for a shell.
            environment: Ray's runtime environment; a local working directory is uploaded.
        """
        with self._explained():
            self._client.submit_job(submission_id=job_id, entrypoint=entrypoint, runtime_env=environment)

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs sent to the cluster, newest first."""
        with self._explained():
            details = [d for d in self._client.list_jobs() if d.submission_id]
        return [_row(d) for d in sorted(details, key=lambda d: d.start_time or 0, reverse=True)]

    def job(self, job_id: str) -> dict[str, Any]:
        """One job.

        Raises: ConfigError: no such job; names those there are.
        """
        jobs = self.jobs()
        for job in jobs:
            if job["job"] == job_id:
                return job
        names = ", ".join(j["job"] for j in jobs[:5]) or "none"
        raise ConfigError(f"'{job_id}': no such job at {self.address}; newest: {names}")

    def log(self, job_id: str) -> str:
        """What the job has printed."""
        self.job(job_id)
        with self._explained():
            return self._client.get_job_logs(quote(job_id))

    def follow(self, job_id: str) -> Iterator[str]:
        """What the job has printed, and what it prints until it ends."""
        self.job(job_id)
        with self._explained(), asyncio.Runner() as runner:
            stream = self._client.tail_job_logs(quote(job_id))
            while (text := runner.run(anext(stream, None))) is not None:
                yield text

    def stop(self, job_id: str) -> bool:
        """Ask a job to end; whether it was still going."""
        self.job(job_id)
        with self._explained():
            return self._client.stop_job(quote(job_id))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what Ray and HTTP raise into one message."""
        import aiohttp  # noqa: PLC0415
        import requests  # noqa: PLC0415
        from ray.exceptions import AuthenticationError  # noqa: PLC0415

        try:
            yield
        except AuthenticationError as error:
            raise ConfigError(f"{self.address}: {_token_message(error.message)}") from None
        except requests.exceptions.InvalidHeader:  # its message would show the token
            raise ConfigError(f"{self.address}: {_token_message('Authentication failed')}") from None
        except (OSError, aiohttp.ClientError) as error:
            raise UnreachableError(f"{self.address}: the connection failed: {type(error).__name__}") from None
        except RuntimeError as error:
            hint = NO_AGENT if "No available agent" in str(error) else ""
            raise ConfigError(f"{self.address}: {show_error(error)}{hint}") from None


def is_this_machine(host: str) -> bool:
    """Whether a host name or address is this machine's: only those can be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def exit_code(job: dict[str, Any]) -> int:
    """What the command that ran as this job exited with."""
    return {"finished": 0, "cancelled": INTERRUPTED}.get(job["state"], job["exit_code"] or 1)


def _row(details: Any) -> dict[str, Any]:
    start, end = (t / 1000 if t else None for t in (details.start_time, details.end_time))
    return {
        "job": details.submission_id,
        "state": "cancelled" if details.driver_exit_code == INTERRUPTED else STATES[details.status.value],
        "started": start,
        "ended": end,
        "exit_code": details.driver_exit_code,
        "message": (details.message or "").strip().splitlines()[0] if details.message else "",
        "command": details.entrypoint,
    }


def _token_message(found: str) -> str:
    if found.startswith("RAY_AUTH_TOKEN_PATH"):
        return show_error(ValueError(found))
    refused = found.startswith("Authentication failed")
    return (
        f"the cluster {'refuses the' if refused else 'wants a'} token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or "
        "RAY_AUTH_TOKEN_PATH, to the one that it was started with"
    )


def _check_reachable(address: str) -> None:
    """Ask the port first: the client itself would wait without end."""
    parts, hint = urlsplit(address), "start a cluster with `ray start --head`, or name its job server: "
    message = f"{address}: no job server can be reached there: REASON; {hint}--address http://HOST:8265"
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise ConfigError(message.replace("REASON", str(error))) from None
    check_reachable(parts.hostname or "", port, message)


@contextmanager
def _only_address(address: str) -> Iterator[None]:
    """Keep Ray from preferring RAY_ADDRESS, which it does even to an address that it is given."""
    name = "RAY_API_SERVER_ADDRESS"
    before = os.environ.get(name)
    os.environ[name] = address
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
