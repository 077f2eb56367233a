"""How fitted models lie on disk: meta.json and plain arrays, nothing that can hold code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from errors import BundleError
from models.base import History, Task
from models.unseen import ALL_SEEN, Unseen

FORMAT = 1
META = "meta.json"
WEIGHTS = "weights.npz"


@dataclass(frozen=True)
class Meta:
    """What every model keeps beside its own file.

    Attributes:
        family: Key of the family.
        params: Every parameter it was fitted with.
        task: The table it was fitted for.
        history: Losses of the fit.
        extra: What only this family needs, as JSON types.
        unseen: The classes that its training rows lacked.
    """

    family: str
    params: dict[str, Any]
    task: Task
    history: History
    extra: dict[str, Any]
    unseen: Unseen = ALL_SEEN


def save_meta(folder: Path, meta: Meta) -> None:
    """Write meta.json."""
    text = json.dumps({"format": FORMAT, **asdict(meta)}, indent=1)
    (folder / META).write_text(text, encoding="utf-8")


def load_meta(folder: Path, family: str) -> Meta:
    """Read meta.json.

    Raises: BundleError: the file is missing, damaged, of another format or another family.
    """
    with damaged(folder, family):
        raw = json.loads((folder / META).read_text(encoding="utf-8"))
        found = (raw.pop("format"), raw["family"])
        if found != (FORMAT, family):
            raise BundleError(f"{folder / META}: holds (format, family) {found}; expected {(FORMAT, family)}")
        task = Task(**{**raw["task"], "cardinalities": tuple(raw["task"]["cardinalities"])})
        unseen = raw.get("unseen", {})  # 0.1.0 kept nothing back
        unseen = Unseen(**{**unseen, "codes": tuple(unseen.get("codes", ()))})
        return Meta(**{**raw, "task": task, "history": History(**raw["history"]), "unseen": unseen})


def save_arrays(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write weights.npz."""
    np.savez(folder / WEIGHTS, **arrays)


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Read weights.npz; whoever calls it says what a failure means, see `damaged`."""
    with np.load(folder / WEIGHTS, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@contextmanager
def damaged(folder: Path, family: str, *also: type[Exception]) -> Iterator[None]:
    """Turn what reading a missing or damaged model raises into a BundleError that names the folder.

    Args:
        folder: Where the model lies.
        family: Key of the family.
        also: What the family's library raises for an unreadable file.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, *also) as error:
        raise BundleError(
            f"{folder}: no readable {family} model ({type(error).__name__}: {error})"
        ) from error
