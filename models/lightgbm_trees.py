"""LightGBM's trees as plain arrays, read from its text format."""

from __future__ import annotations

import lightgbm as lgb
import numpy as np

from errors import TrainingError
from models.forest import Trees, at_most

# Bits of decision_type.
IS_CATEGORICAL, DEFAULT_LEFT, MISSING_SHIFT = 1, 2, 2
MISSING_IS_ZERO, MISSING_IS_NAN = 1, 2
# LightGBM reads values up to this size as zero (kZeroThreshold).
ZERO = np.float32(1e-35)


def read_lightgbm(booster: lgb.Booster) -> Trees:
    """The trees of a booster.

    Raises: TrainingError: it counts zeros as missing, or has linear leaves.
    Source: LightGBM 4.7, include/LightGBM/tree.h (NumericalDecision, CategoricalDecision) and src/io/tree.cpp.
    """
    text = _Text(booster.model_to_string())
    n_leaves = text.numbers("num_leaves")
    n_sets = text.numbers("num_cat")
    node_start, leaf_start = _starts(n_leaves - 1), _starts(n_leaves)
    decision = text.numbers("decision_type")
    missing = (decision >> MISSING_SHIFT) & 3
    if (missing == MISSING_IS_ZERO).any() or text.numbers("is_linear").any():
        raise TrainingError("lightgbm: zeros as missing values and linear leaves cannot be exported")
    threshold = text.numbers("threshold", float)
    is_set = (decision & IS_CATEGORICAL) > 0
    sizes, codes = _read_sets(
        text, n_sets, threshold[is_set], np.repeat(_starts(n_sets)[:-1], n_leaves - 1)[is_set]
    )
    set_size = np.zeros(len(decision), dtype=np.int64)
    set_size[is_set] = sizes
    # Where the training rows had no missing value, LightGBM reads one as zero.
    missing_yes = np.where(missing == MISSING_IS_NAN, (decision & DEFAULT_LEFT) > 0, threshold >= 0) & ~is_set
    trees = np.arange(len(n_leaves))

    def children(name: str) -> np.ndarray:
        child = text.numbers(name)
        return np.where(
            child < 0,
            child - np.repeat(leaf_start[:-1], n_leaves - 1),
            child + np.repeat(node_start[:-1], n_leaves - 1),
        )

    n_outputs = booster.num_model_per_iteration()
    return Trees(
        node_start=node_start,
        leaf_start=leaf_start,
        output=trees % n_outputs,
        feature=text.numbers("split_feature"),
        yes=children("left_child"),
        no=children("right_child"),
        threshold=_exact(np.where(is_set, 0.0, threshold)),
        missing_yes=missing_yes,
        set_size=set_size,
        set_codes=codes,
        leaf=text.numbers("leaf_value", float),
        base=np.zeros(n_outputs),
    )


class _Text:
    """A model's text: the values of one name, over all trees.

    Args:
        text: As Booster.model_to_string gives it: a section per tree, with a line `name=value value ...` per array.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[str, list[str]] = {}
        for line in text.split("\n"):
            name, _, values = line.partition("=")
            self._lines.setdefault(name, []).append(values)

    def numbers(self, name: str, kind: type = np.int64) -> np.ndarray:
        """Values of all trees, one after another."""
        return np.fromstring(" ".join(self._lines.get(name, ())), dtype=kind, sep=" ")


def _exact(threshold: np.ndarray) -> np.ndarray:
    """Thresholds in float32 that decide as LightGBM does, for the smallest values too.

    Shape: (n_nodes,) -> float32 (n_nodes,).
    """
    below = np.nextafter(-ZERO, np.float32(-1))
    return np.where(np.abs(threshold) <= ZERO, np.where(threshold < 0, below, ZERO), at_most(threshold))


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])


def _read_sets(
    text: _Text, n_sets: np.ndarray, place: np.ndarray, first_set: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and codes of the sets, in the order of the nodes that have one.

    Args:
        text: The model.
        n_sets: Sets of each tree.
        place: Per node with a set, the set's number within its tree.
        first_set: Per such node, the number of the tree's first set.
    """
    if not len(place):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    words = text.numbers("cat_threshold").astype("<u4")
    # Each tree with sets has one more boundary than sets, and counts its words from 0.
    bounds = text.numbers("cat_boundaries")
    is_first = np.zeros(len(bounds), dtype=bool)
    is_first[_starts(n_sets[n_sets > 0] + 1)[:-1]] = True
    n_words = np.diff(bounds)[~is_first[1:]]
    owner = np.repeat(np.arange(len(n_words)), n_words)
    bit_word, bit = np.nonzero(np.unpackbits(words.view(np.uint8), bitorder="little").reshape(-1, 32))
    code = (bit_word - _starts(n_words)[:-1][owner[bit_word]]) * 32 + bit
    counts = np.bincount(owner[bit_word], minlength=len(n_words))
    wanted = first_set + place.astype(np.int64)
    sizes = counts[wanted]
    within = np.arange(sizes.sum()) - np.repeat(_starts(sizes)[:-1], sizes)
    return sizes, code[np.repeat(_starts(counts)[:-1][wanted], sizes) + within]
