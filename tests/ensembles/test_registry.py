import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from ensembles.bundle import bundle_id
from ensembles.registry import Registry
from errors import BundleError, ConfigError, ModelNotFoundError


@pytest.fixture
def variants(binary_job, tmp_path):
    """Copies of a real bundle that differ in a word of the manifest."""

    def make(i):
        path = tmp_path / f"bundle{i}"
        shutil.copytree(binary_job.bundle, path)
        manifest = json.loads((path / "manifest.json").read_text())
        manifest["name"] = f"variant {i}"
        manifest["bundle_id"] = bundle_id(manifest)
        (path / "manifest.json").write_text(json.dumps(manifest))
        return path

    return [make(i) for i in range(4)]


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def test_versions_count_up_and_production_is_the_newest(registry, variants):
    versions = [registry.register("churn", v) for v in variants]
    assert [v.model_id for v in versions] == ["churn:1", "churn:2", "churn:3", "churn:4"]
    assert registry.resolve("churn").version == 4
    assert registry.resolve("churn:2").path.name == "2"
    assert registry.resolve("churn@production").version == 4


def test_the_same_bundle_keeps_its_version(registry, variants):
    registry.register("churn", variants[0])
    registry.register("churn", variants[1])
    assert registry.register("churn", variants[0]).version == 1
    assert len(registry.versions("churn")) == 2


def test_promote_and_rollback_move_production(registry, variants):
    for variant in variants[:3]:
        registry.register("churn", variant)
    assert registry.promote("churn", 1).aliases == ("production",)
    assert registry.resolve("churn").version == 1
    assert registry.rollback("churn").version == 3
    registry.register("churn", variants[3], alias="candidate")
    assert registry.resolve("churn").version == 3
    assert registry.resolve("churn@candidate").version == 4


def test_what_is_not_there_is_named_with_what_is(registry, variants):
    with pytest.raises(ModelNotFoundError, match="none"):
        registry.resolve("churn")
    registry.register("churn", variants[0])
    with pytest.raises(ModelNotFoundError, match="did you mean 'churn'"):
        registry.resolve("chrun")
    with pytest.raises(ModelNotFoundError, match="churn:1"):
        registry.resolve("churn:7")
    with pytest.raises(ModelNotFoundError, match="no earlier version"):
        registry.rollback("churn")
    for odd in ("../churn", "churn:", "", "a/b", ".."):
        with pytest.raises(ModelNotFoundError):
            registry.resolve(odd)


def test_bad_names_and_bad_bundles_are_refused(registry, variants, tmp_path):
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(ConfigError):
            registry.register(name, variants[0])
    with pytest.raises(BundleError):
        registry.register("churn", tmp_path)
    assert registry.names() == []


def test_writers_at_the_same_time_get_different_versions(registry, variants):
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda v: registry.register("churn", v).version, variants))
    assert sorted(versions) == [1, 2, 3, 4]
