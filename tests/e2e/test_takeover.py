"""Two consumers share the leases of two shards. One goes, in order or killed, and the other reads everything.

consumer     [== shard 0 =====================
consumer-1   [== shard 1 ====== ended
shard 1                          .... [== read by the other one

Killed, the one that leads (KCL has one of its workers hand out leases) leaves its lock behind, which nobody takes for two minutes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pymongo import MongoClient

from consumer import kinesis
from consumer.host import reports
from consumer.store.layout import CURSORS
from sandbox import aws
from sandbox.stage import Stage
from tests.e2e.conftest import ROOT, SetUp, until

EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"
BOTH = ("consumer", "consumer-1")
WITHIN = 180.0  # s for each step, on a machine that is busy with other things
LOCK_ENDS = 135.0  # s after the leader was killed


class Pair:
    """Two consumers on a stage, and records for them."""

    def __init__(self, stage: Stage, client: MongoClient[dict[str, Any]]) -> None:
        self.stage, self.cursors = stage, client[stage.spec.views.database][CURSORS]
        stage.start("producer", "producer")
        for slot, name in enumerate(BOTH):
            stage.start(name, "consumer", "--slot", str(slot))
        stage.start("traffic", "sandbox", "traffic", "--rate", "40")
        until("each of the two reads a shard", lambda: sorted(map(len, self.read().values())) == [1, 1], 2 * WITHIN, stage)

    def read(self) -> Mapping[str, set[str]]:
        """The shards that each of them reads, by their children's own words."""
        found: dict[str, set[str]] = {}
        for slot, name in enumerate(BOTH):
            words = [one for folder in self.stage.home.glob(f"run-*-{slot}/*/shards/*") for one in reports.read(folder)]
            found[name] = {one.shard for one in words if one.state == "reading"}
        return found

    def positions(self) -> dict[str, tuple[int, str]]:
        """How far each shard is, under which epoch."""
        return {doc["_id"]["shard"]: (doc["epoch"], doc["sequence"]) for doc in self.cursors.find()}

    def leader(self) -> str:
        """Who hands out the leases, by KCL's own table."""
        info = kinesis.describe(aws.kinesis(self.stage.running.aws_port), self.stage.spec.stream.name)
        table: Any = aws.dynamodb(self.stage.running.aws_port)
        items = table.scan(TableName=f"eddy-{info.name}-{info.created}-CoordinatorState", ConsistentRead=True)["Items"]
        [owner] = {item["ownerName"]["S"] for item in items if "ownerName" in item}
        return BOTH[int(re.sub(".*-", "", owner))]

    def replaced(self, name: str, end: Callable[[str], None], within: float) -> None:
        """End one of the two, and wait until the other has both shards and both have moved: the one that it took over under an
        epoch of its own."""
        [other], [lost] = {*BOTH} - {name}, self.read()[name]
        end(name)
        before = self.positions()
        until(f"{other} reads both", lambda: len(self.read()[other]) == 2, within)
        until("both have moved", lambda: all(at > before[shard] for shard, at in self.positions().items()), WITHIN)
        assert self.positions()[lost][0] > before[lost][0]


@pytest.mark.timeout(5 * WITHIN)
@pytest.mark.skipif("EDDY_SOAK" not in os.environ, reason="one of the longer tests: make soak")
def test_one_that_ends_in_order_is_replaced_by_the_other(set_stage: SetUp) -> None:
    stage = set_stage(EVERYTHING)
    with MongoClient[dict[str, Any]](stage.running.uri) as client:
        Pair(stage, client).replaced("consumer-1", stage.stop, WITHIN)


@pytest.mark.timeout(5 * WITHIN)
@pytest.mark.skipif("EDDY_SOAK" not in os.environ, reason="one of the longer tests: make soak")
def test_the_leader_that_is_killed_is_replaced_by_the_other(set_stage: SetUp) -> None:
    stage = set_stage(EVERYTHING)
    with MongoClient[dict[str, Any]](stage.running.uri) as client:
        pair = Pair(stage, client)
        pair.replaced(pair.leader(), stage.kill, LOCK_ENDS + WITHIN)
