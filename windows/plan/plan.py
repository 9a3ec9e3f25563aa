"""From window sets to the plan that kernels read: streams, groups that share slices or a history, cells, measures, laid flat."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from compiled.records import laid, words_in
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.conditions import O_CONST, OP_WORDS
from windows.kernels.memory.arena import LINE
from windows.law.expr import Expr
from windows.law.spec import MOST_CONDITIONS, Rolling, Session, Sliding, Tumbling, WindowSet, check, conditions, streams
from windows.plan.cells import Cells, Term
from windows.plan.conditions import Columns, Machine
from windows.plan.keep import alone, entity_words, keeps, more_columns, revised_by, spans_of
from windows.plan.kinds import Edges, every_of, hold_of, leaves_after, natural
from windows.plan.zones import Zones

ENDLESS = 1 << 61  # ms: the longest session
LATE = {"update": tables.UPDATE, "dead_letter": tables.DEAD_LETTER, "drop": tables.DROP}


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
    """The plan `P` (int64; `PX` the same as float64) of window sets: tables of records, see kernels/tables.py.

    group_of[i] is the group of set i. root_words[r]: size of a key's root of route r.
    """

    def __init__(self, sets: Sequence[WindowSet], intern: Callable[[Hashable], int]) -> None:
        self.sets = sets
        self.columns = Columns(intern)
        self.streams = list(streams(sets))
        self.routes = list(dict.fromkeys(route for _, route in self.streams))
        self.words: list[int] = [0] * words_in(tables.PLAN)
        self.floats: dict[int, float] = {}
        self.constants: list[float] = []
        self.groups: list[Group] = []
        self.group_of: list[Group] = [Group(-1, None)] * len(sets)
        self.memo_words = 0  # what the engine remembers of slices
        self.zones = Zones(s.kind.zone for s in sets if isinstance(s.kind, (Tumbling, Sliding)) and s.kind.zone is not None)
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
        return self.at + number * tables.SET_WORDS

    def is_rolling(self, number: int) -> bool:
        """Whether a set is a rolling one."""
        return isinstance(self.sets[number].kind, Rolling)

    def _group(self) -> None:
        order = sorted(range(len(self.sets)), key=lambda i: every_of(self.sets[i]))
        for i in order:
            spec = self.sets[i]
            try:
                check(spec)
            except ValueError as error:
                raise ValueError(f"{spec.name}: {error}") from None
            stream = self.streams.index((spec.trigger, spec.key))
            grid = natural(spec.kind) if isinstance(spec.kind, (Tumbling, Sliding)) and not spec.retract else None
            need = conditions(spec)
            home = next((g for g in self.groups if g.stream == stream and self._fits(g, spec, grid, need)), None)
            if home is None:
                home = Group(stream, grid, alone=alone(spec), kept=keeps(spec))
                self.groups.append(home)
            home.sets.append(i)
            home.cells.expected += need
            self.group_of[i] = home

    def _fits(self, g: Group, spec: WindowSet, grid: Edges | None, need: int) -> bool:
        if (
            g.cells.expected + need > MOST_CONDITIONS
            or len(g.sets) >= MOST_CONDITIONS
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
        for i, spec in enumerate(self.sets):
            home = self.group_of[i]
            machine = self.machines[home.stream]
            where = self._terms(machine, spec.where)
            home.cells.add_set(i, where, spec, machine.add, self.columns, history=home.grid is None)
            home.cells.columns += more_columns(spec, self.columns)
        for g in self.groups:
            g.cells.place()

    def _terms(self, machine: Machine, where: Expr | None) -> tuple[Term, ...]:
        return () if where is None else ((tables.TRUE, machine.add(where)),)

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
        self.at = self._put([0] * (tables.SET_WORDS * len(self.sets)))
        for g in self.groups:
            g.at = self._put([0] * words_in(tables.GROUP))
        for i in range(len(self.sets)):
            self._lay_set(i)
        for g in self.groups:
            self._lay_group(g)
        streams = [word for n in range(len(self.machines)) for word in self._stream(n, constants)]
        heads = 2 * len(self.sets) + len(self.groups)
        head = laid(
            tables.PLAN, streams=self._put(streams), groups=self._put([g.at for g in self.groups]),
            ngroups=len(self.groups), sets=self.at, nsets=len(self.sets), routes=self._put(self.root_words),
            changed=heads * w.OUT_WORDS, revised=(heads + 1) * w.OUT_WORDS,
        )  # fmt: skip
        self.words[: len(head)] = head

    def _stream(self, n: int, constants: int) -> list[int]:
        code = list(self.machines[n].code)
        for at in range(0, len(code), OP_WORDS):
            if code[at] == O_CONST:
                code[at + 2] += constants
        groups = [g.at for g in self.groups if g.stream == n]
        route = self.routes.index(self.streams[n][1])
        places = {"code": self._put(code), "groups": self._put(groups)}
        return laid(tables.STREAM, ncode=len(code) // OP_WORDS, ngroups=len(groups), route=route, **places)

    def _roots(self) -> None:
        """Where a key's root holds each group's chain and each set's entity."""
        self.root_words = [words_in(w.ROOT)] * len(self.routes)
        self.entity: list[int] = [0] * len(self.sets)
        for g in self.groups:
            route = self.routes.index(self.streams[g.stream][1])
            g.chain = self.root_words[route]
            self.root_words[route] += words_in(w.CHAIN)
            for i in g.sets:
                self.entity[i] = self.root_words[route]
                self.root_words[route] += entity_words(self.sets[i], len(g.cells.moving[i]))

    def _lay_group(self, g: Group) -> None:
        index, cells = self.groups.index(g), g.cells
        wanted = {cells.events[i]["bit"] for i in g.sets}
        bits = [self._put([len(bit), *(x for term in bit for x in term)]) for bit in cells.bits]
        row = {
            "kind": self._kind(g.sets[0]), "route": self.routes.index(self.streams[g.stream][1]), "index": index, "zone": -1,
            "sets": self._put([self.set_at(i) for i in g.sets]), "nsets": len(g.sets), "full": (1 << len(g.sets)) - 1,
            "bits": self._put(bits), "nbits": len(bits), "alike": int(len(wanted) == 1), "wanted": sum(1 << bit for bit in wanted),
            "cells": self._rows(tables.CELL, cells.rows()), "ncells": len(cells.cells), "cell_words": cells.words,
            "chain": g.chain, "memo": self.memo_words, "touched": (2 * len(self.sets) + index) * w.OUT_WORDS,
            "root_words": words_in(w.CHAIN) + sum(entity_words(self.sets[i], len(cells.moving[i])) for i in g.sets),
            "data": -(-(w.NODE_CELLS + cells.words) // LINE) * LINE,
        }  # fmt: skip
        self.memo_words += w.MEMO_LASTS + len(g.sets)
        if g.grid is not None:
            zone, row["period"], edges = g.grid
            row["edges"], row["nedges"] = self._put(edges), len(edges)
            if zone is not None:
                row["zone"] = self.zones.place[zone]
        else:
            row["columns"], row["ncolumns"] = self._put([0] * w.FIELDS + cells.columns), w.FIELDS + len(cells.columns)
            row["shown"] = self._put([0] * w.FIELDS + [int(c in cells.shown) for c in range(len(cells.columns))])
            row["document"] = row["ncolumns"] - 1 - g.kept if self.sets[g.sets[0]].retract else 0
            row["keep"] = 0 if g.kept else max(leaves_after(self.sets[i]) + self.sets[i].lateness for i in g.sets)
        self._fill(g.at, laid(tables.GROUP, **row))

    def _lay_set(self, i: int) -> None:
        spec, home = self.sets[i], self.group_of[i]
        cells = home.cells.rows(i)
        row = {
            "group": home.at, "index": i, "member": home.sets.index(i), "entity": self.entity[i], "out": 2 * i * w.OUT_WORDS,
            "lateness": spec.lateness, "late": LATE[spec.late], "hold": hold_of(spec), "zone": -1,
            "measures": self._measures(i, home), "nmeasures": len(spec.measures),
            "width": (1 if self.is_rolling(i) else w.ROW_WORDS) + len(spec.measures),
            "cells": self._rows(tables.CELL, cells), "ncells": len(cells),
            "last": w.SLICE_CELLS + home.cells.words + home.sets.index(i),
        }  # fmt: skip
        self._fill(self.set_at(i), laid(tables.SET, **(row | home.cells.events[i] | self._of_kind(i, home))))

    def _kind(self, i: int) -> int:
        """A set's kind, which is that of its group too."""
        if isinstance(self.sets[i].kind, Session):
            return tables.SESSION
        if isinstance(self.sets[i].kind, Rolling):
            return tables.ROLLING
        return tables.RETRACTED if self.group_of[i].kept else tables.GRID

    def _of_kind(self, i: int, home: Group) -> dict[str, int]:
        """What a set's row says of its kind."""
        kind, moving = self.sets[i].kind, home.cells.moving[i]
        row = {"kind": self._kind(i), "nmoving": len(moving)}
        if isinstance(kind, Session):
            return row | {"gap": kind.gap, "max": ENDLESS if kind.max is None else kind.max}
        if isinstance(kind, Rolling):
            return row | {
                "size": kind.size, "delay": kind.delay, "closed": int(kind.closed == "both"), "current": int(kind.current),
                "decay": max(kind.size // 60, 1_000), "shared": int(self._shares(self.sets[i].view)),
                "moving": self._put([word for one in moving for word in one]),
            }  # fmt: skip
        every = every_of(self.sets[i])
        row |= {"size": kind.size, "every": every, "offset": kind.offset}
        if kind.zone is not None:
            row["zone"] = self.zones.place[kind.zone]
        elif kind.size % every == 0:
            row["span"] = kind.size // every
        return row

    def _shares(self, view: str | None) -> bool:
        """Whether it is a view of several sets."""
        return view is not None and sum(spec.view == view for spec in self.sets) > 1

    def _rows(self, kind: np.dtype[np.void], rows: Sequence[Mapping[str, int]]) -> int:
        """A table: where it stands."""
        return self._put([word for row in rows for word in laid(kind, **row)])

    def _fill(self, at: int, words: Sequence[int]) -> None:
        self.words[at : at + len(words)] = words

    def _measures(self, i: int, home: Group) -> int:
        rows = home.cells.measures[i]
        for row, measure in zip(rows, self.sets[i].measures, strict=True):
            row["q"] = self._list([0.5 if measure.q is None else float(measure.q)]) + 1
        return self._rows(tables.MEASURE, rows)


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
        spares[-1] += 3 * revised_by(spec)
    return spares
