# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Cells: the parts of measures that slices and nodes keep, and that can be combined but are never reverted.

A window is given as `items` in the scratch S, three words each: (place of a node's cells, -1, 0), or (leaf, from, to) for single
events of a history. `at` is the first item's word, n how many there are. Sums are pairs (high, low), see cells/pairs.py.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.pairs import HUGE, LIMIT, huge_add, huge_join, square_add, squares_join, two_sum
from windows.kernels.memory.arena import LIST_DATA, LIST_N, list_free, list_new, list_push
from windows.kernels.memory.codesets import values_add, values_free
from windows.kernels.slots import alike
from windows.kernels.tables import CELL_WORDS, cell_at, group_at
from windows.kernels.words import node_at, number_at


@kernel
def cells_clear(core, g, base):
    """A node's cells of nothing."""
    M, X, P = core.M, floats_of(core.M), core.P
    group = group_at(P, g)
    for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
        cell = cell_at(P, c)
        at = base + cell.at
        M[at] = 0
        if cell.type == tables.NUMBER:
            number_put(M, at, 0, 0.0, 0.0, np.inf, -np.inf)
        elif cell.type == tables.SQUARES:
            X[at] = 0.0
            X[at + 1] = 0.0
        elif cell.type == tables.FIRST or cell.type == tables.LAST:
            M[at + 1] = -1


@kernel
def number_put(M, at, n, high, low, least, most):
    """The words of a number's cell."""
    cell = number_at(M, at)
    cell.n = n
    cell.high = high
    cell.low = low
    cell.least = least
    cell.most = most


@kernel
def cells_free(core, g, base):
    """Let go of what cells keep elsewhere."""
    M, P = core.M, core.P
    group = group_at(P, g)
    for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
        cell = cell_at(P, c)
        if cell.type == tables.DISTINCT:
            values_free(M, base + cell.at)
        elif cell.type == tables.QUANTILE and M[base + cell.at] != 0:
            list_free(M, M[base + cell.at])


@inlined
def cells_add(core, rows, g, base, mask, t, i):
    """One event's values into a slice's cells."""
    M, X, P = core.M, floats_of(core.M), core.P
    NUM, CODE = rows.numbers, rows.codes
    group = group_at(P, g)
    for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
        cell = cell_at(P, c)
        if not (mask >> cell.bit) & 1:
            continue
        at = base + cell.at
        if cell.type == tables.COUNT:
            M[at] += 1
        elif cell.type == tables.NUMBER:
            number_add(M, at, cell.flags, NUM[cell.column * rows.n + i])
        elif cell.type == tables.SQUARES:
            square_add(X, at, NUM[cell.column * rows.n + i])
        elif cell.type == tables.QUANTILE:
            if M[at] == 0:
                M[at] = list_new(M, 2)
            M[at] = list_push(M, M[at], 0)
            X[M[at] + LIST_DATA + M[M[at] + LIST_N] - 1] = NUM[cell.column * rows.n + i]
        else:
            value_add(M, cell.type, at, t, CODE[cell.column * rows.n + i])


@inlined
def number_add(M, at, flags, x):
    """One number into a cell."""
    cell = number_at(M, at)
    n = cell.n + 1
    high, lost = two_sum(cell.high, x)
    low = cell.low + lost
    if n < HUGE and abs(high) + abs(low) < LIMIT:
        cell.n = n
        cell.high = high
        cell.low = low
    else:
        huge_add(M, at, x)
    if flags & tables.EXTREMES:
        if x < cell.least:
            cell.least = x
        if x > cell.most:
            cell.most = x


@kernel
def value_add(M, kind, at, t, code):
    """Into a first, a last or a set of values."""
    if kind == tables.DISTINCT:
        values_add(M, at, alike(code))
    elif M[at + 1] < 0 or (kind == tables.FIRST and t < M[at]) or (kind == tables.LAST and t >= M[at]):
        M[at] = t
        M[at + 1] = code


@inlined
def cells_join(core, cells, ncells, base, at, n, D):
    """The cells at P[cells] over n items, to `base`. Values and quantiles are not joined: they are asked of the items."""
    M, P = core.M, core.P
    for c in range(cells, cells + ncells * CELL_WORDS, CELL_WORDS):
        cell = cell_at(P, c)
        to = base + cell.at
        if cell.type == tables.NUMBER:
            numbers_join(core, c, at, n, D, to)
        elif cell.type == tables.SQUARES:
            squares_join(core, c, at, n, D, to)
        elif cell.type == tables.COUNT:
            M[to] = count_of(core, c, at, n, D)
        elif cell.type == tables.FIRST or cell.type == tables.LAST:
            M[to], M[to + 1] = edge_of(core, c, at, n, D)


@inlined
def count_of(core, c, at, n, D):
    """How many events entered."""
    M, S = core.M, core.S
    cell = cell_at(core.P, c)
    total = 0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            total += M[p + cell.at]
        else:
            m = p + D + w.MASKS * node_at(M, p).cap
            for e in range(m + S[j + 1], m + S[j + 2]):
                total += (M[e] >> cell.bit) & 1
    return total


@inlined
def numbers_join(core, c, at, n, D, to):
    """A number's cell over n items."""
    M, S = core.M, core.S
    place = cell_at(core.P, c).at
    total = 0
    high = 0.0
    low = 0.0
    least = np.inf
    most = -np.inf
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            own = number_at(M, p + place)
            k, x, y, a, b = own.n, own.high, own.low, own.least, own.most
        else:
            k, x, y, a, b = number_of_events(core, c, p, S[j + 1], S[j + 2], D)
        least = min(least, a)
        most = max(most, b)
        total += k
        high, lost = two_sum(high, x)
        low += lost + y
    if total >= HUGE or not abs(high) + abs(low) < LIMIT:
        total, high, low = huge_join(core, c, at, n, D)
    number_put(M, to, total, high, low, least, most)


@inlined
def number_of_events(core, c, leaf, begin, end, D):
    """(how many, high, low, least, greatest) of the events [begin, end) of a leaf; the last two if they are asked for."""
    M, X = core.M, floats_of(core.M)
    cell = cell_at(core.P, c)
    cap = node_at(M, leaf).cap
    bit, extremes = cell.bit, cell.flags & tables.EXTREMES
    m = leaf + D + w.MASKS * cap
    v = leaf + D + cell.column * cap
    n = 0
    high = 0.0
    low = 0.0
    least = np.inf
    most = -np.inf
    for e in range(begin, end):
        if (M[m + e] >> bit) & 1:
            x = X[v + e]
            n += 1
            high, lost = two_sum(high, x)
            low += lost
            if extremes:
                least = min(least, x)
                most = max(most, x)
    return n, high, low, least, most


@kernel
def edge_of(core, c, at, n, D):
    """(time, code) of the first or last value; code -1 of nothing. Items are in order of time, equal times in order of arrival."""
    M, S = core.M, core.S
    cell = cell_at(core.P, c)
    last = cell.type == tables.LAST
    place = cell.at
    t = np.int64(0)
    code = np.int64(-1)
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            if M[p + place + 1] >= 0 and (code < 0 or (last and M[p + place] >= t) or (not last and M[p + place] < t)):
                t = M[p + place]
                code = M[p + place + 1]
        else:
            cap = node_at(M, p).cap
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + w.MASKS * cap + e] >> cell.bit) & 1 and (last or code < 0):
                    t = M[p + D + w.TIMES * cap + e]
                    code = M[p + D + cell.column * cap + e]
    return t, code
