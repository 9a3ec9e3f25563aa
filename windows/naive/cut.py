"""Where sessions begin and end, by their definition: events by (time, arrival) are cut greedily from the first one on.

    gap 5, max 12    a..b....c.......d.....e
                     [=a==b====c====)           b and c join: less than 5 apart, and not over 12
                                     [d====)
                                           [e====)

Only a stretch is cut again when a value comes or goes: a cut that comes out where one was before starts the same rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from windows.law.spec import Session
from windows.naive.event import Kept, Window, insert


class Course:
    """One key's sessions by rising start, the emptied ones by start, and (where the set retracts) its values by document. gone: of
    the last session that was let go, its first event and its last one."""

    __slots__ = ("documents", "emptied", "gone", "sessions")

    def __init__(self) -> None:
        self.gone: tuple[int, int] | None = None
        self.sessions: list[Window] = []
        self.emptied: dict[int, Window] = {}
        self.documents: dict[Hashable, list[Kept]] = {}

    def at(self, t: int) -> int:
        """Index of the last session that starts at or before t, -1 if none does."""
        return bisect_right(self.sessions, t, key=lambda w: w.start) - 1

    def note(self, kept: Kept) -> None:
        """Remember which document brought a value."""
        insert(self.documents.setdefault(kept.doc, []), kept)

    def strike(self, kept: Kept) -> None:
        """Inverse of note."""
        self.documents[kept.doc].remove(kept)
        if not self.documents[kept.doc]:
            del self.documents[kept.doc]


@dataclass(frozen=True, slots=True)
class Cut:
    """sessions[begin:end] give way to `groups`, in order of time."""

    begin: int
    end: int
    groups: list[list[Kept]]


class Cutter:
    """Cuts sessions with a gap and a longest length (ms)."""

    def __init__(self, kind: Session) -> None:
        self._gap, self._max = kind.gap, kind.max

    def come(self, sessions: Sequence[Window], begin: int, value: Kept) -> Cut:
        """The cut with one more value. begin: the last session that starts at or before it, -1 if none does."""
        if begin >= 0 and begin == len(sessions) - 1 and sessions[-1].events[-1].t <= value.t:
            events = sessions[-1].events
            if self._joins(events, value.t):
                return Cut(begin, begin + 1, [[*events, value]])
            return Cut(begin + 1, begin + 1, [[value]])
        return self._again(sessions, max(begin, 0), value, None)

    def gone(self, sessions: Sequence[Window], begin: int, value: Kept) -> Cut:
        """The cut without a value of session `begin`. A session cannot move into the one before it: what was too far for its
        first event is too far for the next one."""
        return self._again(sessions, begin, None, value)

    def _again(self, sessions: Sequence[Window], begin: int, come: Kept | None, gone: Kept | None) -> Cut:
        groups: list[list[Kept]] = []
        for place in range(begin, len(sessions)):
            for event in sessions[place].events:
                if come is not None and come.t < event.t:
                    self._add(groups, come)
                    come = None
                if event is gone:
                    continue
                opens = not groups or not self._joins(groups[-1], event.t)
                if opens and groups and event is sessions[place].events[0]:
                    return Cut(begin, place, groups)
                self._add(groups, event)
        if come is not None:
            self._add(groups, come)
        return Cut(begin, len(sessions), groups)

    def _add(self, groups: list[list[Kept]], event: Kept) -> None:
        if groups and self._joins(groups[-1], event.t):
            groups[-1].append(event)
        else:
            groups.append([event])

    def joins(self, first: int, last: int, t: int) -> bool:
        """Whether an event at t, not before `last`, is of the session [first, last]."""
        return t - last < self._gap and (self._max is None or t + self._gap - first <= self._max)

    def _joins(self, group: Sequence[Kept], t: int) -> bool:
        return self.joins(group[0].t, group[-1].t, t)
