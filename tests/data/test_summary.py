import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data.summary import class_notes, fingerprint, golden_rows, row_notes
from data.target import Target

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "이름": ["a", "b", None, "d"] * 10,
            "n": np.arange(40),
            "x": [0.5, np.nan, 1.5, 2.5] * 10,
            "cells": pd.Series([[1], {"a": 2}, None, "t"] * 10, dtype=object),
        }
    )


def changed(frame, column, row, value):
    frame = frame.copy()
    frame.at[row, column] = value
    return frame


def test_the_fingerprint_changes_with_everything_in_the_table(frame):
    base = fingerprint([frame])
    assert len(base) == 64
    assert fingerprint([frame.copy()]) == base
    others = [
        [frame.rename(columns={"n": "m"})],
        [frame[["n", "이름", "x", "cells"]]],
        [frame.iloc[::-1]],
        [frame.iloc[:-1]],
        [changed(frame, "x", 2, 1.25)],
        [changed(frame, "이름", 2, "c")],
        [changed(frame, "cells", 0, [2])],
        [frame, frame],
    ]
    assert len({base, *map(fingerprint, others)}) == len(others) + 1


def test_the_fingerprint_is_the_same_in_another_process():
    code = (
        "import pandas as pd; from data.summary import fingerprint;"
        "print(fingerprint([pd.DataFrame({'a': ['x', 'y'], 'b': [1, 2]})]))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == fingerprint([pd.DataFrame({"a": ["x", "y"], "b": [1, 2]})])


def test_golden_rows_are_plain_and_hold_missing_values(frame):
    rows = golden_rows(frame, ["x", "이름", "n"])
    assert len(rows) == 16
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    assert all(list(row) == ["x", "이름", "n"] for row in rows)
    for row in rows:
        original = frame.iloc[row["n"]]
        assert row["이름"] == (None if pd.isna(original["이름"]) else original["이름"])
        assert row["x"] == (None if pd.isna(original["x"]) else original["x"])
    n_missing = sum(row["이름"] is None or row["x"] is None for row in rows)
    assert 4 <= n_missing < 16
    assert len({row["n"] for row in rows}) == 16
    assert golden_rows(frame, ["x", "이름", "n"]) == rows


def test_golden_rows_of_a_small_table_are_all_its_rows(frame):
    rows = golden_rows(frame.iloc[:3], ["n"])
    assert sorted(row["n"] for row in rows) == [0, 1, 2]


def test_repeated_rows_are_told(frame):
    assert row_notes(frame, ["n", "x"]) == []
    (note,) = row_notes(frame, ["이름", "x"])
    assert note.startswith("36 of 40 rows repeat another row; the same row may train and be scored")
    few = pd.DataFrame({"a": [0, *range(99)]})
    assert row_notes(few, ["a"]) == ["1 of 100 rows repeat another row"]


def test_rare_classes_are_told():
    target = Target("y", "multiclass", ("a", "b", "c"))
    y = np.array([0] * 9 + [1] * 4 + [2] * 5)
    assert class_notes(target, y, 5) == ["classes with fewer rows than the 5 folds: 'b'"]
    assert class_notes(target, y, 2) == []
    assert class_notes(Target("y", "regression"), np.arange(9.0), 5) == []
