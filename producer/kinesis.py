"""Kinesis: one PutRecords request, one heartbeat round, and what the service's errors ask of us. The only file with boto3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NoConnection

from config.environment import Environment
from config.specs import Stream
from contract.errors import Fatal, Misconfigured, Retryable
from producer.changes import Record

PER_REQUEST = 500
SHARDS_FOR = 10.0  # seconds that a list of shards is believed
HEARTBEAT_KEY = "heartbeat"
NO_CREDENTIALS = (
    NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ProfileNotFound, SSOError, TokenRetrievalError,
)  # fmt: skip
REFUSED = frozenset(
    "UnrecognizedClientException InvalidClientTokenId InvalidSignatureException SignatureDoesNotMatch IncompleteSignature"
    " MissingAuthenticationToken MissingAuthenticationTokenException ExpiredTokenException ExpiredToken OptInRequired"
    " AccessDeniedException AccessDenied NotAuthorized InvalidAccessKeyId AuthFailure KMSAccessDeniedException"
    " KMSDisabledException KMSInvalidStateException KMSNotFoundException KMSOptInRequired".split()
)
BUSY = frozenset(
    "ProvisionedThroughputExceededException LimitExceededException ThrottlingException Throttling RequestLimitExceeded"
    " ResourceInUseException InternalFailure InternalFailureException InternalServerError ServiceUnavailable"
    " ServiceUnavailableException KMSThrottlingException RequestTimeout RequestTimeoutException RequestExpired".split()
)


class Client(Protocol):
    """What is used of boto3's Kinesis client."""

    def put_records(self, *, StreamName: str, Records: Sequence[Any]) -> Any:  # noqa: N803
        """PutRecords."""
        ...

    def list_shards(self, **asked: Any) -> Any:
        """ListShards."""
        ...


def connect(env: Environment) -> Client:
    """A client that tries once and fails soon: waiting and trying again, in order, is the relay's. Raises Misconfigured."""
    config = Config(
        parameter_validation=False,  # a fifth of the time of a request; the records are made by us
        retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=10, tcp_keepalive=True,
        max_pool_connections=16, user_agent_extra="eddy-producer",
    )  # fmt: skip
    try:
        session = boto3.Session(profile_name=env.profile, region_name=env.region)
        client: Client = session.client("kinesis", endpoint_url=env.kinesis_endpoint, config=config)
        return client
    except (BotoCoreError, ValueError) as error:
        raise Misconfigured(f"Kinesis: {error}; check AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL") from None


class Kinesis:
    """One stream. Every call raises Retryable (away, throttled as a whole), Misconfigured (no stream, no rights) or Fatal."""

    def __init__(self, client: Client, stream: Stream, env: Environment) -> None:
        self._client, self._stream, self._env = client, stream, env
        self._shards: dict[str, str] = {}
        self._asked: float | None = None

    def put(self, records: Sequence[Record]) -> dict[int, str]:
        """PutRecords. The places of the records that were not taken, with the service's error code for each."""
        return self._put([{"Data": r.data, "PartitionKey": r.key} for r in records])

    def heartbeat(self, data: bytes, now: float) -> int:
        """Put the same record on every open shard, by a hash key that the shard holds. How many shards took it."""
        shards = self.shards(now)
        beats = [{"Data": data, "PartitionKey": HEARTBEAT_KEY, "ExplicitHashKey": low} for low in shards.values()]
        failed = 0
        for start in range(0, len(beats), PER_REQUEST):
            try:
                failed += len(self._put(beats[start : start + PER_REQUEST]))
            except Retryable:
                self._asked = None
                raise
        if failed:
            self._asked = None
        return len(beats) - failed

    def shards(self, now: float) -> Mapping[str, str]:
        """The open shards and the lowest hash key of each, asked anew every ten seconds and on errors. now: of any steady clock."""
        if self._asked is None or now - self._asked >= SHARDS_FOR:
            self._shards = self._list()
            self._asked = now
        return self._shards

    def _list(self) -> dict[str, str]:
        found: dict[str, str] = {}
        asked: dict[str, Any] = {"StreamName": self._stream.name}
        while asked:
            try:
                page = self._client.list_shards(**asked)
            except (ClientError, BotoCoreError) as error:
                raise self._reaction(error, "ListShards") from error
            for shard in page["Shards"]:
                if not shard["SequenceNumberRange"].get("EndingSequenceNumber"):
                    found[shard["ShardId"]] = shard["HashKeyRange"]["StartingHashKey"]
            asked = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        return found

    def _put(self, entries: list[dict[str, Any]]) -> dict[int, str]:
        try:
            answer = self._client.put_records(StreamName=self._stream.name, Records=entries)
        except (ClientError, BotoCoreError) as error:
            raise self._reaction(error, "PutRecords") from error
        if not answer["FailedRecordCount"]:
            return {}
        failed = {place: str(r["ErrorCode"]) for place, r in enumerate(answer["Records"]) if r.get("ErrorCode")}
        refused = next((code for code in failed.values() if code in REFUSED), None)
        if refused is not None:
            raise self._refused(refused, "PutRecords")
        return failed

    def _reaction(self, error: Exception, doing: str) -> Retryable | Fatal:
        if isinstance(error, ClientError):
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "ResourceNotFoundException":
                return Misconfigured(self._missing())
            if code in REFUSED:
                return self._refused(code, doing)
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if code in BUSY or status >= 500 or status == 429:
                return Retryable(f"Kinesis {doing}: {code or status}")
            return Fatal(f"Kinesis {doing}: {code or status}")
        if isinstance(error, NO_CREDENTIALS):
            return self._refused(type(error).__name__, doing)
        if isinstance(error, (NoConnection, HTTPClientError)):
            return Retryable(f"Kinesis {doing}: {type(error).__name__}: no answer from {self._where()}")
        return Fatal(f"Kinesis {doing}: {type(error).__name__}: {error}")

    def _refused(self, code: str, doing: str) -> Misconfigured:
        return Misconfigured(
            f"Kinesis {doing} at {self._where()}: {code}: wrong credentials, or not enough rights. Set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; they need kinesis:PutRecords and kinesis:ListShards on the stream"
            f" {self._stream.name}. `make doctor` checks them"
        )

    def _missing(self) -> str:
        name, region = self._stream.name, self._env.region
        endpoint = f" --endpoint-url {self._env.kinesis_endpoint}" if self._env.kinesis_endpoint else ""
        return (
            f'stream.name: there is no stream "{name}" at {self._where()}. Make it:\n'
            f"aws kinesis create-stream --stream-name {name} --shard-count {self._stream.shards} --region {region}{endpoint}\n"
            "In the sandbox `make run-producer` makes it"
        )

    def _where(self) -> str:
        return self._env.kinesis_endpoint or f"AWS, region {self._env.region}"
