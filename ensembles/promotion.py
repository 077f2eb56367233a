"""Whether a new version goes into production: when it is better there, on rows that neither model was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from data.messages import show_score
from data.metrics import METRICS
from ensembles.admission import doubts
from ensembles.bundle import load_bundle
from ensembles.registry import PRODUCTION, Registry, promote_command
from ensembles.versions import ModelVersion
from errors import BundleError, ModelNotFoundError


@dataclass(frozen=True)
class Promotion:
    """What was decided of a new version.

    Attributes:
        promoted: Whether it is in production now.
        why: The reason, in words.
        before: The version that was in production; None: there was none.
        metric: What both were compared by; None: they were not.
        score: The new version's score on the withheld rows.
        score_before: The other's, on the same rows.
    """

    promoted: bool
    why: str
    before: str | None = None
    metric: str | None = None
    score: float | None = None
    score_before: float | None = None


def promote_if_better(registry: Registry, version: ModelVersion) -> Promotion:
    """Put a version into production if its score on the withheld rows is better than the present one's on the same.

    Both scores were taken once, at the end of the runs, on rows that the run withheld; that these are the same rows
    is proved by their SHA-256 in both bundles. A version that is doubted is not promoted, whatever it scores. Rows
    that one of the models has learned from would flatter it, so versions that withheld other rows are not compared,
    and nothing is promoted. The first version of a name goes into production without a comparison. The version is
    loaded and proved on its golden rows before the alias moves.

    Raises: BundleError: the new version is damaged.
    """
    load_bundle(version.fetch())
    try:
        current = registry.resolve(f"{version.name}@{PRODUCTION}")
    except ModelNotFoundError:
        current = None
    doubted = "; ".join(doubts(version.manifest()))
    if doubted and (current is None or current.model_id != version.model_id):
        why = f"{doubted}; to promote it all the same: {promote_command(version.model_id, registry.where)}"
        return Promotion(False, why, before=current and current.model_id)
    if current is None:
        decision = Promotion(True, f"nothing was in production as {version.name}")
    else:
        decision = _compare(version, current)
    if decision.promoted:
        registry.promote(version.name, version.version, why=decision.why)
    return decision


def _compare(version: ModelVersion, current: ModelVersion) -> Promotion:
    name = current.model_id
    if name == version.model_id:
        return Promotion(True, f"{name} is in production", before=name)
    new = version.manifest()
    try:
        old = current.manifest()
    except BundleError as error:  # no fault of the run that asks, whose model is registered already
        reason = f"{name} cannot be read: {error}"
    else:
        reason = _why_not_comparable(new, old, name)
    if reason:
        return Promotion(
            False, f"{reason}; to promote it all the same, promote {version.model_id}", before=name
        )
    metric = new["metric"]
    score, before = (m["scores"]["test"]["ensemble"][metric] for m in (new, old))
    better = score > before if METRICS[metric].mode == "max" else score < before
    relation = "better than" if better else "not better than"
    why = f"test {metric} {show_score(score)} is {relation} {name}'s {show_score(before)} on the same withheld rows"
    return Promotion(better, why, name, metric, score, before)


def _why_not_comparable(new: dict[str, Any], old: dict[str, Any], name: str) -> str:
    """Why two scores say nothing of each other; empty where they do."""
    for key in ("target", "problem_type"):
        if new[key] != old[key]:
            return f"{name} predicts otherwise: {key} is {old[key]!r}, here {new[key]!r}"
    if not new.get("test_sha256"):
        return "this version has no score on withheld rows, or none that says which rows"
    if not old.get("test_sha256"):
        return f"{name} has no score on withheld rows, or none that says which rows"
    if new["test_sha256"] != old["test_sha256"]:
        return (
            f"{name} withheld other rows for its test, so it may have learned from these; the same table, "
            "data.test_size and seed withhold the same rows, and so does one data.test_source"
        )
    if new["metric"] not in old["scores"]["test"].get("ensemble", {}):
        return f"{name} has no test {new['metric']}"
    return ""
