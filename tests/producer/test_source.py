"""Change streams of a real mongod: who is told what, where a stream goes on, and what it says when it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bson
import pytest
from bson import DatetimeMS, Timestamp
from bson.raw_bson import RawBSONDocument

from config.specs import Trigger
from contract.errors import HistoryLost, Misconfigured
from edge.mongo import Client
from producer import images
from producer.mongo import connect
from producer.relay import Position
from producer.source import Captured, Source, cluster_of, groups, now
from tests.producer.conftest import soon

Watch = Callable[..., Source]


@pytest.fixture
def client(mongod: str) -> Iterator[Client]:
    with connect(mongod) as client:
        yield client


@pytest.fixture
def trigger(database_name: str) -> Callable[..., Trigger]:
    def make(name: str = "pay", collection: str = "payments", **more: Any) -> Trigger:
        return Trigger(name, more.pop("database", database_name), collection, more.pop("routes", ("card",)), **more)

    return make


@pytest.fixture
def watch(client: Client) -> Iterator[Watch]:
    """watch(*triggers, position=None): the source of these triggers, which must be one group; from now on if no position."""
    sources: list[Source] = []

    def make(*triggers: Trigger, position: Position | None = None) -> Source:
        [group] = groups(triggers)
        images.ensure(client, triggers)
        sources.append(Source(client, group, position or now(client)))
        sources[-1].open()
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def read(source: Source, count: int) -> list[Captured]:
    """So many changes; and then none."""
    found: list[Captured] = []
    for _ in range(100):
        captured = source.next()
        if captured.change is not None:
            found.append(captured)
        elif len(found) >= count:
            break
    assert len(found) == count, [c.change for c in found]
    return found


def told(source: Source, count: int) -> list[tuple[str, Any]]:
    """(operation, id) of so many changes."""
    return [(c.change["operationType"], c.change["documentKey"]["_id"]) for c in read(source, count) if c.change is not None]


Make = Callable[..., Trigger]


def test_the_cluster_time_is_in_the_token(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    source = watch(trigger())
    started = source.position
    client[database_name].payments.insert_one({"_id": 1})
    [captured] = read(source, 1)
    assert captured.change is not None
    at: Timestamp = captured.change["clusterTime"]
    assert cluster_of(captured.change["_id"]) == captured.position.cluster == (at.time, at.inc)
    assert cluster_of(started.token) == started.cluster < captured.position.cluster


def test_an_idle_stream_comes_further_when_anything_is_written(
    client: Client, watch: Watch, trigger: Make, database_name: str
) -> None:
    source = watch(trigger())
    client[database_name].other.insert_one({})
    written = client.admin.command("ping")["operationTime"]
    for _ in range(50):
        captured = source.next()
        assert captured.change is None
        if captured.position.cluster >= (written.time, written.inc):
            return
    pytest.fail(f"the stream stands at {source.position.cluster}, the server at {written}")


@pytest.mark.parametrize(
    "token", [None, {}, {"_data": b"\x82"}, {"_data": "83" + "0" * 16}, {"_data": "8212"}, {"_data": "82" + "g" * 16}]
)
def test_a_token_of_an_unknown_form_has_no_time(token: Any) -> None:
    assert cluster_of(token) is None


def test_triggers_are_grouped_by_what_they_ask_of_the_server(trigger: Make) -> None:
    before, full, plain = trigger("b", before=True), trigger("f"), trigger("p", full_document=False)
    assert [(g.name, g.triggers) for g in groups([plain, full, before])] == [
        ("images", (before,)),
        ("lookup", (full,)),
        ("plain", (plain,)),
    ]


def test_the_server_filters_and_deletes_pass(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    source = watch(trigger(match={"status": {"$ne": "test"}}, operations=("insert", "update", "delete")))
    payments = client[database_name].payments
    payments.insert_many([{"_id": 1, "status": "ok"}, {"_id": 2, "status": "test"}, {"_id": 3}])
    payments.update_one({"_id": 1}, {"$set": {"n": 1}})
    payments.update_one({"_id": 2}, {"$set": {"n": 1}})
    payments.replace_one({"_id": 3}, {"status": "ok"})
    assert told(source, 3) == [("insert", 1), ("insert", 3), ("update", 1)]
    payments.delete_one({"_id": 2})
    assert told(source, 1) == [("delete", 2)]


def test_triggers_on_one_collection_each_get_what_is_theirs_and_the_server_is_asked_nothing(
    client: Client, watch: Watch, trigger: Make, database_name: str
) -> None:
    small = trigger("small", match={"tags": "x", "$or": [{"n": {"$lt": 5}}, {"n": None}]})
    all_of_them, inserts = trigger("all"), trigger("inserts", match={"n": {"$gt": 0}}, operations=("insert",))
    also, deletes = trigger("also"), trigger("deletes", match={"n": 1}, operations=("delete",))
    found = groups([small, all_of_them, inserts, also, deletes])
    assert [(g.name, [t.name for t in g.triggers]) for g in found] == [
        ("lookup", ["all", "also", "deletes"]), ("lookup/small", ["small"]), ("lookup/inserts", ["inserts"]),
    ]  # fmt: skip
    sources = [watch(*group.triggers) for group in found]
    payments = client[database_name].payments
    payments.insert_many([{"_id": 1, "n": 1, "tags": ["x", "y"]}, {"_id": 2, "n": 9, "tags": "x"}, {"_id": 3, "tags": "x"}])
    payments.update_one({"_id": 2}, {"$set": {"n": 2}})
    payments.delete_one({"_id": 1})
    told_of: dict[str, list[str]] = {}
    for source, count in zip(sources, (5, 4, 2), strict=True):
        for captured in read(source, count):
            assert captured.change is not None
            for one in captured.triggers:
                told_of.setdefault(one.name, []).append(
                    f"{captured.change['operationType']} {captured.change['documentKey']['_id']}"
                )
    everything = ["insert 1", "insert 2", "insert 3", "update 2", "delete 1"]
    assert told_of == {
        "all": everything, "also": everything, "deletes": ["delete 1"], "inserts": ["insert 1", "insert 2"],
        "small": ["insert 1", "insert 3", "update 2", "delete 1"],
    }  # fmt: skip


def test_a_whole_database_is_watched_and_what_is_dropped_or_renamed_is_told_while_the_rest_goes_on(
    client: Client, watch: Watch, trigger: Make, database_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = watch(trigger("all", "*"), trigger("pay"))
    database = client[database_name]
    for name in ("payments", "carts"):
        database[name].insert_one({"_id": name})
    database.carts.rename("baskets")
    database.baskets.insert_one({"_id": "b"})
    database.payments.drop()
    database.payments.insert_one({"_id": "again"})
    found = read(source, 4)
    assert [([t.name for t in c.triggers], c.change["documentKey"]["_id"]) for c in found if c.change] == [
        (["all", "pay"], "payments"), (["all"], "carts"), (["all"], "b"), (["all", "pay"], "again"),
    ]  # fmt: skip
    said = capsys.readouterr()
    lines = [line for line in (said.out + said.err).splitlines() if "namespace changed" in line]
    assert len(lines) == 2 and "rename" in lines[0] and "baskets" in lines[0] and "drop" in lines[1] and "pay" in lines[1]


def test_a_watch_of_everything_leaves_the_views_database_out(
    client: Client, watch: Watch, trigger: Make, database_name: str
) -> None:
    views = f"{database_name}_views"
    source = watch(trigger("all", "*", database="*", apart=views, match={"mine": database_name}))
    try:
        for n, name in enumerate((views, database_name)):
            client[name].anything.insert_one({"_id": n, "mine": database_name})
        assert told(source, 1) == [("insert", 1)]
    finally:
        client.drop_database(views)


def test_what_a_backfill_has_brought_is_not_told_again(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    [group] = groups([trigger("old"), trigger("new")])
    position = now(client)
    client[database_name].payments.insert_one({"_id": 1})
    since = client.admin.command("ping")["operationTime"]
    client[database_name].payments.insert_one({"_id": 2})
    source = Source(client, group, position, {"new": since})
    assert [[t.name for t in c.triggers] for c in read(source, 2)] == [["old"], ["old", "new"]]
    source.close()


def test_one_stream_serves_several_collections_and_databases(
    client: Client, watch: Watch, trigger: Make, database_name: str
) -> None:
    other = f"{database_name}_b"
    source, whole = watch(trigger(), trigger("c", "carts")), watch(trigger(), trigger("far", "far", database=other))
    try:
        for n, table in enumerate(client[database_name][c] for c in ("payments", "carts", "ignored")):
            table.insert_one({"_id": n})
        client[other].far.insert_one({"_id": 3})
        assert told(source, 2) == [("insert", 0), ("insert", 1)]
        assert told(whole, 2) == [("insert", 0), ("insert", 3)]
    finally:
        client.drop_database(other)


def test_with_before_the_stored_documents_come_along(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    payments = client[database_name].payments
    payments.insert_one({"_id": 1, "n": 0})  # the collection is there, without images
    source = watch(trigger(before=True), trigger("fresh", "fresh", before=True))
    for n in (1, 2):
        payments.update_one({"_id": 1}, {"$set": {"n": n}})
    payments.delete_one({"_id": 1})
    client[database_name].fresh.insert_one({"_id": 2})
    found = [(c.change.get("fullDocumentBeforeChange"), c.change.get("fullDocument")) for c in read(source, 4) if c.change]
    docs = [{"_id": 1, "n": n} for n in range(3)]
    assert found == [(docs[0], docs[1]), (docs[1], docs[2]), (docs[2], None), (None, {"_id": 2})]


def test_a_missing_image_is_lost_history(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    source = watch(trigger(before=True))
    payments = client[database_name].payments
    payments.insert_one({"_id": 1})
    client[database_name].command("collMod", "payments", changeStreamPreAndPostImages={"enabled": False})
    payments.update_one({"_id": 1}, {"$set": {"n": 1}})
    with pytest.raises(HistoryLost, match="image"):
        read(source, 2)


@pytest.mark.parametrize("whole", [False, True])
def test_it_goes_on_after_a_drop(client: Client, watch: Watch, trigger: Make, database_name: str, whole: bool) -> None:
    """A drop ends a collection's stream, a drop of the database also a database's; a bookmark of that moment works, too."""
    triggers = [trigger(), trigger("c", "carts")] if whole else [trigger()]
    source = watch(*triggers)
    payments = client[database_name].payments
    payments.insert_one({"_id": 1})
    client.drop_database(database_name)
    payments.insert_one({"_id": 2})
    assert told(source, 2) == [("insert", 1), ("insert", 2)]
    payments.insert_one({"_id": 3})
    assert told(watch(*triggers, position=source.position), 1) == [("insert", 3)]


@pytest.mark.parametrize(
    "token", [{"_data": "82"}, {"_data": "no hex"}, {"_data": "8200000001000000012B0229296E04FF"}, {"other": 1}]
)
def test_a_token_that_is_refused_is_replaced_by_its_cluster_time(
    client: Client, watch: Watch, trigger: Make, database_name: str, token: dict[str, str]
) -> None:
    position = now(client)
    client[database_name].payments.insert_one({"_id": 1})
    source = watch(trigger(), position=Position(token, position.cluster))
    assert told(source, 1) == [("insert", 1)]


def test_what_python_cannot_hold_does_not_end_the_stream(client: Client, watch: Watch, trigger: Make, database_name: str) -> None:
    source = watch(trigger())
    bad = RawBSONDocument(bson.encode({"_id": 2, "t": "a?b"}).replace(b"a?b", b"a\xffb"))
    client[database_name].payments.insert_one({"_id": 1, "at": DatetimeMS(300_000_000_000_000)})
    client[database_name].payments.insert_one(bad)
    far, broken = [c.change["fullDocument"] for c in read(source, 2) if c.change is not None]
    assert int(far["at"]) == 300_000_000_000_000 and broken["t"] == "a\ufffdb"


def test_a_match_that_the_server_refuses_is_told_with_its_trigger(watch: Watch, trigger: Make) -> None:
    with pytest.raises(Misconfigured) as raised:
        watch(trigger("odd", match={"n": {"$nope": 1}}))
    assert "odd" in str(raised.value) and "$nope" in str(raised.value)


def test_a_position_never_lies_inside_a_change_that_comes_in_fragments(
    client: Client, watch: Watch, trigger: Make, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server here is too old to send any: what it sends is dealt out as a newer one does it, on its way to the source."""
    source = watch(trigger())
    client[database_name].payments.insert_many([{"_id": n} for n in range(2)])
    stream = source._stream
    assert stream is not None
    first = soon(stream.try_next)
    parts = [
        {k: v for k, v in first.items() if k != "fullDocument"} | {"splitEvent": {"fragment": 1, "of": 2}},
        {"_id": first["_id"], "fullDocument": first["fullDocument"], "splitEvent": {"fragment": 2, "of": 2}},
    ]
    before, rest = source.position, stream.try_next
    monkeypatch.setattr(stream, "try_next", lambda: parts.pop(0) if parts else rest())
    assert source.next() == Captured(None, (), before) and source.position == before
    [one, two] = read(source, 2)
    assert [c.change["fullDocument"]["_id"] for c in (one, two) if c.change] == [0, 1]
    assert one.position.token == first["_id"]
