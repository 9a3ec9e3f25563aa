"""Records as they are read from a shard or a file, one by one or as columns, and the message in one."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from config.specs import Pipeline, Trigger
from contract import requeued
from contract.codec import decode, decode_document
from contract.errors import Rejected
from contract.event import Event, Message
from contract.times import time_ms
from contract.values import get

Ints = npt.NDArray[np.int64]
Format = Literal["event", "document", "stream"]  # stream: the one that the configuration names
UNKNOWN = np.iinfo(np.int64).min  # when a record arrived, where nobody knows


@dataclass(frozen=True, slots=True)
class Raw:
    """One record. arrived: ms, None where nobody knows. message: what is in it, where its maker has read it already."""

    data: bytes
    partition_key: str | None
    sequence: int
    sub: int = 0
    arrived: int | None = None
    message: Message | Rejected | None = None


class Records(Sequence[Raw]):
    """Records whose bytes lie behind each other: record i is data[places[i] : places[i + 1] - 1], with a newline behind it.

    format: how all of them may be read at once; None: each for itself. A Raw is made where one is asked for.
    """

    data: bytes
    places: Ints
    format: Format | None

    @property
    @abstractmethod
    def arrived(self) -> Ints:
        """(n,), ms, UNKNOWN where nobody knows."""

    @abstractmethod
    def raw(self, i: int) -> Raw:
        """One record."""

    @abstractmethod
    def rest(self, first: int) -> Records:
        """Those from one of them on."""

    def some(self, begin: int, end: int) -> list[Raw]:
        """Those from one on up to another, one by one."""
        return [self.raw(i) for i in range(begin, min(end, len(self)))]

    def position(self, i: int) -> tuple[int, int]:
        """(sequence, sub) of one record."""
        raw = self.raw(i)
        return raw.sequence, raw.sub

    def passed(self, sequence: int, sub: int) -> int:
        """How many lie at or before a position: they come in the order of the stream."""
        return bisect_right(range(len(self)), (sequence, sub), key=self.position)

    def after(self, sequence: int, sub: int) -> Records:
        """Those behind a position."""
        passed = self.passed(sequence, sub)
        return self if passed == 0 else self.rest(passed)

    def bytes_of(self, i: int) -> bytes:
        """The bytes of one record."""
        return self.data[int(self.places[i]) : int(self.places[i + 1]) - 1]

    def __len__(self) -> int:
        return len(self.places) - 1

    @overload
    def __getitem__(self, i: int) -> Raw: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Raw]: ...
    def __getitem__(self, i: int | slice) -> Raw | Sequence[Raw]:
        if isinstance(i, slice):
            return [self.raw(j) for j in range(*i.indices(len(self)))]
        return self.raw(i if i >= 0 else i + len(self))


class Listed(Records):
    """Records that are there one by one."""

    def __init__(self, raws: Sequence[Raw]) -> None:
        self._raws = raws
        self.format = "stream" if all(raw.message is None for raw in raws) else None
        self.data, self.places = joined([raw.data for raw in raws])

    @property
    def arrived(self) -> Ints:
        return np.array([UNKNOWN if raw.arrived is None else raw.arrived for raw in self._raws], np.int64)

    def raw(self, i: int) -> Raw:
        return self._raws[i]

    def rest(self, first: int) -> Records:
        return Listed(self._raws[first:])


def joined(lines: Sequence[bytes]) -> tuple[bytes, Ints]:
    """(data, places) of records."""
    places = np.zeros(len(lines) + 1, np.int64)
    np.cumsum(np.fromiter((len(line) + 1 for line in lines), np.int64, len(lines)), out=places[1:])
    return b"\n".join([*lines, b""]), places


class Opener:
    """Opens records by the stream's format; one that was put in again as what it was at first."""

    def __init__(self, spec: Pipeline) -> None:
        self._bare = spec.triggers[0] if spec.stream.format == "document" else None

    def open(self, raw: Raw) -> Message:
        """The message in a record. Raises Rejected: "json", "envelope", or what its maker found."""
        if isinstance(raw.message, Rejected):
            raise raw.message
        if raw.message is not None:
            return raw.message
        data = requeued.decode(raw.data).record if is_requeued(raw) else raw.data
        if self._bare is None:
            return decode(data)
        return bare(self._bare, self._bare.routes[0], decode_document(data), str(raw.sequence))


def is_requeued(raw: Raw) -> bool:
    """Whether it says that it was a dead letter before."""
    return raw.data.startswith(requeued.BEGINS)


def bare(trigger: Trigger, route: str, document: dict[str, Any], number: str | int) -> Event:
    """A bare document as an insert without a token. Its id is its `_id`, or its number in the stream."""
    try:
        at = time_ms(get(document, trigger.time)) if trigger.time is not None else None
    except Rejected:
        at = None
    doc_id = document.get("_id")
    return Event("", trigger.name, route, "insert", get(document, route), at, 0, number if doc_id is None else doc_id, document)
