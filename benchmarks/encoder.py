"""The Encoder beside scikit-learn's ColumnTransformer on a large frame, and its time for one record.

python -m benchmarks.encoder                                              500,000 rows of 20 columns, one thread
python -m benchmarks.encoder --rows 50000 --repeats 9
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OrdinalEncoder

from data.encoder import Encoder
from data.features import infer_features

N_NUMBERS = 12
N_CATEGORIES = (2, 5, 10, 30, 100, 300, 600, 1000)
MISSING_SHARE = 0.05


def main() -> None:
    """Encode the same frame both ways and print one line per figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pa.set_cpu_count(1)
    frame = make_frame(options.rows)
    encoder = Encoder.fit(frame, infer_features(frame.assign(target=0), "target"))
    numbers, categories = list(frame.columns[:N_NUMBERS]), list(frame.columns[N_NUMBERS:])
    nan = {"unknown_value": np.nan, "encoded_missing_value": np.nan}
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", **nan)
    peer = ColumnTransformer([("numbers", "passthrough", numbers), ("categories", codes, categories)])
    peer.fit(frame)
    ours, X = timed(lambda: encoder.transform(frame), options.repeats)
    theirs, expected = timed(lambda: peer.transform(frame), options.repeats)
    equal = np.array_equal(X, expected.astype(np.float32), equal_nan=True)
    record = {name: frame[name].iloc[:1].tolist()[0] for name in frame}
    n_records = 10_000
    one, _ = timed(lambda: [encoder.encode(record) for _ in range(n_records)], options.repeats)
    print(f"rows x columns          {len(frame):,} x {frame.shape[1]}")
    print(f"Encoder.transform       {ours:.3f} s")
    print(f"ColumnTransformer       {theirs:.3f} s")
    print(f"ratio                   {theirs / ours:.1f}")
    print(f"same output             {equal}")
    print(f"one record              {one / n_records * 1e6:.1f} us")


def make_frame(n_rows: int) -> pd.DataFrame:
    """Numbers, and texts as `str` and `category` in turn, a share of each missing."""
    rng = np.random.default_rng(0)
    columns: dict[str, pd.Series] = {}
    for j in range(N_NUMBERS):
        columns[f"number {j}"] = pd.Series(rng.normal(size=n_rows))
    for j, n in enumerate(N_CATEGORIES):
        texts = pd.Series(np.array([f"value {k}" for k in range(n)])[rng.integers(0, n, n_rows)])
        columns[f"category {j}"] = texts.astype("category" if j % 2 else "str")
    return pd.DataFrame({name: c.mask(rng.random(n_rows) < MISSING_SHARE) for name, c in columns.items()})


def timed(work: Callable[[], object], repeats: int) -> tuple[float, np.ndarray]:
    """Median seconds of the work, and its result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return median(seconds), result


if __name__ == "__main__":
    main()
