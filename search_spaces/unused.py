"""Parameters that a fixed one makes meaningless: they are not searched then, and refused where they are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unused:
    """A parameter, and what makes it meaningless.

    Attributes:
        name: The parameter.
        by: The other one.
        at: Whether that has this effect at a value.
        why: What then happens.
    """

    name: str
    by: str
    at: Callable[[Any], bool]
    why: str


UNUSED = (
    Unused("n_blocks", "hidden_dims", bool, "the widths say how many hidden layers there are"),
    Unused("d_block", "hidden_dims", bool, "it says how wide each hidden layer is"),
    Unused(
        "frequency_scale",
        "num_embedding",
        lambda v: v == "none",
        "only the periodic embedding has frequencies",
    ),
    Unused("bagging_fraction", "bagging_freq", lambda v: v == 0, "0 switches bagging off"),
    Unused("kl_warmup", "kl_weight", lambda v: v == 0, "without the KL term there is none to warm up"),
)


def unused_params(fixed: Mapping[str, Any]) -> dict[str, Unused]:
    """Which parameters fixed ones make meaningless."""
    return {rule.name: rule for rule in UNUSED if rule.by in fixed and rule.at(fixed[rule.by])}
