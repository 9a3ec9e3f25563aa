# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sums as pairs (high, low) of floats, 106 bits in all: Knuth's two-sum, sums of squares, and the variance.

Each square is taken exactly (Dekker's two-product, by one fused multiply-add). What is lost is far below the last digit of what is
read, so it does not show in which order the parts were put together. A cell of squares is (high, low), high their rounded sum.

What would leave the range of floats on its way is kept small by a power of two, which takes nothing from its digits: a sum of LIMIT
and more as SMALL times itself, its cell's count marked by HUGE; squares as those of TINY times the values, negative as no sum of
squares is. Values that then vanish are too small by far to show.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of, fma
from windows.kernels import words as w
from windows.kernels.tables import cell_at
from windows.kernels.words import node_at, number_at

LIMIT = 2.0**1000  # sums below it have room for one more value
HUGE = 1 << 40  # no cell counts so many values
SMALL, LARGE = 2.0**-128, 2.0**128
TINY, VAST = 2.0**-544, 2.0**544
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


@kernel
def huge_add(M, at, x):
    """One more number's share of a cell whose sum is huge, or becomes it: its count and its sum."""
    cell = number_at(M, at)
    scale = 1.0 if cell.n >= HUGE else SMALL
    high, lost = two_sum(cell.high * scale, x * SMALL)
    low = cell.low * scale + lost
    n, high, low = settled((cell.n & (HUGE - 1)) + 1, high, low)
    cell.n = n
    cell.high = high
    cell.low = low


@kernel
def huge_join(core, c, at, n, D):
    """(how many, high, low) of a number over n items, where a part of the sum, or all of it, is huge."""
    M, X, S = core.M, floats_of(core.M), core.S
    place = cell_at(core.P, c).at
    bit, column = cell_at(core.P, c).bit, cell_at(core.P, c).column
    total = np.int64(0)
    high = 0.0
    low = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            own = number_at(M, p + place)
            scale = 1.0 if own.n >= HUGE else SMALL
            total += own.n & (HUGE - 1)
            high, lost = two_sum(high, own.high * scale)
            low += lost + own.low * scale
        else:
            cap = node_at(M, p).cap
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + w.MASKS * cap + e] >> bit) & 1:
                    total += 1
                    high, lost = two_sum(high, X[p + D + column * cap + e] * SMALL)
                    low += lost
    return settled(total, high, low)


@kernel
def settled(n, high, low):
    """A sum that was kept small, as a cell holds it: as it is if it is not huge any more."""
    if abs(high) + abs(low) < LIMIT * SMALL:
        return n, high * LARGE, low * LARGE
    return n | HUGE, high, low


@inlined
def square_add(X, at, x):
    """One value's square into a cell."""
    p = x * x
    high, low = pair_sum(X[at], X[at + 1], p, fma(x, x, -p))
    if X[at] >= 0.0 and high + abs(low) < LIMIT:
        X[at] = high
        X[at + 1] = low
    else:
        vast_square_add(X, at, x)


@kernel
def vast_square_add(X, at, x):
    """The same where the squares' sum leaves the range of floats."""
    high, low = in_tiny(X[at], X[at + 1])
    x = x * TINY
    high, low = pair_sum(high, low, x * x, fma(x, x, -(x * x)))
    X[at] = -high
    X[at + 1] = -low


@kernel
def in_tiny(high, low):
    """A cell of squares as the squares of TINY times the values."""
    return (-high, -low) if high < 0.0 else (high * TINY * TINY, low * TINY * TINY)


@inlined
def squares_join(core, c, at, n, D, to):
    """The squares' cell over n items, one of which may be at `to` itself."""
    X, S = floats_of(core.M), core.S
    place = cell_at(core.P, c).at
    high = 0.0
    low = 0.0
    least = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            least = min(least, X[p + place])
            high, low = pair_sum(high, low, X[p + place], X[p + place + 1])
        else:
            x, y = squares_of_events(core, c, p, S[j + 1], S[j + 2], D)
            high, low = pair_sum(high, low, x, y)
    if least < 0.0 or not high + abs(low) < LIMIT:
        high, low = vast_squares_join(core, c, at, n, D)
    X[to] = high
    X[to + 1] = low


@kernel
def vast_squares_join(core, c, at, n, D):
    """The same where a part of the sum, or all of it, leaves the range of floats: (high, low) as the cell holds them."""
    M, X, S = core.M, floats_of(core.M), core.S
    place = cell_at(core.P, c).at
    bit, column = cell_at(core.P, c).bit, cell_at(core.P, c).column
    high = 0.0
    low = 0.0
    for j in range(at, at + 3 * n, 3):
        p = S[j]
        if S[j + 1] < 0:
            x, y = in_tiny(X[p + place], X[p + place + 1])
            high, low = pair_sum(high, low, x, y)
        else:
            cap = node_at(M, p).cap
            for e in range(S[j + 1], S[j + 2]):
                if (M[p + D + w.MASKS * cap + e] >> bit) & 1:
                    x = X[p + D + column * cap + e] * TINY
                    high, low = pair_sum(high, low, x * x, fma(x, x, -(x * x)))
    return -high, -low


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
    """Of a sample of n > 1 values, if they and n times their squares are within the range of floats: (n * squares - sum * sum) /
    (n * (n - 1))."""
    most = n * squares
    total, under = two_sum(high, low)
    least = total * total
    apart, lost = two_sum(most, -least)
    lost += fma(float(n), squares, -most) + n * rest
    lost -= fma(total, total, -least) + 2.0 * total * under
    apart += lost
    return apart / (n * (n - 1.0)) if apart > most * n * LOST else 0.0


@kernel
def spread(n, high, low, squares, rest, root):
    """The variance of n > 1 values as cells hold them (n with its mark), or its root: infinite only if itself out of range."""
    count = n & (HUGE - 1)
    if squares >= 0.0 and count * squares < np.inf:
        var = variance(count, high, low, squares, rest)
        return np.sqrt(var) if root else var
    scale = LARGE * TINY if n >= HUGE else TINY
    squares, rest = in_tiny(squares, rest)
    var = variance(count, high * scale, low * scale, squares, rest)
    return np.sqrt(var) * VAST if root else var * VAST * VAST
