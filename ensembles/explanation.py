"""Why a prediction is what it is: what each column's value adds to it, from the bundle alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ensembles.importance import column_features
from ensembles.thresholds import decide
from errors import DataError, PredictionError

if TYPE_CHECKING:
    import pandas as pd

    from data.cell_format import Unreadable
from ensembles.bundle import Bundle

Predict = Callable[[np.ndarray], np.ndarray]

ROWS_AT_ONCE = 20_000
WALKS = 128


@dataclass(frozen=True)
class Explanation:
    """Shapley values of some predictions.

    Attributes:
        columns: Raw column names.
        base: (n_outputs,), mean prediction of the background rows: what would be said of no row in particular.
        contributions: (n_samples, n_columns, n_outputs); over the columns they sum to prediction - base, up to
            the rounding of float32 (1e-5 of the largest probability, or of the target's spread).
        errors: Their standard errors, same shape: neither every order of the columns is tried nor every training
            row that a column's value could have been of.
    """

    columns: tuple[str, ...]
    base: np.ndarray
    contributions: np.ndarray
    errors: np.ndarray


def explain(
    bundle: Bundle, X: np.ndarray, background: np.ndarray | None = None, n_walks: int = WALKS, seed: int = 0
) -> Explanation:
    """Split predictions into what each raw column adds: of every class's probability, or of the value.

    Shape: X float32 (n_samples, n_features), background float32 (n_background, n_features).

    Args:
        bundle: The model.
        X: Encoded rows.
        background: Rows that stand for "not known"; default: those in the bundle.
        n_walks: Ways from a background row to the row in question.
        seed: Seeds the orders; a row's answer does not depend on the rows beside it.

    Raises: PredictionError: the bundle was stored without background rows, and none are given.
    """
    sampler = bundle_sampler(bundle, background, n_walks, seed)
    found = [sampler.explain(x) for x in X]
    columns = tuple(column.name for column in bundle.encoder.columns)
    shape = (len(X), len(columns), len(sampler.base))
    contributions, errors = (
        np.array([pair[i] for pair in found], np.float64).reshape(shape) for i in range(2)
    )
    return Explanation(columns, sampler.base, contributions, errors)


def explained_outputs(bundle: Bundle, mean: np.ndarray, label: str | None = None) -> np.ndarray:
    """Which output of each row is explained: that of a class that is named, else of the positive class of two.

    Of more classes it is the likeliest of the row, by the bundle's threshold where it has one; of a number the value.

    Shape: mean (n_samples, n_outputs) -> int64 (n_samples,).

    Args:
        bundle: The model.
        mean: What was predicted.
        label: A class, as text.

    Raises: DataError: no such class, or the target is a number.
    """
    classes = [str(known) for known in bundle.target.classes]
    if label is None:
        if not classes:
            return np.zeros(len(mean), np.int64)
        if bundle.target.problem_type == "binary":
            return np.full(len(mean), len(classes) - 1)
        return decide(mean, bundle.threshold)
    if not classes:
        raise DataError(f"class {label!r}: the target '{bundle.target.name}' is a number and has no classes")
    if label not in classes:
        raise DataError(f"class {label!r}: not one of the model's; allowed: {', '.join(classes[:50])}")
    return np.full(len(mean), classes.index(label))


def bundle_sampler(
    bundle: Bundle, background: np.ndarray | None = None, n_walks: int = WALKS, seed: int = 0
) -> ShapleySampler:
    """What explains a bundle's rows one by one; arguments as for explain.

    Raises: PredictionError: the bundle was stored without background rows, and none are given.
    """
    rows = getattr(bundle, "background", None) if background is None else background
    if rows is None or not len(rows):
        raise PredictionError(
            f"{bundle.path}: stored without the rows that contributions are counted from; build it again: "
            "tabularay ensemble RUN"
        )
    groups = [np.asarray(features) for features in column_features(bundle.encoder).values()]
    return ShapleySampler(
        lambda X: bundle.predict_encoded(X).mean, np.asarray(rows, np.float32), groups, n_walks, seed
    )


def contribution_columns(
    bundle: Bundle,
    table: pd.DataFrame,
    label: str | None = None,
    on_row: Callable[[int], None] = lambda _: None,
    unreadable: Unreadable = "error",
) -> dict[str, Any]:
    """What each column adds to the value, or to the probability of the class that is explained.

    Args:
        bundle: The model.
        table: The rows.
        label: The class, see explained_outputs.
        on_row: Told each row's number before its turn.
        unreadable: What becomes of a cell that contradicts how its column was written in training.

    Returns: `explained_class` (of classes), `base_value`, `contribution_<column>` for each raw column, whose sum with
        it is the value or probability, and `contribution_error`, the largest standard error of the row's contributions.
    Raises: DataError: a value does not fit. PredictionError: as explain.
    """
    X = bundle.encoder.transform(table, unreadable)
    outputs = explained_outputs(bundle, bundle.predict_encoded(X).mean, label)
    sampler, added, errors = bundle_sampler(bundle), [], []
    for i, (x, k) in enumerate(zip(X, outputs, strict=True)):
        on_row(i)
        contributions, error = sampler.explain(x)
        added.append(contributions[:, k])
        errors.append(float(error[:, k].max()))
    names = [f"contribution_{column.name}" for column in bundle.encoder.columns]
    columns = np.reshape(added, (len(X), len(names))).T
    found: dict[str, Any] = (
        {"explained_class": bundle.target.decode(outputs)} if bundle.target.classes else {}
    )
    found |= {"base_value": sampler.base[outputs], **dict(zip(names, columns, strict=True))}
    return found | {"contribution_error": errors}


class ShapleySampler:
    """Walks from background rows to the row in question, one column at a time; each step is what a column adds.

    Every background row is walked from equally often, so the steps sum to the prediction less the mean prediction of
    the background, exactly. Walks go in pairs, an order and its reverse, which cancels much of their chance; with as
    many background rows as walks, each of a pair begins at a row of its own. What pairs differ by is the error of
    both: of the orders, and of the rows that stand for all others.

    Args:
        predict: From encoded rows to predictions (n_samples, n_outputs).
        background: float32 (n_background, n_features).
        groups: Features of each column.
        n_walks: Walks: at least one from each background row, and an even number.
        seed: Seeds them.

    Source: Castro et al. 2009; antithetic pairs: Mitchell et al. 2022, "Sampling Permutations for Shapley Value
    Estimation"; columns not known yet keep the background row's values (interventional).
    """

    def __init__(
        self,
        predict: Predict,
        background: np.ndarray,
        groups: Sequence[np.ndarray],
        n_walks: int = WALKS,
        seed: int = 0,
    ) -> None:
        if not len(background):
            raise ValueError("no background rows; at least one is needed")
        self._predict, self._groups = predict, groups
        rng = np.random.default_rng(seed)
        times = max(1, round(n_walks / len(background)))
        times += times * len(background) % 2
        starts = np.repeat(background, times, axis=0)
        n_pairs = len(starts) // 2
        forwards = np.array([rng.permutation(len(groups)) for _ in range(n_pairs)], np.int64)
        forwards = forwards.reshape(n_pairs, len(groups))
        self._orders = np.stack([forwards, forwards[:, ::-1]], axis=1)
        self._starts = starts.reshape(n_pairs, 2, background.shape[1])
        self.base = np.asarray(predict(background), np.float64).mean(0)

    def explain(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Contributions of one row's columns and their standard errors.

        Shape: x (n_features,) -> (n_columns, n_outputs) each.
        """
        n_pairs, n_columns = len(self._starts), len(self._groups)
        at_once = max(1, ROWS_AT_ONCE // (2 * (n_columns + 1)))
        parts = [self._walk(x, slice(i, i + at_once)) for i in range(0, n_pairs, at_once)]
        steps = np.concatenate(parts)  # (n_pairs, n_columns, n_outputs), a walk and its reverse averaged
        error = steps.std(0, ddof=1) / np.sqrt(n_pairs) if n_pairs > 1 else np.full(steps.shape[1:], np.nan)
        return steps.mean(0), error

    def _walk(self, x: np.ndarray, part: slice) -> np.ndarray:
        """What each column added on some walks."""
        starts, orders = self._starts[part], self._orders[part]
        n_pairs, n_columns = len(starts), len(self._groups)
        rank = np.argsort(orders, axis=2)  # (n_pairs, 2, n_columns): the step at which a column is switched
        rows = np.repeat(starts[:, :, None], n_columns + 1, axis=2)
        step = np.arange(n_columns + 1)
        moves = np.zeros(rows.shape[:3], bool)
        moves[:, :, 0] = True
        for column, features in enumerate(self._groups):
            switched = step > rank[:, :, column, None]
            differs = ~_same(starts[..., features], x[features])
            rows[..., features] = np.where(switched[..., None], x[features], rows[..., features])
            walk, side = np.nonzero(differs)
            moves[walk, side, rank[walk, side, column] + 1] = True
        # A step that changes nothing needs no prediction: it has that of the step before it.
        answers = np.asarray(self._predict(rows[moves]), np.float64)
        values = answers[np.cumsum(moves.ravel()) - 1].reshape(*rows.shape[:3], -1)
        added = np.diff(values, axis=2)
        by_column = np.take_along_axis(added, rank[..., None], axis=2)
        return by_column.mean(1).reshape(n_pairs, n_columns, -1)


def _same(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whether a row's values are those of x, missing ones equal to each other; over the last axis."""
    return ((rows == x) | (np.isnan(rows) & np.isnan(x))).all(-1)
