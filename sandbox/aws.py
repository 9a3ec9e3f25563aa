"""Kinesis and DynamoDB on this machine: ministack on one port, bound to 127.0.0.1, asked until it answers.

Its memory is all it has: stream, records and lease tables live and die together with the process.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from botocore.config import Config
from botocore.exceptions import ClientError

from config.environment import Environment, environment
from contract.errors import Fatal
from edge import aws
from edge.aws import DynamoDBClient, KinesisClient
from sandbox.processes import Known, find, known, spawn, tail

REGION = "us-east-1"
READY_WITHIN = 60.0
PATIENT = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5})


def start(home: Path, port: int, leashed: bool = False, more: Mapping[str, str] | None = None) -> Known:
    """Start ministack for Kinesis and DynamoDB; ready() says when it can be used. more: further settings of its environment."""
    scratch = home / "ministack"
    scratch.mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MINISTACK_"))}
    env = {
        **kept, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "kinesis,dynamodb,sts", "LOG_LEVEL": "WARNING",
        "TMPDIR": str(scratch), "PERSIST_STATE": "0", "PYTHONUNBUFFERED": "1", **(more or {}),
    }  # fmt: skip
    process = spawn([sys.executable, "-m", "ministack"], home / "ministack.log", env, leashed)
    return known(process.pid, port, "ministack")


def url(port: int) -> str:
    """Where it answers."""
    return f"http://127.0.0.1:{port}"


def ready(who: Known, home: Path) -> None:
    """Ask until it says that it is ready. Raises Fatal with its log's end if it never does."""
    deadline = time.monotonic() + READY_WITHIN
    while not _answers(who.port):
        if find(who) is None or time.monotonic() > deadline:
            raise Fatal(f"ministack did not get ready; the end of {home / 'ministack.log'}:\n{tail(home / 'ministack.log')}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url(port)}/_ministack/ready", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def settings(port: int) -> dict[str, str]:
    """The environment that makes boto3 and KCL talk to it. The credentials mean nothing.

    CBOR is off (a setting of the AWS SDK for Java): ministack writes times in it as seconds where the SDK reads milliseconds, so
    every record would seem to have arrived in 1970. In JSON both mean the same.
    """
    return {
        "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": url(port), "AWS_ENDPOINT_URL_KINESIS": url(port), "AWS_ENDPOINT_URL_DYNAMODB": url(port),
        "AWS_EC2_METADATA_DISABLED": "true", "CBOR_ENABLED": "false",
    }  # fmt: skip


def kinesis(port: int) -> KinesisClient:
    """A client of the sandbox's Kinesis."""
    return aws.kinesis(_here(port), PATIENT)


def dynamodb(port: int) -> DynamoDBClient:
    """A client of the sandbox's DynamoDB."""
    return aws.dynamodb(_here(port), PATIENT)


def _here(port: int) -> Environment:
    return environment(settings(port))


def make_stream(port: int, name: str, shards: int) -> bool:
    """Make the stream if it is not there. True if it was made now."""
    client = kinesis(port)
    try:
        client.create_stream(StreamName=name, ShardCount=shards)
    except ClientError as error:
        if aws.code_of(error) != "ResourceInUseException":
            raise
        return False
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return True
