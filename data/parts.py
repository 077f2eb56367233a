"""One table in several files: which they are, and how they become one."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from configs.sources import WILD
from data.messages import show_list
from errors import DataLoadError

PARQUET = (".parquet", ".parq", ".pqt")


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts part-2 before part-10."""
    return [(int(digits), "") if digits else (-1, word) for digits, word in re.findall(r"(\d+)|(\D+)", name)]


def find_parts(pattern: str) -> list[str]:
    """The files that a pattern stands for, part-2 before part-10.

    Raises: DataLoadError: none.
    """
    found = sorted((path for path in glob.glob(pattern) if os.path.isfile(path)), key=natural)
    if not found:
        folder = Path(pattern).parent
        missing = (
            ""
            if WILD.search(str(folder)) or os.path.isdir(folder)
            else f"; there is no folder {str(folder)!r}"
        )
        raise DataLoadError(f"{pattern}: no file of such a name{missing}")
    return found


def parts_of_folder(folder: Path) -> list[str]:
    """The Parquet files in a folder, as Spark and others write a table.

    Raises: DataLoadError: none is there.
    """
    found = [str(path) for path in folder.iterdir() if path.is_file() and path.suffix.casefold() in PARQUET]
    if not found:
        deeper = next((path for path in folder.iterdir() if path.is_dir() and "=" in path.name), None)
        hint = (
            f"; its parts lie in folders ({deeper.name}): name them as {folder}/*/*.parquet" if deeper else ""
        )
        raise DataLoadError(
            f"{folder}: a folder; expected a file, a pattern, or a folder of Parquet files{hint}"
        )
    return sorted(found, key=natural)


def join_parts(where: str, parts: Sequence[str], read: Callable[[str], pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, one part after another.

    Args:
        where: What messages call the table.
        parts: The files in their order.
        read: Reads one, with `notes` and `typed` among its attrs.

    Raises: DataLoadError: a part has other columns than the first; names them.
    """
    frames = [read(part) for part in parts]
    first = frames[0]
    for part, frame in zip(parts, frames, strict=True):
        _check_same(parts[0], first, part, frame)
    frames = [frame[list(first.columns)] for frame in frames]
    # Parts without rows have no types to say.
    filled = [frame for frame in frames if len(frame)] or frames[:1]
    joined = pd.concat(filled, ignore_index=True) if len(filled) > 1 else filled[0].reset_index(drop=True)
    notes = (
        [f"{len(parts):,} files are read as one table: {show_list(map(_short, parts), 4)}"]
        if len(parts) > 1
        else []
    )
    for part, frame in zip(parts, frames, strict=True):
        notes += [
            note if len(parts) == 1 else f"{_short(part)}: {note}" for note in frame.attrs.get("notes", ())
        ]
    joined.attrs = {"notes": notes, "typed": all(frame.attrs.get("typed", True) for frame in frames)}
    if len({frame.attrs.get("typed", True) for frame in frames}) > 1:
        raise DataLoadError(
            f"{where}: some of its files hold text (CSV) and some typed cells (Parquet, JSON); allowed: one kind"
        )
    return joined


def _check_same(first_name: str, first: pd.DataFrame, name: str, frame: pd.DataFrame) -> None:
    lacking = [column for column in first.columns if column not in frame.columns]
    strange = [column for column in frame.columns if column not in first.columns]
    if lacking or strange:
        said = [f"lacks {show_list(lacking)}"] if lacking else []
        said += [f"has {show_list(strange)} beside"] if strange else []
        raise DataLoadError(
            f"{name}: not of the same columns as {_short(first_name)}: it {' and '.join(said)}"
        )


def _short(path: str) -> str:
    return path.rpartition("/")[2]
