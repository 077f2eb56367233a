"""A full check of a bundle that goes on after the first fault, so that its report says all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ensembles.bundle import file_hashes, load_bundle, read_manifest
from errors import TabularayError


@dataclass(frozen=True)
class Check:
    """One thing that must be true of a bundle.

    Attributes:
        name: manifest, a file's name, or golden rows.
        passed: Whether it is.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


def verify_bundle(path: Path, bundle_id: str | None = None) -> list[Check]:
    """Check the manifest, every file's bytes, and the answers to the golden rows.

    Args:
        path: The bundle.
        bundle_id: What was registered, if it was.

    Returns: a check per file and two more; after a manifest that cannot be trusted, that one alone.
    """
    try:
        manifest = read_manifest(path)
    except TabularayError as error:
        return [Check("manifest", False, str(error))]
    if bundle_id not in (None, manifest["bundle_id"]):
        return [Check("manifest", False, f"id {manifest['bundle_id']}, but {bundle_id} was registered")]
    checks = [Check("manifest", True, f"id {manifest['bundle_id']}"), *_check_files(path, manifest)]
    if all(check.passed for check in checks):
        return [*checks, _check_answers(path)]
    return [*checks, Check("golden rows", False, "not replayed: the files are not what they were")]


def _check_files(path: Path, manifest: dict[str, Any]) -> list[Check]:
    found, expected = file_hashes(path), manifest["files"]
    checks = []
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            checks.append(Check(name, False, "missing"))
        elif name not in expected:
            checks.append(Check(name, False, "not part of the bundle"))
        elif found[name] != expected[name]:
            checks.append(
                Check(name, False, f"changed: sha256 {found[name][:16]}.., was {expected[name][:16]}..")
            )
        else:
            checks.append(Check(name, True, f"sha256 {found[name][:16]}.."))
    return checks


def _check_answers(path: Path) -> Check:
    try:
        load_bundle(path)
    except TabularayError as error:
        return Check("golden rows", False, str(error))
    return Check("golden rows", True, "answered as when the bundle was made")
