"""What people ask of the versions over HTTP: each is proved here before the registry is told."""

from __future__ import annotations

import asyncio

from ensembles.registry import PRODUCTION
from ensembles.rollouts import Plan
from ensembles.versions import ModelVersion
from errors import BundleError, ModelNotFoundError, VersionRefusedError
from serving.comparing import check_comparable
from serving.live import LiveModels
from serving.loading import Loaded

# No journal is this long: a version that has failed before is tried once more.
ASKED_FOR = -1


async def promote(
    live: LiveModels, model_id: str, alias: str = PRODUCTION, why: str = "", who: str | None = None
) -> ModelVersion:
    """Prove a version, point an alias at it, and serve it where that alias is served.

    Raises: ModelNotFoundError: no such version. VersionRefusedError: it fails; the alias stays. ConfigError: the
        alias is none, or the registry does not answer.
    """
    version = await asyncio.to_thread(live.wishes.resolve, model_id)
    await _prove(live, version, f"{version.name}@{alias} stays where it is")
    moved = await asyncio.to_thread(live.registry.promote, version.name, version.version, alias, why, who)
    await live.refresh()
    return moved


async def roll_back(
    live: LiveModels,
    name: str | None = None,
    alias: str = PRODUCTION,
    why: str = "",
    who: str | None = None,
) -> ModelVersion:
    """Prove the version that an alias had before, point the alias back at it, and serve it.

    Args:
        live: What is served.
        name: The model; default: the served one.
        alias: The alias.
        why: The user's reason.
        who: Who asks.

    Raises: ModelNotFoundError: there is no such model, or no version before. VersionRefusedError: that one fails;
        the alias stays.
    """
    name, to = name or live.wishes.name, None
    earlier = await asyncio.to_thread(live.registry.earlier, name, alias)
    if earlier:
        await _prove(live, earlier[0], f"{name}@{alias} stays where it is")
        to = earlier[0].version
    moved = await asyncio.to_thread(live.registry.rollback, name, alias, why, who, to)
    await live.refresh()
    return moved


async def try_out(
    live: LiveModels, model_id: str, plan: Plan, why: str = "", who: str | None = None
) -> ModelVersion:
    """Prove a version and try it on traffic, on every replica, instead of what is on trial now.

    Raises: ModelNotFoundError: no such version. VersionRefusedError: it fails, is served already, or answers another
        question than the served one.
    """
    await live.refresh()  # so that it is compared with what is served everywhere, not with what was a moment ago
    version = await asyncio.to_thread(live.wishes.resolve, model_id)
    if version.name != live.wishes.name:
        raise VersionRefusedError(
            f"{version.model_id}: a version of another model; {live.wishes.name} is served"
        )
    if version.model_id == live.served.model_id:
        raise VersionRefusedError(
            f"{version.model_id}: is what is served; another version can be tried beside it"
        )
    check_comparable(live.served, await _prove(live, version, "it is not tried"))
    start = live.registry.start_rollout
    await asyncio.to_thread(start, version.name, version.version, plan, live.wishes.alias, why, who)
    await live.refresh()
    return version


async def withdraw(live: LiveModels, why: str = "", who: str | None = None) -> None:
    """End what is on trial, on every replica.

    Raises: ModelNotFoundError: nothing is.
    """
    await live.refresh()
    trial = live.trial
    if trial is None:
        raise ModelNotFoundError(f"{live.wishes.name}: no version is on trial")
    await asyncio.to_thread(live.registry.end_rollout, live.wishes.name, trial.rollout, False, why, who)
    await live.refresh()


async def _prove(live: LiveModels, version: ModelVersion, otherwise: str) -> Loaded:
    try:
        return await asyncio.to_thread(live.prove, version, ASKED_FOR)
    except BundleError as error:
        raise VersionRefusedError(f"{error}; {otherwise}") from None
