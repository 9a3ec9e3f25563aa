"""One run of lines through amazon_kclpy's KCLProcess and through ours, and all that can be seen of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from amazon_kclpy import kcl
from amazon_kclpy.v3.processor import RecordProcessorBase

from consumer.kcl.channel import FastProcess

FACE = (
    "binary_data",
    "data",
    "sequence_number",
    "sub_sequence_number",
    "timestamp_millis",
    "approximate_arrival_timestamp",
    "partition_key",
)
WIRE = ("data", "partitionKey", "sequenceNumber", "subSequenceNumber", "approximateArrivalTimestamp", "action", "nothing")


def seen(read: Callable[[], Any]) -> Any:
    """A value with its type, or the error that reading it gives."""
    try:
        value = read()
    except Exception as error:
        return type(error), str(error)
    return type(value), value


def record_face(record: Any) -> list[Any]:
    """All that a processor can read of a record."""
    attributes = [seen(partial(getattr, record, name)) for name in FACE]
    return attributes + [seen(partial(f, name)) for name in WIRE for f in (record.get, record.__getitem__)]


@dataclass
class Recorder(RecordProcessorBase):  # type: ignore[misc]
    """Notes every call with all its input; does what `act` says at each batch."""

    act: Callable[[Recorder, Any], None] = lambda self, given: None
    calls: list[Any] = field(default_factory=list)

    def initialize(self, given: Any) -> None:
        self.calls.append(("initialize", given.shard_id, given.sequence_number, given.sub_sequence_number, given.action))

    def process_records(self, given: Any) -> None:
        faces = [record_face(record) for record in given.records]
        self.calls.append(("records", given.millis_behind_latest, given.action, type(given.records), faces))
        assert isinstance(given.checkpointer, kcl.Checkpointer)
        self.act(self, given)

    def lease_lost(self, given: Any) -> None:
        self.calls.append(("lease lost", given.action))

    def shard_ended(self, given: Any) -> None:
        self.calls.append(("ended", given.action))
        given.checkpointer.checkpoint()

    def shutdown_requested(self, given: Any) -> None:
        self.calls.append(("shutdown requested", given.action))
        self.act(self, given)


@dataclass
class Outcome:
    """stderr: without the frames of tracebacks, which name the files they went through."""

    calls: list[Any]
    stdout: str
    stderr: list[str]
    ended: Any


def run(process: Callable[..., Any], lines: Sequence[str], processor: Any, binary: bool = False) -> Outcome:
    """Runs a process over lines to its end, however it ends."""
    text = "".join(line + "\n" for line in lines)
    given: Any = io.BytesIO(text.encode("utf-8", "surrogatepass")) if binary else io.StringIO(text)
    out, err, ended = io.StringIO(), io.StringIO(), None
    try:
        process(processor, given, out, err).run()
    except BaseException as error:
        ended = (type(error), re.sub(r"0x[0-9a-f]+", "0x", str(error)))  # where an object lies is nobody's promise
    told = [line for line in err.getvalue().splitlines() if not line.startswith("    ") and not line.startswith("  File ")]
    return Outcome(processor.calls, out.getvalue(), told, ended)


def same(lines: Sequence[str], make: Callable[[], Any] = Recorder) -> Outcome:
    """Asserts that nobody can tell the two apart, over text and over bytes; gives what was seen."""
    theirs = run(kcl.KCLProcess, lines, make())
    assert run(FastProcess, lines, make()) == theirs
    assert run(FastProcess, lines, make(), binary=True) == run(kcl.KCLProcess, lines, make(), binary=True)
    return theirs
