import json
import shutil

import numpy as np
import pandas as pd
import pytest

from data.dataset import TabularDataset
from ensembles import load_bundle
from ensembles.bundle import bundle_id, read_manifest
from errors import BundleError, DataError


@pytest.fixture
def copy(binary_job, tmp_path):
    return shutil.copytree(binary_job.bundle, tmp_path / "bundle")


def test_frame_and_records_get_the_same_answers(job):
    bundle = load_bundle(job.bundle)
    rows = job.frame.drop(columns=job.target).head(40)
    records = rows.astype(object).where(rows.notna(), None).to_dict("records")
    from_frame, from_records = bundle.predict(rows), bundle.predict(records)
    for what in ("mean", "total", "aleatoric", "epistemic"):
        np.testing.assert_array_equal(getattr(from_frame, what), getattr(from_records, what))
    values = [[record[name] for name in bundle.encoder.column_names] for record in records]
    np.testing.assert_array_equal(bundle.predict(values).mean, from_frame.mean)


def test_one_row_alone_is_answered_as_in_a_batch(job):
    bundle = load_bundle(job.bundle)
    rows = job.frame.drop(columns=job.target).head(10)
    together = bundle.predict(rows)
    for i in range(len(rows)):
        alone = bundle.predict(rows.iloc[[i]])
        np.testing.assert_allclose(alone.mean[0], together.mean[i], rtol=1e-4)
        np.testing.assert_allclose(alone.total[0], together.total[i], rtol=1e-3, atol=1e-5)


def test_every_answer_has_an_uncertainty_that_adds_up(job):
    found = load_bundle(job.bundle).predict(job.frame.drop(columns=job.target))
    if job.result["problem_type"] == "regression":
        np.testing.assert_allclose(found.total**2, found.aleatoric**2 + found.epistemic**2, rtol=1e-6)
        assert (found.total > 0).all()
    else:
        np.testing.assert_allclose(found.mean.sum(1), 1, rtol=1e-6)
        np.testing.assert_allclose(found.total, found.aleatoric + found.epistemic, rtol=1e-6)
    assert (found.epistemic >= 0).all()
    assert (found.aleatoric >= 0).all()


def test_bundle_holds_no_pickle_and_is_what_the_manifest_says(job):
    names = {p.suffix for p in job.bundle.rglob("*") if p.is_file()}
    assert names <= {".json", ".onnx", ".npy", ".md"}
    manifest = read_manifest(job.bundle)
    assert manifest["metric"] == job.result["metric"]
    assert sum(m["weight"] for m in manifest["members"]) == pytest.approx(1)
    assert manifest["data_sha256"] == TabularDataset.load(job.run / "dataset").fingerprint


def test_a_changed_byte_a_missing_and_an_added_file_are_refused(copy):
    load_bundle(copy)
    victim = copy / "graph.onnx"
    original = victim.read_bytes()
    victim.write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(BundleError, match="changed since"):
        load_bundle(copy)
    victim.unlink()
    with pytest.raises(BundleError, match="missing"):
        load_bundle(copy)
    victim.write_bytes(original)
    (copy / "extra.txt").write_text("x")
    with pytest.raises(BundleError, match="not part of"):
        load_bundle(copy)


def test_another_format_and_a_changed_manifest_are_refused(copy):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(BundleError, match="format 99"):
        load_bundle(copy)
    path.write_text(json.dumps(manifest | {"metric": "accuracy"}))
    with pytest.raises(BundleError, match="changed since"):
        load_bundle(copy)
    path.unlink()
    with pytest.raises(BundleError, match=r"manifest\.json"):
        load_bundle(copy)


def test_golden_rows_that_answer_differently_are_refused(copy):
    import hashlib

    golden = json.loads((copy / "golden.json").read_text())
    golden["mean"][0][0] += 0.01
    (copy / "golden.json").write_text(json.dumps(golden))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["golden.json"] = hashlib.sha256((copy / "golden.json").read_bytes()).hexdigest()
    manifest["bundle_id"] = bundle_id(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="golden"):
        load_bundle(copy)


def test_rows_that_do_not_fit_name_row_and_column(binary_job):
    bundle = load_bundle(binary_job.bundle)
    good = json.loads((binary_job.bundle / "golden.json").read_text())["records"][0]
    with pytest.raises(DataError, match=r"row 1.*mean radius"):
        bundle.predict([good, {k: v for k, v in good.items() if k != "mean radius"}])
    with pytest.raises(DataError, match=r"row 0.*mean radius.*wide"):
        bundle.predict([good | {"mean radius": "wide"}])
    with pytest.raises(DataError, match="at least one"):
        bundle.predict([])
    with pytest.raises(DataError, match="mean radius"):
        bundle.predict(pd.DataFrame([good]).drop(columns="mean radius"))
