"""The prototype in careful pure Python: the same windows with running sums (which drift), one record of the past a key.

It is the base of one line of the table, so it is kept as it was measured, and is no example of how windows are computed here.
"""

from __future__ import annotations

from collections import deque
from math import sqrt
from typing import Any

M, W, LATE = 60_000, 600_000, 30_000


class Card:
    """What is remembered of a card: its events in the window, those that have left it, and running sums."""

    __slots__ = ("counts", "n", "newest", "old", "q", "s", "ss")

    def __init__(self) -> None:
        self.q: deque[Any] = deque()
        self.old: deque[Any] = deque()
        self.n, self.s, self.ss, self.newest = 0, 0.0, 0.0, -1
        self.counts: dict[str, int] = {}


class Engine:
    """events: tuples (card, merchant, amount, ts)."""

    def __init__(self, rolling: bool = True) -> None:
        self.cards: dict[str, Card] = {}
        self.panes: dict[int, dict[str, Any]] = {}
        self.sliding: dict[str, Any] = {}
        self.next: int | None = None
        self.newest = -1
        self.rolling = rolling

    def process(self, events: list[Any], w1: list[Any], w2: list[Any], w3: list[Any]) -> None:
        """One batch; results are appended to the three lists."""
        self._panes(events, w1, w2)
        if self.rolling:
            cards = self.cards
            for card, merchant, amount, ts in events:
                state = cards.get(card)
                if state is None:
                    state = cards[card] = Card()
                w3.append((card, ts, *(roll if ts >= state.newest else roll_late)(state, ts, amount, merchant)))

    def _panes(self, events: list[Any], w1: list[Any], w2: list[Any]) -> None:
        panes, newest = self.panes, self.newest
        if self.next is None:
            self.next = events[0][3] // M - 1
        limit, last, pane = (self.next + 1) * M + LATE, -1, {}
        for card, _, amount, ts in events:
            if ts > newest:
                newest = ts
                while ts >= limit:
                    self.close(self.next, w1, w2)
                    self.next += 1
                    limit += M
            minute = ts // M
            if minute != last:
                pane = panes.setdefault(minute, {})
                last = minute
            p = pane.get(card)
            if p is None:
                pane[card] = [1, amount, amount]
            else:
                p[0] += 1
                p[1] += amount
                if amount > p[2]:
                    p[2] = amount
        self.newest = newest

    def close(self, minute: int, w1: list[Any], w2: list[Any]) -> None:
        """A minute, and the ten minutes that end with it, are over."""
        sliding, end = self.sliding, (minute + 1) * M
        for card, (n, s, top) in self.panes.get(minute, {}).items():
            w1.append((card, end, n, s, top))
            r = sliding.get(card)
            if r is None:
                sliding[card] = [n, s]
            else:
                r[0] += n
                r[1] += s
        w2.extend([(card, end, n, s, s / n) for card, (n, s) in sliding.items()])
        for card, (n, s, _) in (self.panes.pop(minute - 9, None) or {}).items():
            r = sliding[card]
            r[0] -= n
            if r[0] == 0:
                del sliding[card]
            else:
                r[1] -= s

    def finish(self, w1: list[Any], w2: list[Any]) -> None:
        """The end: all that is open closes."""
        if self.panes and self.next is not None:
            last = max(self.panes)
            while self.next <= last + 9:
                self.close(self.next, w1, w2)
                self.next += 1


def roll(state: Card, ts: int, amount: float, merchant: str) -> tuple[Any, ...]:
    """(n, sum, mean, std, distinct) of the ten minutes up to an event that is its card's newest."""
    q, counts = state.q, state.counts
    state.newest = ts
    q.append((ts, amount, merchant))
    n, s, ss = state.n + 1, state.s + amount, state.ss + amount * amount
    counts[merchant] = counts.get(merchant, 0) + 1
    limit = ts - W
    if q[0][0] <= limit:
        old = state.old
        while q[0][0] <= limit:
            gone = q.popleft()
            old.append(gone)
            x, shop = gone[1], gone[2]
            n, s, ss = n - 1, s - x, ss - x * x
            left = counts[shop] - 1
            if left:
                counts[shop] = left
            else:
                del counts[shop]
        if n == 1:
            s, ss = amount, amount * amount
        limit -= LATE
        while old and old[0][0] <= limit:
            old.popleft()
    state.n, state.s, state.ss = n, s, ss
    if n == 1:
        return 1, s, s, 0.0, 1
    v = (ss - s * s / n) / (n - 1)
    return n, s, s / n, sqrt(v) if v > 0.0 else 0.0, len(counts)


def roll_late(state: Card, ts: int, amount: float, merchant: str) -> tuple[Any, ...]:
    """The same of an event that comes behind newer ones: its own window is put together anew."""
    q, at = state.q, len(state.q)
    for gone in reversed(q):
        if gone[0] <= ts:
            break
        at -= 1
    q.insert(at, (ts, amount, merchant))
    state.n, state.s, state.ss = state.n + 1, state.s + amount, state.ss + amount * amount
    state.counts[merchant] = state.counts.get(merchant, 0) + 1
    own = [e for e in (*state.old, *list(q)[: at + 1]) if ts - W < e[0] <= ts]
    n, s = len(own), sum(e[1] for e in own)
    v = (sum(e[1] * e[1] for e in own) - s * s / n) / (n - 1) if n > 1 else 0.0
    return n, s, s / n, sqrt(v) if v > 0.0 else 0.0, len({e[2] for e in own})
