"""What Kinesis knows of a stream and its shards, and KCL does not tell: identity, hash ranges, parents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from consumer.store.contract import HashRange, ShardId
from contract.errors import Misconfigured, Retryable
from contract.times import date_ms
from edge.aws import DynamoDBClient, KinesisClient, Missing, in_our_words


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream as it is now: a stream made anew under its old name has another `created` (ms)."""

    name: str
    arn: str
    created: int


@dataclass(frozen=True, slots=True)
class Place:
    """A shard: who it is, which hashes it holds, whom it continues."""

    shard: ShardId
    hashes: HashRange
    parents: tuple[ShardId, ...]


def describe(client: KinesisClient, name: str) -> StreamInfo:
    """The stream. Raises Misconfigured where there is none, Retryable while it is being made."""
    try:
        with in_our_words(f"stream {name}"):
            summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    except Missing:
        raise Misconfigured(_missing(name, client.meta.region_name, client.meta.endpoint_url)) from None
    if summary["StreamStatus"] in ("CREATING", "DELETING"):
        raise Retryable(f"stream {name} is {summary['StreamStatus'].lower()}", after=1.0)
    return StreamInfo(name, summary["StreamARN"], date_ms(summary["StreamCreationTimestamp"]))


def find(client: KinesisClient, info: StreamInfo, shard: str) -> Place:
    """Where a shard lies. Raises Misconfigured if the stream has no such shard (any more)."""
    with in_our_words(f"shards of {info.name}"):
        for page in client.get_paginator("list_shards").paginate(StreamName=info.name):
            for found in page["Shards"]:
                if found["ShardId"] == shard:
                    return _place(info, found)
    raise Misconfigured(f"stream {info.name} has no shard {shard}: it is not the stream that the leases were made for")


def put(client: KinesisClient, name: str, records: Sequence[tuple[str, bytes]]) -> Sequence[int]:
    """Records, each with its partition key, into a stream, in one request: the places of those that were not taken for now. Raises
    Misconfigured, Retryable."""
    with in_our_words(f"PutRecords to {name}"):
        answer = client.put_records(StreamName=name, Records=[{"PartitionKey": key, "Data": data} for key, data in records])
        return [place for place, record in enumerate(answer["Records"]) if record.get("ErrorCode")]


def record_limit(client: KinesisClient, name: str) -> int:
    """Bytes that a record of the stream may have, its partition key included: 1 MiB where the service does not say."""
    with in_our_words(f"stream {name}"):
        summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    return int(summary.get("MaxRecordSizeInKiB") or 1_024) << 10


def reachable(client: DynamoDBClient, table: str) -> None:
    """Raises Retryable or Misconfigured where KCL would not get at its tables; that the table is not there yet is no error."""
    with suppress(Missing), in_our_words("DynamoDB"):
        client.describe_table(TableName=table)


def _place(info: StreamInfo, found: dict[str, Any]) -> Place:
    hashes = found["HashKeyRange"]
    parents = [found[name] for name in ("ParentShardId", "AdjacentParentShardId") if name in found]
    return Place(
        ShardId(info.arn, info.created, found["ShardId"]),
        HashRange(int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])),
        tuple(ShardId(info.arn, info.created, parent) for parent in parents if parent),
    )


def _missing(name: str, region: str, endpoint: str) -> str:
    return (
        f"stream {name}: there is none of that name in {region} at {endpoint}. Make it (aws kinesis create-stream "
        f"--stream-name {name} --shard-count 2), or correct [stream] name in pipeline.toml or AWS_REGION"
    )
