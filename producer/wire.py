"""PutRecords in bytes: boto3 signs, sends and tells errors; the JSON of the records and of the answer is ours.

botocore walks every record by its model, there and back, which takes 20 us a record; msgspec takes two. Its own hooks let the body
be ours: `before-call` in front of signing, `before-parse` behind the answer. What is no answer of a plain 200 goes botocore's way.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from contract.errors import Retryable
from edge.aws import KinesisClient


class Put(msgspec.Struct, omit_defaults=True, rename="pascal"):
    """A record of PutRecords. data: base64 on the wire."""

    data: bytes
    partition_key: str
    explicit_hash_key: str | None = None


class _Request(msgspec.Struct, rename="pascal"):
    stream_name: str
    records: Sequence[Put]


class Taken(msgspec.Struct, rename="pascal"):
    """What became of one record: the shard that has it, or the error."""

    shard_id: str | None = None
    error_code: str | None = None


class Results(msgspec.Struct, rename="pascal"):
    """The answer, a place for each record."""

    records: list[Taken]
    failed_record_count: int | None = 0


_requests = msgspec.json.Encoder()
_results = msgspec.json.Decoder(Results)


class Wire:
    """PutRecords of one client, which may be used by several threads at once."""

    def __init__(self, client: KinesisClient) -> None:
        self._client = client
        self._mine = threading.local()  # the body of the request that this thread makes
        client.meta.events.register("before-call.kinesis.PutRecords", self._before_call)
        client.meta.events.register("before-parse.kinesis.PutRecords", self._before_parse)

    def put(self, stream: str, records: Sequence[Put]) -> Results:
        """Raises as boto3 does, and Retryable for an answer that is none: what was taken is not known."""
        self._mine.body = _requests.encode(_Request(stream, records))
        try:
            answer = self._client.put_records(StreamName=stream, Records=())
        finally:
            self._mine.body = None
        results: Results | None = answer.get("Results")
        if results is None or len(results.records) != len(records):
            raise Retryable("Kinesis PutRecords: the answer is none")
        return results

    def _before_call(self, params: dict[str, Any], **_: Any) -> None:
        params["body"] = self._mine.body

    def _before_parse(self, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
        if response_dict["status_code"] != 200:
            return
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            customized_response_dict["Results"] = _results.decode(response_dict["body"])
        response_dict["body"] = b"{}"
