"""From YAML groups, presets and command-line overrides to one validated JobConfig."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from configs.nearest import nearest, nearest_of
from configs.overrides import emit, quote
from configs.plain_text import may_be_null, parse_text, text_shape
from configs.schema import ClusterConfig, JobConfig, ServingConfig
from configs.sources import mask_secrets, source_name
from configs.unused import Command, check_folder, check_registry, check_used
from errors import ConfigError

CONFIG_DIR = Path(__file__).parent
SAMPLES = CONFIG_DIR.parent / "data" / "samples"
GROUPS = ("data", "search", "tracking", "ensemble", "serving", "cluster", "experiment")
DEFAULT_TIME_BUDGET_S = 300.0


def load_config(
    overrides: Sequence[str] = (), config_dir: Path | None = None, command: Command = "tune"
) -> JobConfig:
    """Compose and validate a job.

    Args:
        overrides: `key=value` or `group=preset`, as on the command line.
        config_dir: A folder of the user's own, laid out like this one; its presets win.
        command: What the job is for.

    Raises: ConfigError: an unknown key or preset, a value out of range, or a setting that nothing would read; names
        the key, where it was set, and the nearest valid key.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    values = _values(overrides, config_dir)
    config = _validate(JobConfig, values, _Origin(overrides, config_dir))
    if config.search.time_budget_s is None and config.search.num_trials is None:
        search = config.search.model_copy(update={"time_budget_s": DEFAULT_TIME_BUDGET_S})
        config = config.model_copy(update={"search": search})
    if config.name is None:
        config = config.model_copy(update={"name": default_name(config.data.source)})
    check_folder(config.runs, "runs")
    check_registry(config.registry)
    check_used(config, overrides, command)
    return config


def is_override(argument: str) -> bool:
    """Whether a command's argument is `key=value`, not a path or an address."""
    return re.match(r"[A-Za-z_][\w.\-]*=", argument) is not None


def load_inspected(overrides: Sequence[str], config_dir: Path | None, given: Mapping[str, str]) -> JobConfig:
    """A job of which only the data is looked at; its target is "" where none is set.

    Args:
        overrides: As for load_config.
        config_dir: As for load_config.
        given: Keys of the data section as plain text, which win over overrides and presets.

    Raises: ConfigError: as load_config.
    """
    values = _values(overrides, config_dir)
    values["data"] = {"target": ""} | (values["data"] or {}) | given
    config = _validate(JobConfig, values, _Origin(overrides, config_dir))
    check_used(config, overrides, "inspect")
    return config


def load_section(
    name: str, overrides: Sequence[str] = (), config_dir: Path | None = None
) -> ServingConfig | ClusterConfig:
    """One section alone, for commands that need no whole job.

    Raises: ConfigError: as load_config; also an override of another section.
    """
    for override in overrides:
        if not re.match(rf"{name}[.=]", override):
            key = override.partition("=")[0]
            hint = nearest((name, key)) if "." not in key and override != key else ""
            raise ConfigError(
                f"'{mask_secrets(override)}': this command takes {name}.<key>=<value> only{hint}"
            )
    model = JobConfig.model_fields[name].annotation
    values = _values(overrides, config_dir)[name]
    config = _validate(model, values, _Origin(overrides, config_dir), (name,))
    if isinstance(config, ServingConfig):
        check_folder(config.training.runs, "serving.training.runs")
        check_used(config, overrides, "serve")
    return config


def override_config(
    config: JobConfig, overrides: Sequence[str], allowed: Sequence[str], command: Command = "tune"
) -> JobConfig:
    """Change some keys of a resolved configuration.

    Args:
        config: What is changed.
        overrides: `key=value`; presets are not possible here.
        allowed: Top-level keys that may change.
        command: What it is changed for.

    Raises: ConfigError: as load_config; also another key.
    """
    values = OmegaConf.create(config.model_dump(mode="json"))
    parser = OverridesParser.create()
    values = OmegaConf.to_container(values)
    for override in overrides:
        top = re.split(r"[.=]", override)[0]
        if top not in allowed or override.startswith(tuple(f"{g}=" for g in GROUPS)):
            raise ConfigError(
                f"'{mask_secrets(override)}': of a finished run only these can change: {', '.join(allowed)}"
                f"{'' if top in JobConfig.model_fields else nearest((top,))}"
            )
        if _set_text(values, override):
            continue
        parsed = parser.parse_override(_to_hydra(override))
        nested = OmegaConf.create(values)
        OmegaConf.update(nested, parsed.key_or_group, parsed.value(), force_add=True)
        values = OmegaConf.to_container(nested)
    changed = _validate(JobConfig, values, _Origin(overrides, None))
    check_registry(changed.registry)
    check_used(changed, overrides, command)
    return changed


def default_name(source: str) -> str:
    """Name of a model whose user gave none: the table's short name, safe as a folder."""
    return re.sub(r"[^\w.-]+", "_", source_name(source)).strip("_.-")[:100] or "model"


def save_config(config: JobConfig, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def read_config(path: Path) -> JobConfig:
    """Read what save_config wrote.

    Raises: ConfigError: the file is missing or was changed into something invalid.
    """
    try:
        return JobConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not a resolved configuration: {error}") from None


def _values(overrides: Sequence[str], config_dir: Path | None) -> dict[str, Any]:
    if config_dir is not None and not config_dir.is_dir():
        raise ConfigError(f"--config-dir {config_dir}: no such folder")
    arguments = [_to_hydra(override) for override in overrides if not _is_text(override)]
    if config_dir is not None:
        arguments.append(f"hydra.searchpath=[{quote(str(config_dir.resolve()))}]")
    try:
        values = OmegaConf.to_container(_compose(arguments, config_dir), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration: {mask_secrets(str(error).splitlines()[0])}") from None
    for override in overrides:
        _set_text(values, override)
    return values


def _is_text(override: str) -> bool:
    """Whether the schema asks for text there, so that no grammar applies to what was typed."""
    key, equals, _ = override.partition("=")
    return bool(equals) and key not in GROUPS and text_shape(key) is not None


def _set_text(values: dict[str, Any], override: str) -> bool:
    """Set a key that takes text; False where it takes something else.

    Raises: ConfigError: no list or mapping where one is asked for.
    """
    if not _is_text(override):
        return False
    key, _, typed = override.partition("=")
    try:
        value = parse_text(typed, text_shape(key))
    except ValueError as error:
        raise ConfigError(mask_secrets(f"{key}={typed}: not a valid list or mapping: {error}")) from None
    if value is None and not may_be_null(key):
        value = typed
    *path, last = key.split(".")
    for part in path:
        if values.get(part) is None:
            values[part] = {}
        values = values[part]
    values[last] = {**(values.get(last) or {}), **value} if isinstance(value, dict) else value
    return True


def _validate(model: type[Any], values: Any, origin: _Origin, prefix: tuple[str, ...] = ()) -> Any:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(e, prefix, origin) for e in error.errors())) from None


def _compose(arguments: list[str], config_dir: Path | None) -> DictConfig:
    if not OmegaConf.has_resolver("sample"):
        OmegaConf.register_new_resolver("sample", lambda name: str(SAMPLES / name))
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            return compose("job", overrides=arguments)
    except (HydraException, OmegaConfBaseException) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(_explain_preset(lines, config_dir)) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"configuration: not valid YAML: {mask_secrets(str(error))}") from None
    finally:
        GlobalHydra.instance().clear()


def _explain_preset(lines: list[str], config_dir: Path | None) -> str:
    match = re.search(r"Could not find '?(\w+)/([^'\s]+)'?", " ".join(lines))
    if match is None:
        return f"configuration: {mask_secrets(lines[0])}"
    group, preset = match.groups()
    folders = [CONFIG_DIR, *([config_dir] if config_dir else [])]
    allowed = sorted({p.stem for folder in folders for p in (folder / group).glob("*.yaml")})
    return f"{group}={preset}: no such preset{nearest_of(preset, allowed)}"


def _to_hydra(override: str) -> str:
    """A user's `key=value` in Hydra's grammar: any text is a value, and unknown keys wait for validation."""
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w.\-]*", key):
        raise ConfigError(
            f"'{mask_secrets(override)}': expected key=value, for example search.time_budget_s=300"
        )
    if key in GROUPS:
        if value == "null":
            return override
        if not re.fullmatch(r"[\w./-]+", value):
            raise ConfigError(
                f"{key}={mask_secrets(value)}: expected the name of a preset of '{key}', or {key}.<key>=<value>"
            )
        return override
    return f"++{key}={_to_hydra_value(value)}"


def _to_hydra_value(value: str) -> str:
    try:
        parsed = OverridesParser.create().parse_override(f"key={value}")
        if parsed.is_sweep_override() or value.startswith("${"):
            return quote(value)
        return value
    except (HydraException, ValueError):
        pass  # Hydra's grammar stops at spaces in lists and at letters beyond ASCII: YAML reads those.
    if value[:1] in "[{":
        try:
            return emit(yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigError(mask_secrets(f"'{value}': not a valid list or mapping: {error}")) from None
    return quote(value)


class _Origin:
    """Finds where a key was set: on the command line, or in which file."""

    def __init__(self, overrides: Sequence[str], config_dir: Path | None) -> None:
        self.command_line = {o.partition("=")[0]: o for o in overrides}
        folders = [*([config_dir] if config_dir else []), CONFIG_DIR]
        self.files = [path for folder in folders for path in sorted(folder.rglob("*.yaml"))]

    def of(self, path: tuple[str, ...]) -> str:
        """Describe where the key at path comes from."""
        key = ".".join(path)
        if any(f"{key}.".startswith(f"{k}.") or k.startswith(f"{key}.") for k in self.command_line):
            return "on the command line"
        for file in self.files:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            if _contains(content, path) or (file.parent.name == path[0] and _contains(content, path[1:])):
                return f"in {file}"
        return "in the configuration"


def _contains(content: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(content, dict) or part not in content:
            return False
        content = content[part]
    return bool(path)


def _explain(error: ErrorDetails, prefix: tuple[str, ...], origin: _Origin) -> str:
    path = (*prefix, *(str(part) for part in error["loc"]))
    key = ".".join(path)
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key {origin.of(path)}{nearest(path)}"
    if error["type"] == "missing":
        return f"{key}: required, but not set; add {key}=VALUE"
    message = f"{key}: {error['msg'].removeprefix('Value error, ')}"
    if isinstance(error["input"], dict) and error["type"] == "value_error":
        return message  # of several keys together, which it names
    return f"{message}; got {mask_secrets(repr(error['input']))} {origin.of(path)}"
