"""What to beware of in the rows of a table: copies, order, and columns that give the target away."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from configs.schema import DataConfig
from data.column_findings import find_ids
from data.features import FeatureSpec
from data.findings import Allowance, Finding, Table, find_identical, find_repeats
from data.leaks import find_leaks
from data.order import find_order
from data.values import is_numeric_dtype


def row_findings(
    table: Table,
    specs: Iterable[FeatureSpec],
    config: DataConfig,
    tell: Callable[[str], None] = lambda _: None,
    allowance: Allowance | None = None,
) -> Iterable[Finding]:
    """Look at all rows together.

    Args:
        table: The table.
        specs: All its columns, also those left out.
        config: How the rows are divided.
        tell: Called with what is being done.
        allowance: When to end, and what then was left out; None: it is done whole.
    """
    allowance = allowance or Allowance()
    tell(f"Looking for repeated rows and order in {len(table.frame):,} rows")
    checks = {
        "identical columns": lambda: find_identical(table),
        "repeated rows": lambda: find_repeats(table),
        "order of the rows": lambda: _order(table, specs, config),
    }
    for what, check in checks.items():
        if allowance.is_over:
            allowance.leave_out(what)
        else:
            yield from check()
    yield from find_leaks(table, tell, allowance)


def _order(table: Table, specs: Iterable[FeatureSpec], config: DataConfig) -> Iterable[Finding]:
    """Nothing where the rows are divided in order of time already."""
    if config.time is None and config.split != "time":
        ids = find_ids(table.frame, table.kept, config)
        yield from find_order(table, _ordering(table.frame, specs), ids)


def _ordering(frame: pd.DataFrame, specs: Iterable[FeatureSpec]) -> list[str]:
    """Columns that may tell the time; numbers that are left out are row numbers and the like."""
    return [s.name for s in specs if s.kind != "ignore" or not is_numeric_dtype(frame[s.name])]
