"""Writes values as Hydra reads them, without Hydra."""

from __future__ import annotations

import re
from typing import Any

# Text that Hydra takes for text without quotes.
PLAIN_TEXT = re.compile(r"[A-Za-z_/][\w./-]*", re.ASCII)
NOT_TEXT = ("null", "none", "true", "false", "yes", "no", "on", "off", "nan", "inf")


def as_override(key: str, value: Any) -> str:
    """`key=value` for any value: text stays what it is, whatever characters it holds."""
    if isinstance(value, str) and PLAIN_TEXT.fullmatch(value) and value.lower() not in NOT_TEXT:
        return f"{key}={value}"
    return f"{key}={emit(value)}"


def emit(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(emit(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{_emit_key(str(k))}:{emit(v)}" for k, v in value.items()) + "}"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else quote(str(value))


def _emit_key(key: str) -> str:
    """Hydra takes no quotes around keys."""
    return key if re.fullmatch(r"[A-Za-z_]\w*", key, re.ASCII) else quote(key)


def quote(text: str) -> str:
    """Text in Hydra's grammar that stays what it is."""
    # Hydra reads a backslash as one unless a quote follows; OmegaConf would fill in ${...}.
    escaped = re.sub(r"(\\*)('|\Z)", lambda match: match[1] * 2 + ("\\'" if match[2] else ""), text)
    return "'" + escaped.replace("${", "\\${") + "'"
