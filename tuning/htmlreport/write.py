"""Writing the report of a run."""

from __future__ import annotations

from pathlib import Path

import optuna

from data.whole_file import check_writable, whole_file
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
    check_writable(path, "--output")
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        text = render(read_view(run))
    finally:
        optuna.logging.set_verbosity(before)
    with whole_file(path, "--output") as file:
        file.write(text.encode())
    return path
