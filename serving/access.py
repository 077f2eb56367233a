"""Who may do what: bearer tokens with roles, known by their hashes only."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from fastapi import Request

from errors import ConfigError
from serving.refusals import ForbiddenError, UnauthorizedError

ROLES = ("predict", "train", "admin")
VARIABLE = "TABULARAY_TOKENS"
ANONYMOUS = "anonymous"
LEAST_LENGTH = 16
HASH = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Token:
    """Somebody's token.

    Attributes:
        name: Whose; goes into logs and histories.
        rank: Place of the role in ROLES; a role includes those before it.
        digest: SHA-256 of the token. Tokens are random, so a slow hash would protect nothing more.
    """

    name: str
    rank: int
    digest: bytes


class Access:
    """Checks tokens; without any, everything is allowed to everybody who can connect.

    Args:
        tokens: Those that are known.
    """

    def __init__(self, tokens: Sequence[Token] = ()) -> None:
        self.tokens = tuple(tokens)

    def check(self, authorization: bytes | None, role: str) -> str:
        """Whose request it is.

        Args:
            authorization: Value of the Authorization header.
            role: The role that is needed.

        Raises: UnauthorizedError: no token or an unknown one. ForbiddenError: its role is too low.
        """
        if not self.tokens:
            return ANONYMOUS
        scheme, _, given = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer" or not given:
            raise UnauthorizedError("a token is needed: Authorization: Bearer TOKEN")
        digest = hashlib.sha256(given.strip()).digest()
        found = None
        for token in self.tokens:  # all of them, so that the time says nothing
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise UnauthorizedError("nobody has this token")
        if found.rank < ROLES.index(role):
            raise ForbiddenError(f"'{found.name}' has the role {ROLES[found.rank]}; this needs {role}")
        return found.name


def require(role: str) -> Callable[[Request], str]:
    """A dependency for routes that need a role; leaves the name in `request.state.principal`."""

    def check(request: Request) -> str:
        access: Access = request.app.state.access
        authorization = request.headers.get("authorization")
        request.state.principal = access.check(authorization.encode() if authorization else None, role)
        return request.state.principal

    return check


def read_tokens(path: Path | None) -> Access:
    """Tokens of a file, and of the environment variable TABULARAY_TOKENS, in the same form.

    Each line is `NAME ROLE sha256:HASH`, as `tabularay token` prints it, or `NAME ROLE TOKEN`; # begins a comment.

    Raises: ConfigError: the file cannot be read or is open to others, or a line is wrong; never shows a token.
    """
    lines = []
    if path is not None:
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"{path}: others may read these tokens; chmod 600 {path}")
            lines += [(f"{path}:{i}", line) for i, line in enumerate(path.read_text("utf-8").splitlines(), 1)]
        except OSError as error:
            raise ConfigError(f"serving.tokens={path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"serving.tokens={path}: not a text file") from None
    variable = os.environ.get(VARIABLE, "")
    lines += [(f"{VARIABLE}, line {i}", line) for i, line in enumerate(re.split(r"[\n;]", variable), 1)]
    tokens = [_token(where, words) for where, line in lines if (words := line.partition("#")[0].split())]
    names = [token.name for token in tokens]
    if len(set(names)) < len(names):
        raise ConfigError(f"tokens: '{next(n for n in names if names.count(n) > 1)}' is named twice")
    if path is not None and not tokens:
        raise ConfigError(
            f"serving.tokens={path}: no token in it; `tabularay token NAME ROLE` prints a line for it"
        )
    return Access(tokens)


def _token(where: str, words: list[str]) -> Token:
    if len(words) != 3:  # noqa: PLR2004 - the form below
        raise ConfigError(f"{where}: {len(words)} words; expected NAME ROLE sha256:HASH")
    name, role, secret = words
    if role not in ROLES:
        raise ConfigError(f"{where}: role '{role}'; allowed: {', '.join(ROLES)}")
    if HASH.fullmatch(secret):
        return Token(name, ROLES.index(role), bytes.fromhex(secret.removeprefix("sha256:")))
    if secret.startswith("sha256:") or len(secret) < LEAST_LENGTH:
        raise ConfigError(
            f"{where}: the token of '{name}' is neither sha256: and 64 hex digits nor {LEAST_LENGTH} characters long"
        )
    return Token(name, ROLES.index(role), hashlib.sha256(secret.encode()).digest())


def new_token(name: str, role: str) -> tuple[str, str]:
    """A new token, and the line that lets the server know it.

    Raises: ConfigError: no such role, or the name has spaces.
    """
    token = secrets.token_urlsafe(32)
    line = f"{name} {role} sha256:{hashlib.sha256(token.encode()).hexdigest()}"
    _token("token", line.split())
    return token, line


def check_open_door(host: str, access: Access) -> None:
    """Without tokens only this machine may connect.

    Raises: ConfigError: another address is bound and there is no token.
    """
    if access.tokens or is_loopback(host):
        return
    raise ConfigError(
        f"serving.host={host}: anybody who reaches it could predict, train and promote; give serving.tokens=FILE "
        f"or {VARIABLE} (`tabularay token NAME ROLE` makes one), or bind 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
