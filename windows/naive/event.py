"""What the naive twin keeps: events, and the windows that hold them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable
from typing import Any


class Kept:
    """One event as a set keeps it: time, one value an input (None: does not enter), the document's id where the set retracts."""

    __slots__ = ("doc", "t", "values", "windows")

    def __init__(self, t: int, values: tuple[Any, ...], doc: Hashable = None) -> None:
        self.t = t
        self.values = values
        self.doc = doc
        self.windows = 0  # how many windows hold it; counted by sets that retract


def time_of(kept: Kept) -> int:
    """The order of events in a window; equal times stay in order of arrival."""
    return kept.t


def insert(events: list[Kept], kept: Kept) -> None:
    """Behind all events up to its time."""
    if not events or events[-1].t <= kept.t:
        events.append(kept)
    else:
        events.insert(bisect_right(events, kept.t, key=time_of), kept)


def which(found: list[Kept], old_at: int) -> Kept:
    """Of several values of one document, the one to take out: the last at the time it had, else the last."""
    return next((kept for kept in reversed(found) if kept.t == old_at), found[-1])


class Window:
    """One window and what it holds. `late` are those of its events that came after its close; ever: it has been final;
    measured: its measures, while its content is what they were computed from."""

    __slots__ = ("closed_by", "end", "events", "ever", "final", "late", "measured", "revision", "start")

    def __init__(self, start: int, end: int, events: list[Kept]) -> None:
        self.start, self.end, self.events = start, end, events
        self.revision = 0
        self.final = self.ever = False
        self.late: set[Kept] = set()
        self.closed_by: str | None = None
        self.measured: list[Any] | None = None

    def close(self, cause: str) -> None:
        """From here on its value is final."""
        self.final = self.ever = True
        self.closed_by = cause

    def changed(self) -> None:
        """Its content is another one; after the first final value that counts."""
        self.measured = None
        self.revision += self.ever
