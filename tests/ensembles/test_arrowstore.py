import os
import time
from concurrent.futures import ThreadPoolExecutor

import pyarrow.fs as pafs
import pytest

from ensembles.bundle import read_manifest
from ensembles.registry import Registry, find_bundle, find_manifest
from errors import BundleError, ConfigError, ModelNotFoundError
from tests import servers
from tests.conftest import ENVIRONMENT
from tests.ensembles.registry_killer import kill_writers
from tests.ensembles.registry_writer import NAME, SETTLE_S, check, fake_bundle
from tests.ensembles.registry_writer import open_registry as open_slowly


def open_registry(where):
    """For one writer alone, which need not wait for others."""
    return open_slowly(where, 0.0)


@pytest.fixture(scope="module")
def s3():
    with servers.s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    """An empty bucket, to which the environment leads."""
    values = {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "s3cr3t",
        "AWS_ENDPOINT_URL": s3,
        "AWS_REGION": "us-east-1",
        "TABULARAY_CACHE": str(tmp_path / "cache"),
    }
    for key, value in values.items():
        monkeypatch.setenv(key, value)
    name = f"bucket{time.time_ns()}"
    pafs.S3FileSystem(endpoint_override=s3, region="us-east-1", allow_bucket_creation=True).create_dir(name)
    return name


@pytest.fixture
def variants(tmp_path):
    return [fake_bundle(tmp_path / "bundles" / f"b{i}", f"variant {i}") for i in range(3)]


def walk_through(where, variants, tmp_path):
    """What a local registry does, this one does too."""
    registry = open_registry(where)
    assert registry.names() == []
    first, second = (registry.register("churn", v) for v in variants[:2])
    assert (second.model_id, second.aliases) == ("churn:2", ("production",))
    assert second.location.startswith(where.partition("?")[0] + "/churn/bundles/")
    assert registry.rollback("churn", why="worse").version == 1
    other = open_registry(where)
    assert other.names() == ["churn"]
    assert other.resolve("churn").bundle_id == first.bundle_id
    assert [e["why"] for e in other.history("churn")] == ["", "", "worse"]
    assert find_bundle("churn:2", where) == tmp_path / "cache" / second.bundle_id
    other.delete("churn", 2)
    with pytest.raises(ModelNotFoundError):
        registry.resolve("churn:2")
    assert other._store.names("churn/bundles") == [first.bundle_id]


def test_a_registry_on_s3(bucket, variants, tmp_path):
    walk_through(f"s3://{bucket}/models", variants, tmp_path)


def test_a_registry_on_google_cloud_storage(variants, tmp_path, monkeypatch):
    monkeypatch.setenv("TABULARAY_CACHE", str(tmp_path / "cache"))
    with servers.gcs_server() as endpoint:
        walk_through(f"gs://bucket/models?endpoint_override={endpoint}&anonymous=true", variants, tmp_path)


def test_a_bundle_is_brought_once_and_again_when_the_cache_is_damaged(bucket, variants, tmp_path):
    where = f"s3://{bucket}/models"
    version = open_registry(where).register("churn", variants[0])
    assert find_manifest("churn", where) == read_manifest(variants[0])
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["manifests"], "a list brings no models"
    path = version.fetch() / "members" / "model.txt"
    made, content = path.stat().st_mtime_ns, path.read_text()
    assert version.fetch() / "members" / "model.txt" == path
    assert path.stat().st_mtime_ns == made
    path.write_text("damaged")
    version.fetch()
    assert path.read_text() == content
    assert {p.name for p in (tmp_path / "cache").iterdir()} == {version.bundle_id, "manifests"}


def test_a_damaged_copy_in_the_store_is_refused(bucket, variants):
    version = open_registry(f"s3://{bucket}/models").register("churn", variants[0])
    files = pafs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
    path = version.location.removeprefix("s3://")
    with files.open_output_stream(f"{path}/members/model.txt") as stream:
        stream.write(b"other")
    with pytest.raises(BundleError, match="not those that were registered"):
        version.fetch()


def test_writers_at_the_same_time_get_different_versions(bucket, variants):
    registries = [open_slowly(f"s3://{bucket}/models") for _ in variants]
    with ThreadPoolExecutor(3) as pool:
        versions = list(pool.map(lambda r, v: r.register("churn", v).version, registries, variants))
    assert sorted(versions) == [1, 2, 3]


def test_a_writer_that_died_holds_nobody_up(bucket, variants):
    """What it claimed is done, as it was first."""
    where = f"s3://{bucket}/models"
    registry = open_registry(where)
    registry.register("churn", variants[0])
    store = registry._store
    event = store.read("churn/journal/00000001.json").replace(b'"number": 1', b'"number": 2')
    store._write("churn/journal/claims/00000002.json.dead", event.replace(b'"register"', b'"promote"'))
    time.sleep(SETTLE_S)
    assert registry.register("churn", variants[1], alias="candidate").version == 2
    assert [e["action"] for e in Registry(where).history("churn")] == ["register", "promote", "register"]
    assert store._list("churn/journal/claims") == []


def test_a_writer_that_slept_too_long_has_lost(bucket, variants):
    registry = open_registry(f"s3://{bucket}/models")
    registry.register("churn", variants[0])
    before = registry.history("churn")
    store = registry._store
    store.has = lambda path, exists=store.has: exists(path) if store._list("churn/journal/claims") else False
    assert not store.create("churn/journal/00000001.json", b"late")
    assert open_registry(f"s3://{bucket}/models").history("churn") == before


def test_stores_that_cannot_be_used(s3, bucket, variants, monkeypatch):
    with pytest.raises(ConfigError, match=r"cannot be written.*credentials: AWS_ACCESS_KEY_ID"):
        open_registry(f"s3://nobody{bucket}/models").register("churn", variants[0])
    with pytest.raises(ConfigError, match="ftp"):
        Registry("ftp://host/models")
    with pytest.raises(ConfigError, match="unknown 'endpoint'"):
        Registry("s3://bucket/models?endpoint=x")


def test_writers_killed_at_random_moments_corrupt_nothing(bucket, variants, tmp_path):
    where = f"s3://{bucket}/models"
    keys = {k: os.environ[k] for k in os.environ if k.startswith(("AWS_", "TABULARAY_"))}
    said = kill_writers(where, tmp_path / "bundles", 1, 2.0, ENVIRONMENT | keys)
    registry = open_registry(where)
    registry.register(NAME, variants[0], alias="after")
    assert check(registry, said) >= 2
