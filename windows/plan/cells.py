"""The conditions, cells and measures of one group: what its slices or nodes keep. Equal ones are kept once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from windows.kernels import words as w
from windows.law.expr import Expr
from windows.law.spec import NUMERIC, Measure, WindowSet
from windows.plan.conditions import Columns

Term = tuple[int, int]  # what must hold of a row: (a term of kernels/words.py, which)
FUNCTIONS = {
    "count": w.F_COUNT, "sum": w.F_TOTAL, "mean": w.F_MEAN, "min": w.F_MIN, "max": w.F_MAX, "var": w.F_VAR, "std": w.F_STD,
    "distinct": w.F_DISTINCT, "first": w.F_FIRST, "last": w.F_LAST, "quantile": w.F_QUANTILE, "share": w.F_SHARE,
}  # fmt: skip
FLAGS = {"min": w.EXTREMES, "max": w.EXTREMES}
OWN = {"distinct": w.DISTINCT, "first": w.FIRST, "last": w.LAST, "quantile": w.QUANT}
WORDS = {w.STATS: w.X_WORDS, w.FIRST: 2, w.LAST: 2, w.DISTINCT: 1 + w.INLINE, w.SQUARED: 2}
Cell = tuple[int, int, int]  # type, bit, column of the batch


@dataclass(slots=True)
class Cells:
    """bits[b] is a condition. cells holds what is kept, used[i] what of it set i needs; columns the fields of a history's events: a
    number's column, or -1 - a value's. kept[i] is what rolling set i keeps beside its history."""

    expected: int = 0
    bits: list[tuple[Term, ...]] = field(default_factory=list)
    cells: dict[Cell, int] = field(default_factory=dict)
    columns: list[int] = field(default_factory=list)
    events: dict[int, list[int]] = field(default_factory=dict)
    measures: dict[int, list[list[int]]] = field(default_factory=dict)
    kept: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    used: dict[int, list[Cell]] = field(default_factory=dict)
    flags: dict[Cell, int] = field(default_factory=dict)
    words: int = 0
    _later: list[tuple[list[int], int, Cell]] = field(default_factory=list)

    def add_set(
        self, i: int, where: tuple[Term, ...], spec: WindowSet, add: Callable[[Expr], int], columns: Columns, history: bool
    ) -> None:
        """All that the measures of set i need."""
        bit = self._bit(where)
        self.events[i], self.kept[i], self.used[i] = [bit, 0], [], []
        self._cell(i, (w.CNT, bit, 0), self.events[i], 1)
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

    def rows(self, i: int | None = None) -> list[int]:
        """The table of cells, in the order of their places: of the whole group, or of those that set i needs."""
        flat: list[int] = []
        for cell, at in self.cells.items():
            if i is None or cell in self.used[i]:
                flat += [*cell, at, self.flags.get(cell, 0)]
        return flat

    def _measure(
        self, i: int, m: Measure, where: tuple[Term, ...], add: Callable[[Expr], int], columns: Columns, history: bool
    ) -> list[int]:
        row = [0] * w.F_WORDS
        row[w.F_FN], row[w.F_INC] = FUNCTIONS[m.fn], -1
        terms = where if m.where is None else (*where, (w.B_TRUE, add(m.where)))
        if m.fn == "share" and m.expr is not None:
            register = add(m.expr)
            self._cell(i, (w.CNT, self._bit((*terms, (w.B_KNOWN, register))), 0), row, w.F_CELL2)
            terms = (*terms, (w.B_TRUE, register))
        col = -1
        if m.field is not None:
            number = m.fn in NUMERIC
            col = columns.number(m.field) if number else columns.value(m.field)
            terms = (*terms, (w.B_NUMBER if number else w.B_VALUE, col))
        bit = row[w.F_BIT] = self._bit(terms)
        if col >= 0:
            self._field_cell(i, m, bit, col, row, history)
        else:
            self._cell(i, (w.CNT, bit, 0), row, w.F_CELL)
        return row

    def _field_cell(self, i: int, m: Measure, bit: int, col: int, row: list[int], history: bool) -> None:
        if history:
            code = col if m.fn in NUMERIC else -1 - col
            if code not in self.columns:
                self.columns.append(code)
            col = row[w.F_COL] = w.V_EXTRA + self.columns.index(code)
        if history and m.fn in ("distinct", "quantile"):
            one = (w.I_MAP if m.fn == "distinct" else w.I_SORTED, bit, col)
            if one not in self.kept[i]:
                self.kept[i].append(one)
            row[w.F_INC] = self.kept[i].index(one)
            return
        cell = (OWN.get(m.fn, w.STATS), bit, col)
        self._cell(i, cell, row, w.F_CELL)
        self.flags[cell] = self.flags.get(cell, 0) | FLAGS.get(m.fn, 0)
        if m.fn in ("var", "std"):
            self._cell(i, (w.SQUARED, bit, col), row, w.F_CELL2)

    def _bit(self, terms: tuple[Term, ...]) -> int:
        unique = tuple(dict.fromkeys(terms))
        if unique not in self.bits:
            self.bits.append(unique)
        return self.bits.index(unique)

    def _cell(self, i: int, cell: Cell, row: list[int], word: int) -> None:
        self.cells.setdefault(cell, -1)
        self.used[i].append(cell)
        self._later.append((row, word, cell))
