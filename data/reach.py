"""Whether a server was not there at all, which is not the same as a server that refuses."""

from __future__ import annotations

import re
import socket
import ssl

from errors import UnreachableError

WITHIN_S = 5.0
# How libraries put it that wrap the reason into a text of their own: libpq, MySQL, curl, urllib3, gRPC, the AWS and
# Google SDKs. 5, 6: no such host; 7: refused; 28: timeout; 52, 55, 56: cut off.
UNREACHABLE = re.compile(
    r"connection refused|connection reset|no route to host|network is unreachable|timed? ?out\b|timeout expired|"
    r"name or service not known|name resolution|getaddrinfo|could not (translate|resolve|connect)|couldn't (resolve|"
    r"connect)|can't connect to|unknown \w+ server host|server closed the connection|no answer within|"
    r"NETWORK_CONNECTION|curlCode: (5|6|7|28|52|55|56)\b|\bUNAVAILABLE\b|DEADLINE_EXCEEDED|Max retries exceeded|"
    r"Network error",
    re.IGNORECASE,
)


def is_unreachable(error: BaseException | str) -> bool:
    """Whether an error, or its text, says that nothing answered."""
    if isinstance(error, ssl.SSLError):
        return False  # somebody did, whom we do not trust
    if isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return True
    return UNREACHABLE.search(str(error)) is not None


def check_reachable(host: str, port: int, message: str) -> None:
    """Ask a port before a library does that would wait for minutes.

    Args:
        host: Name or address.
        port: TCP port.
        message: What to say; the reason stands for REASON in it.

    Raises: UnreachableError: nobody listens there, or not within seconds.
    """
    try:
        socket.create_connection((host, port), WITHIN_S).close()
    except (OSError, OverflowError, ValueError) as error:
        raise UnreachableError(message.replace("REASON", str(error))) from None
