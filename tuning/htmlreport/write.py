"""Writing the report of a run."""

from __future__ import annotations

import os
from pathlib import Path

import optuna

from errors import ConfigError
from tuning.htmlreport.page import render
from tuning.htmlreport.view import read_view
from tuning.runs import Run


def write_report(run: Run, output: Path | None = None) -> Path:
    """Write the report of a run: finished, failed, interrupted, or still going.

    Args:
        run: The run.
        output: The file; default: report.html in the run directory.

    Returns: the file, in one step: whoever opens it sees the old report or the new one.
    Raises: ConfigError: the run has no trials, or the file cannot be written.
    """
    path = run.path / "report.html" if output is None else output.absolute()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        text = render(read_view(run))
    finally:
        optuna.logging.set_verbosity(before)
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise ConfigError(f"{path}: the report cannot be written: {error.strerror}") from None
    return path
