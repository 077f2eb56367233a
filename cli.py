"""The `tabularay` command: parses, calls, prints."""

from __future__ import annotations

import errno
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

import cli_jobs
import cli_models
import cli_predict
from errors import DiskFullError, TabularayError, UnreachableError
from options import AsJson, ConfigDir, Overrides, RegistryDir, RunReference, RunsDir, refuse_unused
from printing import (
    err,
    out,
    print_error,
    print_examination,
    print_inspection,
    print_interrupted,
    print_json,
    print_plan,
    print_result,
)

STARTED = time.time()

app = typer.Typer(
    help="Tune, ensemble and serve models for tables.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

EXAMPLE_TUNE = """
Search, build the ensemble, register it.

[bold]Examples[/bold]

  tabularay tune data.source=churn.csv data.target=churned

  tabularay tune data.source=churn.csv data.target=churned search.time_budget_s=600 data.test_size=0.2

  tabularay tune experiment=credit_default families=\\[bnn,mc_dropout] search.num_trials=10

  tabularay tune experiment=credit_default families=\\[dnn] params.dnn.dropout=0.2 search.num_trials=1

  tabularay tune --resume latest
"""


EXAMPLE_INSPECT = """
Show what each column is taken for, how the target is spread, and what to beware of.

[bold]Examples[/bold]

  tabularay inspect churn.csv --target churned

  tabularay inspect train.csv --target churned --test test.csv

  tabularay inspect churn.csv --target churned data.kinds.zip=categorical data.ignore=\\[name]

  tabularay inspect genes.csv --target outcome --all

  tabularay inspect experiment=credit_default --json

[bold]JSON[/bold]

  source, rows, test_source, test_rows;
  target: name, problem_type, missing, classes \\[value, count, share], statistics;
  columns: name, kind, missing, missing_share, distinct, low, high, frequent \\[value, count, share], examples, note;
  warnings: code, message, columns
"""


@app.command(help=EXAMPLE_INSPECT)
def inspect(
    source: Annotated[
        str | None, typer.Argument(help="Table: what data.source takes.", metavar="SOURCE")
    ] = None,
    overrides: Overrides = None,
    target: Annotated[
        str | None, typer.Option(help="Column to predict; without it, columns only.", metavar="COLUMN")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(help="Table held against SOURCE: what data.test_source takes.", metavar="SOURCE"),
    ] = None,
    config_dir: ConfigDir = None,
    every_column: Annotated[
        bool, typer.Option("--all", help="List every column, also of a table with very many.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each column is taken for, how the target is spread, and what to beware of."""
    from configs.load import is_override, load_inspected

    overrides = list(overrides or ())
    if source is not None and is_override(source):
        overrides, source = [source, *overrides], None
    given = {"source": source, "target": target, "test_source": test}
    config = load_inspected(overrides, config_dir, {k: v for k, v in given.items() if v is not None})
    with err.status("Starting") as status:
        from data.inspection import inspect_table

        inspection = inspect_table(config.data, config.problem_type, lambda step: status.update(escape(step)))
    if as_json:
        print_json(inspection.to_json())
    else:
        print_inspection(inspection, every_column)


@app.command(help=EXAMPLE_TUNE)
def tune(
    context: typer.Context,
    overrides: Overrides = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Go on with this run (path, name, or 'latest') where it was killed.", metavar="RUN"
        ),
    ] = None,
    runs: RunsDir = Path("runs"),
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Search, build the ensemble, register it."""
    if resume is None:
        refuse_unused(context, "runs", "without --resume nothing uses it; the folder of new runs is runs={}")
    else:
        refuse_unused(context, "config_dir", "with --resume nothing uses it: the run has its configuration")
    tell = ((lambda _plan: None), (lambda _found: None)) if as_json else (print_plan, print_examination)
    if resume is None:
        from configs.load import load_config

        config = load_config(overrides or (), config_dir)
        from tuning.job import run_job

        result = run_job(config, STARTED, err, *tell)
    else:
        from tuning.job import resume_job
        from tuning.runs import find_run

        result = resume_job(find_run(resume, runs), overrides or (), STARTED, err, *tell)
    if as_json:
        print_json(result)
    elif result["interrupted"]:
        print_interrupted(result)
    else:
        print_result(result)
    if result["interrupted"]:
        raise typer.Exit(130)


@app.command()
def ensemble(
    run: RunReference,
    overrides: Overrides = None,
    runs: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Build another ensemble from a finished run and register it.

    [bold]Examples[/bold]

      tabularay ensemble latest ensemble.max_members=5

      tabularay ensemble runs/churn-20260131-120000
    """
    from configs.load import override_config
    from tuning.job import build_model
    from tuning.runs import find_run

    found = find_run(run, runs)
    config = override_config(
        found.config(),
        overrides or (),
        ("ensemble", "metric", "name", "registry", "alias", "promote"),
        "ensemble",
    )
    result = {"run": str(found.path), **build_model(found, config)}
    if as_json:
        print_json(result)
    else:
        print_result(result)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="Run directory, its name, or 'latest'.")],
    output: Annotated[
        Path | None, typer.Option(help="File to write; default: report.html in the run directory.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    runs: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Write what a run did, finished or not, as one HTML file that needs no network.

    [bold]Examples[/bold]

      tabularay report latest --open

      tabularay report runs/churn-20260131-120000 --output churn.html
    """
    from tuning.runs import find_run

    found = find_run(run, runs)
    with err.status("Writing the report"):
        from tuning.htmlreport import write_report

        path = write_report(found, output)
    if as_json:
        print_json({"report": str(path)})
    else:
        out.print(str(path), soft_wrap=True, highlight=False, markup=False)
    if open_:
        import webbrowser

        if not webbrowser.open(path.as_uri()):
            err.print("No browser could be opened.")


@app.command()
def track(
    run: Annotated[str, typer.Argument(help="Run directory, its name, or 'latest'.")],
    overrides: Overrides = None,
    runs: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Send what W&B or MLflow does not have yet of a run, each trial once.

    [bold]Examples[/bold]

      tabularay track latest

      tabularay track runs/churn-20260131-120000 tracking.mode=online tracking.project=churn

      tabularay track latest tracking.backend=mlflow
    """
    from configs.load import override_config
    from tuning.runs import find_run
    from tuning.tracking import track_run

    found = find_run(run, runs)
    with err.status("Recording"):
        config = override_config(found.config(), overrides or (), ("tracking",), "track")
        result = track_run(found, config.tracking)
    if as_json:
        print_json(result)
    else:
        out.print(escape(result["message"]), highlight=False, soft_wrap=True)
    if not result["complete"]:
        raise typer.Exit(UnreachableError.exit_code if result["unreachable"] else 1)


app.command()(cli_predict.predict)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="NAME of a registered model, NAME:VERSION or NAME@ALIAS.")],
    overrides: Overrides = None,
    port: Annotated[int | None, typer.Option(help="TCP port; default 8000.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to bind; default: this machine only.")] = None,
    registry: RegistryDir = "registry",
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Serve a model over HTTP until Ctrl-C.

    [bold]Examples[/bold]

      tabularay serve churn --port 8000

      tabularay serve churn serving.replicas=2
    """
    from configs.load import load_section

    given = [f"serving.{k}={v}" for k, v in (("port", port), ("host", host)) if v is not None]
    config = load_section("serving", [*(overrides or ()), *given], config_dir)
    from serving.app import serve_forever

    def ready(url: str, model_id: str) -> None:
        if as_json:
            print_json({"url": url, "model_id": model_id})
        else:
            out.print(f"Serving [bold]{model_id}[/bold] at {url}   (docs: {url}/docs, stop: Ctrl-C)")

    serve_forever(model, registry, config, ready)


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose it is; goes into logs and histories.")],
    role: Annotated[str, typer.Argument(help="predict, train or admin; each includes those before it.")],
) -> None:
    """Make a token for the endpoint: for its owner, and as a line for the file that serving.tokens names.

    [bold]Example[/bold]

      tabularay token ci predict
    """
    from serving.access import new_token

    secret, line = new_token(name, role)
    out.print(secret, highlight=False, markup=False, soft_wrap=True)
    err.print(f"For the file of serving.tokens:\n{line}", highlight=False, markup=False, soft_wrap=True)


app.command(help=cli_jobs.EXAMPLE_SUBMIT)(cli_jobs.submit)
app.add_typer(cli_jobs.app, name="jobs")
app.add_typer(cli_models.app, name="models")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a user's mistake ends with one clear message and a documented exit code.

    Args:
        arguments: Default: those of the process.
    """
    try:
        app(arguments)
    except TabularayError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        print_error(
            DiskFullError(f"the disk is full{where}: {error.strerror}; make room and go on with --resume")
        )
        sys.exit(DiskFullError.exit_code)
    except KeyboardInterrupt:
        err.print("Interrupted.")
        sys.exit(130)


if __name__ == "__main__":
    main()
