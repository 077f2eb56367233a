"""The table of model families; a family is one module here, one in search_spaces, and one line below."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from errors import ConfigError
from models.base import Model

FAMILIES: dict[str, str] = {
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "dnn": "DNN",
    "mc_dropout": "MCDropout",
    "bnn": "BNN",
}


def check_family(key: str) -> None:
    """Check that a family exists, without importing it.

    Raises: ConfigError: it does not; names the nearest one.
    """
    if key not in FAMILIES:
        near = get_close_matches(key, FAMILIES, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        raise ConfigError(f"families: unknown family '{key}'{hint}; allowed: {', '.join(FAMILIES)}")


def get_family(key: str) -> type[Model]:
    """Import and return a family's class; its module is `models.<key>`, so unused libraries stay unloaded.

    Raises: ConfigError: no such family.
    """
    check_family(key)
    return getattr(import_module(f"models.{key}"), FAMILIES[key])
