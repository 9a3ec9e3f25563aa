"""What an operator asks of the producer: a bounded run, a look without effect, a stream that is made, how much history is left."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace

import pytest

from contract.errors import Misconfigured
from producer import images, oplog
from producer.board import Board, Shown
from producer.mongo import connect
from producer.source import Source, groups, now
from tests.conftest import Client
from tests.exposition import parse
from tests.producer.conftest import Start, Stream, client, pipeline
from tests.producer.test_mongod import BEFORE, Own, own, standalone_without_history
from tests.producer.test_producer import orders, write

__all__ = ["own"]


def test_once_relays_what_is_there_and_ends(start: Start, stream: Stream, mongo: Client, database_name: str) -> None:
    assert start(None, "--once").end(None) == 0  # from now on
    wanted = write(mongo, database_name, 0, 120)
    running = start(None, "--once")
    assert running.end(None) == 0
    assert orders(stream.events()) == wanted
    assert (said := running.said("ended")) and said["acknowledged"] == 120 and said["waiting"] == 0
    [mark] = mongo[database_name]["_bookmarks"].find()
    assert mark["relayed"] == 120


def test_a_dry_run_shows_what_would_be_sent_and_changes_nothing(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    assert start(None, "--once").end(None) == 0
    before = list(mongo[database_name]["_bookmarks"].find())
    mongo[database_name].payments.insert_many([{"_id": n, "n": n, "card": "ü"} for n in range(3)])
    running = start(None, "--dry-run", "--once")
    assert running.process.stdout is not None
    lines = [json.loads(line) for line in running.process.stdout]
    assert running.end(None) == 0
    assert [(line["trigger"], line["partition_key"], line["record"]["document"]["n"]) for line in lines] == [
        ("pay", "card:t:ü", n) for n in range(3)
    ]
    assert stream.events() == [] and list(mongo[database_name]["_bookmarks"].find()) == before


@pytest.mark.parametrize(("words", "shards"), [((), None), (("--shards", "3"), 3)])
def test_a_stream_is_made_only_where_that_is_asked_for(
    start: Start, stream: Stream, database_name: str, words: tuple[str, ...], shards: int | None
) -> None:
    name = f"made-{uuid.uuid4().hex[:8]}"
    spec = pipeline(name, database_name)
    running = start(spec, "--once")
    assert running.end(None) == Misconfigured.status and "--create-stream" in "".join(running.raw)
    assert start(spec, "--once", "--create-stream", *words).end(None) == 0
    there = client(stream.url).list_shards(StreamName=name)["Shards"]
    assert len(there) == shards if shards is not None else there


def test_how_much_history_is_left_is_known_once_some_is_gone(own: Own, start: Start) -> None:
    with connect(own.uri) as mongo:
        assert oplog.first(mongo) is None
        mongo.shop.payments.insert_many([{"n": n} for n in range(200)])
    own.down()
    standalone_without_history(own, start)
    own.up()
    with connect(own.uri) as mongo:
        oldest = oplog.first(mongo)
        assert oldest is not None and oldest <= now(mongo).cluster[0]


@pytest.mark.parametrize(("headroom", "shown"), [(7_200, 7_200.0), (None, None)])
def test_the_headroom_is_shown_where_it_is_known(headroom: int | None, shown: float | None) -> None:
    board = Board("eddy")
    board.show(Shown(headroom=headroom))
    family = parse(board.metrics().text).get("eddy_producer_oplog_headroom_seconds")
    assert (None if family is None else family.value(stream="eddy")) == shown


def test_images_are_switched_on_again_when_a_drop_is_seen(mongod: str, mongo: Client, database_name: str) -> None:
    trigger = replace(BEFORE, database=database_name)
    with connect(mongod) as own_client:
        images.ensure(own_client, [trigger])
        [group] = groups([trigger])
        source = Source(own_client, group, now(own_client))
        source.open()
        mongo[database_name].payments.drop()
        mongo[database_name].create_collection("payments")
        assert not images._switched_on(own_client, database_name, "payments")
        for _ in range(50):
            source.next()
            if images._switched_on(own_client, database_name, "payments"):
                break
        assert images._switched_on(own_client, database_name, "payments")
        source.close()
