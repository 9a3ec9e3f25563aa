# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Cells: the parts of measures that slices and nodes keep, and that can be combined but are never reverted.

A window is given as `items` in the scratch S, three words each: (place of a node's cells, -1, 0), or (leaf, from, to) for single
events of a history. `at` is the first item's word, n how many there are. Sums are pairs (high, low), see cells/pairs.py.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.pairs import square_add, squares_join, two_sum
from windows.kernels.memory.arena import LIST_DATA, LIST_N, STRIDE, list_free, list_new, list_push
from windows.kernels.memory.codesets import values_add, values_free


@kernel
def cells_clear(M, X, P, g, base):
    """A node's cells of nothing."""
    for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
        at = base + P[c + w.C_AT]
        kind = P[c + w.C_TYPE]
        M[at] = 0
        if kind == w.STATS:
            stats_put(M, X, at, 0, 0.0, 0.0, np.inf, -np.inf)
        elif kind == w.SQUARED:
            X[at] = 0.0
            X[at + 1] = 0.0
        elif kind == w.FIRST or kind == w.LAST:
            M[at + 1] = -1


@kernel
def stats_put(M, X, at, n, high, low, least, most):
    M[at + w.X_N] = n
    X[at + w.X_HIGH] = high
    X[at + w.X_LOW] = low
    X[at + w.X_MIN] = least
    X[at + w.X_MAX] = most


@kernel
def cells_free(M, P, g, base):
    """Let go of what cells keep elsewhere."""
    for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
        at = base + P[c + w.C_AT]
        if M[at] != 0:
            if P[c + w.C_TYPE] == w.DISTINCT:
                values_free(M, at)
            elif P[c + w.C_TYPE] == w.QUANT:
                list_free(M, M[at])


@inlined
def cells_add(M, X, P, g, base, mask, t, NUM, CODE, i):
    """One event's values into a slice's cells."""
    c = P[g + w.G_CELLS]
    end = c + P[g + w.G_NCELLS] * w.C_WORDS
    while c < end:
        if (mask >> P[c + w.C_BIT]) & 1:
            at = base + P[c + w.C_AT]
            kind = P[c + w.C_TYPE]
            if kind == w.CNT:
                M[at] += 1
            elif kind == w.STATS:
                stats_add(M, X, at, P[c + w.C_FLAGS], NUM[P[c + w.C_COL] * M[STRIDE] + i])
            elif kind == w.SQUARED:
                square_add(X, at, NUM[P[c + w.C_COL] * M[STRIDE] + i])
            elif kind == w.QUANT:
                if M[at] == 0:
                    M[at] = list_new(M, 2)
                M[at] = list_push(M, M[at], 0)
                X[M[at] + LIST_DATA + M[M[at] + LIST_N] - 1] = NUM[P[c + w.C_COL] * M[STRIDE] + i]
            else:
                value_add(M, kind, at, t, CODE[P[c + w.C_COL] * M[STRIDE] + i])
        c += w.C_WORDS


@inlined
def stats_add(M, X, at, flags, x):
    """One number into a cell."""
    M[at + w.X_N] += 1
    X[at + w.X_HIGH], lost = two_sum(X[at + w.X_HIGH], x)
    X[at + w.X_LOW] += lost
    if flags & w.EXTREMES:
        if x < X[at + w.X_MIN]:
            X[at + w.X_MIN] = x
        if x > X[at + w.X_MAX]:
            X[at + w.X_MAX] = x


@kernel
def value_add(M, kind, at, t, code):
    """Into a first, a last or a set of values."""
    if kind == w.DISTINCT:
        values_add(M, at, code)
    elif M[at + 1] < 0 or (kind == w.FIRST and t < M[at]) or (kind == w.LAST and t >= M[at]):
        M[at] = t
        M[at + 1] = code


@inlined
def cells_join(M, X, P, cells, ncells, base, S, at, n, D):
    """The cells at P[cells] over n items, to `base`. Values and quantiles are not joined: they are asked of the items."""
    for c in range(cells, cells + ncells * w.C_WORDS, w.C_WORDS):
        kind = P[c + w.C_TYPE]
        cell = P[c + w.C_AT]
        to = base + cell
        if kind == w.STATS:
            stats_join(M, X, S, at, n, D, P[c + w.C_BIT], P[c + w.C_COL], cell, P[c + w.C_FLAGS], to)
        elif kind == w.SQUARED:
            squares_join(M, X, S, at, n, D, P[c + w.C_BIT], P[c + w.C_COL], cell, to)
        elif kind == w.CNT:
            M[to] = count_of(M, S, at, n, D, P[c + w.C_BIT], cell)
        elif kind == w.FIRST or kind == w.LAST:
            M[to], M[to + 1] = edge_of(M, S, at, n, D, P[c + w.C_BIT], P[c + w.C_COL], cell, kind == w.LAST)


@inlined
def count_of(M, S, at, n, D, bit, cell):
    """How many events entered."""
    total = 0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            total += M[p + cell]
        else:
            m = p + D + w.V_MASK * M[p + w.N_CAP]
            for e in range(m + S[j + 1], m + S[j + 2]):
                total += (M[e] >> bit) & 1
    return total


@inlined
def stats_join(M, X, S, at, n, D, bit, col, cell, flags, to):
    """A number's cell over n items."""
    total = 0
    high = 0.0
    low = 0.0
    least = np.inf
    most = -np.inf
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            k = M[p + cell + w.X_N]
            x = X[p + cell + w.X_HIGH]
            y = X[p + cell + w.X_LOW]
            least = min(least, X[p + cell + w.X_MIN])
            most = max(most, X[p + cell + w.X_MAX])
        else:
            k, x, y, a, b = stats_of_events(M, X, p + D, M[p + w.N_CAP], S[j + 1], S[j + 2], bit, col, flags)
            least = min(least, a)
            most = max(most, b)
        total += k
        high, lost = two_sum(high, x)
        low += lost + y
    stats_put(M, X, to, total, high, low, least, most)


@inlined
def stats_of_events(M, X, d, cap, begin, end, bit, col, flags):
    """(how many, high, low, least, greatest) of the events [begin, end) of a leaf; the last two if they are asked for."""
    m = d + w.V_MASK * cap
    v = d + col * cap
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
            if flags & w.EXTREMES:
                least = min(least, x)
                most = max(most, x)
    return n, high, low, least, most


@kernel
def edge_of(M, S, at, n, D, bit, col, cell, last):
    """(time, code) of the first or last value; code -1 of nothing. Items are in order of time, equal times in order of arrival."""
    t = np.int64(0)
    code = np.int64(-1)
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            if M[p + cell + 1] >= 0 and (code < 0 or (last and M[p + cell] >= t) or (not last and M[p + cell] < t)):
                t = M[p + cell]
                code = M[p + cell + 1]
        else:
            cap = M[p + w.N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + w.V_MASK * cap + e] >> bit) & 1 and (last or code < 0):
                    t = M[p + D + w.V_T * cap + e]
                    code = M[p + D + col * cap + e]
    return t, code
