"""A version that is tried on traffic before an alias points at it, as the registry keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Mode = Literal["canary", "shadow"]


@dataclass(frozen=True)
class Plan:
    """How a version is tried, and what becomes of it.

    Attributes:
        mode: canary: it answers a share of the requests; shadow: it answers copies of them, which nobody sees.
        share: That share, in (0, 1].
        promote: Whether a version that passes is promoted; otherwise it goes on until it is withdrawn or promoted.
        min_requests: Compared requests before it can pass.
        max_latency_ratio: Most times the served version's latency that its own may be.
    """

    mode: Mode = "canary"
    share: float = 0.05
    promote: bool = False
    min_requests: int = 1000
    max_latency_ratio: float = 2.0


@dataclass(frozen=True)
class Rollout:
    """A version on trial.

    Attributes:
        number: The event that began it; 0 where it is not in the journal but in a service's configuration.
        version: The version.
        alias: What points at it once it is promoted.
        plan: How.
    """

    number: int
    version: int
    alias: str
    plan: Plan

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Rollout:
        """As the journal has it.

        Raises: KeyError, TypeError: it is none of ours.
        """
        return cls(event["number"], event["version"], event["alias"], Plan(**event["plan"]))

    def event(self) -> dict[str, Any]:
        """What the journal gets."""
        plan = asdict(self.plan)
        return {"action": "rollout", "version": self.version, "alias": self.alias, "plan": plan}
