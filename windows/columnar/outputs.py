"""What a step changed, from the kernels' queue and rows to result blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from windows.columnar.blocks import Changed, Column, LazyFeatures, LazyViews, LazyWindows, Once, Turn, list_of, numbers, whole
from windows.columnar.inputs import SHOWN
from windows.columnar.memory import Memory
from windows.columnar.state import Gone, write_spans
from windows.engine import CAUSES, Key, RollingBlock, StepResult
from windows.kernels import words as w
from windows.kernels.doors import emit_revised, emit_views, emit_windows, first_due, open_windows
from windows.kernels.memory import arena
from windows.kernels.slots import SPELLED
from windows.law.spec import Rolling
from windows.plan.kinds import span_of
from windows.plan.plan import out_widths

Words = npt.NDArray[np.int64]
Check = Callable[[], None]
Add = Callable[[StepResult, Words, Gone | None, Check], None]
SLOT, NUMBER, START, END, EVENTS, REVISION, LATE, CAUSE = range(w.ROW_WORDS)  # columns of ROW in windows/kernels/words.py
AS_OF = 1  # of VIEW, which begins with the slot too
N = 2  # of OUT: how many words are written
WHOLE = ("count", "distinct")


class Outputs:
    """How an engine says what changed."""

    def __init__(self, engine: Memory) -> None:
        self._engine = engine
        plan = engine.plan
        self._turns = [[self._turn(m.fn) for m in spec.measures] for spec in engine.sets]
        self._coded = [any(m.fn in SHOWN for m in spec.measures) for spec in engine.sets]
        self._names = [[m.name for m in spec.measures] for spec in engine.sets]
        self._set_of = {plan.set_at(i): i for i in range(len(engine.sets))}
        self._kept = [i for i, g in enumerate(plan.group_of) if g.kept]
        self._adds = self._adders()
        self._late, self._widths = (2 * len(engine.sets) + len(plan.groups) + 1) * w.OUT_WORDS, out_widths(plan)
        self._heads = w.OUT_WORDS * len(self._widths)

    def collect(self, result: StepResult) -> None:
        """Fill a result from the rows that kernels left."""
        engine, check = self._engine, self._guard()
        heads = engine.out[: self._heads].tolist()
        revised: dict[int, Gone] = {kind: {} for kind in self._revised()} if heads[self._late + N] else {}
        for i in self._kept:
            removed, revised[2 * i] = write_spans(engine, i)
            result.removed += removed
        if revised:
            heads = engine.out[: self._heads].tolist()
        for kind, n in enumerate(heads[N :: w.OUT_WORDS]):
            if n and (add := self._adds[kind]) is not None:
                at = heads[w.OUT_WORDS * kind]
                add(result, engine.out[at : at + n].copy(), revised.get(kind), check)

    def _adders(self) -> list[Add | None]:
        """What becomes of each kind of rows, which come one behind the other."""
        adds: list[Add | None] = []
        for i, spec in enumerate(self._engine.sets):
            rolling = isinstance(spec.kind, Rolling)
            adds += (
                [partial(self._add_views, i), partial(self._add_features, i)] if rolling else [partial(self._add_closed, i), None]
            )
        return [*adds, *(partial(self._add_open, g.sets) for g in self._engine.plan.groups), self._set_changed, None]

    def _set_changed(self, result: StepResult, slots: Words, _: Gone | None, check: Check) -> None:
        result.changed = Changed(slots, self._fresh(self._keys_of, check))

    def _add_closed(self, i: int, result: StepResult, rows: Words, gone: Gone | None, check: Check) -> None:
        result.windows.append(LazyWindows(self._engine.sets[i], (self._closed, i, rows, gone, check)))

    def _closed(self, i: int, rows: Words, gone: Gone | None, check: Check) -> dict[str, Any]:
        """The fields of a block of windows that were closed."""
        return self._filled(i, lambda: _each_once(rows.reshape(-1, self._widths[2 * i]), gone), check)

    def _add_open(self, sets: Sequence[int], result: StepResult, rows: Words, _: Gone | None, check: Check) -> None:
        for i in sets:
            result.windows.append(LazyWindows(self._engine.sets[i], (self._opened, i, rows, check)))

    def _opened(self, i: int, rows: Words, check: Check) -> dict[str, Any]:
        """The fields of a block of windows that are open."""
        return self._filled(i, lambda: self._open(i, rows.reshape(-1, 3), check), check)

    def _add_views(self, i: int, result: StepResult, rows: Words, _: Gone | None, check: Check) -> None:
        result.rolling.append(LazyViews(self._engine.sets[i], (self._viewed, i, rows, check)))

    def _add_features(self, i: int, result: StepResult, rows: Words, _: Gone | None, check: Check) -> None:
        row = Column(Once.made(rows[:: self._widths[2 * i + 1]]), 0, list_of)
        result.features.append(LazyFeatures(self._engine.sets[i], row, (self._valued, i, rows, check)))

    def _valued(self, i: int, rows: Words, check: Check) -> dict[str, Any]:
        """The values of a block of features."""
        values = rows.view(np.float64).reshape(-1, self._widths[2 * i + 1])
        return self._measures(i, Once.made(*values[:, 1:].T), 0, check)

    def values(self, i: int, keys: Sequence[Key], as_of: Sequence[int], own: bool) -> RollingBlock:
        """Rolling values of keys as of these times; own: or as of what their views stand at, if that is later."""
        for key in keys:
            self._engine.root(key)
        rows = np.zeros((len(keys), self._widths[2 * i]), np.int64)
        rows[:, SLOT], rows[:, AS_OF] = [self._engine.slots[key] for key in keys], arena.EMPTY
        return LazyViews(self._engine.sets[i], (self._viewed, i, rows, self._guard(), np.array(as_of, np.int64), own))

    def first_due(self) -> int | None:
        """When something in memory happens next."""
        engine = self._engine
        due = int(first_due(engine.arrays))
        return None if due == w.NONE else due

    def _revised(self) -> set[int]:
        """Put windows together that late values came into: the kinds of rows that have any."""
        engine = self._engine
        at, _, n, _ = engine.out[self._late : self._late + w.OUT_WORDS].tolist()
        if not n:
            return set()
        kinds = {2 * self._set_of[place] for place in engine.out[at : at + n : 3].tolist()}
        while n:
            engine.make_room()
            emit_revised(engine.arrays)
            n = int(engine.out[self._late + N])
        return kinds

    def _turn(self, fn: str) -> Turn:
        if fn in WHOLE:
            return whole
        if fn in SHOWN:
            return self._shown
        return numbers

    def _shown(self, array: npt.NDArray[Any]) -> list[Any]:
        """Values from their codes, nan of none."""
        table, others = self._engine.codes.values_by_code, self._engine.codes.others
        if not others:
            return [None if x != x else table[int(x)] for x in array.tolist()]
        return [None if x != x else table[int(x)] if x < SPELLED else others[int(x)] for x in array.tolist()]

    def _measures(self, i: int, once: Once, first: int, check: Check) -> dict[str, Any]:
        """The measures of set i; values only until the engine goes on: their codes are given to other values then."""
        turns = self._turns[i]
        if self._coded[i]:
            fns = [m.fn for m in self._engine.sets[i].measures]
            turns = [self._fresh(t, check) if fn in SHOWN else t for t, fn in zip(turns, fns, strict=True)]
        return {"measures": {n: Column(once, first + j, t) for j, (n, t) in enumerate(zip(self._names[i], turns, strict=True))}}

    def _fresh(self, turn: Turn, check: Check) -> Turn:
        def checked(array: npt.NDArray[Any]) -> list[Any]:
            check()
            return turn(array)

        return checked

    def _keys_of(self, array: npt.NDArray[Any]) -> list[Any]:
        keys = self._engine.keys
        return [keys[slot] for slot in array.tolist()]

    def _guard(self) -> Check:
        step = self._engine.M.data[arena.STEP]

        def check() -> None:
            if self._engine.M.data[arena.STEP] != step:
                raise RuntimeError("a block must be read before the engine goes on")

        return check

    def _open(self, i: int, rows: Words, check: Check) -> Words:
        """The windows on touched slices that are open after the step; put together when they are read."""
        engine = self._engine
        check()
        slots, windows = open_windows(
            engine.arrays, engine.plan.set_at(i), np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1]),
            span_of(engine.sets[i]),
        )  # fmt: skip
        if len(slots):
            order = np.lexsort((windows, slots))
            slots, windows = slots[order], windows[order]
            first = np.ones(len(slots), np.bool_)
            first[1:] = (slots[1:] != slots[:-1]) | (windows[1:] != windows[:-1])
            slots, windows = slots[first], windows[first]
        made = np.empty((len(slots), self._widths[2 * i]), np.int64)
        engine.make_room()
        emit_windows((*engine.arrays[:-1], made.reshape(-1)), engine.plan.set_at(i), slots, windows)
        made[:, CAUSE] = -1
        return made[made[:, EVENTS] > 0]

    def _filled(self, i: int, rows: Callable[[], Words], check: Check) -> dict[str, Any]:
        """The fields of a block of windows; one that nothing has closed is not final."""
        once = Once(lambda: _columns(rows()))
        return {
            "key": Column(once, SLOT, self._fresh(self._keys_of, check)),
            "start": Column(once, START, list_of),
            "end": Column(once, END, list_of),
            **self._measures(i, once, w.ROW_WORDS, check),
            "events": Column(once, EVENTS, list_of),
            "revision": Column(once, REVISION, list_of),
            "final": Column(once, CAUSE, lambda a: (a >= 0).tolist()),
            "late": Column(once, LATE, list_of),
            "closed_by": Column(once, CAUSE, lambda a: [None if x < 0 else CAUSES[x] for x in a.tolist()]),
        }

    def _viewed(self, i: int, rows: Words, check: Check, as_of: Words | None = None, own: bool = True) -> dict[str, Any]:
        """The fields of a block of views. Most are asked of their histories when they are read, some stand in their rows."""
        engine, rows = self._engine, rows.reshape(-1, self._widths[2 * i])
        slots = np.ascontiguousarray(rows[:, SLOT])

        def make() -> Sequence[npt.NDArray[Any]]:
            check()
            asked = rows[:, AS_OF] == arena.EMPTY
            which = slots[asked]
            values, whole_numbers = np.empty((len(self._names[i]), len(which))), np.empty((2, len(which)), np.int64)
            whole_numbers[0] = arena.EMPTY if as_of is None else as_of
            done = 0
            while done < len(which):
                engine.make_room()
                done = emit_views(engine.arrays, engine.plan.set_at(i), done, which, values, whole_numbers, own)
            rows[asked, AS_OF : w.VIEW_WORDS] = whole_numbers.T
            rows.view(np.float64)[asked, w.VIEW_WORDS :] = values.T
            return [*rows[:, AS_OF : w.VIEW_WORDS].T, *rows.view(np.float64)[:, w.VIEW_WORDS :].T]

        once = Once(make)
        return {
            "key": Column(Once.made(slots), 0, self._fresh(self._keys_of, check)),
            "as_of": Column(once, 0, list_of),
            "expires_at": Column(once, 1, lambda a: [None if x == w.NONE else x for x in a.tolist()]),
            **self._measures(i, once, 2, check),
        }


def _columns(rows: Words) -> Sequence[npt.NDArray[Any]]:
    """Columns of rows as kernels write them."""
    return [*rows[:, : w.ROW_WORDS].T, *rows.view(np.float64)[:, w.ROW_WORDS :].T]


def _each_once(rows: Words, gone: Gone | None) -> Words:
    """Closed windows, each once: of one that was written and then revised its last state, of one that was then removed nothing."""
    if gone is None:
        return rows
    pairs = zip(rows[:, SLOT].tolist(), rows[:, NUMBER].tolist(), strict=True)
    last = {pair: n for n, pair in enumerate(pairs)}
    return rows[sorted(n for pair, n in last.items() if n >= gone.get(pair, 0))]
