"""A file from a server, by https."""

from __future__ import annotations

import base64
import os
import ssl
import time
from http.client import HTTPException, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from configs.sources import mask_secrets
from data.reach import is_unreachable
from errors import DataLoadError, SourceUnreachableError

MOST_BYTES = 2 << 30
TIMEOUT_S = 30
LONGEST_S = 900
PIECE_BYTES = 1 << 20


class _SameHost(HTTPRedirectHandler):
    """Follows a server's own redirects; where it sends elsewhere, the user is to say so."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if (new.scheme, new.hostname, new.port) != ("https", old.hostname, old.port):
            raise DataLoadError(
                f"{mask_secrets(req.full_url)}: the server sends to {mask_secrets(newurl)}; name that address, "
                "if you trust it"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(source: str) -> bytes:
    """The content of a file.

    Args:
        source: https://host/path, with user:password@ before the host where it asks for them.

    Raises:
        SourceUnreachableError: the server does not answer in time.
        DataLoadError: it refuses, sends elsewhere, or sends too much.
    """
    where = mask_secrets(source)
    began = time.monotonic()
    try:
        request = _request(source)
        opener = build_opener(ProxyHandler(), HTTPSHandler(context=_context()), _SameHost())
        with opener.open(request, timeout=TIMEOUT_S) as response:
            return _read(response, where, began)
    except HTTPError as error:
        raise DataLoadError(f"{where}: the server answers {error.code} {error.reason}") from None
    except TimeoutError:
        raise SourceUnreachableError(f"{where}: no answer within {TIMEOUT_S} s") from None
    except URLError as error:
        kind = SourceUnreachableError if is_unreachable(error.reason) else DataLoadError
        raise kind(f"{where}: cannot be read: {mask_secrets(str(error.reason))}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise (SourceUnreachableError if is_unreachable(error) else DataLoadError)(
            f"{where}: cannot be read: {mask_secrets(str(error)) or type(error).__name__}"
        ) from None


def _context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)


def _request(source: str) -> Request:
    parts = urlsplit(source)
    keys, _, host = parts.netloc.rpartition("@")
    path, query = quote(parts.path, safe="/%:@!$&'()*+,;=~"), quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    url = parts._replace(netloc=host, path=path or "/", query=query, fragment="").geturl()
    request = Request(url, headers={"User-Agent": "tabularay", "Accept": "*/*"})  # noqa: S310 - https only
    if keys:
        token = base64.b64encode(unquote(keys).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _read(response: HTTPResponse, where: str, began: float) -> bytes:
    declared = response.headers.get("Content-Length", "")
    pieces, size = [], int(declared) if declared.isdigit() else 0
    if size > MOST_BYTES:
        raise DataLoadError(f"{where}: {size:,} bytes; allowed: {MOST_BYTES:,}; download it")
    n_read = 0
    while piece := response.read(PIECE_BYTES):
        n_read += len(piece)
        if n_read > MOST_BYTES:
            raise DataLoadError(f"{where}: more than {MOST_BYTES:,} bytes; download it")
        if time.monotonic() - began > LONGEST_S:
            raise DataLoadError(f"{where}: not read within {LONGEST_S} s; download it")
        pieces.append(piece)
    if n_read < size:
        raise DataLoadError(f"{where}: {n_read:,} of {size:,} bytes came; try again")
    return b"".join(pieces)
