"""The producer, from a warm oplog to acknowledged records: `python -m benchmarks.producer [--events N] [--rounds N]`.

Beside it, in turns, each in a fresh process: a plain loop over `watch` that puts 500 records at a time. Both read the same changes
from a real mongod and put them into a sink that acknowledges after 20 ms. Ours is the product's own pump with all its guarantees;
the loop has none. Only ratios within a round count; the median is taken. Exits 1 if a line is not met.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from bson import Timestamp, json_util
from pymongo import MongoClient

from config.environment import environment
from config.specs import Stream, Trigger
from edge import aws
from producer import kinesis, mongo
from producer.bookmark import Bookmark, Bookmarks
from producer.pump import Pump
from producer.relay import Position
from producer.source import Source, groups
from sandbox import mongod
from sandbox.processes import stop

ROOT = Path(__file__).parents[1]
TIMES, GROWTH = 1.5, 1.25  # ours against the loop; memory at the end against a fifth of the way
AFTER = 20  # ms until the sink acknowledges
PER_REQUEST = 500
WARM = 2_000
Result = dict[str, Any]
EVENLY, SKEWED = "evenly", "skewed"


def settings(port: int) -> Mapping[str, str]:
    """boto3's, for the sink."""
    address = f"http://127.0.0.1:{port}"
    return {"AWS_ENDPOINT_URL_KINESIS": address, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "t", "AWS_SECRET_ACCESS_KEY": "t"}


def loop(uri: str, port: int, collection: str, since: Timestamp, n: int) -> Result:
    """What one writes first: watch, gather 500, put, and so on."""
    client: MongoClient[dict[str, Any]] = MongoClient(uri)
    target = aws.kinesis(environment(settings(port)))
    begun, cpu, sent = time.monotonic(), time.process_time(), 0
    records: list[dict[str, Any]] = []
    with client.shop[collection].watch(full_document="updateLookup", start_at_operation_time=since) as stream:
        for change in stream:
            document = change["fullDocument"]
            records.append({"Data": json_util.dumps(document).encode(), "PartitionKey": str(document["card"])})
            if len(records) == PER_REQUEST or sent + len(records) == n:
                if target.put_records(StreamName="bench", Records=records)["FailedRecordCount"]:
                    raise RuntimeError("the sink refuses nothing")
                sent += len(records)
                records = []
                if sent == n:
                    break
    return {"n": n, "seconds": time.monotonic() - begun, "cpu": time.process_time() - cpu}


def relay(uri: str, port: int, collection: str, since: Timestamp, n: int) -> Result:
    """The product's pump, until everything is acknowledged and saved. memory: bytes, a fifth of the way and at most after it."""
    env, spec = environment(settings(port)), Stream("bench")
    client = mongo.connect(uri)
    target = kinesis.Kinesis(aws.kinesis(env, kinesis.ONE_TRY), spec, env)
    trigger = Trigger("payments", "shop", collection, ("card",), time="at")
    [group] = groups([trigger])
    position = Position(None, (since.time, since.inc))
    bookmarks = Bookmarks(client, f"bench_{os.getpid()}", spec.name)
    ended = threading.Event()
    pump = Pump(
        spec, [Source(client, group, position)], target, bookmarks, {group.name: Bookmark(position)}, target.shards(), ended
    )
    me, memory = psutil.Process(), [0, 0]
    begun, cpu, seconds = time.monotonic(), time.process_time(), [0.0, 0.0]

    def watch() -> None:
        while (done := pump.acknowledged) < n:
            used = me.memory_info().rss
            if done < n // 5:
                memory[0] = max(memory[0], used)
            memory[1] = max(memory[1], used)
            time.sleep(0.02)
        seconds[:] = time.monotonic() - begun, time.process_time() - cpu
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    pump.run()
    saved = bookmarks.load()[group.name]
    client.drop_database(f"bench_{os.getpid()}")
    if saved.relayed < n:
        raise RuntimeError(f"{saved.relayed} of {n} are saved as relayed")
    return {"n": n, "seconds": seconds[0], "cpu": seconds[1], "memory": memory}


SIDES: Mapping[str, Callable[..., Result]] = {"loop": loop, "relay": relay}


def fill(uri: str, collection: str, n: int) -> Timestamp:
    """n payments of 20,000 cards; skewed: a third of them of one. The cluster time in front of them."""
    draw = random.Random(n)
    with MongoClient[dict[str, Any]](uri) as client:
        begin = client.admin.command("ping")["operationTime"]
        for first in range(0, n, 5_000):
            client.shop[collection].insert_many([payment(draw, i, collection) for i in range(first, min(n, first + 5_000))])
    return Timestamp(begin.time, begin.inc + 1)


def payment(draw: random.Random, i: int, collection: str) -> dict[str, Any]:
    """A document as a shop has it, of about 250 bytes."""
    card = 0 if collection == SKEWED and draw.random() < 1 / 3 else draw.randrange(1, 20_000)
    return {
        "_id": i, "card": f"card-{card:06}", "terminal": draw.randrange(500), "amount": round(draw.expovariate(0.02), 2),
        "currency": "EUR", "declined": draw.random() < 0.03, "merchant": {"name": f"shop {draw.randrange(900)}", "mcc": 5411},
        "items": [draw.randrange(10_000) for _ in range(4)], "at": mongo_time(i),
    }  # fmt: skip


def mongo_time(i: int) -> Any:
    """A thousand a second."""
    return json_util.loads(f'{{"$date": {1_790_000_000_000 + i}}}')


@contextmanager
def parts(home: Path) -> Iterator[tuple[str, int]]:
    """A mongod and the sink: the address of the one, the port of the other."""
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    who = mongod.start(home, ports[0], leashed=True)
    command = [sys.executable, "-m", "benchmarks.sink", str(ports[1]), str(AFTER)]
    sink = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        mongod.ready(who, home)
        assert sink.stdout is not None
        if sink.stdout.readline().strip() != "ready":
            raise RuntimeError("the sink did not start")
        yield mongod.uri(ports[0]), ports[1]
    finally:
        sink.kill()
        sink.wait()
        stop(who, 5)


def measure(side: str, uri: str, port: int, collection: str, since: Timestamp, n: int) -> Result:
    """One side in a process of its own."""
    ask = json.dumps([side, uri, port, collection, since.time, since.inc, n])
    command = [sys.executable, "-m", "benchmarks.producer", "--side", ask]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1_800)
    if done.returncode:
        raise RuntimeError(done.stderr[-3_000:])
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> int:
    """Measure and print; 1 where a line is not met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.producer", allow_abbrev=False)
    parser.add_argument("--events", type=int, default=100_000, help="changes of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        side, uri, port, collection, time_, inc, n = json.loads(given.side)
        print(json.dumps(SIDES[side](uri, port, collection, Timestamp(time_, inc), n)))
        return 0
    met = True
    with tempfile.TemporaryDirectory(prefix="eddy-bench-") as home, parts(Path(home)) as (uri, port):
        for collection, what in ((EVENLY, "keys drawn evenly"), (SKEWED, "a third of all on one key")):
            since = fill(uri, collection, given.events)
            for side in SIDES:
                measure(side, uri, port, collection, since, min(WARM, given.events))
            mine, theirs, ratios, grown = [], [], [], []
            for number in range(given.rounds):
                order = ("loop", "relay") if number % 2 else ("relay", "loop")
                found = {side: measure(side, uri, port, collection, since, given.events) for side in order}
                rates = {side: r["n"] / r["seconds"] for side, r in found.items()}
                mine.append(rates["relay"])
                theirs.append(rates["loop"])
                ratios.append(rates["relay"] / rates["loop"])
                early, late = found["relay"]["memory"]
                grown.append(late / early)
                cpu = {side: 1e6 * r["cpu"] / r["n"] for side, r in found.items()}
                print(f"  round {number + 1}: relay {rates['relay']:,.0f}/s, loop {rates['loop']:,.0f}/s;"
                      f" CPU us a change {cpu['relay']:.0f} and {cpu['loop']:.0f}; at most {late / 1e6:.0f} MB")  # fmt: skip
            good = median(ratios) >= TIMES and median(grown) <= GROWTH
            met &= good
            print(f"{'met ' if good else 'MISS'} {what}: {median(mine):,.0f} changes a second, the loop {median(theirs):,.0f}:"
                  f" {median(ratios):.2f} times (line {TIMES}); memory x {median(grown):.2f} (line {GROWTH})")  # fmt: skip
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
