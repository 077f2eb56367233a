"""Out-of-fold predictions of many trials, read from their files when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np

from models.trials import StoredTrial

KEPT_BYTES = 256 * 2**20


class Candidates(Sequence[np.ndarray]):
    """The out-of-fold predictions of trials as a sequence that keeps only the last ones read in memory.

    Shape: each (n_validated, n_outputs), see StoredTrial.oof.

    Args:
        trials: Trials that have finished every fold.
        folds: (n_samples,), the fold in which each row is validated; -1: never.
    """

    def __init__(self, trials: Sequence[StoredTrial], folds: np.ndarray) -> None:
        self.trials = tuple(trials)
        self._folds = folds
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.trials)

    def __getitem__(self, index: int) -> np.ndarray:
        """Predictions of one trial.

        Raises: BundleError: they are missing or do not fit the table.
        """
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
            predictions = self.trials[index].oof(self._folds)
            self._kept[index] = predictions
            while len(self._kept) > 1 and len(self._kept) * predictions.nbytes > KEPT_BYTES:
                self._kept.popitem(last=False)
            return predictions


class RowsOf(Sequence[np.ndarray]):
    """Some rows of predictions, taken when they are asked for.

    Args:
        candidates: Predictions.
        rows: Which rows: anything that indexes.
        places: Which of the candidates; None: all.
    """

    def __init__(
        self, candidates: Sequence[np.ndarray], rows: np.ndarray | slice, places: Sequence[int] | None = None
    ) -> None:
        self._candidates, self._rows = candidates, rows
        self._places = range(len(candidates)) if places is None else places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> np.ndarray:
        """Rows of one candidate."""
        return self._candidates[self._places[index]][self._rows]
