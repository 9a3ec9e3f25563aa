"""`make traffic`: lets the shop happen in MongoDB, paced by the clock or at full speed.

Event times follow the clock of the insertion: never in the future of what has been written by more than the plan runs ahead, never
more than a second and a half behind it. So whoever reads with the usual lateness finds nothing late, however slow the machine is.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import ConnectionFailure

from contract.errors import Misconfigured
from sandbox.shop import CARTS, PAYMENTS, Document, Happens, Shop

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DATABASE = "shop"
FULL_BATCH = 1_000
TICK = 0.05  # seconds
SAY_EVERY = 5.0


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox traffic", description="a seeded web shop that writes into MongoDB", allow_abbrev=False
    )
    parser.add_argument("--rate", type=float, default=50.0, help="documents a second (default 50)")
    parser.add_argument("--seed", type=int, default=7, help="the same seed gives the same shop (default 7)")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after that time (default: at Ctrl-C)")
    parser.add_argument("--count", type=int, default=0, help="write that many documents at full speed instead, then stop")
    parser.add_argument("--span", type=float, default=60.0, help="seconds of event time that --count is spread over (default 60)")
    parser.add_argument("--gap", type=float, default=20.0, help="seconds after which a cart counts as left (default 20)")
    parser.add_argument("--cards", type=int, default=300, help="how many cards there are (default 300)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run until Ctrl-C, SIGTERM, --seconds or --count. Needs MONGODB_URI."""
    args = arguments(argv)
    uri = os.environ.get("MONGODB_URI")
    if not uri:
        raise Misconfigured("MONGODB_URI is not set; `make traffic` sets it")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with MongoClient[Document](uri, serverSelectionTimeoutMS=5_000, tz_aware=True) as client:
        return feed(Writer(client[DATABASE]), args, ended)


def feed(writer: Writer, args: argparse.Namespace, ended: threading.Event) -> int:
    """Write the plan until it ends or `ended` is set."""
    rate = args.count / args.span if args.count else args.rate
    shop = Shop(args.seed, rate, round(args.gap * 1_000), args.cards, writer.following())
    begin, said, written = now_ms(), time.monotonic(), 0
    print(f"traffic: {rate:.0f} documents a second of event time, from n = {shop.first}", flush=True)
    plan = itertools.islice(shop, args.count) if args.count else iter(shop)
    batches = full_speed(plan) if args.count else paced(plan, begin, ended, args.seconds)
    for batch in batches:
        written += writer.write(batch, begin, ended)
        if time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            print(f"traffic: {written} documents, {written * 1_000 / max(1, now_ms() - begin):.0f}/s", flush=True)
        if ended.is_set():
            break
    print(f"traffic: stopped after {written} documents", flush=True)
    return 0


def full_speed(plan: Iterator[Happens]) -> Iterator[Sequence[Happens]]:
    """As fast as the database takes them."""
    while batch := list(itertools.islice(plan, FULL_BATCH)):
        yield batch


def paced(plan: Iterator[Happens], begin: int, ended: threading.Event, seconds: float) -> Iterator[Sequence[Happens]]:
    """What is due by the clock, a tick at a time."""
    ahead = next(plan)
    while not ended.is_set() and not (seconds and now_ms() - begin > seconds * 1_000):
        due: list[Happens] = []
        while begin + ahead.due <= now_ms() and len(due) < FULL_BATCH:
            due.append(ahead)
            ahead = next(plan)
        if due:
            yield due
        ended.wait(TICK)


class Writer:
    """Inserts in order, collection by collection, and outlasts a MongoDB that is away for a while."""

    def __init__(self, database: Database[Document]) -> None:
        self.database = database

    def following(self) -> int:
        """The first counter that no document of an earlier run has."""
        return max(self._last(self.database[name]) for name in (PAYMENTS, CARTS)) + 1

    @staticmethod
    def _last(collection: Collection[Document]) -> int:
        collection.create_index("n")
        found = collection.find_one(sort=[("n", -1)])
        return int(found["n"]) if found else -1

    def write(self, batch: Sequence[Happens], begin: int, ended: threading.Event) -> int:
        """Insert all of it; returns how many. Waits while MongoDB is away, and stamps anew what was not written before."""
        for name in (PAYMENTS, CARTS):
            rest = [h for h in batch if h.collection == name]
            while rest:
                try:
                    rest = self._missing(name, rest)
                    if rest:
                        self.database[name].insert_many(stamped(rest, begin), ordered=True)
                    break
                except ConnectionFailure as error:
                    print(f"traffic: MongoDB is away, trying again ({type(error).__name__})", file=sys.stderr, flush=True)
                    if ended.wait(1.0):
                        return 0
                    self.unsure = True
        return len(batch)

    unsure = False  # whether the last insert may have been done in part

    def _missing(self, name: str, rest: Sequence[Happens]) -> list[Happens]:
        if not self.unsure:
            return list(rest)
        found = self.database[name].find({"_id": {"$in": [h.document["_id"] for h in rest]}}, {"_id": 1})
        there = {document["_id"] for document in found}
        self.unsure = False
        return [h for h in rest if h.document["_id"] not in there]


def stamped(rest: Iterable[Happens], begin: int) -> list[Document]:
    """The documents with their event times: by the plan, never behind the clock, and then the small disorder of each."""
    now = now_ms()
    return [{**h.document, "at": date(max(now, begin + h.due) - h.behind), "written_at": date(now)} for h in rest]


def date(ms: int) -> datetime:
    """A BSON date."""
    return EPOCH + timedelta(milliseconds=ms)


def now_ms() -> int:
    """The clock."""
    return time.time_ns() // 1_000_000
