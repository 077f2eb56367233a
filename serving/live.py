"""What a replica serves: it follows the registry, and switches between versions without dropping a request.

The registry's journal is the one truth about what is served and what is on trial, so that a promotion by command,
by a request to any replica, or from another machine reaches every replica within about `poll_s`, and a restart
changes nothing. A new version is loaded beside the old one in a thread, proved on its golden rows and prepared; then
one assignment switches. Requests in flight keep the version they began with. A version that fails never takes
traffic: the old one goes on, and the new one is tried again only when the journal has grown.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from configs.schema import ServingConfig
from ensembles.registry import Registry
from ensembles.versions import ModelVersion
from errors import BundleError, ConfigError
from serving.loading import Loaded, LoadedVersions, prepare_nothing
from serving.traffic import OnTrial, Route, Sum
from serving.wanted import Wanted, Wishes

JITTER = 0.25
log = logging.getLogger("tabularay.serving")


@dataclass(frozen=True)
class Failure:
    """A version that could not be served, or a registry that could not be read.

    Attributes:
        model_id: The version; empty: the registry.
        error: Why.
        position: The journal's last event then; -1: unknown.
        time: When, as time.time().
    """

    model_id: str
    error: str
    position: int
    time: float


class LiveModels:
    """The versions that a replica answers with.

    Args:
        registry: Where models are registered.
        default: The model served when a request names none: NAME, NAME:VERSION or NAME@ALIAS. Where the version that
            an alias points at fails its proof, the one before it is served, as on a replica that was up already.
        config: Threads, how often to look, and what is on trial by configuration.
        prepare: Called with each version, in the thread that loads it, before it takes traffic.
        add_up: Adds this replica's counts of what is on trial to those of the others; None: there are no others.

    Raises: ModelNotFoundError: there is no such model. BundleError: no version of it can be served.
    """

    def __init__(
        self,
        registry: str | Path,
        default: str,
        config: ServingConfig,
        prepare: Callable[[Loaded], None] = prepare_nothing,
        add_up: Sum | None = None,
    ) -> None:
        self.registry = Registry(registry)
        self.wishes = Wishes(self.registry, default, config)
        self.config = config
        self.n_switches = 0
        self.n_failures = 0
        self.last_failure: Failure | None = None
        self._versions = LoadedVersions(max(1, int(config.cpus_per_replica)), prepare)
        self._add_up = add_up
        self._failures: dict[str, Failure] = {}
        self._following = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        wanted = self.wishes.read()
        self._names = wanted.names
        self._route = Route(self._load_first(wanted))

    @property
    def served(self) -> Loaded:
        """The version that is served by default, whatever is on trial."""
        return self._route.served

    @property
    def trial(self) -> OnTrial | None:
        """What is on trial."""
        return self._route.trial

    def pick(self, key: str | None = None) -> Loaded:
        """The version for the next request that names none; equal keys get the same one, see OnTrial."""
        served, trial = self._route
        return served if trial is None else trial.pick(key)

    def find(self, model_id: str) -> Loaded | None:
        """A version in memory, by its id or by what meant it when the registry was last read."""
        full = self._names.get(model_id)
        return None if full is None else self._versions.find(full)

    def observe(self, loaded: Loaded, X: np.ndarray, mean: np.ndarray, rows: Any = None) -> None:
        """Take note of an answered request, for what is on trial; returns at once.

        Shape: X float32 (n_samples, n_features), mean (n_samples, n_outputs).

        Args:
            loaded: The version that answered.
            X: The rows as it encodes them.
            mean: Its answers.
            rows: The raw rows, records or lists of values: versions that encode differently are compared on these.
        """
        trial = self._route.trial
        if trial is not None:
            trial.observe(loaded, X, mean, rows)

    def failed(self, loaded: Loaded, error: BaseException) -> None:
        """Take note that a version on trial did not answer what the served one answers: it gets no more requests."""
        trial = self._route.trial
        if trial is not None:
            trial.failed(loaded, error)

    async def load(self, model_id: str) -> Loaded:
        """A version by name, loaded if need be.

        Raises: ModelNotFoundError: no such version. BundleError: it is damaged. ConfigError: the registry does not
            answer.
        """
        return await asyncio.to_thread(self.load_now, model_id)

    def load_now(self, model_id: str) -> Loaded:
        """As load, in the caller's thread."""
        version = self.wishes.resolve(model_id)
        loaded = self.prove(version, self.registry.position(version.name))
        self._versions.drop_unused(self._in_use())
        self._names = {**self._names, **self.wishes.names(version.name)}
        return loaded

    def prove(self, version: ModelVersion, position: int) -> Loaded:
        """Load a version, unless it has failed since the journal last grew.

        Args:
            version: The version.
            position: The journal's last event.

        Raises: BundleError: it fails, or has failed. ConfigError: the registry does not answer.
        """
        before = self._failures.get(version.model_id)
        if before is not None and before.position == position:
            raise BundleError(before.error)
        try:
            loaded = self._versions.load(version)
        except BundleError as error:
            self._note(version.model_id, error, position)
            raise
        self._failures.pop(version.model_id, None)
        return loaded

    def start(self) -> None:
        """Begin to follow the registry; called on the event loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """End following it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if self.trial is not None:
            self.trial.stop()

    async def refresh(self) -> None:
        """Read the registry once and do as it says, now; what goes wrong is noted, see status."""
        async with self._following:
            try:
                await self._switch(await self._read())
                trial = self.trial
                if trial is not None and await trial.judge(self._add_up) in ("withdraw", "promote"):
                    await self._end(trial)
            except Exception as error:  # noqa: BLE001 - a replica goes on with what it has, and says so
                self._note("", error, -1)
            else:
                self._failures.pop("", None)

    def status(self) -> dict[str, Any]:
        """What is served and tried, how often it switched and failed; reads memory only."""
        failure = self.last_failure
        shown = failure and {"model_id": failure.model_id, "error": failure.error, "time": failure.time}
        return {
            "model_id": self.served.model_id,
            "loaded": self._versions.ids(),
            "switches": self.n_switches,
            "failures": self.n_failures,
            "last_failure": shown,
            "trial": self.trial and self.trial.status(),
        }

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.config.poll_s * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311
            await self.refresh()

    async def _read(self) -> Wanted:
        others = {model_id.partition(":")[0] for model_id in self._versions.ids()} - {self.wishes.name}
        return await asyncio.to_thread(self.wishes.read, others)

    async def _switch(self, wanted: Wanted) -> None:
        """Serve and try what is wanted, as far as it can be loaded."""
        served, trial = self._route
        try:
            served = await asyncio.to_thread(self.prove, wanted.version, wanted.position)
        except BundleError:
            log.debug("%s goes on", served.model_id)  # prove has noted why
        if (trial and trial.rollout, trial and trial.served) != (wanted.rollout, wanted.rollout and served):
            trial = await self._try_out(wanted, served)
        before, self._route = self._route, Route(served, trial)
        if before.trial is not None and before.trial is not trial:
            before.trial.stop()
        if before.served is not served:
            self.n_switches += 1
            log.info("%s serves instead of %s", served.model_id, before.served.model_id)
        self._names = wanted.names
        self._versions.drop_unused(self._in_use())

    async def _try_out(self, wanted: Wanted, served: Loaded) -> OnTrial | None:
        if wanted.rollout is None or wanted.candidate is None or wanted.candidate.model_id == served.model_id:
            return None
        try:
            candidate = await asyncio.to_thread(self.prove, wanted.candidate, wanted.position)
        except BundleError as error:
            return OnTrial(wanted.rollout, served, error)
        except (ConfigError, OSError) as error:  # the store does not answer: that is not the version's fault
            self._note(wanted.candidate.model_id, error, wanted.position)
            return None
        return OnTrial(wanted.rollout, served, candidate)

    async def _end(self, trial: OnTrial) -> None:
        promote, name = trial.verdict == "promote", self.wishes.name
        if not promote:
            trial.candidate = None
        who = "the rule for versions on trial"
        ended = await asyncio.to_thread(
            self.registry.end_rollout, name, trial.rollout, promote, trial.reason, who
        )
        if ended:
            word = "promoted" if promote else "withdrawn"
            log.warning("%s was on trial and is %s: %s", trial.model_id, word, trial.reason)
        await self._switch(await self._read())

    def _load_first(self, wanted: Wanted) -> Loaded:
        """The version that is wanted; where it fails, the one that its alias had before."""
        try:
            return self.prove(wanted.version, wanted.position)
        except BundleError as first:
            earlier = []
            if ":" not in self.wishes.default:
                earlier = self.registry.earlier(self.wishes.name, self.wishes.alias)
            for version in earlier:
                try:
                    return self.prove(version, wanted.position)
                except BundleError:
                    log.debug("%s fails as well", version.model_id)  # prove has noted why
            raise first from None

    def _in_use(self) -> list[Loaded]:
        served, trial = self._route
        return [served, trial.candidate] if trial and trial.candidate else [served]

    def _note(self, model_id: str, error: BaseException, position: int) -> None:
        """Remember a failure; it is logged and counted once for as long as it is the same."""
        before = self._failures.get(model_id)
        if before is not None and (before.position, before.error) == (position, str(error)):
            return
        self.last_failure = Failure(model_id, str(error), position, time.time())
        self._failures[model_id] = self.last_failure
        self.n_failures += 1
        log.error("%s: %s", model_id or "following the registry", error)
