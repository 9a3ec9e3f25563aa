"""Reads the sandbox's stream beside the consumer: what was relayed, counted from the stream itself and not from anybody's log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from contract.aggregated import user_records
from contract.codec import decode
from contract.errors import Rejected
from contract.event import Event, Heartbeat
from edge.aws import KinesisClient

Ranges = dict[str, tuple[int, int]]


def hash_ranges(client: KinesisClient, stream: str) -> Ranges:
    """shard -> (low, high), the 128-bit hashes that it holds."""
    shards = client.list_shards(StreamName=stream)["Shards"]
    return {s["ShardId"]: (int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in shards}


def taken_apart(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The user records of what GetRecords gave, as KCL takes it apart: each with its SubSequenceNumber, 0 where it is alone."""
    for sub, found in enumerate(user_records(record["PartitionKey"], record["Data"])):
        yield {**record, "Data": found.data, "PartitionKey": found.key, "SubSequenceNumber": sub}


@dataclass(slots=True)
class Tap:
    """Follows every shard from its beginning. changes: records that carry a change; heartbeat: the lowest shard's last one, ms."""

    client: KinesisClient
    stream: str
    iterators: dict[str, str] = field(default_factory=dict)
    changes: int = 0
    captured: int = 0
    _counted: dict[str, str] = field(default_factory=dict)  # trigger -> the route that its changes are counted by
    _beat: dict[str, int] = field(default_factory=dict)

    def begin(self) -> Tap:
        """Stand at the beginning of every shard."""
        for shard in hash_ranges(self.client, self.stream):
            got = self.client.get_shard_iterator(StreamName=self.stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
            self.iterators[shard] = got["ShardIterator"]
        return self

    @property
    def heartbeat(self) -> int | None:
        """Everything up to this cluster time is on every shard; None before the first one."""
        return min(self._beat.values()) if len(self._beat) == len(self.iterators) else None

    def read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The user records that have come since the last time, shard by shard, in each one's order."""
        for shard, iterator in list(self.iterators.items()):
            behind = 1
            while behind:
                got = self.client.get_records(ShardIterator=iterator, Limit=10_000)
                iterator = self.iterators[shard] = got["NextShardIterator"]
                behind = got["MillisBehindLatest"]
                for record in (one for whole in got["Records"] for one in taken_apart(whole)):
                    self._count(shard, record["Data"])
                    yield shard, record
                if not got["Records"]:
                    break

    def follow(self) -> None:
        """Count what has come since the last time."""
        for _ in self.read():
            pass

    def _count(self, shard: str, data: bytes) -> None:
        try:
            message = decode(data)
        except Rejected:
            return
        if isinstance(message, Heartbeat):
            self._beat[shard] = message.cluster
        if not isinstance(message, Event):
            return
        self.changes += 1
        self.captured += self._counted.setdefault(message.trigger, message.route) == message.route
