"""The commands `models ...`: what is registered, how it compares, what is in production."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from errors import ConfigError
from options import AsJson, RegistryDir
from printing import err, out, print_json

if TYPE_CHECKING:
    from ensembles.bundle import Bundle
    from ensembles.versions import ModelVersion

app = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode="rich")

Model = Annotated[
    str, typer.Argument(help="NAME (its production version), NAME:VERSION, NAME@ALIAS, or a bundle's folder.")
]
Registered = Annotated[str, typer.Argument(help="NAME:VERSION or NAME@ALIAS.", metavar="MODEL")]
Name = Annotated[str, typer.Argument(help="A model's name.")]
Alias = Annotated[str, typer.Option(help="The alias to move.")]
Why = Annotated[str, typer.Option(help="Why, for the history.")]
Table = Annotated[
    str, typer.Option("--input", help="Table with the target, best of rows no model was trained on.")
]


@app.callback()
def models(context: typer.Context, registry: RegistryDir = "registry", as_json: AsJson = False) -> None:
    """List registered models; show, compare, promote, roll back, check and delete them.

    [bold]Examples[/bold]

      tabularay models

      tabularay models compare churn churn@candidate --input recent.csv

      tabularay models promote churn@candidate --why "better on May"

      tabularay models --registry s3://bucket/models
    """
    if context.invoked_subcommand:
        _refuse_options(context)
        return
    _list(registry, None, as_json)


def _refuse_options(context: typer.Context) -> None:
    """An option before a subcommand would be lost: say where it belongs."""
    for name, option in (("registry", "--registry"), ("as_json", "--json")):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(f"{option}: give it after `models {context.invoked_subcommand}`")


@app.command("list")
def models_list(
    name: Annotated[str | None, typer.Argument(help="A model; without it, all are listed.")] = None,
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """List registered versions, oldest first.

    [bold]Examples[/bold]

      tabularay models list

      tabularay models list churn --json
    """
    _list(registry, name, as_json)


def _list(where: str, name: str | None, as_json: bool) -> None:
    from ensembles.registry import Registry
    from ensembles.versions import version_row
    from printing_models import print_versions

    registry = Registry(where)
    names = registry.names() if name is None else [name]
    rows = [version_row(version) for one in names for version in registry.versions(one)]
    if as_json:
        print_json(rows)
    elif rows:
        print_versions(rows)
    else:
        out.print(
            f"No models in {escape(registry.where)}. Make one: tabularay tune data.source=FILE data.target=COLUMN"
        )


@app.command("show")
def models_show(model: Model, registry: RegistryDir = "registry", as_json: AsJson = False) -> None:
    """Show a model's card: data, scores, members, calibration, limits. --json prints its manifest.

    [bold]Examples[/bold]

      tabularay models show churn

      tabularay models show churn:2 --json
    """
    from ensembles.cardtext import card_markdown
    from ensembles.registry import find_manifest
    from printing_models import print_card

    manifest = find_manifest(model, registry)
    if as_json:
        print_json(manifest)
    else:
        print_card(card_markdown(manifest))


@app.command("compare")
def models_compare(
    first: Model, second: Model, source: Table, registry: RegistryDir = "registry", as_json: AsJson = False
) -> None:
    """Score two models on the same rows, and say whether the difference is more than chance.

    Intervals hold 95 % of 200 resamples of the rows; both models are scored on the same ones.

    [bold]Examples[/bold]

      tabularay models compare churn churn@candidate --input recent.csv

      tabularay models compare churn:1 churn:3 --input recent.csv --json
    """
    from data.sources import load_table
    from ensembles.compare import compare_models
    from printing_models import print_comparison

    with err.status("Scoring"):
        pair = [_load(one, registry) for one in (first, second)]
        frame = load_table(source)
        found = compare_models(*pair, frame)
    if as_json:
        rows = [one.to_json() for one in found]
        print_json({"first": first, "second": second, "rows": len(frame), "metrics": rows})
    else:
        print_comparison(first, second, len(frame), found)


@app.command("promote")
def models_promote(
    model: Registered,
    alias: Alias = "production",
    why: Why = "",
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """Point an alias at a version: production, candidate, or a new one.

    [bold]Examples[/bold]

      tabularay models promote churn:2 --why "better on May"

      tabularay models promote churn@candidate

      tabularay models promote churn:3 --alias candidate
    """
    from ensembles.registry import Registry

    store = Registry(registry)
    found = _named_version(store.resolve(model), model)
    _print_moved(store.promote(found.name, found.version, alias, why), alias, as_json)


@app.command("rollback")
def models_rollback(
    name: Name,
    alias: Alias = "production",
    why: Why = "",
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """Point an alias back at the version it had before; again, at the one before that.

    [bold]Examples[/bold]

      tabularay models rollback churn --why "complaints since Monday"
    """
    from ensembles.registry import Registry

    _print_moved(Registry(registry).rollback(name, alias, why), alias, as_json)


def _print_moved(version: ModelVersion, alias: str, as_json: bool) -> None:
    if as_json:
        print_json({"model_id": version.model_id, "aliases": list(version.aliases)})
    else:
        out.print(f"{version.name}@{alias} is now [bold]{version.model_id}[/bold]", highlight=False)


@app.command("history")
def models_history(name: Name, registry: RegistryDir = "registry", as_json: AsJson = False) -> None:
    """Show what happened to a model: who registered, promoted, rolled back or deleted what, when and why.

    [bold]Examples[/bold]

      tabularay models history churn
    """
    from ensembles.registry import Registry
    from printing_models import print_history

    events = Registry(registry).history(name)
    if as_json:
        print_json(events)
    else:
        print_history(name, events)


@app.command("delete")
def models_delete(
    model: Registered,
    force: Annotated[bool, typer.Option("--force", help="Even where an alias points at it.")] = False,
    why: Why = "",
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """Delete a version and its bundle; its number is never used again. What an alias points at is refused.

    [bold]Examples[/bold]

      tabularay models delete churn:1 --why "trained on a wrong column"
    """
    from ensembles.registry import Registry

    store = Registry(registry)
    found = _named_version(store.resolve(model), model)
    aliases = store.delete(found.name, found.version, force, why)
    if as_json:
        print_json({"deleted": found.model_id, "aliases": aliases})
    else:
        gone = f", and {', '.join(aliases)} with it" if aliases else ""
        out.print(f"{found.model_id} is deleted{gone}", highlight=False)


@app.command("verify")
def models_verify(model: Model, registry: RegistryDir = "registry", as_json: AsJson = False) -> None:
    """Check every byte of a model and replay its golden rows; ends with 6 where something is wrong.

    [bold]Examples[/bold]

      tabularay models verify churn

      tabularay models verify runs/churn-20260131-120000/bundle
    """
    from pathlib import Path

    from ensembles.registry import find_version
    from ensembles.verify import verify_bundle
    from printing_models import print_checks

    with err.status("Checking"):
        version = find_version(model, registry)
        folder = version.fetch() if version else Path(model)
        checks = verify_bundle(folder, version.bundle_id if version else None)
    failed = [check for check in checks if not check.passed]
    if as_json:
        print_json({"model": str(folder), "ok": not failed, "checks": [vars(check) for check in checks]})
    else:
        print_checks(str(folder), checks)
    if failed:
        raise typer.Exit(6)


@app.command("importance")
def models_importance(
    model: Model,
    source: Annotated[
        str | None,
        typer.Option(
            "--input", help="Table with the target; default: the training rows in the model, without one."
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each column is shuffled.")] = 5,
    seed: Annotated[int, typer.Option(help="Seeds the shuffling.")] = 0,
    registry: RegistryDir = "registry",
    as_json: AsJson = False,
) -> None:
    """Show how much worse a model scores when a column's values are shuffled.

    Columns that say the same hide each other. Without --input nothing is scored: shown is how far the predictions of
    some training rows, which the model holds, move.

    [bold]Examples[/bold]

      tabularay models importance churn

      tabularay models importance churn --input recent.csv

      tabularay models importance churn:2 --input recent.csv --repeats 20 --json
    """
    from data.sources import load_table
    from ensembles.importance import CHANGE, permutation_importance, prediction_change
    from printing_models import print_importance

    with err.status("Scoring") as status:
        bundle = _load(model, registry)

        def on_column(column: str) -> None:
            status.update(f"Shuffling {escape(column)}")

        if source is None:
            n_rows, found = len(bundle.background), prediction_change(bundle, repeats, seed, on_column)
        else:
            frame = load_table(source)
            n_rows, found = len(frame), permutation_importance(bundle, frame, repeats, seed, on_column)
    if as_json:
        result: dict[str, Any] = {"model": model, "rows": n_rows, "repeats": repeats, "seed": seed}
        print_json(result | {"columns": [one.to_json() for one in found]})
    else:
        print_importance(CHANGE if source is None else str(bundle.manifest["metric"]), found)


def _load(model: str, registry: str) -> Bundle:
    from ensembles.bundle import load_bundle
    from ensembles.registry import find_bundle

    return load_bundle(find_bundle(model, registry), n_threads=len(os.sched_getaffinity(0)))


def _named_version(version: ModelVersion, given: str) -> ModelVersion:
    """The version, unless a bare name was given, which leaves open what is meant."""
    if given == version.name:
        raise ConfigError(f"'{given}': expected NAME:VERSION or NAME@ALIAS, such as {version.model_id}")
    return version
