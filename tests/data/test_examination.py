"""What a job finds in its training rows, and how long that takes."""

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.dataset import read_dataset
from data.examination import Examination, examine, time_allowed
from errors import DataLoadError


@pytest.fixture
def config(tmp_path):
    """A table of customers with three columns that are known only after they have left."""
    rng = np.random.default_rng(5)
    left = rng.random(1_500) < 0.25
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, 1_500),
            "plan": rng.choice(["basic", "plus"], 1_500),
            "e-mail": np.where(left, "closed.example", rng.choice(["a.example", "b.example"], 1_500)),
            "cancel reason": np.where(left, rng.choice(["price", "moved"], 1_500), None),
            "invoice": np.where(left ^ (rng.random(1_500) < 0.005), "final", "open"),
            "customer": rng.permutation(9_000)[:1_500],
            "churned": np.where(left, "yes", "no"),
        }
    )
    frame.to_csv(tmp_path / "churn.csv", index=False)
    return DataConfig(source=str(tmp_path / "churn.csv"), target="churned")


def test_leaks_are_found_and_kept(config, tmp_path):
    _, sample = read_dataset(config)
    found = examine(sample, config, 60.0)
    assert set(found.leaks) == {"e-mail", "cancel reason", "invoice"}
    assert (found.n_rows, found.n_examined, found.limits) == (1_500, 1_500, "")
    assert Examination.load(tmp_path / "findings.json") is None
    found.save(tmp_path / "findings.json")
    assert Examination.load(tmp_path / "findings.json") == found
    (tmp_path / "findings.json").write_text('{"findings": 3}', "utf-8")
    with pytest.raises(DataLoadError, match=r"findings\.json: damaged"):
        Examination.load(tmp_path / "findings.json")


def test_what_there_is_no_time_for_is_said(config):
    _, sample = read_dataset(config)
    found = examine(sample, config, -1.0)
    assert found.leaks == ()
    assert "not looked for, as the time allowed was over: " in found.limits
    assert "leaks in 6 of 6 columns" in found.limits


def test_of_many_rows_some_are_looked_at(config, monkeypatch):
    monkeypatch.setattr("data.examination.MOST_ROWS", 1_000)
    _, sample = read_dataset(config)
    found = examine(sample, config, 60.0)
    assert found.limits == "1,000 of 1,500 rows were looked at"
    assert "cancel reason" in found.leaks
    assert sample.table.frame.index.is_monotonic_increasing


def test_rows_of_the_test_are_not_looked_at(config):
    dataset, sample = read_dataset(config.model_copy(update={"test_size": 0.2}))
    assert sample.n_rows == dataset.n_rows == 1_200


def test_a_job_spends_little_of_its_time_on_it():
    assert time_allowed(60.0) == 3.0
    assert time_allowed(None) == 30.0
