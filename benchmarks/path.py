"""The path of one shard, from KCL's lines to the views: `python -m benchmarks.path [--events N] [--rounds N] [--only TEXT]`.

The real child on a real mongod; Kinesis is asked only where the shard lies. Payments on two routes, three window sets and a rule.
Lines are measured in turns with what they are against, and only ratios within a round count; the median is taken. Exits 1 if a line
is not met. What plain pymongo writes is what the child wrote: the same documents in as many transactions, what is new inserted
and the rest replaced, each transaction with its cursor.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import IO, Any

from bson import encode as bson
from pymongo import InsertOne, MongoClient, ReplaceOne, WriteConcern
from pymongo.read_concern import ReadConcern

from config.load import parse
from config.specs import Pipeline
from consumer.intake.files import relayed
from consumer.intake.in_place import Reader
from consumer.intake.records import Raw
from consumer.runner import Runner, columnar
from consumer.store.contract import Cursor, Effects, ShardId
from consumer.store.layout import health_doc
from consumer.store.memory import MemoryStore
from consumer.store.setup import prepare
from contract.codec import encode
from contract.event import Event, Heartbeat
from contract.keys import kinesis_hash, partition_key
from sandbox import aws, mongod
from sandbox.processes import Known, stop

ROOT = Path(__file__).parents[1]
SHARD = "shardId-000000000000"
NOTHING_MORE = b'{"action":"processRecords","records":[],"millisBehindLatest":0}\n'
T0 = 1_790_000_000_000
RATE = 1_000  # changes a second of event time
DAY = 86_400_000
SNAPSHOT = 60.0  # s between two of them
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
"""


@dataclass(frozen=True)
class Load:
    """How much of what. recent: the size of the rolling set. before: payments of each card in the 29 days before, which are fed
    first and not measured."""

    events: int = 60_000
    cards: int = 5_000
    terminals: int = 500
    recent: str = "10m"
    before: int = 0

    def spec(self, name: str) -> str:
        """pipeline.toml."""
        return TOML.format(name=name, recent=self.recent)

    def records(self) -> Iterator[tuple[bytes, str, int]]:
        """(data, partition key, arrival) of each record: two of each payment, and a heartbeat a second."""
        rnd, first = random.Random(1), self.before * self.cards
        for i in range(first + self.events // 2):
            at = T0 + (i - first) * 1_000 // RATE if i >= first else T0 - 29 * DAY + i * 29 * DAY // first
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
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def ours(at: Parts, load: Load, said: Sequence[bytes], name: str) -> dict[str, float]:
    """Seconds from the first line to the last document, how many transactions there were, and the seconds of a snapshot."""
    aws.make_stream(at.kinesis_port, name, 1)
    config = at.home / f"{name}.toml"
    config.write_text(load.spec(name))
    child = Child({**at.env, "EDDY_CONFIG": str(config), "EDDY_SANDBOX": str(at.home / "run")}, at.home / f"{name}.log")
    start = {"action": "initialize", "shardId": SHARD, "sequenceNumber": "TRIM_HORIZON", "subSequenceNumber": 0}
    child.say(json.dumps(start).encode() + b"\n")
    with MongoClient[dict[str, Any]](at.uri) as client:
        before = len(said) - -(-load.events // LINE)  # lines that only fill the windows
        for line in said[:before]:
            child.say(line)
        child.say(NOTHING_MORE)
        began = time.perf_counter()
        for line in said[before:]:
            child.say(line)
        child.say(NOTHING_MORE)
        took = time.perf_counter() - began
        [cursor] = client[name]["_cursors"].find()
        health = client[name].health.find_one() or {}
        views = [c for c in client[name].list_collection_names() if not c.startswith("_")]
        found = sum(client[name][c].estimated_document_count() for c in views)
        if health["records"] != sum(line.count(b'"action":"record"') for line in said) or health["dead_letter"]:
            raise RuntimeError(f"not every record was counted: {health}")
        began = time.perf_counter()
        child.say(b'{"action":"shutdownRequested"}\n')
        saved = time.perf_counter() - began
        child.close()
    return {"seconds": took, "commits": cursor["commits"], "documents": found, "snapshot": saved}


def restarted(at: Parts, load: Load, name: str, keys: int) -> float:
    """Seconds from a child's start to its first commit, of a line of records, with so many keys in the store: those of a load, each
    of them many times under other names."""
    said = lines(load)
    more = lines(replace(load, events=load.events + 2 * LINE))[len(said)]  # it goes on where the load ends
    ours(at, load, said, name)
    with MongoClient[dict[str, Any]](at.uri) as client:
        table = client[name]["_keys"]
        own = list(table.find())
        for n in range(1, -(-keys // len(own))):
            table.insert_many((_renamed(doc, n) for doc in own), ordered=False)
        there = table.estimated_document_count()
        [cursor] = client[name]["_cursors"].find()
    if there < keys:
        raise RuntimeError(f"{there} keys, and {keys} were asked for")
    began = time.perf_counter()
    child = Child({**at.env, "EDDY_CONFIG": str(at.home / f"{name}.toml")}, at.home / f"{name}again.log")
    start = {"action": "initialize", "shardId": SHARD, "sequenceNumber": cursor["sequence"], "subSequenceNumber": cursor["sub"]}
    for line in (json.dumps(start).encode() + b"\n", more, NOTHING_MORE):
        child.say(line)
    took = time.perf_counter() - began
    child.close()
    with MongoClient[dict[str, Any]](at.uri) as client:
        [after] = client[name]["_cursors"].find()
    if after["sequence"] == cursor["sequence"]:
        raise RuntimeError("nothing was committed")
    return took


def _renamed(doc: dict[str, Any], n: int) -> dict[str, Any]:
    """A key's state under another name."""
    route, value = doc["_id"]["r"], f"{doc['_id']['v']}/{n}"
    return {**doc, "_id": {"r": route, "v": value}, "hash": f"{kinesis_hash(partition_key(route, value)):032x}"}


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


def replayed(home: Path, load: Load) -> dict[str, float]:
    """CPU seconds of `replay` of a file, and of the engine alone on the same events, read as the consumer reads them."""
    text = load.spec("replayed")
    (home / "replay.toml").write_text(text[: text.index("[fraud]")] + text[text.index("[views]") :])
    (home / "replay.jsonl").write_bytes(b"".join(data + b"\n" for data, _, _ in load.records()))
    whole = ["-m", "consumer", "replay", "--config", "replay.toml", "--events", "replay.jsonl", "--out", "out"]
    alone = ["-m", "benchmarks.path", "engine", "replay.toml", "replay.jsonl"]
    return {name: _cpu(home, command) for name, command in (("replay", whole), ("engine", alone))}


def _cpu(home: Path, command: Sequence[str]) -> float:
    """CPU seconds of a process less those of its start, which does the same on an empty file."""
    found = []
    (home / "empty.jsonl").write_bytes(b"")
    for events in ("empty.jsonl", "replay.jsonl"):
        before = os.times()
        mine = [events if part == "replay.jsonl" else part for part in command]
        subprocess.run(
            [sys.executable, *mine], cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True
        )
        after = os.times()
        found.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return found[1] - found[0]


def engine_alone(config: Path, events: Path) -> None:
    """All events through reader and engine, results into nothing."""
    spec = parse(config.read_text())
    reader, engine = Reader(spec), columnar(spec)
    for batch in relayed(events.open("rb"), 5_000):
        engine.step(reader.read(batch).columns)


@dataclass(frozen=True)
class Line:
    """A line of the table: what, the least ratio (or the most), and how a round of it is measured."""

    what: str
    bar: float
    measure: Callable[[Parts, str], float]
    most: bool = False

    def met(self, found: float) -> bool:
        """Whether the bar is met."""
        return found <= self.bar if self.most else found >= self.bar


def table(events: int) -> list[Line]:
    """All lines."""
    load = Load(events)
    said = lines(load)
    few = Load(events // 2, cards=40, terminals=40, before=2_000)
    many = {size: replace(few, recent=size) for size in ("10m", "30d")}

    def against_pymongo(at: Parts, name: str) -> float:
        mine = ours(at, load, said, name)
        theirs = plain(at, parse(load.spec(f"plain{name}")), transactions(load, int(mine["commits"])), f"plain{name}")
        return theirs["seconds"] / mine["seconds"]

    def long_windows(at: Parts, name: str) -> float:
        took = {size: ours(at, each, lines(each), f"{name}{size}")["seconds"] for size, each in many.items()}
        return took["10m"] / took["30d"]

    def snapshot(at: Parts, name: str) -> float:
        return ours(at, load, said, name)["snapshot"] / SNAPSHOT

    def replay(at: Parts, name: str) -> float:
        took = replayed(at.home, replace(load, events=5 * events))
        return took["engine"] / took["replay"]

    def restart(at: Parts, name: str) -> float:
        return restarted(at, replace(load, events=20_000), name, 1_000_000)

    return [
        Line("one shard, lines to views, against plain pymongo", 0.70, against_pymongo),
        Line("a rolling set of 30 days with 2,000 events a key, against one of 10 minutes", 0.90, long_windows),
        Line("a snapshot of all keys, as a share of 60 s", 0.10, snapshot, most=True),
        Line("replay of a file, against the engine alone", 0.08, replay),
        Line("a restart with 1,000,000 keys in state: s to the first commit", 10.0, restart, most=True),
    ]


def main() -> int:
    """The table."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    missed = 0
    print("| what | asked | measured | rounds | met |\n| --- | --- | --- | --- | --- |")
    with parts() as at:
        for n, line in enumerate(table(given.events)):
            if given.only not in line.what:
                continue
            found = [line.measure(at, f"l{n}r{i}") for i in range(given.rounds)]
            met = line.met(median(found))
            missed += not met
            shown = " ".join(f"{each:.2f}" for each in found)
            asked = f"{'<=' if line.most else '>='} {line.bar:.2f}"
            print(f"| {line.what} | {asked} | {median(found):.2f} | {shown} | {'yes' if met else '**no**'} |", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["engine"]:
        engine_alone(Path(sys.argv[2]), Path(sys.argv[3]))
        sys.exit()
    sys.exit(main())
