"""Writing a bundle: one graph of all models, proved against them; beside its place, then renamed."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import EncodeError

from data.dataset import TabularDataset
from data.versions import NEEDS
from ensembles.bundle import FORMAT_VERSION, Bundle, bundle_id, check_files, file_hashes, read_manifest
from ensembles.cardtext import card_markdown
from ensembles.graph import ExportMember, build_graph
from ensembles.importance import Scorer, importance_in_time
from ensembles.parity import Proof, proof_pairs, prove, units_of
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction
from errors import TrainingError
from models.base import Task
from models.boosting import TargetScale

__all__ = ["Contents", "ExportMember", "write_bundle"]

LIBRARIES = ("numpy", "onnx", "onnxruntime", "torch", "lightgbm", "xgboost")
BACKGROUND_ROWS = 128
# Share of the time left that the proof may take once it has seen its first rows.
PROOF_SHARE = 0.3
# Longest time for the columns' importance, and the share of the time left that it may take.
IMPORTANCE_S = 10.0
IMPORTANCE_SHARE = 0.5


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of.

    Attributes:
        dataset: The training side's table: encoder, target, golden and proof rows.
        members: The ensemble.
        calibration: What is done to its probabilities, see ensembles.calibration; None: nothing.
        conformal: What intervals and sets are made with, see ensembles.conformal; None: there are none.
        threshold: Which probability makes which decision, see ensembles.thresholds; None: the largest wins.
        tested: What the models answer to the withheld rows, not calibrated, where that is known already.
        facts: What else the manifest says: name, metric, scores, run.
        deadline: time.monotonic() at which what can be left out ends; None: never.
        n_threads: Threads with which the models answer for the proof.
    """

    dataset: TabularDataset
    members: tuple[ExportMember, ...]
    calibration: dict[str, Any] | None = None
    conformal: dict[str, Any] | None = None
    threshold: dict[str, Any] | None = None
    tested: EnsemblePrediction | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    deadline: float | None = None
    n_threads: int = 1

    def left_s(self) -> float:
        """Seconds until the deadline; infinite without one."""
        return float("inf") if self.deadline is None else self.deadline - time.monotonic()


def write_bundle(path: Path, contents: Contents) -> None:
    """Write a bundle; an older one at path is replaced only by a proved one.

    Raises:
        TrainingError: the graph answers otherwise than the models, or would be larger than the format allows.
        BundleError: what was written cannot be read.
    """
    beside = path.parent / f".{path.name}.new"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    (beside / "graph.onnx").write_bytes(_graph(contents))
    _write_json(beside / "features.json", contents.dataset.encoder.to_json())
    _write_json(beside / "target.json", contents.dataset.target.to_json())
    if contents.conformal is not None:
        _write_json(beside / "conformal.json", contents.conformal)
    np.save(beside / "background.npy", _background(contents.dataset), allow_pickle=False)
    session = GraphSession(beside / "graph.onnx")
    proof = _prove(session, contents, (beside / "graph.onnx").stat().st_size)
    manifest = _manifest(contents) | {
        "export_difference": proof.difference,
        "export_uncertainty_difference": proof.spread_difference,
        "export_rows": proof.n_rows,
    }
    _write_json(beside / "golden.json", _golden(Bundle(beside, manifest, session=session), contents.dataset))
    manifest["importance"] = _importance(session, contents)
    (beside / "card.md").write_text(card_markdown(manifest), "utf-8")
    manifest["files"] = file_hashes(beside)
    manifest["bundle_id"] = bundle_id(manifest)
    _write_json(beside / "manifest.json", manifest)
    check_files(beside, read_manifest(beside))
    _swap(beside, path)


def _graph(contents: Contents) -> bytes:
    dataset = contents.dataset
    task = Task(dataset.problem_type, dataset.target.n_outputs, dataset.encoder.cardinalities)
    units = TargetScale.of(np.asarray(dataset.y), task)
    try:
        return build_graph(contents.members, task, units, contents.calibration).SerializeToString()
    except (EncodeError, ValueError) as error:
        raise TrainingError(
            f"export: the ensemble does not fit one ONNX graph (at most 2 GiB): {error}; ask for fewer members "
            "(ensemble.max_members) or fewer trees"
        ) from error


def _prove(session: GraphSession, contents: Contents, n_bytes: int) -> Proof:
    deadline = time.monotonic() + PROOF_SHARE * contents.left_s()
    pairs = proof_pairs(contents.dataset, contents.members, contents.tested, n_bytes, contents.n_threads)
    names = [f"{member.name} ({member.family})" for member in contents.members]
    return prove(session, pairs, names, units_of(contents.dataset), contents.calibration, deadline)


def _manifest(contents: Contents) -> dict[str, Any]:
    dataset = contents.dataset
    return {
        "format_version": FORMAT_VERSION,
        "needs": NEEDS,
        **contents.facts,
        "problem_type": dataset.problem_type,
        "target": dataset.target.name,
        "features": list(dataset.encoder.column_names),
        "columns": [{"name": column.name, "kind": column.kind} for column in dataset.encoder.columns],
        "classes": list(dataset.target.classes),
        "n_rows": dataset.n_rows,
        "data_sha256": dataset.fingerprint,
        "test_sha256": dataset.test_fingerprint,
        "members": [
            {
                "trial": member.name,
                "family": member.family,
                "params": member.models[0].meta.params,
                "weight": member.weight,
                "noise": member.noise,
                "n_models": len(member.models),
            }
            for member in contents.members
        ],
        "calibration": contents.calibration,
        "threshold": contents.threshold,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
    }


def _golden(bundle: Bundle, dataset: TabularDataset) -> dict[str, Any]:
    answers = bundle.predict(dataset.golden_rows)
    return {"records": dataset.golden_rows, "mean": answers.mean.tolist(), "total": answers.total.tolist()}


def _importance(session: GraphSession, contents: Contents) -> list[dict[str, Any]]:
    """What shuffling each column costs on withheld rows, in the metric, largest first; empty without rows or time."""
    dataset, metric = contents.dataset, contents.facts.get("metric")
    if dataset.X_test is None or dataset.y_test is None or metric is None:
        return []
    scorer = Scorer(
        lambda X: session.predict(X).mean,
        np.asarray(dataset.y_test),
        dataset.problem_type,
        contents.threshold,
    )
    found = importance_in_time(
        scorer,
        np.asarray(dataset.X_test),
        dataset.encoder,
        min(IMPORTANCE_S, IMPORTANCE_SHARE * contents.left_s()),
    )
    rows = [{"column": one.column, "loss": one.loss[metric]} for one in found]
    return sorted(rows, key=lambda row: -row["loss"])


def _background(dataset: TabularDataset) -> np.ndarray:
    """Some encoded training rows, to explain predictions against."""
    rows = np.random.default_rng(0).permutation(dataset.n_rows)[:BACKGROUND_ROWS]
    return np.ascontiguousarray(np.asarray(dataset.X)[np.sort(rows)], dtype=np.float32)


def _swap(beside: Path, path: Path) -> None:
    """Rename the new bundle into place; whoever looks sees the old one, none for an instant, or the new one."""
    old = path.parent / f".{path.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.rename(path, old)
    os.rename(beside, path)
    shutil.rmtree(old, ignore_errors=True)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False), "utf-8")
