"""What a step changed, from the kernels' queue and rows to result blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from windows import arena
from windows import kernel_layout as w
from windows.blocks import Changed, Column, Once, Turn, list_of, numbers, whole
from windows.columnar_parts import Memory
from windows.engine import CAUSES, CHANGE, Columns, FeatureBlock, Key, RollingBlock, StepResult, WindowBlock
from windows.kernel_entry import emit_revised, emit_views, emit_windows, first_due, open_windows
from windows.kernel_queue import Q_KEY, Q_REVISED, Q_SLICE, Q_VIEW
from windows.layout_grid import span_of
from windows.spec import Rolling

Words = npt.NDArray[np.int64]
WHOLE, CODED = ("count", "distinct"), ("first", "last")
FINAL = w.ROW_CAUSE  # a column of its own is not needed: an open window has nothing that closed it


class Outputs:
    """How an engine says what changed."""

    def __init__(self, engine: Memory) -> None:
        self._engine = engine
        plan = engine.plan
        self._turns = [[self._turn(m.fn) for m in spec.measures] for spec in engine.sets]
        self._coded = [any(m.fn in CODED for m in spec.measures) for spec in engine.sets]
        self._names = [[m.name for m in spec.measures] for spec in engine.sets]
        self._set_of = {plan.set_at(i): i for i, g in enumerate(plan.group_of) if g is not None}
        self._group_of = {g.at: g for g in plan.groups}
        self._rolling = [i for i, s in enumerate(engine.sets) if isinstance(s.kind, Rolling) and plan.group_of[i] is not None]
        self._stream_of = {i: g.stream for i, g in enumerate(plan.group_of) if g is not None}

    def collect(self, result: StepResult, features: npt.NDArray[np.float64], batch: Columns | None, begin: int, end: int) -> None:
        """Fill a result from the queue."""
        engine, check = self._engine, self._guard()
        queue = engine.out[: int(engine.M[arena.OUTN])].reshape(-1, 5)
        what = queue[:, 0]
        result.changed = Changed(queue[what == Q_KEY, 1], self._fresh(self._keys_of, check))
        revised = self._revised(queue, what)
        heads = engine.rows[: w.ROWS_WORDS * len(engine.sets)].reshape(-1, w.ROWS_WORDS).tolist()
        for i, (at, _, n) in enumerate(heads):
            if n:
                rows = engine.rows[at : at + n].reshape(-1, w.ROW_WORDS + len(self._names[i])).copy()
                result.windows.append(self._block(i, Once(lambda rows=rows, i=i: _columns(_last(rows) if i in revised else rows)), check))  # type: ignore[misc]
        for group, rows in _parts(queue[what == Q_SLICE]):
            for i in self._group_of[group].sets:
                result.windows.append(self._open(i, rows, check))
        for place, rows in _parts(queue[what == Q_VIEW]):
            result.rolling.append(self._views(self._set_of[place], np.ascontiguousarray(rows[:, 2]), arena.EMPTY, check))
        if batch is not None and self._rolling:
            self._features(result, features, batch, begin, end, check)

    def current(self, i: int, key: Key, as_of: int) -> RollingBlock:
        """One key's rolling values as of a time."""
        self._engine.root(key)
        return self._views(i, np.array([self._engine.slots[key]]), as_of, lambda: None)

    def first_due(self) -> int | None:
        """When something in memory happens next."""
        engine = self._engine
        due = int(first_due(engine.M, engine.plan.P, engine.zones.Z, engine.roots))
        return None if due == w.NONE else due

    def _revised(self, queue: Words, what: Words) -> set[int]:
        """Put windows together that late values came into: the sets that have any."""
        engine, done = self._engine, 0
        late = np.unique(queue[what == Q_REVISED, 1]).tolist()
        while late and done < queue.size:
            engine.make_room()
            done = emit_revised(
                engine.M, engine.plan.P, engine.zones.Z, engine.roots, engine.out, done, engine.scratch, engine.stamps, engine.rows
            )
        return {self._set_of[place] for place in late}

    def _turn(self, fn: str) -> Turn:
        if fn in WHOLE:
            return whole
        if fn in CODED:
            table = self._engine.codes.values_by_code
            return lambda array: [None if x != x else table[int(x)] for x in array.tolist()]
        return numbers

    def _measures(self, i: int, once: Once, first: int, check: Callable[[], None]) -> dict[str, Column]:
        """The measures of set i; values only until the engine goes on: their codes are given to other values then."""
        turns = self._turns[i]
        if self._coded[i]:
            fns = [m.fn for m in self._engine.sets[i].measures]
            turns = [self._fresh(t, check) if fn in CODED else t for t, fn in zip(turns, fns, strict=True)]
        return {n: Column(once, first + j, t) for j, (n, t) in enumerate(zip(self._names[i], turns, strict=True))}

    def _fresh(self, turn: Turn, check: Callable[[], None]) -> Turn:
        def checked(array: npt.NDArray[Any]) -> list[Any]:
            check()
            return turn(array)

        return checked

    def _keys_of(self, array: npt.NDArray[Any]) -> list[Any]:
        keys = self._engine.keys
        return [keys[slot] for slot in array.tolist()]

    def _guard(self) -> Callable[[], None]:
        step = int(self._engine.M[arena.STEP])

        def check() -> None:
            if int(self._engine.M[arena.STEP]) != step:
                raise RuntimeError("a block must be read before the engine goes on")

        return check

    def _open(self, i: int, rows: Words, check: Callable[[], None]) -> WindowBlock:
        """The windows on touched slices that are open after the step; put together when they are read."""
        engine = self._engine
        span = span_of(engine.sets[i])

        def make() -> Sequence[npt.NDArray[Any]]:
            check()
            slots, windows = open_windows(
                engine.M, engine.plan.P, engine.zones.Z, engine.roots, engine.plan.set_at(i), np.ascontiguousarray(rows[:, 2]),
                np.ascontiguousarray(rows[:, 3]), span,
            )  # fmt: skip
            if len(slots):
                low = windows.min()
                _, first = np.unique(slots * (windows.max() - low + 1) + (windows - low), return_index=True)
                slots, windows = slots[first], windows[first]
            made = np.empty((len(slots), w.ROW_WORDS + len(self._names[i])), np.int64)
            engine.make_room()
            emit_windows(
                engine.M, engine.plan.P, engine.zones.Z, engine.roots, engine.plan.set_at(i), slots, windows, engine.scratch,
                engine.stamps, made,
            )  # fmt: skip
            made[:, w.ROW_CAUSE] = -1
            return _columns(made[made[:, w.ROW_EVENTS] > 0])

        return self._block(i, Once(make), check)

    def _block(self, i: int, once: Once, check: Callable[[], None]) -> WindowBlock:
        return WindowBlock(
            set=self._engine.sets[i],
            key=Column(once, w.ROW_SLOT, self._fresh(self._keys_of, check)),
            start=Column(once, w.ROW_START, list_of),
            end=Column(once, w.ROW_END, list_of),
            measures=self._measures(i, once, w.ROW_WORDS, check),
            events=Column(once, w.ROW_EVENTS, list_of),
            revision=Column(once, w.ROW_REVISION, list_of),
            final=Column(once, FINAL, lambda a: (a >= 0).tolist()),
            late=Column(once, w.ROW_LATE, list_of),
            closed_by=Column(once, w.ROW_CAUSE, lambda a: [None if x < 0 else CAUSES[x] for x in a.tolist()]),
        )

    def _views(self, i: int, slots: Words, as_of: int, check: Callable[[], None]) -> RollingBlock:
        engine = self._engine

        def make() -> Sequence[npt.NDArray[Any]]:
            check()
            values, whole_numbers = np.empty((len(self._names[i]), len(slots))), np.empty((2, len(slots)), np.int64)
            done = 0
            while done < len(slots):
                engine.make_room()
                done = emit_views(
                    engine.M, engine.plan.P, engine.roots, engine.plan.set_at(i), done, slots,
                    engine.scratch, engine.stamps, values, whole_numbers, as_of,
                )  # fmt: skip
            return slots, *whole_numbers, *values

        once = Once(make)
        return RollingBlock(
            set=engine.sets[i],
            key=Column(Once(lambda: (slots,)), 0, self._fresh(self._keys_of, check)),
            as_of=Column(once, 1, list_of),
            measures=self._measures(i, once, 3, check),
            expires_at=Column(once, 2, lambda a: [None if x == w.NONE else x for x in a.tolist()]),
        )

    def _features(
        self, result: StepResult, features: npt.NDArray[np.float64], batch: Columns, begin: int, end: int, check: Callable[[], None]
    ) -> None:
        changes = (batch.kind[begin:end] == CHANGE) & batch.put[begin:end] & (batch.key[begin:end] >= 0)
        for i in self._rolling:
            rows = np.flatnonzero(changes & (batch.stream[begin:end] == self._stream_of[i])) + begin
            if len(rows):
                first, count = self._engine.plan.feature_at[i], len(self._names[i])
                once = Once(lambda rows=rows, a=first, b=first + count: (rows, *features[a:b, rows]))  # type: ignore[misc]
                result.features.append(
                    FeatureBlock(self._engine.sets[i], Column(once, 0, list_of), self._measures(i, once, 1, check))
                )


def _columns(rows: Words) -> Sequence[npt.NDArray[Any]]:
    """Columns of rows as kernels write them."""
    return [*rows[:, : w.ROW_WORDS].T, *rows.view(np.float64)[:, w.ROW_WORDS :].T]


def _last(rows: Words) -> Words:
    """A window that was written and then revised: its last state counts."""
    pairs = zip(rows[:, w.ROW_SLOT].tolist(), rows[:, w.ROW_NUMBER].tolist(), strict=True)
    return rows[sorted({pair: n for n, pair in enumerate(pairs)}.values())]


def _parts(rows: Words) -> list[tuple[int, Words]]:
    """Rows by their second column."""
    if not len(rows):
        return []
    second = rows[:, 1]
    if (second == second[0]).all():
        return [(int(second[0]), rows)]
    return [(at, rows[second == at]) for at in np.unique(second).tolist()]
