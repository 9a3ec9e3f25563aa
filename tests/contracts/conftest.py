"""The stores that one suite runs on: in memory, and MongoDB (a real mongod of its own, which can be told to fail)."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import MongoClient

from config.specs import Abandonment, Fraud, Pipeline, Stream, Views
from consumer.store.contract import Doc, Store
from consumer.store.layout import SEGMENTS
from consumer.store.memory import MemoryStore
from consumer.store.mongo import MongoStore
from edge.mongo import connect
from tests.conftest import die_with_parent, free_port, initiate, mongod_binary, stop
from windows.law.expr import parse
from windows.law.spec import Measure, Rolling, Tumbling, WindowSet

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE = WindowSet("minutes", "pay", "card", Tumbling(60_000), (Measure("n", "count"),))
RECENT = WindowSet("recent", "pay", "card", Rolling(60_000), (Measure("n", "count"),))


def pipeline(database: str, **more: Any) -> Pipeline:
    """A pipeline with one view of each kind."""
    return Pipeline(
        Stream("shop"),
        (),
        (MINUTE, RECENT),
        Fraud("pay", "card", ()),
        Abandonment("carts", "cart", 60_000, parse("bought == true")),
        Views(database, **more),
    )


@dataclass
class Stores:
    """`new()` is another process's store on the same data; `docs(name)` what lies in a collection, by `_id` as text; `segments()`
    the numbers of all segments."""

    new: Callable[[], Store]
    docs: Callable[[str], dict[str, Doc]]
    segments: Callable[[], list[int]]


@pytest.fixture(scope="session")
def faulty_mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real replica set of one whose failCommand failpoint is allowed."""
    folder, port = tmp_path_factory.mktemp("faulty"), free_port()
    command = [str(mongod_binary()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    command += ["--replSet", "rs0", "--wiredTigerCacheSizeGB", "0.25", "--setParameter", "enableTestCommands=1"]
    with (folder / "mongod.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=die_with_parent)  # noqa: PLW1509
    try:
        yield initiate(port)
    finally:
        stop(process)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(faulty_mongod: str) -> Iterator[tuple[str, str]]:
    """(URI, name of a database of this test's own)."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield faulty_mongod, name
    client: MongoClient[Doc]
    with MongoClient(faulty_mongod) as client:
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        client.drop_database(name)


@pytest.fixture(params=["memory", "mongo"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Each kind of store."""
    if request.param == "memory":
        memory = MemoryStore(pipeline("db"), clock=lambda: AT)
        yield Stores(
            lambda: memory,
            lambda name: {str(d["_id"]): d for d in memory.collections[name].values()},
            lambda: sorted(n for own in memory._segments.values() for n in own),
        )
        return
    uri, name = request.getfixturevalue("database")
    reader: MongoClient[Doc] = MongoClient(uri, tz_aware=True, datetime_conversion="DATETIME_AUTO")
    opened: list[Store] = []

    def new() -> Store:
        opened.append(MongoStore(connect(uri, "test"), pipeline(name), clock=lambda: AT))
        return opened[-1]

    yield Stores(
        new,
        lambda collection: {str(d["_id"]): d for d in reader[name][collection].find()},
        lambda: sorted(d["_id"]["n"] for d in reader[name][SEGMENTS].find({}, {"_id": 1})),
    )
    for store in [*opened]:
        store.close()
    reader.close()
