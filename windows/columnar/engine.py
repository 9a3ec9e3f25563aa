"""The fast engine: all state in one arena, one pass of one kernel over a batch, results as columns.

A key is a slot, a slot has a root in the arena (see kernels/words.py). Sets of one trigger and key share slices, or a history; a
set of sessions, or one whose values can be taken out, has a history of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import structs

from windows.columnar.codes import Interner
from windows.columnar.inputs import Inputs, time_row
from windows.columnar.outputs import N, Outputs
from windows.columnar.room import first_out, forget_codes, memory, with_out, with_room
from windows.columnar.saved import Saver
from windows.columnar.state import Named, holds, load_key
from windows.engine import BY_IDLE, COUNTED, END, LATE_DROP, LATE_KEEP, NEVER, Columns, Dumps, Key, RollingBlock, StepResult
from windows.kernels import words as w
from windows.kernels.core import Arrays
from windows.kernels.doors import finish, key_free, key_wipe, keys_due, root_new, run, timers_renew
from windows.kernels.memory import arena
from windows.kernels.results import KEPT, REFUSED
from windows.kernels.run import FULL, GROW, LAST
from windows.law.spec import Rolling, WindowSet
from windows.packing import Pack, Packer, Unpack
from windows.plan.plan import Plan, out_widths

ENDLESS = 1 << 62
SPARE_TIMERS = 1_024  # so many that ring for nobody do no harm
A_KEY, A_VALUE = 300, 150  # bytes of Python's own for a key and for a value that has a code
Words = npt.NDArray[np.int64]
NOTHING = np.zeros(0, np.int8)
OUTCOMES = np.full(8, COUNTED, np.int8)  # of a row's verdict: TOOK | REFUSED | KEPT
OUTCOMES[REFUSED], OUTCOMES[REFUSED | KEPT] = LATE_DROP, LATE_KEEP


class ColumnarEngine:
    """Implements windows.engine.Engine. `pack` and `unpack` are as for NaiveEngine: values to bytes and back.

    Blocks are made when they are first read (those of closed windows and features earlier): read them before the next call that
    changes the engine; what cannot be had any more says so (RuntimeError).
    """

    def __init__(self, sets: Sequence[WindowSet], pack: Pack | None = None, unpack: Unpack | None = None) -> None:
        self.sets = tuple(sets)
        self._index = {spec.name: i for i, spec in enumerate(self.sets)}
        self.codes = Interner()
        self.plan = Plan(self.sets, self.codes.__getitem__)
        self.packer = Packer(pack, unpack)
        self.codes.pin()
        self.inputs = Inputs(self.sets, self.plan, self.codes)
        self.slots: dict[Key, int] = {}
        self.keys: list[Key | None] = []
        self.roots = np.zeros(64, np.int64)
        self._free_slots: list[int] = []
        self._named: Named = {}
        self.zones = self.plan.zones
        self._memory()
        self.outputs = Outputs(self)
        self._saver = Saver(self, self._named)
        self._ended = False

    def _memory(self) -> None:
        self.scratch = np.zeros(3 * 2048, np.int64)
        self.stamps = np.zeros(1024, np.int64)
        self.late = np.zeros(max(len(self.sets), 1), np.int64)
        self.R, self.T = np.zeros(self.plan.registers), np.zeros(self.plan.registers, np.int64)
        self.M = memory(self.plan)
        self.out = first_out(self.plan)
        self._used = slice(N, w.OUT_WORDS * len(out_widths(self.plan)), w.OUT_WORDS)

    @property
    def arrays(self) -> Arrays:
        """All that kernels work on (windows/kernels/core.py); as of now, since what grows is another array then."""
        return self.M, self.plan.P, self.zones.Z, self.roots, self.scratch, self.stamps, self.out

    @property
    def watermark(self) -> int:
        """Event time up to which all is thought complete; set it before the first record to go on from a saved one."""
        watermark: int = self.M.data[arena.WATERMARK]
        return watermark

    @watermark.setter
    def watermark(self, value: int) -> None:
        self.M[arena.WATERMARK] = value

    def step(self, batch: Columns, begin: int = 0, budget: int | None = None) -> StepResult:
        self._start()
        slot, keyed = self.inputs.slots(batch, begin, self._slot)
        columns = self.inputs.columns(batch, slot, keyed)
        outcome = np.zeros(batch.n, np.int8)
        done, code = self._run(batch, begin, batch.n, slot, columns, outcome, budget)
        if code == LAST and self._finish(budget):
            # a row that vouches for the end of time: everything is due, and the row itself is taken under the watermark as it was
            marks = batch.mark.copy()
            marks[done] = NEVER
            done, _ = self._run(structs.replace(batch, mark=marks), done, done + 1, slot, columns, outcome, budget)
        return self._result(begin, done, outcome)

    def advance(self, watermark: int, cause: int = BY_IDLE, budget: int | None = None) -> StepResult:
        if watermark < END:
            return replace(self.step(time_row(watermark, cause), 0, budget), outcome=NOTHING)
        self._start()
        done = self._finish(budget)
        result = replace(self._result(0, 0, NOTHING), done=int(done))
        self._wipe()
        return result

    def due(self) -> int | None:
        return self.outputs.first_due()

    def dues(self, keys: Collection[Key]) -> Mapping[Key, int | None]:
        dues = keys_due(self.arrays, self.roots_of(keys)).tolist()
        return {key: None if due == w.NONE else due for key, due in zip(keys, dues, strict=True)}

    def current(self, key: Key, as_of: int) -> list[RollingBlock]:
        mine = [i for i, spec in enumerate(self.sets) if isinstance(spec.kind, Rolling) and spec.key == key[0]]
        return [self.outputs.values(i, [key], [as_of], own=False) for i in mine]

    def views(self, spec: WindowSet, keys: Sequence[Key], as_of: Sequence[int]) -> RollingBlock:
        return self.outputs.values(self._index[spec.name], keys, as_of, own=True)

    def dump(self, keys: Collection[Key]) -> Dumps:
        return self._saver.of(keys)

    def holds(self, data: bytes) -> bool:
        return holds(data)

    def load(self, states: Mapping[Key, bytes], segments: Mapping[Key, Mapping[int, bytes]] | None = None) -> None:
        self.evict(states.keys())
        for key, data in states.items():
            self._saver.know(key, load_key(self, key, data, {} if segments is None else segments.get(key, {}), self._named))
        self._thin_timers()

    def evict(self, keys: Collection[Key]) -> None:
        self.M[arena.STEP] += 1  # blocks of before are too old now
        freed: list[int] = []
        keys = list(keys)  # what is loaded may be asked to go
        for key in keys:
            self._saver.forget(key)
            slot = self.slots.pop(key, None)
            if slot is not None:
                if self.roots[slot]:
                    key_free(self.arrays, self.roots[slot])
                    self.roots[slot] = 0
                self.keys[slot] = None
                self._free_slots.append(slot)
                freed.append(slot)
        if freed:
            self.inputs.forget(freed)

    def loaded(self) -> Collection[Key]:
        return self.slots.keys()

    def size(self) -> int:
        used: int = self.M.data[arena.USED]
        return 8 * used + A_KEY * len(self.slots) + A_VALUE * (len(self.codes.values_by_code) + len(self.codes.others))

    def root(self, key: Key) -> int:
        """The place of a key's state, made empty where there is none."""
        slot = self._slot(key)
        if not self.roots[slot]:
            self.make_room()
            self.roots[slot] = root_new(self.arrays, slot, self.plan.routes.index(key[0]))
        return int(self.roots[slot])

    def roots_of(self, keys: Collection[Key]) -> Words:
        """(n,) the places of keys' states, 0 where there is none."""
        slots = [self.slots.get(key, -1) for key in keys]
        found: Words = np.where(np.array(slots, np.int64) < 0, 0, self.roots[slots])
        return found

    def make_room(self, more: int = 0) -> None:
        """Memory for the next thing that a kernel does and so many words more, room for results, and stamps for all codes."""
        self.M = with_room(self.M, more)
        head = self.M.data
        if head[arena.TIGHT]:
            self.out = with_out(self.plan, self.out)
            head[arena.TIGHT] = 0
        if len(self.scratch) < 6 * head[arena.LONGEST] + 2048:
            self.scratch = np.zeros(12 * head[arena.LONGEST] + 2048, np.int64)
        if len(self.stamps) <= len(self.codes.values_by_code):
            self.stamps = np.concatenate([self.stamps, np.zeros(len(self.codes.values_by_code), np.int64)])

    def _slot(self, key: Key) -> int:
        slot = self.slots.get(key)
        if slot is None:
            if self._free_slots:
                slot = self._free_slots.pop()
                self.keys[slot] = key
            else:
                slot = len(self.keys)
                self.keys.append(key)
                if slot >= len(self.roots):
                    self.roots = np.concatenate([self.roots, np.zeros(len(self.roots), np.int64)])
            self.slots[key] = slot
        return slot

    def _start(self) -> None:
        head = self.M.data  # a single number of numpy's costs more than one of a memoryview
        head[arena.STEP] += 1  # blocks of before are too old now
        self.out[self._used] = 0
        if self.codes.crowded(head[arena.USED]):
            forget_codes(self)
        self.late.fill(0)
        head[arena.DOCS] = 0
        head[arena.ENTRY_WM] = max(head[arena.WATERMARK], w.LONG_AGO)
        self._wipe()
        self._thin_timers()

    def _thin_timers(self) -> None:
        """Keys that were evicted leave their timers behind: once most ring for nobody, they go."""
        waiting = len(self.slots) * len(self.plan.groups)
        if self.M.data[arena.T_HELD] > 2 * waiting + SPARE_TIMERS:
            self.renew_timers()

    def renew_timers(self) -> None:
        """Have those timers alone that ring for a key that is here."""
        self.make_room(24 * len(self.slots) * len(self.plan.groups) + 4096)
        timers_renew(self.arrays, len(self.keys))

    def _wipe(self) -> None:
        """After the end of a file nothing is kept of its windows."""
        if self._ended:
            self._ended = False
            for root in self.roots[: len(self.keys)][self.roots[: len(self.keys)] != 0].tolist():
                key_wipe(self.arrays, root)

    def _run(
        self, batch: Columns, begin: int, end: int, slot: Words, columns: Any, outcome: Any, budget: int | None
    ) -> tuple[int, int]:
        most = ENDLESS if budget is None else max(budget, 1)
        own = (batch.kind, batch.cause, batch.mark, batch.stream, slot, batch.at, batch.put, batch.take, batch.old_at)
        rows = (*map(np.ascontiguousarray, own), *columns, self.R, self.T, self.late, outcome)
        while True:
            self.make_room()
            begin, code = run(self.arrays, rows, begin, end, most, END)
            if code != GROW:
                return begin, code

    def _finish(self, budget: int | None) -> bool:
        most = ENDLESS if budget is None else max(budget, 1)
        while True:
            self.make_room()
            code = finish(self.arrays, len(self.keys), END, most)
            if code != GROW:
                self._ended = code != FULL
                return self._ended

    def _result(self, begin: int, done: int, outcome: Any) -> StepResult:
        late = self.late.tolist()
        if any(late):
            result = StepResult(done, self.watermark, OUTCOMES[outcome[begin:done]])
            result.late = {spec.name: n for spec, n in zip(self.sets, late, strict=False) if n}
        else:  # nobody refused anything
            result = StepResult(done, self.watermark, np.zeros(done - begin, np.int8))
        self.outputs.collect(result)
        return result
