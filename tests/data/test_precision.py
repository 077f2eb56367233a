import json

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.dataset import load_dataset
from data.encoder import Encoder
from data.features import FeatureSpec
from data.inspection import inspect_table
from data.precision import PLAIN, check_target, fit_scaling, lost_values
from errors import DataError

N = 800


def whole(start, most=50, n=N):
    return start + np.random.default_rng(0).integers(0, most, n)


COLUMNS = {
    "seconds": whole(1_750_000_000, 7200),
    "milliseconds": whole(1_750_000_000_000, 7_200_000),
    "branch": whole(7_000_000_000),
    "negative": whole(-1_000_000_000),
    "compact date": whole(20_240_101, 28),
    "under float32": whole(0) * 1e-46,
    "under LightGBM's zero": whole(0) * 1e-37,
    "under most of float64": whole(0) * 5e-324,
    "over float32": whole(0) * 1e40,
    "far over float32": whole(0) * 1e300,
    "both ends": np.linspace(-1.0, 1.0, N) * 1.7e308,
    "far decimals": 1e8 + np.round(whole(0) * 0.001, 3),
    "with a word for missing": np.where(np.arange(N) % 3, whole(1_750_000_000, 7200), -1),
    "with an outlier": np.where(np.arange(N) == 5, 1e12, whole(1_750_000_000, 7200)),
    "with holes": np.where(np.arange(N) % 3, whole(1_750_000_000, 7200), np.nan),
}
DATES = {
    "minutes": pd.Timestamp("2026-05-05 10:00") + pd.to_timedelta(whole(0, 7200), unit="s"),
    "microseconds": pd.Timestamp("2026-05-05 10:00") + pd.to_timedelta(whole(0, 10**6), unit="us"),
}


def fitted(values, kind="numeric", missing="native"):
    frame = pd.DataFrame({"a": values})
    return frame, Encoder.fit(frame, [FeatureSpec("a", kind, 0, N, "", ())], missing)


@pytest.mark.parametrize("name", COLUMNS)
def test_no_value_is_lost(name):
    frame, encoder = fitted(COLUMNS[name])
    X = encoder.transform(frame)
    order = np.argsort(COLUMNS[name], kind="stable")
    assert len(np.unique(X[~np.isnan(X)])) == pd.Series(COLUMNS[name]).nunique()
    assert (np.diff(X[order, 0])[: int(np.isfinite(X).sum()) - 1] >= 0).all()
    assert not lost_values(frame, encoder.columns)


@pytest.mark.parametrize("name", DATES)
def test_no_moment_is_lost(name):
    frame, encoder = fitted(DATES[name], "datetime")
    days = encoder.transform(frame)[:, 0]
    # The days as float64 count steps of a third of a microsecond.
    assert len(np.unique(days)) >= 0.998 * DATES[name].nunique()
    assert not lost_values(frame, encoder.columns)


@pytest.mark.parametrize("missing", ["native", "mean", "median", "mode"])
@pytest.mark.parametrize("name", [*COLUMNS, *DATES])
def test_a_record_is_encoded_as_a_frame_is_to_the_bit(name, missing):
    values = COLUMNS.get(name, DATES.get(name))
    frame, encoder = fitted(values, "datetime" if name in DATES else "numeric", missing)
    encoder = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    frame = frame.reindex(range(N + 1))
    rows = np.stack([encoder.encode({"a": value}) for value in frame["a"].tolist()])
    np.testing.assert_array_equal(rows.view(np.int32), encoder.transform(frame).view(np.int32))
    assert np.isnan(rows[-1]).all() == (missing == "native")


def test_whole_numbers_that_float64_merges_are_told():
    frame, encoder = fitted(123_456_789_012_345_678 + np.arange(N) % 50)
    assert "are too close" in lost_values(frame, encoder.columns)["a"]


def test_what_float32_holds_stays_as_it_is():
    for values in (whole(0), whole(16_000_000), np.random.default_rng(0).normal(size=N), np.full(N, np.nan)):
        assert fit_scaling(np.asarray(values, dtype=np.float64)) == PLAIN
    assert fit_scaling(np.random.default_rng(0).normal(size=300_000)) == PLAIN


def test_filled_values_are_filled_before_they_are_moved():
    frame, encoder = fitted(COLUMNS["with holes"], missing="median")
    middle = frame["a"].median()
    (filled,) = encoder.encode({"a": None})
    assert filled == encoder.encode({"a": middle})[0]
    assert encoder.columns[0].fill == (middle,)


def test_what_0_1_0_wrote_reads_numbers_as_they_are():
    _, encoder = fitted(whole(0))
    old = encoder.to_json() | {"format": 2}
    del old["columns"][0]["scaling"]
    assert Encoder.from_json(old) == encoder
    with pytest.raises(DataError, match="too large"):
        Encoder.from_json(old).encode({"a": 1e39})


@pytest.mark.parametrize(("name", "value"), [("under float32", 1.0), ("branch", 1e300)])
def test_a_number_too_far_out_is_refused(name, value):
    frame, encoder = fitted(COLUMNS[name])
    with pytest.raises(DataError, match=r"column 'a': .* is too far from what this column held in training"):
        encoder.encode({"a": value})
    with pytest.raises(DataError, match=r"column 'a', data row 3: .* too far .* within"):
        encoder.transform(pd.DataFrame({"a": [frame["a"][0], frame["a"][1], value]}))


@pytest.fixture
def clusters(tmp_path):
    rng = np.random.default_rng(0)
    far = rng.integers(1, 4, 300) * 10**10 + rng.integers(0, 50, 300)
    frame = pd.DataFrame({"far": far, "near": rng.integers(0, 50, 300), "y": rng.normal(size=300)})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return DataConfig(source=str(tmp_path / "t.csv"), target="y")


def test_values_that_are_lost_are_told(clusters):
    (note,) = [note for note in load_dataset(clusters).notes if "too close" in note]
    assert "'far'" in note
    (finding,) = [found for found in inspect_table(clusters).warnings if found.code == "lost_digits"]
    assert finding.columns == ("far",)


@pytest.mark.parametrize("scale", [1e40, 1e-200])
def test_a_target_that_cannot_be_squared_is_refused(scale):
    with pytest.raises(DataError, match="target 'y'"):
        check_target("y", np.arange(10) * scale)


@pytest.mark.parametrize("change", [lambda y: y * 1e-9, lambda y: y + 3e9])
def test_a_leak_is_seen_whatever_the_target_s_unit(tmp_path, change):
    a = np.random.default_rng(0).normal(size=400)
    pd.DataFrame({"a": a.round(6), "b": a[::-1], "y": change(a)}).to_csv(tmp_path / "t.csv", index=False)
    found = inspect_table(DataConfig(source=str(tmp_path / "t.csv"), target="y")).warnings
    assert ("a",) in [one.columns for one in found if one.code == "leak"]
