"""Registries with several real versions of a small model, sound and not."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd

from ensembles.bundle import bundle_id
from ensembles.registry import Registry
from ensembles.rollouts import Plan, Rollout
from serving.traffic import OnTrial
from tests.quick import quick_model

ROW = {"a": 0.4, "b": -0.2, "c": "left"}


def table(seed, n=200):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    frame["c"] = rng.choice(["left", "right", "up"] if seed else ["left", "right"], n)
    frame["y"] = np.where(frame["a"] + (frame["c"] == "left") + rng.normal(size=n) * 0.3 > 0, "yes", "no")
    return frame


def make_bundles(folder):
    """Two sound bundles that answer differently, and encode `c` differently."""
    for seed in range(2):
        path = folder / str(seed)
        path.mkdir()
        table(seed).to_csv(path / "t.csv", index=False)
        quick_model(path, path / "t.csv")
    return [folder / str(seed) / "run" / "bundle" for seed in range(2)]


def changed(bundle, folder, name, change):
    """A copy of a bundle with a JSON file changed, and hashes that say it is whole."""
    shutil.copytree(bundle, folder)
    path = folder / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    manifest = json.loads((folder / "manifest.json").read_text())
    if name != "manifest.json":
        manifest["files"][name] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest["bundle_id"] = bundle_id(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def lying(bundle, folder):
    """A bundle whose golden rows are answered differently than it says: every byte is in order."""

    def lie(golden):
        golden["mean"] = [[1 - p for p in row] for row in golden["mean"]]

    return changed(bundle, folder, "golden.json", lie)


def make_registry(folder, bundles):
    """A registry where the first version is production, and nothing points at the others."""
    registry = Registry(folder)
    for number, bundle in enumerate(bundles):
        registry.register("small", bundle, "production" if not number else None)
    return registry


def on_trial(pair, **plan):
    """The second version of a pair on trial beside the first."""
    return OnTrial(Rollout(7, 2, "production", Plan(**plan)), *pair)


def records(n, seed=5):
    """Rows as requests bring them."""
    return table(seed, n).drop(columns="y").to_dict("records")
