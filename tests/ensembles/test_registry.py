import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ensembles.registry import Registry, find_bundle
from errors import BundleError, ConfigError, ModelNotFoundError
from tests.ensembles.registry_killer import kill_writers
from tests.ensembles.registry_writer import NAME, check, fake_bundle


@pytest.fixture
def variants(tmp_path):
    return [fake_bundle(tmp_path / "bundles" / f"b{i}", f"variant {i}") for i in range(4)]


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


def test_versions_count_up_and_production_is_the_newest(registry, variants):
    versions = [registry.register("churn", v) for v in variants]
    assert [v.model_id for v in versions] == ["churn:1", "churn:2", "churn:3", "churn:4"]
    assert registry.resolve("churn").version == 4
    assert registry.resolve("churn:2").manifest()["name"] == "variant 1"
    assert registry.resolve("churn@production").version == 4
    assert registry.names() == ["churn"]


def test_the_same_bundle_keeps_its_version(registry, variants):
    registry.register("churn", variants[0])
    registry.register("churn", variants[1])
    assert registry.register("churn", variants[0]).version == 1
    assert len(registry.versions("churn")) == 2
    assert registry.resolve("churn").version == 1


def test_promote_and_rollback_move_an_alias(registry, variants):
    for variant in variants[:3]:
        registry.register("churn", variant)
    assert registry.promote("churn", 1).aliases == ("production",)
    assert registry.resolve("churn").version == 1
    assert [registry.rollback("churn").version for _ in range(3)] == [3, 2, 1]
    with pytest.raises(ModelNotFoundError, match="no earlier version"):
        registry.rollback("churn")
    registry.register("churn", variants[3], alias="candidate")
    assert registry.resolve("churn").version == 1
    assert registry.resolve("churn@candidate").version == 4
    assert registry.register("churn", variants[2], alias=None).aliases == ()


def test_history_says_who_did_what_and_why(registry, variants, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ann")
    registry.register("churn", variants[0])
    registry.register("churn", variants[1], alias="candidate", why="a longer search")
    began = time.time()
    registry.promote("churn", 2, why="better on May")
    registry.promote("churn", 2, why="nothing changes, so nothing happens")
    events = registry.history("churn")
    assert [(e["action"], e["version"], e["alias"], e["from"]) for e in events] == [
        ("register", 1, "production", None),
        ("register", 2, "candidate", None),
        ("promote", 2, "production", 1),
    ]
    assert [e["why"] for e in events] == ["", "a longer search", "better on May"]
    assert all(e["who"].startswith("ann@") for e in events)
    assert began <= events[2]["time"] <= time.time()


def test_delete_refuses_what_an_alias_points_at_unless_forced(registry, variants):
    for variant in variants[:3]:
        registry.register("churn", variant)
    folder = registry.resolve("churn:2").fetch()
    assert registry.delete("churn", 2) == []
    assert not folder.exists()
    with pytest.raises(ModelNotFoundError, match=r"'churn:2'.*churn:1, churn:3"):
        registry.promote("churn", 2)
    with pytest.raises(ConfigError, match="production points at it"):
        registry.delete("churn", 3)
    assert registry.rollback("churn").version == 1, "what was deleted is passed over"
    registry.promote("churn", 3)
    assert registry.delete("churn", 3, force=True) == ["production"]
    with pytest.raises(ModelNotFoundError, match="'churn': no version is production"):
        registry.resolve("churn")
    again = registry.register("churn", variants[2])
    assert again.version == 4, "a number is never used again"
    assert again.fetch() != folder
    assert again.manifest()["name"] == "variant 2"


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
    with pytest.raises(ConfigError, match="alias"):
        registry.register("churn", variants[0], alias="a b")
    with pytest.raises(BundleError):
        registry.register("churn", tmp_path)
    assert registry.names() == []


def test_a_folder_or_a_reference_names_a_bundle(registry, variants, tmp_path):
    registry.register("churn", variants[0])
    assert find_bundle(str(variants[1]), registry.where) == variants[1]
    assert find_bundle("churn:1", registry.where) == registry.resolve("churn").fetch()
    with pytest.raises(ModelNotFoundError, match=r"without a manifest\.json"):
        find_bundle(f"{tmp_path}/registry", registry.where)


def test_the_layout_of_unreleased_versions_is_refused(registry, variants, tmp_path):
    (tmp_path / "registry" / "old" / "versions" / "1").mkdir(parents=True)
    for call in (
        registry.names,
        lambda: registry.resolve("old"),
        lambda: registry.register("old", variants[0]),
    ):
        with pytest.raises(ConfigError, match="earlier, unreleased version"):
            call()


def test_a_registry_that_cannot_be_written_says_so(variants, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="cannot be written"):
        Registry(tmp_path / "file").register("churn", variants[0])


def test_damaged_journals_are_refused(registry, variants, tmp_path):
    for variant in variants:
        registry.register("churn", variant)
    journal = tmp_path / "registry" / "churn" / "journal"
    whole = {p: p.read_bytes() for p in sorted(journal.iterdir())}
    second = list(whole)[1]
    for damage, expected in (
        (second.unlink, "event 2 is missing"),
        (lambda: second.write_text("{"), "damaged"),
        (lambda: second.write_text(json.dumps({"format": 9})), "registry of format 9"),
        (lambda: second.write_text(json.dumps({"format": 1, "action": "rollback"})), "does not fit"),
    ):
        damage()
        with pytest.raises(BundleError, match=expected):
            Registry(tmp_path / "registry").versions("churn")
        second.write_bytes(whole[second])
    assert len(Registry(tmp_path / "registry").versions("churn")) == 4


def test_writers_at_the_same_time_get_different_versions(registry, variants):
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(lambda v: Registry(registry.where).register("churn", v).version, variants))
    assert sorted(versions) == [1, 2, 3, 4]
    assert len(registry.history("churn")) == 4


def test_writers_killed_at_random_moments_corrupt_nothing(registry, variants, tmp_path):
    said = kill_writers(registry.where, tmp_path / "bundles", rounds=2, seconds=0.4)
    assert said
    assert check(Registry(registry.where), said) > 10
    assert registry.register(NAME, variants[0]).manifest()["name"] == "variant 0"
