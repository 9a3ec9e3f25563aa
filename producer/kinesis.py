"""Kinesis as the relay uses it: one PutRecords request, one round of heartbeats, which shards there are, how large a record is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

from config.environment import Environment
from config.specs import Stream
from contract.errors import Misconfigured, Retryable
from edge import aws
from producer.wire import Put, Wire

PER_REQUEST = 500
HEARTBEAT_KEY = "heartbeat"
KIB = 1 << 10
# One try, which fails soon: waiting and trying again, in order, is the relay's.
ONE_TRY = Config(
    parameter_validation=False,  # a fifth of the time of a request; the records are made by us
    retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=5, tcp_keepalive=True,
    max_pool_connections=16, user_agent_extra="eddy-producer",
)  # fmt: skip
Shards = Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """Of PutRecords: the places of the records that were not taken, each with the service's error code, and the shards that took
    the others."""

    failed: Mapping[int, str]
    shards: frozenset[str]


class Kinesis:
    """One stream. Every call raises Retryable (away, throttled as a whole), Misconfigured (no stream, no rights) or Fatal."""

    def __init__(self, client: aws.KinesisClient, stream: Stream, env: Environment) -> None:
        self._client, self._stream, self._env = client, stream, env
        self._wire = Wire(client)

    def put(self, records: Sequence[tuple[str, bytes]]) -> Answer:
        """PutRecords of (partition key, data)."""
        return self._put([Put(data, key) for key, data in records])

    def heartbeats(self, beats: Mapping[str, tuple[int, bytes]]) -> tuple[set[str], set[str]]:
        """Put a record on each of these shards, by a hash that it holds. The shards that took theirs; and all that took one, which
        are others where a shard is no more."""
        entries = [Put(data, HEARTBEAT_KEY, str(hash_)) for hash_, data in beats.values()]
        names = list(beats)
        taken: set[str] = set()
        found: set[str] = set()
        for start in range(0, len(entries), PER_REQUEST):
            answer = self._put(entries[start : start + PER_REQUEST])
            found |= answer.shards
            taken |= {name for place, name in enumerate(names[start : start + PER_REQUEST]) if place not in answer.failed}
        return taken, found

    def make(self, shards: int | None) -> bool:
        """Make the stream where there is none: with so many shards, or (None) on demand. True if it was made now."""
        name = self._stream.name
        try:
            with aws.in_our_words(f"Kinesis DescribeStreamSummary at {self._where()}"):
                self._client.describe_stream_summary(StreamName=name)
            return False
        except aws.Missing:
            pass
        mode = {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}} if shards is None else {"ShardCount": shards}
        with self._in_our_words("CreateStream"):
            self._client.create_stream(StreamName=name, **mode)
        return True

    def everywhere(self, data: bytes, done: set[str]) -> bool:
        """Put a record on each open shard but those in `done`, which whoever takes it joins. True if no open shard is left; a shard
        that begins while it is put may not have it."""
        open_ = self.shards()
        beats = {shard: (hashes[0], data) for shard, hashes in open_.items() if shard not in done}
        if beats:
            done |= self.heartbeats(beats)[0]
        return not beats

    def shards(self) -> Shards:
        """The open shards, each with the hashes that it holds, both ends included. Retryable where there are none: a stream that is
        being made, or unmade."""
        found: dict[str, tuple[int, int]] = {}
        asked: dict[str, Any] = {"StreamName": self._stream.name}
        while asked:
            with self._in_our_words("ListShards"):
                page = self._client.list_shards(**asked)
            for shard in page["Shards"]:
                if not shard["SequenceNumberRange"].get("EndingSequenceNumber"):
                    hashes = shard["HashKeyRange"]
                    found[shard["ShardId"]] = int(hashes["StartingHashKey"]), int(hashes["EndingHashKey"])
            asked = {"NextToken": page["NextToken"]} if page.get("NextToken") else {}
        if not found:
            raise Retryable(f"Kinesis ListShards at {self._where()}: no shard is open")
        return found

    def record_limit(self) -> int | None:
        """Bytes of one record, where the service says so."""
        with self._in_our_words("DescribeStreamSummary"):
            summary = self._client.describe_stream_summary(StreamName=self._stream.name)["StreamDescriptionSummary"]
        kib = summary.get("MaxRecordSizeInKiB")
        return None if kib is None else int(kib) * KIB

    def _put(self, entries: Sequence[Put]) -> Answer:
        with self._in_our_words("PutRecords"):
            answer = self._wire.put(self._stream.name, entries)
        shards = frozenset(r.shard_id for r in answer.records if r.shard_id is not None)
        if not answer.failed_record_count:
            return Answer({}, shards)
        failed = {place: r.error_code for place, r in enumerate(answer.records) if r.error_code}
        refused = next((code for code in failed.values() if code in aws.REFUSED), None)
        if refused is not None:
            raise self._refused(f"Kinesis PutRecords at {self._where()}: {refused}")
        return Answer(failed, shards)

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
            f" they need kinesis:PutRecords, kinesis:ListShards and kinesis:DescribeStreamSummary"
            f" on the stream {self._stream.name}. `make doctor` checks them"
        )

    def _missing(self) -> str:
        name, region = self._stream.name, self._env.region
        endpoint = f" --endpoint-url {self._env.kinesis_endpoint}" if self._env.kinesis_endpoint else ""
        return (
            f'stream.name: there is no stream "{name}" at {self._where()}. Start once with --create-stream (on demand, or with'
            " --shards N), or make it:\n"
            f"aws kinesis create-stream --stream-name {name} --shard-count {self._stream.shards} --region {region}{endpoint}\n"
            "In the sandbox `make run-producer` makes it"
        )

    def _where(self) -> str:
        return self._env.kinesis_endpoint or f"AWS, region {self._env.region}"
