"""The environment of processes that the service starts and that do not serve."""

from __future__ import annotations

import os
from pathlib import Path

from serving.access import VARIABLE

CHECKOUT = Path(__file__).parent.parent
# What belongs to the Ray that serves, or is nobody else's business.
NOT_PASSED_ON = ("RAY_SERVE_", "RAY_JOB_", VARIABLE)


def passed_on() -> dict[str, str]:
    """This process's environment, but for what is its own, with this checkout to import from."""
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(NOT_PASSED_ON)}
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}
