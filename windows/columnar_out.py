"""What a step changed, from the kernels' queue to result blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from windows import arena
from windows import kernel_layout as w
from windows.blocks import Column, Once, Turn, numbers, whole
from windows.columnar_parts import Memory
from windows.engine import CAUSES, CHANGE, Columns, FeatureBlock, Key, RollingBlock, StepResult, WindowBlock
from windows.kernel_entry import emit_views, emit_windows, first_due, open_windows
from windows.kernel_queue import Q_CLOSED, Q_KEY, Q_SLICE, Q_VIEW
from windows.layout_grid import span_of
from windows.spec import Rolling

Words = npt.NDArray[np.int64]
Closed = tuple[Words, npt.NDArray[np.float64], Words, Words, Words]  # slots, measures, whole numbers, numbers of windows, causes
Q_READ = -1
WHOLE, CODED = ("count", "distinct"), ("first", "last")


class Outputs:
    """How an engine says what changed."""

    def __init__(self, engine: Memory) -> None:
        self._engine = engine
        plan = engine.plan
        self._turns = [[self._turn(m.fn) for m in spec.measures] for spec in engine.sets]
        self._names = [[m.name for m in spec.measures] for spec in engine.sets]
        self._set_of = {plan.set_at(i): i for i, g in enumerate(plan.group_of) if g is not None}
        self._group_of = {g.at: g for g in plan.groups}
        self._rolling = [i for i, s in enumerate(engine.sets) if isinstance(s.kind, Rolling) and plan.group_of[i] is not None]
        self._read: dict[int, list[Closed]] = {}
        self._stream_of = {i: g.stream for i, g in enumerate(plan.group_of) if g is not None}

    def collect(self, result: StepResult, features: npt.NDArray[np.float64], batch: Columns | None, begin: int, end: int) -> None:
        """Fill a result from the queue."""
        engine = self._engine
        queue = engine.out[: int(engine.M[arena.OUTN])].reshape(-1, 5).copy()
        what = queue[:, 0]
        keys = engine.keys
        result.changed = set(map(cast("list[Key]", keys).__getitem__, queue[what == Q_KEY, 1].tolist()))
        self.read_closed()
        result.windows += [self._closed(i, parts) for i, parts in self._read.items()]
        self._read = {}
        for at, rows in _parts(queue[what == Q_SLICE]):
            for i in self._group_of[at].sets:
                result.windows.append(self._open(i, rows))
        for at, rows in _parts(queue[what == Q_VIEW]):
            result.rolling.append(self._views(self._set_of[at], np.unique(rows[:, 2])))
        if batch is not None and self._rolling:
            self._features(result, features, batch, begin, end)

    def read_closed(self) -> None:
        """Put the windows together that have been closed so far in this step."""
        engine = self._engine
        queue = engine.out[: int(engine.M[arena.OUTN])].reshape(-1, 5)
        which = queue[:, 0] == Q_CLOSED
        for at, rows in _parts(queue[which]):
            i = self._set_of[at]
            self._read.setdefault(i, []).append((*self._emit(i, rows[:, 2], rows[:, 3]), rows[:, 3], rows[:, 4]))
        queue[which, 0] = Q_READ
        engine.M[arena.READ_WM] = max(engine.watermark, w.LONG_AGO)
        if which.any():
            engine.M[arena.STEP] += 1  # what is revised after this is to be put together again

    def current(self, i: int, slot: int, as_of: int) -> RollingBlock:
        """One key's rolling values as of a time."""
        return self._view_block(i, np.array([slot]), as_of, lambda: None)

    def first_due(self) -> int | None:
        """When something in memory happens next."""
        engine = self._engine
        due = int(first_due(engine.M, engine.plan.P, engine.zones.Z, engine.roots))
        return None if due == w.NONE else due

    def _turn(self, fn: str) -> Turn:
        if fn in WHOLE:
            return whole
        if fn in CODED:
            table = self._engine.codes.values_by_code
            return lambda array: [None if x != x else table[int(x)] for x in array.tolist()]
        return numbers

    def _turns_now(self, i: int) -> list[Turn]:
        """How the measures of set i turn into Python values, until the engine goes on: codes are given to other values then."""
        return [self._fresh(t) if m.fn in CODED else t for t, m in zip(self._turns[i], self._engine.sets[i].measures, strict=True)]

    def _fresh(self, turn: Turn) -> Turn:
        check = self._guard()

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

    def _closed(self, i: int, parts: list[Closed]) -> WindowBlock:
        slots, values, ints, windows, causes = parts[0]
        if len(parts) > 1:  # a window that was read and then revised: its last state counts
            slots, values, ints, windows, causes = (np.concatenate([p[n] for p in parts], axis=-1) for n in range(5))
            last = sorted({pair: n for n, pair in enumerate(zip(slots.tolist(), windows.tolist(), strict=True))}.values())
            slots, values, ints, causes = slots[last], values[:, last], ints[:, last], causes[last]
        return self._window_block(i, Once(lambda: (slots, values, ints, np.ones(len(slots), np.bool_), causes)))

    def _open(self, i: int, rows: Words) -> WindowBlock:
        """The windows on touched slices that are open after the step; put together when they are read."""
        engine, check = self._engine, self._guard()
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
            slots, values, whole_numbers = self._emit(i, slots, windows)
            some = whole_numbers[2] > 0
            n = int(some.sum())
            return slots[some], values[:, some], whole_numbers[:, some], np.zeros(n, np.bool_), np.full(n, -1)

        return self._window_block(i, Once(make))

    def _emit(self, i: int, slots: Words, windows: Words) -> tuple[Words, npt.NDArray[np.float64], Words]:
        engine = self._engine
        values, whole_numbers = np.empty((len(self._names[i]), len(slots))), np.empty((5, len(slots)), np.int64)
        slots, windows, done = np.ascontiguousarray(slots), np.ascontiguousarray(windows), 0
        while done < len(slots):
            done = emit_windows(
                engine.M, engine.plan.P, engine.zones.Z, engine.roots, engine.plan.set_at(i), done, slots, windows, engine.scratch,
                engine.stamps, values, whole_numbers,
            )  # fmt: skip
            if done < len(slots):
                engine.scratch = np.zeros(2 * len(engine.scratch), np.int64)
        return slots, values, whole_numbers

    def _window_block(self, i: int, once: Once) -> WindowBlock:
        def part(place: int, row: int, turn: Turn) -> Column:
            return Column(lambda: once.get()[place][row], turn)

        return WindowBlock(
            set=self._engine.sets[i],
            key=Column(lambda: once.get()[0], self._fresh(self._keys_of)),
            start=part(2, 0, list_of),
            end=part(2, 1, list_of),
            measures={n: part(1, j, t) for j, (n, t) in enumerate(zip(self._names[i], self._turns_now(i), strict=True))},
            events=part(2, 2, list_of),
            revision=part(2, 3, list_of),
            final=once.column(3, list_of),
            late=part(2, 4, list_of),
            closed_by=once.column(4, lambda a: [None if x < 0 else CAUSES[x] for x in a.tolist()]),
        )

    def _views(self, i: int, slots: Words) -> RollingBlock:
        return self._view_block(i, np.ascontiguousarray(slots), arena.EMPTY, self._guard())

    def _view_block(self, i: int, slots: Words, as_of: int, check: Callable[[], None]) -> RollingBlock:
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
            return slots, values, whole_numbers

        once = Once(make)
        return RollingBlock(
            set=engine.sets[i],
            key=Column(lambda: slots, self._fresh(self._keys_of)),
            as_of=Column(lambda: once.get()[2][0], list_of),
            measures={
                n: Column(lambda j=j: once.get()[1][j], t)  # type: ignore[misc]
                for j, (n, t) in enumerate(zip(self._names[i], self._turns_now(i), strict=True))
            },
            expires_at=Column(lambda: once.get()[2][1], lambda a: [None if x == w.NONE else x for x in a.tolist()]),
        )

    def _features(self, result: StepResult, features: npt.NDArray[np.float64], batch: Columns, begin: int, end: int) -> None:
        changes = (batch.kind[begin:end] == CHANGE) & batch.put[begin:end] & (batch.key[begin:end] >= 0)
        for i in self._rolling:
            rows = np.flatnonzero(changes & (batch.stream[begin:end] == self._stream_of[i])) + begin
            if not len(rows):
                continue
            first = self._engine.plan.feature_at[i]
            made = [features[first + j, rows] for j in range(len(self._names[i]))]
            measures = {
                n: Column(lambda j=j, made=made: made[j], t)  # type: ignore[misc]
                for j, (n, t) in enumerate(zip(self._names[i], self._turns_now(i), strict=True))
            }
            result.features.append(FeatureBlock(self._engine.sets[i], Column(lambda rows=rows: rows, list_of), measures))  # type: ignore[misc]


def list_of(array: npt.NDArray[Any]) -> list[Any]:
    """As Python values."""
    values: list[Any] = array.tolist()
    return values


def _parts(rows: Words) -> list[tuple[int, Words]]:
    """Rows by their second column."""
    if not len(rows):
        return []
    second = rows[:, 1]
    if (second == second[0]).all():
        return [(int(second[0]), rows)]
    return [(at, rows[second == at]) for at in np.unique(second).tolist()]
