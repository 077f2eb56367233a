"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from printing import json_only

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Configuration: key=value, or group=preset.", metavar="KEY=VALUE"),
]
ConfigDir = Annotated[Path | None, typer.Option("--config-dir", help="Folder with presets of your own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.", callback=json_only)]
RunsDir = Annotated[
    Path, typer.Option("--runs", envvar=["TABULARAY_RUNS", "RUNS"], help="Folder of the run directories.")
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
