"""What the consumer's own pipeline makes of a stream's records: each shard in its order, the store in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.specs import Pipeline
from consumer.intake.batch import NO_LIMIT
from consumer.intake.records import Raw
from consumer.life import Limits
from consumer.replay.outputs import write
from consumer.replay.replay import EventTimeStore
from consumer.runner import Runner
from consumer.store.contract import Counters, ShardId
from contract.aggregated import user_records
from sandbox import aws
from tests.producer.conftest import Stream

View = dict[str, Any]
AT_ONCE = 500


def raws(stream: Stream) -> dict[str, list[Raw]]:
    """All records of a stream, by shard, as KCL would hand them over."""
    client = aws.kinesis(stream.port)
    found: dict[str, list[Raw]] = {}
    for shard in client.list_shards(StreamName=stream.name)["Shards"]:
        name = shard["ShardId"]
        start = client.get_shard_iterator(StreamName=stream.name, ShardId=name, ShardIteratorType="TRIM_HORIZON")
        iterator = start["ShardIterator"]
        while (answer := client.get_records(ShardIterator=iterator, Limit=10_000))["Records"]:
            for record in answer["Records"]:
                arrived = round(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
                sequence = int(record["SequenceNumber"])
                for sub, part in enumerate(user_records(record["PartitionKey"], record["Data"])):
                    found.setdefault(name, []).append(Raw(part.data, part.key, sequence, sub, arrived))
            iterator = answer["NextShardIterator"]
    return found


def consume(spec: Pipeline, stream: Stream, out: Path) -> tuple[dict[str, list[View]], list[Counters]]:
    """The views by name, of all shards, every window closed; and the counters of each shard."""
    views: dict[str, list[View]] = {}
    counters = []
    for shard, records in raws(stream).items():
        store = EventTimeStore(spec)
        runner = Runner(spec, store, ShardId(stream.name, 0, shard), limits=Limits(budget=NO_LIMIT), durable=False)
        for begin in range(0, len(records), AT_ONCE):
            runner.feed(records[begin : begin + AT_ONCE])
        cursor = runner.finish()
        counters.append(cursor.counters)
        folder = out / shard
        folder.mkdir(parents=True)
        write(folder, spec, store, cursor)
        for file in folder.glob("*.jsonl"):
            views.setdefault(file.stem, []).extend(json.loads(line) for line in file.read_bytes().splitlines())
    return views, counters
