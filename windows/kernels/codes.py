# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Which values are still in use, however spelled: all that slices and histories hold is looked through, now and then."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.history.tree import data_of
from windows.kernels.memory.codesets import value_at, values_span
from windows.kernels.slots import alike
from windows.kernels.tables import CELL_WORDS, cell_at, group_at
from windows.kernels.words import chain_at, history_at, node_at, root_at, slice_at


@kernel
def mark_values(M, at, used):
    """The codes in a cell of distinct values."""
    begin, end = values_span(M, at)
    for p in range(begin, end):
        if value_at(M, at, p) >= 0:
            used[value_at(M, at, p)] = 1


@kernel
def mark_slices(core, g, root, used):
    """The codes in a key's slices."""
    M, P = core.M, core.P
    group = group_at(P, g)
    node = chain_at(M, root + group.chain).head
    while node != 0:
        for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
            at = node + w.SLICE_CELLS + cell_at(P, c).at
            kind = cell_at(P, c).type
            if kind == tables.DISTINCT:
                mark_values(M, at, used)
            elif kind in (tables.FIRST, tables.LAST) and M[at + 1] >= 0:
                used[alike(M[at + 1])] = 1
        node = slice_at(M, node).next


@kernel
def mark_history(core, g, root, used):
    """The codes in a key's events."""
    M, P = core.M, core.P
    group = group_at(P, g)
    h = chain_at(M, root + group.chain).head
    while h != 0:
        leaf = history_at(M, h).first
        while leaf != 0:
            for c in range(w.FIELDS, group.ncolumns):
                d = leaf + data_of(core, g) + c * node_at(M, leaf).cap
                for i in range(d, d + node_at(M, leaf).n):
                    if P[group.columns + c] < 0 and M[i] >= 0:
                        used[alike(M[i])] = 1
            leaf = node_at(M, leaf).next
        h = history_at(M, h).next


@kernel
def codes_used(core, nroots, groups, ngroups, used):
    """Mark every value that some key still holds."""
    M, P, ROOTS = core.M, core.P, core.ROOTS
    for slot in range(nroots):
        root = ROOTS[slot]
        for j in range(ngroups):
            g = groups[j]
            group = group_at(P, g)
            if root == 0 or root_at(M, root).route != group.route:
                continue
            if group.kind == tables.GRID:
                mark_slices(core, g, root, used)
            else:
                mark_history(core, g, root, used)
