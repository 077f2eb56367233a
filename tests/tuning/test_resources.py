import os
import subprocess
import sys
import time

import pytest

from configs.load import load_config
from errors import ConfigError
from models.base import FitContext
from tests.conftest import ENVIRONMENT
from tuning import resources
from tuning.gpu import gpu_lock
from tuning.spaces import check_families

TABLE = ("data.source=t.csv", "data.target=y", "families=[lightgbm,dnn,bnn]")


def config(*overrides):
    return load_config([*TABLE, *overrides])


def test_every_family_has_the_default_or_its_own():
    job = config("search.cpus_per_trial=2", "search.gpus_per_trial=0.5", "search.resources.bnn.cpus=4")
    found = {f: (r.cpus, r.gpus) for f, r in resources.family_resources(job).items()}
    assert found == {"lightgbm": (2, 0.0), "dnn": (2, 0.5), "bnn": (4, 0.5)}


def test_ray_is_asked_for_them():
    bundles = [resources.request({"cpus": 2, "gpus": g}).bundles for g in (0.0, 0.25)]
    assert bundles == [[{"CPU": 2.0}], [{"CPU": 2.0, "GPU": 0.25}]]


@pytest.mark.parametrize(
    ("have", "overrides", "expected"),
    [
        ({"CPU": 8.0}, (), 8),
        ({"CPU": 8.0}, ("search.max_concurrent=3",), 3),
        ({"CPU": 8.0}, ("search.cpus_per_trial=4", "search.resources.dnn.cpus=2"), 4),
        ({"CPU": 16.0, "GPU": 1.0}, ("search.gpus_per_trial=0.25", "families=[dnn]"), 4),
        ({"CPU": 16.0, "GPU": 3.0}, ("search.gpus_per_trial=0.1", "families=[dnn]"), 16),
    ],
)
def test_as_many_trials_run_as_fit(monkeypatch, have, overrides, expected):
    monkeypatch.setattr(resources.ray, "cluster_resources", lambda: have)
    assert resources.slots(config(*overrides)) == expected


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("search.cpus_per_trial=9",), r"search.cpus_per_trial=9: the cluster has 8 CPUs"),
        (("search.resources.dnn.gpus=1",), r"has 0 GPUs; dnn can have less with search.resources.dnn.gpus"),
    ],
)
def test_too_few_for_one_trial_is_said_before_any(monkeypatch, overrides, message):
    monkeypatch.setattr(resources.ray, "cluster_resources", lambda: {"CPU": 8.0})
    with pytest.raises(ConfigError, match=message):
        resources.slots(config(*overrides))


def test_resources_of_a_family_that_is_not_searched_are_a_mistake():
    with pytest.raises(ConfigError, match=r"search\.resources\.xgboost: the family is not searched"):
        check_families(config("search.resources.xgboost.cpus=2"))


HOLD = """
import sys, time
from models.base import FitContext
from tuning.gpu import gpu_lock
with gpu_lock(FitContext(device="cuda"), alone=sys.argv[1] == "alone"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("other", "mine", "waits"),
    [("with others", False, False), ("with others", True, True), ("alone", False, True)],
)
def test_a_fit_alone_on_the_gpu_waits_for_the_others_and_they_for_it(
    tmp_path, monkeypatch, other, mine, waits
):
    monkeypatch.setenv("TMPDIR", os.fspath(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, other, "1.5"],
        env=ENVIRONMENT | {"TMPDIR": os.fspath(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert holder.stdout.readline() == b"held\n"
    start = time.monotonic()
    with gpu_lock(FitContext(device="cuda"), alone=mine):
        waited = time.monotonic() - start
    assert (waited > 0.5) == waits
    with gpu_lock(FitContext(device="cpu"), alone=True):
        assert len(list(tmp_path.iterdir())) == 1
    assert holder.wait() == 0
