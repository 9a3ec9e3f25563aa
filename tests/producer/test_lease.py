"""One producer at a time: the lease on a real mongod, and two producers as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from bson import DatetimeMS

from contract.errors import Fenced, Misconfigured
from contract.event import Event, Heartbeat
from edge.http import Answer
from producer.board import Board
from producer.bookmark import Bookmark, Bookmarks
from producer.lease import Lease, Owner, ourselves
from producer.mongo import connect
from producer.relay import Position
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.test_producer import joined, orders, relayed, write

Make = Callable[..., Lease]
ELSEWHERE = Owner("elsewhere", 7, "another machine", "x")


@pytest.fixture
def make(mongod: str, database_name: str) -> Iterator[Make]:
    """make(owner, law="a") is a lease on the stream "eddy", held for 2 s."""
    with connect(mongod) as client:
        yield lambda me=None, law="a": Lease(client, database_name, "eddy", law, me or ourselves(None), 2.0)


def test_one_holds_it_and_the_next_one_takes_it_when_it_has_run_out_or_is_given_up(make: Make) -> None:
    first, second = make(ELSEWHERE), make()
    assert first.take() is None and first.held() and first.epoch == 1
    assert second.take() == ELSEWHERE == second.holder() and not second.held()
    first.renew()
    assert soon(lambda: second.take() is None) and second.epoch == 2
    assert not first.held()
    with pytest.raises(Fenced):
        first.renew()
    second.release()
    assert not second.held() and second.holder() is None
    assert first.take() is None and first.epoch == 3


def test_a_lease_of_a_process_of_this_machine_that_is_gone_is_free_at_once(make: Make) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert child.wait() == 0
    me = ourselves(None)
    assert me.seat and me.pid == os.getpid()
    assert make(Owner(me.host, child.pid, me.seat, "gone")).take() is None
    assert make().take() is None
    assert (living := make().take()) is not None and living.pid == me.pid


def test_nobody_stands_by_for_one_with_other_triggers(make: Make) -> None:
    assert make(ELSEWHERE).take() is None
    with pytest.raises(Misconfigured, match="other triggers"):
        make(law="b").take()


def test_an_epoch_never_comes_again_though_somebody_deletes_the_lease(
    make: Make, mongod: str, mongo: Client, database_name: str
) -> None:
    first = make(ELSEWHERE)
    first.take()
    with connect(mongod) as client:
        marks = {"lookup": Bookmark(Position({"_data": "81"}, (10, 1)))}
        Bookmarks(client, database_name, "eddy", 9).begin(marks)
        mongo[database_name]["_leases"].delete_many({})
        second = make()
        assert second.take() is None and second.epoch == 10
        Bookmarks(client, database_name, "eddy", 10).claim()
        for late in (Bookmarks(client, database_name, "eddy", 9).save, Bookmarks(client, database_name, "eddy", 9).begin):
            with pytest.raises(Fenced):
                late(marks)
        Bookmarks(client, database_name, "eddy", 9).claim()
        Bookmarks(client, database_name, "eddy", 10).save(marks)


def test_the_time_is_the_servers(make: Make, mongo: Client, database_name: str) -> None:
    first, second = make(ELSEWHERE), make()
    first.take()
    mongo[database_name]["_leases"].update_one({}, {"$set": {"until": DatetimeMS(0)}})
    assert first.held() and second.take() is None


def test_who_stands_by_lives_and_is_not_ready() -> None:
    board = Board("eddy")
    board.standing_by("there, process 5")
    assert board.alive().status == 200 and board.ready() == Answer(503, "standing by: there, process 5 relays\n")
    board.standing_by(None)
    assert board.ready() == Answer(503, "the producer is starting\n")


def test_one_that_is_paused_past_its_lease_and_goes_on_does_no_harm(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    spec = pipeline(stream.name, database_name, '[producer]\nlease = "1s"')
    first = start(spec, EDDY_WORKER="first").ready()
    second = start(spec, EDDY_WORKER="second")
    assert (said := soon(lambda: second.said("standing by"))) and said["holder"].startswith("first, process ")
    wanted = [write(mongo, database_name, 0, 300)]
    soon(lambda: relayed(mongo, database_name) > 0)
    os.kill(first.process.pid, signal.SIGSTOP)
    wanted.append(write(mongo, database_name, 300, 300))
    second.ready()
    wanted.append(write(mongo, database_name, 600, 300))
    soon(lambda: len({e.token for _, e in stream.events()}) == 900)
    os.kill(first.process.pid, signal.SIGCONT)
    assert first.end(None) == Fenced.status == 75
    wanted.append(write(mongo, database_name, 900, 100))
    soon(lambda: len({e.token for _, e in stream.events()}) == 1_000)
    assert (said := first.said("stopped", error="Fenced")) and "second, process " in said["what"]
    assert orders(stream.events()) == joined(*wanted)
    vouched: dict[str, int] = {}
    known: set[str] = set()
    for shard, _, message in stream.messages():
        if isinstance(message, Heartbeat):
            vouched[shard] = max(vouched.get(shard, 0), message.cluster)
        elif isinstance(message, Event) and message.id not in known:
            known.add(message.id)
            assert message.cluster >= vouched.get(shard, 0)
    third = start(spec.replace('routes = ["card"]', 'routes = ["n"]'))
    assert third.end(None) == Misconfigured.status and "other triggers" in "".join(third.raw)
    assert second.end() == 0
    assert mongo[database_name]["_leases"].find_one({"until": {"$lt": mongo.admin.command("hello")["localTime"]}})
