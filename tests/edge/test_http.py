"""The HTTP server beside a process: over real sockets, with clients that are slow, many, rude, or gone."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from contract.errors import Misconfigured
from edge.http import Answer, Serving
from tests.conftest import until

OPEN = urllib.request.build_opener(urllib.request.ProxyHandler({}))
LONG = "x" * 20_000_000  # more than the buffers of a connection hold


def broken() -> Answer:
    raise ValueError("a page that fails")


@pytest.fixture
def serving() -> Iterator[Serving]:
    pages = {
        "/metrics": lambda: Answer(200, "up 1\n"),
        "/readyz": lambda: Answer(503, "no\n"),
        "/long": lambda: Answer(200, LONG),
        "/broken": broken,
    }
    one = Serving("[consumer] port", "127.0.0.1", 0, pages, at_once=4, within=1.0)
    yield one
    one.close()


def ask(port: int, path: str, method: str = "GET", data: bytes | None = None) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, method=method)
    try:
        with OPEN.open(request, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def answers(port: int) -> bool:
    try:
        return ask(port, "/metrics") == (200, "up 1\n")
    except OSError:
        return False


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def rest(client: socket.socket) -> bytes:
    """What still comes, until the other side ends it."""
    got = b""
    try:
        while some := client.recv(65536):
            got += some
    except ConnectionResetError:
        pass
    return got


def test_pages_and_what_is_no_page(serving: Serving) -> None:
    assert ask(serving.port, "/metrics") == (200, "up 1\n")
    assert ask(serving.port, "/metrics?name[]=x") == (200, "up 1\n")
    assert ask(serving.port, "/readyz") == (503, "no\n")
    assert ask(serving.port, "/metrics", "HEAD") == (200, "")
    status, text = ask(serving.port, "/")
    assert status == 404 and "/metrics" in text
    assert ask(serving.port, "/../etc/passwd")[0] == 404
    for method in ("POST", "PUT", "DELETE"):
        assert ask(serving.port, "/metrics", method, b"body")[0] == 501


BAD = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "empty": b"\r\n\r\n",
    "short": b"GET\r\n\r\n",
    "version": b"GET /metrics HTTP/9.9\r\n\r\n",
    "long": b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n",
    "headers": b"GET / HTTP/1.0\r\n" + b"".join(b"H%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    "zeros": b"\0" * 100 + b"\n",
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_request_ends_alone(serving: Serving, bad: bytes) -> None:
    with closing(connect(serving.port)) as client:
        try:
            client.sendall(bad)
            client.shutdown(socket.SHUT_WR)
        except OSError:  # it has had enough before all was sent
            pass
        assert b" 200 " not in rest(client)[:100]
    assert answers(serving.port)


def test_one_that_sends_or_reads_slowly_is_cut_and_frees_its_place(serving: Serving) -> None:
    #  four places: two clients send a byte now and then, two ask for much and do not read
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(connect(serving.port))) for _ in range(4)]
        for client in slow[2:]:
            client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
        ended = threading.Event()

        def trickle() -> None:
            try:
                while not ended.wait(0.05):
                    for client in slow[:2]:
                        client.sendall(b"G")
            except OSError:
                return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            until(lambda: answers(serving.port))
            for client in slow[:2]:
                assert b" 200 " not in rest(client)
        finally:
            ended.set()
            thread.join()


def test_beyond_its_places_it_lets_go_at_once_and_is_well_again(serving: Serving) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(closing(connect(serving.port))) for _ in range(60)]

        assert [rest(client) for client in crowd] == [b""] * 60, "nobody has asked for anything"

    until(lambda: answers(serving.port))


def test_one_that_goes_away_and_a_page_that_fails_stop_nothing(serving: Serving) -> None:
    for _ in range(20):
        with closing(connect(serving.port)) as client:
            client.sendall(b"GET /long HTTP/1.0\r\n\r\n")
    with closing(connect(serving.port)) as client:
        client.sendall(b"GET /broken HTTP/1.0\r\n\r\n")
        assert rest(client) == b""
    until(lambda: answers(serving.port))


def test_what_it_cannot_listen_at_is_told_with_the_setting(serving: Serving) -> None:
    with pytest.raises(Misconfigured, match=rf"\[consumer\] port: port {serving.port} of 127.0.0.1 is in use already"):
        Serving("[consumer] port", "127.0.0.1", serving.port, {})
    with pytest.raises(Misconfigured, match=r"\[consumer\] port: cannot listen at 203.0.113.7, port 0"):
        Serving("[consumer] port", "203.0.113.7", 0, {})


def test_closed_it_listens_no_more() -> None:
    one = Serving("x", "127.0.0.1", 0, {})
    one.close()
    with pytest.raises(ConnectionRefusedError):
        connect(one.port)
    again = Serving("x", "127.0.0.1", one.port, {"/metrics": lambda: Answer(200, "up 1\n")})
    assert answers(again.port)
    again.close()
