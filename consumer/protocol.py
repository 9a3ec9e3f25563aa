"""The MultiLang protocol, parsed by msgspec: ten times amazon_kclpy's rate, the same behaviour.

Only the line that carries records is worth it. It becomes amazon_kclpy's own ProcessRecordsInput, filled with records with the face of
its Record, decoded already; every other line, and every line that is not exactly as KCL writes it, goes through
amazon_kclpy's own parser, so what that would raise is raised here too.
"""

from __future__ import annotations

import base64
import sys
from datetime import datetime
from typing import IO, Any, Literal

import msgspec
from amazon_kclpy import kcl
from amazon_kclpy.messages import ProcessRecordsInput

FIELDS = {
    "sequenceNumber": "sequence_number",
    "subSequenceNumber": "sub_sequence_number",
    "approximateArrivalTimestamp": "timestamp_millis",
    "partitionKey": "partition_key",
    "data": "data",
    "action": "action",
}


class ParsedRecord(msgspec.Struct, gc=False, rename={name: wire for wire, name in FIELDS.items()}):
    """A record with its bytes decoded while the line was read. Same attributes as amazon_kclpy's Record."""

    binary_data: bytes = msgspec.field(name="data")
    sequence_number: str
    sub_sequence_number: int | None
    timestamp_millis: int
    partition_key: str
    action: Literal["record"]

    @property
    def data(self) -> str:
        """The Base64 text, made again on demand."""
        return base64.b64encode(self.binary_data).decode()

    @property
    def approximate_arrival_timestamp(self) -> datetime:
        """Local time of arrival, as amazon_kclpy gives it."""
        return datetime.fromtimestamp(self.timestamp_millis / 1000.0)

    def get(self, field: str) -> Any:
        """A field by its name on the wire; KeyError where there is none."""
        return getattr(self, FIELDS[field])

    def __getitem__(self, field: str) -> Any:
        return self.get(field)


class _Batch(msgspec.Struct, gc=False):
    """The one line worth parsing fast."""

    action: Literal["processRecords"]
    records: list[ParsedRecord]
    millis_behind_latest: int | None = msgspec.field(name="millisBehindLatest")


class ParsedRecords(ProcessRecordsInput):  # type: ignore[misc]
    """amazon_kclpy's input, from a line that is already typed."""

    def __init__(self, batch: _Batch) -> None:
        self._records = batch.records
        self._millis_behind_latest = batch.millis_behind_latest
        self._checkpointer = None
        self._action = batch.action


class FastIO(kcl._IOHandler):  # type: ignore[misc]
    """amazon_kclpy's handler of lines, with a fast way for lines of records."""

    def __init__(self, input_file: IO[Any], output_file: IO[str], error_file: IO[str]) -> None:
        super().__init__(input_file, output_file, error_file)
        self._decode = msgspec.json.Decoder(_Batch).decode

    def load_action(self, line: str | bytes) -> Any:
        """The action of a line. Raises just what amazon_kclpy raises."""
        if "processRecords" in line if isinstance(line, str) else b"processRecords" in line:
            try:
                return ParsedRecords(self._decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass  # not as KCL writes it: amazon_kclpy's parser says what it is
        return super().load_action(line)


class FastProcess(kcl.KCLProcess):  # type: ignore[misc]
    """A KCLProcess for any processor written for amazon_kclpy. Reads text or bytes lines."""

    def __init__(
        self,
        record_processor: Any,
        input_file: IO[Any] = sys.stdin,
        output_file: IO[str] = sys.stdout,
        error_file: IO[str] = sys.stderr,
    ) -> None:
        super().__init__(record_processor, input_file, output_file, error_file)
        self.io_handler = FastIO(input_file, output_file, error_file)
        self.checkpointer = kcl.Checkpointer(self.io_handler)
