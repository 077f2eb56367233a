"""Certificates as an operator would have made them, with openssl."""

import subprocess


def make_certificate(folder, name="server", host="127.0.0.1"):
    """A certificate for an address that signs itself, and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    subject = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{host}")
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2")
    openssl("req", *kind, *subject, "-keyout", key, "-out", cert)
    return cert, key


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
