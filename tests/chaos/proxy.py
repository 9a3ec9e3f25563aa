"""An HTTP proxy between the producer and Kinesis, which troubles PutRecords in the ways that AWS and a network can.

    drop        the connection ends without an answer: before the records went in, or after
    delay       the records go in late, or the answer comes late; sometimes later than the producer waits
    throttle    the whole request is refused, or some of its records
    fail part   some records fail with InternalFailure
Records that are said to have failed are not handed on; the answer to the others is mended. All else passes as it is.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chaos.plan import PUTS

PUT_RECORDS = "Kinesis_20131202.PutRecords"
THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException")
FAILED = "InternalFailure"
SHARE = 0.7  # of the requests that are troubled while a trouble lasts
SOON, TOO_LATE = (0.3, 3.0), 12.0  # s of delay; the producer gives up after 5
TOO_LATE_SHARE = 0.15
UPSTREAM_WITHIN = 60.0  # s
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


@dataclass(frozen=True, slots=True)
class Act:
    """What becomes of one request. before: it ends, or waits, in front of Kinesis, else behind it. failed: places of records that
    are not handed on, with their error; whole: the error of all of it."""

    drop: bool = False
    before: bool = False
    delay: float = 0.0
    whole: str | None = None
    failed: Mapping[int, str] | None = None


def act_of(kind: str, records: int, pick: random.Random) -> Act:
    """One of the ways to trouble a request of so many records."""
    before = pick.random() < 0.5
    if kind == "drop":
        return Act(drop=True, before=before)
    if kind == "delay":
        return Act(before=before, delay=TOO_LATE if pick.random() < TOO_LATE_SHARE else pick.uniform(*SOON))
    if kind == "throttle":
        code = pick.choice(THROTTLED)
        return Act(whole=code) if pick.random() < 0.5 else Act(failed=dict.fromkeys(_some(records, pick), THROTTLED[0]))
    if kind == "fail part":
        return Act(failed=dict.fromkeys(_some(records, pick), FAILED))
    raise ValueError(f"{kind} is none of {', '.join(PUTS)}")


def _some(n: int, pick: random.Random) -> Sequence[int]:
    """At least one of them, and all at times."""
    return pick.sample(range(n), pick.randint(1, n))


def without(request: Mapping[str, Any], failed: Mapping[int, str]) -> dict[str, Any]:
    """A PutRecords request without the records that fail."""
    return {**request, "Records": [r for place, r in enumerate(request["Records"]) if place not in failed]}


def mended(answer: Mapping[str, Any], failed: Mapping[int, str]) -> dict[str, Any]:
    """The answer to what was handed on, as one to the whole request."""
    theirs = iter(answer["Records"])
    total = len(answer["Records"]) + len(failed)
    records = [
        {"ErrorCode": failed[place], "ErrorMessage": "injected"} if place in failed else next(theirs) for place in range(total)
    ]
    return {**answer, "FailedRecordCount": answer.get("FailedRecordCount", 0) + len(failed), "Records": records}


class Proxy:
    """Listens on a free port of 127.0.0.1 from `begin` to `end`. done: requests troubled, by kind."""

    def __init__(self, upstream: int, seed: int) -> None:
        self.upstream, self.done = upstream, Counter[str]()
        self._pick, self._deciding = random.Random(f"proxy {seed}"), threading.Lock()
        self._kinds: list[str] = []
        self._ended = threading.Event()
        proxy = self

        class Handler(_Handler):
            """Of this proxy."""

            of = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="proxy", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def begin(self) -> Proxy:
        """Hand on."""
        self._thread.start()
        return self

    def end(self) -> None:
        """Listen no more. What waits goes on at once."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def trouble(self, kind: str) -> Callable[[], None]:
        """From now on, until what this gives back is called."""
        with self._deciding:
            self._kinds.append(kind)

        def heal() -> None:
            with self._deciding:
                self._kinds.remove(kind)

        return heal

    def decide(self, records: int) -> Act:
        """What becomes of the next request."""
        with self._deciding:
            if not self._kinds or self._pick.random() >= SHARE:
                return Act()
            kind = self._pick.choice(self._kinds)
            self.done[kind] += 1
            return act_of(kind, records, self._pick)

    def wait(self, seconds: float) -> None:
        """A delay, unless all ends."""
        self._ended.wait(seconds)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked was killed. Anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    of: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._pass(b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("X-Amz-Target") != PUT_RECORDS:
            return self._pass(body)
        request = json.loads(body)
        act = self.of.decide(len(request["Records"]))
        if act.before:
            self.of.wait(act.delay)
        if act.whole is not None:
            return self._answer(400, json.dumps({"__type": act.whole, "message": "injected"}).encode())
        if act.drop and act.before:
            return self._hang_up()
        status, answer, headers = self._ask(request, body, act.failed or {})
        if not act.before:
            self.of.wait(act.delay)
        return self._hang_up() if act.drop else self._answer(status, answer, headers)

    def _ask(self, request: Mapping[str, Any], body: bytes, failed: Mapping[int, str]) -> tuple[int, bytes, Mapping[str, str]]:
        if not failed:
            return self._upstream(body)
        rest = without(request, failed)
        if not rest["Records"]:
            return 200, json.dumps(mended(rest, failed)).encode(), {}
        status, answer, headers = self._upstream(json.dumps(rest).encode())
        return status, json.dumps(mended(json.loads(answer), failed)).encode() if status == 200 else answer, headers

    def _pass(self, body: bytes) -> None:
        self._answer(*self._upstream(body))

    def _upstream(self, body: bytes) -> tuple[int, bytes, Mapping[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.of.upstream, timeout=UPSTREAM_WITHIN)
        kept = {name: v for name, v in self.headers.items() if name.lower() not in (*HOP_BY_HOP, "host")}
        try:
            connection.request(self.command, self.path, body, {**kept, "Content-Length": str(len(body))})
            got = connection.getresponse()
            return got.status, got.read(), dict(got.getheaders())
        except OSError as error:
            return 502, str(error).encode(), {}
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        with suppress(OSError):  # whoever asked does not wait any more
            self.send_response_only(status)
            for name, v in (headers or {"Content-Type": "application/x-amz-json-1.1"}).items():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, v)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what it does is counted."""
