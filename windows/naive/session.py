"""Sessions: what changed between the cuts before and after a value says which documents are revised, joined, new or emptied.

A frozen session is let go, and so are all before it, which ended sooner. A value that would be of it, or lies before its end, would
change what is frozen; so of the last one that went its times are remembered.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from windows.engine import END, Key
from windows.law.spec import Session, WindowSet
from windows.naive.cut import Course, Cut, Cutter
from windows.naive.event import Kept, Window, which
from windows.naive.sets import NEITHER, REFUSED, TOOK, WindowedSet
from windows.naive.state import dump_windows, load_windows
from windows.naive.timers import Timers
from windows.packing import Packer


class SessionSet(WindowedSet):
    """One session set: key -> course."""

    def __init__(self, number: int, spec: WindowSet, timers: Timers) -> None:
        super().__init__(number, spec, timers)
        assert isinstance(spec.kind, Session)
        if spec.kind.max is not None and spec.kind.max < spec.kind.gap:
            raise ValueError(f"{spec.name}: a session of max {spec.kind.max} ms cannot hold a gap of {spec.kind.gap} ms")
        self.gap = spec.kind.gap
        self._cutter = Cutter(spec.kind)
        self._courses: dict[Key, Course] = {}
        self._removed: list[tuple[WindowSet, Key, int]] = []

    def put(self, key: Key, kept: Kept, wm: int, cause: str, row: int) -> int:
        course = self._courses.get(key) or Course()
        if course.gone is not None and course.at(kept.t) < 0:
            first, last = course.gone
            if kept.t <= last or self._cutter.joins(first, last, kept.t):
                return REFUSED
        cut = self._cutter.come(course.sessions, course.at(kept.t), kept)
        own = cut.groups[0] if len(cut.groups) == 1 else next(g for g in cut.groups if kept in g)
        breaks = (w.events not in cut.groups for w in course.sessions[cut.begin : cut.end] if self.lives.frozen(w.end, wm))
        if self.lives.frozen(own[-1].t + self.gap, wm) or any(breaks):
            return REFUSED
        self._courses[key] = course
        if self.set.retract:
            course.note(kept)
        self._apply(key, course, cut, wm, cause, kept)
        return TOOK

    def take(self, key: Key, doc: Hashable, old_at: int, wm: int, cause: str) -> int:
        course = self._courses.get(key) or Course()
        found = [k for k in course.documents.get(doc, ()) if not self.lives.frozen(course.sessions[course.at(k.t)].end, wm)]
        if not found:
            return NEITHER if self._reaches(course, old_at, wm) else REFUSED
        kept = which(found, old_at)
        place = course.at(kept.t)
        course.strike(kept)
        if len(course.sessions[place].events) == 1:
            self._empty(key, course, place)
        else:
            self._apply(key, course, self._cutter.gone(course.sessions, place, kept), wm, cause)
        self.timers.sooner(self.due(key) or 0, self.token(key))  # what the session kept alive may be of no use now
        return TOOK

    def passed(self, key: Key, start: int, wm: int, cause: str) -> bool:
        course = self._courses.get(key)
        if course is None:
            return False
        closing = [w for w in (*course.sessions, *course.emptied.values()) if not w.final and self.lives.closed(w.end, wm)]
        for w in closing:
            w.close(cause)
            self.touched[key, w.start] = w
        freed = self._free(course, wm)
        due = self.due(key)
        if due is not None:
            self.timers.put(due, self.token(key))
        return freed or bool(closing)

    def due(self, key: Key) -> int | None:
        course = self._courses.get(key) or Course()
        dues = [w.end + self.lives.lateness for w in course.sessions if not w.final]
        dues += [w.end + (self.lives.hold if w.final else self.lives.lateness) for w in course.emptied.values()]
        if course.sessions:
            dues.append(course.sessions[0].end + self.lives.hold)
        return min(dues, default=None)

    def dump(self, key: Key, packer: Packer) -> Any:
        course = self._courses.get(key)
        if course is None or not (course.sessions or course.emptied or course.gone):
            return None
        return [*dump_windows([*course.sessions, *course.emptied.values()], packer), course.gone]

    def load(self, key: Key, section: Any, packer: Packer) -> None:
        course = self._courses[key] = Course()
        course.gone = None if section[2] is None else (section[2][0], section[2][1])
        for w in load_windows(section, packer):
            if not w.events:
                course.emptied[w.start] = w
                continue
            course.sessions.append(w)
            if self.set.retract:
                for kept in w.events:
                    course.note(kept)
        due = self.due(key)
        if due is not None:
            self.timers.put(due, self.token(key))

    def forget(self, key: Key) -> None:
        if self._courses.pop(key, None) is not None:
            self.timers.drop([self.token(key)])

    def removed(self) -> Iterator[tuple[WindowSet, Key, int]]:
        removed, self._removed = self._removed, []
        return iter(removed)

    def _apply(self, key: Key, course: Course, cut: Cut, wm: int, cause: str, came: Kept | None = None) -> None:
        """Give the sessions of a cut to their heirs: each goes to the group that holds its first event that is left."""
        old = course.sessions[cut.begin : cut.end]
        heirs: list[list[Window]] = [[] for _ in cut.groups]
        for w in old:
            place = next(i for i, group in enumerate(cut.groups) for e in w.events[:2] if e in group)
            heirs[place].append(w)
        new = []
        for group, inherited in zip(cut.groups, heirs, strict=True):
            same = next((w for w in inherited if w.events == group), None)
            new.append(same or self._made(key, course, group, inherited, old, wm, cause, came))
        course.sessions[cut.begin : cut.end] = new
        starts = {w.start for w in new}
        for w in old:
            if w.start not in starts:
                self.touched.pop((key, w.start), None)
                self._removed.append((self.set, key, w.start))

    def _made(
        self, key: Key, course: Course, group: list[Kept], inherited: list[Window], old: Sequence[Window], wm: int, cause: str,
        came: Kept | None,
    ) -> Window:  # fmt: skip
        """A session of new content, open or closed as its times say; it goes on from the revisions of those it inherits."""
        w = Window(group[0].t, group[-1].t + self.gap, group)
        emptied = course.emptied.pop(w.start, None)
        before = [*inherited, emptied] if emptied is not None else inherited
        w.ever = any(b.ever for b in before)
        w.revision = 1 + max((b.revision for b in before if b.ever), default=-1)
        w.late = {kept for b in old for kept in b.late if kept in group}
        closed = self.lives.closed(w.end, wm)
        if came in group and (closed or any(b.final for b in before)):
            w.late.add(came)
        if closed:
            w.close(next((b.closed_by for b in before if b.closed_by is not None), cause))
        self.touched[key, w.start] = w
        self.timers.sooner(w.end + (self.lives.hold if closed else self.lives.lateness), self.token(key))
        return w

    def _empty(self, key: Key, course: Course, place: int) -> None:
        """The only value of a session went: its document stays, with nothing in it."""
        w = course.sessions.pop(place)
        w.events = []
        w.late = set()
        w.changed()
        course.emptied[w.start] = w
        self.touched[key, w.start] = w
        self.timers.sooner(w.end + (self.lives.hold if w.final else self.lives.lateness), self.token(key))

    def _reaches(self, course: Course, t: int, wm: int) -> bool:
        """Whether a session that holds t could still change."""
        place = course.at(t)
        within = place >= 0 and t < course.sessions[place].end and not self.lives.frozen(course.sessions[place].end, wm)
        return within or not self.lives.frozen(t + self.gap, wm)

    def _free(self, course: Course, wm: int) -> bool:
        """Let go of what is frozen. Whether there was any."""
        useless = 0
        while useless < len(course.sessions) and self.lives.frozen(course.sessions[useless].end, wm):
            useless += 1
        if useless and wm < END:  # what only the end of a file has frozen judges no later value
            last = course.sessions[useless - 1].events
            course.gone = last[0].t, last[-1].t
        if self.set.retract:
            for w in course.sessions[:useless]:
                for kept in w.events:
                    course.strike(kept)
        del course.sessions[:useless]
        frozen = [start for start, w in course.emptied.items() if self.lives.frozen(w.end, wm)]
        for start in frozen:
            del course.emptied[start]
        return bool(useless or frozen)
