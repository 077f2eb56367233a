"""Formats of files that other versions of tabularay wrote: what is read, and what a newer one needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

# The first version that reads what this one writes; stored beside every format.
NEEDS = "0.2.0"


def stamp(format_number: int) -> dict[str, Any]:
    """What says of a file how it is to be read."""
    return {"format": format_number, "needs": NEEDS}


def format_problem(content: Any, formats: Collection[int], key: str = "format") -> str:
    """Why a file's format cannot be read here; empty where it can."""
    found = content.get(key) if isinstance(content, Mapping) else None
    if found in formats:
        return ""
    if isinstance(found, int) and found > max(formats):
        needs = content.get("needs")
        newer = (
            f"needs tabularay {needs} or newer" if isinstance(needs, str) else "a newer tabularay wrote it"
        )
        return f"format {found}; {newer}, this one reads formats up to {max(formats)}"
    return f"unknown format {found!r}; this version reads {', '.join(map(str, sorted(formats)))}"
