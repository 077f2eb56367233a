"""What of a run's bundle a tracker is sent: all of it, or of a large one only what says what it is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning.runs import Run

MAX_BYTES = 64 * 10**6  # sent while a user waits for the end of their sweep
ALWAYS = ("card.md", "manifest.json")
TOLD = ("bundle_id", "metric", "problem_type", "target", "n_rows", "data_sha256", "scores", "versions", "run")


@dataclass(frozen=True)
class BundleArtifact:
    """A bundle as trackers store it.

    Attributes:
        name: The model's name, in letters that every tracker takes.
        files: Path in the artifact -> path on this machine.
        facts: Plain values of the manifest.
        card: Its model card, or an empty text.
        whole: Whether all files are there.
    """

    name: str
    files: dict[str, Path]
    facts: dict[str, Any]
    card: str
    whole: bool


def bundle_artifact(run: Run) -> BundleArtifact | None:
    """The run's bundle, if it has one."""
    manifest = run.bundle / "manifest.json"
    if not manifest.is_file():
        return None
    content = json.loads(manifest.read_text("utf-8"))
    files = {p.relative_to(run.bundle).as_posix(): p for p in sorted(run.bundle.rglob("*")) if p.is_file()}
    n_bytes = sum(p.stat().st_size for p in files.values())
    whole = n_bytes <= MAX_BYTES
    sent = files if whole else {name: p for name, p in files.items() if name in ALWAYS}
    card = files["card.md"].read_text("utf-8") if "card.md" in files else ""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(content.get("name", ""))).strip("-.") or "model"
    facts = {key: content[key] for key in TOLD if key in content} | {"bytes": n_bytes, "whole": whole}
    return BundleArtifact(name, sent, facts, card, whole)
