"""Time that passes only through records: what a record vouches for, how long a window lives, and what is due next."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from windows.engine import END, Key
from windows.law.spec import WindowSet

Token = tuple[int, Key, int]  # number of the window set, key, start (0 where one timer serves the whole key)


def event_mark(at: int, out_of_order: int = 0) -> int:
    """The watermark an event vouches for, ms.

    >>> event_mark(10_000, out_of_order=2_000)
    8000
    """
    return at - out_of_order


def heartbeat_mark(cluster: int, settle: int) -> int:
    """The watermark a heartbeat (everything up to `cluster` is relayed) or an idle wall clock vouches for, ms."""
    return cluster - settle


@dataclass(frozen=True, slots=True)
class Lives:
    """How long windows of a set live, counted from their end (ms).

        start        end     + lateness       + retain
        |--- open ----|--- open ---|-- closed, kept --|--- frozen

    Only `late = "update"` keeps closed windows; else they are frozen at once.
    """

    lateness: int
    hold: int

    @staticmethod
    def of(spec: WindowSet) -> Lives:
        """The lives of a set's windows."""
        return Lives(spec.lateness, spec.lateness + (spec.retain if spec.late == "update" else 0))

    def closed(self, end: int, watermark: int) -> bool:
        """Its value is final."""
        return watermark >= end + self.lateness

    def frozen(self, end: int, watermark: int) -> bool:
        """Its value changes no more."""
        return watermark >= end + self.hold


class Timers:
    """What is due when: at most one live timer a token, ordered by (due, key). A timer may ring early, never late.

    Windows of many keys are due at one time: tokens lie in buckets by due time, and a bucket is sorted when its time comes.
    """

    def __init__(self) -> None:
        self._live: dict[Token, int] = {}
        self._buckets: dict[int, list[Token]] = {}  # with tokens whose timer was moved or dropped; `_live` decides
        self._dues: list[int] = []
        self._held = 0
        self._sorted: int | None = None  # the bucket that is in order, the next one last
        self._order: dict[Key, str] = {}

    def put(self, due: int, token: Token) -> None:
        """Ring for this token at `due` (or at once, where that has passed), and not at another time."""
        if self._live.get(token) == due:
            return
        self._live[token] = due
        self._push(due, token)
        if self._held > 2 * len(self._live) + 1_000:
            self._buckets, self._dues, self._held, self._sorted = {}, [], 0, None
            for other, at in self._live.items():
                self._push(at, other)

    def sooner(self, due: int, token: Token) -> None:
        """Ring no later than `due`: a timer that rings before is left to."""
        if due < self._live.get(token, END + 1):
            self.put(due, token)

    def first(self) -> int | None:
        """When the next timer rings."""
        while self._dues:
            due = self._dues[0]
            bucket = self._buckets[due]
            while bucket and self._live.get(bucket[-1]) != due:
                bucket.pop()
                self._held -= 1
            if bucket:
                return due
            del self._buckets[heapq.heappop(self._dues)]
        return None

    def pop(self) -> Token:
        """The next timer's token; it rings no more. Only after `first` gave a time."""
        due = self._dues[0]
        if self._sorted != due:
            self._sorted = due
            self._buckets[due].sort(key=self._place, reverse=True)
            self.first()
        token = self._buckets[due].pop()
        self._held -= 1
        del self._live[token]
        return token

    def drop(self, tokens: Iterable[Token]) -> None:
        """Do not ring for these."""
        for token in tokens:
            self._live.pop(token, None)

    def forget(self, key: Key) -> None:
        """Let go of the key's place in the order, once it has no timers."""
        self._order.pop(key, None)

    def _push(self, due: int, token: Token) -> None:
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = [token]
            heapq.heappush(self._dues, due)
        else:
            bucket.append(token)
        self._held += 1
        if self._sorted == due:
            self._sorted = None

    def _place(self, token: Token) -> tuple[str, int, int]:
        number, key, start = token
        order = self._order.get(key)
        if order is None:
            order = self._order[key] = repr(key)
        return order, number, start
