"""A model as a directory without code: reading it, proving it, predicting with it.

manifest.json     format, problem, scores, members with weights, calibration, versions, sha256 of every other file
graph.onnx        the whole ensemble: encoded rows in, predictions and their uncertainty out
features.json     the encoder
target.json       the target and its classes
conformal.json    what intervals and prediction sets are made with, where there are any
background.npy    some encoded training rows
golden.json       rows and the answers they must get
card.md           all of the manifest that people want to know

Predicting needs NumPy and ONNX Runtime, and pandas where a frame is given; nothing that models are fitted with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from data.cell_format import Unreadable
from data.encoder import Encoder
from data.given import as_rows, is_frame
from data.target import Target
from data.versions import format_problem
from ensembles.conformal import settle
from ensembles.session import GraphSession
from ensembles.uncertainty import EnsemblePrediction
from errors import BundleError, DataError

if TYPE_CHECKING:
    import pandas as pd

Rows: TypeAlias = "pd.DataFrame | pd.Series | Mapping[str, Any] | Sequence[Any] | np.ndarray"
FORMAT_VERSION = 3
# 2 is 0.1.0's.
FORMAT_VERSIONS = (2, FORMAT_VERSION)
GOLDEN_RTOL = 1e-4


class Bundle:
    """A loaded model. Make one with `load_bundle`."""

    def __init__(
        self,
        path: Path,
        manifest: dict[str, Any],
        n_threads: int = 1,
        session: GraphSession | None = None,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.n_threads = n_threads
        self._session = session or GraphSession(path / "graph.onnx", n_threads)
        self.encoder = Encoder.from_json(_read_json(path / "features.json"))
        self.target = Target.from_json(_read_json(path / "target.json"))

    @property
    def bundle_id(self) -> str:
        """Identity of the content."""
        return self.manifest["bundle_id"]

    @property
    def calibration(self) -> dict[str, Any] | None:
        """What the graph does to its mean, see ensembles.calibration; None: nothing."""
        return self.manifest.get("calibration")

    @property
    def threshold(self) -> dict[str, Any] | None:
        """Which probability makes which decision, see ensembles.thresholds; None: the largest wins."""
        return self.manifest.get("threshold")

    @cached_property
    def conformal(self) -> dict[str, Any] | None:
        """What intervals and sets are made with, see ensembles.conformal; None: there are none."""
        path = self.path / "conformal.json"
        return _read_json(path) if path.exists() else None

    @cached_property
    def _settling(self) -> dict[str, Any] | None:
        return self.conformal if self.target.problem_type == "regression" else None

    @cached_property
    def background(self) -> np.ndarray:
        """Some encoded training rows, to explain predictions against.

        Shape: float32 (n_samples, n_features), at most 128 samples.
        """
        return np.load(self.path / "background.npy", allow_pickle=False)

    @cached_property
    def golden(self) -> dict[str, Any]:
        """Rows as `records`, and the `mean` and `total` that they must get."""
        return _read_json(self.path / "golden.json")

    def predict_encoded(self, X: np.ndarray) -> EnsemblePrediction:
        """Predict encoded rows; of numbers, standard deviations agree with the intervals, see conformal.settle.

        Shape: X float32 (n_samples, n_features).
        """
        prediction = self._session.predict(X)
        return prediction if self._settling is None else settle(prediction, self._settling)

    def encode(
        self,
        rows: Rows,
        unreadable: Unreadable = "error",
    ) -> np.ndarray:
        """Encode raw rows; data/given.py says what they may be.

        Args:
            rows: A frame, a list of records or of values in the order of `encoder.column_names`, a 2-D array of such
                values, a dict or a Series that is one row, or a dict of columns.
            unreadable: In a frame, what becomes of a cell that contradicts how its column was written in training.

        Raises: DataError: a missing column or a value that does not fit; names row, column and value.
        """
        rows = as_rows(rows, self.encoder.column_names)
        if is_frame(rows):
            return self.encoder.transform(rows, unreadable)
        return np.stack([self._encode_row(i, row) for i, row in enumerate(rows)])

    def _encode_row(self, index: int, row: Mapping[str, Any] | Sequence[Any]) -> np.ndarray:
        try:
            if isinstance(row, Mapping):
                return self.encoder.encode(row)
            return self.encoder.encode_values(row)
        except DataError as error:
            raise DataError(f"row {index}: {error}") from None

    def predict(
        self,
        rows: Rows,
        unreadable: Unreadable = "error",
    ) -> EnsemblePrediction:
        """Predict raw rows; see `encode` for what they may be."""
        return self.predict_encoded(self.encode(rows, unreadable))


def load_bundle(path: str | Path, n_threads: int = 1) -> Bundle:
    """Load a bundle after checking every byte and replaying its golden rows.

    Raises: BundleError: not a bundle, a newer format, a missing, added or changed file, or other answers.
    """
    path = Path(path)
    manifest = read_manifest(path)
    check_files(path, manifest)
    bundle = Bundle(path, manifest, n_threads)
    golden = bundle.golden
    found = bundle.predict(golden["records"])
    for what, values in (("mean", found.mean), ("total", found.total)):
        expected = np.asarray(golden[what])
        worst = float(np.abs(values - expected).max()) / _golden_scale(bundle.target, golden, what)
        if not worst <= GOLDEN_RTOL:
            raise BundleError(
                f"{path}: golden rows answer differently here: {what} off by {worst:.2e} of its scale, "
                f"allowed {GOLDEN_RTOL:g}; library versions then: {manifest['versions']}"
            )
    return bundle


def _golden_scale(target: Target, golden: Mapping[str, Any], what: str) -> float:
    """What differences of golden rows are divided by.

    Values that are far from zero, or tiny, are compared by how far they are from each other and how unsure they are.
    """
    mean, total = np.asarray(golden["mean"]), np.asarray(golden["total"])
    if target.problem_type != "regression":
        return max(float(np.abs(mean if what == "mean" else total).max()), 1e-6)
    digits = float(np.spacing(np.abs(mean).max())) / GOLDEN_RTOL
    return max(float(np.ptp(mean)), float(total.max()), 16 * digits)


def check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    """Check every byte of a bundle but its manifest's.

    Raises: BundleError: a missing, added or changed file.
    """
    files = file_hashes(path)
    for name in sorted(manifest["files"].keys() | files.keys()):
        if name not in files:
            raise BundleError(f"{path / name}: missing from the bundle")
        if name not in manifest["files"]:
            raise BundleError(f"{path / name}: not part of the bundle")
        if files[name] != manifest["files"][name]:
            raise BundleError(f"{path / name}: changed since the bundle was made (sha256 differs)")


def read_manifest(path: Path) -> dict[str, Any]:
    """Read and check a bundle's manifest, without its models.

    Raises: BundleError: not a bundle, a changed manifest, or an unknown format version.
    """
    manifest = _read_json(path / "manifest.json")
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise BundleError(f"{path}: not a bundle: manifest.json has no format_version")
    problem = format_problem(manifest, FORMAT_VERSIONS, "format_version")
    if problem:
        older = manifest["format_version"] in range(min(FORMAT_VERSIONS))
        again = "; build it again from its run: tabularay ensemble RUN" if older else ""
        raise BundleError(f"{path}: bundle of {problem}{again}")
    if manifest.get("bundle_id") != bundle_id(manifest):
        raise BundleError(f"{path / 'manifest.json'}: changed since the bundle was made")
    return manifest


def bundle_id(manifest: Mapping[str, Any]) -> str:
    """Sha256 of a manifest without its own id; as the manifest holds the files' hashes, of everything."""
    content = {k: v for k, v in manifest.items() if k != "bundle_id"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_hashes(path: Path) -> dict[str, str]:
    """Sha256 of every file of a bundle but the manifest, by relative path."""
    return {
        p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(path.rglob("*"))
        if p.is_file() and p.name != "manifest.json"
    }


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read: {error}") from None
