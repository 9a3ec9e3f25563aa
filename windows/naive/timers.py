"""What is due when, for the twin."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from windows.engine import END, Key

Token = tuple[int, Key, int]  # number of the window set, key, start (0 where one timer serves the whole key)


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
