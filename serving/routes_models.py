"""Routes about versions: lists, cards, promotion, rollback, and trials on traffic."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from configs.schema import ServingConfig
from ensembles.registry import PRODUCTION
from ensembles.rollouts import Mode, Plan
from ensembles.versions import version_row
from serving import moves
from serving.access import require
from serving.live import LiveModels
from serving.schema import ModelList, Problem, RequestModel

READ = [Depends(require("predict"))]
CHANGE = [Depends(require("admin"))]
NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "No such model."}}
REFUSED: dict[int | str, dict[str, Any]] = NOT_FOUND | {
    409: {"model": Problem, "description": "The version fails its proof here; nothing has changed."},
    422: {"model": Problem, "description": "What is wrong with the request, and where."},
}
SHOWN_EVENTS = 20

Alias = Annotated[str, Field(pattern=r"^[\w-]{1,100}$", description="The alias to move.")]
Why = Annotated[str, Field(max_length=1000, description="Why, for the history.")]


class Move(RequestModel):
    """A promotion."""

    alias: Alias = PRODUCTION
    why: Why = ""


class RollBack(RequestModel):
    """A rollback."""

    name: str | None = Field(None, description="The model; default: the served one.")
    alias: Alias = PRODUCTION
    why: Why = ""


class TryOut(RequestModel):
    """A version to try on traffic; what is left out is as configured."""

    model_config = ConfigDict(
        extra="forbid",
        protected_namespaces=(),
        json_schema_extra={"examples": [{"model_id": "churn@candidate", "mode": "canary", "share": 0.1}]},
    )

    model_id: str = Field(description="NAME:VERSION, NAME@ALIAS, or an alias of the served model.")
    mode: Mode = Field(
        "canary",
        description="canary: it answers the share of requests; shadow: it answers copies of them, which nobody sees.",
    )
    share: float = Field(0.05, gt=0.0, le=1.0, description="Share of the requests that name no model.")
    promote: bool | None = Field(None, description="Whether it is promoted once it passes.")
    min_requests: int | None = Field(None, ge=1, description="Compared requests before it can pass.")
    max_latency_ratio: float | None = Field(
        None,
        gt=0.0,
        description="Most times the served version's latency that its own may be, at the median.",
    )
    why: Why = ""


class Moved(BaseModel):
    """Where an alias points now."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    aliases: list[str]


class ModelCard(BaseModel):
    """All that is known of a version."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str
    aliases: list[str]
    card: dict[str, Any] = Field(
        description="The bundle's manifest: columns, scores, members, calibration, coverage."
    )


class Traffic(BaseModel):
    """Where requests go."""

    model_config = ConfigDict(protected_namespaces=())

    model_id: str = Field(description="The version that is served by default.")
    loaded: list[str] = Field(description="Versions in memory of the replica that answered.")
    switches: int
    failures: int
    last_failure: dict[str, Any] | None
    trial: dict[str, Any] | None = Field(
        description="The version on trial, its counts, and the verdict on it."
    )
    history: list[dict[str, Any]] = Field(description="The last changes, oldest first.")


def models_routes(live: LiveModels, config: ServingConfig) -> APIRouter:
    """Routes under /api/ml/models and /api/ml/traffic.

    Args:
        live: What is served.
        config: What a trial is by default.
    """
    router = APIRouter()
    _add_models(router, live)
    _add_traffic(router, live, config)
    return router


def _add_models(router: APIRouter, live: LiveModels) -> None:
    @router.get("/api/ml/models", dependencies=READ)
    def list_models() -> ModelList:
        """Every registered version, with the features it takes."""
        versions = [v for name in live.registry.names() for v in live.registry.versions(name)]
        rows = [version_row(v) | {"features": v.manifest()["features"]} for v in versions]
        return ModelList.model_validate({"models": rows})

    @router.get("/api/ml/models/{model_id}", dependencies=READ, responses=NOT_FOUND)
    def show_model(model_id: str) -> ModelCard:
        """A version's card: columns, scores, members, calibration, coverage."""
        version = live.wishes.resolve(model_id)
        return ModelCard(model_id=version.model_id, aliases=list(version.aliases), card=version.manifest())

    @router.post("/api/ml/models/rollback", dependencies=CHANGE, responses=REFUSED)
    async def roll_back(request: Request, asked: RollBack | None = None) -> Moved:
        """Point an alias back at the version it had before, once that is proved here."""
        asked = asked or RollBack()
        version = await moves.roll_back(live, asked.name, asked.alias, asked.why, _who(request))
        return Moved(model_id=version.model_id, aliases=list(version.aliases))

    @router.post("/api/ml/models/{model_id}/promote", dependencies=CHANGE, responses=REFUSED)
    async def promote(request: Request, model_id: str, asked: Move | None = None) -> Moved:
        """Point an alias at a version, once that is proved here: every byte, and its golden rows.

        Other replicas follow within about `poll_s`.
        """
        asked = asked or Move()
        version = await moves.promote(live, model_id, asked.alias, asked.why, _who(request))
        return Moved(model_id=version.model_id, aliases=list(version.aliases))


def _add_traffic(router: APIRouter, live: LiveModels, config: ServingConfig) -> None:
    def traffic() -> Traffic:
        kinds = ("rollout", "withdraw", "promote", "rollback")
        events = [e for e in live.registry.history(live.wishes.name) if e["action"] in kinds]
        return Traffic.model_validate(live.status() | {"history": events[-SHOWN_EVENTS:]})

    @router.get("/api/ml/traffic", dependencies=READ)
    def show_traffic() -> Traffic:
        """What is served, what is on trial beside it, and how that compares."""
        return traffic()

    @router.put("/api/ml/traffic", dependencies=CHANGE, responses=REFUSED)
    async def try_out(request: Request, asked: TryOut) -> Traffic:
        """Try a version on a share of the traffic, or beside it, instead of what is on trial now.

        It is withdrawn at its first error, or when it is slower than allowed; what passes is promoted if asked.
        """
        promote = config.canary_promote if asked.promote is None else asked.promote
        ratio = asked.max_latency_ratio or config.canary_latency_ratio
        plan = Plan(asked.mode, asked.share, promote, asked.min_requests or config.canary_requests, ratio)
        await moves.try_out(live, asked.model_id, plan, asked.why, _who(request))
        return await asyncio.to_thread(traffic)

    @router.delete("/api/ml/traffic", dependencies=CHANGE, responses=NOT_FOUND)
    async def withdraw(request: Request, why: Annotated[str, Query(max_length=1000)] = "") -> Traffic:
        """Withdraw what is on trial."""
        await moves.withdraw(live, why, _who(request))
        return await asyncio.to_thread(traffic)


def _who(request: Request) -> str:
    """Who asks, for the history."""
    return f"{request.state.principal} over HTTP"
