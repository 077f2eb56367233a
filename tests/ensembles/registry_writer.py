"""Changes a registry at random until it is killed, and says what it was told; and what must be true afterwards."""

import json
import random
import re
import sys
from pathlib import Path

from ensembles.arrowstore import ArrowStore
from ensembles.bundle import FORMAT_VERSION, bundle_id, file_hashes, read_manifest
from ensembles.registry import Registry
from ensembles.replay import State
from errors import ConfigError, ModelNotFoundError

NAME = "churn"
ALIASES = ("production", "candidate")
SETTLE_S = 1.2  # one clock, told to the second


def fake_bundle(path, word, size=1000):
    """All of a bundle that a registry looks at."""
    (path / "members").mkdir(parents=True)
    (path / "members" / "model.txt").write_text(word * size)
    scores = {"oof": 0.5, "test": {}}
    manifest = {"format_version": FORMAT_VERSION, "name": word, "scores": scores, "files": file_hashes(path)}
    manifest["bundle_id"] = bundle_id(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def open_registry(where, settle_s=SETTLE_S):
    registry = Registry(where)
    if isinstance(registry._store, ArrowStore):
        registry._store._settle_s = settle_s
    return registry


def act(registry, bundles, rng):
    """One change; returns what must be in the journal for good."""
    kind = rng.choice(["register", "register", "promote", "rollback", "delete"])
    if kind == "register":
        bundle = rng.choice(bundles)
        alias = rng.choice([*ALIASES, None])
        found = registry.register(NAME, bundle, alias)
        return {"version": found.version, "bundle": found.bundle_id}
    version = rng.choice([1, *(v.version for v in registry.versions(NAME))])
    if kind == "promote":
        return {"version": registry.promote(NAME, version, rng.choice(ALIASES)).version}
    if kind == "rollback":
        return {"version": registry.rollback(NAME, rng.choice(ALIASES)).version}
    registry.delete(NAME, version, force=rng.random() < 0.5)
    return {"deleted": version}


def check(registry, said):
    """The journal holds all that was confirmed, each event fits those before, and every version is whole."""
    state, bundles, deleted = State(), {}, set()
    for number, event in enumerate(registry.history(NAME), 1):
        assert event["number"] == number
        if event["action"] != "delete":
            assert event["from"] == state.aliases.get(event["alias"] or "")
        if event["action"] == "register":
            assert bundles.setdefault(event["version"], event["bundle"]) == event["bundle"]
        if event["action"] == "delete":
            deleted.add(event["version"])
        state.apply(event)
    assert set(bundles) == set(range(1, state.n_versions + 1))
    for fact in said:
        assert fact.get("bundle", bundles[fact.get("version", 1)]) == bundles[fact.get("version", 1)]
        assert fact.get("deleted") is None or fact["deleted"] in deleted
    versions = registry.versions(NAME)
    assert {v.version for v in versions} == set(bundles) - deleted
    for version in versions:
        path = version.fetch()
        assert read_manifest(path)["files"] == file_hashes(path)
    return len(registry.history(NAME))


def main(where, folder, seed):
    registry, rng = open_registry(where), random.Random(int(seed))
    bundles = sorted(Path(folder).iterdir())
    say("ready")
    while True:
        try:
            say(json.dumps(act(registry, bundles, rng)))
        except (ModelNotFoundError, ConfigError) as error:
            if re.search("cannot be (opened|read|written)|were quicker", str(error)):
                raise


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
