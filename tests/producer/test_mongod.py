"""A mongod of the test's own, which is killed, forgets its history, loses its replica set, and keeps its doors shut."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo import MongoClient

from config.specs import Trigger
from contract.errors import HistoryLost, Misconfigured
from contract.event import Event, Gap
from producer import images
from producer.mongo import connect
from producer.snapshot import Snapshot, begin
from producer.source import Source, groups, now
from tests.conftest import Client, die_with_parent, free_port, initiate, mongod_binary, start_mongod, stop, until
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.test_producer import joined, orders, write

BEFORE = Trigger("pay", "shop", "payments", ("card",), before=True)


@dataclass
class Own:
    """Its folder and port; its process, once it is up."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def up(self, replica_set: str | None = "rs0") -> Client:
        """Start it where it was and wait until it can be written to."""
        self.process = start_mongod(self.folder, self.port, replica_set)
        client: Client = MongoClient(self.uri, serverSelectionTimeoutMS=500)
        until(lambda: client.admin.command("hello")["isWritablePrimary"])
        return client

    def down(self, kill: bool = False) -> None:
        """End it: in order, or with kill -9."""
        if self.process is not None:
            if kill:
                self.process.kill()
            stop(self.process)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    own = Own(tmp_path / "db")
    own.process = start_mongod(own.folder, own.port)
    try:
        initiate(own.port)
        yield own
    finally:
        own.down()


def test_a_mongod_that_is_killed_loses_nothing_and_one_that_lost_its_history_says_so(
    own: Own, start: Start, stream: Stream, database_name: str
) -> None:
    running = start(MONGODB_URI=own.uri).ready()
    client: Client = MongoClient(own.uri, serverSelectionTimeoutMS=500)
    wanted = [write(client, database_name, 0, 200)]
    soon(stream.events)
    own.down(kill=True)
    soon(lambda: running.said("waiting"))
    wanted.append(write(own.up(), database_name, 200, 200))
    soon(lambda: len({e.id for _, e in stream.events()}) == 400, 40)
    assert orders(stream.events()) == {k: [n for part in wanted for n in part.get(k, [])] for part in wanted for k in part}
    assert running.end() == 0 and running.said("going on")
    own.down()
    standalone_without_history(own, start)
    own.up()
    late = start(MONGODB_URI=own.uri)
    assert late.end(None) == HistoryLost.status == 76
    said = late.said("stopped", error="HistoryLost")
    assert said and "oplog" in said["what"] and "restart --from now" in said["what"]


def standalone_without_history(own: Own, start: Start) -> None:
    """The same data without a replica set, which is no use; and there the oplog can be cut off, as time does it."""
    client = own.up(replica_set=None)
    running = start(MONGODB_URI=own.uri)
    assert running.end(None) == Misconfigured.status
    assert (said := running.said("stopped")) and "replica set" in said["what"] and "40573" in said["what"]
    oplog = client.local["oplog.rs"]
    [newest] = oplog.find().sort("$natural", -1).limit(1)
    assert oplog.delete_many({"ts": {"$lt": newest["ts"]}}).deleted_count > 100
    own.down()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """Host and port of a mongod with users: `reader` may read shop, `stranger` may not."""
    folder, port, key = tmp_path / "guarded", free_port(), tmp_path / "key"
    key.write_text("a key of the test " * 3)
    key.chmod(0o600)
    folder.mkdir()
    command = [str(mongod_binary()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    command += ["--replSet", "rs0", "--keyFile", str(key), "--wiredTigerCacheSizeGB", "0.25", "--logpath", str(folder / "log")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509
    try:
        initiate(port)
        with MongoClient[dict[str, object]]("127.0.0.1", port, directConnection=True) as client:
            client.admin.command("createUser", "root", pwd="p", roles=["root"])
        with MongoClient[dict[str, object]]("127.0.0.1", port, directConnection=True, username="root", password="p") as root:
            mine = {"role": "readWrite", "db": "eddy"}
            root.admin.command("createUser", "reader", pwd="p", roles=[{"role": "read", "db": "shop"}, mine])
            root.admin.command("createUser", "stranger", pwd="p", roles=[mine])
            root.shop.payments.insert_one({})
        yield f"127.0.0.1:{port}"
    finally:
        stop(process)


def test_rights_that_are_missing_are_named(guarded: str) -> None:
    def uri(user: str) -> str:
        return f"mongodb://{user}:p@{guarded}/?authSource=admin&directConnection=true"

    [group] = groups([Trigger("pay", "shop", "payments", ("card",))])
    with connect(uri("reader")) as client:
        source = Source(client, group, now(client))
        source.open()
        assert source.next().change is None
        source.close()
        with pytest.raises(Misconfigured) as raised:
            images.ensure(client, [BEFORE])
        wanted = "db.getSiblingDB('shop').runCommand({collMod: 'payments', changeStreamPreAndPostImages: {enabled: true}})"
        assert wanted in str(raised.value)
    with connect(uri("stranger")) as client, pytest.raises(Misconfigured) as raised:
        Source(client, group, now(client)).open()
    assert "changeStream" in str(raised.value) and "shop.payments" in str(raised.value)


def test_history_that_is_lost_is_a_gap_in_front_of_all_that_comes_behind_it_where_the_pipeline_says_so(
    own: Own, start: Start, stream: Stream, database_name: str
) -> None:
    running = start(MONGODB_URI=own.uri).ready()
    client: Client = MongoClient(own.uri, serverSelectionTimeoutMS=500)
    write(client, database_name, 0, 200)
    soon(lambda: len(stream.events()) == 200)
    assert running.end() == 0
    [stood] = client[database_name]["_bookmarks"].find()
    write(client, database_name, 200, 200)
    own.down()
    standalone_without_history(own, start)
    client = own.up()
    going_on = pipeline(stream.name, database_name, '[producer]\non_history_lost = "gap_and_continue"')
    running = start(going_on, MONGODB_URI=own.uri).ready()
    assert (said := running.said("history lost, going on behind it")) and "oplog" in said["why"]
    wanted = write(client, database_name, 400, 50)
    soon(lambda: len({e.id for _, e in stream.events()}) == 250)
    assert running.end() == 0
    behind: dict[str, Gap] = {}
    for shard, _, message in stream.messages():
        if isinstance(message, Gap):
            assert shard not in behind
            behind[shard] = message
        elif isinstance(message, Event) and message.document is not None:
            assert (message.document["n"] >= 400) == (shard in behind)
    assert len(behind) == 2 and len({*behind.values()}) == 1
    gap = next(iter(behind.values()))
    assert gap.triggers == ("pay",) and gap.begin == stood["cluster"].time * 1000
    assert gap.end >= client.admin.command("ping")["operationTime"].time * 1000 - 60_000
    assert orders([(key, e) for key, e in stream.events() if (e.document or {})["n"] >= 400]) == wanted
    [mark] = client[database_name]["_bookmarks"].find()
    assert mark["gap"] is None


def test_a_primary_that_steps_down_while_changes_are_relayed_costs_nothing(
    own: Own, start: Start, stream: Stream, database_name: str
) -> None:
    running = start(MONGODB_URI=own.uri).ready()
    client: Client = MongoClient(own.uri, serverSelectionTimeoutMS=500)
    wanted = [write(client, database_name, 0, 300)]
    soon(stream.events)
    client.admin.command({"replSetStepDown": 60, "force": True})
    client.admin.command({"replSetFreeze": 0})
    until(lambda: client.admin.command("hello")["isWritablePrimary"])
    wanted.append(write(client, database_name, 300, 300))
    soon(lambda: len({e.id for _, e in stream.events()}) == 600, 60)
    assert orders(stream.events()) == joined(*wanted)
    assert running.end() == 0


def test_a_backfill_that_outlasts_what_the_server_keeps_goes_on_with_a_later_snapshot(own: Own) -> None:
    trigger, start = Trigger("pay", "shop", "payments", ("card",), "at"), datetime(2025, 1, 1, tzinfo=UTC)
    with connect(own.uri) as client:
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
        table = client.shop.payments
        table.insert_many([{"_id": n, "at": start + timedelta(seconds=n)} for n in range(0, 4_000, 2)])
        at = client.admin.command("ping")["operationTime"]
        snapshot = Snapshot(client, trigger, begin(client, trigger, at, None), 60_000)
        found = [snapshot.next().change for _ in range(500)]
        table.insert_many([{"_id": n, "at": start + timedelta(seconds=n)} for n in range(1, 4_000, 2)])
        for _ in range(12):  # the server forgets with time, and only where something is written
            client.shop.other.insert_one({})
            time.sleep(0.5)
        while not snapshot.place.done:
            found.append(snapshot.next().change)
        assert snapshot.place.at > snapshot.place.begun
    assert [change["documentKey"]["_id"] for change in found if change is not None] == list(range(0, 4_000, 2))
