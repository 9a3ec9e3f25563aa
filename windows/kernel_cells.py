# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Cells: the parts of measures that slices and nodes keep, and that can be combined but are never reverted.

A window is given as `items` in the scratch S, three words each: (place of a node's cells, -1, 0), or (leaf, from, to) for single
events of a history. `at` is the first item's word, n how many there are. Sums are pairs (high, low) by Knuth's two-sum; squares are
combined by Chan's formula around the mean of the whole.
"""

from __future__ import annotations

import numpy as np

from windows import kernel_layout as w
from windows.arena import LIST_DATA, LIST_N, STRIDE, list_free, list_new, list_push
from windows.jit import kernel
from windows.kernel_values import values_add, values_free


@kernel
def cells_clear(M, X, P, g, base):
    """A node's cells of nothing."""
    for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
        at = base + P[c + w.C_AT]
        kind = P[c + w.C_TYPE]
        M[at] = 0
        if kind == w.SUM:
            M[at + 1] = 0
        elif kind == w.MIN:
            X[at] = np.inf
        elif kind == w.MAX:
            X[at] = -np.inf
        elif kind == w.FIRST or kind == w.LAST:
            M[at + 1] = -1


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


@kernel
def cells_add(M, X, P, g, base, mask, t, NUM, CODE, i):
    """One event's values into a slice's cells. A square stands before its count and sum, which it needs as they were."""
    c = P[g + w.G_CELLS]
    end = c + P[g + w.G_NCELLS] * w.C_WORDS
    while c < end:
        if (mask >> P[c + w.C_BIT]) & 1:
            at = base + P[c + w.C_AT]
            kind = P[c + w.C_TYPE]
            if kind == w.CNT:
                M[at] += 1
            elif kind <= w.MAX:
                number_add(M, X, P, c, kind, base, at, NUM[P[c + w.C_COL] * M[STRIDE] + i])
            elif kind == w.QUANT:
                if M[at] == 0:
                    M[at] = list_new(M, 2)
                M[at] = list_push(M, M[at], 0)
                X[M[at] + LIST_DATA + M[M[at] + LIST_N] - 1] = NUM[P[c + w.C_COL] * M[STRIDE] + i]
            else:
                value_add(M, kind, at, t, CODE[P[c + w.C_COL] * M[STRIDE] + i])
        c += w.C_WORDS


@kernel
def number_add(M, X, P, c, kind, base, at, x):
    if kind == w.SUM:
        s = X[at] + x
        b = s - X[at]
        X[at + 1] += (X[at] - (s - b)) + (x - b)
        X[at] = s
    elif kind == w.M2:
        n = M[base + P[c + w.C_CNT]]
        if n > 0:
            total = base + P[c + w.C_SUM]
            apart = x - (X[total] + X[total + 1]) / n
            X[at] += apart * apart * (n / (n + 1.0))
    elif kind == w.MIN:
        if x < X[at]:
            X[at] = x
    elif x > X[at]:
        X[at] = x


@kernel
def value_add(M, kind, at, t, code):
    """Into a first, a last or a set of values."""
    if kind == w.DISTINCT:
        values_add(M, at, code)
    elif M[at + 1] < 0 or (kind == w.FIRST and t < M[at]) or (kind == w.LAST and t >= M[at]):
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
            m = p + D + w.V_MASK * M[p + w.N_CAP]
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
            m = p + D + w.V_MASK * M[p + w.N_CAP]
            v = p + D + col * M[p + w.N_CAP]
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
            m = p + D + w.V_MASK * M[p + w.N_CAP]
            v = p + D + col * M[p + w.N_CAP]
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
            m = p + D + w.V_MASK * M[p + w.N_CAP]
            v = p + D + col * M[p + w.N_CAP]
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
            cap = M[p + w.N_CAP]
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + w.V_MASK * cap + e] >> bit) & 1 and (last or code < 0):
                    t = M[p + D + w.V_T * cap + e]
                    code = M[p + D + col * cap + e]
    return t, code
