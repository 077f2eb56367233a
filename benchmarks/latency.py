"""In-process latency of a bundle: one record (dict in, answer with uncertainty out), 1,000 rows, loading; its size.

python -m benchmarks.latency registry/credit/versions/1 ../shared/data/uci_credit_default.csv.gz
python -m benchmarks.latency runs/letter/bundle                                rows: the bundle's own golden rows
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from ensembles import load_bundle
from ensembles.answers import answer_rows
from ensembles.bundle import Bundle

ROWS = 1000
WARM_UP = 20


def main() -> None:
    """Measure one bundle and print one line per figure; `cpu` is the processor's time, whoever else uses it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("table", nargs="?", help="rows to predict: any table with the bundle's columns")
    parser.add_argument("--records", type=int, default=2000, help="single records to time")
    parser.add_argument("--batches", type=int, default=20, help="batches of 1,000 rows to time")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    loads = timed(lambda _: load_bundle(options.bundle, options.threads), range(5), warm_up=0)
    bundle = load_bundle(options.bundle, options.threads)
    records = read_records(bundle, options.table)
    singles = [[record] for record in islice(cycle(records), options.records)]
    many = list(islice(cycle(records), ROWS))
    size = sum(path.stat().st_size for path in options.bundle.rglob("*") if path.is_file())
    members = bundle.manifest["members"]
    print(
        f"bundle       {size / 1e6:.1f} MB, {len(members)} members, {sum(m['n_models'] for m in members)} models"
    )
    show("load", loads)
    show("one record", timed(lambda rows: answer_rows(bundle, bundle.predict(rows)), singles))
    show(
        "1,000 rows",
        timed(lambda _: answer_rows(bundle, bundle.predict(many)), range(options.batches), warm_up=1),
    )


def read_records(bundle: Bundle, table: str | None) -> list[dict[str, Any]]:
    """Raw rows as records: those of a table, or the bundle's golden rows."""
    if table is None:
        return json.loads((bundle.path / "golden.json").read_text("utf-8"))["records"]
    from data.sources import load_table  # noqa: PLC0415 - pandas is not needed without a table

    frame = load_table(table)[list(bundle.encoder.column_names)].head(5 * ROWS)
    return frame.astype(object).where(frame.notna(), None).to_dict("records")


def timed(work: Callable[[Any], object], inputs: Any, warm_up: int = WARM_UP) -> np.ndarray:
    """Seconds of each piece of work: wall and processor.

    Shape: -> (2, n_inputs).
    """
    inputs = list(inputs)
    for item in inputs[:warm_up]:
        work(item)
    out = []
    for item in inputs:
        wall, cpu = time.perf_counter(), time.process_time()
        work(item)
        out.append((time.perf_counter() - wall, time.process_time() - cpu))
    return np.array(out).T


def show(what: str, seconds: np.ndarray) -> None:
    """One line: median and 99th percentile in milliseconds."""
    (p50, p99), (cpu50, _) = np.percentile(seconds, [50, 99], axis=1).T * 1e3
    print(f"{what:12} p50 {p50:9.3f} ms   p99 {p99:9.3f} ms   cpu p50 {cpu50:9.3f} ms")


if __name__ == "__main__":
    main()
