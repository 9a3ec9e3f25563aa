"""A short day of the seeded shop, as rows for the check and, through the product's own pipeline, as views in memory."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from config.specs import Pipeline
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import HashRange, ShardId
from consumer.store.memory import MemoryStore
from contract.codec import encode, pack
from contract.event import Event, Heartbeat
from contract.times import date
from contract.values import get
from sandbox.shop import Shop
from sandbox.verify import Row, Watermarks

BEGIN = 1_800_000_000_000  # ms
SHARD = "shardId-000000000000"
EVERYTHING = HashRange()


@dataclass(slots=True)
class Day:
    """What the shop wrote, by trigger, and what the product made of it."""

    rows: dict[str, list[Row]]
    store: MemoryStore
    marks: Watermarks

    def view(self, name: str) -> list[dict[str, Any]]:
        """A view's documents; changing them changes the view."""
        return list(self.store.collections[name].values())


def day(spec: Pipeline, count: int, seconds: int, quiet: int, seed: int = 7) -> Day:
    """`count` documents within so many seconds of event time, then `quiet` seconds with heartbeats alone."""
    rows: dict[str, list[Row]] = {t.name: [] for t in spec.triggers}
    raws: list[Raw] = []
    for happens in itertools.islice(Shop(seed, rate=count / seconds, gap=2_000), count):
        written = BEGIN + happens.due
        document = {**happens.document, "at": date(written - happens.behind)}
        trigger = next(t for t in spec.triggers if t.collection == happens.collection)
        rows[trigger.name].append(Row(written - happens.behind, document["n"], document))
        for route in trigger.routes:
            event = Event(
                f"{document['n']:016x}/{route}", trigger.name, route, "insert", get(document, route),
                written - happens.behind, written, document["_id"],
            )  # fmt: skip
            raws.append(Raw(encode(event, pack(document), None), None, len(raws) + 1))
    raws += [Raw(encode(Heartbeat(BEGIN + (seconds + s) * 1_000)), None, len(raws) + 1 + s) for s in range(quiet + 1)]
    store = MemoryStore(spec)
    watermark = consumed(Runner(spec, store, ShardId("arn", 0, SHARD), EVERYTHING), raws)
    return Day(rows, store, Watermarks({SHARD: (EVERYTHING.low, EVERYTHING.high)}, {SHARD: watermark}))


def consumed(runner: Runner, raws: Sequence[Raw]) -> int:
    """The watermark after all of them."""
    for i in range(0, len(raws), 500):
        runner.feed(raws[i : i + 500])
    return runner.cursor.watermark
