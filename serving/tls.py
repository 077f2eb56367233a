"""The certificate and the key that HTTPS is served with."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

from configs.schema import ServingConfig
from errors import ConfigError

CERTIFICATE = "-----BEGIN CERTIFICATE-----"
KEY = re.compile(r"^-----BEGIN (\w+ )*PRIVATE KEY-----", re.MULTILINE)
ENCRYPTED = re.compile(r"^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)
MISMATCH = "KEY_VALUES_MISMATCH"


def check_tls(config: ServingConfig) -> None:
    """Whether HTTPS can be served with what is configured.

    Raises: ConfigError: a file cannot be read or holds something else, or the two do not belong together.
    """
    if config.tls_cert is None or config.tls_key is None:
        return
    cert, key = f"serving.tls_cert={config.tls_cert}", f"serving.tls_key={config.tls_key}"
    if CERTIFICATE not in _read(cert, config.tls_cert):
        raise ConfigError(f"{cert}: no certificate in PEM format ({CERTIFICATE}) in it")
    text = _read(key, config.tls_key)
    if not KEY.search(text):
        raise ConfigError(f"{key}: no private key in PEM format (-----BEGIN PRIVATE KEY-----) in it")
    if ENCRYPTED.search(text):
        raise ConfigError(
            f"{key}: the key is encrypted, and nobody is there to give its password; "
            f"`openssl pkey -in {config.tls_key} -out FILE` writes it without, for a file that only its owner may read"
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.tls_cert, config.tls_key)
    except ssl.SSLError as error:
        if error.reason == MISMATCH:
            raise ConfigError(f"{key}: not the key of the certificate {cert}") from None
        raise ConfigError(f"{cert}, {key}: cannot be used: {error.reason or error}") from None


def write_pem(config: ServingConfig, path: Path) -> Path:
    """Write certificate and key into one file, as HAProxy wants them, for its owner alone."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for name in (config.tls_cert, config.tls_key):
            file.write(Path(str(name)).read_text("utf-8").rstrip("\n") + "\n")
    return path


def _read(setting: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{setting}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{setting}: not in PEM format, which is text") from None
