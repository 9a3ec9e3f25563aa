# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sums as pairs (high, low) of floats, 106 bits in all: Knuth's two-sum, sums of squares, and the variance.

Each square is taken exactly (Dekker's two-product, by one fused multiply-add). What is lost is far below the last digit of what is
read, so it does not show in which order the parts were put together. A cell of squares is (high, low), high their rounded sum.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined
from compiled.pointers import floats_of, fma
from windows.kernels import words as w
from windows.kernels.tables import cell_at
from windows.kernels.words import node_at

LOST = 2.0**-102  # of a sum of squares, for each value: a variance below it is nothing but what was lost


@inlined
def two_sum(a, b):
    """(their rounded sum, what rounding took from it)."""
    s = a + b
    of_b = s - a
    return s, (a - (s - of_b)) + (b - of_b)


@inlined
def pair_sum(high, low, p, q):
    """(high, low) and (p, q) together."""
    s, lost = two_sum(high, p)
    low += lost + q
    high = s + low
    return high, low - (high - s)


@inlined
def square_add(X, at, x):
    """One value's square into a cell."""
    p = x * x
    X[at], X[at + 1] = pair_sum(X[at], X[at + 1], p, fma(x, x, -p))


@inlined
def squares_join(core, c, at, n, D, to):
    """The squares' cell over n items, one of which may be at `to` itself."""
    X, S = floats_of(core.M), core.S
    place = cell_at(core.P, c).at
    high = 0.0
    low = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            high, low = pair_sum(high, low, X[p + place], X[p + place + 1])
        else:
            x, y = squares_of_events(core, c, p, S[j + 1], S[j + 2], D)
            high, low = pair_sum(high, low, x, y)
    X[to] = high
    X[to + 1] = low


@inlined
def squares_of_events(core, c, leaf, begin, end, D):
    """The squares of the events [begin, end) of a leaf: few enough for their low parts to be a float."""
    M, X = core.M, floats_of(core.M)
    cap = node_at(M, leaf).cap
    bit = cell_at(core.P, c).bit
    m = leaf + D + w.MASKS * cap
    v = leaf + D + cell_at(core.P, c).column * cap
    high = 0.0
    low = 0.0
    for e in range(begin, end):
        if (M[m + e] >> bit) & 1:
            x = X[v + e]
            p = x * x
            high, lost = two_sum(high, p)
            low += lost + fma(x, x, -p)
    return high, low


@inlined
def variance(n, high, low, squares, rest):
    """Of a sample of n > 1 values: (n * squares - sum * sum) / (n * (n - 1)). Infinite where that is out of range."""
    most = n * squares
    if not most < np.inf:
        return np.inf
    total, under = two_sum(high, low)
    least = total * total
    apart, lost = two_sum(most, -least)
    lost += fma(float(n), squares, -most) + n * rest
    lost -= fma(total, total, -least) + 2.0 * total * under
    apart += lost
    return apart / (n * (n - 1.0)) if apart > most * n * LOST else 0.0
