"""What Kinesis knows of a stream and its shards, and KCL does not tell: identity, hash ranges, parents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, MetadataRetrievalError
from botocore.parsers import ResponseParserError

from config.environment import Environment
from consumer.store.contract import HashRange, ShardId
from contract.errors import Misconfigured, Retryable
from contract.times import date_ms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import ShardTypeDef

BUSY = frozenset(
    "LimitExceededException ThrottlingException ProvisionedThroughputExceededException RequestLimitExceeded InternalFailure "
    "InternalServerError ServiceUnavailable ServiceUnavailableException KMSThrottlingException ExpiredNextTokenException".split()
)
PASSING = (ConnectionError, HTTPClientError, ResponseParserError, MetadataRetrievalError)
HOW = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


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


def connect(env: Environment) -> KinesisClient:
    """A client of Kinesis. Raises Misconfigured."""
    with in_our_words("Kinesis"):
        session = boto3.Session(profile_name=env.profile, region_name=env.region)
        client: KinesisClient = session.client("kinesis", endpoint_url=env.kinesis_endpoint, config=HOW)
        return client


def connect_leases(env: Environment) -> DynamoDBClient:
    """A client of DynamoDB, where KCL keeps its leases. Raises Misconfigured."""
    with in_our_words("DynamoDB"):
        session = boto3.Session(profile_name=env.profile, region_name=env.region)
        client: DynamoDBClient = session.client("dynamodb", endpoint_url=env.dynamodb_endpoint, config=HOW)
        return client


def describe(client: KinesisClient, name: str) -> StreamInfo:
    """The stream. Raises Misconfigured where there is none, Retryable while it is being made."""
    with in_our_words(f"stream {name}"):
        try:
            summary = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        except client.exceptions.ResourceNotFoundException:
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


def reachable(client: DynamoDBClient, table: str) -> None:
    """Raises Retryable or Misconfigured where KCL would not get at its tables; that the table is not there yet is no error."""
    with in_our_words("DynamoDB"):
        try:
            client.describe_table(TableName=table)
        except client.exceptions.ResourceNotFoundException:
            return


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
    """Turn an error of boto3 into one that is named by its reaction; sorted by class and code."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "")
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in BUSY or status >= 500:
            raise Retryable(f"{what}: AWS answers {code or status}") from error
        raise Misconfigured(f"{what}: AWS refuses with {code}: {error.response['Error'].get('Message', '')}") from error
    except PASSING as error:
        raise Retryable(f"{what}: cannot be reached: {error}") from error
    except (BotoCoreError, ValueError) as error:  # no credentials, no such profile, an endpoint that is none
        raise Misconfigured(f"{what}: {error}") from error


def _place(info: StreamInfo, found: ShardTypeDef) -> Place:
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
