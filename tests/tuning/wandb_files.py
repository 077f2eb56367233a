"""Reads the offline files of W&B back: LevelDB log records of protobuf messages after a 7-byte header."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wandb.proto import wandb_internal_pb2 as pb

BLOCK = 32768
FULL, FIRST, LAST = 1, 2, 4


@dataclass
class WandbRun:
    name: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict = field(default_factory=dict)
    history: list[dict] = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)
    sweep: str = ""
    exit_code: int | None = None
    artifacts: dict[str, set[str]] = field(default_factory=dict)


def read_runs(folder: Path) -> list[WandbRun]:
    return [read_run(path) for path in sorted(folder.glob("wandb/offline-run-*/*.wandb"))]


def read_run(path: Path) -> WandbRun:
    run = WandbRun()
    for data in records(path.read_bytes()):
        record = pb.Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.name, run.group, run.job_type = (
                record.run.display_name,
                record.run.run_group,
                record.run.job_type,
            )
            run.tags = list(record.run.tags)
            config = {u.key: json.loads(u.value_json) for u in record.run.config.update}
            run.config |= {k: v for k, v in config.items() if k != "_wandb"}
            run.sweep = record.run.sweep_id
        elif kind == "history":
            run.history.append(items(record.history.item))
        elif kind == "summary":
            run.summary |= {k: v for k, v in items(record.summary.update).items() if not k.startswith("_")}
        elif kind == "metric":
            run.metrics[record.metric.name] = record.metric.step_metric
        elif kind == "artifact":
            run.artifacts[record.artifact.name] = {e.path for e in record.artifact.manifest.contents}
        elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
            sent = record.request.log_artifact.artifact
            run.artifacts[sent.name] = {e.path for e in sent.manifest.contents}
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def items(pairs) -> dict:
    return {".".join(p.nested_key) or p.key: json.loads(p.value_json) for p in pairs}


def records(data: bytes) -> Iterator[bytes]:
    assert data[:4] == b":W&B"
    position, part = 7, b""
    while position < len(data):
        left = BLOCK - position % BLOCK
        if left < 7:
            position += left
            continue
        _crc, length, kind = struct.unpack("<IHB", data[position : position + 7])
        part += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (FULL, LAST):
            yield part
            part = b""
