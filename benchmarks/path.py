"""The path of one shard, from KCL's lines to the views: the real child on a real mongod, against plain pymongo writing the same.

Payments on two routes, three window sets and a rule. `python -m benchmarks.path [--events N] [--rounds N]` prints a line for each
side of each round, and their ratio. What plain pymongo writes is what the child wrote: the same documents in as many transactions,
what is new inserted and the rest replaced, each transaction with its cursor. Kinesis is asked only where the shard lies.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

from bson import encode as bson
from pymongo import InsertOne, MongoClient, ReplaceOne, WriteConcern
from pymongo.read_concern import ReadConcern

from config.load import parse
from config.specs import Pipeline
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import Cursor, Effects, ShardId
from consumer.store.layout import health_doc
from consumer.store.memory import MemoryStore
from contract.codec import encode
from contract.event import Event, Heartbeat
from contract.keys import partition_key
from sandbox import aws, mongod
from sandbox.processes import Known, stop

ROOT = Path(__file__).parents[1]
SHARD = "shardId-000000000000"
T0 = 1_790_000_000_000
RATE = 1_000  # changes a second of event time
LINE = 2_000  # records in a line, as KCL is told on AWS
TOML = """
[stream]
name = "{name}"
shards = 1

[[trigger]]
name = "payments"
database = "shop"
collection = "payments"
operations = ["insert"]
routes = ["card", "terminal"]
time = "at"

[[windows]]
name = "card_minutes"
trigger = "payments"
key = "card"
tumbling = {{ size = "1m" }}
measures = {{ n = "count()", spend = "sum(amount)", top = "max(amount)" }}

[[windows]]
name = "card_recent"
trigger = "payments"
key = "card"
rolling = {{ size = "{recent}" }}
measures = {{ n = "count()", spend = "sum(amount)", mean = "mean(amount)" }}

[[windows]]
name = "terminal_minutes"
trigger = "payments"
key = "terminal"
tumbling = {{ size = "1m" }}
measures = {{ n = "count()", spend = "sum(amount)" }}

[fraud]
trigger = "payments"
key = "card"

[[fraud.rules]]
name = "fast"
when = "card_recent.n >= 4"
weight = 0.5
reason = "{{card_recent.n}} payments of {{amount}}"

[views]
database = "{name}"

[consumer]
snapshot = "{snapshot}"
"""


@dataclass(frozen=True)
class Load:
    """How much of what. recent: the size of the rolling set; snapshot: time between two snapshots."""

    events: int = 60_000
    cards: int = 5_000
    terminals: int = 500
    recent: str = "10m"
    snapshot: str = "60s"

    def spec(self, name: str) -> str:
        """pipeline.toml."""
        return TOML.format(name=name, recent=self.recent, snapshot=self.snapshot)

    def records(self) -> Iterator[tuple[bytes, str, int]]:
        """(data, partition key, arrival) of each record: two of each payment, and a heartbeat a second."""
        rnd = random.Random(1)
        for i in range(self.events // 2):
            at = T0 + i * 1_000 // RATE
            card, terminal = f"card-{rnd.randrange(self.cards):05d}", f"term-{rnd.randrange(self.terminals):04d}"
            amount, id = round(rnd.lognormvariate(3, 1), 2), f"{i:024x}"
            doc = {"_id": id, "card": card, "terminal": terminal, "amount": amount, "at": at, "country": "DE", "online": i % 3 == 0}
            for route, key in (("card", card), ("terminal", terminal)):
                event = Event(f"82{at // 1000:08x}{i:08x}/{route}", "payments", route, "insert", key, at, at, id, doc)
                yield encode(event), partition_key(route, key), at + 50
            if i % RATE == RATE - 1:
                yield encode(Heartbeat(at)), "heartbeat", at + 50


def lines(load: Load) -> list[bytes]:
    """As KCL writes them."""
    made, batch = [], list[dict[str, Any]]()

    def close() -> None:
        message = {"action": "processRecords", "records": batch, "millisBehindLatest": 60_000}
        made.append(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        batch.clear()

    for n, (data, key, arrived) in enumerate(load.records(), 1):
        batch.append(
            {
                "action": "record",
                "data": base64.b64encode(data).decode(),
                "partitionKey": key,
                "sequenceNumber": f"{49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898 + n:056d}",
                "subSequenceNumber": 0,
                "approximateArrivalTimestamp": arrived,
            }
        )
        if len(batch) == LINE:
            close()
    if batch:
        close()
    return made


class Child:
    """A shard's child, driven as KCL drives it."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "consumer", "shard"],
            cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("wb"),
        )  # fmt: skip
        self.log = log

    def say(self, line: bytes) -> None:
        """A message, and its answer; what it asks for on the way is granted."""
        into, out = self._pipe(self.process.stdin), self._pipe(self.process.stdout)
        into.write(line)
        into.flush()
        while True:
            said = out.readline() or self._ended()
            if not said.strip():
                continue
            answer = json.loads(said)
            if answer["action"] == "status":
                return
            into.write(json.dumps({**answer, "error": None}).encode() + b"\n")
            into.flush()

    def close(self) -> None:
        """End it."""
        self._pipe(self.process.stdin).close()
        self.process.wait(60)

    def _ended(self) -> str:
        raise RuntimeError(f"the child has ended: {self.log.read_text()[-2_000:]}")

    def _pipe(self, pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


@dataclass(frozen=True)
class Parts:
    """Where the real parts are."""

    home: Path
    uri: str
    env: dict[str, str]
    kinesis_port: int


@contextmanager
def parts() -> Iterator[Parts]:
    """mongod, and a Kinesis that knows the stream."""
    with tempfile.TemporaryDirectory() as folder:
        home, started = Path(folder), list[Known]()
        try:
            started.append(mongod.start(home, _free(), leashed=True))
            started.append(aws.start(home, _free(), leashed=True))
            mongod.ready(started[0], home)
            aws.ready(started[1], home)
            uri = mongod.uri(started[0].port)
            kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "EDDY_"))}
            env = {**kept, **aws.settings(started[1].port), "MONGODB_URI": uri, "PYTHONUTF8": "1"}
            yield Parts(home, uri, env, started[1].port)
        finally:
            for who in started:
                stop(who, 5)


def _free() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def ours(at: Parts, load: Load, said: Sequence[bytes], name: str) -> dict[str, float]:
    """Seconds from the first line to the last document, and how many transactions there were."""
    aws.make_stream(at.kinesis_port, name, 1)
    config = at.home / f"{name}.toml"
    config.write_text(load.spec(name))
    child = Child({**at.env, "EDDY_CONFIG": str(config), "EDDY_SANDBOX": str(at.home / "run")}, at.home / f"{name}.log")
    start = {"action": "initialize", "shardId": SHARD, "sequenceNumber": "TRIM_HORIZON", "subSequenceNumber": 0}
    child.say(json.dumps(start).encode() + b"\n")
    with MongoClient[dict[str, Any]](at.uri) as client:
        began = time.perf_counter()
        for line in said:
            child.say(line)
        child.say(b'{"action":"processRecords","records":[],"millisBehindLatest":0}\n')
        took = time.perf_counter() - began
        [cursor] = client[name]["_cursors"].find()
        health = client[name].health.find_one() or {}
        views = [c for c in client[name].list_collection_names() if not c.startswith("_")]
        found = sum(client[name][c].estimated_document_count() for c in views)
        if health["records"] != sum(line.count(b'"action":"record"') for line in said) or health["dead_letter"]:
            raise RuntimeError(f"not every record was counted: {health}")
        child.close()
    return {"seconds": took, "commits": cursor["commits"], "documents": found}


class Recording(MemoryStore):
    """Keeps what is committed."""

    def __init__(self, spec: Pipeline) -> None:
        super().__init__(spec)
        self.effects: list[Effects] = []

    def commit(self, effects: Effects) -> Cursor:
        """As in memory."""
        self.effects.append(effects)
        return super().commit(effects)


def transactions(load: Load, commits: int) -> list[tuple[Cursor, dict[str, list[Any]]]]:
    """What is to be written in so many transactions: (cursor, collection -> pymongo's operations)."""
    spec = parse(load.spec("plain"))
    store = Recording(spec)
    runner = Runner(spec, store, ShardId("plain", 0, SHARD))
    batch: list[Raw] = []
    for n, (data, key, arrived) in enumerate(load.records(), 1):
        batch.append(Raw(data, key, n, 0, arrived))
        if len(batch) == LINE:
            runner.feed(batch)
            batch = []
    runner.feed(batch)
    there: set[tuple[str, bytes]] = set()
    made = []
    size = max(len(store.effects) / commits, 1.0)
    groups: dict[int, list[Effects]] = {}
    for i, effects in enumerate(store.effects):
        groups.setdefault(int(i / size), []).append(effects)
    for group in groups.values():
        docs: dict[tuple[str, bytes], Any] = {}
        for effects in group:
            for name, id in effects.removes:
                docs.pop((name, bson({"": id})), None)
            for name, doc in effects.documents:
                docs[name, bson({"": doc["_id"]})] = doc
        operations: dict[str, list[Any]] = {}
        for place, doc in docs.items():
            one = ReplaceOne({"_id": doc["_id"]}, doc, upsert=True) if place in there else InsertOne(doc)
            there.add(place)
            operations.setdefault(place[0], []).append(one)
        made.append((group[-1].cursor, operations))
    return made


def plain(at: Parts, spec: Pipeline, made: Sequence[tuple[Cursor, dict[str, list[Any]]]], name: str) -> dict[str, float]:
    """The same documents by pymongo alone."""
    with MongoClient[dict[str, Any]](at.uri) as client:
        from consumer.store.setup import prepare

        db = client[name]
        prepare(db, spec)
        db["_cursors"].insert_one({"_id": 1})
        n = 0
        began = time.perf_counter()
        with client.start_session(causal_consistency=False) as session:
            for number, (cursor, operations) in enumerate(made):
                with session.start_transaction(ReadConcern("snapshot"), WriteConcern("majority")):
                    db["_cursors"].update_one({"_id": 1}, {"$set": {"at": number}}, session=session)
                    for collection, ops in operations.items():
                        db[collection].bulk_write(ops, ordered=False, session=session)
                        n += len(ops)
                    health = health_doc(spec, cursor)
                    db["health"].replace_one({"_id": health["_id"]}, health, upsert=True, session=session)
        took = time.perf_counter() - began
    return {"seconds": took, "commits": len(made), "documents": n}


def main() -> int:
    """Both sides in turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cards", type=int, default=5_000)
    given = parser.parse_args()
    load = Load(given.events, given.cards)
    said, ratios = lines(load), []
    with parts() as at:
        for n in range(given.rounds):
            mine = ours(at, load, said, f"ours{n}")
            spec = parse(load.spec(f"plain{n}"))
            theirs = plain(at, spec, transactions(load, int(mine["commits"])), f"plain{n}")
            ratios.append(theirs["seconds"] / mine["seconds"])
            for who, found in (("the child", mine), ("pymongo", theirs)):
                rate = load.events / found["seconds"]
                print(
                    f"{who:10} {rate:10,.0f} events/s, {found['commits']:.0f} transactions, {found['documents']:,.0f} documents",
                    flush=True,
                )
            print(f"ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
