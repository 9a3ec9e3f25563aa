"""Aggregated records on their whole way: our producer makes them, KCL's Java takes them apart, and every change counts once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from contract.aggregated import user_records
from contract.codec import decode
from contract.event import Event
from sandbox import aws
from sandbox.stage import Stage
from tests.e2e.conftest import SetUp, until

Document = dict[str, Any]
WITHIN = 420  # s for each step: on a busy machine KCL alone takes minutes to its first lease
TOML = """
[stream]
name = "aggregated"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
operations = ["insert"]
routes = ["card"]

[[windows]]
name = "spend"
trigger = "pay"
key = "card"
tumbling = { size = "1h" }
measures = { n = "count()", spend = "sum(amount)", latest = "last(n)" }

[consumer]
snapshot = "1ms"  # with each commit, so that KCL is told to stand in the middle of aggregates
"""


def pay(client: MongoClient[Document], first: int, n: int) -> None:
    """n payments; of every seven one card has five, the two others one each."""
    cards = ("busy", "a", "busy", "busy", "b", "busy", "busy")
    client["shop"]["pay"].insert_many([{"_id": i, "n": i, "card": cards[i % 7], "amount": 1.0} for i in range(first, first + n)])


def shapes(stage: Stage) -> list[int]:
    """How many changes each Kinesis record holds, heartbeats left out."""
    kinesis, found = aws.kinesis(stage.running.aws_port), []
    for shard in kinesis.list_shards(StreamName=stage.spec.stream.name)["Shards"]:
        where = {"StreamName": stage.spec.stream.name, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator = kinesis.get_shard_iterator(**where)["ShardIterator"]
        for record in kinesis.get_records(ShardIterator=iterator, Limit=10_000)["Records"]:
            parts = user_records(record["PartitionKey"], record["Data"])
            assert {part.key for part in parts} == {record["PartitionKey"]}
            if isinstance(decode(parts[0].data), Event):
                found.append(len(parts))
    return found


@pytest.mark.timeout(4 * WITHIN)
@pytest.mark.skipif("EDDY_SOAK" not in os.environ, reason="one of the longer tests: make soak")
def test_every_change_in_an_aggregate_counts_once(set_stage: SetUp, tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(TOML)
    stage = set_stage(tmp_path / "pipeline.toml")
    with MongoClient[Document](stage.running.uri) as client:
        stage.start("producer", "producer")
        views = client[stage.spec.views.database]
        until("the producer stands", lambda: views["_bookmarks"].count_documents({}) > 0, WITHIN, stage)
        pay(client, 0, 2_100)
        until("all relayed", lambda: sum(shapes(stage)) == 2_100, WITHIN, stage)
        assert max(shapes(stage)) > 20 and len(shapes(stage)) < 700
        stage.start("consumer", "consumer")

        def counted() -> int:
            return sum(d["counted"] for d in views["health"].find())

        until("all counted", lambda: counted() == 2_100, WITHIN, stage)
        pay(client, 2_100, 700)
        until("those that came while it ran, too", lambda: counted() == 2_800, WITHIN, stage)
        health = list(views["health"].find())
        assert {name: sum(d[name] for d in health) for name in ("repeat", "late", "ignored", "dead_letter")} == dict.fromkeys(
            ("repeat", "late", "ignored", "dead_letter"), 0
        )
        n, spend, latest = {}, {}, {}
        for document in views["spend"].find().sort("start"):
            card = document["key"]
            n[card] = n.get(card, 0) + document["n"]
            spend[card] = spend.get(card, 0.0) + document["spend"]
            latest[card] = document["latest"]
        assert n == {"busy": 2_000, "a": 400, "b": 400}
        assert spend == n and latest == {"busy": 2_799, "a": 2_794, "b": 2_797}
