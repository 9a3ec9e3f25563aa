"""What was there before a trigger, relayed in front of its changes, on a real mongod and emulator, and counted by the consumer."""

from __future__ import annotations

import os
import random
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import Timestamp

from config.load import parse
from contract.errors import Misconfigured
from contract.event import Event
from producer import backfill
from producer.ledger import Ledger
from producer.mongo import connect
from producer.snapshot import Snapshot, begin, place
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.consumed import consume
from tests.producer.gate import Answer as Reply
from tests.producer.gate import Gate, Json, lost, passes
from tests.producer.test_producer import relayed

# without an index all of it is put at once, and how soon the lost answers come to a second try differs by minutes
LONGER = pytest.mark.skipif("EDDY_SOAK" not in os.environ, reason="one of the longer tests: make soak")
Relayed = list[tuple[str, Event]]
MANY = 2_500
START = datetime(2025, 11, 1, tzinfo=UTC)
HOURS = 24 * 2
WINDOWS = """
[[windows]]
name = "hourly"
trigger = "pay"
key = "card"
tumbling = { size = "1h" }
late = "drop"
measures = { n = "count()", total = "sum(n)" }
"""


def toml(stream: Stream, database: str, trigger: str = 'time = "at"') -> str:
    return pipeline(stream.name, database, WINDOWS, trigger)


def document(n: int, at: datetime) -> dict[str, Any]:
    return {"_id": n, "n": n, "card": f"c{n % 23}", "at": at}


def old_documents(count: int) -> list[dict[str, Any]]:
    """In an order that is not that of their times."""
    pick = random.Random(7)
    found = [document(n, START + timedelta(milliseconds=pick.randrange(HOURS * 3_600_000))) for n in range(count)]
    pick.shuffle(found)
    return found


def lost_for_ever(gate: Gate, asked: Json) -> Reply:
    """It is stored, and whoever put it never hears of it."""
    gate.faults["PutRecords"].append(lost_for_ever)
    return lost(gate, asked)


def counted(stream: Stream, text: str, out: Path) -> dict[tuple[Any, Any], tuple[int, int]]:
    """What the consumer makes of it, with nothing late and nothing that it could not use: (key, start) -> (n, total)."""
    views, counters = consume(parse(text), stream, out)
    assert all(one.classes["late"] == one.classes["dead_letter"] == 0 and not one.late_by_set for one in counters), counters
    assert sum(one.classes["repeat"] for one in counters) > 0, "what was on its way when it was killed"
    return {(view["key"], view["start"]["$date"][:19]): (view["n"], view["total"]) for view in views["hourly"] if view["final"]}


@pytest.mark.parametrize("indexed", [True, pytest.param(False, marks=LONGER)])
def test_each_document_is_counted_once_whatever_is_written_meanwhile_and_however_it_ends(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str, tmp_path: Path, indexed: bool
) -> None:
    table = mongo[database_name].payments
    table.insert_many(old_documents(MANY))
    if indexed:
        table.create_index("at")
    text = toml(stream, database_name)
    stop, written = threading.Event(), [MANY]

    def writes() -> None:
        while not stop.wait(0.02):
            n = written[0]
            table.insert_one(document(n, datetime.now(UTC)))
            table.update_one({"_id": n % MANY}, {"$set": {"touched": True}})
            written[0] += 1

    writer = threading.Thread(target=writes, daemon=True)
    writer.start()
    try:
        gate.faults["PutRecords"] = [passes, passes, passes, lost_for_ever]
        first = start(text, command=("backfill", "--trigger", "pay"), AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url)
        soon(lambda: len(gate.asked) > 4, 120)  # the fourth is on the stream, and was put again
        first.end(9)
        ledger = mongo[database_name]["_triggers"].find_one()
        assert ledger is not None and not ledger["backfill"]["done"]
        refused = start(text)
        assert refused.end(None) == Misconfigured.status and "not at its end" in str(refused.said("stopped"))
        again = start(text, command=("backfill", "--trigger", "pay"))
        assert again.end(None) == 0, again.raw
        assert again.said("backfill goes on") and (done := again.said("backfilled")) and done["documents"] >= MANY
        assert bool(first.said("no index serves the order of events, so it is that of _id")) is not indexed
        running = start(text).ready()
        soon(lambda: written[0] > MANY + 150, 60)
    finally:
        stop.set()
        writer.join()
    end = mongo.admin.command("ping")["operationTime"]
    soon(lambda: mongo[database_name]["_bookmarks"].find_one({"cluster": {"$gt": end}}), 60)
    assert running.end() == 0
    events = stream.events()
    olds = [event for _, event in events if event.origin == "backfill"]
    assert {e.document["n"] for e in olds if e.document} == set(range(done["documents"])), "and nothing that was written since"
    assert done["documents"] < written[0] - 50
    wanted: dict[tuple[Any, Any], tuple[int, int]] = {}
    for one in table.find():
        hour = one["at"].replace(minute=0, second=0, microsecond=0)
        key = one["card"], hour.strftime("%Y-%m-%dT%H:%M:%S")
        n, total = wanted.get(key, (0, 0))
        wanted[key] = n + 1, total + one["n"]
    assert counted(stream, text, tmp_path) == wanted


def test_it_comes_in_the_order_of_events_and_vouches_for_nothing_that_is_still_to_come(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    table = mongo[database_name].payments
    table.insert_many(old_documents(3_000))
    table.create_index([("at", 1), ("card", 1)])
    assert start(toml(stream, database_name), command=("backfill", "--trigger", "pay")).end(None) == 0
    assert not stream.heartbeats()
    by_shard: dict[str, list[Event]] = {}
    for shard, _, message in stream.messages():
        assert isinstance(message, Event) and message.origin == "backfill"
        by_shard.setdefault(shard, []).append(message)
    assert len(by_shard) == 2
    for events in by_shard.values():
        vouched = 0
        for event in events:
            assert event.at is not None and event.at >= vouched and event.cluster <= event.at
            vouched = max(vouched, event.cluster)
        assert vouched > events[0].cluster
    tokens: dict[str, str] = {}
    for key, event in stream.events():
        assert tokens.get(key, "") < event.token
        tokens[key] = event.token
    running = start(toml(stream, database_name)).ready()
    table.insert_one(document(9_999, datetime.now(UTC)))
    soon(lambda: relayed(mongo, database_name) == 1)
    assert running.end() == 0
    [(key, live)] = [(key, event) for key, event in stream.events() if event.origin == "stream"]
    assert live.token > tokens[key]


def test_what_was_relayed_live_is_refused_and_so_is_a_stream_that_a_producer_uses(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    text = toml(stream, database_name)
    mongo[database_name].payments.insert_many(old_documents(20))
    running = start(text).ready()
    soon(lambda: mongo[database_name]["_triggers"].find_one({"live": True}))
    busy = start(text, command=("backfill", "--trigger", "pay"))
    assert busy.end(None) == Misconfigured.status and "relays this stream" in str(busy.said("stopped"))
    assert running.end() == 0
    late = start(text, command=("backfill", "--trigger", "pay", "--late"))
    assert late.end(None) == Misconfigured.status
    assert "relayed live since" in str(said := late.said("stopped")) and "another name" in str(said)
    more = text + f'[[trigger]]\nname = "new"\ndatabase = "{database_name}"\ncollection = "payments"\nroutes = ["card"]\n'
    used = start(more, command=("backfill", "--trigger", "new"))
    assert used.end(None) == Misconfigured.status and "--late" in str(used.said("stopped"))
    assert start(more, command=("backfill", "--trigger", "new", "--late")).end(None) == 0
    assert {e.trigger for _, e in stream.events()} == {"new"}
    twice = start(more, command=("backfill", "--trigger", "new", "--late"))
    assert twice.end(None) == Misconfigured.status and "backfilled already" in str(twice.said("stopped"))
    running = start(more).ready()
    mongo[database_name].payments.insert_one(document(100, datetime.now(UTC)))
    soon(lambda: sum(e.document == document(100, e.document["at"]) for _, e in stream.events() if e.document) == 2)
    assert running.end() == 0
    assert sum(e.trigger == "new" for _, e in stream.events()) == 21


def test_given_up_it_counts_as_done_and_live_changes_begin_where_it_was_read_as_of(
    start: Start, stream: Stream, mongo: Client, mongod: str, database_name: str
) -> None:
    text = toml(stream, database_name)
    mongo[database_name].payments.insert_many(old_documents(20))
    with connect(mongod) as client:
        [trigger] = parse(text).triggers
        at = client.admin.command("ping")["operationTime"]
        Ledger(client, database_name, stream.name).backfill("pay", at, begin(client, trigger, at, None).document())
    mongo[database_name].payments.insert_one(document(50, datetime.now(UTC)))
    assert start(text, command=("backfill", "--trigger", "pay", "--give-up")).end(None) == 0
    again = start(text, command=("backfill", "--trigger", "pay", "--give-up"))
    assert again.end(None) == Misconfigured.status
    running = start(text).ready()
    soon(lambda: [e.doc_id for _, e in stream.events()] == [50])
    assert running.end() == 0


@pytest.mark.parametrize(
    ("names", "since", "said"),
    [
        (["nobody"], None, "there is no such trigger"),
        (["all"], None, "more than one collection"),
        (["updates"], None, '"insert"'),
        (["plain"], "7d", "no `time`"),
        (["pay"], "yesterday", "is no time"),
    ],
)
def test_what_cannot_be_backfilled_is_told(names: list[str], since: str | None, said: str) -> None:
    more = ""
    for name, collection, words in (
        ("all", "*", 'time = "at"'), ("updates", "c", 'operations = ["update"]\ntime = "at"'), ("plain", "c", ""),
    ):  # fmt: skip
        more += f'[[trigger]]\nname = "{name}"\ndatabase = "d"\ncollection = "{collection}"\nroutes = ["card"]\n{words}\n'
    spec = parse(pipeline("s", "d", more, 'time = "at"').replace('[views]\ndatabase = "d"', ""))
    with pytest.raises(Misconfigured, match=said):
        backfill.asked(spec, names, since)
    assert backfill.asked(spec, ["pay"], "1d", lambda: 86_400.5)[1] == 500
    assert backfill.asked(spec, ["pay"], "1970-01-01T00:00:01Z")[1] == 1_000


def read(snapshot: Snapshot) -> list[Any]:
    found = []
    while not snapshot.place.done:
        captured = snapshot.next()
        if captured.change is not None:
            found.append(captured.change["documentKey"]["_id"])
    return found


@pytest.mark.parametrize("indexed", [True, False])
def test_beyond_what_the_server_keeps_a_later_snapshot_goes_on_without_what_comes_live(
    mongod: str, mongo: Client, database_name: str, indexed: bool
) -> None:
    table = mongo[database_name].payments
    table.insert_many([{"_id": n, "card": "c", "at": START + timedelta(seconds=n // 3)} for n in range(0, 4_000, 2)])
    if indexed:
        table.create_index("at")
    [trigger] = parse(
        pipeline("s", database_name, trigger='time = "at"').replace(f'[views]\ndatabase = "{database_name}"', "")
    ).triggers
    with connect(mongod) as client:
        at = client.admin.command("ping")["operationTime"]
        snapshot = Snapshot(client, trigger, begin(client, trigger, at, None), 60_000)
        first = [snapshot.next().change for _ in range(1_500)]
        half = place(dict(snapshot.position.token or {}))
        snapshot.close()
        table.insert_many([{"_id": n, "card": "c", "at": START + timedelta(seconds=n // 3)} for n in range(1, 4_000, 2)])
        table.delete_one({"_id": 3_998})
        table.update_one({"_id": 3_996}, {"$set": {"later": True}})
        late = Snapshot(client, trigger, half, 60_000)
        late._next_stretch(OSError())  # type: ignore[arg-type]
        found = read(late)
        late.close()
    assert [c["documentKey"]["_id"] for c in first if c] + found == list(range(0, 3_998, 2))


def test_an_index_that_does_not_hold_every_document_once_is_not_used(mongod: str, mongo: Client, database_name: str) -> None:
    table = mongo[database_name].payments
    [trigger] = parse(
        pipeline("s", database_name, trigger='time = "at"').replace(f'[views]\ndatabase = "{database_name}"', "")
    ).triggers
    table.insert_many([{"_id": 1, "at": START}, {"_id": 2}, {"_id": 3, "at": START}])
    with connect(mongod) as client:

        def index() -> list[str]:
            return list(begin(client, trigger, Timestamp(1, 1), None).index)

        for options in ({"sparse": True}, {"partialFilterExpression": {"n": 1}}, {"collation": {"locale": "de"}}):
            table.create_index("at", **options)  # type: ignore[arg-type]
            assert index() == ["_id"]
            table.drop_index("at_1")
        table.create_index([("at", -1)])
        assert index() == ["_id"]
        table.create_index([("at", 1), ("tags", 1)])
        assert index() == ["at", "tags"]
        table.insert_one({"_id": 4, "at": START, "tags": [1, 2]})
        assert index() == ["_id"], "it holds a document once for each tag"
        table.create_index("at")
        assert index() == ["at"]
