"""An idle child: the CPU that a shard takes while KCL brings it nothing but a heartbeat a second, and five empty lines.

`python -m benchmarks.idle SECONDS` starts one over real pipes and prints {"share": of a core}. The child keeps its views in memory.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import psutil

from benchmarks import sets
from config.specs import Pipeline, Stream, Trigger
from consumer.intake.records import Raw
from consumer.kcl.channel import FastProcess
from consumer.runner import Runner
from consumer.store.contract import ShardId
from consumer.store.memory import MemoryStore
from contract.codec import encode
from contract.event import Heartbeat

ROOT = Path(__file__).parents[1]
BEATS = 5  # lines a second: KCL asks every 200 ms


class Shard:
    """A processor for amazon_kclpy that feeds a Runner, as the product's does."""

    version = 3

    def __init__(self) -> None:
        trigger = Trigger("payments", "shop", "payments", ("card_id", "merchant"))
        spec = Pipeline(Stream("bench"), (trigger,), tuple(sets.workload("w123")))
        self._runner = Runner(spec, MemoryStore(spec), ShardId("bench", 0, "shard-0"))

    def initialize(self, given: Any) -> None:
        """Nothing to do."""

    def process_records(self, given: Any) -> None:
        """A batch, often an empty one."""
        raws = [
            Raw(r.binary_data, r.partition_key, int(r.sequence_number), r.sub_sequence_number, r.timestamp_millis)
            for r in given.records
        ]
        self._runner.feed(raws)


def line(number: int, now: int) -> bytes:
    """What KCL writes: every fifth time a heartbeat."""
    record = {
        "data": base64.b64encode(encode(Heartbeat(now))).decode(),
        "partitionKey": "heartbeat",
        "sequenceNumber": str(number + 1),
        "approximateArrivalTimestamp": now,
        "subSequenceNumber": 0,
        "action": "record",
    }
    message = {"action": "processRecords", "records": [record] if number % BEATS == 0 else [], "millisBehindLatest": 0}
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def done(stream: IO[bytes]) -> None:
    """Waits for the child's answer."""
    while b"status" not in stream.readline():
        pass


def measure(seconds: int) -> dict[str, float]:
    """CPU seconds a second of a child, its start left out."""
    command = [sys.executable, "-m", "benchmarks.idle", "child"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        begun, start, used = 0.0, 0, 0.0
        for number in range(BEATS * (seconds + 2)):
            child.stdin.write(line(number, 1_767_225_600_000 + number * 200))
            child.stdin.flush()
            done(child.stdout)
            if number == 2 * BEATS:
                times = psutil.Process(child.pid).cpu_times()
                begun, start, used = time.perf_counter(), number, times.user + times.system
            time.sleep(1 / BEATS)
        times = psutil.Process(child.pid).cpu_times()
        share = (times.user + times.system - used) / (time.perf_counter() - begun)
        child.stdin.close()
    return {"share": share, "lines": float(BEATS * (seconds + 2) - start)}


if __name__ == "__main__":
    if sys.argv[1] == "child":
        FastProcess(Shard(), sys.stdin.buffer, sys.stdout, sys.stderr).run()
    else:
        print(json.dumps(measure(int(sys.argv[1]))), flush=True)
