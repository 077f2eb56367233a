"""A trial on disk: its params, its fold models and its out-of-fold predictions.

trials/0007-lightgbm/
    trial.json            number, family, params, seed, state and reason
    fold_0/               one finished fold; the folder appears whole or not at all
        fold.json         score, seconds, losses
        oof.npy           predictions of the fold's validation rows
        model/            what the family saved
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import SplitKind
from errors import BundleError
from models.base import Model, Prediction
from models.families import get_family

STATES = ("running", "interrupted", "completed", "stopped", "failed")


@dataclass(frozen=True)
class FoldRecord:
    """One finished fold.

    Attributes:
        fold: Index of the validation fold.
        score: The sweep's metric on the validation rows, in its own direction.
        fit_s: Seconds of fitting alone.
        total_s: Seconds of the whole step: fitting, predicting, scoring, writing.
        stop_reason: Why the fit ended: its epochs, early stopping, or the deadline.
        train_loss, val_loss: Losses per epoch or boosting round.
        best_step: The epoch or round that was kept.
        every: Epochs or rounds between two of the losses.
        note: What was out of the ordinary, such as a batch halved for want of memory.
    """

    fold: int
    score: float
    fit_s: float
    total_s: float
    stop_reason: str = ""
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_step: int = 0
    every: int = 1
    note: str = ""


@dataclass(frozen=True)
class StoredTrial:
    """A trial as its folder tells it."""

    path: Path
    number: int
    family: str
    params: dict[str, Any]
    seed: int
    origin: str
    state: str
    reason: str
    folds: tuple[FoldRecord, ...]

    @property
    def name(self) -> str:
        """Folder name, unique in the sweep."""
        return self.path.name

    @property
    def has_models(self) -> bool:
        """Whether the models of all its folds are there; a budget of disk may have taken them."""
        return all(self.model_path(f.fold).is_dir() for f in self.folds)

    @property
    def score(self) -> float:
        """Mean score over the finished folds; NaN when there is none."""
        return float(np.mean([f.score for f in self.folds])) if self.folds else float("nan")

    @property
    def running_means(self) -> list[float]:
        """Mean score after each finished fold."""
        return running_means([f.score for f in self.folds])

    @property
    def fit_s(self) -> float:
        """Seconds of fitting, all finished folds."""
        return sum(f.fit_s for f in self.folds)

    def final_folds(self, split: SplitKind) -> tuple[FoldRecord, ...]:
        """The folds whose models answer for the trial: all; in time the last, refitted on every row."""
        return self.folds[-1:] if split == "time" else self.folds

    def model_path(self, fold: int) -> Path:
        """Folder of a fold's model."""
        return self.path / f"fold_{fold}" / "model"

    def load_model(self, fold: int) -> Model:
        """Load the model of a finished fold."""
        return get_family(self.family).load(self.model_path(fold))

    def oof(self, folds: np.ndarray) -> np.ndarray:
        """Out-of-fold predictions of the validated rows; the trial must have finished all folds.

        Args:
            folds: (n_samples,), the fold in which each row is validated; -1: never.

        Shape: -> (n_validated, n_outputs), the rows of folds >= 0 in their order; probabilities are float32.
        Raises: BundleError: a fold's predictions are missing or do not fit the table.
        """
        out: np.ndarray | None = None
        for record in self.folds:
            path = self.path / f"fold_{record.fold}" / "oof.npy"
            try:
                part = np.load(path, allow_pickle=False)
            except (OSError, ValueError) as error:
                raise BundleError(f"{path}: out-of-fold predictions cannot be read: {error}") from None
            rows = folds == record.fold
            if len(part) != rows.sum():
                raise BundleError(f"{path}: {len(part)} predictions for the {rows.sum()} rows of the fold")
            if out is None:
                out = np.full((len(folds), part.shape[1]), np.nan, part.dtype)
            out = out.astype(np.promote_types(out.dtype, part.dtype), copy=False)  # 0.1.0 wrote float32 alone
            out[rows] = part
        if out is None or np.isnan(out[folds >= 0]).any():
            raise BundleError(f"{self.path}: not every fold is finished")
        return out[folds >= 0]


def running_means(scores: Sequence[float]) -> list[float]:
    """Mean of the first one, two, ... scores."""
    return [float(np.mean(scores[: i + 1])) for i in range(len(scores))]


def trial_name(number: int, family: str) -> str:
    """Folder name of a trial."""
    return f"{number:04d}-{family}"


def write_trial(path: Path, values: dict[str, Any]) -> None:
    """Create or update trial.json in one step: whoever reads sees the old or the new, never half."""
    path.mkdir(parents=True, exist_ok=True)
    target = path / "trial.json"
    old = json.loads(target.read_text("utf-8")) if target.exists() else {}
    beside = path / ".trial.json.new"
    beside.write_text(json.dumps(old | values, ensure_ascii=False, indent=1), "utf-8")
    os.replace(beside, target)


def write_fold(path: Path, record: FoldRecord, model: Model, prediction: Prediction) -> None:
    """Write a finished fold; the folder is renamed into place once it is whole."""
    folder = path / f"fold_{record.fold}"
    beside = path / f".fold_{record.fold}.new"
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "model").mkdir(parents=True)
    model.save(beside / "model")
    np.save(beside / "oof.npy", prediction.mean, allow_pickle=False)
    (beside / "fold.json").write_text(json.dumps(asdict(record)), "utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(beside, folder)


def read_oof_rows(path: Path, folds: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Out-of-fold predictions of some rows, without reading the others.

    Args:
        path: Folder of a trial that has finished all folds.
        folds: (n_samples,), the fold in which each row is validated; -1: never.
        rows: Sorted indices of validated rows.

    Shape: -> (len(rows), n_outputs), as StoredTrial.oof.
    """
    parts: dict[int, np.ndarray] = {}
    for fold in np.unique(folds[rows]):
        part = np.load(path / f"fold_{fold}" / "oof.npy", mmap_mode="r", allow_pickle=False)
        places = np.searchsorted(np.flatnonzero(folds == fold), rows[folds[rows] == fold])
        parts[int(fold)] = np.asarray(part[places])
    kind = np.result_type(*(part.dtype for part in parts.values()))
    out = np.empty((len(rows), next(iter(parts.values())).shape[1]), kind)
    for fold, part in parts.items():
        out[folds[rows] == fold] = part
    return out


def read_folds(path: Path) -> tuple[FoldRecord, ...]:
    """The finished folds of a trial, in order."""
    found = [json.loads((folder / "fold.json").read_text("utf-8")) for folder in path.glob("fold_*")]
    return tuple(sorted((FoldRecord(**values) for values in found), key=lambda r: r.fold))


def read_trial(path: Path) -> StoredTrial:
    """Read one trial.

    Raises: BundleError: its files are missing or damaged.
    """
    try:
        values = json.loads((path / "trial.json").read_text("utf-8"))
        return StoredTrial(
            path=path,
            number=values["number"],
            family=values["family"],
            params=values["params"],
            seed=values["seed"],
            origin=values["origin"],
            state=values.get("state", "running"),
            reason=values.get("reason", ""),
            folds=read_folds(path),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: not a readable trial: {error}") from None


def read_trials(folder: Path) -> list[StoredTrial]:
    """Read every trial under a folder, by number."""
    return sorted((read_trial(p.parent) for p in folder.glob("*/trial.json")), key=lambda t: t.number)
