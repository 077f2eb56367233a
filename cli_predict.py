"""The command `predict`: a table in, its answers out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape

from errors import ConfigError
from options import AsJson, RegistryDir
from printing import err, print_json

if TYPE_CHECKING:
    import pandas as pd

    from ensembles.bundle import Bundle


def predict(  # noqa: PLR0913, PLR0917 - a command has as many options as it needs
    model: Annotated[str, typer.Argument(help="NAME, NAME:VERSION, NAME@ALIAS, or a bundle's folder.")],
    source: Annotated[
        str, typer.Option("--input", help="Table with the model's columns: whatever data.source takes.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="File to write, as its suffix says: .csv, .tsv, .json, .jsonl (also with .gz or .zst after it) or "
            ".parquet; default: CSV on the standard output."
        ),
    ] = None,
    id_column: Annotated[
        list[str] | None, typer.Option(help="Column copied into the output first, as it is; may be repeated.")
    ] = None,
    keep_columns: Annotated[
        bool,
        typer.Option("--keep-columns", help="Copy all columns of the table into the output, as they are."),
    ] = False,
    uncertainty: Annotated[
        bool, typer.Option(help="Add total, aleatoric and epistemic uncertainty.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(help="Add what holds the truth in this share of rows, such as 0.9.", metavar="LEVEL"),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add what each column's value adds to the answer.")
    ] = False,
    of_class: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="The class to explain; default: the positive one of two, else the one that a row was given.",
        ),
    ] = None,
    unreadable: Annotated[
        Literal["error", "missing"],
        typer.Option(help="A cell that contradicts how its column was written in training."),
    ] = "error",
    encoding: Annotated[str | None, typer.Option(help="Of a text file; default: found out.")] = None,
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """Predict every row of a table, in order.

    Cells are read as those of the training table were; values that training did not prepare the model for are told.

    With --interval, numbers get the columns prediction_low and prediction_high, classes prediction_set.

    With --explain, base_value and the columns contribution_<column> of a row sum to its value, or to the
    probability of the class in explained_class; contribution_error is their largest standard error.

    With --keep-columns, a column of the table that is called as one of the answer is written as input_<column>.

    [bold]Examples[/bold]

      tabularay predict churn --input test.csv --output submission.csv --id-column customer

      tabularay predict churn:2 --input test.csv --uncertainty --interval 0.9

      tabularay predict churn --input complaints.csv --explain --keep-columns --output answers.parquet
    """
    from data.kept import beside_answers, check_ids
    from data.rownames import with_row_names
    from data.sources import load_table
    from data.table_file import check_table_file, csv_text, json_rows, write_table
    from ensembles.answers import answer_frame
    from ensembles.bundle import load_bundle
    from ensembles.registry import find_bundle

    if output is not None:
        check_table_file(output)
    if of_class is not None and not explain:
        raise ConfigError(f"--class {of_class}: names the class to explain; it needs --explain")
    folder = find_bundle(model, registry)
    bundle = load_bundle(folder, n_threads=len(os.sched_getaffinity(0)))
    table = with_row_names(load_table(source, encoding), bundle.encoder.column_names)
    check_ids(table, id_column or ())
    answers = answer_frame(bundle, table, uncertainty, interval, unreadable)
    notes = _notes(bundle, table, answers, unreadable)
    if explain:
        answers = answers.assign(**_contributions(bundle, table, of_class, unreadable))
    frame, renamed = beside_answers(table, answers, id_column or (), keep_columns)
    notes += renamed
    for note in notes:
        err.print(f"note: {escape(note)}", highlight=False, soft_wrap=True)
    if as_json:
        print_json({"model": str(folder), "notes": notes, "rows": json_rows(frame)})
    elif output is None:
        sys.stdout.write(csv_text(frame))
    if output is not None:
        write_table(frame, output)
        err.print(f"{len(frame)} predictions written to {output}", highlight=False, markup=False)


def _notes(bundle: Bundle, table: pd.DataFrame, answers: pd.DataFrame, unreadable: str) -> list[str]:
    """What is told of the rows and of the answers."""
    from data.new_rows import contradicting, unlike_training
    from ensembles.answers import one_sided

    odd = contradicting(bundle.encoder, table) if unreadable == "missing" else []
    return [
        *table.attrs.get("notes", ()),
        *odd,
        *unlike_training(bundle.encoder, table),
        *one_sided(bundle, answers),
    ]


def _contributions(
    bundle: Bundle, table: pd.DataFrame, of_class: str | None, unreadable: Literal["error", "missing"]
) -> dict[str, Any]:
    """What each column adds; says of which class."""
    from ensembles.explanation import contribution_columns

    with err.status("Explaining") as status:
        found = contribution_columns(
            bundle,
            table,
            of_class,
            lambda i: status.update(f"Explaining row {i + 1:,} of {len(table):,}"),
            unreadable,
        )
    classes = list(dict.fromkeys(map(str, found.get("explained_class", ()))))
    if classes:
        shown = f"class {classes[0]!r}" if len(classes) == 1 else "the class that each row was given"
        err.print(f"Contributions are to the probability of {shown}", highlight=False, markup=False)
    return found
