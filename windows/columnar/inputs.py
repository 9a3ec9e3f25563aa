"""What kernels read of a batch: slots for keys, and columns as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from windows.columnar.codes import Beside, Codes, Interner, Told
from windows.engine import Columns, Key
from windows.kernels.slots import ALIKE, find_slots
from windows.law.expr import Expr, FieldKind
from windows.law.spec import WindowSet
from windows.plan.keep import DOCUMENT
from windows.plan.plan import Plan

SHOWN = ("first", "last")  # they give back what was there
Words = npt.NDArray[np.int64]


class Inputs:
    """How an engine reads batches."""

    def __init__(self, sets: Sequence[WindowSet], plan: Plan, codes: Interner) -> None:
        self._codes = codes
        self._missing = np.empty(0, np.int64)
        self._tables = Beside()
        columns = plan.columns
        self._numbers, self._values = list(columns.numbers), list(columns.values)
        self._told = {path: Told(columns.known.get(path, {})) for path in self._values if path not in columns.kept}
        self._shown = {m.field for s in sets for m in s.measures if m.fn in SHOWN}
        self._flags = list(columns.flags)
        self._readers = {
            what: [n for n, m in enumerate(plan.streams) if what in _expressions([s for s in sets if (s.trigger, s.key) == m])]
            for what in self._flags
            if isinstance(what, Expr)
        }
        self._retracting = [n for n, m in enumerate(plan.streams) if any(s.retract and (s.trigger, s.key) == m for s in sets)]

    def slots(self, batch: Columns, begin: int, slot_of: Callable[[Key], int]) -> tuple[Words, int]:
        """The slot of each row, -1 where a row is no change of a key that a set reads; and how many rows are one. Keys may be a
        sequence with `codes` and a `table` that only grows, as windows.columnar.codes.Codes: then a key is looked up only once."""
        slot = np.empty(batch.n, np.int64)
        codes, table = getattr(batch.keys, "codes", None), getattr(batch.keys, "table", batch.keys)
        if codes is None:
            codes, own = np.arange(len(batch.keys)), np.full(len(batch.keys), -1, np.int64)
        else:
            codes, own = np.ascontiguousarray(codes, np.int64), self._tables.of(table).numbers
        if len(self._missing) < batch.n:
            self._missing = np.empty(2 * batch.n, np.int64)
        missing = self._missing
        kind, stream = np.ascontiguousarray(batch.kind, np.int8), np.ascontiguousarray(batch.stream, np.int16)
        key = np.ascontiguousarray(batch.key, np.int32)
        new, keyed = find_slots(kind, stream, key, begin, codes, own, slot, missing)
        if new:
            for code in dict.fromkeys(missing[:new].tolist()):
                own[code] = slot_of(table[code])
            find_slots(kind, stream, key, begin, codes, own, slot, missing)
        return slot, keyed

    def forget(self, slots: Sequence[int]) -> None:
        """These slots are given to other keys from now on."""
        gone = np.zeros(max(slots) + 2, np.bool_)  # the last one is that of -1
        gone[slots] = True
        for own in self._tables.numbers():
            own[gone[np.minimum(own, len(gone) - 1)]] = -1

    def columns(self, batch: Columns, slot: Words, keyed: int) -> tuple[Any, Any, Any]:
        """(numbers, flags, codes), a row each; anything where no row has a key."""
        numbers = np.empty((len(self._numbers), batch.n))
        flags = np.empty((len(self._flags), batch.n), np.int8)
        codes = np.empty((len(self._values), batch.n), np.int64)
        if not keyed:
            return numbers, flags, codes
        for i, path in enumerate(self._numbers):
            numbers[i] = batch.number[path]
        for i, what in enumerate(self._flags):
            flags[i] = batch.flag[what] if isinstance(what, str) else self._judged(batch, what)
        for i, path in enumerate(self._values):
            if path == DOCUMENT:
                self._documents(batch, codes[i])
            elif path in self._told:
                self._told[path].column(batch.value[path], codes[i])
            else:
                self._interned(batch.value[path], slot, codes[i], path in self._shown)
        return numbers, flags, codes

    def _documents(self, batch: Columns, out: Words) -> None:
        """The documents' ids, of rows whose values may be taken out."""
        if isinstance(batch.doc, Codes):
            self._codes.column(batch.doc, out)
            np.bitwise_and(out, ALIKE, out=out, where=out >= 0)  # a document is the same however its id is spelled
            return
        out.fill(-1)
        if batch.doc is not None:
            rows = np.flatnonzero(np.isin(batch.stream, self._retracting)).tolist()
            out[rows] = [self._codes[batch.doc[row]] for row in rows]

    def _interned(self, column: Sequence[Hashable], slot: Words, out: Words, shown: bool) -> None:
        try:
            self._codes.column(column, out, shown)
        except TypeError:  # something that cannot be hashed, in rows that no set reads
            out[:] = self._codes.all_spelled([v if s >= 0 else None for v, s in zip(column, slot.tolist(), strict=True)])

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
