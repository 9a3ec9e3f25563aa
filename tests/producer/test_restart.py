"""The operator moves the relay: forward with a gap on the stream, back with repeats, never under a producer that relays."""

from __future__ import annotations

import pytest

from contract.errors import Misconfigured
from contract.event import Event, Gap
from producer.relay import Position
from producer.restart import place
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, soon
from tests.producer.test_producer import joined, orders, relayed, write

NOW = Position(None, (1_795_452_150, 3))
TOKEN = "826B046CF5000000022B0229296E04"


def test_a_place_is_now_or_a_time_or_a_token() -> None:
    assert place("now", NOW) == NOW
    assert place("2026-11-23T14:42:29Z", NOW) == Position(None, (1_795_444_949, 0))
    assert place(TOKEN, NOW) == Position({"_data": TOKEN}, (1_795_452_149, 2))


@pytest.mark.parametrize("text", ["yesterday", "", "82", "2026-13-01T00:00:00Z", "2030-01-01T00:00:00Z", "1960-01-01T00:00:00Z"])
def test_what_is_no_place_or_lies_ahead_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match="--from"):
        place(text, NOW)


def test_forward_skips_and_says_so_and_back_repeats(start: Start, stream: Stream, mongo: Client, database_name: str) -> None:
    running = start().ready()
    first = write(mongo, database_name, 0, 50)
    soon(lambda: relayed(mongo, database_name) == 50)
    refused = start(None, "restart", "--from", "now")
    assert refused.end(None) == Misconfigured.status and "relays this stream" in "".join(refused.raw)
    assert running.end() == 0
    [stood] = mongo[database_name]["_bookmarks"].find()

    write(mongo, database_name, 50, 50)
    assert start(None, "restart", "--from", "now").end(None) == 0
    running = start().ready()
    last = write(mongo, database_name, 100, 50)
    soon(lambda: relayed(mongo, database_name) == 100)
    assert running.end() == 0
    assert orders(stream.events()) == joined(first, last)
    gaps = {shard: message for shard, _, message in stream.messages() if isinstance(message, Gap)}
    assert len(gaps) == 2
    for shard, gap in gaps.items():
        order = [m for name, _, m in stream.messages() if name == shard and isinstance(m, (Event, Gap))]
        assert all((m.document or {})["n"] < 50 for m in order[: order.index(gap)] if isinstance(m, Event))
        assert gap.begin == stood["cluster"].time * 1000 < gap.end and gap.triggers == ("pay",)

    assert start(None, "restart", "--from", str(stood["token"]["_data"])).end(None) == 0
    running = start().ready()
    soon(lambda: len({e.token for _, e in stream.events()}) == 150)
    assert running.end() == 0
    assert sum(isinstance(m, Gap) for _, _, m in stream.messages()) == 2
