"""Which key states are to be saved, and when: rounds of a snapshot, a chunk with each commit.

A round begins at the place where the shard stands. Every key that has changed since it was saved last is saved once in the round,
as it is when its turn comes; so the shard never stops for it. With the last of them the snapshot stands at the round's place: what
lies before it is in every key state that is saved.

    place    10 ------ 11 ------ 12 ------ 13
    changed  a b       a c       d
    round    begins    a (11)    b (12) -> with the commit that saves b the snapshot stands at 10; c and d are for the next one
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice

from consumer.store.contract import START, Place
from windows.engine import Key


class Snapshots:
    """interval: seconds between the ends of two rounds."""

    def __init__(self, interval: float, now: float) -> None:
        self.changed: dict[Key, None] = {}  # since they were saved last
        self._interval, self._last = interval, now
        self._round: dict[Key, None] | None = None
        self._place = START

    @property
    def begun(self) -> bool:
        """Whether a round is not over."""
        return self._round is not None

    def touch(self, keys: Iterable[Key]) -> None:
        """These keys are no longer as they were saved."""
        self.changed.update(dict.fromkeys(keys))

    def saved(self, keys: Collection[Key]) -> None:
        """These keys are saved as they are."""
        for key in keys:
            self.changed.pop(key, None)

    def wanted(self, now: float) -> bool:
        """Whether it is time for a round."""
        return self._round is None and now - self._last >= self._interval

    def begin(self, place: Place) -> None:
        """Begin a round, where the shard stands."""
        self._round, self._place = dict(self.changed), place

    def next(self, most: int) -> list[Key]:
        """Keys whose turn it is."""
        chunk: list[Key] = []
        while self._round and len(chunk) < most:
            some = list(islice(self._round, most - len(chunk)))
            for key in some:
                del self._round[key]
            chunk += [key for key in some if key in self.changed]
        return chunk

    def end(self, now: float) -> Place | None:
        """The round's place, if nothing is left to be saved in it."""
        if self._round is None or self._round:
            return None
        self._round, self._last = None, now
        return self._place
