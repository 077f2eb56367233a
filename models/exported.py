"""What the models of a member become in a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.forest import Trees


@dataclass(frozen=True)
class Exported:
    """A member's answers: either trees, which a graph joins with those of other members, or values in the graph.

    Attributes:
        trees: One per model: log-odds of the last class (binary), logits, or the value in the units asked for.
        answers: Name of (n_samples, n_columns, n_answers): the probability of each class, or the value in the units
            asked for. Answers count alike.
        variance: Name of (n_samples, 1, n_answers): learned variance of the target in those units, squared.
        n_answers: Answers per row: one per model or several, where a model has draws.
    """

    trees: Sequence[Trees] = ()
    answers: str | None = None
    variance: str | None = None
    n_answers: int = 0
