"""How fresh a view is: `python -m benchmarks.fresh [--seconds N] [--rate N]`, from an insert into MongoDB to its score in the view.

All parts are real: mongod, ministack, the producer, the consumer with its JVM and a child for each of two shards, pipeline.toml as
it is (a payment is two records, and changes some eight documents). Payments are inserted one by one, at an even rate; a change
stream on the view of scores says when each of them can be read. The clock runs from before the insert until the change stream has
told; both run in this one process. Exits 1 where a line of the table is not met.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from config.load import load
from sandbox.stage import Stage

ROOT = Path(__file__).parents[1]
FIRST = 180.0  # s until the first lease
WARM = 10.0  # s of the rate that are not measured
AFTER = 30.0  # s for what is on its way in the end
CARDS, TERMINALS = 5_000, 500
Document = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """At a rate of changes a second: the most seconds at the median, and for 99 of 100."""

    rate: int
    median: float | None
    most: float


LINES = (Line(200, 0.2, 0.5), Line(1_000, None, 1.0))


def payment(rnd: random.Random) -> Document:
    """One that the shop could have written."""
    return {
        "_id": ObjectId(),
        "card_id": f"card-{rnd.randrange(CARDS):05d}",
        "terminal_id": f"term-{rnd.randrange(TERMINALS):04d}",
        "amount": round(rnd.lognormvariate(3, 1), 2),
        "declined": rnd.random() < 0.03,
        "at": datetime.now(UTC),
    }


class Watch:
    """Which scores can be read, and since when (s)."""

    def __init__(self, client: MongoClient[Document], database: str, view: str) -> None:
        self.seen: dict[ObjectId, float] = {}
        self._ended = threading.Event()
        self._stream = client[database][view].watch([{"$project": {"documentKey": 1}}], max_await_time_ms=100, batch_size=1_000)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()
        self._stream.close()

    def _follow(self) -> None:
        while not self._ended.is_set():
            change = self._stream.try_next()
            if change is not None:
                self.seen.setdefault(change["documentKey"]["_id"], time.perf_counter())


def inserted(client: MongoClient[Document], rate: int, seconds: float, rnd: random.Random) -> dict[ObjectId, float]:
    """Payments at an even rate for so long: when each insert began. What is late is made up for."""
    table, begun, sent = client["shop"]["transactions"], time.perf_counter(), dict[ObjectId, float]()
    while (now := time.perf_counter()) < begun + seconds:
        if len(sent) < (now - begun) * rate:
            document = payment(rnd)
            sent[document["_id"]] = now
            table.insert_one(document)
        else:
            time.sleep(0.0005)
    return sent


def until(what: str, answer: Callable[[], bool], within: float, stage: Stage) -> None:
    """Wait. Raises RuntimeError."""
    end = time.monotonic() + within
    while not answer():
        stage.must_live()
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {within:.0f} s")
        time.sleep(0.1)


def measured(stage: Stage, client: MongoClient[Document], line: Line, seconds: float) -> tuple[float, float]:
    """(median, 99 of 100) in s."""
    assert stage.spec.fraud is not None
    watch = Watch(client, stage.spec.views.database, stage.spec.fraud.view)
    try:
        rnd = random.Random(line.rate)
        inserted(client, line.rate, WARM, rnd)
        sent = inserted(client, line.rate, seconds, rnd)
        until("the last scores", lambda: sent.keys() <= watch.seen.keys(), AFTER + seconds, stage)
    finally:
        watch.close()
    took = quantiles((watch.seen[id] - at for id, at in sent.items()), n=100)
    return took[49], took[98]


def main() -> int:
    """The table."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, help="this line alone")
    given = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        config = ROOT / "pipeline.toml"
        stage = Stage.set(Path(folder) / "sandbox", load(config))
        stage.settings["EDDY_CONFIG"] = str(config)
        try:
            stage.start("producer", "producer")
            stage.start("consumer", "consumer")
            with MongoClient[Document](stage.running.uri) as client:
                views = client[stage.spec.views.database]
                client["shop"]["transactions"].insert_one(payment(random.Random(0)))
                until("the first score", lambda: views["fraud_scores"].find_one() is not None, FIRST, stage)
                print("| insert to visible | asked | median | 99 of 100 | load | met |\n| --- | --- | --- | --- | --- | --- |")
                for line in LINES:
                    if given.rate in (None, line.rate):
                        median, most = measured(stage, client, line, given.seconds)
                        met = most <= line.most and (line.median is None or median <= line.median)
                        missed += not met
                        asked = (f"{line.median} s / " if line.median is not None else "") + f"{line.most} s"
                        shown = f"{median:.3f} s | {most:.3f} s | {os.getloadavg()[0]:.1f} | {'yes' if met else '**no**'}"
                        print(f"| {line.rate:,} changes/s | {asked} | {shown} |", flush=True)
        finally:
            stage.end()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
