"""The load: constant, seeded, and not clean. One thread writes all of it, so that what is written is in the order of its time.

the shop        payments and carts, jumbled by up to a second and a half
readings        some of them a minute to ten minutes late
poison          payments with odd values; and records straight on the stream that no one can read
duplicates      records of any age, put on the stream once more
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

from sandbox.shop import PAYMENTS, Document, Shop
from sandbox.traffic import DATABASE, Writer, date, now_ms, paced

READINGS = "readings"
RATE, CARDS, GAP = 20.0, 60, 2_000
READINGS_RATE, POISON_RATE, STREAM_RATE = 4.0, 0.5, 1.0  # a second
LATE_SHARE, LATE_AFTER = 0.1, 20_000  # of the readings, once there was load for so many ms
LATE_BY = 60_000, 600_000  # ms: later than anybody waits, sooner than a window is forgotten
AT_ONCE = 3  # duplicates
# the reason of each kind of odd document, and what is odd about it
ODD: Mapping[str, Callable[[], Document]] = {
    "time": lambda: {"at": "soon"},
    "type": lambda: {"amount": "12"},
    "not_finite": lambda: {"amount": float("nan")},
    "future": lambda: {"at": date(now_ms()) + timedelta(hours=1)},
    "key": lambda: {"card_id": None, "terminal_id": {"a": 1}},
}
# what cannot be read, and the reason; n makes each one unlike all others
UNREADABLE: Sequence[tuple[str, Callable[[int], bytes]]] = (
    ("json", lambda n: b"{not json %d" % n),
    ("json", lambda n: b"\xff\x00 no text %d" % n),
    ("json", lambda n: envelope(n).replace(b'"half"', rb'"\ud83d"')),
    ("envelope", lambda n: envelope(n, id=5)),
    ("envelope", lambda n: envelope(n, v=2)),
    ("envelope", lambda n: envelope(n, document=[1, 2])),
    ("envelope", lambda n: envelope(n, op="drop")),
    ("trigger", lambda n: envelope(n, trigger="nobody")),
)


def envelope(n: int, **odd: Any) -> bytes:
    """An event that is ours but for what is odd."""
    good = {
        "kind": "change", "v": 1, "id": f"{n:020d}/card_id", "trigger": "transactions", "route": "card_id", "op": "insert",
        "key": "card-0001", "at": now_ms(), "cluster": now_ms(), "doc_id": f"odd {n}", "document": {"text": "half"},
    }  # fmt: skip
    return msgspec.json.encode({**good, **odd})


class Load:
    """From `begin` to `end`. unreadable: data -> reason, of all that was put so; duplicates: how many records were put again."""

    def __init__(self, uri: str, kinesis: Any, stream: str, seed: int) -> None:
        self._uri, self._kinesis, self._stream, self._seed = uri, kinesis, stream, seed
        self._pick = random.Random(f"load {seed}")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.unreadable: dict[bytes, str] = {}
        self.odd = self.duplicates = self.readings = 0
        self._error: BaseException | None = None

    def begin(self) -> Load:
        """Let it flow."""
        self._thread.start()
        return self

    def check(self) -> None:
        """Raises what ended it."""
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Write no more."""
        self._ended.set()
        self._thread.join()
        self.check()

    def abandon(self) -> None:
        """Write no more, whatever ended it."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            # nothing is stamped long before it is written: what a driver wrote by itself after an outage would be late
            with MongoClient[Document](f"{self._uri}&retryWrites=false", serverSelectionTimeoutMS=1_000, tz_aware=True) as client:
                self._flow(client)
        except BaseException as error:
            self._error = error

    def _flow(self, client: MongoClient[Document]) -> None:
        while not self._ended.is_set():
            with suppress(ConnectionFailure):
                writer = Writer(client[DATABASE])
                shop = Shop(self._seed, RATE, GAP, CARDS, writer.following())
                break
        begin = now_ms()
        beside = self._beside(client, begin)
        for batch in paced(iter(shop), begin, self._ended, 0):
            writer.write(batch, begin, self._ended)
            next(beside)

    def _beside(self, client: MongoClient[Document], begin: int) -> Iterator[None]:
        """What comes beside the shop's documents, each at its own rate, with every batch of them."""
        due = dict.fromkeys(("reading", "odd", "stream"), begin)
        rates = {"reading": READINGS_RATE, "odd": POISON_RATE, "stream": STREAM_RATE}
        while True:
            for what, rate in rates.items():
                while due[what] <= now_ms() and not self._ended.is_set():
                    due[what] += round(self._pick.expovariate(rate) * 1_000)
                    if what == "reading":
                        self._insert(client, READINGS, self._reading(begin))
                    elif what == "odd":
                        reason = self._pick.choice(list(ODD))
                        self.odd += self._insert(client, PAYMENTS, partial(odd, reason))
                    else:
                        self._on_the_stream(begin)
            yield

    def _reading(self, begin: int) -> Callable[[], Document]:
        pick, n = self._pick, self.readings
        self.readings += 1
        late = now_ms() - begin > LATE_AFTER and pick.random() < LATE_SHARE
        behind = pick.randrange(*LATE_BY) if late else pick.randrange(500)
        own = {
            "n": n, "meter_id": pick.randrange(12), "house_id": f"house-{pick.randrange(6)}", "value": round(pick.gauss(50, 20), 2),
            "late": late,
        }  # fmt: skip
        return lambda: {**own, "at": date(now_ms() - behind)}

    def _insert(self, client: MongoClient[Document], collection: str, made: Callable[[], Document]) -> bool:
        """One document, once, however often MongoDB goes away. False if all ended before."""
        id, unsure = ObjectId(), False
        while not self._ended.is_set():
            try:
                if not (unsure and client[DATABASE][collection].find_one({"_id": id})):
                    client[DATABASE][collection].insert_one({"_id": id, **made()})
                return True
            except ConnectionFailure:
                unsure = True
                self._ended.wait(0.2)
        return False

    def _on_the_stream(self, begin: int) -> None:
        if self._pick.random() < 0.5:
            reason, made = self._pick.choice(UNREADABLE)
            data = made(len(self.unreadable))
            self.unreadable[data] = reason
            self._kinesis.put_record(StreamName=self._stream, Data=data, PartitionKey=f"poison {len(self.unreadable)}")
            return
        records = [{"Data": r["Data"], "PartitionKey": r["PartitionKey"]} for r in self._some(begin)]
        if records:
            self._kinesis.put_records(StreamName=self._stream, Records=records)
            self.duplicates += len(records)

    def _some(self, begin: int) -> Sequence[Mapping[str, Any]]:
        """Records that lie somewhere on the stream. No heartbeats: each promises its own shard alone, and by its partition key it
        would lie on another one."""
        shard = self._pick.choice(self._kinesis.list_shards(StreamName=self._stream)["Shards"])["ShardId"]
        since = date(self._pick.randrange(begin, now_ms() + 1))
        at = self._kinesis.get_shard_iterator(
            StreamName=self._stream, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=since
        )["ShardIterator"]
        found = self._kinesis.get_records(ShardIterator=at, Limit=20)["Records"]
        found = [record for record in found if b'"kind":"heartbeat"' not in record["Data"]]
        return self._pick.sample(found, min(AT_ONCE, len(found)))


def odd(reason: str) -> Document:
    """A payment that is a dead letter for that reason, to its card and to its terminal."""
    good = {"card_id": "card-0001", "terminal_id": "term-001", "amount": 5.0, "declined": False, "at": date(now_ms())}
    found = {**good, **ODD[reason](), "poison": reason}
    return {name: v for name, v in found.items() if v is not None}
