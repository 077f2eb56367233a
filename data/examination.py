"""What a job knows of its training rows before it learns from them; `findings.json` of its run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import DataConfig
from data.cell_findings import cell_findings
from data.column_findings import column_findings, find_ids, target_findings
from data.features import FeatureSpec
from data.findings import LEAK, Allowance, Finding, Table
from data.row_findings import row_findings
from errors import DataLoadError

# So many rows, and so many cells, are looked at.
MOST_ROWS = 50_000
MOST_CELLS = 20_000_000
LEAST_ROWS = 2_000
# Of a job's time; and seconds of a job without a budget.
TIME_SHARE = 0.05
TIME_S = 30.0
# What the dataset's own notes say of all rows.
NOTED = frozenset({"all_missing", "constant", "left_out", "few_folds", "missing_labels", "rare_classes"})


@dataclass(frozen=True)
class Examination:
    """What was found in the training rows.

    Attributes:
        findings: What to beware of.
        n_rows: Training rows.
        n_examined: Those that were looked at.
        left_out: What was not looked at for want of time, in words.
        seconds: How long it took.
    """

    findings: tuple[Finding, ...]
    n_rows: int
    n_examined: int
    left_out: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def leaks(self) -> tuple[str, ...]:
        """Columns that are suspected to give the target away."""
        return tuple(name for finding in self.findings if finding.code == LEAK for name in finding.columns)

    @property
    def limits(self) -> str:
        """What was not looked at, in one line; empty where everything was."""
        rows = f"{self.n_examined:,} of {self.n_rows:,} rows were looked at"
        parts = [rows] if self.n_examined < self.n_rows else []
        if self.left_out:
            parts.append(f"not looked for, as the time allowed was over: {', '.join(self.left_out)}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON holds."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Examination:
        """What to_json described.

        Raises: KeyError, TypeError: the description is damaged.
        """
        findings = [Finding(f["code"], f["message"], tuple(f["columns"])) for f in content["findings"]]
        return cls(**{**content, "findings": tuple(findings), "left_out": tuple(content["left_out"])})

    def save(self, path: Path) -> None:
        """Write it as a file, in one step."""
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=1), "utf-8")
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Examination | None:
        """Read what save wrote; None where nothing was written, as by 0.1.0.

        Raises: DataLoadError: the file is damaged.
        """
        try:
            return cls.from_json(json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataLoadError(f"{path}: damaged: {error!r}") from error


@dataclass(frozen=True, eq=False)
class Sample:
    """Training rows to look at, without the rest of their table.

    Attributes:
        table: In the order of the file.
        specs: All columns, also those left out.
        n_rows: Rows that they were drawn from.
    """

    table: Table
    specs: tuple[FeatureSpec, ...]
    n_rows: int


def draw(table: Table, specs: Iterable[FeatureSpec]) -> Sample:
    """Some of the rows of a table, spread evenly at random and in their order; all of a small one."""
    n_rows, n_columns = table.frame.shape
    most = min(MOST_ROWS, max(LEAST_ROWS, MOST_CELLS // max(1, n_columns)))
    if n_rows > most:
        rows = np.sort(np.random.default_rng(0).choice(n_rows, most, replace=False))
        table = Table(table.frame.iloc[rows], table.kept, table.target, table.y[rows])
    return Sample(table, tuple(specs), n_rows)


def time_allowed(time_budget_s: float | None) -> float:
    """Seconds that a job may spend on looking at its rows."""
    return TIME_S if time_budget_s is None else TIME_SHARE * time_budget_s


def examine(sample: Sample, config: DataConfig, seconds: float) -> Examination:
    """Look at training rows as `inspect` does, but for what the dataset's notes say already.

    Args:
        sample: The rows.
        config: Columns left out, folds, groups and time.
        seconds: How long it may take; what is then left to do is left out, and said.
    """
    began = time.monotonic()
    allowance = Allowance(began + seconds)
    table = sample.table
    checks = (
        column_findings(table.frame, sample.specs, config),
        target_findings(table, 0, config),
        cell_findings(table, config, find_ids(table.frame, table.kept, config)),
        row_findings(table, sample.specs, config, allowance=allowance),
    )
    found = [finding for check in checks for finding in check if finding.code not in NOTED]
    taken = round(time.monotonic() - began, 2)
    return Examination(tuple(found), sample.n_rows, len(table.frame), tuple(allowance.left_out), taken)
