"""What networks see of a row, as a graph: the folds of a trial at once, see models.embeddings.

The folds have the same layers and differ in their numbers only, so each layer is one operator over all of them: for a
single row the operators themselves take most of the time.

Shape symbols: F folds, n rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.embeddings import CLIP, PeriodicEmbedding
from models.graph import FLOAT, INT64, Graph

if TYPE_CHECKING:
    from models.embeddings import Preprocessing
    from models.networks import TabularNetwork

LIMIT = 1e6  # as in Preprocessing


@dataclass(frozen=True)
class Embedded:
    """Embedded rows of all folds.

    Attributes:
        name: (F, n, d_in).
        columns: Per fold, the place in d_in of each input of its network; others are none of its inputs.
        d_in: Width.
    """

    name: str
    columns: list[np.ndarray]
    d_in: int

    def rows(self, weights: Sequence[np.ndarray]) -> np.ndarray:
        """First-layer weights (..., d_in of the fold, d) of all folds, stacked, zero for what is no input.

        Shape: -> (F, ..., d_in, d).
        """
        first = weights[0]
        out = np.zeros((len(weights), *first.shape[:-2], self.d_in, first.shape[-1]), np.float32)
        for f, (columns, weight) in enumerate(zip(self.columns, weights, strict=True)):
            out[f][..., columns, :] = weight
        return out


def array(tensor: torch.Tensor) -> np.ndarray:
    """A tensor as float64, in which weights are put together before they are rounded once."""
    return tensor.detach().cpu().numpy().astype(np.float64)


def stack(values: Sequence[np.ndarray]) -> np.ndarray:
    """One array of all folds, float32."""
    return np.stack(values).astype(np.float32)


def embed(graph: Graph, networks: Sequence[TabularNetwork]) -> Embedded:
    """Preprocess and embed encoded rows as every fold's network does, see TabularNetwork.embed."""
    parts = [network.preprocessing for network in networks]
    first = parts[0]
    names = []
    n_folds, d_number = len(parts), 1
    if first.n_numbers:
        if isinstance(networks[0].numbers, PeriodicEmbedding):
            d_number = networks[0].numbers.d_out
            names.append(_periodic(graph, _numbers(graph, parts), [n.numbers for n in networks]))
        else:
            names.append(_numbers(graph, parts))
    flagged = np.unique(np.concatenate([array(part.flagged) for part in parts])).astype(np.int64)
    if len(flagged):
        raw = graph.add("Gather", graph.X, array(first.numeric).astype(np.int64)[flagged], axis=1)
        flags = graph.add("Cast", graph.add("IsNaN", raw), to=FLOAT)
        names.append(graph.add("Expand", flags, graph.ints(n_folds, 1, 1)))
    n_categories = len(first.offsets)
    d_category = networks[0].categories.table.shape[1] if n_categories else 0
    if n_categories:
        table = stack([array(network.categories.table) for network in networks])
        vectors = graph.add("Gather", table, _slots(graph, first), axis=1)
        names.append(graph.add("Reshape", vectors, graph.ints(n_folds, -1, n_categories * d_category)))
    name = graph.add("Concat", *names, axis=2) if len(names) > 1 else names[0]
    d_numbers, d_vectors = first.n_numbers * d_number, n_categories * d_category
    columns = [
        np.concatenate(
            [
                np.arange(d_numbers),
                d_numbers + np.searchsorted(flagged, array(part.flagged).astype(np.int64)),
                d_numbers + len(flagged) + np.arange(d_vectors),
            ]
        )
        for part in parts
    ]
    return Embedded(name, columns, d_numbers + len(flagged) + d_vectors)


def _numbers(graph: Graph, parts: Sequence[Preprocessing]) -> str:
    """Scaled numbers (F, n, n_numbers)."""
    numeric = array(parts[0].numeric).astype(np.int64)
    n_features = len(numeric) + len(parts[0].categorical)
    raw = graph.X if len(numeric) == n_features else graph.add("Gather", graph.X, numeric, axis=1)
    center, factor = (
        stack([array(getattr(p, name)) for p in parts])[:, None] for name in ("center", "factor")
    )
    scaled = graph.add("Mul", graph.add("Sub", raw, center), factor)
    seen = graph.add("Where", graph.add("IsNaN", scaled), 0.0, scaled)
    clipped = graph.add("Clip", seen, -LIMIT, LIMIT)
    share = graph.add("Mul", clipped, 1 / CLIP)
    return graph.add("Div", clipped, graph.add("Sqrt", graph.add("Add", graph.add("Mul", share, share), 1.0)))


def _slots(graph: Graph, part: Preprocessing) -> str:
    """Embedding slots int64 (n, n_categories)."""
    codes = graph.add("Gather", graph.X, array(part.categorical).astype(np.int64), axis=1)
    known = graph.add("Where", graph.add("IsNaN", codes), array(part.missing_slots), codes)
    return graph.add("Add", graph.add("Cast", known, to=INT64), array(part.offsets).astype(np.int64))


def _periodic(graph: Graph, numbers: str, embeddings: Sequence[PeriodicEmbedding]) -> str:
    """See PeriodicEmbedding: (F, n, n_numbers) -> (F, n, n_numbers * d_out)."""
    frequency = stack([array(e.frequency) for e in embeddings])[:, :, None]
    phase = stack([array(e.phase) for e in embeddings])[:, :, None]
    weight = stack([array(e.weight) for e in embeddings])
    bias = stack([array(e.bias) for e in embeddings])[:, :, None]
    x = graph.add("Unsqueeze", graph.add("Transpose", numbers, perm=[0, 2, 1]), graph.ints(3))
    waves = graph.add("Cos", graph.add("Add", graph.add("Mul", x, frequency), phase))
    mixed = graph.add("Add", graph.add("MatMul", waves, weight), bias)
    rows = graph.add("Transpose", graph.add("Concat", x, mixed, axis=3), perm=[0, 2, 1, 3])
    n_folds, n_numbers = weight.shape[:2]
    return graph.add("Reshape", rows, graph.ints(n_folds, -1, n_numbers * embeddings[0].d_out))
