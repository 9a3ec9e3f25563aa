"""A key whose history is far larger than a document of MongoDB may be: saved in segments, taken up again, going on exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, nullcontext
from itertools import pairwise

import pytest
from pymongo import MongoClient

from config.load import parse
from consumer.intake.records import Raw
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Doc, ShardId
from consumer.store.layout import KEYS, SEGMENTS
from consumer.store.mongo import MongoStore
from contract.codec import encode
from contract.event import Event
from edge.mongo import connect
from tests.windows.build import small_segments

DAY = 86_400_000
SHARD = ShardId("s", 0, "shard-0")
T0 = 1_790_000_000_000
LARGEST = 1_000_000  # bytes of a segment
TOML = """
[stream]
name = "s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card"]
time = "at"

[[windows]]
name = "month"
trigger = "pay"
key = "card"
rolling = {{ size = "30d" }}
measures = {{ n = "count()", spend = "sum(amount)", shops = "distinct(shop)" }}

[views]
database = "{database}"
"""


def payments(first: int, last: int, window: int, at_once: int = 5_000) -> Iterator[list[Raw]]:
    """The payments of one card, of which 30 days hold `window`; every hundredth comes a minute late."""
    for begin in range(first, last, at_once):
        lines = []
        for i in range(begin, min(begin + at_once, last)):
            at = T0 + i * (30 * DAY // window)
            late = at - 60_000 * (i % 100 == 50)
            doc = {"_id": i, "card": "c", "at": late, "amount": i % 1_000, "shop": f"shop {i % 50}"}
            lines.append(Raw(encode(Event(f"{i:09x}/card", "pay", "card", "insert", "c", late, at, i, doc)), "c", i + 1))
        yield lines


def month(client: MongoClient[Doc], name: str) -> Doc:
    """The card's view."""
    found = client[name]["month"].find_one({"_id": "c"})
    assert found is not None
    return {measure: found[measure] for measure in ("n", "spend", "shops")}


def expected(last: int, window: int) -> Doc:
    """What the 30 days up to the last payment hold."""
    step, end = 30 * DAY // window, T0 + (last - 1) * (30 * DAY // window)
    within = [i for i in range(last) if T0 + i * step - 60_000 * (i % 100 == 50) > end - 30 * DAY]
    return {"n": len(within), "spend": float(sum(i % 1_000 for i in within)), "shops": len({i % 50 for i in within})}


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("window", [20_000, *([5_000_000] if "EDDY_SOAK" in os.environ else [])])
def test_it_is_saved_and_taken_up_again_and_gone_on_with(
    mongod: str, mongo: MongoClient[Doc], database_name: str, window: int
) -> None:
    #  a window full, saved | another life: a tenth more, of which as many leave, saved | a third one: a tenth more
    spec, name = parse(TOML.format(database=database_name)), database_name
    small = window < 1_000_000
    limits = Limits(chunk_bytes=20_000 if small else 4 << 20, memory=4 << 30)
    numbers, sizes = list[set[int]](), list[int]()
    with small_segments(TAIL=200, KEPT=50, MOST=1_000) if small else nullcontext():
        for life in range(3):
            store = MongoStore(connect(mongod, "test"), spec)
            store.prepare()
            with closing(Runner(spec, store, SHARD, limits=limits, kept=1 << 40)) as runner:
                begin, end = (0, window) if life == 0 else (window + window // 10 * (life - 1), window + window // 10 * life)
                for records in payments(begin, end, window):
                    runner.feed(records)
                assert runner.flush().snapshot.records == end
            assert month(mongo, name) == expected(end, window)
            segments = list(mongo[name][SEGMENTS].aggregate([{"$project": {"size": {"$bsonSize": "$$ROOT"}}}]))
            [head] = mongo[name][KEYS].find()
            assert {d["_id"]["n"] for d in segments} == set(head["held"])
            numbers.append(set(head["held"]))
            sizes += [d["size"] for d in segments]
            store.close()
    assert max(sizes) < (20_000 if small else LARGEST + 1_000)
    assert sum(sizes) / 3 > (window * 24)
    kept = [len(later & before) / len(before) for before, later in pairwise(numbers)]
    assert min(kept) > 0.8  # only what came, and what a tenth of the window has left, is not as it was
