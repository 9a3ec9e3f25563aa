# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a measure is worth over a window's items (see cells/cells.py): numbers as float64, nothing as nan, values as their codes."""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_join
from windows.kernels.cells.pairs import variance
from windows.kernels.memory.arena import ACC, EMPTY, LIST_DATA, LIST_N, MAP_DATA, MAP_MASK, UNIQUE
from windows.kernels.memory.codesets import values_count


@inlined
def joined(M, X, P, s, S, at, n, D):
    """The place of the cells of a set's measures over n items: the item's own, where it is but one."""
    if n == 1 and S[at + 1] < 0:
        return S[at]
    cells_join(M, X, P, P[s + w.S_CELLS], P[s + w.S_NCELLS], M[ACC], S, at, n, D)
    return M[ACC]


@inlined
def measure_of(M, X, P, PX, f, base, S, at, n, D, STAMP):
    """The value of the measure at P[f] over n items, whose joined cells are at `base`."""
    fn = P[f + w.F_FN]
    cell = base + P[f + w.F_CELL]
    if fn == w.F_COUNT:
        return float(M[cell])
    if fn <= w.F_STD:
        return number_of(M, X, fn, cell, base + P[f + w.F_CELL2])
    if fn == w.F_DISTINCT:
        return float(distinct_of(M, S, at, n, D, P[f + w.F_BIT], P[f + w.F_COL], P[f + w.F_CELL], STAMP))
    if fn == w.F_FIRST or fn == w.F_LAST:
        return np.nan if M[cell + 1] < 0 else float(M[cell + 1])
    if fn == w.F_QUANTILE:
        return quantile_of(M, X, S, at, n, D, P[f + w.F_BIT], P[f + w.F_COL], P[f + w.F_CELL], PX[P[f + w.F_Q]])
    known = M[base + P[f + w.F_CELL2]]
    return M[cell] / known if known > 0 else np.nan


@inlined
def number_of(M, X, fn, cell, squares):
    """sum, mean, min, max, var or std of a number's cell, and of the cell of its squares."""
    n = M[cell + w.X_N]
    if fn == w.F_TOTAL:
        return X[cell + w.X_HIGH] + X[cell + w.X_LOW]
    if n == 0:
        return np.nan
    if fn == w.F_MEAN:
        return (X[cell + w.X_HIGH] + X[cell + w.X_LOW]) / n
    if fn == w.F_MIN:
        return X[cell + w.X_MIN]
    if fn == w.F_MAX:
        return X[cell + w.X_MAX]
    if n < 2:
        return np.nan
    var = variance(n, X[cell + w.X_HIGH], X[cell + w.X_LOW], X[squares], X[squares + 1])
    return np.sqrt(var) if fn == w.F_STD else var


@kernel
def distinct_of(M, S, at, n, D, bit, col, cell, STAMP):
    """How many different values: a code is counted where its stamp is not this call's."""
    if n == 1 and S[at + 1] < 0:
        return values_count(M, S[at] + cell)
    M[UNIQUE] += 1
    mark = M[UNIQUE]
    total = np.int64(0)
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            total += unseen(M, p + cell, STAMP, mark)
            continue
        for e in range(S[j + 1], S[j + 2]):
            if (M[p + D + w.V_MASK * M[p + w.N_CAP] + e] >> bit) & 1:
                code = M[p + D + col * M[p + w.N_CAP] + e]
                if STAMP[code] != mark:
                    STAMP[code] = mark
                    total += 1
    return total


@kernel
def unseen(M, at, STAMP, mark):
    """How many values of a cell have not been seen under this mark; now they have."""
    values = M[at]
    total = np.int64(0)
    if values >= 0:
        first = at + 1 if values <= w.INLINE else values + LIST_DATA
        for p in range(first, first + values_count(M, at)):
            if STAMP[M[p]] != mark:
                STAMP[M[p]] = mark
                total += 1
        return total
    for p in range(-values + MAP_DATA, -values + MAP_DATA + 2 * (M[-values + MAP_MASK] + 1), 2):
        if M[p] != EMPTY and STAMP[M[p]] != mark:
            STAMP[M[p]] = mark
            total += 1
    return total


@kernel
def quantile_of(M, X, S, at, n, D, bit, col, cell, q):
    """Exact: all values, sorted."""
    most = 0
    for j in range(at, at + 3 * n, 3):
        if S[j + 1] >= 0:
            most += S[j + 2] - S[j + 1]
        elif M[S[j] + cell] != 0:
            most += M[M[S[j] + cell] + LIST_N]
    values = np.empty(most)
    k = 0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            if M[p + cell] != 0:
                for e in range(M[M[p + cell] + LIST_N]):
                    values[k] = X[M[p + cell] + LIST_DATA + e]
                    k += 1
            continue
        for e in range(S[j + 1], S[j + 2]):
            if (M[p + D + w.V_MASK * M[p + w.N_CAP] + e] >> bit) & 1:
                values[k] = X[p + D + col * M[p + w.N_CAP] + e]
                k += 1
    values = np.sort(values[:k])
    return between(values, 0, k, q)


@kernel
def between(values, at, k, q):
    """The quantile of k sorted values from values[at] on, linear between neighbours."""
    if k == 0:
        return np.nan
    place = (k - 1) * q
    low = int(np.floor(place))
    a = values[at + low]
    b = values[at + min(low + 1, k - 1)]
    part = place - low
    if np.isinf(b - a):
        return a * (1 - part) + b * part
    return a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)
