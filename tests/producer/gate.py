"""A gate between boto3 and the emulator: passes every request on, unless told what to do with the next ones.

The emulator never throttles and never fails a part of PutRecords; the gate does, over real HTTP.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Answer = tuple[int, Json]
Fault = Callable[["Gate", Json], Answer | None]  # None: the connection is cut
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def some_fail(places: Sequence[int], code: str = "ProvisionedThroughputExceededException") -> Fault:
    """The records at these places are refused, the others pass."""

    def fault(gate: Gate, asked: Json) -> Answer:
        kept = [r for place, r in enumerate(asked["Records"]) if place not in places]
        taken = iter(gate.forward("PutRecords", {**asked, "Records": kept})[1]["Records"] if kept else ())
        failed = {"ErrorCode": code, "ErrorMessage": "Rate exceeded"}
        records = [failed if place in places else next(taken) for place in range(len(asked["Records"]))]
        return 200, {"FailedRecordCount": len(asked["Records"]) - len(kept), "Records": records}

    return fault


def refused(code: str, status: int = 400) -> Fault:
    """The request as a whole is answered with an error."""
    return lambda _gate, _asked: (status, {"__type": code, "message": "no"})


def passes(gate: Gate, asked: Json) -> Answer:
    """As if there were no gate."""
    return gate.forward("PutRecords", asked)


def lost(gate: Gate, asked: Json) -> None:
    """The request arrives, its answer does not."""
    gate.forward("PutRecords", asked)


def on_changes(fault: Fault) -> Fault:
    """The same, for the next request that is no round of heartbeats."""

    def wait(gate: Gate, asked: Json) -> Answer | None:
        if any("ExplicitHashKey" in record for record in asked["Records"]):
            gate.faults["PutRecords"].insert(0, wait)
            return gate.forward("PutRecords", asked)
        return fault(gate, asked)

    return wait


class Gate:
    """faults: what to do with the next requests of PutRecords and ListShards, by their names, one each; then all pass."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.faults: dict[str, list[Fault]] = {}
        self.asked: list[Json] = []  # PutRecords requests, in the order in which they came
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                gate.handle(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where boto3 goes."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """One request."""
        action = request.headers["X-Amz-Target"].rsplit(".", 1)[-1]
        asked = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        if action == "PutRecords":
            self.asked.append(asked)
        waiting = self.faults.get(action)
        answer = waiting.pop(0)(self, asked) if waiting else self.forward(action, asked)
        if answer is None:
            request.close_connection = True
            return
        body = json.dumps(answer[1]).encode()
        request.send_response(answer[0])
        request.send_header("Content-Type", "application/x-amz-json-1.1")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def forward(self, action: str, asked: Json) -> Answer:
        """What the emulator says."""
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"Kinesis_20131202.{action}"}
        headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/kinesis/aws4_request"
        try:
            with _open(urllib.request.Request(self.target, json.dumps(asked).encode(), headers), timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def close(self) -> None:
        """No more requests."""
        self.server.shutdown()
        self.server.server_close()
