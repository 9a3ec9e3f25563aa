"""From a batch's columns to what each window set reads of a row: every expression and every input once a row and stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from windows.engine import Columns
from windows.law.expr import Expr, FieldKind
from windows.naive.exact import Input
from windows.naive.sets import NaiveSet

FLAGS = {1: True, 0: False}
Pick = Callable[[list[Any]], tuple[Any, ...]]


class Rows:
    """A batch as plain Python lists; a field is None where it is missing. A column is turned over when it is first read."""

    def __init__(self, batch: Columns) -> None:
        self._batch = batch
        self._fields: dict[tuple[str, FieldKind], Sequence[Any]] = {}
        self.kind, self.cause, self.mark = batch.kind.tolist(), batch.cause.tolist(), batch.mark.tolist()
        self.stream, self.key = batch.stream.tolist(), batch.key.tolist()
        self.at, self.old_at = batch.at.tolist(), batch.old_at.tolist()
        self.put, self.take = batch.put.tolist(), batch.take.tolist()

    def field(self, path: str, kind: FieldKind) -> Sequence[Any]:
        """One field of every row."""
        column = self._fields.get((path, kind))
        if column is None:
            column = self._fields[path, kind] = self._column(path, kind)
        return column

    def doc(self, row: int) -> Any:
        """The id of the row's document."""
        return None if self._batch.doc is None else self._batch.doc[row]

    def _column(self, path: str, kind: FieldKind) -> Sequence[Any]:
        if kind == "number":
            return [None if x != x else x for x in self._batch.number[path].tolist()]
        if kind == "flag":
            return [FLAGS.get(x) for x in self._batch.flag[path].tolist()]
        return self._batch.value[path]


class Stream:
    """The window sets that read one (trigger, route), and how to read a row for all of them."""

    def __init__(self, members: Sequence[NaiveSet]) -> None:
        self._inputs: list[Input] = list(dict.fromkeys(i for m in members for i in m.plan.inputs))
        wheres = [m.set.where for m in members] + [i.where for i in self._inputs] + [i.expr for i in self._inputs]
        self._exprs: list[Expr] = list(dict.fromkeys(e for e in wheres if e is not None))
        self._sources = [(i.path, i.kind, self._place(i.expr), self._place(i.where)) for i in self._inputs]
        self.members = [(m, self._place(m.set.where), self._pick(m)) for m in members]

    def read(self, rows: Rows, row: int) -> tuple[list[Any], list[Any]]:
        """The value of every expression, and of every input (None: the event does not enter it)."""

        def get(path: str, kind: FieldKind) -> Any:
            return rows.field(path, kind)[row]

        truths = [e.value(get) for e in self._exprs]
        values: list[Any] = []
        for path, kind, expr, where in self._sources:
            if where is not None and truths[where] is not True:
                values.append(None)
            elif path is not None:
                values.append(rows.field(path, kind)[row])
            else:
                values.append(True if expr is None else truths[expr])
        return truths, values

    def _place(self, expr: Expr | None) -> int | None:
        return None if expr is None else self._exprs.index(expr)

    def _pick(self, member: NaiveSet) -> Pick:
        places = [self._inputs.index(i) for i in member.plan.inputs]
        return lambda values: tuple([values[place] for place in places])
