"""Versions on trial: who answers, what is counted, and what becomes of them by the rule."""

import asyncio
from collections import Counter

import pytest
from fastapi.testclient import TestClient

from configs.schema import ServingConfig
from ensembles.registry import Registry
from ensembles.rollouts import Plan, Rollout
from errors import BundleError
from serving import moves
from serving.judging import Counts
from serving.live import LiveModels
from tests.conftest import tabularay
from tests.serving.front import front_of, prepare
from tests.serving.versions import ROW, changed, lying, make_registry, on_trial, records

CONFIG = ServingConfig(poll_s=0.02, canary_requests=20, canary_latency_ratio=1000)


@pytest.fixture(scope="module")
def bundles(good_bundles, tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    other = changed(good_bundles[1], folder / "other", "manifest.json", lambda m: m.update(target="z"))
    return [*good_bundles, lying(good_bundles[1], folder / "lying"), other]


@pytest.fixture
def registry(bundles, tmp_path):
    return make_registry(tmp_path / "registry", bundles)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5, 0.9, 1.0])
def test_a_canary_gets_its_share_of_any_run_of_requests(pair, share):
    trial = on_trial(pair, share=share)
    picked = [trial.pick() is pair[1] for _ in range(1000)]
    assert sum(picked) == pytest.approx(1000 * share, abs=1)
    for start in range(0, 900, 90):
        assert sum(picked[start : start + 100]) == pytest.approx(100 * share, abs=1)
    trial.stop()


def test_a_caller_with_a_key_always_meets_the_same_version_on_every_replica(pair):
    first, second = on_trial(pair, share=0.3), on_trial(pair, share=0.3)
    keys = [f"caller {n}" for n in range(2000)]
    answers = [first.pick(key) for key in keys]
    assert answers == [second.pick(key) for key in reversed(keys)][::-1]
    assert sum(a is pair[1] for a in answers) == pytest.approx(600, abs=80)
    larger = on_trial(pair, share=0.6)
    assert all(larger.pick(k) is pair[1] for k, a in zip(keys, answers, strict=True) if a is pair[1])
    for trial in (first, second, larger):
        trial.stop()


def test_a_shadow_never_answers_a_client(pair):
    trial = on_trial(pair, mode="shadow", share=1.0)
    assert all(trial.pick() is pair[0] for _ in range(100))
    assert trial.pick("caller") is pair[0]
    trial.stop()


def live_models(registry, config=CONFIG, **options):
    return LiveModels(registry.where, "small", config, **{"prepare": prepare} | options)


def answer(live, rows):
    """As the endpoint answers a request."""
    loaded = live.pick()
    X = loaded.bundle.encode(rows)
    live.observe(loaded, X, loaded.bundle.predict_encoded(X).mean, rows)
    return loaded.model_id


async def answer_all(live, n=60):
    answered = Counter(answer(live, [row]) for row in records(n))
    while live.trial and live.trial.comparison.counts.compared < 20:
        await asyncio.sleep(0.01)
    await live.refresh()
    return answered


@pytest.mark.parametrize(("promote", "expected"), [(True, "small:2"), (False, "small:1")])
def test_what_passes_is_promoted_if_asked(registry, promote, expected):
    async def story():
        live, other = live_models(registry), live_models(registry)
        await moves.try_out(live, "small:2", Plan("canary", 0.5, promote, 20, 1000.0), "better on May", "me")
        await other.refresh()
        assert other.trial.rollout == live.trial.rollout
        answered = await answer_all(live)
        await other.refresh()
        return answered, live.status(), other.status()

    answered, mine, theirs = asyncio.run(story())
    assert answered == {"small:1": 30, "small:2": 30}
    assert mine["model_id"] == theirs["model_id"] == expected == registry.resolve("small").model_id
    if promote:
        assert mine["trial"] is theirs["trial"] is None
        last = registry.history("small")[-1]
        assert (last["action"], last["who"]) == ("promote", "the rule for versions on trial")
        assert "no error" in last["why"]
    else:
        assert mine["trial"]["verdict"] == "passed"


def test_a_slow_candidate_is_withdrawn_from_every_replica_for_good(registry):
    async def story():
        live, other = live_models(registry), live_models(registry)
        await moves.try_out(live, "small:2", Plan("canary", 1.0, True, 20, 0.001))
        await answer_all(live)
        await other.refresh()
        return live, other, live_models(registry)

    replicas = asyncio.run(story())
    for live in replicas:
        assert (live.served.model_id, live.trial) == ("small:1", None)
    assert "times the served version's latency" in registry.history("small")[-1]["why"]


def test_a_candidate_that_fails_a_request_is_withdrawn_and_the_client_is_answered(registry, monkeypatch):
    live = live_models(registry)
    with TestClient(front_of(live, CONFIG)) as client:
        body = {"model_id": "small:2", "share": 1.0}
        assert client.put("/api/ml/traffic", json=body).json()["trial"]["model_id"] == "small:2"

        def fail(X):
            raise BundleError("it broke")

        monkeypatch.setattr(live.trial.candidate.bundle, "predict_encoded", fail)
        wrong = client.post("/api/ml/predict", json={"data": {"records": [{"a": 1}]}})
        assert wrong.status_code == 422
        assert live.trial.candidate is not None
        for _ in range(2):
            answered = client.post("/api/ml/predict", json={"data": {"records": [ROW]}})
            assert answered.json()["predictions"][0]["model_id"] == "small:1"
        asyncio.run(live.refresh())
        shown = client.get("/api/ml/traffic").json()
    assert shown["trial"] is None
    assert shown["history"][-1]["action"] == "withdraw"
    assert "it broke" in shown["history"][-1]["why"]


def test_a_version_that_fails_its_proof_is_not_tried(registry):
    with TestClient(front_of(live_models(registry), CONFIG)) as client:
        for model_id, reason in (
            ("small:3", "golden rows"),
            ("small:1", "is what is served"),
            ("small:4", "target is 'z'"),
        ):
            refused = client.put("/api/ml/traffic", json={"model_id": model_id})
            assert refused.status_code == 409
            assert reason in refused.json()["detail"]
        assert client.put("/api/ml/traffic", json={"model_id": "small:9"}).status_code == 404
        assert client.put("/api/ml/traffic", json={"model_id": "small:2", "share": 0}).status_code == 422
        assert client.delete("/api/ml/traffic").status_code == 404
    assert [e["action"] for e in registry.history("small")] == ["register"] * 4


def test_a_trial_begins_beside_what_was_promoted_just_now(registry):
    async def story():
        live = live_models(registry)
        registry.promote("small", 2)
        await moves.try_out(live, "small:1", Plan())
        return live.served.model_id, live.trial.model_id

    assert asyncio.run(story()) == ("small:2", "small:1")


def test_one_that_breaks_on_a_single_replica_is_withdrawn_from_all(registry):
    def prepare(loaded):
        if loaded.model_id == "small:2":
            raise RuntimeError("no room here")

    async def story():
        live, weak = live_models(registry), live_models(registry, prepare=prepare)
        await moves.try_out(live, "small:2", Plan())
        await weak.refresh()
        await live.refresh()
        return live.trial

    assert asyncio.run(story()) is None
    assert "no room here" in registry.history("small")[-1]["why"]


def test_withdrawing_and_changing_over_http(registry):
    with TestClient(front_of(live_models(registry), CONFIG)) as client:
        for share in (0.1, 0.4):
            trial = client.put("/api/ml/traffic", json={"model_id": "small:2", "share": share}).json()[
                "trial"
            ]
            assert (trial["share"], trial["min_requests"], trial["promote"]) == (share, 20, False)
        assert live_models(registry).wishes.read().rollout.plan.share == 0.4
        ended = client.delete("/api/ml/traffic", params={"why": "enough"}).json()
    assert ended["trial"] is None
    assert [e["action"] for e in ended["history"]] == ["rollout", "rollout", "withdraw"]
    assert ended["history"][-1]["why"] == "enough"


def test_a_canary_by_configuration_follows_the_alias_until_it_is_withdrawn(registry):
    config = CONFIG.model_copy(update={"canary_share": 0.5})

    async def story():
        live = live_models(registry, config)
        await live.refresh()
        assert live.trial is None
        registry.promote("small", 2, "candidate")
        await live.refresh()
        assert live.trial.model_id == "small:2"
        assert [answer(live, [ROW]) for _ in range(4)] == ["small:1", "small:2"] * 2
        await moves.withdraw(live)
        assert live.trial is None
        await live.refresh()
        assert live.trial is None
        registry.promote("small", 1, "candidate")
        registry.promote("small", 2, "candidate")
        await live.refresh()
        return live.trial.model_id

    assert asyncio.run(story()) == "small:2"


def test_replicas_judge_on_what_all_of_them_saw(registry):
    board = {}

    async def add_up(replica, key, mine):
        board[key, replica] = mine
        return sum((c for (k, _), c in board.items() if k == key), Counts())

    async def story():
        both = [live_models(registry, add_up=lambda key, mine, n=n: add_up(n, key, mine)) for n in range(2)]
        await moves.try_out(both[0], "small:2", Plan("canary", 1.0, True, 30, 1000.0))
        await both[1].refresh()
        for live in both:
            for row in records(20):
                answer(live, [row])
            while live.trial.comparison.counts.compared < 20:
                await asyncio.sleep(0.01)
        await both[0].refresh()
        assert both[0].trial.verdict == "go on"
        await both[1].refresh()
        await both[0].refresh()
        return [live.served.model_id for live in both]

    assert asyncio.run(story()) == ["small:2", "small:2"]


def test_a_promotion_by_hand_ends_the_trial_and_history_says_all(registry):
    registry.start_rollout("small", 2, Plan(share=0.2), why="new data")
    again = Registry(registry.where)
    assert again.rollout("small").plan.share == 0.2
    again.promote("small", 2)
    assert again.rollout("small") is None
    assert not again.end_rollout("small", Rollout(5, 2, "production", Plan(share=0.2)), promote=False)
    again.start_rollout("small", 1, Plan())
    again.delete("small", 1)
    assert again.rollout("small") is None


def test_the_command_tells_of_trials(registry, tmp_path):
    rollout = registry.start_rollout("small", 2, Plan("shadow", 0.2), why="new data")
    registry.end_rollout("small", rollout, promote=False, why="2 errors", who="the rule")
    shown = tabularay("models", "history", "small", "--registry", registry.where, cwd=tmp_path).stdout
    assert "shadow: small:2 on 20% of requests" in " ".join(shown.split())
    assert "withdrew small:2" in " ".join(shown.split())
