"""Real services for the consumer's edges: ministack for Kinesis and DynamoDB, the shared mongod; a stream and a pipeline a test."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from consumer.store.contract import Doc
from contract.codec import encode
from contract.event import Event, Heartbeat
from contract.keys import partition_key
from sandbox import aws
from sandbox.processes import stop
from tests.conftest import free_port, start_mongod, until
from tests.conftest import stop as stop_mongod

T = TypeVar("T")
NOW = 1_700_000_000_000

TOML = """
[stream]
name = "{stream}"
{more}
[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card"]
time = "at"

[[windows]]
name = "spend"
trigger = "pay"
key = "card"
tumbling = {{ size = "1m" }}
measures = {{ n = "count()", spend = "sum(amount)" }}

[views]
database = "{database}"

[consumer]
snapshot = "{snapshot}"
"""
AT_ONCE = "1ms"  # a snapshot with each batch, so that KCL's checkpoint follows at once


@dataclass(frozen=True)
class Place:
    """A stream, a database and a pipeline of a test's own, and the environment that names them."""

    stream: str
    database: Database[Doc]
    kinesis: Any
    dynamodb: Any
    env: dict[str, str]
    run: Path

    def put(self, first: int, n: int) -> None:
        """n payments of ten cards, one second apart."""
        keys = [partition_key("card", f"c{i}") for i in range(10)]
        records: list[Any] = [{"Data": payment(i), "PartitionKey": keys[i % 10]} for i in range(first, first + n)]
        for begin in range(0, n, 500):
            assert self.kinesis.put_records(StreamName=self.stream, Records=records[begin : begin + 500])["FailedRecordCount"] == 0

    def counted(self) -> int:
        """Payments in the views."""
        return sum(d["events"] for d in self.database.spend.find())


def payment(i: int, **more: Any) -> bytes:
    """A relayed payment."""
    card = f"c{i % 10}"
    at = NOW + i * 1000
    document = {"_id": i, "card": card, "amount": 1.5, "at": {"$date": at}}
    return encode(Event(f"{i:016x}/card", "pay", "card", "insert", card, at, at, i, document, **more))


def heartbeat(ms: int) -> bytes:
    """Everything up to then is relayed."""
    return encode(Heartbeat(ms))


def eventually(answer: Callable[[], T], within: float = 90.0) -> T:
    """The first true answer."""
    end = time.monotonic() + within
    while not (found := answer()):
        assert time.monotonic() < end, f"not within {within} s"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Its port."""
    home = tmp_path_factory.mktemp("ministack")
    who = aws.start(home, free_port(), leashed=True)
    aws.ready(who, home)
    yield who.port
    stop(who, 5)


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a mongod that is no replica set."""
    port = free_port()
    process = start_mongod(tmp_path_factory.mktemp("standalone"), port, replica_set=None)
    client: MongoClient[Doc]
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=500") as client:
        until(lambda: client.admin.command("hello"))
    yield port
    stop_mongod(process)


@pytest.fixture
def place(ministack: int, mongod: str, tmp_path: Path) -> Iterator[Place]:
    """A new stream of two shards."""
    yield from make_place(ministack, mongod, tmp_path)


def make_place(port: int, uri: str, folder: Path, more: str = "", snapshot: str = AT_ONCE) -> Iterator[Place]:
    """more: further lines of [stream]."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    aws.make_stream(port, name, 2)
    config = folder / "pipeline.toml"
    config.write_text(TOML.format(stream=name, database=name, more=more, snapshot=snapshot))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "EDDY_"))}
    run = folder / "a run"  # any path may hold spaces
    env = {**kept, **aws.settings(port), "MONGODB_URI": uri, "EDDY_CONFIG": str(config), "EDDY_STATE": str(run)}
    client: MongoClient[Doc]
    with MongoClient(uri, tz_aware=True) as client:
        yield Place(name, client[name], aws.kinesis(port), aws.dynamodb(port), env, run)
        client.drop_database(name)
