"""What greedy selection minimises, made cheap: each looks at as little of the predictions as its metric allows.

Every objective holds the sum of the predictions chosen so far and says what the mean would lose with each further
candidate added. The arithmetic is that of the metric or of something that falls with it; selection proves its result
with the metric itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from data.metrics import EPS, loss
from ensembles.ranking import BINARY, roc_auc

# Where a metric needs all outputs of all rows, candidates are compared on a sample and the best of them on all rows.
SAMPLE_ROWS = 4_000
SHORTLIST = 12

Candidates = Sequence[np.ndarray]


class Objective(ABC):
    """Losses of means of candidates; lower is better.

    Attributes:
        size: Candidates added so far, each as often as it was.
    """

    def __init__(self) -> None:
        self.size = 0

    @abstractmethod
    def losses(self, allowed: Sequence[int]) -> np.ndarray:
        """Loss of the mean with one more candidate, for each of the allowed ones.

        Shape: -> (len(allowed),); infinite where a sample has shown that others are better.
        """

    def add(self, index: int) -> None:
        """Add a candidate to the sum."""
        self._add(index)
        self.size += 1

    @abstractmethod
    def _add(self, index: int) -> None: ...


class _Reduced(Objective):
    """An objective that needs one number per row and candidate, all of which are kept.

    Shape: columns float32 (n_candidates, n_samples); total float64 (n_samples,).
    """

    def __init__(self, columns: np.ndarray) -> None:
        super().__init__()
        self.columns = columns
        self.total = np.zeros(columns.shape[1])

    def losses(self, allowed: Sequence[int]) -> np.ndarray:
        """See Objective."""
        total = self.total.astype(np.float32)
        return np.array([self._loss(total + self.columns[i]) for i in allowed])

    @abstractmethod
    def _loss(self, total: np.ndarray) -> float: ...

    def _add(self, index: int) -> None:
        self.total += self.columns[index]


class LogLoss(_Reduced):
    """Mean negative log-probability of the true class, of which only that class's probability is needed."""

    def __init__(self, candidates: Candidates, y: np.ndarray) -> None:
        rows = np.arange(len(y))

        def of_true_class(P: np.ndarray) -> np.ndarray:
            total = P.sum(axis=1)
            return P[rows, y] / np.where(total > 0, total, 1.0)

        super().__init__(_reduce(candidates, of_true_class, len(y)))

    def _loss(self, total: np.ndarray) -> float:
        size = self.size + 1
        p = np.maximum(total, EPS * size)
        return float(np.log(size) - np.log(p).mean(dtype=np.float64))


class BinaryRocAuc(_Reduced):
    """1 minus the area under the curve of two classes."""

    def __init__(self, candidates: Candidates, y: np.ndarray) -> None:
        super().__init__(_reduce(candidates, lambda P: P[:, 1], len(y)))
        self.y = y

    def _loss(self, total: np.ndarray) -> float:
        return 1.0 - roc_auc(self.y, total / np.float32(self.size + 1))


class _Errors(_Reduced):
    """Errors in units of the target's spread, so that float32 holds them whatever the unit."""

    def __init__(self, candidates: Candidates, y: np.ndarray) -> None:
        spread = float(np.std(y)) or 1.0
        super().__init__(_reduce(candidates, lambda P: (P[:, 0] - y) / spread, len(y)))


class AbsoluteError(_Errors):
    """Mean absolute error."""

    def _loss(self, total: np.ndarray) -> float:
        return float(np.abs(total).mean(dtype=np.float64)) / (self.size + 1)


class SquaredError(_Errors):
    """Mean squared error, by which RMSE and R2 order too; all candidates in one matrix product."""

    def __init__(self, candidates: Candidates, y: np.ndarray) -> None:
        super().__init__(candidates, y)
        self.squares = np.array([float(np.dot(e, e)) for e in self.columns])

    def losses(self, allowed: Sequence[int]) -> np.ndarray:
        """See Objective."""
        products = np.asarray(self.columns @ self.total.astype(np.float32), np.float64)[list(allowed)]
        sums = float(self.total @ self.total) + 2 * products + self.squares[list(allowed)]
        return sums / (len(self.total) * (self.size + 1) ** 2)

    def _loss(self, total: np.ndarray) -> float:
        return float(np.square(total, dtype=np.float64).mean()) / (self.size + 1) ** 2


class Sampled(Objective):
    """Any metric of all outputs: a sample of rows makes a shortlist, and that is compared on all rows.

    The first step, which finds the best single candidate, compares all of them on all rows.
    """

    def __init__(
        self, candidates: Candidates, y: np.ndarray, fn: Callable[[np.ndarray, np.ndarray], float]
    ) -> None:
        super().__init__()
        self.candidates, self.y, self.fn = candidates, y, fn
        self.rows = sample_classes(y, SAMPLE_ROWS)
        self.sample = np.empty((len(candidates), len(self.rows), candidates[0].shape[1]), np.float32)
        self.singles = np.empty(len(candidates))
        for i, P in enumerate(candidates):
            self.sample[i] = P[self.rows]
            self.singles[i] = fn(y, P)
        self.total = np.zeros(candidates[0].shape, np.float32)

    def losses(self, allowed: Sequence[int]) -> np.ndarray:
        """See Objective."""
        if self.size == 0:
            return self.singles[list(allowed)]
        y, total, size = self.y[self.rows], self.total[self.rows], np.float32(self.size + 1)
        short = np.arange(len(allowed))
        if len(allowed) > SHORTLIST:
            sampled = [self.fn(y, (total + self.sample[i]) / size) for i in allowed]
            short = np.argsort(sampled, kind="stable")[:SHORTLIST]
        found = np.full(len(allowed), np.inf)
        for place in short:
            found[place] = self.fn(self.y, (self.total + self.candidates[allowed[place]]) / size)
        return found

    def _add(self, index: int) -> None:
        self.total += self.candidates[index]


def make_objective(metric: str, candidates: Candidates, y: np.ndarray) -> Objective:
    """The cheapest objective for a metric.

    Args:
        metric: Name of a metric of data/metrics.py.
        candidates: Out-of-fold predictions, each (n_samples, n_outputs).
        y: Targets, (n_samples,).
    """
    if metric == "log_loss":
        return LogLoss(candidates, y)
    if metric in ("rmse", "r2"):
        return SquaredError(candidates, y)
    if metric == "mae":
        return AbsoluteError(candidates, y)
    if metric == "roc_auc":
        if candidates[0].shape[1] == BINARY:
            return BinaryRocAuc(candidates, y)
        return Sampled(candidates, y, lambda y, P: 1.0 - roc_auc(y, P))
    return Sampled(candidates, y, partial(loss, metric))


def sample_classes(y: np.ndarray, most: int) -> np.ndarray:
    """Rows that stand for all, the rare classes in larger shares than they have.

    Shape: y int64 (n_samples,) -> sorted indices, at most `most` and all rows where there are no more.
    """
    if len(y) <= most:
        return np.arange(len(y))
    rng = np.random.default_rng(0)
    shuffled = rng.permutation(len(y))
    classes, counts = np.unique(y, return_counts=True)
    quota, left = {}, most
    for n_after, k in zip(range(len(classes), 0, -1), np.argsort(counts), strict=True):
        quota[k] = min(int(counts[k]), left // n_after)
        left -= quota[k]
    rows = [shuffled[y[shuffled] == classes[k]][: quota[k]] for k in quota]
    return np.sort(np.concatenate(rows))


def _reduce(candidates: Candidates, column: Callable[[np.ndarray], np.ndarray], n_samples: int) -> np.ndarray:
    out = np.empty((len(candidates), n_samples), np.float32)
    for i, P in enumerate(candidates):
        out[i] = column(P)
    return out
