"""Which records may go out now, and how far everything is acknowledged. Pure: no client, no clock, no thread.

The order within a partition key rests on one rule: never two unacknowledged records of one key. A failed record therefore holds
back the later ones of its own key, and no others. The position of a stream moves over a change only when every record of it, and
of all changes before it, is acknowledged; so what is saved never runs ahead, and a crash repeats but never skips.

With a backlog that rule alone would let rare keys overtake frequent ones by all that was read ahead, and the consumer, to which
event times are the clock, would find the frequent ones late. So the changes of a second go out only when all earlier seconds of
cluster time are acknowledged: the stream is out of order by less than a second.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.patience import backoff
from producer.changes import Record

MIB = 1 << 20
WAITS = 0.1, 5.0  # seconds before records that were not taken are put again: after the first failure, and at most


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to here was read. token: where to go on, None before the first answer. cluster: (seconds, increment)."""

    token: Mapping[str, Any] | None
    cluster: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """PutRecords: records and bytes a request, partition keys included; bytes of one record. flying: requests at a time.

    A request that is not full waits while `eager` others are flying: their answers free more keys, and small requests cost most.
    spread: whole seconds of cluster time, beyond the oldest unacknowledged one, that may go out too.
    """

    records: int = 500
    request: int = 5_000_000
    record: int = MIB
    flying: int = 4
    eager: int = 1
    spread: int = 0


@dataclass(slots=True)
class _Chunk:
    """Records read together; the group is at `position` when they and all before them are acknowledged.

    second: of their cluster time. nth: in the order of reading. held: what may not go out yet.
    """

    group: str
    position: Position
    left: int
    second: int
    nth: int
    held: Sequence[Record]


@dataclass(slots=True)
class _Item:
    record: Record
    chunk: _Chunk
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """One PutRecords request: at most one record of each partition key, and none of a key that is flying already."""

    items: tuple[_Item, ...]

    @property
    def records(self) -> list[Record]:
        """What to put, in this order."""
        return [item.record for item in self.items]


@dataclass(slots=True)
class Relay:
    """Queues per partition key between the streams and PutRecords. Times are seconds of any steady clock, given by the caller."""

    groups: Iterable[str]
    limits: Limits = field(default_factory=Limits)
    waiting: int = 0
    flying: int = 0
    acknowledged: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    _queues: dict[str, deque[_Item]] = field(default_factory=dict)
    _ready: deque[str] = field(default_factory=deque)
    _later: list[tuple[float, int, str]] = field(default_factory=list)
    _chunks: dict[str, deque[_Chunk]] = field(default_factory=dict)
    _held: dict[str, deque[_Chunk]] = field(default_factory=dict)
    _reached: dict[str, Position] = field(default_factory=dict)
    _read: int = 0
    _closed_until: float = float("-inf")
    _refusals: int = 0

    def __post_init__(self) -> None:
        self._chunks = {group: deque() for group in self.groups}
        self._held = {group: deque() for group in self._chunks}
        self.acknowledged = dict.fromkeys(self._chunks, 0)

    def add(self, group: str, records: Sequence[Record], position: Position) -> None:
        """What a stream has read: its records in order (none: it only came further), and where it stands after them."""
        chunks = self._chunks[group]
        if not records:
            if chunks:
                chunks[-1].position = position
            else:
                self._reached[group] = position
            return
        chunk = _Chunk(group, position, len(records), position.cluster[0], self._read, records)
        self._read += 1
        chunks.append(chunk)
        self._held[group].append(chunk)
        self.waiting += len(records)
        self._release()

    def take(self, now: float) -> Batch | None:
        """The next request, or None while there is nothing to put, the service is left alone, or requests enough are flying."""
        while self._later and self._later[0][0] <= now:
            self._ready.appendleft(heapq.heappop(self._later)[2])
        partial = len(self._ready) < self.limits.records
        if now < self._closed_until or not self._ready or self.flying >= (self.limits.eager if partial else self.limits.flying):
            return None
        items: list[_Item] = []
        size = 0
        while self._ready and len(items) < self.limits.records:
            item = self._queues[self._ready[0]][0]
            size += item.record.size
            if items and size > self.limits.request:
                break
            self._ready.popleft()
            items.append(item)
        self.flying += 1
        return Batch(tuple(items))

    def answered(self, batch: Batch, failed: Collection[int], now: float, spread: float = 0.0) -> int:
        """The request was answered: records at these places failed and are tried again later. The bytes that are done with."""
        self.flying -= 1
        self._refusals = 0
        done = 0
        for place, item in enumerate(batch.items):
            key = item.record.key
            if place in failed:
                item.failures += 1
                self.retries += 1
                heapq.heappush(self._later, (now + backoff(item.failures, spread, *WAITS), self.retries, key))
                continue
            done += item.record.size
            self.acknowledged[item.chunk.group] += 1
            self.waiting -= 1
            item.chunk.left -= 1
            if item.chunk.left == 0:
                self._advance(item.chunk.group)
            queue = self._queues[key]
            queue.popleft()
            if queue:
                self._ready.append(key)
            else:
                del self._queues[key]
        return done

    def unanswered(self, batch: Batch, now: float, least: float | None = None, spread: float = 0.0) -> float:
        """The whole request failed (it may have arrived all the same: then it repeats). Nothing goes out for so many seconds."""
        self.flying -= 1
        self.retries += len(batch.items)
        self._ready.extendleft(item.record.key for item in reversed(batch.items))
        if now >= self._closed_until:
            self._refusals += 1
            self._closed_until = now + max(least or 0.0, backoff(self._refusals, spread, *WAITS))
        return self._closed_until - now

    def wake_at(self) -> float | None:
        """When `take` may have something again without any answer or change coming in; None: not before one does."""
        if self._ready and not self.flying:
            return self._closed_until
        return max(self._later[0][0], self._closed_until) if self._later else None

    def position(self, group: str) -> Position | None:
        """How far this stream is acknowledged; None before its first position."""
        return self._reached.get(group)

    def cluster(self) -> tuple[int, int] | None:
        """The cluster time up to which the changes of every stream are acknowledged."""
        if len(self._reached) < len(self._chunks):
            return None
        return min(position.cluster for position in self._reached.values())

    def _advance(self, group: str) -> None:
        chunks = self._chunks[group]
        while chunks and chunks[0].left == 0:
            self._reached[group] = chunks.popleft().position
        self._release()

    def _release(self) -> None:
        """Let out what is near enough to the oldest change that is not acknowledged."""
        oldest = min((chunks[0].second for chunks in self._chunks.values() if chunks), default=0)
        free = [held for held in self._held.values() if held and held[0].second <= oldest + self.limits.spread]
        while free:
            first = min(free, key=lambda held: held[0].nth)
            self._enqueue(first.popleft())
            free = [held for held in free if held and held[0].second <= oldest + self.limits.spread]

    def _enqueue(self, chunk: _Chunk) -> None:
        for record in chunk.held:
            queue = self._queues.get(record.key)
            if queue is None:
                self._queues[record.key] = deque((_Item(record, chunk),))
                self._ready.append(record.key)
            else:
                queue.append(_Item(record, chunk))
        chunk.held = ()
