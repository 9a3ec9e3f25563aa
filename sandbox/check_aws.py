"""Checks of AWS: credentials, the stream, DynamoDB for KCL's leases, the clock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from config.specs import Pipeline
from edge.aws import MISSING, NO_CREDENTIALS, REFUSED, DynamoDBClient, KinesisClient, code_of
from sandbox.check_mongo import judged
from sandbox.finding import Check, Finding, ok, wrong

CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run where a role is; AWS_REGION too"
POLICY = "check the credentials, and grant the policy in docs/operations.md"
ADDRESS = "check AWS_REGION, the network, and AWS_ENDPOINT_URL if it is set"


def checks(session: boto3.Session, kinesis: KinesisClient, dynamodb: DynamoDBClient, spec: Pipeline) -> Sequence[tuple[str, Check]]:
    """All of them, in the order in which one depends on another."""
    return [
        ("credentials", lambda: credentials(session)),
        ("stream", lambda: stream(kinesis, spec)),
        ("DynamoDB", lambda: leases(dynamodb, spec)),
        ("AWS's clock", lambda: clock(kinesis)),
    ]


def credentials(session: boto3.Session) -> Finding:
    """Some are found; whether they are good the others tell."""
    found = session.get_credentials()
    if found is None:
        return wrong("credentials", "none found", CREDENTIALS)
    return ok("credentials", f"found ({found.method})")


def stream(client: KinesisClient, spec: Pipeline) -> Finding:
    """It exists and is active."""
    name = spec.stream.name
    try:
        found = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    except ClientError as error:
        if code_of(error) == MISSING:
            make = f"aws kinesis create-stream --stream-name {name} --shard-count {spec.stream.shards}"
            return wrong(
                "stream",
                f"there is no stream {name} in {client.meta.region_name}",
                f"{make}\nor correct [stream] name, or AWS_REGION",
            )
        return refused("stream", error)
    except BotoCoreError as error:
        return away("stream", error)
    if found["StreamStatus"] not in ("ACTIVE", "UPDATING"):
        return wrong("stream", f"{name} is {found['StreamStatus']}", "wait until it is ACTIVE")
    return ok("stream", f"{name}: {found['OpenShardCount']} open shards, kept for {found['RetentionPeriodHours']} h")


def leases(client: DynamoDBClient, spec: Pipeline) -> Finding:
    """DynamoDB answers and lets us look for the lease table; KCL makes it."""
    table = f"eddy-{spec.stream.name}"
    try:
        state = client.describe_table(TableName=table)["Table"]["TableStatus"]
    except ClientError as error:
        if code_of(error) == MISSING:
            return ok("DynamoDB", f"answers; KCL will make the table {table}")
        return refused("DynamoDB", error)
    except BotoCoreError as error:
        return away("DynamoDB", error)
    return ok("DynamoDB", f"answers; the lease table {table} is {state}")


def clock(client: KinesisClient) -> Finding:
    """AWS refuses requests that are signed with a clock minutes off."""
    begin = time.time()
    try:
        answer: Any = client.list_streams(Limit=1)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:
        headers = error.response["ResponseMetadata"]["HTTPHeaders"]
    except BotoCoreError as error:
        return away("AWS's clock", error)
    there = parsedate_to_datetime(headers["date"]).timestamp() + 0.5  # the header has whole seconds
    return judged("AWS's clock", there - (begin + time.time()) / 2)


def refused(name: str, error: ClientError) -> Finding:
    """What the service refused, by code."""
    return wrong(name, f"refused: {code_of(error)}", POLICY if code_of(error) in REFUSED else ADDRESS)


def away(name: str, error: BotoCoreError) -> Finding:
    """What did not come to an answer."""
    if isinstance(error, NO_CREDENTIALS):
        return wrong(name, str(error)[:200], CREDENTIALS)
    return wrong(name, f"no answer: {str(error)[:200]}", ADDRESS)
