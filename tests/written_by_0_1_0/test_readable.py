"""What version 0.1.0 wrote is read as it was meant: its models, its registry, its runs.

golden.tar.gz was written by 0.1.0 from the tables in it: the model `visits` (classes; decimal commas, percents, dates,
a numeric category), the model `rent` (numbers), both runs, and `cut`, a run ended by Ctrl-C within its second trial.
"""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ensembles.bundle import bundle_id, file_hashes, load_bundle
from errors import BundleError
from tests.conftest import tabularay

GOLDEN = Path(__file__).with_name("golden.tar.gz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden")
    with tarfile.open(GOLDEN) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run_of(folder, name):
    (run,) = (folder / "runs").glob(f"{name}-*")
    return run


@pytest.mark.parametrize("name", ["visits", "rent"])
def test_a_model_answers_as_it_did(folder, name):
    tabularay(
        *("predict", name, "--registry", "registry", "--input", f"{name}_new.csv", "--interval", "0.9"),
        *("--output", f"{name}_now.csv"),
        cwd=folder,
    )
    now, then = (pd.read_csv(folder / f"{name}_{when}.csv") for when in ("now", "answers"))
    pd.testing.assert_frame_equal(now, then, rtol=1e-5)


def test_a_record_is_read_as_it_was(folder):
    bundle = load_bundle(run_of(folder, "visits") / "bundle")
    golden = json.loads((run_of(folder, "visits") / "bundle" / "golden.json").read_text())
    answers = bundle.predict(golden["records"])
    np.testing.assert_allclose(answers.mean, golden["mean"], rtol=1e-5)
    record = golden["records"][0]
    written = bundle.predict([record | {"price": "1.234,5"}]).mean
    assert written.tolist() == bundle.predict([record | {"price": 1234.5}]).mean.tolist()


def test_the_registry_goes_on(folder):
    shown = tabularay("models", "show", "visits", "--registry", "registry", "--json", cwd=folder)
    assert json.loads(shown.stdout)["target"] == "left"
    tabularay("models", "verify", "rent", "--registry", "registry", cwd=folder)
    compared = tabularay(
        *(
            "models",
            "compare",
            "visits",
            "visits",
            "--registry",
            "registry",
            "--input",
            "visits.csv",
            "--json",
        ),
        cwd=folder,
    )
    assert json.loads(compared.stdout)
    tabularay("models", "importance", "rent", "--registry", "registry", "--input", "rent.csv", cwd=folder)


def test_runs_are_listed_and_reported(folder):
    listed = json.loads(tabularay("jobs", "--runs", "runs", "--json", cwd=folder).stdout)
    states = {run["run"].partition("-")[0]: run["state"] for run in listed["runs"]}
    assert states == {"visits": "finished", "rent": "finished", "cut": "interrupted"}
    for name in ("visits", "rent", "cut"):
        tabularay("report", run_of(folder, name), "--output", f"{name}.html", cwd=folder)


def test_an_ensemble_is_built_of_a_finished_run(folder):
    tabularay(
        *("ensemble", run_of(folder, "visits"), "ensemble.max_members=1", "registry=other", "--json"),
        cwd=folder,
    )


@pytest.mark.parametrize("name", ["cut", "rent"])
def test_a_run_is_resumed(folder, name):
    done = tabularay(
        *("tune", "--resume", run_of(folder, name), "search.num_trials=4", "registry=other", "--json"),
        cwd=folder,
    )
    result = json.loads(done.stdout)
    assert result["scores"]["n_candidates"] >= 1
    events = [json.loads(line) for line in (run_of(folder, name) / "events.jsonl").read_text().splitlines()]
    begun = [event for event in events if event.get("event") == "trial"]
    assert {event["number"] for event in begun} == set(range(4))


@pytest.mark.parametrize("file", ["manifest.json", "features.json", "target.json"])
def test_a_newer_format_is_refused_with_the_version_it_needs(folder, tmp_path, file):
    bundle = tmp_path / "bundle"
    shutil.copytree(run_of(folder, "rent") / "bundle", bundle)
    content = json.loads((bundle / file).read_text())
    key = "format_version" if file == "manifest.json" else "format"
    (bundle / file).write_text(json.dumps(content | {key: 99, "needs": "9.9.0"}))
    if file != "manifest.json":  # as their writer would have it, with the right hashes
        manifest = json.loads((bundle / "manifest.json").read_text()) | {"files": file_hashes(bundle)}
        (bundle / "manifest.json").write_text(json.dumps(manifest | {"bundle_id": bundle_id(manifest)}))
    with pytest.raises(BundleError, match=r"99.*tabularay 9\.9\.0"):
        load_bundle(bundle)
