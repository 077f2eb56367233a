"""A new version goes into production when it is better on rows that neither model has learned from."""

import json
import shutil

import pytest

from ensembles.bundle import bundle_id
from ensembles.promotion import promote_if_better
from ensembles.registry import Registry
from errors import BundleError, ModelNotFoundError


@pytest.fixture
def register(binary_job, tmp_path):
    """Registers real bundles with a test score, or other facts, of their own."""
    registry = Registry(tmp_path / "registry")

    def make(score, alias="candidate", metric="roc_auc", **facts):
        folder = tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(binary_job.bundle, folder)
        manifest = json.loads((folder / "manifest.json").read_text("utf-8")) | facts
        manifest |= {"metric": metric, "created": len(list(tmp_path.iterdir()))}
        manifest["scores"]["test"]["ensemble"] = {metric: score}
        manifest["scores"].pop("constant")  # by the metric of the run
        manifest["bundle_id"] = bundle_id(manifest)
        (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        return registry, registry.register("churn", folder, alias)

    return make


def production(registry):
    return registry.resolve("churn").model_id


def test_a_run_says_which_rows_it_withheld(binary_job):
    manifest = json.loads((binary_job.bundle / "manifest.json").read_text("utf-8"))
    assert len(manifest["test_sha256"]) == 64
    assert manifest["metric"] == "roc_auc"


def test_the_first_version_is_promoted(register):
    decision = promote_if_better(*register(0.5))
    assert (decision.promoted, decision.before) == (True, None)
    assert "nothing was in production" in decision.why


@pytest.mark.parametrize(("score", "promoted"), [(0.91, True), (0.9, False), (0.89, False)])
def test_the_better_one_is_in_production(register, score, promoted):
    register(0.9, "production")
    registry, version = register(score)
    decision = promote_if_better(registry, version)
    assert decision.promoted == promoted
    assert (decision.metric, decision.score, decision.score_before) == ("roc_auc", score, 0.9)
    assert production(registry) == ("churn:2" if promoted else "churn:1")
    assert "on the same withheld rows" in decision.why
    if promoted:
        assert registry.history("churn")[-1]["why"] == decision.why


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"test_sha256": "0" * 64}, "withheld other rows"),
        ({"test_sha256": None}, "has no score on withheld rows"),
        ({"target": "other"}, "predicts otherwise: target is 'other'"),
        ({"problem_type": "multiclass"}, "predicts otherwise: problem_type"),
        ({"metric": "log_loss"}, "has no test roc_auc"),
    ],
)
def test_what_cannot_be_compared_is_not_promoted(register, facts, expected):
    register(0.1, "production", **facts)
    registry, version = register(0.99)
    decision = promote_if_better(registry, version)
    assert (decision.promoted, decision.score) == (False, None)
    assert expected in decision.why
    assert production(registry) == "churn:1"


def test_a_damaged_version_in_production_fails_no_run(register):
    registry, before = register(0.1, "production")
    (before.fetch() / "manifest.json").write_text("{")
    decision = promote_if_better(*register(0.99))
    assert not decision.promoted
    assert "churn:1 cannot be read" in decision.why
    assert production(registry) == "churn:1"


def test_lower_is_better_where_it_is(register):
    register(0.5, "production", metric="log_loss")
    registry, version = register(0.6, metric="log_loss")
    assert not promote_if_better(registry, version).promoted
    registry, version = register(0.4, metric="log_loss")
    assert promote_if_better(registry, version).promoted


def test_a_doubted_version_is_not_promoted_whatever_it_scores(register):
    leak = {"code": "leak", "message": "'status' predicts 'y'", "columns": ["status"]}
    examined = {"findings": [leak], "n_rows": 9, "n_examined": 9, "left_out": [], "seconds": 0.1}
    registry, version = register(0.99, examined=examined)
    decision = promote_if_better(registry, version)
    assert not decision.promoted
    assert "'status' is suspected to give the target away" in decision.why
    assert f"tabularay models promote churn:1 --registry {registry.where}" in decision.why
    with pytest.raises(
        ModelNotFoundError, match=r"churn:1 \(candidate\); name it as churn@candidate, or promote it: "
    ):
        registry.resolve("churn")
    registry.promote("churn", 1)
    assert promote_if_better(registry, version).promoted  # it is there already


def test_a_damaged_version_is_never_promoted(register):
    registry, version = register(0.9)
    graph = version.fetch() / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError):
        promote_if_better(registry, version)
    assert "production" not in registry.versions("churn")[0].aliases
