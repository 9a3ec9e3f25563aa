"""Kinesis as the relay uses it: one PutRecords request, one heartbeat round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.config import Config

from config.environment import Environment
from config.specs import Stream
from contract.errors import Misconfigured, Retryable
from edge import aws
from producer.changes import Record

PER_REQUEST = 500
SHARDS_FOR = 10.0  # seconds that a list of shards is believed
HEARTBEAT_KEY = "heartbeat"
# One try, which fails soon: waiting and trying again, in order, is the relay's.
ONE_TRY = Config(
    parameter_validation=False,  # a fifth of the time of a request; the records are made by us
    retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=10, tcp_keepalive=True,
    max_pool_connections=16, user_agent_extra="eddy-producer",
)  # fmt: skip


class Kinesis:
    """One stream. Every call raises Retryable (away, throttled as a whole), Misconfigured (no stream, no rights) or Fatal."""

    def __init__(self, client: aws.KinesisClient, stream: Stream, env: Environment) -> None:
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
            with self._in_our_words("ListShards"):
                page = self._client.list_shards(**asked)
            for shard in page["Shards"]:
                if not shard["SequenceNumberRange"].get("EndingSequenceNumber"):
                    found[shard["ShardId"]] = shard["HashKeyRange"]["StartingHashKey"]
            asked = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        return found

    def _put(self, entries: list[dict[str, Any]]) -> dict[int, str]:
        with self._in_our_words("PutRecords"):
            answer = self._client.put_records(StreamName=self._stream.name, Records=entries)
        if not answer["FailedRecordCount"]:
            return {}
        failed = {place: str(r["ErrorCode"]) for place, r in enumerate(answer["Records"]) if r.get("ErrorCode")}
        refused = next((code for code in failed.values() if code in aws.REFUSED), None)
        if refused is not None:
            raise self._refused(f"Kinesis PutRecords at {self._where()}: {refused}")
        return failed

    @contextmanager
    def _in_our_words(self, doing: str) -> Iterator[None]:
        """What is wrong with the stream or the rights on it is said with what to do."""
        try:
            with aws.in_our_words(f"Kinesis {doing} at {self._where()}"):
                yield
        except aws.Missing as error:
            raise Misconfigured(self._missing()) from error
        except Misconfigured as error:
            raise self._refused(str(error)) from error

    def _refused(self, what: str) -> Misconfigured:
        return Misconfigured(
            f"{what}: wrong credentials, or not enough rights. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE;"
            f" they need kinesis:PutRecords and kinesis:ListShards on the stream {self._stream.name}. `make doctor` checks them"
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
