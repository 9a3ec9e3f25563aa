"""What is stepped and not in the store yet: at most one commit on its way, and behind it what gathers for the next.

While one commit is on its way the next records are stepped. A commit takes all that has gathered, so that commits grow where the
store is behind, and stay small where it is not. None is begun before the one in front of it is in, and each says what it expects
to find: so the store never holds an effect without those before it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from consumer.gaps import Mark
from consumer.measure import Last
from consumer.step.documents import Changes
from consumer.step.pipeline import Seen
from consumer.store.contract import Closing, Cursor, Effects, KeyState, Segments
from windows.engine import Key

MOST = 6_000  # documents that gather before whoever brings more has to wait
MOST_BYTES = 4 << 20  # of key states
PATIENCE = 2.0  # s for a commit that is on its way when the shard is let go; the store may be away for long


@dataclass(slots=True)
class Gathered:
    """One commit to be. rows: how many records are in it; seen: its events, for whoever observes; last: what is to be measured.
    marks: what of the views is not complete; nothing in front of it may be in here that is to be marked."""

    cursor: Cursor
    changes: Changes
    states: dict[Key, KeyState] = field(default_factory=dict)
    segments: Segments = field(default_factory=dict)
    rows: int = 0
    seen: list[Seen] = field(default_factory=list)
    last: Last | None = None
    marks: list[Mark] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)

    def then(self, later: Gathered) -> None:
        """This, and what came behind it."""
        self.cursor = later.cursor
        self.changes.then(later.changes)
        self.states.update(later.states)
        self.segments.update(later.segments)
        self.rows += later.rows
        self.seen += later.seen
        self.marks += later.marks
        self.closings += later.closings
        self.last = later.last if self.last is None or later.last is None else self.last.then(later.last)

    def effects(self, expected: Cursor) -> Effects:
        """As the store takes it."""
        changes, states = self.changes, list(self.states.values())
        new, guarded = changes.puts("new"), changes.puts("unless_final")
        effects = Effects(expected, self.cursor, changes.puts(), changes.removes(), states, self.segments, new, guarded)
        return replace(effects, marks=self.marks, closings=self.closings)

    @property
    def full(self) -> bool:
        """Whether nothing more should be added."""
        size = sum(len(s.data) for s in self.states.values()) + size_of(self.segments)
        return len(self.changes) + len(self.states) + len(self.segments) >= MOST or size >= MOST_BYTES


def size_of(segments: Segments) -> int:
    """Bytes that are to be written."""
    return sum(len(data) for data in segments.values() if data is not None)


class Commits:
    """Makes what is gathered last. cursor: where the store is known to stand.

    commit: what has the store take effects, told what is to be measured, and gives the cursor behind them; whatever it raises is
    raised here, by the next call, and nothing of what came later is in then. Where there is no overlap (asked each time) a commit
    is in before `put` returns.
    """

    def __init__(
        self,
        commit: Callable[[Effects, Last | None], Cursor],
        cursor: Cursor,
        overlap: Callable[[], bool],
        done: Callable[[Sequence[Seen]], None],
    ) -> None:
        self.cursor = cursor
        self.tried = 0  # rows of the commit that failed
        self._commit, self._overlap, self._done = commit, overlap, done
        self._changed = threading.Condition()
        self._gathered: Gathered | None = None
        self._on_its_way: Gathered | None = None
        self._error: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def saving(self) -> bool:
        """Whether key states are on their way, or wait to be."""
        with self._changed:
            return any(g is not None and (g.states or g.segments) for g in (self._gathered, self._on_its_way))

    def put(self, more: Gathered) -> None:
        """To be in the store, behind all before it. Waits while too much has gathered."""
        if not self._overlap():
            self.drain()
            try:
                self._send(more)
            except BaseException as error:
                self._error = error
                raise
            return
        with self._changed:
            self._start()
            self._raise()
            if self._gathered is None:
                self._gathered = more
            else:
                self._gathered.then(more)
            self._changed.notify_all()
            while self._gathered is not None and self._gathered.full and self._error is None:
                self._changed.wait()
            self._raise()

    def check(self) -> None:
        """Raises what has kept a commit from getting there."""
        with self._changed:
            self._raise()

    def failed(self, error: BaseException) -> bool:
        """Whether that is what kept a commit from getting there."""
        return error is self._error

    def drain(self) -> Cursor:
        """Wait until everything is in the store: the cursor."""
        with self._changed:
            while (self._gathered is not None or self._on_its_way is not None) and self._error is None:
                self._changed.wait()
            self._raise()
            return self.cursor

    def again(self, cursor: Cursor) -> None:
        """Begin anew from there; what had gathered, and what has failed, is forgotten."""
        self.close()
        with self._changed:
            self.cursor, self._error, self._closed, self._thread = cursor, None, False, None

    def close(self) -> None:
        """Begin nothing more. What is on its way may still get there."""
        with self._changed:
            self._closed, self._gathered = True, None
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _send(self, gathered: Gathered) -> None:
        self.tried = gathered.rows
        cursor = self._commit(gathered.effects(self.cursor), gathered.last)
        with self._changed:
            self.cursor = cursor
        if gathered.seen:
            self._done(gathered.seen)

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._gathered is None and not self._closed:
                    self._changed.wait()
                if self._closed or self._gathered is None:
                    return
                now = self._on_its_way = self._gathered
                self._gathered = None
                self._changed.notify_all()
            try:
                self._send(now)
            except BaseException as error:  # raised again where records come in
                with self._changed:
                    self._error, self._on_its_way = error, None
                    self._changed.notify_all()
                return
            with self._changed:
                self._on_its_way = None
                self._changed.notify_all()
