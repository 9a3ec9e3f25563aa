"""The MultiLang protocol at ten times amazon_kclpy's rate, with the same behaviour.

Only the line that carries records is worth it: reading/lines.py reads it into columns. It becomes amazon_kclpy's own
ProcessRecordsInput, whose `records` are made only where a processor asks for them; our own shard takes `batch`. Every other line,
and every line that is not just as KCL writes it, goes through amazon_kclpy's own parser: what that accepts or raises, this accepts
or raises.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from datetime import datetime
from itertools import repeat
from typing import IO, Any, Protocol

import msgspec
from amazon_kclpy import kcl
from amazon_kclpy.messages import ProcessRecordsInput

from consumer.intake.records import Format, Ints, Raw, Records
from reading.kernels import NULL
from reading.lines import DATA, KEY, SEQUENCE, Batch, Reader

WIRE = {
    "data": "data",
    "partitionKey": "partition_key",
    "sequenceNumber": "sequence_number",
    "subSequenceNumber": "sub_sequence_number",
    "approximateArrivalTimestamp": "timestamp_millis",
    "action": "action",
}


class ParsedRecord(msgspec.Struct, gc=False, eq=False):
    """A record with its bytes decoded already. Same attributes as amazon_kclpy's Record."""

    binary_data: bytes
    index: int
    batch: Batch

    @property
    def data(self) -> str:
        """The Base64 text, as it came."""
        return self.batch.text(DATA, self.index)

    @property
    def sequence_number(self) -> str:
        """Decimal digits, as KCL wrote them."""
        return self.batch.text(SEQUENCE, self.index)

    @property
    def sub_sequence_number(self) -> int | None:
        """The place within an aggregated record."""
        sub = int(self.batch.subs[self.index])
        return None if sub == NULL else sub

    @property
    def timestamp_millis(self) -> int:
        """Arrival at Kinesis, ms since 1970 UTC."""
        return int(self.batch.arrived[self.index])

    @property
    def approximate_arrival_timestamp(self) -> datetime:
        """Local time of arrival, as amazon_kclpy gives it."""
        return datetime.fromtimestamp(self.timestamp_millis / 1000.0)

    @property
    def partition_key(self) -> str:
        """The key that the producer gave."""
        return self.batch.text(KEY, self.index)

    @property
    def action(self) -> str:
        """What every record's action is."""
        return "record"

    def get(self, field: str) -> Any:
        """A field by its name on the wire; KeyError where there is none."""
        return getattr(self, WIRE[field])

    def __getitem__(self, field: str) -> Any:
        return self.get(field)


class ParsedRecords(ProcessRecordsInput):  # type: ignore[misc]
    """amazon_kclpy's input, over a line in columns."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._records: list[ParsedRecord] | None = None
        self._millis_behind_latest = batch.millis_behind_latest
        self._checkpointer = None
        self._action = "processRecords"

    @property
    def records(self) -> list[ParsedRecord]:
        """The records, made at the first look."""
        if self._records is None:
            datas = self.batch.datas()
            self._records = list(map(ParsedRecord, datas, range(len(datas)), repeat(self.batch)))
        return self._records


class Line(Records):
    """The records of a line, as a shard reads them: from one of them on."""

    def __init__(self, batch: Batch, first: int = 0) -> None:
        self._batch, self._first = batch, first
        self.data, self.places = batch.data, batch.offsets[first:]
        self.format: Format = "stream"

    @property
    def arrived(self) -> Ints:
        return self._batch.arrived[self._first :]

    def raw(self, i: int) -> Raw:
        row = self._first + i
        sequence, sub = self._batch.position(row)
        return Raw(self.bytes_of(i), self._batch.text(KEY, row), sequence, sub, int(self._batch.arrived[row]))

    def position(self, i: int) -> tuple[int, int]:
        return self._batch.position(self._first + i)

    def rest(self, first: int) -> Records:
        return Line(self._batch, self._first + first)


class Readable(Protocol):
    """What lines come from: a file of text or bytes, or consumer.kcl.channel.Lines."""

    def readline(self) -> str | bytes:
        """The next line, empty at the end."""
        ...


class FastIO(kcl._IOHandler):  # type: ignore[misc]
    """amazon_kclpy's handler of lines, with a fast way for lines of records."""

    def __init__(self, input_file: Readable, output_file: IO[str], error_file: IO[str]) -> None:
        super().__init__(input_file, output_file, error_file)
        self._reader = Reader()

    def load_action(self, line: str | bytes) -> Any:
        """The action of a line, given as text or as its UTF-8. Raises just what amazon_kclpy raises."""
        batch = self._reader.read(line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line)
        return ParsedRecords(batch) if batch is not None else super().load_action(line)


class FastProcess(kcl.KCLProcess):  # type: ignore[misc]
    """A KCLProcess for any processor written for amazon_kclpy. Reads text or bytes lines."""

    def __init__(
        self,
        record_processor: Any,
        input_file: Readable = sys.stdin,
        output_file: IO[str] = sys.stdout,
        error_file: IO[str] = sys.stderr,
    ) -> None:
        super().__init__(record_processor, input_file, output_file, error_file)
        self.io_handler = FastIO(input_file, output_file, error_file)
        self.checkpointer = kcl.Checkpointer(self.io_handler)


# Long lines from a file descriptor.
#
# KCL writes a line for each batch, of up to some megabytes, and a pipe gives them in pieces. Python's own buffer copies each piece
# three times and asks for one after the other; here they are read to where they stay, and a line is copied once.
FIRST = 1 << 18  # bytes of the buffer before it has seen a longer line
PIPE = 1 << 20  # bytes that the writer may be ahead of us: what Linux lets anybody have


class Lines:
    """Lines with their newlines. The descriptor is read from nowhere else, and stays open."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._kept = bytearray(FIRST)
        self._begin = self._end = 0
        with suppress(OSError):  # no pipe, or one that may not grow
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE)

    def readline(self) -> bytes:
        """The next line; the rest at the end of the file, b"" behind it. Waits for it."""
        seen = self._begin
        while (at := self._kept.find(b"\n", seen, self._end)) < 0:
            unseen = self._end - self._begin
            if not self._read():
                at = self._end - 1
                break
            seen = self._begin + unseen
        line = bytes(memoryview(self._kept)[self._begin : at + 1])
        self._begin = at + 1
        return line

    def _read(self) -> int:
        """Some more bytes behind those that are there: how many, 0 at the end of the file."""
        if self._begin == self._end:
            self._begin = self._end = 0
        elif self._end == len(self._kept) and self._begin > 0:
            self._kept[: self._end - self._begin] = self._kept[self._begin : self._end]
            self._begin, self._end = 0, self._end - self._begin
        if self._end == len(self._kept):
            self._kept.extend(bytes(len(self._kept)))
        with memoryview(self._kept) as whole, whole[self._end :] as free:
            n = os.readv(self._descriptor, [free])
        self._end += n
        return n
