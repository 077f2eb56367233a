"""The README's main job on real data: tune, ensemble, serve, query, stop.

python demo.py
"""

from __future__ import annotations

import csv
import gzip
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SAMPLE = HERE / "data" / "samples" / "credit_default.csv.gz"
TARGET = "default payment next month"
TABULARAY = [sys.executable, "-m", "cli"]
N_ROWS = 5
READY_WITHIN_S = 90
STOPPED_WITHIN_S = 30


def main() -> int:
    """Run the job; the exit code of the first command that fails."""
    started = time.monotonic()
    code = run("tune", "experiment=credit_default")
    if code:
        return code
    tuned = time.monotonic()
    query_endpoint("credit_default")
    say(
        f"Done in {time.monotonic() - started:.0f} s: tuning {tuned - started:.0f} s, serving and querying "
        f"{time.monotonic() - tuned:.0f} s. Nothing is left running.\n\n"
        "Try next (with .venv/bin on your PATH):\n"
        "  tabularay models                                        what is registered\n"
        "  tabularay serve credit_default --port 8000              then open http://127.0.0.1:8000/docs\n"
        "  tabularay predict credit_default --input data/samples/credit_default.csv.gz --id-column ID > out.csv\n"
        "  tabularay tune data.source=FILE.csv data.target=COLUMN  your own table\n"
        "  wandb sync runs/*/wandb/offline-run-*                   the sweep in W&B, once you are logged in"
    )
    return 0


def run(*arguments: str) -> int:
    """Run a tabularay command in the foreground; Ctrl-C reaches it, and ends the demo after it."""
    say(f"$ tabularay {' '.join(arguments)}")
    with subprocess.Popen([*TABULARAY, *arguments], cwd=HERE) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def query_endpoint(model: str) -> None:
    """Deploy a model, send real rows over HTTP, print the answers, stop it."""
    port = free_port()
    say(f"$ tabularay serve {model} --port {port}")
    with subprocess.Popen(
        [*TABULARAY, "serve", model, "--port", str(port), "--json"],
        cwd=HERE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            ready = json.loads(server.stdout.readline() or "null") if server.stdout else None
            if ready is None:
                raise SystemExit(f"the endpoint did not start (exit code {server.wait()})")
            url = f"{ready['url']}/api/ml/predict"
            rows = sample_rows()
            records = [{k: v for k, v in row.items() if k not in {TARGET, "ID"}} for row in rows]
            body = {"data": {"records": records}}
            say(
                f'Serving {ready["model_id"]}.\n$ curl {url} -d \'{{"data": {{"records": [... {N_ROWS} rows]}}}}\''
            )
            answers = post(url, body)["predictions"]
            print_answers(rows, answers)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(STOPPED_WITHIN_S)


def sample_rows() -> list[dict[str, Any]]:
    """A few real rows of the table, spread over it."""
    with gzip.open(SAMPLE, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    step = len(rows) // N_ROWS
    return [{k: float(v) for k, v in row.items()} for row in rows[::step][:N_ROWS]]


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST JSON, return JSON."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=READY_WITHIN_S) as response:
        return json.load(response)


def print_answers(rows: list[dict[str, Any]], answers: list[dict[str, Any]]) -> None:
    """One line per row: what was answered, how sure, and what was true."""
    say(
        f"{'row':>6}  {'class':>5}  {'probabilities':<18}  {'total':>6} {'aleatoric':>9} {'epistemic':>9}   truth"
    )
    for row, answer in zip(rows, answers, strict=True):
        probabilities = "  ".join(f"{c}: {p:.3f}" for c, p in answer["probabilities"].items())
        parts = answer["uncertainty"]
        say(
            f"{row['ID']:>6.0f}  {answer['predicted_class']!s:>5}  {probabilities:<18}  {parts['total']:>6.3f} "
            f"{parts['aleatoric']:>9.3f} {parts['epistemic']:>9.3f}   {row[TARGET]:.0f}"
        )


def free_port() -> int:
    """A TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
