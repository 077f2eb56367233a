"""A table's own columns beside the answers to its rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from data.messages import did_you_mean, show, show_list
from errors import DataError

if TYPE_CHECKING:
    import pandas as pd

# Before the name of a column of the table that is called as one of the answer.
PREFIX = "input_"
ROW_NAMES = "index"


def check_ids(table: pd.DataFrame, ids: Sequence[str]) -> None:
    """Find out before the work that the columns to be copied are there.

    Raises: DataError: one is not.
    """
    for name in ids:
        if name not in table.columns:
            hint = did_you_mean(name, [str(other) for other in table.columns])
            raise DataError(
                f"--id-column {show(name)}: no such column{hint}; there is: {show_list(table.columns, 100)}"
            )


def beside_answers(
    table: pd.DataFrame, answers: pd.DataFrame, ids: Sequence[str], keep: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The columns that are asked for, as they were read, and the answers after them.

    A kept column that is called as one of the answer is renamed, so that the answer's names are always the same;
    one that was asked for by its name is not.

    Args:
        table: The rows.
        answers: As many rows of answers.
        ids: Columns that come first.
        keep: Whether all others follow.

    Returns: the table to write, and what was renamed, in words.
    Raises: DataError: a column of `ids` is called as one of the answer.
    """
    import pandas as pd  # noqa: PLC0415 - not on the serving path

    ids = list(dict.fromkeys(ids))
    for name in ids:
        if name in answers.columns and not keep:
            raise DataError(
                f"--id-column {show(name)}: the answer has a column of that name; rename it in the table, or take "
                "--keep-columns, which renames it"
            )
    table = _as_written(table)
    if keep:
        table = _with_names_of_rows(table)
    kept = [*ids, *(name for name in table.columns if name not in ids)] if keep else ids
    names = _free_names(kept, {*table.columns, *answers.columns}, set(answers.columns))
    parts = [table[kept].set_axis(list(names.values()), axis=1), answers.set_axis(table.index, axis=0)]
    notes = [
        f"column {show(old)} of the table is written as {show(new)}, as the answer has a column of that name"
        for old, new in names.items()
        if old != new
    ]
    return pd.concat(parts, axis=1), notes


def _as_written(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the texts of cells that were read as something less exact."""
    texts = {name: cells.column() for name, cells in table.attrs.get("written", {}).items() if name in table}
    return table.assign(
        **{name: cells.to_numpy() for name, cells in texts.items() if len(cells) == len(table)}
    )


def _with_names_of_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The names of rows that were left out on reading are the user's, too."""
    names = table.attrs.get("row_names")
    if names is None or ROW_NAMES in table.columns:
        return table
    out = table.copy(deep=False)
    out.insert(0, ROW_NAMES, names.column().to_numpy())
    return out


def _free_names(names: Sequence[str], used: Collection[str], taken: Collection[str]) -> dict[str, str]:
    out, used = {}, set(used)
    for name in names:
        new = name
        while new in taken or (new != name and new in used):
            new = PREFIX + new
        used.add(new)
        out[name] = new
    return out
