"""Fits that share a GPU, and one that needs it alone."""

from __future__ import annotations

import fcntl
import getpass
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.base import FitContext


@contextmanager
def gpu_lock(context: FitContext, *, alone: bool) -> Iterator[None]:
    """Hold the GPU with others, or alone: then fits that want to begin wait, and this one for those that run.

    Ray's shares of a GPU are numbers only, so this is a file lock on the node. On the CPU it does nothing.

    Args:
        context: Says whether the fit uses a GPU.
        alone: Whether nobody else may fit meanwhile.
    """
    if context.device != "cuda":
        yield
        return
    device = os.environ.get("CUDA_VISIBLE_DEVICES", "0").replace("/", "_")
    path = Path(tempfile.gettempdir()) / f"tabularay-{getpass.getuser()}-gpu-{device}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
