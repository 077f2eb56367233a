"""Writing a bundle: beside its place, proved by loading, then renamed."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data.dataset import TabularDataset
from ensembles.bundle import FORMAT_VERSION, Bundle, bundle_id, file_hashes, load_bundle
from models.trials import StoredTrial

LIBRARIES = ("numpy", "torch", "lightgbm", "xgboost")


def write_bundle(
    path: Path,
    dataset: TabularDataset,
    members: Mapping[str, tuple[StoredTrial, float, float]],
    facts: Mapping[str, Any],
) -> None:
    """Write the bundle of some trials; an older one at path is replaced only by a proved one.

    Args:
        path: Where the bundle will be.
        dataset: The training side's table: encoder, target, golden rows.
        members: Trial name -> the trial, its weight, its noise variance (regression).
        facts: What else the manifest says: name, metric, scores, run.

    Raises: BundleError: the written bundle does not load or answers differently.
    """
    beside = path.parent / f".{path.name}.new"
    shutil.rmtree(beside, ignore_errors=True)
    for name, (trial, _, _) in members.items():
        for record in trial.final_folds(dataset.split):
            shutil.copytree(trial.model_path(record.fold), beside / "members" / name / f"fold_{record.fold}")
    _write_json(beside / "features.json", dataset.encoder.to_json())
    _write_json(beside / "target.json", dataset.target.to_json())
    manifest = {
        "format_version": FORMAT_VERSION,
        **facts,
        "problem_type": dataset.problem_type,
        "target": dataset.target.name,
        "features": list(dataset.encoder.column_names),
        "n_rows": dataset.n_rows,
        "data_sha256": dataset.fingerprint,
        "members": [
            {"trial": name, "family": t.family, "params": t.params, "weight": weight, "noise": noise}
            for name, (t, weight, noise) in members.items()
        ],
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }
    answers = Bundle(beside, manifest).predict(dataset.golden_rows)
    golden = {
        "records": dataset.golden_rows,
        "mean": answers.mean.tolist(),
        "total": answers.total.tolist(),
    }
    _write_json(beside / "golden.json", golden)
    manifest["files"] = file_hashes(beside)
    manifest["bundle_id"] = bundle_id(manifest)
    _write_json(beside / "manifest.json", manifest)
    load_bundle(beside)
    old = path.parent / f".{path.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.rename(path, old)
    os.rename(beside, path)
    shutil.rmtree(old, ignore_errors=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False), "utf-8")
