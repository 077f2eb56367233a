"""Which family the next trial goes to."""

from __future__ import annotations

from collections.abc import Sequence

from tuning.ledger import FamilyFacts, Ledger

# A trial counts this much less than the one after it, when the gain of a family's next trial is reckoned.
FADE = 0.7


def by_turns(families: Sequence[str], ledger: Ledger) -> tuple[str, str]:
    """The family with the fewest trials; needs no clock, so it is the same on every machine."""
    return min(families, key=lambda f: ledger.families[f].n_proposed), "turn of the family"


def by_time(families: Sequence[str], ledger: Ledger) -> tuple[str, str]:
    """The family on which least time was spent."""
    family = min(families, key=lambda f: ledger.families[f].spent_s)
    return family, f"least time spent so far: {ledger.families[family].spent_s:.1f} s"


def by_gain(families: Sequence[str], ledger: Ledger) -> tuple[str, str]:
    """The family whose next trial is expected to lower the ensemble's loss most per second."""
    known = [f for f in families if ledger.families[f].history]
    if not known:
        return by_turns(families, ledger)
    recent = [gain for f in ledger.families.values() for gain, _s in f.history]
    hope = sum(recent) / len(recent)
    rates = {f: gain_rate(ledger.families[f], hope) for f in known}
    family = max(known, key=lambda f: rates[f])
    return family, f"expected gain of the ensemble per second: {rates[family]:.3g}"


def gain_rate(facts: FamilyFacts, hope: float) -> float:
    """Expected gain per second of a family's next trial: recent gains over recent seconds, faded.

    Args:
        facts: The family.
        hope: Gain that is believed in before the family's own trials are looked at, so that none is written off.
    """
    gain, seconds = hope, facts.usual_s
    for past_gain, past_s in facts.history:
        gain, seconds = FADE * gain + past_gain, FADE * seconds + past_s
    gain, seconds = gain + hope, seconds + facts.usual_s
    return FADE ** len(facts.running) * gain / max(seconds, 1e-9)


CHOICES = {"turns": by_turns, "time": by_time, "gain": by_gain}
