"""Enough of W&B's server for its client, on loopback; and ways to fail."""

import base64
import contextlib
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "0123456789abcdef0123456789abcdef01234567"
AUTHORIZATION = f"Basic {base64.b64encode(f'api:{KEY}'.encode()).decode()}"
FAILURES = ("refused", "hangs", "500", "stops", "401")


class Server(ThreadingHTTPServer):
    """Keeps the rows of every run by their place, as W&B does.

    Attributes:
        behaviour: "good", or what it does wrong from now on.
        rows: of each run, by its name.
        num_asked: requests so far.
    """

    daemon_threads = True

    def __init__(self, behaviour: str = "good") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviour = behaviour
        self.names: dict[str, str] = {}
        self.lines: dict[str, dict[int, dict]] = {}
        self.released = threading.Event()
        self.num_asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def rows(self) -> dict[str, list[dict]]:
        return {self.names[run]: [lines[place] for place in sorted(lines)] for run, lines in self.lines.items()}

    def handle_error(self, request, client_address) -> None:
        """Leave clients that hang up alone."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *words) -> None:
        pass

    def answer(self) -> None:
        server = self.server
        server.num_asked += 1
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if server.behaviour == "hangs":
            server.released.wait()
            self.close_connection = True
        elif server.behaviour == "refused":
            self.close_connection = True
        elif server.behaviour == "stops":
            self.reply(b'{"data": {"viewer"', length=1000)
            self.close_connection = True
        elif server.behaviour in ("500", "401"):
            self.reply(b'{"errors": [{"message": "no"}]}', int(server.behaviour))
        else:
            self.reply(json.dumps(self.good(body)).encode())

    do_GET = do_POST = do_PUT = answer  # noqa: N815

    def reply(self, content: bytes, code: int = 200, length: int | None = None) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def good(self, body: bytes) -> dict:
        if self.path.endswith("/file_stream"):
            run = self.path.split("/")[-2]
            history = json.loads(body).get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            for place, line in enumerate(history["content"], start=history["offset"]):
                self.server.lines.setdefault(run, {})[place] = json.loads(line)
            return {}
        if not self.path.endswith("/graphql"):
            return {}
        asked = json.loads(body)
        return {"data": self.graphql(asked.get("operationName") or "", asked.get("variables") or {})}

    def graphql(self, operation: str, words: dict) -> dict:
        project = {"id": "p", "name": words.get("project") or "p", "entity": {"id": "e", "name": "me"}}
        if operation == "RunResumeStatus":
            return {"model": {**project, "bucket": self.bucket(words["name"])}}
        if operation == "UpsertBucket":
            run = words.get("name") or words.get("id")
            if words.get("displayName"):
                self.server.names[run] = words["displayName"]
            bucket = {"id": run, "name": run, "displayName": self.server.names.get(run, run), "project": project}
            return {"upsertBucket": {"bucket": {**bucket, "config": "{}", "historyLineCount": 0}, "inserted": True}}
        if operation == "CreateRunFiles":
            places = [{"name": name, "uploadUrl": f"{self.server.url}/upload/{name}"} for name in words["files"]]
            return {"createRunFiles": {"runID": words["run"], "uploadHeaders": [], "files": places}}
        if operation in ("ArtifactType", ""):
            return {"project": {"artifact": None}}
        if operation == "CreateArtifact":
            return {"createArtifact": {"artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s"}}}}
        return {"viewer": {"id": "me", "entity": "me", "flags": "{}"}}

    def bucket(self, run: str) -> dict | None:
        lines = self.server.lines.get(run)
        if lines is None:
            return None
        tail = [json.dumps(lines[place]) for place in sorted(lines)[-1:]]
        counts = {"historyLineCount": len(lines), "eventsLineCount": 0, "logLineCount": 0}
        tails = {"historyTail": json.dumps(tail), "eventsTail": "[]", "summaryMetrics": "{}", "config": "{}"}
        named = {"id": run, "name": run, "displayName": self.server.names.get(run, run), "tags": [], "notes": None}
        return {**named, **counts, **tails, "wandbConfig": json.dumps({"t": 1})}


@contextlib.contextmanager
def serving(behaviour: str = "good") -> Iterator[Server]:
    """Serve in a thread for as long as the block runs."""
    server = Server(behaviour)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
