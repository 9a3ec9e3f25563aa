"""A short day of the seeded shop, as rows for the check and, through the product's own pipeline, as views in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.specs import Pipeline, Trigger
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import HashRange, ShardId
from consumer.store.memory import MemoryStore
from contract.codec import encode, pack
from contract.event import Event, Heartbeat
from contract.times import date, date_ms
from contract.values import get
from query.verify import Row, Terms, Watermarks
from sandbox.shop import Shop

BEGIN = 1_800_000_000_000  # ms
SHARD = "shardId-000000000000"
EVERYTHING = HashRange()


@dataclass(slots=True)
class Day:
    """What the shop wrote, by trigger, and what the product made of it."""

    rows: dict[str, list[Row]]
    store: MemoryStore
    terms: Terms

    def view(self, name: str) -> list[dict[str, Any]]:
        """A view's documents; changing them changes the view."""
        return list(self.store.collections[name].values())


@dataclass(slots=True)
class Happened:
    """What the shop wrote, by trigger, and the records that were made of it."""

    rows: dict[str, list[Row]]
    raws: list[Raw]


def happened(spec: Pipeline, count: int, seconds: int, quiet: int, seed: int = 7, begin: int = BEGIN) -> Happened:
    """`count` documents within so many seconds of event time from `begin` on, then `quiet` seconds with heartbeats alone."""
    found = Happened({t.name: [] for t in spec.triggers}, [])
    for happens in itertools.islice(Shop(seed, rate=count / seconds, gap=2_000), count):
        written = begin + happens.due
        document = {**happens.document, "at": date(written - happens.behind)}
        trigger = next(t for t in spec.triggers if t.collection == happens.collection)
        found.rows[trigger.name].append(Row(written - happens.behind, document["n"], document))
        found.raws += changes(trigger, document, written, len(found.raws))
    silence = [encode(Heartbeat(begin + (seconds + s) * 1_000)) for s in range(quiet + 1)]
    found.raws += [Raw(beat, None, len(found.raws) + 1 + n) for n, beat in enumerate(silence)]
    return found


def changes(trigger: Trigger, document: dict[str, Any], written: int, before: int) -> list[Raw]:
    """The records of one inserted document, behind so many others."""
    at, found = date_ms(document["at"]), list[Raw]()
    for route in trigger.routes:
        token = f"{document['n']:016x}/{route}"
        event = Event(token, trigger.name, route, "insert", get(document, route), at, written, document["_id"])
        found.append(Raw(encode(event, pack(document), None), None, before + len(found) + 1))
    return found


def day(spec: Pipeline, count: int, seconds: int, quiet: int, seed: int = 7) -> Day:
    """Such a day, and what the product makes of it in memory."""
    made, store = happened(spec, count, seconds, quiet, seed), MemoryStore(spec)
    watermark = consumed(Runner(spec, store, ShardId("arn", 0, SHARD), EVERYTHING), made.raws)
    marks = Watermarks({SHARD: (EVERYTHING.low, EVERYTHING.high)}, {SHARD: watermark})
    return Day(made.rows, store, Terms(marks, now=watermark, strict=True))


def consumed(runner: Runner, raws: Sequence[Raw]) -> int:
    """The watermark after all of them."""
    for i in range(0, len(raws), 500):
        runner.feed(raws[i : i + 500])
    return runner.cursor.watermark
