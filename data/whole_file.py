"""A file that is there as a whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from errors import ConfigError


def check_writable(path: Path, option: str) -> None:
    """Find out before the work that a file can be written where it is wanted.

    Args:
        path: The file.
        option: What it was given as, for the message.

    Raises: ConfigError: its folder is missing or cannot be written to, or there is a folder of that name.
    """
    target = _target(path)
    if target.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise ConfigError(f"{option} {path}: cannot be written: no such folder: {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"{option} {path}: cannot be written: no permission for the folder {target.parent}")


@contextmanager
def whole_file(path: Path, option: str) -> Iterator[IO[bytes]]:
    """A file to write, beside its place until it is complete; whatever ends it earlier leaves nothing behind.

    Args:
        path: Where it is to be; a link stays one.
        option: What it was given as, for the message.

    Raises: ConfigError: it cannot be written.
    """
    target = _target(path)
    beside = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.new")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(target)
    except OSError as error:
        raise ConfigError(f"{option} {path}: cannot be written: {error.strerror or error}") from None
    finally:
        beside.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no name that a file can have
        return path.absolute()
