# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a measure is worth over a window's items (see kernel_cells): numbers as float64, nothing as nan, values as their codes."""

from __future__ import annotations

import numpy as np

from windows import kernel_layout as w
from windows.arena import EMPTY, LIST_DATA, LIST_N, MAP_DATA, MAP_MASK, MEMO, UNIQUE
from windows.jit import kernel
from windows.kernel_cells import count_of, edge_of, extreme_of, squares_of, sum_of
from windows.kernel_values import values_count


@kernel
def measure_of(M, X, P, PX, f, S, at, n, D, STAMP):
    """The value of the measure at P[f] over n items."""
    fn = P[f + w.F_FN]
    bit = P[f + w.F_BIT]
    if fn == w.F_COUNT:
        return float(known_count(M, P, S, at, n, D, bit, P[f + w.F_CNT]))
    if fn <= w.F_STD and fn != w.F_MIN and fn != w.F_MAX:
        return moment_of(M, X, P, f, fn, S, at, n, D)
    if fn == w.F_MIN or fn == w.F_MAX:
        sign = 1.0 if fn == w.F_MAX else -1.0
        best = extreme_of(M, X, S, at, n, D, bit, P[f + w.F_COL], P[f + w.F_CELL], sign)
        return np.nan if best == -np.inf else sign * best
    if fn == w.F_DISTINCT:
        return float(distinct_of(M, S, at, n, D, bit, P[f + w.F_COL], P[f + w.F_CELL], STAMP))
    if fn == w.F_FIRST or fn == w.F_LAST:
        _t, code = edge_of(M, S, at, n, D, bit, P[f + w.F_COL], P[f + w.F_CELL], fn == w.F_LAST)
        return np.nan if code < 0 else float(code)
    if fn == w.F_QUANTILE:
        return quantile_of(M, X, S, at, n, D, bit, P[f + w.F_COL], P[f + w.F_CELL], PX[P[f + w.F_Q]])
    known = count_of(M, P, S, at, n, D, P[f + w.F_BIT2], P[f + w.F_CNT2])
    return count_of(M, P, S, at, n, D, bit, P[f + w.F_CNT]) / known if known > 0 else np.nan


@kernel
def forget_sums(M):
    """Other items than before are at hand."""
    M[MEMO] = 0
    M[MEMO + 3] = 0


@kernel
def known_count(M, P, S, at, n, D, bit, cell):
    """How many events entered; asked again by the next measure it is not counted again."""
    if M[MEMO + 3] != cell + 1:
        M[MEMO + 3] = cell + 1
        M[MEMO + 4] = count_of(M, P, S, at, n, D, bit, cell)
    return M[MEMO + 4]


@kernel
def moment_of(M, X, P, f, fn, S, at, n, D):
    """sum, mean, var or std."""
    bit = P[f + w.F_BIT]
    if M[MEMO] != P[f + w.F_SUM] + 1:
        M[MEMO] = P[f + w.F_SUM] + 1
        X[MEMO + 1], X[MEMO + 2] = sum_of(M, X, S, at, n, D, bit, P[f + w.F_COL], P[f + w.F_SUM])
    total = X[MEMO + 1] + X[MEMO + 2]
    if fn == w.F_TOTAL:
        return total
    k = known_count(M, P, S, at, n, D, bit, P[f + w.F_CNT])
    if fn == w.F_MEAN:
        return total / k if k > 0 else np.nan
    if k < 2:
        return np.nan
    squares = squares_of(M, X, S, at, n, D, bit, P[f + w.F_COL], total / k, P[f + w.F_CELL], P[f + w.F_CNT], P[f + w.F_SUM])
    var = squares / (k - 1)
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
