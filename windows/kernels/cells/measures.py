# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a measure is worth over a window's items (see cells/cells.py): numbers as float64, nothing as nan, values as their codes."""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_join
from windows.kernels.cells.pairs import HUGE, LARGE, spread
from windows.kernels.memory.arena import ACC, LIST_DATA, LIST_N, UNIQUE
from windows.kernels.memory.codesets import value_at, values_count, values_span
from windows.kernels.memory.sorted import between
from windows.kernels.slots import alike
from windows.kernels.tables import measure_at, set_at
from windows.kernels.words import node_at, number_at


@inlined
def joined(core, s, at, n, D):
    """The place of the cells of a set's measures over n items: the item's own, where it is but one."""
    M, S = core.M, core.S
    spec = set_at(core.P, s)
    if n == 1 and S[at + 1] < 0:
        return S[at]
    cells_join(core, spec.cells, spec.ncells, M[ACC], at, n, D)
    return M[ACC]


@inlined
def measure_of(core, f, base, at, n, D):
    """The value of the measure at P[f] over n items, whose joined cells are at `base`."""
    M = core.M
    measure = measure_at(core.P, f)
    fn = measure.fn
    cell = base + measure.cell
    if fn == tables.F_COUNT:
        return float(M[cell])
    if fn <= tables.F_STD:
        return number_of(M, fn, cell, base + measure.cell2)
    if fn == tables.F_DISTINCT:
        return float(distinct_of(core, f, at, n, D))
    if fn == tables.F_FIRST or fn == tables.F_LAST:
        return np.nan if M[cell + 1] < 0 else float(M[cell + 1])
    if fn == tables.F_QUANTILE:
        return quantile_of(core, f, at, n, D)
    known = M[base + measure.cell2]
    return M[cell] / known if known > 0 else np.nan


@inlined
def number_of(M, fn, place, squares):
    """sum, mean, min, max, var or std of a number's cell, and of the cell of its squares."""
    cell = number_at(M, place)
    n = cell.n & (HUGE - 1)
    scale = LARGE if cell.n >= HUGE else 1.0
    if fn == tables.F_SUM:
        return (cell.high + cell.low) * scale
    if n == 0:
        return np.nan
    if fn == tables.F_MEAN:
        return (cell.high + cell.low) / n * scale
    if fn == tables.F_MIN:
        return cell.least
    if fn == tables.F_MAX:
        return cell.most
    if n < 2:
        return np.nan
    X = floats_of(M)
    return spread(cell.n, cell.high, cell.low, X[squares], X[squares + 1], fn == tables.F_STD)


@kernel
def distinct_of(core, f, at, n, D):
    """How many different values, however spelled: one is counted where its stamp is not this call's."""
    M, S, STAMP = core.M, core.S, core.STAMP
    measure = measure_at(core.P, f)
    if n == 1 and S[at + 1] < 0:
        return values_count(M, S[at] + measure.cell)
    M[UNIQUE] += 1
    mark = M[UNIQUE]
    total = np.int64(0)
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            total += unseen(core, p + measure.cell, mark)
            continue
        cap = node_at(M, p).cap
        for e in range(S[j + 1], S[j + 2]):
            if (M[p + D + w.MASKS * cap + e] >> measure.bit) & 1:
                code = alike(M[p + D + measure.column * cap + e])
                if STAMP[code] != mark:
                    STAMP[code] = mark
                    total += 1
    return total


@kernel
def unseen(core, at, mark):
    """How many values of a cell have not been seen under this mark; now they have."""
    M, STAMP = core.M, core.STAMP
    total = np.int64(0)
    first, end = values_span(M, at)
    for p in range(first, end):
        code = value_at(M, at, p)
        if code >= 0 and STAMP[code] != mark:
            STAMP[code] = mark
            total += 1
    return total


@kernel
def quantile_of(core, f, at, n, D):
    """Exact: all values, sorted."""
    M, X, S = core.M, floats_of(core.M), core.S
    measure = measure_at(core.P, f)
    most = 0
    for j in range(at, at + 3 * n, 3):
        if S[j + 1] >= 0:
            most += S[j + 2] - S[j + 1]
        elif M[S[j] + measure.cell] != 0:
            most += M[M[S[j] + measure.cell] + LIST_N]
    values = np.empty(most)
    k = 0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            kept = M[p + measure.cell]
            for e in range(M[kept + LIST_N] if kept != 0 else 0):
                values[k] = X[kept + LIST_DATA + e]
                k += 1
            continue
        cap = node_at(M, p).cap
        for e in range(S[j + 1], S[j + 2]):
            if (M[p + D + w.MASKS * cap + e] >> measure.bit) & 1:
                values[k] = X[p + D + measure.column * cap + e]
                k += 1
    values = np.sort(values[:k])
    return between(values, 0, k, floats_of(core.P)[measure.q])
