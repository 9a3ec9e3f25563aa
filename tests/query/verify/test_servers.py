"""What the check asks of a server: no rights to write, a moment to read at if there is one, history as far as the oplog reaches."""

from __future__ import annotations

import io
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from rich.console import Console

from consumer.runner import Runner
from consumer.store.contract import ShardId
from consumer.store.mongo import MongoStore
from edge.mongo import connect
from query.__main__ import main
from query.verify import Question, Report, Verification
from query.verify.history import history
from query.verify.show import bar
from sandbox import mongod as server
from sandbox.processes import stop
from tests.conftest import Client, free_port, until
from tests.query.verify.conftest import HALVES, Shop, Verify, feed, fill, holds, made
from tests.query.verify.shop_run import Happened, happened

Document = dict[str, Any]


def begin(seconds: int = 180) -> int:
    """So long ago, ms."""
    return int(time.time() * 1_000) - seconds * 1_000


@pytest.fixture
def empty(mongod: str, mongo: Client, tmp_path: Path) -> Iterator[Shop]:
    """A shop without anything in it."""
    shop = made(mongod, mongo, f"test_{uuid.uuid4().hex[:12]}", tmp_path)
    yield shop
    for database in (shop.source, shop.views):
        mongo.drop_database(database.name)


def checked(shop: Shop) -> Report:
    return Verification(connect(shop.uri, "test"), shop.spec, Question(), wait=lambda seconds: time.sleep(seconds / 20)).run()


def test_rights_to_read_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("c2VjcmV0" * 8)
    (tmp_path / "key").chmod(0o600)
    guarded = server.start(tmp_path, free_port(), leashed=True, more=["--auth", "--keyFile", str(tmp_path / "key")])
    try:
        server.ready(guarded, tmp_path)
        where = f"127.0.0.1:{guarded.port}/?directConnection=true"
        with MongoClient[Document](server.uri(guarded.port)) as client:
            client.admin.command("createUser", "root", pwd="p", roles=["root"])
        root = f"mongodb://root:p@{where}"
        with MongoClient[Document](root, tz_aware=True) as client:
            shop = made(root, client, "guarded", tmp_path)
            fill(shop, happened(shop.spec, count=120, seconds=10, quiet=30, begin=begin()))
            roles = [{"role": "read", "db": database.name} for database in (shop.source, shop.views)]
            client.admin.command("createUser", "reader", pwd="p", roles=roles)
            client.admin.command("createUser", "half", pwd="p", roles=roles[1:])
            payment = shop.source.transactions.find_one({"amount": {"$gt": 3}})
            shop.source.transactions.update_one({"_id": payment["_id"]}, {"$set": {"amount": 10**6}})
        monkeypatch.setenv("MONGODB_URI", f"mongodb://reader:p@{where}")
        monkeypatch.setenv("EDDY_CONFIG", str(tmp_path / "pipeline.toml"))
        assert main(["verify"]) == 0, "the oplog too is told to who may read"
        said = capsys.readouterr().out
        assert "verify: 0 of" in said and "updated: " in said and "note:" not in said
        monkeypatch.setenv("MONGODB_URI", f"mongodb://half:p@{where}")
        assert main(["verify"]) == 77
        assert "refuses these credentials" in capsys.readouterr().err
    finally:
        stop(guarded, 20)


def test_events_that_the_shard_has_not_read_yet(empty: Shop) -> None:
    """All is in the source; two thirds of it are in the views."""
    day = happened(empty.spec, count=600, seconds=30, quiet=0, begin=begin())
    for trigger in empty.spec.triggers:
        empty.source[trigger.collection].insert_many([row.document for row in day.rows[trigger.name]])
    feed(empty, Happened(day.rows, day.raws[: len(day.raws) * 2 // 3]))
    report = checked(empty)
    assert (report.examples, report.differ) == ([], 0)
    assert set(report.unverifiable) == {"young"}
    assert report.checked > 500


def test_views_in_motion_differ_nowhere(empty: Shop) -> None:
    """Documents and views are written while they are checked."""
    day = happened(empty.spec, count=1_500, seconds=60, quiet=30, begin=begin())
    collections = {row.id: (t.collection, row.document) for t in empty.spec.triggers for row in day.rows[t.name]}
    written = sorted(collections.values(), key=lambda one: one[1]["n"])
    store = MongoStore(connect(empty.uri, "test"), empty.spec)
    store.prepare()
    done, failed = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            runners = [Runner(empty.spec, store, ShardId("arn", 0, f"shardId-{n:012d}"), hashes) for n, hashes in enumerate(HALVES)]
            place = 0
            for raw in range(0, len(day.raws), 30):
                raws = day.raws[raw : raw + 30]
                while place < len(written) and place < (raw + 30):  # at least the documents of these records
                    name, document = written[place]
                    empty.source[name].insert_one(document)
                    place += 1
                for runner, hashes in zip(runners, HALVES, strict=True):
                    runner.feed([one for one in raws if one.partition_key is None or holds(hashes, one.partition_key)])
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        until(lambda: empty.views.health.count_documents({"watermark": {"$ne": None}}) == 2)
        seen = 0
        while not done.is_set():
            report = checked(empty)
            assert ([str(e) for e in report.examples], report.differ) == ([], 0)
            seen += 1
    finally:
        thread.join()
        store.close()
    assert not failed
    assert seen >= 1
    report = checked(empty)
    assert (report.differ, report.unverifiable.total()) == (0, 0)


def test_a_server_that_has_no_snapshots_is_looked_at_twice(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "alone"
    home.mkdir()
    alone = server.start(home, free_port(), leashed=True, replica_set=False)
    try:
        server.ready(alone, home, replica_set=False)
        with MongoClient[Document](server.uri(alone.port), tz_aware=True) as client:
            for database in (shop.source, shop.views):
                for name in database.list_collection_names():
                    if documents := list(database[name].find().sort("$natural", 1)):
                        client[database.name][name].insert_many(documents)
            monkeypatch.setenv("MONGODB_URI", server.uri(alone.port))
            monkeypatch.setenv("EDDY_CONFIG", str(shop.folder / "pipeline.toml"))
            assert main(["verify"]) == 0
            assert "may have been in motion" in capsys.readouterr().out
            client[shop.views.name].tumbling.update_one({}, {"$set": {"n": 99}})
            assert main(["verify"]) == 3
            said = capsys.readouterr().out
            assert "verify: 1 of" in said and "gives no change stream" in said
    finally:
        stop(alone, 20)


def test_a_capped_collection(shop: Shop, verify: Verify) -> None:
    documents = list(shop.source.transactions.find().sort("n", 1))
    shop.source.transactions.drop()
    shop.source.create_collection("transactions", capped=True, size=10**7)
    shop.source.transactions.insert_many(documents[20:])
    status, said = verify("--views", "tumbling,sliding")
    assert (status, "0 of" in said.splitlines()[-1]) == (0, True), said
    assert "expired: " in said


def test_an_oplog_that_does_not_reach_back(tmp_path: Path) -> None:
    """What it still has is told, and from when on."""
    more = ["--replSet", server.SET_NAME, "--oplogSize", "10", "--syncdelay", "1"]
    small = server.start(tmp_path, free_port(), leashed=True, replica_set=False, more=more)
    try:
        server.ready(small, tmp_path)
        with MongoClient[Document](server.uri(small.port)) as client:
            shop = made(server.uri(small.port), client, "small", tmp_path)
            trigger, table, oplog = shop.spec.triggers[0], shop.source.transactions, client.local["oplog.rs"]
            table.insert_many([{"_id": n} for n in range(3)])
            table.update_one({"_id": 0}, {"$set": {"card_id": "early"}})
            first = oplog.find_one(sort=[("$natural", 1)])
            assert first is not None
            early = int(time.time() * 1_000)

            def begins_anew() -> bool:
                client.other.things.insert_many([{"text": "x" * 100_000} for _ in range(3)])
                found = oplog.find_one(sort=[("$natural", 1)])
                return found is not None and found["ts"].time > early // 1_000 + 1

            until(begins_anew)
            table.update_one({"_id": 1}, {"$set": {"amount": 5}})
            table.delete_one({"_id": 2})
            found = history(table, trigger, [0, 1, 2], early - 1_000, int(time.time() * 1_000) + 1_000)
            assert found.reaches is not None and found.reaches > early, found
            assert (set(found.changed), found.deleted, found.moved) == ({1}, 1, 0)
    finally:
        stop(small, 20)


def test_a_bar_says_what_is_read_how_far_and_how_fast() -> None:
    screen = io.StringIO()
    with bar(Console(file=screen, force_terminal=True, width=120)) as watch:
        watch.begin("transactions", 2_000)
        watch.step(1_000)
        watch.step(1_000)
    assert "verify: transactions" in screen.getvalue()
    assert "2000/2000" in screen.getvalue()
    quiet = io.StringIO()
    with bar(Console(file=quiet)) as watch:
        watch.begin("transactions", 2_000)
    assert "transactions" not in quiet.getvalue()
