"""Writing a bundle from models, and what it keeps beside the graph."""

import dataclasses
import json
import re
import time

import numpy as np
import pandas as pd
import pytest

from configs.schema import DataConfig
from data.dataset import load_dataset
from ensembles import export, load_bundle
from ensembles.bundle import read_manifest
from ensembles.export import Contents, ExportMember, write_bundle
from ensembles.parity import MISSING_ROWS, STEP_ROWS, proof_pairs, prove, units_of
from ensembles.reference import answer
from ensembles.session import GraphSession
from errors import BundleError, DataError, TrainingError
from models.base import FitContext, Fold, Prediction, Task
from models.families import get_family

FACTS = {"name": "quick", "metric": "log_loss", "created": 0, "scores": {"oof": 0.1}}
TEMPERATURE = {"kind": "temperature", "temperature": 2.0}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Two numbers and a colour, holes in all of them."""
    noise = np.random.default_rng(0)
    x = noise.normal(size=240).round(2)
    colour = noise.choice(["red", "green", "blue"], 240)
    frame = pd.DataFrame({"x": x, "z": noise.normal(size=240).round(2), "colour": colour})
    frame["y"] = np.where(x + (colour == "red") + noise.normal(scale=0.5, size=240) > 0.3, "yes", "no")
    for name in ("x", "z", "colour"):
        frame.loc[noise.random(240) < 0.1, name] = None
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return load_dataset(DataConfig(source=str(path), target="y", n_folds=2, test_size=0.25))


@pytest.fixture(scope="module")
def members(dataset):
    task = Task("binary", 2, dataset.encoder.cardinalities)
    out = []
    for name, family, weight in (("0000-xgboost", "xgboost", 0.75), ("0001-lightgbm", "lightgbm", 0.25)):
        models = []
        for k in range(2):
            val = dataset.folds == k
            fold = Fold(dataset.X[~val], dataset.y[~val], dataset.X[val], dataset.y[val])
            models.append(get_family(family).fit({"num_boost_round": 10}, task, fold, FitContext()))
        out.append(ExportMember(name, family, weight, 0.0, tuple(models)))
    return tuple(out)


def test_all_that_is_known_is_kept(dataset, members, tmp_path):
    conformal = {"kind": "set", "scores": [0.1, 0.2]}
    threshold = {"threshold": 0.3, "for": "f1"}
    contents = Contents(dataset, members, TEMPERATURE, conformal, threshold, facts=FACTS)
    write_bundle(tmp_path / "bundle", contents)
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.calibration, bundle.conformal, bundle.threshold) == (TEMPERATURE, conformal, threshold)
    assert bundle.background.shape == (min(128, dataset.n_rows), 3)
    assert bundle.background.dtype == np.float32
    known = {row.tobytes() for row in np.asarray(dataset.X)}
    assert all(row.tobytes() in known for row in bundle.background)
    manifest = read_manifest(tmp_path / "bundle")
    assert (manifest["format_version"], manifest["needs"]) == (3, "0.2.0")
    assert manifest["scores"] == FACTS["scores"]
    assert [(m["trial"], m["weight"], m["n_models"]) for m in manifest["members"]] == [
        ("0000-xgboost", 0.75, 2),
        ("0001-lightgbm", 0.25, 2),
    ]
    assert manifest["members"][0]["params"]["num_boost_round"] == 10
    assert manifest["versions"].keys() >= {"onnx", "onnxruntime", "lightgbm"}
    assert set(manifest["files"]) == {
        "graph.onnx",
        "features.json",
        "target.json",
        "golden.json",
        "conformal.json",
        "background.npy",
        "card.md",
    }


def test_what_is_not_known_is_none(dataset, members, tmp_path):
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    bundle = load_bundle(tmp_path / "bundle")
    assert (bundle.calibration, bundle.conformal, bundle.threshold) == (None, None, None)
    assert "conformal.json" not in bundle.manifest["files"]


def test_test_rows_get_the_answers_of_the_models(dataset, members, tmp_path):
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    bundle = load_bundle(tmp_path / "bundle")
    X = np.concatenate([dataset.X_test, np.full((1, 3), np.nan, np.float32)])
    each = [np.mean([m.predict(X).mean for m in member.models], axis=0) for member in members]
    found = bundle.predict_encoded(X)
    np.testing.assert_allclose(found.mean, 0.75 * each[0] + 0.25 * each[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.members, each, rtol=0, atol=1e-6)
    unseen = bundle.predict([{"x": 1, "z": None, "colour": "violet"}]).mean
    np.testing.assert_array_equal(unseen, bundle.predict([{"x": 1, "z": None, "colour": None}]).mean)
    np.testing.assert_allclose(
        load_bundle(tmp_path / "bundle", n_threads=2).predict_encoded(X).mean, found.mean, rtol=0, atol=1e-6
    )
    assert bundle.manifest["export_difference"] < 1e-6
    assert bundle.manifest["export_rows"] == len(dataset.X_test) + MISSING_ROWS


def test_a_bundle_is_the_same_each_time(dataset, members, tmp_path):
    for name in ("one", "two"):
        write_bundle(tmp_path / name, Contents(dataset, members, TEMPERATURE, facts=FACTS))
    one, two = (read_manifest(tmp_path / name)["bundle_id"] for name in ("one", "two"))
    assert one == two


def test_a_graph_that_answers_otherwise_is_no_bundle(dataset, members, tmp_path, monkeypatch):
    """The second member's models say something else than what was written; an older bundle stays."""
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    before = read_manifest(tmp_path / "bundle")["bundle_id"]
    lightgbm = get_family("lightgbm")
    honest = lightgbm.predict

    def other(self, X, n_threads=1):
        found = honest(self, X, n_threads)
        found.mean[:, 0] += 4e-4
        found.mean[:, 1] -= 4e-4
        return found

    monkeypatch.setattr(lightgbm, "predict", other)
    with pytest.raises(TrainingError, match=r"1\.00e-04.*0001-lightgbm"):
        write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    assert read_manifest(tmp_path / "bundle")["bundle_id"] == before


def test_a_model_without_an_answer_is_no_bundle(dataset, members, tmp_path, monkeypatch):
    def no_answer(self, X, n_threads=1):
        return Prediction(np.full((len(X), 2), np.nan, np.float32))

    monkeypatch.setattr(get_family("xgboost"), "predict", no_answer)
    with pytest.raises(TrainingError, match="0000-xgboost"):
        write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))


def test_a_graph_too_large_for_the_format_says_so(dataset, members, tmp_path, monkeypatch):
    class Large:
        def SerializeToString(self):  # noqa: N802 - protobuf's name
            raise ValueError("exceeds maximum protobuf size of 2GB")

    monkeypatch.setattr(export, "build_graph", lambda *_: Large())
    with pytest.raises(TrainingError, match=r"2 GiB.*ensemble\.max_members"):
        write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))


@pytest.mark.parametrize(("version", "remedy"), [(1, "tabularay ensemble RUN"), (4, "needs tabularay 0.2.0")])
def test_other_formats_are_refused_with_a_remedy(dataset, members, tmp_path, version, remedy):
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    path = tmp_path / "bundle" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": version}))
    with pytest.raises(BundleError, match=f"format {version}.*{re.escape(remedy)}"):
        load_bundle(tmp_path / "bundle")


def test_the_proof_is_of_rows_with_holes_and_every_withheld_row(dataset, members):
    """However large the graph; training rows, where none is withheld, are fewer then."""
    for n_bytes in (10, 10**15):
        (holes, expected), *others = proof_pairs(dataset, members, None, n_bytes)
        assert len(holes) == MISSING_ROWS
        assert np.isnan(holes).all(axis=1).sum() >= 1
        assert np.isnan(holes).mean() > 0.2
        np.testing.assert_array_equal(expected.mean, answer(members, holes).mean)
        np.testing.assert_array_equal(np.concatenate([X for X, _ in others]), dataset.X_test)
    untested = dataclasses.replace(dataset, X_test=None, y_test=None)
    for n_bytes, n_rows in ((10, dataset.n_rows), (10**15, min(STEP_ROWS, dataset.n_rows))):
        _, *others = proof_pairs(untested, members, None, n_bytes)
        assert sum(len(X) for X, _ in others) == n_rows


def test_what_is_known_of_withheld_rows_is_not_asked_again(dataset, members, tmp_path, monkeypatch):
    known = answer(members, np.asarray(dataset.X_test))
    write_bundle(tmp_path / "one", Contents(dataset, members, TEMPERATURE, facts=FACTS))
    asked = []
    for family in ("lightgbm", "xgboost"):
        honest = get_family(family).predict

        def counted(self, X, n_threads=1, honest=honest):
            asked.append(len(X))
            return honest(self, X, n_threads)

        monkeypatch.setattr(get_family(family), "predict", counted)
    write_bundle(tmp_path / "two", Contents(dataset, members, TEMPERATURE, tested=known, facts=FACTS))
    assert set(asked) == {MISSING_ROWS}
    one, two = (read_manifest(tmp_path / name) for name in ("one", "two"))
    assert one["export_rows"] == two["export_rows"] == len(dataset.X_test) + MISSING_ROWS
    assert one["bundle_id"] == two["bundle_id"]


def test_without_time_the_first_rows_are_proved(dataset, members, tmp_path):
    contents = Contents(dataset, members, facts=FACTS)
    write_bundle(tmp_path / "bundle", contents)
    whole = read_manifest(tmp_path / "bundle")
    pairs = [pair for pair in proof_pairs(dataset, members, None, 10) for _ in range(5)]
    session = GraphSession(tmp_path / "bundle" / "graph.onnx")
    names, units = [m.name for m in members], units_of(dataset)
    hurried = prove(session, pairs, names, units, deadline=time.monotonic() - 1)
    unhurried = prove(session, pairs, names, units)
    assert (hurried.n_rows, unhurried.n_rows) == (2 * MISSING_ROWS, sum(len(X) for X, _ in pairs))
    assert 0 < hurried.difference <= unhurried.difference == whole["export_difference"] < 1e-6
    assert 0 < unhurried.spread_difference == whole["export_uncertainty_difference"] < 1e-5


@pytest.mark.parametrize("n_rows", [1, 64, 65, 700, 1300])
def test_threads_share_rows_and_keep_their_order(dataset, members, tmp_path, n_rows):
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    X = np.asarray(dataset.X_test)[np.random.default_rng(0).integers(0, len(dataset.X_test), n_rows)]
    alone, beside = (load_bundle(tmp_path / "bundle", n).predict_encoded(X) for n in (1, 3))
    for name in ("mean", "total", "aleatoric", "epistemic", "members"):
        np.testing.assert_allclose(getattr(alone, name), getattr(beside, name), rtol=0, atol=1e-6)


def test_rows_of_another_width_are_refused(dataset, members, tmp_path):
    write_bundle(tmp_path / "bundle", Contents(dataset, members, facts=FACTS))
    bundle = load_bundle(tmp_path / "bundle")
    with pytest.raises(DataError, match=r"\(2, 4\).*3"):
        bundle.predict_encoded(np.zeros((2, 4), np.float32))


def test_a_graph_that_cannot_be_read_names_the_file(tmp_path):
    (tmp_path / "graph.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"graph\.onnx"):
        GraphSession(tmp_path / "graph.onnx")
