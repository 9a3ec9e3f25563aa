"""Cells: the parts of measures that slices and nodes keep, and that can be combined but are never reverted.

A window is given as `items` in the scratch S, three words each: (place of a node's cells, -1, 0), or (leaf, from, to) for single
events of a history. `at` is the first item's word, n how many there are. Sums are pairs (high, low) by Knuth's two-sum; squares are
combined by Chan's formula around the mean of the whole.
"""

from __future__ import annotations

import numpy as np

from windows.arena import (
    EMPTY, LIST_DATA, LIST_N, MAP_N, STRIDE, list_free, list_new, list_push, map_add, map_find, map_free, map_grown, map_new,
)  # fmt: skip
from windows.jit import kernel
from windows.kernel_layout import (
    C_AT, C_BIT, C_CNT, C_COL, C_SUM, C_TYPE, C_WORDS, CNT, DISTINCT, FIRST, G_CELLS, G_NCELLS, INLINE, LAST, M2, MAX, MIN,
    N_CAP, QUANT, SUM, V_MASK, V_T,
)  # fmt: skip

SMALL = 8  # a set of values is a list up to this many


@kernel
def cells_clear(M, X, P, g, base):
    """A node's cells of nothing."""
    for c in range(P[g + G_CELLS], P[g + G_CELLS] + P[g + G_NCELLS] * C_WORDS, C_WORDS):
        at = base + P[c + C_AT]
        kind = P[c + C_TYPE]
        M[at] = 0
        if kind == SUM:
            M[at + 1] = 0
        elif kind == MIN:
            X[at] = np.inf
        elif kind == MAX:
            X[at] = -np.inf
        elif kind == FIRST or kind == LAST:
            M[at + 1] = -1


@kernel
def cells_free(M, P, g, base):
    """Let go of what cells keep elsewhere."""
    for c in range(P[g + G_CELLS], P[g + G_CELLS] + P[g + G_NCELLS] * C_WORDS, C_WORDS):
        at = base + P[c + C_AT]
        if M[at] != 0:
            if P[c + C_TYPE] == DISTINCT:
                values_free(M, at)
            elif P[c + C_TYPE] == QUANT:
                list_free(M, M[at])


@kernel
def values_free(M, at):
    """Let go of what a cell of distinct values keeps elsewhere."""
    if M[at] < 0:
        map_free(M, -M[at])
    elif M[at] > INLINE:
        list_free(M, M[at])
    M[at] = 0


@kernel
def values_count(M, at):
    """How many values a cell of distinct values holds."""
    values = M[at]
    if 0 <= values <= INLINE:
        return values
    return M[abs(values) + (LIST_N if values > 0 else MAP_N)]


@kernel
def values_add(M, at, code):
    """One more value into a cell of distinct values: in the cell itself, then in a list, then in a map (its negative place)."""
    values = M[at]
    if values < 0:
        new = map_grown(M, -values)
        p = map_find(M, new, code)
        if M[p] == EMPTY:
            M[p] = code
            M[new + MAP_N] += 1
        M[at] = -new
        return
    n = values if values <= INLINE else M[values + LIST_N]
    first = at + 1 if values <= INLINE else values + LIST_DATA
    for i in range(first, first + n):
        if M[i] == code:
            return
    if n < INLINE:
        M[first + n] = code
        M[at] = n + 1
    elif n == INLINE or n < SMALL:
        if n == INLINE and values <= INLINE:
            values = list_new(M, SMALL)
            for i in range(n):
                values = list_push(M, values, M[first + i])
        M[at] = list_push(M, values, code)
    else:
        values_spread(M, at, code)


@kernel
def values_spread(M, at, code):
    """From a list to a map."""
    values = M[at]
    new = map_new(M, 32)
    for i in range(values + LIST_DATA, values + LIST_DATA + M[values + LIST_N]):
        map_add(M, new, M[i], 1)
    map_add(M, new, code, 1)
    list_free(M, values)
    M[at] = -new


@kernel
def cells_add(M, X, P, g, base, mask, t, NUM, CODE, i):
    """One event's values into a slice's cells. A square stands before its count and sum, which it needs as they were."""
    c = P[g + G_CELLS]
    end = c + P[g + G_NCELLS] * C_WORDS
    while c < end:
        if (mask >> P[c + C_BIT]) & 1:
            at = base + P[c + C_AT]
            kind = P[c + C_TYPE]
            if kind == CNT:
                M[at] += 1
            elif kind <= MAX:
                number_add(M, X, P, c, kind, base, at, NUM[P[c + C_COL] * M[STRIDE] + i])
            elif kind == QUANT:
                if M[at] == 0:
                    M[at] = list_new(M, 2)
                M[at] = list_push(M, M[at], 0)
                X[M[at] + LIST_DATA + M[M[at] + LIST_N] - 1] = NUM[P[c + C_COL] * M[STRIDE] + i]
            else:
                value_add(M, kind, at, t, CODE[P[c + C_COL] * M[STRIDE] + i])
        c += C_WORDS


@kernel
def number_add(M, X, P, c, kind, base, at, x):
    if kind == SUM:
        s = X[at] + x
        b = s - X[at]
        X[at + 1] += (X[at] - (s - b)) + (x - b)
        X[at] = s
    elif kind == M2:
        n = M[base + P[c + C_CNT]]
        if n > 0:
            total = base + P[c + C_SUM]
            apart = x - (X[total] + X[total + 1]) / n
            X[at] += apart * apart * (n / (n + 1.0))
    elif kind == MIN:
        if x < X[at]:
            X[at] = x
    elif x > X[at]:
        X[at] = x


@kernel
def value_add(M, kind, at, t, code):
    """Into a first, a last or a set of values."""
    if kind == DISTINCT:
        values_add(M, at, code)
    elif M[at + 1] < 0 or (kind == FIRST and t < M[at]) or (kind == LAST and t >= M[at]):
        M[at] = t
        M[at + 1] = code


@kernel
def count_of(M, P, S, at, n, D, bit, cell):
    """How many events entered."""
    total = 0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            total += M[p + cell]
        else:
            m = p + D + V_MASK * M[p + N_CAP]
            for e in range(m + S[j + 1], m + S[j + 2]):
                total += (M[e] >> bit) & 1
    return total


@kernel
def sum_of(M, X, S, at, n, D, bit, col, cell):
    """The sum as a pair (high, low)."""
    hi = 0.0
    lo = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            x = X[p + cell]
            s = hi + x
            b = s - hi
            lo += (hi - (s - b)) + (x - b) + X[p + cell + 1]
            hi = s
        else:
            m = p + D + V_MASK * M[p + N_CAP]
            v = p + D + col * M[p + N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[m + e] >> bit) & 1:
                    x = X[v + e]
                    s = hi + x
                    b = s - hi
                    lo += (hi - (s - b)) + (x - b)
                    hi = s
    return hi, lo


@kernel
def squares_of(M, X, S, at, n, D, bit, col, mean, cell, count, total):
    """The sum of squared distances from the mean of the whole."""
    squares = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            k = M[p + count]
            if k > 0:
                apart = (X[p + total] + X[p + total + 1]) / k - mean
                squares += X[p + cell] + k * apart * apart
        else:
            m = p + D + V_MASK * M[p + N_CAP]
            v = p + D + col * M[p + N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[m + e] >> bit) & 1:
                    apart = X[v + e] - mean
                    squares += apart * apart
    return squares


@kernel
def extreme_of(M, X, S, at, n, D, bit, col, cell, sign):
    """The greatest of sign * value; -inf of nothing."""
    best = -np.inf
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            best = max(best, sign * X[p + cell])
        else:
            m = p + D + V_MASK * M[p + N_CAP]
            v = p + D + col * M[p + N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[m + e] >> bit) & 1 and sign * X[v + e] > best:
                    best = sign * X[v + e]
    return best


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
            cap = M[p + N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + V_MASK * cap + e] >> bit) & 1 and (last or code < 0):
                    t = M[p + D + V_T * cap + e]
                    code = M[p + D + col * cap + e]
    return t, code
