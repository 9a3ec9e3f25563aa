"""What kernels read of a batch: slots for keys, and columns as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from windows import kernel_layout as w
from windows.columns import Codes, Interner
from windows.engine import CHANGE, END, Columns, Key
from windows.expr import Expr, FieldKind
from windows.layout import Plan
from windows.spec import WindowSet

Words = npt.NDArray[np.int64]
TABLES = 8  # tables of keys that are remembered, the latest ones


class Inputs:
    """How an engine reads batches."""

    def __init__(self, sets: Sequence[WindowSet], plan: Plan, codes: Interner) -> None:
        self._codes = codes
        self._tables: dict[int, tuple[Sequence[Hashable], Words]] = {}
        self._numbers, self._values = list(plan.columns.numbers), list(plan.columns.values)
        self._flags = list(plan.columns.flags)
        self._readers = {
            what: [n for n, m in enumerate(plan.streams) if what in _expressions([s for s in sets if (s.trigger, s.key) == m])]
            for what in self._flags
            if isinstance(what, Expr)
        }

    def slots(self, batch: Columns, begin: int, slot_of: Callable[[Key], int]) -> Words:
        """The slot of each row, -1 where a row is no change of a key that a set reads."""
        slot = np.full(batch.n, -1, np.int64)
        rows = np.flatnonzero((batch.kind[begin:] == CHANGE) & (batch.stream[begin:] >= 0) & (batch.key[begin:] >= 0)) + begin
        used = batch.key[rows]
        if len(rows) < 8:
            for row, key in zip(rows.tolist(), used.tolist(), strict=True):
                slot[row] = slot_of(batch.keys[key])
            return slot
        if isinstance(batch.keys, Codes):
            slot[rows] = self._known_slots(batch.keys, used, slot_of)
            return slot
        table = np.full(len(batch.keys), -1, np.int64)
        present = np.zeros(len(batch.keys), np.bool_)
        present[used] = True
        keys = batch.keys
        for key in np.flatnonzero(present).tolist():
            table[key] = slot_of(keys[key])
        slot[rows] = table[used]
        return slot

    def forget(self, slots: Sequence[int]) -> None:
        """These slots are given to other keys from now on."""
        for _, own in self._tables.values():
            own[np.isin(own, slots)] = -1

    def _known_slots(self, keys: Codes, used: npt.NDArray[np.int32], slot_of: Callable[[Key], int]) -> Words:
        """Slots of keys that come as codes into a table, which are looked up once."""
        table, own = self._tables.pop(id(keys.table), (keys.table, np.empty(0, np.int64)))
        if len(own) < len(table):
            own = np.concatenate([own, np.full(2 * len(table) - len(own), -1, np.int64)])
        while len(self._tables) >= TABLES:
            del self._tables[next(iter(self._tables))]
        self._tables[id(table)] = (table, own)
        codes = keys.codes[used]
        slots = own[codes]
        for code in np.unique(codes[slots < 0]).tolist():
            own[code] = slot_of(table[code])
        return own[codes]

    def columns(self, batch: Columns, slot: Words) -> tuple[Any, Any, Any]:
        """(numbers, flags, codes), a row each; anything where no row is read."""
        numbers = np.empty((len(self._numbers), batch.n))
        flags = np.empty((len(self._flags), batch.n), np.int8)
        codes = np.empty((len(self._values), batch.n), np.int64)
        if not (slot >= 0).any():
            return numbers, flags, codes
        for i, path in enumerate(self._numbers):
            numbers[i] = batch.number[path]
        for i, what in enumerate(self._flags):
            flags[i] = batch.flag[what] if isinstance(what, str) else self._judged(batch, what)
        for i, path in enumerate(self._values):
            codes[i] = self._interned(batch.value[path], slot)
        return numbers, flags, codes

    def _interned(self, column: Sequence[Hashable], slot: Words) -> Words:
        try:
            return self._codes.column(column)
        except TypeError:  # something that cannot be hashed, in rows that no set reads
            return np.array([self._codes[v] if s >= 0 else -1 for v, s in zip(column, slot.tolist(), strict=True)], np.int64)

    def _judged(self, batch: Columns, expr: Expr) -> npt.NDArray[np.int8]:
        """An expression that only Python can judge, in the rows of the streams that read it."""
        out = np.full(batch.n, -1, np.int8)
        for row in np.flatnonzero(np.isin(batch.stream, self._readers[expr]) & batch.put).tolist():

            def get(path: str, kind: FieldKind, row: int = row) -> Any:
                if kind == "number":
                    x = float(batch.number[path][row])
                    return None if x != x else x
                if kind == "flag":
                    return {0: False, 1: True}.get(int(batch.flag[path][row]))
                return batch.value[path][row]

            value = expr.value(get)
            out[row] = -1 if value is None else bool(value)
        return out


def _expressions(sets: Sequence[WindowSet]) -> set[Expr]:
    return {e for s in sets for e in (s.where, *(x for m in s.measures for x in (m.where, m.expr))) if e is not None}


def time_row(watermark: int, cause: int) -> Columns:
    """A batch of one row, by which time alone passes."""
    one: Callable[..., Any] = np.array
    return Columns(
        n=1, kind=one([2], np.int8), cause=one([cause], np.int8), mark=one([watermark]), stream=one([-1], np.int16),
        key=one([-1], np.int32), keys=(), at=one([0]), old_at=one([0]), put=one([False]), take=one([False]), doc=None, number={},
        flag={}, value={},
    )  # fmt: skip


def reach(batch: Columns, begin: int, end: int) -> tuple[int, int]:
    """The least and the greatest time that a step can ask a zone's table for."""
    times = batch.at[begin:end][batch.put[begin:end]]
    marks = batch.mark[begin:end]
    marks = marks[(marks > w.LONG_AGO) & (marks < END)]
    both = [int(x) for part in (times, marks) if len(part) for x in (part.min(), part.max())]
    return min(both, default=0), max(both, default=0)
