"""What the naive window sets have in common: the values they keep, their windows, and the calls the engine makes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from typing import Any

from windows.engine import FeatureBlock, Key, RollingBlock, WindowBlock
from windows.law.lives import Lives
from windows.law.spec import WindowSet
from windows.naive.event import Kept, Window
from windows.naive.exact import Plan
from windows.naive.timers import Timers, Token
from windows.packing import Packer

NEITHER, TOOK, REFUSED = 0, 1, 2  # what a set did with a value: not concerned, in (or out) with it, came too late


class NaiveSet(ABC):
    """All that is kept for one window set. `wm` is the watermark that judges the key, `cause` what moved it there.

    whole_key: one timer (with start 0) serves all of a key, and may ring early; else each window has its own.
    """

    whole_key = True

    def __init__(self, number: int, spec: WindowSet, timers: Timers) -> None:
        self.number, self.set, self.timers = number, spec, timers
        self.plan = Plan(spec.measures)
        self.lives = Lives.of(spec)

    @abstractmethod
    def put(self, key: Key, kept: Kept, wm: int, cause: str, row: int) -> int:
        """Take a value in: TOOK or REFUSED."""

    @abstractmethod
    def take(self, key: Key, doc: Hashable, old_at: int, wm: int, cause: str) -> int:
        """Take a value out: TOOK, REFUSED or NEITHER."""

    @abstractmethod
    def passed(self, key: Key, start: int, wm: int, cause: str) -> bool:
        """A timer rang: do what is due at wm. Whether anything changed."""

    @abstractmethod
    def due(self, key: Key) -> int | None:
        """When something of this key happens next."""

    @abstractmethod
    def dump(self, key: Key, packer: Packer) -> Any:
        """The key's state as plain values, None if there is none."""

    @abstractmethod
    def load(self, key: Key, section: Any, packer: Packer) -> None:
        """Inverse of dump, timers included."""

    @abstractmethod
    def forget(self, key: Key) -> None:
        """Let go of the key's state and timers."""

    @abstractmethod
    def waiting(self) -> int:
        """How many documents the next flush brings."""

    @abstractmethod
    def flush(self) -> WindowBlock | RollingBlock | None:
        """The documents that changed since the last flush, as they are now."""

    def begin(self) -> None:
        """A step begins."""
        return

    def unread(self, key: Key, t: int, wm: int, row: int) -> None:
        """An event that the set's `where` does not hold for."""
        return

    def features(self) -> FeatureBlock | None:
        """The values of this step's events."""
        return None

    def removed(self) -> Iterator[tuple[WindowSet, Key, int]]:
        """Documents that no longer exist, since the last call."""
        return iter(())

    def token(self, key: Key, start: int = 0) -> Token:
        """The name of a timer."""
        return (self.number, key, start)


class WindowedSet(NaiveSet):
    """A set whose documents are windows with a start and an end."""

    def __init__(self, number: int, spec: WindowSet, timers: Timers) -> None:
        super().__init__(number, spec, timers)
        self.touched: dict[tuple[Key, int], Window] = {}
        self._inputs = range(len(self.plan.inputs))

    def waiting(self) -> int:
        return len(self.touched)

    def flush(self) -> WindowBlock | None:
        if not self.touched:
            return None
        windows = list(self.touched.values())
        rows = [self._measures(w) for w in windows]
        block = WindowBlock(
            set=self.set,
            key=[key for key, _ in self.touched],
            start=[w.start for w in windows],
            end=[w.end for w in windows],
            measures={name: [row[i] for row in rows] for i, name in enumerate(self.plan.names)},
            events=[len(w.events) for w in windows],
            revision=[w.revision for w in windows],
            final=[w.final for w in windows],
            late=[len(w.late) for w in windows],
            closed_by=[w.closed_by for w in windows],
        )
        self.touched = {}
        return block

    def _measures(self, w: Window) -> list[Any]:
        if w.measured is None:
            columns = [[v for e in w.events if (v := e.values[i]) is not None] for i in self._inputs]
            w.measured = self.plan.compute(len(w.events), columns)
        return w.measured
