"""What is counted of a version on trial, and the rule by which it is promoted or withdrawn.

The rule, from the counts alone, so that equal counts always get the same verdict:

1. One error of the candidate (it cannot be loaded, or does not answer rows that the served version answers):
   withdraw, at once.
2. Fewer compared requests than `min_requests`: go on.
3. The median over requests of candidate's latency / served version's latency, both timed on the same rows in the
   same thread, above `max_latency_ratio`: withdraw.
4. Otherwise it has passed: promote where the plan says so; else go on until somebody decides.

How far its answers are from the served version's is counted and shown; a better model answers differently, so that
no difference withdraws it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ensembles.rollouts import Plan

Verdict = Literal["go on", "withdraw", "promote", "passed"]
# A bucket is an eighth of a power of two wide: 9 %.
BUCKETS_PER_OCTAVE = 8
TINY_S = 1e-9


@dataclass
class Counts:
    """What is known of a version on trial; counts of several replicas add up.

    Attributes:
        answered: Requests that the candidate answered to clients.
        compared: Requests on which both versions' answers were compared.
        rows: Rows of those.
        changed: Rows for which the candidate decides for another class.
        difference: Sum over rows of the mean absolute difference of probabilities, or of values in the target's unit.
        largest: Largest such difference of one row.
        errors: Requests that the candidate did not answer, and times it could not be loaded.
        first_error: The first of them.
        dropped: Requests not compared since the comparison was behind.
        uncomparable: Requests not compared since the served version does not answer their rows, or since the versions
            encode rows differently and the raw rows were not kept.
        candidate_s, served_s: Time that each version took for the compared requests, in seconds.
        ratios: Requests by candidate's / served version's latency, in buckets.
    """

    answered: int = 0
    compared: int = 0
    rows: int = 0
    changed: int = 0
    difference: float = 0.0
    largest: float = 0.0
    errors: int = 0
    first_error: str = ""
    dropped: int = 0
    uncomparable: int = 0
    candidate_s: float = 0.0
    served_s: float = 0.0
    ratios: Counter[int] = field(default_factory=Counter)

    def time(self, candidate_s: float, served_s: float) -> None:
        """Count one request's latencies, in seconds."""
        self.candidate_s += candidate_s
        self.served_s += served_s
        ratio = max(candidate_s, TINY_S) / max(served_s, TINY_S)
        self.ratios[round(math.log2(ratio) * BUCKETS_PER_OCTAVE)] += 1

    def latency_ratio(self) -> float | None:
        """Median of candidate's / served version's latency, within 5 %; None before any was counted."""
        left = sum(self.ratios.values()) // 2
        for bucket, n in sorted(self.ratios.items()):
            left -= n
            if left < 0:
                return 2.0 ** (bucket / BUCKETS_PER_OCTAVE)
        return None

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        mine, theirs = vars(self), vars(other)
        both = {key: mine[key] + theirs[key] for key in mine}
        both["largest"] = max(self.largest, other.largest)
        both["first_error"] = self.first_error or other.first_error
        return Counts(**both)

    def shown(self) -> dict[str, Any]:
        """As people and programs read it."""
        values = asdict(self)
        for key in ("ratios", "difference", "largest", "changed", "candidate_s", "served_s"):
            del values[key]
        return values | {
            "mean_abs_difference": self.difference / self.rows if self.rows else None,
            "max_abs_difference": self.largest if self.rows else None,
            "changed_share": self.changed / self.rows if self.rows else None,
            "candidate_ms": self.candidate_s / self.compared * 1e3 if self.compared else None,
            "served_ms": self.served_s / self.compared * 1e3 if self.compared else None,
            "latency_ratio": self.latency_ratio(),
        }


def judge(counts: Counts, plan: Plan) -> tuple[Verdict, str]:
    """The verdict over a version on trial, and why; see the module for the rule."""
    if counts.errors:
        return "withdraw", f"{counts.errors} errors, first: {counts.first_error}"
    if counts.compared < plan.min_requests:
        return "go on", f"{counts.compared} of {plan.min_requests} requests compared"
    ratio = counts.latency_ratio()
    if ratio is not None and ratio > plan.max_latency_ratio:
        return "withdraw", (
            f"{ratio:.2f} times the served version's latency over {counts.compared} requests; "
            f"{plan.max_latency_ratio:g} allowed"
        )
    reason = (
        f"no error and {ratio or 0.0:.2f} times the served version's latency over {counts.compared} requests"
    )
    return ("promote" if plan.promote else "passed"), reason
