"""Ray Tune's control loop, with workers that are kept, trials that are forgotten, and nothing written.

Ray Tune 2.60 as it comes loses time and memory where trials are short and many: a trial that is waiting for its worker
to start takes over one that has become free, and its own is thrown away, so that a sweep of short trials never gets
its second worker; a free worker is stopped when nothing is waiting for one just then; every trial stays in memory and
has a folder; workers that wait ready are not used. The overrides below change these five things and nothing else.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayActorError
from ray.tune import Callback, Stopper
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Experiment, Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher, SearchGenerator

from tuning.cluster import started_here

FORGET_EVERY = 20
# How often a trial is begun again after its worker died; the loss of a whole node does not count.
MAX_DEATHS = 2
NODE_DIED = "its node has died"


class PlainActors:
    """Actor classes with no environment of their own, so that they fit the workers that Ray has started already.

    Ray Tune's own sets two variables, which a Ray that this process started has from it; for them alone every worker
    would be started, and import everything, a second time.
    """

    def __init__(self) -> None:
        self._classes: dict[type, Any] = {}

    def get(self, trainable: type) -> Any:
        """The actor class of a trainable, registered once."""
        if trainable not in self._classes:
            self._classes[trainable] = ray.remote(trainable)
        return self._classes[trainable]


class SweepController(TuneController):
    """A TuneController that keeps up to `slots` workers and forgets trials that ended.

    Args:
        slots: Trials in flight.
        own_ray: Whether this process has started Ray.
        options: As for TuneController.
    """

    def __init__(self, slots: int, own_ray: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.slots = slots
        self._max_pending_trials = slots
        if own_ray:
            self._class_cache = PlainActors()

    def _maybe_reuse_cached_actor(self, trial: Trial) -> bool:
        """A trial whose own worker is starting waits for it; a free one goes to a trial that has none."""
        own = self._trial_to_actor.get(trial)
        starting = self._actor_manager._live_actors_to_ray_actors_resources
        if own is not None and own in starting and trial not in self._resetting_trials:
            return False
        return super()._maybe_reuse_cached_actor(trial)

    def _maybe_cache_trial_actor(self, trial: Trial) -> bool:
        """Keep every worker, whether or not a trial is waiting for it now."""
        key = trial.placement_group_factory
        room = self._actor_cache._max_num_objects[key]
        self._actor_cache._max_num_objects[key] = max(room, self.slots)
        try:
            return super()._maybe_cache_trial_actor(trial)
        finally:
            self._actor_cache._max_num_objects[key] = room

    def _cleanup_cached_actors(self, force_all: bool = False) -> None:
        """Give free workers up at the end, and where a waiting trial needs their CPUs in another shape."""
        over = self._search_alg.is_finished() and not self._staged_trials
        wanted = {t.placement_group_factory for t in self._staged_trials if t not in self._resetting_trials}
        kept = self._actor_cache._max_num_objects
        before = dict(kept)
        for key in self._actor_cache._cached_objects:
            kept[key] = self.slots if not wanted or key in wanted else 0
        try:
            super()._cleanup_cached_actors(force_all=force_all or over)
        finally:
            self._actor_cache._max_num_objects = type(kept)(before)

    def _process_trial_failure(self, trial: Trial, exception: Exception) -> None:
        """A trial is begun again when its worker died; when the whole node did, that is no failure of the trial.

        Of a worker that dies between two trials Ray Tune hears twice: first it begins the trial again, then, were it
        not for this, it would fail it.
        """
        self._resetting_trials.discard(trial)
        if isinstance(exception, RayActorError):
            if trial.status == Trial.PENDING:
                return
            if NODE_DIED in str(exception):
                trial.max_failures += 1
        super()._process_trial_failure(trial, exception=exception)

    def stop_trial(self, trial: Trial) -> None:
        """Stop a trial, and every so often forget those that ended."""
        super().stop_trial(trial)
        if len(self._trials) >= self.slots + FORGET_EVERY:
            self._forget()

    def checkpoint(self, force: bool = False, wait: bool = False) -> None:
        """Nothing is written: the truth about a sweep is in its run directory."""

    def _forget(self) -> None:
        for trial in [t for t in self._trials if t.is_finished() and t not in self._trial_to_actor]:
            for group in (
                self._stopped_trials,
                self._failed_trials,
                self._live_trials,
                self._trials_to_cache,
            ):
                group.discard(trial)
            self._resources_to_pending_trials[trial.placement_group_factory].discard(trial)
            self._queued_trial_decisions.pop(trial.trial_id, None)
            self._cached_trial_decisions.pop(trial.trial_id, None)
            self._trials.remove(trial)


def run_trials(
    trainable: type[tune.Trainable],
    searcher: Searcher,
    scheduler: TrialScheduler,
    callback: Callback,
    stopper: Stopper,
    slots: int,
    logs: Path,
) -> None:
    """Run trials until the searcher has no more or the stopper ends them.

    Args:
        trainable: Class of the trials.
        searcher: Proposes them.
        scheduler: Stops some early.
        callback: Is told of every start, result and end.
        stopper: Ends all.
        slots: Trials in flight.
        logs: Folder for Ray's own words.
    """
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    experiment = Experiment(
        "ray",
        trainable,
        stop=stopper,
        num_samples=sys.maxsize,
        storage_path=str(logs),
        max_failures=MAX_DEATHS,
        trial_dirname_creator=lambda _trial: "trials",
    )
    search = SearchGenerator(ConcurrencyLimiter(searcher, slots))
    controller = SweepController(
        slots,
        own_ray=started_here(),
        search_alg=search,
        scheduler=scheduler,
        stopper=stopper,
        callbacks=[callback],
        reuse_actors=True,
        storage=experiment.storage,
    )
    search.add_configurations(experiment)
    controller.setup_experiments([experiment], total_num_samples=sys.maxsize)
    while not controller.is_finished():
        controller.step()
    controller.cleanup()
