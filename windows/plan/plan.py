"""From window sets to the plan that kernels read: streams, groups that share slices or a history, cells, measures, laid flat."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import numpy as np

from windows.kernels import words as w
from windows.kernels.conditions import O_CONST, OP_WORDS
from windows.kernels.memory.arena import LINE
from windows.law.expr import Expr
from windows.law.spec import Rolling, Sliding, Tumbling, WindowSet, streams
from windows.plan.cells import Cells, Term
from windows.plan.conditions import Columns, Machine
from windows.plan.keep import alone, check, entity_words, keeps, lay_kept, more_columns, spans_of
from windows.plan.kinds import Edges, every_of, hold_of, leaves_after, natural

MOST = 60  # sets, and conditions, of one group: they are bits of a word
LATE = {"update": w.UPDATE, "dead_letter": w.DEAD_LETTER, "drop": w.DROP}


@dataclass(slots=True)
class Group:
    """Sets of one stream on one structure. grid: (zone, period, rising edges in [0, period)) of slices, None for a history.
    alone: of one set, and no other comes to it; kept: that set has spans over it."""

    stream: int
    grid: Edges | None
    sets: list[int] = field(default_factory=list)
    alone: bool = False
    kept: bool = False
    cells: Cells = field(default_factory=Cells)
    at: int = -1
    chain: int = -1


class Plan:
    """The plan `P` (int64; `PX` the same as float64) of window sets.

    group_of[i] is the group of set i. root_words[r]: size of a key's root of route r.
    """

    def __init__(self, sets: Sequence[WindowSet], intern: Callable[[Hashable], int]) -> None:
        self.sets = sets
        self.columns = Columns(intern)
        self.streams = list(streams(sets))
        self.routes = list(dict.fromkeys(route for _, route in self.streams))
        self.words: list[int] = [0] * w.P_HEAD
        self.floats: dict[int, float] = {}
        self.constants: list[float] = []
        self.groups: list[Group] = []
        self.group_of: list[Group] = [Group(-1, None)] * len(sets)
        self.feature_at: list[int] = [-1] * len(sets)
        self.memo_words = 0  # what the engine remembers of slices
        self.zones: list[int] = []  # sets in a time zone; their groups come behind them in Z
        self.machines = [Machine(self.columns, self.constants, self._list) for _ in self.streams]
        self._group()
        self._cells()
        self._lay()
        self.P = np.array(self.words, np.int64)
        self.PX = self.P.view(np.float64)
        for at, value in self.floats.items():
            self.PX[at] = value

    @property
    def registers(self) -> int:
        """The most registers that a stream's conditions need."""
        return max([1, *(m.registers for m in self.machines)])

    def set_at(self, number: int) -> int:
        """Place of a set's row in P."""
        return self.words[w.P_SETS] + number * w.S_WORDS

    def slices_in_zones(self) -> dict[int, list[int]]:
        """Groups of slices in a time zone: place in Z's head -> numbers of their sets."""
        heads = {len(self.sets) + n: g for n, g in enumerate(self.groups)}
        return {head: g.sets for head, g in heads.items() if g.grid is not None and g.grid[0] is not None}

    def is_rolling(self, number: int) -> bool:
        """Whether a set is a rolling one."""
        return isinstance(self.sets[number].kind, Rolling)

    def _group(self) -> None:
        order = sorted(range(len(self.sets)), key=lambda i: every_of(self.sets[i]))
        for i in order:
            spec = self.sets[i]
            check(spec)
            stream = self.streams.index((spec.trigger, spec.key))
            grid = natural(spec.kind) if isinstance(spec.kind, (Tumbling, Sliding)) and not spec.retract else None
            need = 1 + 2 * len(spec.measures)
            home = next((g for g in self.groups if g.stream == stream and self._fits(g, spec, grid, need)), None)
            if home is None:
                home = Group(stream, grid, alone=alone(spec), kept=keeps(spec))
                self.groups.append(home)
            home.sets.append(i)
            home.cells.expected += need
            self.group_of[i] = home

    def _fits(self, g: Group, spec: WindowSet, grid: Edges | None, need: int) -> bool:
        if (
            g.cells.expected + need > MOST
            or len(g.sets) >= MOST
            or (g.grid is None) is not (grid is None)
            or g.alone
            or alone(spec)
        ):
            return False
        if g.grid is None or grid is None or g.grid == grid:
            return True
        zone, period, edges = g.grid
        if zone is not None or grid[0] is not None or len(edges) > 1:
            return False
        assert isinstance(spec.kind, (Tumbling, Sliding))
        size = spec.kind.size
        return grid[1] % period == 0 and all((e - edges[0]) % period == 0 for e in grid[2]) and size // period <= 64

    def _cells(self) -> None:
        column = 0
        for i, spec in enumerate(self.sets):
            home = self.group_of[i]
            machine = self.machines[home.stream]
            where = self._terms(machine, spec.where)
            home.cells.add_set(i, where, spec, machine.add, self.columns, history=home.grid is None)
            home.cells.columns += more_columns(spec, self.columns)
            if isinstance(spec.kind, Rolling):
                self.feature_at[i] = column
                column += len(spec.measures)
        self.words[w.P_FEATURES] = column
        for g in self.groups:
            g.cells.place()

    def _terms(self, machine: Machine, where: Expr | None) -> tuple[Term, ...]:
        return () if where is None else ((w.B_TRUE, machine.add(where)),)

    def _list(self, items: Sequence[float | int]) -> int:
        at = len(self.words)
        self.words += [len(items), *(0 if isinstance(x, float) else x for x in items)]
        self.floats |= {at + 1 + i: x for i, x in enumerate(items) if isinstance(x, float)}
        return at

    def _put(self, items: Sequence[int]) -> int:
        self.words += items
        return len(self.words) - len(items)

    def _lay(self) -> None:
        constants = self._put([0] * len(self.constants))
        self.floats |= {constants + i: x for i, x in enumerate(self.constants)}
        self._roots()
        self.words[w.P_NSETS] = len(self.sets)
        self.words[w.P_ROUTES] = self._put(self.root_words)
        last = 2 * len(self.sets) + len(self.groups)
        self.words[w.P_CHANGED], self.words[w.P_REVISED] = last * w.OUT_WORDS, (last + 1) * w.OUT_WORDS
        self.words[w.P_SETS] = self._put([0] * (w.S_WORDS * len(self.sets)))
        for g in self.groups:
            g.at = self._put([0] * w.G_WORDS)
        self.words[w.P_GROUPS] = self._put([g.at for g in self.groups])
        for i in range(len(self.sets)):
            self._lay_set(i)
        for g in self.groups:
            self._lay_group(g)
        rows: list[int] = []
        for n, machine in enumerate(self.machines):
            code = list(machine.code)
            for at in range(0, len(code), OP_WORDS):
                if code[at] == O_CONST:
                    code[at + 2] += constants
            groups = [g.at for g in self.groups if g.stream == n]
            route = self.routes.index(self.streams[n][1])
            rows += [self._put(code), len(code) // OP_WORDS, self._put(groups), len(groups), route, 0]
        self.words[w.P_NSTREAMS] = len(self.machines)
        self.words[w.P_STREAMS] = self._put(rows)

    def _roots(self) -> None:
        """Where a key's root holds each group's chain and each set's entity."""
        self.root_words = [w.R_DATA] * len(self.routes)
        self.entity: list[int] = [0] * len(self.sets)
        for g in self.groups:
            route = self.routes.index(self.streams[g.stream][1])
            g.chain = self.root_words[route]
            self.root_words[route] += w.CH_WORDS
            for i in g.sets:
                self.entity[i] = self.root_words[route]
                self.root_words[route] += entity_words(self.sets[i], len(g.cells.kept[i]))

    def _lay_group(self, g: Group) -> None:
        row = [0] * w.G_WORDS
        row[w.G_KIND] = w.KEPT if g.kept else w.HISTORY if g.grid is None else w.SLICES
        row[w.G_CHAIN], row[w.G_CELLWORDS], row[w.G_ZONE] = g.chain, g.cells.words, -1
        row[w.G_SETS], row[w.G_NSETS] = self._put([self.set_at(i) for i in g.sets]), len(g.sets)
        bits = [self._put([len(bit), *(x for term in bit for x in term)]) for bit in g.cells.bits]
        row[w.G_BITS], row[w.G_NBITS] = self._put(bits), len(bits)
        row[w.G_CELLS], row[w.G_NCELLS] = self._put(g.cells.rows()), len(g.cells.cells)
        row[w.G_DATA] = -(-(w.N_CELLS + g.cells.words) // LINE) * LINE
        row[w.G_ROOT] = w.CH_WORDS + sum(entity_words(self.sets[i], len(g.cells.kept[i])) for i in g.sets)
        row[w.G_FULL], row[w.G_ROUTE] = (1 << len(g.sets)) - 1, self.routes.index(self.streams[g.stream][1])
        row[w.G_INDEX], row[w.G_MEMO] = self.groups.index(g), self.memo_words
        row[w.G_TOUCHED] = (2 * len(self.sets) + row[w.G_INDEX]) * w.OUT_WORDS
        self.memo_words += w.MEMO_LAST + len(g.sets)
        wanted = {g.cells.events[i][0] for i in g.sets}
        row[w.G_ALIKE], row[w.G_WANT] = int(len(wanted) == 1), sum(1 << bit for bit in wanted)
        if g.grid is not None:
            zone, row[w.G_PERIOD], edges = g.grid
            row[w.G_RES], row[w.G_NRES] = self._put(edges), len(edges)
            if zone is not None:
                row[w.G_ZONE] = len(self.sets) + self.groups.index(g)
        else:
            row[w.G_COLS], row[w.G_NCOLS] = self._put([0, 0, *g.cells.columns]), w.V_EXTRA + len(g.cells.columns)
            row[w.G_RETRACT] = row[w.G_NCOLS] - 1 - g.kept if self.sets[g.sets[0]].retract else 0
            row[w.G_KEEP] = 0 if g.kept else max(leaves_after(self.sets[i]) + self.sets[i].lateness for i in g.sets)
        self.words[g.at : g.at + w.G_WORDS] = row

    def _lay_set(self, i: int) -> None:
        spec, home = self.sets[i], self.group_of[i]
        row = [0] * w.S_WORDS
        row[w.S_GROUP], row[w.S_INDEX], row[w.S_ZONE] = home.at, i, -1
        row[w.S_ENT], row[w.S_LAT], row[w.S_LATE] = self.entity[i], spec.lateness, LATE[spec.late]
        row[w.S_HOLD] = hold_of(spec)
        row[w.S_BIT], row[w.S_CNT] = home.cells.events[i]
        row[w.S_MEASURES], row[w.S_NMEASURES] = self._measures(i, home), len(spec.measures)
        row[w.S_J], row[w.S_OUT] = home.sets.index(i), 2 * i * w.OUT_WORDS
        row[w.S_WIDTH] = (1 if self.is_rolling(i) else w.ROW_WORDS) + len(spec.measures)
        cells = home.cells.rows(i)
        row[w.S_CELLS], row[w.S_NCELLS] = self._put(cells), len(cells) // w.C_WORDS
        self._lay_kind(i, row, home)
        self.words[self.set_at(i) : self.set_at(i) + w.S_WORDS] = row

    def _lay_kind(self, i: int, row: list[int], home: Group) -> None:
        kind = self.sets[i].kind
        if home.kept:
            lay_kept(self.sets[i], row, len(home.cells.kept[i]))
        elif isinstance(kind, (Tumbling, Sliding)):
            row[w.S_KIND], row[w.S_SIZE], row[w.S_EVERY], row[w.S_OFF] = w.GRID, kind.size, every_of(self.sets[i]), kind.offset
            row[w.S_SPAN] = kind.size // row[w.S_EVERY] if kind.size % row[w.S_EVERY] == 0 else 0
        elif isinstance(kind, Rolling):
            row[w.S_KIND], row[w.S_SIZE], row[w.S_DELAY] = w.ROLLING, kind.size, kind.delay
            row[w.S_CLOSED], row[w.S_CURRENT] = int(kind.closed == "both"), int(kind.current)
            row[w.S_STEP], row[w.S_FEATURE] = max(kind.size // 60, 1_000), self.feature_at[i]
            kept = home.cells.kept[i]
            row[w.S_INC], row[w.S_NINC] = self._put([x for one in kept for x in one]), len(kept)
        if isinstance(kind, (Tumbling, Sliding)) and kind.zone is not None:
            row[w.S_ZONE], row[w.S_SPAN] = i, 0
            self.zones.append(i)

    def _measures(self, i: int, home: Group) -> int:
        rows = home.cells.measures[i]
        for row, measure in zip(rows, self.sets[i].measures, strict=True):
            row[w.F_Q] = self._list([0.5 if measure.q is None else float(measure.q)]) + 1
        return self._put([x for row in rows for x in row])


# How wide the rows of each kind of result are, and how many of them must be free (see windows/kernels/words.py).
def out_widths(plan: Plan) -> list[int]:
    """Words of a row of each kind."""
    widths: list[int] = []
    for spec in plan.sets:
        n = len(spec.measures)
        widths += [w.VIEW_WORDS + n, 1 + n] if isinstance(spec.kind, Rolling) else [w.ROW_WORDS + n, 3 if keeps(spec) else 1]
    return [*widths, *(3 for _ in plan.groups), 1, 3]


def out_spares(plan: Plan) -> list[int]:
    """Words of each kind that must be free whenever a kernel begins with something."""
    spares = [w.SPARE * width for width in out_widths(plan)]
    for i, spec in enumerate(plan.sets):
        spares[2 * i + 1] += 3 * 2 * spans_of(spec)  # a row takes a value out of windows, and puts one into as many
    return spares
