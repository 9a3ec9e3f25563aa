"""A small HTTP server beside a process that has other things to do: GET only, and whoever asks cannot stop it or slow it down.

Each connection has a thread of its own, one answer and a deadline as a whole, however slowly it sends or reads. There are so many
at once; who comes beyond them is let go at once. An answer is made from what lies there already.
"""

from __future__ import annotations

import errno
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple

import structlog

from contract.errors import Misconfigured

AT_ONCE = 16  # connections
WITHIN = 5.0  # seconds that one may last
LOOK = 0.1  # s between two looks whether to end
log = structlog.get_logger("http")


class Answer(NamedTuple):
    """A status, and a text of a type."""

    status: int
    text: str
    type: str = "text/plain; charset=utf-8"


Pages = Mapping[str, Callable[[], Answer]]


class Serving:
    """Serves pages, by their paths, until closed. Raises Misconfigured where it cannot listen; `what` is the setting to change."""

    def __init__(self, what: str, address: str, port: int, pages: Pages, at_once: int = AT_ONCE, within: float = WITHIN) -> None:
        try:
            self._server = _server(address)((address, port), _handler(pages, within), at_once, within)
        except OSError as error:
            raise Misconfigured(f"{what}: {_why(error, address, port)}") from None
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(LOOK,), daemon=True, name="http")
        self._thread.start()

    def close(self) -> None:
        """Listen no more. Connections that are open end by themselves."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _why(error: OSError, address: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {address} is in use already; choose another, or 0 for none"
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; choose one above 1023"
    return f"cannot listen at {address}, port {port}: {error.strerror}"


class _Server(ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, where: tuple[str, int], handler: type[BaseHTTPRequestHandler], at_once: int, within: float) -> None:
        self._places, self._within = threading.BoundedSemaphore(at_once), within
        super().__init__(where, handler)

    def server_bind(self) -> None:
        """As the base does, without asking a name server who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a place for it."""
        return self._places.acquire(blocking=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own; where there can be no more threads its place is free again."""
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One connection, from its place on; at the deadline it is cut, which ends whatever the thread is waiting for."""
        cut = threading.Timer(self._within, _cut, (request,))
        cut.daemon = True
        try:
            cut.start()
            super().process_request_thread(request, client_address)
        finally:
            cut.cancel()
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of one that went away nothing is said."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("a request was not answered", why=repr(error))


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(address: str) -> type[_Server]:
    return _Server6 if ":" in address else _Server


def _cut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is over already
        return


def _handler(pages: Pages, within: float) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One request, one answer, then the connection is closed (HTTP/1.0)."""

        server_version, sys_version = "eddy", ""
        timeout = within

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            self._answer(Answer(404, f"there are {' '.join(pages)}\n") if page is None else page())

        do_HEAD = do_GET  # noqa: N815 -- the base class looks for this name

        def _answer(self, answer: Answer) -> None:
            body = answer.text.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """A scraper is no news."""

    return Handler
