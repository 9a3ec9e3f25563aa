"""Values that may wait: those of open windows, and rolling ones. With `[views] refresh` they are written when the watermark passes
a multiple of it, the last value of each document alone.

    refresh 10 s    watermark   1    4    9 | 12   15 | 21
    rolling value                a    b    c    d    e
    written                               c            e

What is final, a score or a signal never waits. Nothing of a key waits across the place where its state is saved, and nothing at all
across the one where a snapshot begins: so whoever begins anew from there knows what waits by the records between it and the
cursor, wherever these are cut into parts. He may take for waiting what has been written, and never the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable

from consumer.step.documents import Changes
from windows.engine import Key

MOST = 50_000  # documents that wait


class Early:
    """every: ms of event time; 0: nothing waits."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._held: dict[Key, Changes] = {}
        self._size = 0

    def over(self, before: int, after: int) -> bool:
        """Whether what waits is to be written, as the watermark moves so."""
        return bool(self._held) and (self._passes(before, after) or self._size > MOST)

    def hold(self, changes: Changes, before: int, after: int) -> Changes:
        """What is to be written of changes at once, as the watermark moves so: all but what may wait. `over` was asked before."""
        return changes if not self._every or self._passes(before, after) else self._wait(changes)

    def unsaid(self, changes: Changes, before: int, after: int) -> None:
        """The same where changes are in the views already, but for what waited when the shard was let go."""
        if self._every:
            if self._passes(before, after):
                self._forget()
            self._wait(changes)

    def of(self, keys: Iterable[Key]) -> Changes:
        """What waits of some keys, which waits no more."""
        found = Changes()
        for key in keys if self._held else ():
            if key in self._held:
                own = self._held.pop(key)
                self._size -= len(own)
                found.then(own)
        return found

    def all(self) -> Changes:
        """What waits, which waits no more."""
        found = self.of(list(self._held))
        self._forget()
        return found

    def _passes(self, before: int, after: int) -> bool:
        return before // self._every < after // self._every

    def _forget(self) -> None:
        self._held, self._size = {}, 0

    def _wait(self, changes: Changes) -> Changes:
        """Those that may wait do; the others."""
        early, rest = changes.early()
        for key, own in early.items():
            held = self._held.setdefault(key, own)
            if held is own:
                self._size += len(own)
                continue
            before = len(held)
            held.then(own)
            self._size += len(held) - before
        for key in rest.keys & self._held.keys():
            before = len(self._held[key])
            self._held[key].give_to(rest)
            self._size -= before - len(self._held[key])
        return rest
