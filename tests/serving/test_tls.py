"""What is said of certificates and keys that HTTPS cannot be served with, before anything starts."""

import pytest

from configs.load import load_section
from configs.schema import ServingConfig
from errors import ConfigError
from serving.tls import check_tls, write_pem
from tests.serving.certificates import make_certificate, openssl


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    _, key = make_certificate(folder)
    make_certificate(folder, "other")
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", folder / "encrypted.key")
    (folder / "bytes").write_bytes(b"\x30\x82\xff\xfe")
    (folder / "torn.crt").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    return folder


def config(folder, cert, key):
    return ServingConfig(tls_cert=str(folder / cert), tls_key=str(folder / key))


def test_a_certificate_and_its_key_are_taken_and_kept_for_the_server_alone(folder, tmp_path):
    both = config(folder, "server.crt", "server.key")
    check_tls(both)
    pem = write_pem(both, tmp_path / "tls.pem")
    assert pem.stat().st_mode & 0o777 == 0o600
    assert pem.read_text() == (folder / "server.crt").read_text() + (folder / "server.key").read_text()


@pytest.mark.parametrize(
    ("cert", "key", "named", "reason"),
    [
        ("server.crt", "other.key", "serving.tls_key={}/other.key", "not the key of the certificate"),
        ("server.crt", "encrypted.key", "serving.tls_key={}/encrypted.key", "the key is encrypted"),
        ("server.crt", "server.crt", "serving.tls_key={}/server.crt", "no private key in PEM format"),
        ("server.key", "server.key", "serving.tls_cert={}/server.key", "no certificate in PEM format"),
        ("bytes", "server.key", "serving.tls_cert={}/bytes", "not in PEM format"),
        ("server.crt", "nowhere", "serving.tls_key={}/nowhere", "No such file"),
        ("torn.crt", "server.key", "serving.tls_cert={}/torn.crt", "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_reason_in_one_line(folder, cert, key, named, reason):
    with pytest.raises(ConfigError) as caught:
        check_tls(config(folder, cert, key))
    message = str(caught.value)
    assert message.startswith(named.format(folder))
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(("given", "missing"), [("tls_cert", "tls_key"), ("tls_key", "tls_cert")])
def test_one_without_the_other_is_refused_without_the_whole_section(given, missing):
    with pytest.raises(ConfigError) as caught:
        load_section("serving", [f"serving.{given}=server.pem"])
    assert str(caught.value) == f"serving: tls_cert and tls_key go together; {missing} is not given"
