"""The whole consumer: supervisor, a real JVM with KCL, a child for each shard; killed in every way that a machine knows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from consumer.host import jvm, reports
from tests.consumer.conftest import Place, eventually
from tests.consumer.kcl.daemon import ROOT


class Consumer:
    """`python -m consumer`, its log and its run directory."""

    def __init__(self, place: Place, log: Path) -> None:
        self.place, self.log = place, log
        self.nursery: int | None = None
        with log.open("ab") as err:
            self.process = subprocess.Popen([sys.executable, "-m", "consumer"], cwd=ROOT, env=place.env, stderr=err)

    def lines(self) -> list[dict[str, object]]:
        """What it said; every line of it is JSON, the JVM's too."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def jvms(self) -> list[int]:
        """Pids of the JVMs that it has started, the latest last."""
        return [int(str(e["pid"])) for e in self.lines() if str(e["event"]).startswith("KCL started")]

    def children(self) -> list[int]:
        """Pids of those that read a shard, by their own word. All of them are forks of one process, which stays."""
        [words] = (self.run() / "shards").iterdir()
        found = [status.pid for status in reports.read(words) if status.state == "reading" and psutil.pid_exists(status.pid)]
        for parent in {psutil.Process(pid).ppid() for pid in found}:
            assert self.nursery in (None, parent)
            self.nursery = parent
        return found

    def run(self) -> Path:
        """Its run directory."""
        [found] = self.place.run.glob("run-*/*")
        return found


@pytest.fixture
def consumer(place: Place, tmp_path: Path) -> Iterator[Consumer]:
    one = Consumer(place, tmp_path / "log")
    yield one
    if one.process.poll() is None:
        one.process.kill()
        one.process.wait()
        for pid in jvm.leftovers(one.run()):
            os.kill(pid, signal.SIGKILL)


def checkpoints(place: Place) -> dict[str, int]:
    """What KCL has stored for each shard."""
    created = place.kinesis.describe_stream_summary(StreamName=place.stream)["StreamDescriptionSummary"]["StreamCreationTimestamp"]
    table = f"eddy-{place.stream}-{int(created.timestamp()) * 1000}"
    leases = place.dynamodb.scan(TableName=table)["Items"]
    return {lease["leaseKey"]["S"]: int(lease["checkpoint"]["S"]) for lease in leases}


def last_numbers(place: Place) -> dict[str, int]:
    """The last record's sequence number in each shard."""
    found = {}
    for shard in place.kinesis.list_shards(StreamName=place.stream)["Shards"]:
        where = place.kinesis.get_shard_iterator(
            StreamName=place.stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )
        records = place.kinesis.get_records(ShardIterator=where["ShardIterator"], Limit=10_000)["Records"]
        found[shard["ShardId"]] = int(records[-1]["SequenceNumber"])
    return found


def test_nothing_is_lost_and_nothing_happens_twice(consumer: Consumer, place: Place) -> None:
    #  records    0....1000      ....1500      ....2000
    #  JVM             [==== kill -9 [==== (a child: kill -9) [==== SIGTERM
    place.put(0, 1000)
    eventually(lambda: place.counted() == 1000, 120)
    assert {d["sequence"].lstrip("0") for d in place.database["_cursors"].find()} == {str(n) for n in last_numbers(place).values()}
    [first] = consumer.jvms()
    eventually(lambda: len(consumer.children()) == 2, 60)
    os.kill(first, signal.SIGKILL)
    place.put(1000, 500)
    eventually(lambda: place.counted() == 1500, 60)
    [child, _] = eventually(lambda: found if len(found := consumer.children()) == 2 else [], 60)
    os.kill(child, signal.SIGKILL)
    place.put(1500, 500)
    eventually(lambda: place.counted() == 2000, 60)
    assert len(consumer.jvms()) == 3, "KCL ends with a child, and is started again"
    assert sum(d["records"] for d in place.database.health.find()) == 2000

    consumer.process.send_signal(signal.SIGTERM)
    assert consumer.process.wait(75) == 0
    assert checkpoints(place) == last_numbers(place)
    assert jvm.leftovers(consumer.run()) == []
    assert {e["level"] for e in consumer.lines() if "logger" in e} <= {"WARN", "ERROR"}
