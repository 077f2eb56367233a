"""Ray Tune's loop with our overrides, on a real Ray of two CPUs."""

import os
import signal
import time
from pathlib import Path

import pytest
import ray
from ray import tune
from ray.tune import Callback, PlacementGroupFactory
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher
from ray.tune.stopper import NoopStopper

from tuning.controller import MAX_DEATHS, run_trials


class Mortal(tune.Trainable):
    """Writes down who ran it; dies where it is told to, as often as it is told to."""

    def setup(self, config):
        self.begin(config, "setup")

    def reset_config(self, config):
        self.begin(config, "reset")
        return True

    def begin(self, config, where):
        self.config = config
        self.die(where)

    def step(self):
        self.die("step")
        time.sleep(self.config["sleep"])
        return {"score": 1.0, "worker": os.getpid(), "done": True}

    def die(self, where):
        graves = Path(self.config["graves"])
        if self.config["dies"].get(where, 0) > len(list(graves.glob(f"{self.config['number']}-*"))):
            (graves / f"{self.config['number']}-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Numbers(Searcher):
    def __init__(self, configs):
        super().__init__(metric="score", mode="max")
        self.configs, self.asked, self.ended = configs, 0, {}
        self.ids = {}

    def suggest(self, trial_id):
        if self.asked == len(self.configs):
            return Searcher.FINISHED
        self.ids[trial_id] = self.asked
        self.asked += 1
        return self.configs[self.asked - 1]

    def on_trial_result(self, trial_id, result):
        pass

    def on_trial_complete(self, trial_id, result=None, error=False):
        number = self.ids[trial_id]
        assert number not in self.ended
        self.ended[number] = None if error else result["worker"]

    def save(self, checkpoint_path):
        pass

    def restore(self, checkpoint_path):
        pass


class Counter(Callback):
    """The most trials Ray Tune has held at once, and how often one was begun again."""

    most = recovered = 0

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.most = max(self.most, len(trials))

    def on_trial_recover(self, iteration, trials, trial, **info):
        self.recovered += 1


@pytest.fixture(scope="module", autouse=True)
def two_cpus():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def run(folder, n, dies=(), cpus=(1,), sleep=0.0):
    dies = dict(dies)
    graves = folder / "graves"
    graves.mkdir()
    configs = [
        {
            "number": i,
            "graves": str(graves),
            "dies": dies.get(i, {}),
            "sleep": sleep,
            "cpus": cpus[i % len(cpus)],
        }
        for i in range(n)
    ]
    searcher, counter = Numbers(configs), Counter()
    needs = tune.with_resources(Mortal, lambda config: PlacementGroupFactory([{"CPU": config["cpus"]}]))
    run_trials(needs, searcher, FIFOScheduler(), counter, NoopStopper(), 2, folder / "logs")
    return searcher.ended, counter, len(list(graves.iterdir()))


def test_two_workers_run_all_trials_and_ended_ones_are_forgotten(tmp_path):
    ended, counter, _ = run(tmp_path, 80, sleep=0.1)
    assert len(ended) == 80
    assert len(set(ended.values())) == 2
    assert counter.most < 40
    assert counter.recovered == 0


@pytest.mark.parametrize("where", ["step", "reset"])
def test_a_trial_whose_worker_dies_is_begun_again(tmp_path, where):
    ended, counter, n_deaths = run(tmp_path, 8, {5: {where: 1}}, sleep=0.2)
    assert sorted(ended) == list(range(8))
    assert all(ended.values())
    assert counter.recovered == n_deaths == 1


def test_a_trial_that_always_kills_its_worker_fails_and_the_others_do_not(tmp_path):
    ended, _, n_deaths = run(tmp_path, 4, {1: {"step": 99}})
    assert [n for n, worker in ended.items() if worker is None] == [1]
    assert sorted(ended) == [0, 1, 2, 3]
    assert n_deaths == MAX_DEATHS + 1


def test_workers_of_another_shape_make_room(tmp_path):
    ended, _, _ = run(tmp_path, 6, cpus=(1, 2))
    assert sorted(ended) == list(range(6))
    assert all(ended.values())
