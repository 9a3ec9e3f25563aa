"""A sandbox that ends and starts again: ministack has forgotten everything, and yet nothing is lost and nothing counts twice.

The records are fed to the product's own runner and store here, without KCL, which the other tests have.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pymongo import MongoClient

from consumer import kinesis
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.mongo import MongoStore
from query.verify import Question, Verification
from sandbox import aws, rewind, stack
from sandbox.processes import stop
from sandbox.stage import Stage
from sandbox.state import read
from sandbox.tap import Tap, hash_ranges
from tests.e2e.conftest import ROOT, SetUp, until

Document = dict[str, Any]
EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"


def traffic(stage: Stage, seconds: float) -> None:
    """The shop for a while."""
    command = [sys.executable, "-m", "sandbox", "traffic", "--seconds", str(seconds), "--rate", "150", "--gap", "2"]
    subprocess.run(command, env=stage.environment(), check=True, cwd=ROOT)


def relayed(stage: Stage, changes: Callable[[], int]) -> None:
    """Wait until so many changes are on the stream and a heartbeat says that these are all."""
    tap = Tap(aws.kinesis(stage.running.aws_port), stage.spec.stream.name).begin()
    tap.follow()
    begun = tap.heartbeat or 0

    def all_there() -> bool:
        tap.follow()
        return tap.changes == changes() and (tap.heartbeat or 0) > begun + 2_000

    until("all relayed", all_there, 60, stage)


def consume(stage: Stage, client: MongoClient[Document], shards: int = 2, orderly: bool = True) -> None:
    """Feed what is on the first shards to the product, which stops in order or is killed."""
    aws_client, name = aws.kinesis(stage.running.aws_port), stage.spec.stream.name
    info, store = kinesis.describe(aws_client, name), MongoStore(client, stage.spec)
    store.prepare()
    fed: dict[str, list[Raw]] = {shard: [] for shard in sorted(hash_ranges(aws_client, name))[:shards]}
    for shard, record in Tap(aws_client, name).begin().read():
        if shard in fed:
            at = round(record["ApproximateArrivalTimestamp"].timestamp() * 1_000)
            sequence, sub = int(record["SequenceNumber"]), record["SubSequenceNumber"]
            fed[shard].append(Raw(record["Data"], record["PartitionKey"], sequence, sub, at))
    for shard, raws in fed.items():
        place = kinesis.find(aws_client, info, shard)
        runner = Runner(stage.spec, store, place.shard, place.hashes)
        runner.feed(raws)
        if orderly:
            runner.flush()


def ministack_dies(stage: Stage) -> None:
    """With all that it knew; and the sandbox is started again."""
    stage.stop("producer")
    before = read(stage.home).ministack
    assert before is not None
    stop(before, 0.0)
    stage.running = stack.up(stage.home, leashed=True)
    assert stage.running.aws_port != before.port
    assert rewind.make_stream(stage.running, stage.spec)
    stage.start("producer", "producer")


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nothing_counts_twice(set_stage: SetUp) -> None:
    stage = set_stage(EVERYTHING)
    spec = stage.spec
    with MongoClient[Document](stage.running.uri, tz_aware=True) as client:

        def all_changes() -> int:
            return sum(client["shop"][t.collection].count_documents({}) * len(t.routes) for t in spec.triggers)

        stage.start("producer", "producer")
        traffic(stage, 2)
        relayed(stage, all_changes)
        consume(stage, client)
        traffic(stage, 2)
        relayed(stage, all_changes)
        consume(stage, client, shards=1, orderly=False)  # what the other one had is lost with ministack
        ministack_dies(stage)
        traffic(stage, 1)
        relayed(stage, all_changes)  # from the beginning of the stream that is gone
        consume(stage, client)
        health = list(client[spec.views.database]["health"].find())
        assert sum(d["repeat"] + d["counted"] for d in health) == all_changes()
        assert min(sum(d[name] for d in health) for name in ("repeat", "counted")) > 100
        report = Verification(client, spec, Question(order="n", strict=True)).run()
        assert (report.examples, report.differ) == ([], 0)
        assert report.rolling > 1_000
        nothing_is_repeated_after_an_orderly_end(stage, client, all_changes)


def nothing_is_repeated_after_an_orderly_end(stage: Stage, client: MongoClient[Document], all_changes: Callable[[], int]) -> None:
    """Where all was consumed, the next stream begins where the last one ended."""
    before = all_changes()
    assert rewind.settle(stage.running, stage.spec)
    ministack_dies(stage)
    assert not rewind.make_stream(stage.running, stage.spec)  # it is there already
    traffic(stage, 1)
    relayed(stage, lambda: all_changes() - before)
    assert not rewind.settle(stage.running, stage.spec)
    consume(stage, client)
    assert rewind.settle(stage.running, stage.spec)
