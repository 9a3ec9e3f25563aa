"""AWS from our side: how its clients are made, what we ask of them, and what its errors ask of us, sorted by class and code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from config.environment import Environment
from contract.errors import Fatal, Misconfigured, Retryable

MISSING = "ResourceNotFoundException"
# throttled, in the middle of something, or in trouble; and a clock that is off, which NTP sets right
BUSY = frozenset(
    "ProvisionedThroughputExceededException LimitExceededException ThrottlingException Throttling ThrottledException"
    " TooManyRequestsException RequestLimitExceeded RequestThrottled RequestThrottledException KMSThrottlingException SlowDown"
    " ResourceInUseException InternalFailure InternalFailureException InternalServerError InternalError ServiceUnavailable"
    " ServiceUnavailableException RequestTimeout RequestTimeoutException RequestExpired RequestTimeTooSkewed"
    " ExpiredNextTokenException ExpiredIteratorException".split()
)
# wrong credentials, or not enough rights
REFUSED = frozenset(
    "UnrecognizedClientException InvalidClientTokenId InvalidToken InvalidSignatureException SignatureDoesNotMatch"
    " IncompleteSignature MissingAuthenticationToken MissingAuthenticationTokenException ExpiredTokenException ExpiredToken"
    " OptInRequired AccessDeniedException AccessDenied NotAuthorized InvalidAccessKeyId AuthFailure KMSAccessDeniedException"
    " KMSDisabledException KMSInvalidStateException KMSNotFoundException KMSOptInRequired".split()
)
NO_CREDENTIALS = (
    NoCredentialsError, PartialCredentialsError, ProfileNotFound, SSOError, TokenRetrievalError,
)  # fmt: skip
# where credentials come from by a role, its service may be away too
NO_ANSWER = (NoConnection, HTTPClientError, ResponseParserError, MetadataRetrievalError, CredentialRetrievalError)
CHECK = "check AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL"
FEW_TRIES = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})


class Missing(Misconfigured):
    """There is no stream or table of that name."""


class KinesisClient(Protocol):
    """What we ask of boto3's client of Kinesis, which is made at run time and has no class that could be named."""

    meta: Any

    def put_records(self, *, StreamName: str, Records: Sequence[Any]) -> Any:  # noqa: N803
        """PutRecords."""
        ...

    def list_shards(self, **asked: Any) -> Any:
        """ListShards."""
        ...

    def list_streams(self, **asked: Any) -> Any:
        """ListStreams."""
        ...

    def describe_stream_summary(self, **asked: Any) -> Any:
        """DescribeStreamSummary."""
        ...

    def create_stream(self, **asked: Any) -> Any:
        """CreateStream."""
        ...

    def get_shard_iterator(self, **asked: Any) -> Any:
        """GetShardIterator."""
        ...

    def get_records(self, **asked: Any) -> Any:
        """GetRecords."""
        ...

    def get_paginator(self, operation: str, /) -> Any:
        """Page after page of an operation."""
        ...

    def get_waiter(self, name: str, /) -> Any:
        """Waits for a state."""
        ...


class DynamoDBClient(Protocol):
    """What we ask of boto3's client of DynamoDB."""

    def describe_table(self, **asked: Any) -> Any:
        """DescribeTable."""
        ...


def kinesis(env: Environment, how: Config = FEW_TRIES) -> KinesisClient:
    """A client of Kinesis. Raises Misconfigured."""
    with in_our_words("Kinesis"):
        client: KinesisClient = session(env).client("kinesis", endpoint_url=env.kinesis_endpoint, config=how)
        return client


def dynamodb(env: Environment, how: Config = FEW_TRIES) -> DynamoDBClient:
    """A client of DynamoDB, where KCL keeps its leases. Raises Misconfigured."""
    with in_our_words("DynamoDB"):
        client: DynamoDBClient = session(env).client("dynamodb", endpoint_url=env.dynamodb_endpoint, config=how)
        return client


def session(env: Environment) -> boto3.Session:
    """Credentials and region. Keys go before a profile, as for KCL's SDK in Java, so that a consumer is one account; without either
    boto3 looks for a role."""
    if env.access_key_id is None:
        return boto3.Session(region_name=env.region, profile_name=env.profile)
    return boto3.Session(env.access_key_id, env.secret_access_key, env.session_token, region_name=env.region)


def code_of(error: Exception) -> str:
    """The service's error code; "" where none answered."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def reaction(error: Exception, doing: str) -> Retryable | Fatal:
    """Retryable: away or busy. Misconfigured: will not have us (Missing: has no such thing). Fatal: nobody should guess."""
    if isinstance(error, ClientError):
        code, status = code_of(error), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{doing}: AWS refuses with {code}: {error.response.get('Error', {}).get('Message', '')}"
        if code == MISSING:
            return Missing(said)
        if code in REFUSED:
            return Misconfigured(said)
        if code in BUSY or status >= 500 or status == 429:
            return Retryable(f"{doing}: AWS answers {code or status}")
        return Fatal(f"{doing}: AWS answers {code or status}")
    if isinstance(error, NO_CREDENTIALS):
        return Misconfigured(f"{doing}: {error}; {CHECK}")
    if isinstance(error, NO_ANSWER):
        return Retryable(f"{doing}: cannot be reached: {error}")
    if isinstance(error, (BotoCoreError, ValueError)):  # an endpoint that is none, a region of a wrong form
        return Misconfigured(f"{doing}: {error}; {CHECK}")
    return Fatal(f"{doing}: {type(error).__name__}: {error}")


@contextmanager
def in_our_words(doing: str) -> Iterator[None]:
    """Turn an error of boto3 into one that is named by its reaction. `doing` begins its text."""
    try:
        yield
    except (ClientError, BotoCoreError, ResponseParserError, ValueError) as error:
        raise reaction(error, doing) from error
