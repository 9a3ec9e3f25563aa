"""The naive twin: keep every event that the law can still ask for, and compute every value anew from what is kept.

It is the oracle of the fast engine and the base of the benchmark. To the letter, and obvious: sums are made from whole windows, a
rolling value costs what lies in its window, time moves a heap of dues. What it promises stands in windows/engine.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from windows.engine import (
    BY_END,
    BY_IDLE,
    CAUSES,
    CHANGE,
    COUNTED,
    END,
    LATE_DROP,
    LATE_KEEP,
    NEVER,
    VOID,
    Columns,
    Dumps,
    Key,
    RollingBlock,
    StateMismatch,
    StepResult,
    WindowBlock,
)
from windows.law.spec import Rolling, Session, WindowSet, streams
from windows.naive.event import Kept
from windows.naive.grid import GridSet
from windows.naive.rolling import RollingSet
from windows.naive.rows import Rows, Stream
from windows.naive.session import SessionSet
from windows.naive.sets import REFUSED, TOOK, NaiveSet
from windows.naive.state import nothing, seal, unseal
from windows.naive.timers import Timers
from windows.packing import Pack, Packer, Unpack

A_KEY = 1_000  # bytes, whatever it holds: nobody runs out of memory with this one


class NaiveEngine:
    """Implements windows.engine.Engine. `pack` and `unpack` turn hashable values that are not None, text, number, boolean, bytes
    or tuple (ids, dates, whatever keys, `first` and `distinct` are given) into bytes and back, for dump and load.

    Set `watermark` before the first record to go on from a saved one; END leaves it, and the result's, at the last true one, and no
    row may follow. A key stays in `loaded` until it is evicted, also when nothing is kept of it any more.
    """

    def __init__(self, sets: Sequence[WindowSet], pack: Pack | None = None, unpack: Unpack | None = None) -> None:
        self.watermark = NEVER
        self._packer = Packer(pack, unpack)
        self._timers = Timers()
        self._sets = [_made(number, spec, self._timers) for number, spec in enumerate(sets)]
        self._streams = [Stream([s for s in self._sets if (s.set.trigger, s.set.key) == pair]) for pair in streams(sets)]
        self._floors: dict[Key, int] = {}  # the watermark when the key last changed: what it has closed stays closed
        self._changed: set[Key] = set()
        self._late: dict[str, int] = {}

    def step(self, batch: Columns, begin: int = 0, budget: int | None = None) -> StepResult:
        self._begin()
        rows, row, outcomes = Rows(batch), begin, []
        while row < batch.n and not self._full(budget):
            outcome = COUNTED
            if rows.kind[row] != VOID:
                if not self._pass(rows.mark[row], CAUSES[rows.cause[row]], budget):
                    break
                if rows.kind[row] == CHANGE:
                    outcome = self._change(rows, row, batch.keys)
            outcomes.append(outcome)
            row += 1
        return self._result(row, outcomes)

    def advance(self, watermark: int, cause: int = BY_IDLE, budget: int | None = None) -> StepResult:
        self._begin()
        over = self._pass(watermark, CAUSES[cause], budget)
        return self._result(int(over), [])

    def due(self) -> int | None:
        while (first := self._timers.first()) is not None:
            token = self._timers.pop()
            number, key, _ = token
            due = self._sets[number].due(key) if self._sets[number].whole_key else first
            if due is not None:
                self._timers.put(due, token)
            if due == first:
                return due
        return None

    def dues(self, keys: Collection[Key]) -> Mapping[Key, int | None]:
        return {key: min((due for s in self._sets if (due := s.due(key)) is not None), default=None) for key in keys}

    def current(self, key: Key, as_of: int) -> list[RollingBlock]:
        return [s.current(key, as_of) for s in self._sets if isinstance(s, RollingSet) and s.set.key == key[0]]

    def views(self, spec: WindowSet, keys: Sequence[Key], as_of: Sequence[int]) -> RollingBlock:
        own = next(s for s in self._sets if s.set.name == spec.name)
        assert isinstance(own, RollingSet)
        return own.views(keys, as_of)

    def dump(self, keys: Collection[Key]) -> Dumps:
        dumps = {}
        for key in keys:
            parts = {s.set.fingerprint: s.dump(key, self._packer) for s in self._sets}
            sections = {fingerprint: part for fingerprint, part in parts.items() if part is not None}
            dumps[key] = seal(self._floors.get(key, NEVER), sections)
        return Dumps(dumps)

    def holds(self, data: bytes) -> bool:
        return any(not nothing(section) for section in unseal(data)[1].values())

    def load(self, states: Mapping[Key, bytes], segments: Mapping[Key, Mapping[int, bytes]] | None = None) -> None:
        read = {key: unseal(data) for key, data in states.items()}
        self.evict(states.keys())
        for key, (floor, sections) in read.items():
            self._floors[key] = floor
            for s in self._sets:
                section = sections.get(s.set.fingerprint)
                if section is not None:
                    try:
                        s.load(key, section, self._packer)
                    except (ValueError, TypeError, IndexError, KeyError) as error:
                        raise StateMismatch(f"the saved state of {s.set.name} cannot be read") from error

    def evict(self, keys: Collection[Key]) -> None:
        for key in list(keys):
            for s in self._sets:
                s.forget(key)
            self._floors.pop(key, None)
            self._timers.forget(key)

    def loaded(self) -> Collection[Key]:
        return self._floors.keys()

    def size(self) -> int:
        return A_KEY * len(self._floors)

    def _begin(self) -> None:
        for s in self._sets:
            s.begin()

    def _full(self, budget: int | None) -> bool:
        return budget is not None and sum(s.waiting() for s in self._sets) >= max(budget, 1)

    def _pass(self, mark: int, cause: str, budget: int | None) -> bool:
        """Let time pass to a mark, and do all that is due. Whether it is all done; if not, the watermark stays where it was."""
        if mark >= END:
            return self._end(budget)
        target = max(mark, self.watermark)
        while (first := self._timers.first()) is not None and first <= target:
            if self._full(budget):
                return False
            self._ring(target, cause)
        self.watermark = target
        return True

    def _ring(self, target: int, cause: str) -> None:
        number, key, start = self._timers.pop()
        wm = max(target, self._floors[key])
        if self._sets[number].passed(key, start, wm, cause):
            self._touch(key, wm)

    def _end(self, budget: int | None) -> bool:
        """The end of a file: windows close as if time had no end, rolling views stand as of the last true watermark."""
        rolling, over = [], True
        while over and self._timers.first() is not None:
            over = not self._full(budget)
            if over:
                number, key, start = token = self._timers.pop()
                s = self._sets[number]
                if isinstance(s, RollingSet):
                    rolling.append(token)
                    if s.ended(key, max(self.watermark, self._floors[key])):
                        self._changed.add(key)
                elif s.passed(key, start, END, CAUSES[BY_END]):
                    self._changed.add(key)
        for number, key, start in rolling:
            due = self._sets[number].due(key)
            if due is not None:
                self._timers.put(due, (number, key, start))
        return over

    def _change(self, rows: Rows, row: int, keys: Sequence[Key]) -> int:
        """One change: its old value goes out, its new one comes in. COUNTED unless sets refused it and none took anything."""
        if rows.stream[row] < 0 or rows.key[row] < 0:
            return COUNTED
        stream, key = self._streams[rows.stream[row]], keys[rows.key[row]]
        wm = max(self.watermark, self._floors.setdefault(key, NEVER))
        took, refused = False, []
        for member, verdict in (*self._take(stream, rows, row, key, wm), *self._put(stream, rows, row, key, wm)):
            took = took or verdict == TOOK
            if verdict == REFUSED:
                refused.append(member.set)
        for spec in refused:
            self._late[spec.name] = self._late.get(spec.name, 0) + 1
        if took:
            self._touch(key, wm)
        if took or not refused:
            return COUNTED
        return LATE_DROP if all(spec.late == "drop" for spec in refused) else LATE_KEEP

    def _take(self, stream: Stream, rows: Rows, row: int, key: Key, wm: int) -> list[tuple[NaiveSet, int]]:
        if not rows.take[row]:
            return []
        doc, old_at, cause = rows.doc(row), rows.old_at[row], CAUSES[rows.cause[row]]
        return [(m, m.take(key, doc, old_at, wm, cause)) for m, _, _ in stream.members if m.set.retract]

    def _put(self, stream: Stream, rows: Rows, row: int, key: Key, wm: int) -> list[tuple[NaiveSet, int]]:
        if not rows.put[row]:
            return []
        truths, values = stream.read(rows, row)
        at, cause = rows.at[row], CAUSES[rows.cause[row]]
        verdicts = []
        for member, where, pick in stream.members:
            if where is not None and truths[where] is not True:
                member.unread(key, at, wm, row)
            else:
                kept = Kept(at, pick(values), rows.doc(row) if member.set.retract else None)
                verdicts.append((member, member.put(key, kept, wm, cause, row)))
        return verdicts

    def _touch(self, key: Key, wm: int) -> None:
        self._changed.add(key)
        self._floors[key] = wm

    def _result(self, done: int, outcomes: Sequence[int]) -> StepResult:
        result = StepResult(done, self.watermark, np.array(outcomes, dtype=np.int8))
        result.late, self._late = self._late, {}
        result.changed, self._changed = self._changed, set()
        for s in self._sets:
            block, features = s.flush(), s.features()
            if isinstance(block, WindowBlock):
                result.windows.append(block)
            elif isinstance(block, RollingBlock):
                result.rolling.append(block)
            if features is not None:
                result.features.append(features)
            result.removed.extend(s.removed())
        return result


def _made(number: int, spec: WindowSet, timers: Timers) -> NaiveSet:
    if isinstance(spec.kind, Rolling):
        return RollingSet(number, spec, timers)
    return SessionSet(number, spec, timers) if isinstance(spec.kind, Session) else GridSet(number, spec, timers)
