"""The routes of training: /api/ml/train and below."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from configs.schema import ServingConfig
from configs.tasks import ENDED
from errors import DataError, TabularayError, TaskNotFoundError
from serving.access import require
from serving.problems import explain_validation
from serving.refusals import OverloadedError
from serving.training import TrainingService
from serving.training_schema import Accepted, TaskList, TaskStatus, TrainFields, TrainRequest, Uploaded
from serving.uploads import MULTIPART, read_form, store_table, table_of

PREFIX = "/api/ml/train"
# Bodies that these routes read themselves, piece by piece, within limits of their own.
STREAMING = (f"{PREFIX}/tables", f"{PREFIX}/upload")
TEXT_FIELDS = ("target_column", "task_type", "name")
LOOK_EVERY_S = 0.5
SIGN_OF_LIFE_S = 10.0
# An open stream holds a connection of its replica for as long as the task takes.
MOST_STREAMS = 32
# What an event's id is; a file has no larger places.
PLACE = re.compile(r"\d{1,18}", re.ASCII)
STATUS_KEYS = ("status", "progress", "message", "best_score", "metric", "trials", "model_id", "error")
TaskId = Annotated[str, Path(description="As POST /api/ml/train has named it.", max_length=100)]


def training_routes(service: TrainingService, config: ServingConfig) -> APIRouter:
    """The routes.

    Args:
        service: What answers them.
        config: How the model is served.
    """
    router = APIRouter(prefix=PREFIX, tags=["training"], dependencies=[Depends(require("train"))])
    if config.training.enabled:
        _add_tasks(router, service)
        _add_uploads(router, service)
        _add_events(router, service)
    return router


def _add_tasks(router: APIRouter, service: TrainingService) -> None:
    @router.post("", status_code=HTTPStatus.ACCEPTED)
    async def train(request: Request, asked: TrainRequest, response: Response) -> Accepted:
        """Train one network, or with `search` a sweep; the task goes on by itself."""
        accepted = await asyncio.to_thread(service.submit, asked, asked.dataset_path, _who(request))
        response.headers["location"] = f"{PREFIX}/status/{accepted.task_id}"
        return accepted

    @router.get("")
    async def list_tasks(limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> TaskList:
        """Tasks, newest first."""
        return await asyncio.to_thread(service.newest, limit)

    @router.get("/status/{task_id}")
    async def status(task_id: TaskId) -> TaskStatus:
        """How a task stands: pending, running, succeeded, failed or stopped."""
        return await asyncio.to_thread(service.status, task_id)

    @router.post("/cancel/{task_id}", status_code=HTTPStatus.ACCEPTED)
    async def cancel(task_id: TaskId) -> TaskStatus:
        """Ask a task to end; what it has finished is kept."""
        return await asyncio.to_thread(service.cancel, task_id)

    @router.delete("/{task_id}", status_code=HTTPStatus.NO_CONTENT)
    async def forget(task_id: TaskId) -> None:
        """Remove an ended task and its uploaded table, unless another task names that; its run and model stay."""
        await asyncio.to_thread(service.forget, task_id)

    @router.get("/logs/{task_id}", response_class=PlainTextResponse)
    async def logs(task_id: TaskId) -> PlainTextResponse:
        """What a task has printed; the last megabyte of it."""
        return PlainTextResponse(await asyncio.to_thread(service.log, task_id))


def _add_uploads(router: APIRouter, service: TrainingService) -> None:
    @router.post("/tables", status_code=HTTPStatus.CREATED, openapi_extra=_form({}))
    async def upload(request: Request) -> Uploaded:
        """Send a table, for tasks to name by the answered `dataset_path`."""
        form = await read_form(request, service.max_upload_bytes)
        try:
            return await _store(service, form)
        finally:
            await form.close()

    @router.post("/upload", status_code=HTTPStatus.ACCEPTED, openapi_extra=_form(_form_fields()))
    async def train_upload(request: Request, response: Response) -> Accepted:
        """Send a table and train on it: the fields of POST /api/ml/train as parts, those with parts as JSON."""
        form = await read_form(request, service.max_upload_bytes)
        try:
            asked = _asked(form)
            stored = await _store(service, form)
        finally:
            await form.close()
        try:
            accepted = await asyncio.to_thread(service.submit, asked, stored.dataset_path, _who(request))
        except TabularayError:
            await asyncio.to_thread(service.discard, stored.dataset_path)
            raise
        response.headers["location"] = f"{PREFIX}/status/{accepted.task_id}"
        return accepted


def _add_events(router: APIRouter, service: TrainingService) -> None:
    open_streams: set[object] = set()

    @router.get(
        "/events/{task_id}",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events(
        task_id: TaskId, last_event_id: Annotated[str | None, Header(max_length=20)] = None
    ) -> StreamingResponse:
        """A task's events as they happen (SSE), from after Last-Event-ID on; ends when the task does."""
        await asyncio.to_thread(service.status, task_id)
        start = int(last_event_id) if last_event_id and PLACE.fullmatch(last_event_id) else 0
        if len(open_streams) >= MOST_STREAMS:
            raise OverloadedError(
                f"{MOST_STREAMS} streams of events are open; GET {PREFIX}/status/{task_id} answers"
            )
        return StreamingResponse(
            _stream(service, task_id, start, open_streams),
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )


async def _stream(
    service: TrainingService, task_id: str, start: int, open_streams: set[object]
) -> AsyncIterator[str]:
    """Events of the run under their own names, and `status` whenever that changes; ids are those of the run's."""
    me = object()
    open_streams.add(me)
    known, quiet_s = "", 0.0
    try:
        while True:
            status = await asyncio.to_thread(
                service.status, task_id
            )  # before the events: none after the last is lost
            found = await asyncio.to_thread(lambda at: list(service.events(task_id, at)), start)
            for event in found:
                start = event.end
                yield f"id: {event.end}\nevent: {event.kind}\ndata: {event.text}\n\n"
            text = json.dumps(status.model_dump(include=set(STATUS_KEYS)), ensure_ascii=False)
            if text != known:
                yield f"event: status\ndata: {text}\n\n"
            if status.status in ENDED and not found:
                return
            quiet_s = 0.0 if found or text != known else quiet_s + LOOK_EVERY_S
            known = text
            if quiet_s >= SIGN_OF_LIFE_S:
                quiet_s = 0.0
                yield ": still here\n\n"
            await asyncio.sleep(LOOK_EVERY_S)
    except TaskNotFoundError:
        return  # removed meanwhile, and so ended
    finally:
        open_streams.discard(me)


async def _store(service: TrainingService, form: FormData) -> Uploaded:
    table = table_of(form, service.max_upload_bytes)
    path = await asyncio.to_thread(store_table, table, service.tasks.uploads)
    return Uploaded(dataset_path=path, n_bytes=table.size or 0)


def _asked(form: FormData) -> TrainFields:
    """The fields of a form; text is text, all else JSON.

    Raises: DataError: what is wrong, and where.
    """
    values: dict[str, Any] = {}
    for key, value in form.multi_items():
        if key == "file":
            continue
        if key in values:
            raise DataError(f"{key}: given twice")
        if not isinstance(value, str):
            raise DataError(f"{key}: a file; only the part 'file' is one")
        values[key] = value if key in TEXT_FIELDS else _json(key, value)
    try:
        return TrainFields.model_validate(values)
    except ValidationError as error:
        raise DataError(explain_validation(list(error.errors()))) from None


def _json(key: str, value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise DataError(f"{key}: not JSON: {value[:50]!r}") from None


def _who(request: Request) -> str:
    return getattr(request.state, "principal", "anonymous")


def _form(fields: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of a multipart body with a file."""
    schema = {
        "type": "object",
        "required": ["file", *(["target_column"] if fields else [])],
        "properties": {"file": {"type": "string", "format": "binary"}, **fields},
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {MULTIPART: {"schema": schema}}}}


def _form_fields() -> dict[str, Any]:
    plain = {"type": "string"}
    return {
        name: plain | {"description": "" if name in TEXT_FIELDS else "As JSON."}
        for name in TrainFields.model_json_schema(by_alias=True)["properties"]
    }
