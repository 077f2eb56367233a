"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from configs.unused import check_folder
from errors import ConfigError
from printing import json_only


def _runs_folder(folder: Path) -> Path:
    """Typer makes a path of it, which is the text that was typed but for doubled slashes."""
    check_folder(str(folder), "--runs")
    return folder


def refuse_unused(context: typer.Context, name: str, why: str) -> None:
    """Refuse an option that was typed and that nothing would read.

    Args:
        context: The command's.
        name: Its parameter.
        why: What to say; {} stands for the value.

    Raises: ConfigError: it was typed.
    """
    source = context.get_parameter_source(name)
    if source is not None and source.name == "COMMANDLINE":
        value = context.params[name]
        raise ConfigError(f"--{name.replace('_', '-')} {value}: {why.format(value)}")


Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Configuration: key=value, or group=preset.", metavar="KEY=VALUE"),
]
ConfigDir = Annotated[Path | None, typer.Option("--config-dir", help="Folder with presets of your own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.", callback=json_only)]
RunsDir = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar=["TABULARAY_RUNS", "RUNS"],
        help="Folder of the run directories.",
        callback=_runs_folder,
    ),
]
RegistryDir = Annotated[
    str,
    typer.Option(
        "--registry",
        envvar=["TABULARAY_REGISTRY", "REGISTRY"],
        help="Where models are registered: a folder, s3:// or gs://.",
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's job server, or its Ray address; default: that of the configuration, RAY_ADDRESS, "
        "or this machine.",
        metavar="http://HOST:8265",
    ),
]
RunReference = Annotated[str, typer.Argument(help="Run directory, its name, or 'latest'.")]
