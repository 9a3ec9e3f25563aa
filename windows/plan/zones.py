"""Edges of windows on the local days of a time zone, as tables for kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from windows.engine import END, Ints
from windows.law.spec import DAY, Sliding, Tumbling, WindowSet
from windows.law.zones import Grid

AHEAD = 400 * DAY  # how much further than asked for a table reaches


class ZoneTables:
    """`Z` for kernels (see kinds/grid.py): it reaches over all times ever asked for.

    grids: number of a set -> the set. groups: place in Z's head -> numbers of the sets that share slices.
    """

    def __init__(self, grids: Mapping[int, WindowSet], groups: Mapping[int, Sequence[int]], heads: int) -> None:
        self._grids: dict[int, Grid] = {}
        for number, spec in grids.items():
            assert isinstance(spec.kind, (Tumbling, Sliding))
            self._grids[number] = Grid(spec.kind)
        self._groups, self._heads = groups, heads
        self._low = self._high = 0
        self.Z: Ints = np.zeros(max(heads, 1), np.int64)

    def cover(self, low: int, high: int) -> None:
        """Have the tables reach over [low, high], ms."""
        if not self._grids or (self._low < self._high and self._low <= low and high <= self._high):
            return
        first = self._low == self._high
        self._low = low - AHEAD if first or low < self._low else self._low
        self._high = min(high, END) + AHEAD if first or high > self._high else self._high
        words: list[int] = [0] * self._heads
        edges: dict[int, list[int]] = {}
        for number, grid in self._grids.items():
            k, spans = self._spans(grid)
            words[number] = len(words)
            starts, ends = [a for a, _ in spans], [b for _, b in spans]
            edges[number] = starts + ends
            words += [k, len(spans), *starts, *ends]
        for head, members in self._groups.items():
            shared = sorted({edge for number in members for edge in edges[number]})
            words[head] = len(words)
            words += [len(shared), *shared]
        self.Z = np.array(words, np.int64)

    def _spans(self, grid: Grid) -> tuple[int, list[tuple[int, int]]]:
        """Windows from far before to far behind what is asked for, so that no edge of theirs is missing between."""
        far = 3 * grid.size + 4 * DAY
        first = (self._low - far - grid.offset) // grid.every
        last = (self._high + far - grid.offset) // grid.every
        return first, [grid._span(k) for k in range(first, last + 1)]


def zone_tables(sets: Sequence[WindowSet], zoned: Sequence[int], groups: Mapping[int, Sequence[int]]) -> ZoneTables:
    """The tables of the sets in a time zone, and of those that share slices there; heads: one a set, then one a group."""
    return ZoneTables({i: sets[i] for i in zoned}, groups, max(groups, default=len(sets)) + 1)
