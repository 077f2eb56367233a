import gzip
import json
import socket
import time
import urllib.request

import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pytest

from data.sources import table_name
from errors import DataLoadError
from tests.data.typed import load_typed
from tests.servers import free_port

CSV = b"a,b\n1,x\n2,y\n"
PARQUET = pa.BufferOutputStream()
pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_parquet(PARQUET)
FILES = {
    "t.csv": CSV,
    "t.tsv": CSV.replace(b",", b"\t"),
    "a b/표.csv.gz": gzip.compress(CSV),
    "a:b@c.csv": CSV,
    "t.csv.zst": pa.compress(CSV, codec="zstd", asbytes=True),
    "t.json": json.dumps([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]).encode(),
    "t.parquet": PARQUET.getvalue().to_pybytes(),
    "empty.csv": b"",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in (
        "AWS_ENDPOINT_URL_S3",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_PROFILE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def fill(store):
    for name, data in FILES.items():
        with store.open_output_stream(f"bucket/{name}", compression=None) as stream:
            stream.write(data)


@pytest.fixture(scope="module")
def s3(s3_endpoint):
    store = pafs.S3FileSystem(
        access_key="tester",
        secret_key="s3cr3t",  # noqa: S106
        endpoint_override=s3_endpoint,
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir("bucket")
    fill(store)
    return s3_endpoint


@pytest.fixture(scope="module")
def gcs(gcs_endpoint):
    scheme, host = gcs_endpoint.split("://")
    fill(pafs.GcsFileSystem(anonymous=True, scheme=scheme, endpoint_override=host, project_id="tests"))
    return gcs_endpoint


def refused(source):
    with pytest.raises(DataLoadError) as caught:
        load_typed(source)
    message = str(caught.value)
    assert "s3cr3t" not in message
    assert "\n" not in message
    return message


TABLES = [name for name in FILES if name != "empty.csv"]


@pytest.mark.parametrize("name", TABLES)
def test_every_format_on_s3(s3, monkeypatch, name):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    assert load_typed(f"s3://bucket/{name}").to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_s3_options_in_the_url(s3):
    assert len(load_typed(f"s3://bucket/t.csv?endpoint_override={s3}&region=us-east-1")) == 2
    assert len(load_typed(f"s3://bucket/t.csv?endpoint_override={s3}&anonymous=true")) == 2
    assert len(load_typed(f"s3://tester:s3cr3t@bucket/t.csv?endpoint_override={s3}")) == 2
    assert "unknown 'endpoint'; allowed: endpoint_override" in refused(f"s3://bucket/t.csv?endpoint={s3}")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://bucket/T.csv", "no such file (did you mean 't.csv'?)"),
        ("s3://bucket/no/folder.csv", "no such file"),
        ("s3://bukket/t.csv", "no bucket 'bukket'"),
        ("s3://bucket/empty.csv", "empty file (0 bytes)"),
        ("s3://bucket/t.xlsx", "no such file"),
        ("s3://bucket", "expected s3://BUCKET/PATH"),
        ("s3://", "expected s3://BUCKET/PATH"),
    ],
)
def test_what_s3_does_not_have(s3, address, expected):
    assert expected in refused(f"{address}?endpoint_override={s3}")


def test_s3_credentials_that_are_refused(s3):
    def check_keys_after(n_requests):
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{s3}/moto-api/reset-auth", n_requests, plain)  # noqa: S310
        urllib.request.urlopen(request)  # noqa: S310

    check_keys_after(b"0")
    try:
        message = refused(f"s3://nobody:s3cr3t@bucket/t.csv?endpoint_override={s3}")
    finally:
        check_keys_after(b"inf")
    assert message.startswith("s3://nobody:***@bucket/t.csv: cannot be read: ")
    assert "AWS_SECRET_ACCESS_KEY" in message


@pytest.mark.parametrize("address", ["s3://bucket/t.csv", "gs://bucket/t.csv"])
def test_unreachable(address):
    began = time.monotonic()
    endpoint = f"endpoint_override=http://127.0.0.1:{free_port()}&anonymous=true"
    assert f"{address}: cannot be read" in refused(f"{address}?{endpoint}")
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("address", ["s3://bucket/t.csv", "gs://bucket/t.csv"])
def test_a_server_that_never_answers(monkeypatch, address):
    monkeypatch.setattr("data.objectstore.TIMEOUT_S", 1)
    monkeypatch.setattr("data.objectstore.LONGEST_WAIT_S", 3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        endpoint = f"endpoint_override=http://127.0.0.1:{silent.getsockname()[1]}&anonymous=true"
        assert f"{address}: cannot be read" in refused(f"{address}?{endpoint}")
        assert time.monotonic() - began < 8


@pytest.mark.parametrize("name", ["t.csv", "a:b@c.csv", "a b/표.csv.gz", "t.csv.zst", "t.parquet"])
def test_formats_on_google_cloud_storage(gcs, name):
    source = f"gs://bucket/{name}?endpoint_override={gcs}&anonymous=true"
    assert load_typed(source).to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_what_google_cloud_storage_does_not_have(gcs):
    options = f"?endpoint_override={gcs}&anonymous=true"
    assert "no such file (did you mean 't.csv'?)" in refused(f"gs://bucket/tt.csv{options}")
    assert "no bucket 'bukket'" in refused(f"gs://bukket/t.csv{options}")


def test_name():
    assert table_name("s3://bucket/a/churn.csv.zst?region=eu-west-1") == "churn"


def test_a_pattern_stands_for_several_objects(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
    store = pafs.S3FileSystem(
        access_key="tester",
        secret_key="s3cr3t",  # noqa: S106
        endpoint_override=s3,
        region="us-east-1",
    )
    for k in (10, 9, 1):
        with store.open_output_stream(f"bucket/parts/part-{k}.csv") as stream:
            stream.write(f"a\n{k}\n".encode())
    assert load_typed("s3://bucket/parts/part-*.csv")["a"].tolist() == [1, 9, 10]
    assert "no file of such a name" in refused("s3://bucket/parts/nothing-*.csv")
