"""Which records go out now, and how far everything is acknowledged. Pure: no client, no clock, no thread.

    streams ─add─► marks (the order of reading)  keys (the order within a key)  lanes (a shard's order in time) ─take─► request
                        ▲                                                                                               │
                        └───────── answered: acknowledged, or again after a while; unanswered: all again ───────────────┘

Within a key: at most one unacknowledged request holds it, and what is put first is always its oldest unacknowledged record. So
whatever a request came to, even one that was thought lost and is stored late, a record's first coming is behind the first coming
of all before it. What waits for a busy key goes out as one aggregated record.

Within a shard: see `lane.py`. One that is throttled is left alone, tried with little, and given more as it takes it; the others
do not notice.

A stream's position moves over what it read only when all of that, and all before it, is acknowledged; so what is saved never runs
ahead, and a crash repeats but never skips. A heartbeat promises a shard what of every stream is acknowledged there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contract.aggregated import added_size, aggregate, base_size
from contract.keys import kinesis_hash
from edge.patience import backoff
from producer.changes import Record
from producer.lane import HASHES, NEVER, WAITS, Item, Key, Lane, Later, Mark

MIB = 1 << 20
THROTTLED = frozenset({"ProvisionedThroughputExceededException", "LimitExceededException", "ThrottlingException"})
OVERHEAD = 600  # bytes that a record on its way takes here beside its own
GOLDEN = 0.618  # spreads the waits of records that failed together
EVERYTHING = {"": (0, HASHES - 1)}  # one shard, where nobody has said what there is


class Position(NamedTuple):
    """Everything up to here was read. token: where to go on, None before the first answer. cluster: (seconds, increment)."""

    token: Mapping[str, Any] | None
    cluster: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """PutRecords: records and bytes a request, partition keys included; bytes of one record, and of one that we aggregate: a shard
    takes 1 MiB a second, which a large one would have to wait for. flying: requests at a time. A request that is not full waits
    while `eager` others are flying, as their answers free more keys, but no longer than `patience` s behind the last one.
    spread: seconds of cluster time beyond a shard's oldest unacknowledged one that may go out too.
    """

    records: int = 500
    request: int = 10 * MIB
    record: int = MIB
    aggregate: int = MIB // 4
    flying: int = 8
    eager: int = 1
    patience: float = 0.05
    spread: int = 1


class Entry(NamedTuple):
    """One record of a request: a key's oldest records, more than one of them aggregated."""

    key: Key
    items: Sequence[Item]
    size: int

    @property
    def data(self) -> bytes:
        """Its bytes."""
        if len(self.items) == 1:
            return self.items[0].record.data
        return aggregate(self.key.name, [item.record.data for item in self.items])

    @property
    def records(self) -> list[Record]:
        """What is in it, in order."""
        return [item.record for item in self.items]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One PutRecords request: no partition key twice, and none that is flying already."""

    entries: Sequence[Entry]

    @property
    def records(self) -> int:
        """How many of ours are in it."""
        return sum(len(entry.items) for entry in self.entries)


@dataclass(slots=True, eq=False)
class _End(Mark):
    """Where its group stands when all that was read together is acknowledged."""

    position: Position


@dataclass(slots=True)
class _Group:
    """A change stream. marks: what is not acknowledged, in the order of reading. read: the second that it has come to."""

    marks: deque[_End] = field(default_factory=deque)
    reached: Position | None = None
    read: float = NEVER
    acknowledged: int = 0


def cost(record: Record) -> int:
    """Bytes that a record takes from its reading to its acknowledgement."""
    return record.size + OVERHEAD


class Relay:
    """Between the change streams and PutRecords. Times are seconds of any steady clock, given by the caller."""

    def __init__(self, groups: Iterable[str], limits: Limits | None = None, aggregated: bool = True) -> None:
        self.limits = limits or Limits()
        self.waiting = self.flying = self.retries = 0
        self._aggregated = aggregated
        self._groups = {name: _Group() for name in groups}
        self._keys: dict[str, Key] = {}
        self._later = Later()
        self._horizon: float = NEVER
        self._closed_until = self._last = NEVER
        self._refusals = self._turn = 0
        self._lanes: list[Lane] = []
        self.reshard(EVERYTHING)

    @property
    def acknowledged(self) -> Mapping[str, int]:
        """Records, by group."""
        return {name: group.acknowledged for name, group in self._groups.items()}

    @property
    def lanes(self) -> Sequence[Lane]:
        """The open shards, by their hashes."""
        return self._lanes

    def reshard(self, shards: Mapping[str, tuple[int, int]]) -> None:
        """The open shards are these now, each with its hashes, both ends included. What waits goes to where its key lies now.

        What flies may have come to either side of the change. What was let out by a shard that is no more is judged anew by the
        one that takes its place, whose oldest record may be an older one.
        """
        old = {lane.shard: lane for lane in self._lanes}
        items = [item for key in self._keys.values() for item in list(key.queue)[key.flying :]]
        items += [item for lane in self._lanes for item in lane.held()]
        self._lanes = [
            Lane(shard, low, high, self.limits.spread, self._horizon)
            for shard, (low, high) in sorted(shards.items(), key=lambda one: one[1])
        ]
        self._lows = [lane.low for lane in self._lanes]
        for lane in self._lanes:
            if (before := old.get(lane.shard)) is not None:
                lane.allowance, lane.closed_until, lane.refusals = before.allowance, before.closed_until, before.refusals
                lane.throttled = before.throttled
        self._later = Later()
        for key in self._keys.values():
            key.lane = self._lane(key.hash)
            key.queue = deque(list(key.queue)[: key.flying])
            key.busy = key.flying > 0
            for item in key.queue:
                key.lane.count(item)
        for item in items:
            item.key.lane.add(item)
        for lane in self._lanes:
            lane.release()

    def add(self, group: str, records: Sequence[Record], position: Position) -> None:
        """What a stream has read: its records in order (none: it only came further), and where it stands after them."""
        one = self._groups[group]
        if records:
            mark = _End(len(records), position)
            one.marks.append(mark)
            self.waiting += len(records)
            for record in records:
                key = self._keys.get(record.key)
                if key is None:
                    key = self._key(record.key)
                key.left += 1
                key.lane.add(Item(record, key, group, mark))
        elif one.marks:
            one.marks[-1].position = position
        else:
            one.reached = position
        if position.cluster[0] > one.read:
            one.read = position.cluster[0]
            self._look_further()

    def take(self, now: float) -> Request | None:
        """The next request, or None while there is nothing to put, the service is left alone, or requests enough are flying."""
        for key in self._later.due(now):
            key.lane.ready.appendleft(key)
        if now < self._closed_until or self.flying >= self.limits.flying:
            return None
        lanes = [lane for lane in self._lanes if lane.ready and lane.closed_until <= now]
        if not lanes:
            return None
        full = sum(min(len(lane.ready), lane.allowance) for lane in lanes) >= self.limits.records
        if not full and self.flying >= self.limits.eager and now < self._last + self.limits.patience:
            return None
        self._turn += 1
        begin = self._turn % len(lanes)
        entries: list[Entry] = []
        size = 0
        for nth, lane in enumerate(lanes[begin:] + lanes[:begin]):
            share = -(-(self.limits.records - len(entries)) // (len(lanes) - nth))
            for _ in range(min(share, lane.allowance, len(lane.ready))):
                entry = self._entry(lane.ready[0])
                if entries and size + entry.size > self.limits.request:
                    break
                lane.ready.popleft()
                entry.key.flying = len(entry.items)
                entries.append(entry)
                size += entry.size
        self.flying += 1
        self._last = now
        return Request(entries)

    def answered(self, request: Request, failed: Mapping[int, str], now: float, spread: float = 0.0) -> dict[str, int]:
        """The request was answered: records at these places failed, with these codes, and are tried again later. The bytes that
        are done with, by group."""
        self.flying -= 1
        self._refusals = 0
        done: dict[str, int] = {}
        refused: dict[Lane, int] = {}
        taken: dict[Lane, int] = {}
        for place, entry in enumerate(request.entries):
            key = entry.key
            key.flying = 0
            if place in failed:
                key.failures += 1
                self.retries += len(entry.items)
                wait = backoff(key.failures, (spread + place * GOLDEN) % 1.0, *WAITS)
                self._later.push(now + wait, key)
                refused[key.lane] = refused.get(key.lane, 0) + (failed[place] in THROTTLED)
            else:
                self._acknowledge(entry, done)
                taken[key.lane] = taken.get(key.lane, 0) + 1
        for lane in {**taken, **refused}:
            if refused.get(lane):
                lane.refused(taken.get(lane, 0), now, spread)
            elif lane not in refused:
                lane.took()
        for lane in taken:
            lane.release()
        for group in done:
            self._advance(self._groups[group])
        return done

    def unanswered(self, request: Request, now: float, least: float | None = None, spread: float = 0.0) -> float:
        """The whole request failed (it may have arrived all the same: then it repeats). Nothing goes out for so many seconds."""
        self.flying -= 1
        self.retries += request.records
        for entry in reversed(request.entries):
            entry.key.flying = 0
            entry.key.lane.ready.appendleft(entry.key)
        if now >= self._closed_until:
            self._refusals += 1
            self._closed_until = now + max(least or 0.0, backoff(self._refusals, spread, *WAITS))
        return self._closed_until - now

    def wake_at(self) -> float | None:
        """When `take` may have something again without any answer or change coming in; None: not before one does."""
        if self.flying >= self.limits.flying:
            return None
        partial = self._last + self.limits.patience if self.flying >= self.limits.eager else NEVER
        times = [max(lane.closed_until, partial) for lane in self._lanes if lane.ready]
        later = self._later.next()
        if later is not None:
            times.append(later)
        return max(self._closed_until, min(times)) if times else None

    def position(self, group: str) -> Position | None:
        """How far this stream is acknowledged; None before its first position."""
        return self._groups[group].reached

    def promises(self) -> dict[str, int]:
        """For each shard the second of cluster time before which everything is acknowledged there; none before every stream's first
        position."""
        if self._horizon == NEVER:
            return {}
        read = int(self._horizon)
        return {lane.shard: read if lane.oldest is None else min(read, lane.oldest) for lane in self._lanes}

    def _key(self, name: str) -> Key:
        hash_ = kinesis_hash(name)
        key = self._keys[name] = Key(name, len(name.encode()), hash_, self._lane(hash_))
        return key

    def _lane(self, hash_: int) -> Lane:
        return self._lanes[max(0, bisect_right(self._lows, hash_) - 1)]

    def _look_further(self) -> None:
        horizon = min(group.read for group in self._groups.values())
        if horizon > self._horizon:
            self._horizon = horizon
            for lane in self._lanes:
                lane.horizon = horizon
                lane.release()

    def _entry(self, key: Key) -> Entry:
        """The key's oldest record, with as many of those behind it as fit."""
        first = key.queue[0]
        if not self._aggregated or len(key.queue) == 1:
            return Entry(key, (first,), first.record.size)
        most = min(self.limits.aggregate, self.limits.record)
        size = key.size + base_size(key.size)
        items: list[Item] = []
        for item in key.queue:
            more = added_size(len(item.record.data))
            if size + more > most:
                break
            items.append(item)
            size += more
        return Entry(key, items, size) if len(items) > 1 else Entry(key, (first,), first.record.size)

    def _acknowledge(self, entry: Entry, done: dict[str, int]) -> None:
        key, items = entry.key, entry.items
        key.failures = 0
        key.left -= len(items)
        self.waiting -= len(items)
        lane, queue = key.lane, key.queue
        for item in items:
            queue.popleft()
            lane.done(item)
            item.mark.left -= 1
            done[item.group] = done.get(item.group, 0) + cost(item.record)
            self._groups[item.group].acknowledged += 1
        if queue:
            lane.ready.append(key)
        else:
            key.busy = False
            if not key.left:
                del self._keys[key.name]

    def _advance(self, group: _Group) -> None:
        marks = group.marks
        while marks and not marks[0].left:
            group.reached = marks.popleft().position
