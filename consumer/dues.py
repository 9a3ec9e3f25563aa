"""Which saved keys come due: the store is asked when time reaches the next due time that it has told, and never twice for a key.

What memory knows of a key holds. So a saved due time matters only for keys that are not in memory, and everything that was due up
to some (due, hash) has been loaded once: the next question goes on behind it. A key that leaves memory takes the question back to
its own due time, but not before the last page is told: all that is due until then has happened to it, and what is left is looked at
once time is there (a key that is to be forgotten). So pages end, however few keys memory has room for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from consumer.store.contract import Due
from windows.engine import NEVER, Key

AHEAD = 10_000  # ms of event time that are looked ahead: a question a batch would cost more than keys that come a little early
FAR = 1 << 70  # behind all time
LAST_HASH = (1 << 128) - 1
Ask = Callable[[int, tuple[int, int]], Due]  # (until, after) -> a page


class Page(NamedTuple):
    """Keys to be in memory now; up_to: time may pass up to here and no further, None where it may go all the way."""

    keys: Sequence[Key]
    up_to: int | None


class Dues:
    """ask: the store's keys in this shard's range that are due by a time, behind (due, hash)."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._after: tuple[int, int] = (NEVER, -1)
        self._next = NEVER
        self._paging = False  # a page was told behind which there are others
        self._left = FAR  # the first due time of those that left memory meanwhile

    def page(self, watermark: int) -> Page:
        """The keys that come due by a watermark and were not told before, or the first of them."""
        if not self._paging:
            self._back_to(self._left)
            self._left = FAR
        self._paging = False
        if watermark < self._next:
            return Page((), None)
        until = watermark + AHEAD
        found = self._ask(until, self._after)
        if found.last is None:
            self._after, self._next = (until, LAST_HASH), FAR if found.next is None else found.next
            return Page(found.keys, None)
        self._after = found.last
        self._next = found.last[0]
        self._paging = self._next <= watermark
        return Page(found.keys, self._next if self._paging else None)

    def gone(self, dues: Iterable[int | None]) -> None:
        """Keys with these due times leave memory."""
        first = min((due for due in dues if due is not None), default=FAR)
        if self._paging:
            self._left = min(self._left, first)
        else:
            self._back_to(first)

    def _back_to(self, due: int) -> None:
        self._next = min(self._next, due)
        self._after = min(self._after, (due, -1))
