"""The conditions, cells and measures of one group: what its slices or nodes keep. Equal ones are kept once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from windows.kernels import tables
from windows.kernels.words import FIELDS, NUMBER_WORDS
from windows.law.expr import Expr
from windows.law.spec import NUMERIC, Measure, WindowSet
from windows.plan.conditions import Columns

Term = tuple[int, int]  # what must hold of a row: (a term of kernels/tables.py, which)
FUNCTIONS = {
    "count": tables.F_COUNT, "sum": tables.F_SUM, "mean": tables.F_MEAN, "min": tables.F_MIN, "max": tables.F_MAX,
    "var": tables.F_VAR, "std": tables.F_STD, "distinct": tables.F_DISTINCT, "first": tables.F_FIRST, "last": tables.F_LAST,
    "quantile": tables.F_QUANTILE, "share": tables.F_SHARE,
}  # fmt: skip
FLAGS = {"min": tables.EXTREMES, "max": tables.EXTREMES}
OWN = {"distinct": tables.DISTINCT, "first": tables.FIRST, "last": tables.LAST, "quantile": tables.QUANTILE}
WORDS = {tables.NUMBER: NUMBER_WORDS, tables.FIRST: 2, tables.LAST: 2, tables.DISTINCT: 1 + tables.INLINE, tables.SQUARES: 2}
Cell = tuple[int, int, int]  # type, bit, column of the batch
Row = dict[str, int]  # a measure, by the names of kernels/tables.py


@dataclass(slots=True)
class Cells:
    """bits[b] is a condition. cells holds what is kept, used[i] what of it set i needs; columns the fields of a history's events: a
    number's column, or -1 - a value's. moving[i] is what moves along with the window of rolling set i;
    events[i] its condition, and where its events are counted."""

    expected: int = 0
    bits: list[tuple[Term, ...]] = field(default_factory=list)
    cells: dict[Cell, int] = field(default_factory=dict)
    columns: list[int] = field(default_factory=list)
    events: dict[int, Row] = field(default_factory=dict)
    measures: dict[int, list[Row]] = field(default_factory=dict)
    moving: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    used: dict[int, list[Cell]] = field(default_factory=dict)
    flags: dict[Cell, int] = field(default_factory=dict)
    words: int = 0
    _later: list[tuple[Row, str, Cell]] = field(default_factory=list)

    def add_set(
        self, i: int, where: tuple[Term, ...], spec: WindowSet, add: Callable[[Expr], int], columns: Columns, history: bool
    ) -> None:
        """All that the measures of set i need."""
        bit = self._bit(where)
        self.events[i], self.moving[i], self.used[i] = {"bit": bit}, [], []
        self._cell(i, (tables.COUNT, bit, 0), self.events[i], "count")
        self.measures[i] = [self._measure(i, m, where, add, columns, history) for m in spec.measures]

    def place(self) -> None:
        """Give every cell its words."""
        at = 0
        for cell in self.cells:
            self.cells[cell] = at
            at += WORDS.get(cell[0], 1)
        self.words = at
        for row, word, cell in self._later:
            row[word] = self.cells[cell]

    @property
    def shown(self) -> set[int]:
        """Which columns of a history's events are shown as they are spelled; of all others only equality counts."""
        rows = [row for measures in self.measures.values() for row in measures]
        return {row["column"] - FIELDS for row in rows if row["fn"] in (tables.F_FIRST, tables.F_LAST)}

    def rows(self, i: int | None = None) -> list[Row]:
        """The table of cells, in the order of their places: of the whole group, or of those that set i needs."""
        return [
            dict(zip(("type", "bit", "column", "at", "flags"), (*cell, at, self.flags.get(cell, 0)), strict=True))
            for cell, at in self.cells.items()
            if i is None or cell in self.used[i]
        ]

    def _measure(
        self, i: int, m: Measure, where: tuple[Term, ...], add: Callable[[Expr], int], columns: Columns, history: bool
    ) -> Row:
        row = {"fn": FUNCTIONS[m.fn], "moving": -1}
        terms = where if m.where is None else (*where, (tables.TRUE, add(m.where)))
        if m.fn == "share" and m.expr is not None:
            register = add(m.expr)
            self._cell(i, (tables.COUNT, self._bit((*terms, (tables.KNOWN, register))), 0), row, "cell2")
            terms = (*terms, (tables.TRUE, register))
        col = -1
        if m.field is not None:
            number = m.fn in NUMERIC
            col = columns.number(m.field) if number else columns.keep(m.field)
            terms = (*terms, (tables.HAS_NUMBER if number else tables.HAS_VALUE, col))
        bit = row["bit"] = self._bit(terms)
        if col >= 0:
            self._field_cell(i, m, bit, col, row, history)
        else:
            self._cell(i, (tables.COUNT, bit, 0), row, "cell")
        return row

    def _field_cell(self, i: int, m: Measure, bit: int, col: int, row: Row, history: bool) -> None:
        if history:
            code = col if m.fn in NUMERIC else -1 - col
            if code not in self.columns:
                self.columns.append(code)
            col = row["column"] = FIELDS + self.columns.index(code)
        if history and m.fn in ("distinct", "quantile"):
            one = (tables.COUNTS if m.fn == "distinct" else tables.SORTED, bit, col)
            if one not in self.moving[i]:
                self.moving[i].append(one)
            row["moving"] = self.moving[i].index(one)
            return
        cell = (OWN.get(m.fn, tables.NUMBER), bit, col)
        self._cell(i, cell, row, "cell")
        self.flags[cell] = self.flags.get(cell, 0) | FLAGS.get(m.fn, 0)
        if m.fn in ("var", "std"):
            self._cell(i, (tables.SQUARES, bit, col), row, "cell2")

    def _bit(self, terms: tuple[Term, ...]) -> int:
        unique = tuple(dict.fromkeys(terms))
        if unique not in self.bits:
            self.bits.append(unique)
        return self.bits.index(unique)

    def _cell(self, i: int, cell: Cell, row: Row, word: str) -> None:
        self.cells.setdefault(cell, -1)
        self.used[i].append(cell)
        self._later.append((row, word, cell))
