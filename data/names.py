"""Every column has a name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from data.messages import show_list
from errors import DataLoadError


def check_names(where: str, names: Collection[str]) -> None:
    """Refuse a table whose columns cannot be told apart.

    Raises: DataLoadError: a name is empty or there twice.
    """
    empty = [place for place, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise DataLoadError(f"{where}: column {empty[0]} of {len(names)} has no name; every column needs one")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataLoadError(f"{where}: column names must differ; more than once there: {show_list(twice)}")
