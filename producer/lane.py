"""One shard's queue: its order in time, and how much of it the service takes. Pure.

    seconds        41        42        43        44             of cluster time
    unacknowledged  #         ##
    goes out        |- open -----|                              up to the oldest one that is not acknowledged, and `spread` more,
    held                         |- ### ------ ####             and no further than every change stream is read

So a shard's records are out of order by `spread` seconds at most, repeats left out: whatever comes after a record, from whichever
stream, is not acknowledged yet when it goes out. Each shard's order stands for itself, since a watermark is a shard's.
"""

from __future__ import annotations

import heapq
from bisect import insort
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from edge.patience import backoff
from producer.changes import Record

WAITS = 0.1, 5.0  # seconds before what was not taken is put again: after the first failure, and at most
AT_ONCE = 500  # records of a shard in one request, as long as it takes them
NEVER = float("-inf")
HASHES = 1 << 128


@dataclass(slots=True, eq=False)
class Mark:
    """What was read together: the group is at its end when it and all before it is acknowledged. left: records that are not."""

    left: int


class Item:
    """A record on its way. A class with slots, not a dataclass: one is made for every record."""

    __slots__ = ("group", "key", "mark", "record", "second")

    def __init__(self, record: Record, key: Key, group: str, mark: Mark) -> None:
        self.record, self.key, self.group, self.mark = record, key, group, mark
        self.second = record.second


@dataclass(slots=True, eq=False)
class Key:
    """A partition key with something on its way. queue: what may go out, in order; of these the first `flying` are in a request.
    left: the queue and what the lane holds. busy: in a request, in its lane's `ready`, or waiting after a failure."""

    name: str
    size: int
    hash: int
    lane: Lane
    queue: deque[Item] = field(default_factory=deque)
    left: int = 0
    flying: int = 0
    busy: bool = False
    failures: int = 0


@dataclass(slots=True, eq=False)
class _Second:
    """What is not acknowledged of a second of cluster time, and of this what may not go out yet."""

    left: int = 0
    held: list[Item] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Lane:
    """A shard and the hashes that it holds, both ends included. ready: keys that may go out now, each once."""

    shard: str
    low: int
    high: int
    spread: int
    horizon: float = NEVER
    ready: deque[Key] = field(default_factory=deque)
    waiting: int = 0
    allowance: int = AT_ONCE
    closed_until: float = NEVER
    refusals: int = 0
    throttled: int = 0
    _seconds: dict[int, _Second] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)
    _open_until: float = NEVER

    @property
    def oldest(self) -> int | None:
        """The second of the oldest record that is not acknowledged."""
        return self._order[0] if self._order else None

    def add(self, item: Item) -> None:
        """A record behind all that were added before it."""
        second = item.second
        bucket = self._seconds.get(second)
        if bucket is None:
            bucket = self._seconds[second] = _Second()
            insort(self._order, second)
        bucket.left += 1
        self.waiting += 1
        if second <= self._open_until:
            self._let_out(item)
        else:
            bucket.held.append(item)

    def count(self, item: Item) -> None:
        """A record that flies already: it is not acknowledged, and that is all to know of it."""
        bucket = self._seconds.get(item.second)
        if bucket is None:
            bucket = self._seconds[item.second] = _Second()
            insort(self._order, item.second)
        bucket.left += 1
        self.waiting += 1

    def done(self, item: Item) -> None:
        """A record is acknowledged. `release` follows, once for all of an answer."""
        self._seconds[item.second].left -= 1
        self.waiting -= 1

    def release(self) -> None:
        """Let out what is near enough now to the oldest record that is not acknowledged, and read by every stream."""
        order = self._order
        while order and not self._seconds[order[0]].left:
            del self._seconds[order.pop(0)]
        until = (min(order[0], self.horizon) if order else self.horizon) + self.spread
        if until <= self._open_until:
            return
        self._open_until = until
        for second in order:
            if second > until:
                return
            bucket = self._seconds[second]
            if bucket.held:
                held, bucket.held = bucket.held, []
                for item in held:
                    self._let_out(item)

    def held(self) -> Iterator[Item]:
        """What may not go out yet, in order."""
        for second in self._order:
            yield from self._seconds[second].held

    def refused(self, taken: int, now: float, spread: float) -> None:
        """The service throttled this shard. It is left alone for a while, and then gets no more than it took, at first one."""
        self.throttled += 1
        self.refusals = 1 if taken else self.refusals + 1
        self.allowance = max(1, taken)
        self.closed_until = max(self.closed_until, now + backoff(self.refusals, spread, *WAITS))

    def took(self) -> None:
        """It took all that was put on it."""
        self.refusals = 0
        self.allowance = min(AT_ONCE, self.allowance * 2)

    def _let_out(self, item: Item) -> None:
        key = item.key
        key.queue.append(item)
        if not key.busy:
            key.busy = True
            self.ready.append(key)


class Later:
    """Keys that wait for their next try."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._n = 0

    def push(self, at: float, key: Key) -> None:
        """Not before `at`."""
        self._n += 1
        heapq.heappush(self._heap, (at, self._n, key))

    def due(self, now: float) -> Iterator[Key]:
        """Those whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            yield heapq.heappop(self._heap)[2]

    def next(self) -> float | None:
        """When the next one's comes."""
        return self._heap[0][0] if self._heap else None
