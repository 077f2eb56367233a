"""Checks jobs before they are begun, as `tabularay tune` would; a process that the service asks.

    python -m cli_check

Each line on the standard input is a JSON list: what would follow `tabularay tune`. Each is answered by a line: a JSON
object with the job's `name`, or with `error` and `detail`. It needs Hydra, Optuna and perhaps PyTorch, which a process
that answers predictions does not want; so it is one of its own, which gives way to everything else and ends when it
has not been asked for a while, or when the service has.
"""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

from configs.load import load_config
from configs.schema import JobConfig
from errors import TabularayError
from serving.header import check_target
from tuning.spaces import check_families, family_spaces

IDLE_S = 60.0
NICENESS = 19


def check_job(config: JobConfig) -> None:
    """Check what can be checked at once: the families, their parameters, and that the table has the target.

    Raises: ConfigError, DataError: what is wrong, and where.
    """
    check_families(config)
    asked = config.problem_type
    family_spaces(config, "binary" if asked in (None, "classification") else asked)
    check_target(config.data.source, config.data.target)


def answer(overrides: list[str]) -> dict[str, Any]:
    """What is said of one job."""
    try:
        config = load_config(overrides)
        check_job(config)
    except TabularayError as error:
        return {"error": type(error).__name__, "detail": str(error)}
    return {"name": config.name}


def main() -> None:
    """Answer until nobody asks."""
    os.nice(NICENESS)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    while select.select([sys.stdin], [], [], IDLE_S)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
