"""A stand-in for W&B's server on loopback: answers what wandb asks and keeps what it is sent."""

import base64
import contextlib
import gzip
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

ENTITY, KEY = "team", "0123456789" * 4


@dataclass
class SentRun:
    """What the server holds of one run."""

    id: str
    upserts: list = field(default_factory=list)
    history: list = field(default_factory=list)
    summary: dict = field(default_factory=dict)
    files: set = field(default_factory=set)
    exit_code: int | None = None

    def value(self, name):
        """The newest value that is not empty; later upserts leave out what does not change."""
        return next((u[name] for u in reversed(self.upserts) if u.get(name)), None)

    @property
    def config(self):
        merged = {}
        for upsert in self.upserts:
            merged |= json.loads(upsert.get("config") or "{}")
        return {k: v["value"] for k, v in merged.items() if k != "_wandb"}


class WandbServer(ThreadingHTTPServer):
    """The server, its runs and its sweeps; `hang` and `refuse_sweeps` change what it answers."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Answer)
        self.runs, self.sweeps, self.uploads, self.calls = {}, {}, {}, []
        self.hang, self.refuse_sweeps, self.delay_s = threading.Event(), False, 0.0
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def environment(self):
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    def named(self):
        """The runs by the name that W&B shows; a name sent under two ids fails."""
        names = [run.value("displayName") for run in self.runs.values()]
        assert len(set(names)) == len(names), sorted(names)
        return dict(zip(names, self.runs.values(), strict=True))

    def handle_error(self, request, client_address):
        """A client that went away is none of our business."""


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.body()
        if self.path == "/graphql":
            return self.reply(self.graphql(json.loads(body)))
        if found := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            return self.reply(self.stream(found[1], json.loads(body)))
        return self.reply({})

    def do_PUT(self):
        self.server.uploads[self.path.removeprefix("/upload/")] = self.body()
        self.reply({})

    def do_GET(self):
        self.body()
        self.reply({})

    def body(self):
        while self.server.hang.is_set():
            time.sleep(0.1)
        time.sleep(self.server.delay_s)
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def reply(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Nothing on the standard error."""

    def graphql(self, request):
        name = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])[1]
        variables = request.get("variables") or {}
        with self.server.lock:
            self.server.calls.append((name, variables))
            answer = getattr(self, f"answer_{name.lower()}", None)
            return answer(variables) if answer else {"data": {}}

    def answer_viewer(self, _):
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {"id": "u", "username": "u", "entity": ENTITY, "email": "", "flags": "{}", "teams": teams}
        return {"data": {"viewer": viewer}}

    def answer_serverfeaturesquery(self, _):
        return {"data": {"serverInfo": {"features": []}}}

    def answer_runresumestatus(self, variables):
        run = self.server.runs.get(variables["name"])
        bucket = run and {
            "name": run.id,
            "summaryMetrics": json.dumps(run.summary),
            "displayName": run.value("displayName"),
            "logLineCount": 0,
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(h) for h in run.history[-1:]]),
            "eventsTail": "[]",
            "config": json.dumps({k: {"value": v} for k, v in run.config.items()}),
            "tags": run.value("tags"),
            "notes": run.value("notes"),
            "wandbConfig": json.dumps({"t": 1}),
        }
        model = {"name": variables["project"], "entity": {"name": ENTITY}, "bucket": bucket}
        return {"data": {"model": model}}

    def answer_upsertbucket(self, variables):
        runs = self.server.runs
        inserted = variables["name"] not in runs
        run = runs.setdefault(variables["name"], SentRun(variables["name"]))
        run.upserts.append(variables)
        run.summary |= json.loads(variables.get("summaryMetrics") or "{}")
        project = {"id": "p", "name": variables["project"], "entity": {"id": "e", "name": ENTITY}}
        bucket = {
            "id": base64.b64encode(run.id.encode()).decode(),
            "name": run.id,
            "displayName": run.value("displayName"),
            "description": None,
            "config": None,
            "sweepName": variables.get("sweep"),
            "project": project,
            "historyLineCount": len(run.history),
        }
        return {"data": {"upsertBucket": {"bucket": bucket, "inserted": inserted}}}

    def answer_upsertsweep(self, variables):
        if self.server.refuse_sweeps:
            return {"data": None, "errors": [{"message": "sweeps are not allowed here"}]}
        name = variables.get("id") or f"sweep{len(self.server.sweeps)}"
        sweep = self.server.sweeps.setdefault(name, {})
        sweep |= {"entity": variables["entityName"], "project": variables["projectName"]}
        if variables.get("config"):
            sweep["config"] = yaml.safe_load(variables["config"])
        if variables.get("state"):
            sweep["state"] = variables["state"]
        project = {"id": "p", "name": variables["projectName"], "entity": {"id": "e", "name": ENTITY}}
        return {
            "data": {
                "upsertSweep": {"sweep": {"name": name, "project": project}, "configValidationWarnings": []}
            }
        }

    def answer_createrunfiles(self, variables):
        run = self.server.runs[variables["run"]]
        files = [
            {"name": name, "uploadUrl": f"{self.server.url}/upload/{run.id}/{name}"}
            for name in variables["files"]
        ]
        run.files |= set(variables["files"])
        answer = {"runID": run.id, "uploadHeaders": [], "files": files}
        return {"data": {"createRunFiles": answer}}

    def answer_artifacttype(self, _):
        return {"data": {"project": {"artifact": None}}}

    def answer_createartifact(self, variables):
        sequence = {"id": "s", "latestArtifact": None}
        artifact = {"id": "QQ==", "state": "PENDING", "artifactSequence": sequence}
        return {"data": {"createArtifact": {"artifact": artifact}}}

    def answer_createartifactmanifest(self, variables):
        url = f"{self.server.url}/upload/manifest/{variables['runName']}"
        manifest = {"id": "m", "file": {"id": "f", "uploadUrl": url, "uploadHeaders": []}}
        return {"data": {"createArtifactManifest": {"artifactManifest": manifest}}}

    def answer_updateartifactmanifest(self, variables):
        url = f"{self.server.url}/upload/manifest/{variables['artifactManifestID']}"
        manifest = {"id": "m", "file": {"id": "f", "uploadUrl": url, "uploadHeaders": []}}
        return {"data": {"updateArtifactManifest": {"artifactManifest": manifest}}}

    def answer_createartifactfiles(self, variables):
        nodes = [
            {
                "id": "f",
                "name": file["name"],
                "storagePath": file["name"],
                "uploadUrl": f"{self.server.url}/upload/artifact/{file['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": "QQ=="},
            }
            for file in variables["input"]["artifactFiles"]
        ]
        return {"data": {"createArtifactFiles": {"files": {"edges": [{"node": n} for n in nodes]}}}}

    def answer_commitartifact(self, _):
        return {"data": {"commitArtifact": {"artifact": {"id": "QQ==", "digest": "d"}}}}

    def stream(self, run_id, body):
        with self.server.lock:
            run = self.server.runs[run_id]
            for name, part in (body.get("files") or {}).items():
                if name == "wandb-history.jsonl":
                    lines = [json.loads(line) for line in part["content"]]
                    run.history[part["offset"] : part["offset"] + len(lines)] = lines
                elif name == "wandb-summary.json":
                    run.summary |= json.loads(part["content"][-1])
            if body.get("complete"):
                run.exit_code = body.get("exitcode")
        return {"exitcode": None, "limits": {}}


@contextlib.contextmanager
def wandb_server(port=0):
    """A running server, until the end of the block."""
    server = WandbServer(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.hang.clear()
        server.shutdown()
        server.server_close()
