"""Schemathesis against the API's own document: no error of the server, and every answer as the document says.

    python -m benchmarks.fuzzing BUNDLE --examples 400

Schemathesis gets an environment of its own, made on the first use in --environments. Whether a row's columns are the
model's is nothing a schema can say, so a refusal of what fits the schema is not counted as a fault.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.serving import served

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)


def main() -> None:
    """Print Schemathesis's report; exit with its code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--examples", type=int, default=400, help="Most requests per operation.")
    parser.add_argument("--port", type=int, default=8710)
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache/tabularay-benchmarks")
    given = parser.parse_args()
    folder = given.environments.expanduser() / "fuzzing"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "schemathesis>=4.32"], check=True)
        (folder / "ready").touch()
    with served("ours", given) as url:
        address = url.removesuffix("/api/ml/predict") + "/openapi.json"
        phases = ["--phases", "examples,coverage,fuzzing"]
        options = [
            "--max-examples",
            str(given.examples),
            "--workers",
            "1",
            *phases,
            "--checks",
            ",".join(CHECKS),
        ]
        done = subprocess.run([folder / "bin/st", "run", address, *options], check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
