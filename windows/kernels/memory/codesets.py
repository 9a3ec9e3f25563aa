# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""How often each value stands in a stretch of time, counted up and down: one word a value, its code (alike, see slots.py) above its
count.

A value that comes to 0 keeps its word, since most values come again; the words of those that do not are left behind when the block
is made anew, which it is when three quarters of it are taken, and its size is a power of two. So a change costs O(1) on average,
and n values take less than 6 n words and a small block, however they came: columnar/room.py counts on it.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from windows.kernels.memory.arena import alloc, release
from windows.kernels.tables import INLINE

# words of a block: [places, places taken, values whose count is not 0, then the places: the words of values, -1 where one is free]
N_PLACES, N_TAKEN, N_LIVE, N_DATA = 0, 1, 2, 3
SMALLEST = 16  # words of a block
HALF = 32  # bits of a count
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth 6.4): near codes go far apart


@kernel
def counts_new(M, words):
    at = alloc(M, words)
    M[at + N_PLACES] = words - N_DATA
    M[at + N_TAKEN] = 0
    M[at + N_LIVE] = 0
    for i in range(at + N_DATA, at + words):
        M[i] = -1
    return at


@kernel
def counts_free(M, at):
    release(M, at, N_DATA + M[at + N_PLACES])


@inlined
def counts_find(M, at, code):
    """Where the word of a code stands, or the free place for it."""
    places = M[at + N_PLACES]
    spread = np.int64((np.uint64(code) * SPREAD) >> np.uint64(HALF))
    p = at + N_DATA + ((spread * places) >> HALF)
    while M[p] >= 0 and M[p] >> HALF != code:
        p = p + 1 if p < at + N_DATA + places - 1 else at + N_DATA
    return p


@kernel
def counts_renewed(M, at):
    """The same counts in a block with room for as many more, without the words of those that are 0."""
    words = SMALLEST
    while words - N_DATA < 2 * (M[at + N_LIVE] + 1):
        words *= 2
    new = counts_new(M, words)
    for i in range(at + N_DATA, at + N_DATA + M[at + N_PLACES]):
        if M[i] >= 0 and M[i] & ((1 << HALF) - 1) > 0:
            M[counts_find(M, new, M[i] >> HALF)] = M[i]
    M[new + N_TAKEN] = M[at + N_LIVE]
    M[new + N_LIVE] = M[at + N_LIVE]
    counts_free(M, at)
    return new


@inlined
def counts_changed(M, at, code, by):
    """The block (0: there is none yet) with a code's count one up or one down. What goes down has gone up before."""
    if at == 0:
        at = counts_new(M, SMALLEST)
    p = counts_find(M, at, code)
    if M[p] < 0:
        if 4 * (M[at + N_TAKEN] + 1) > 3 * M[at + N_PLACES]:
            at = counts_renewed(M, at)
            p = counts_find(M, at, code)
        M[at + N_TAKEN] += 1
        M[p] = code << HALF
    was = M[p] & ((1 << HALF) - 1)
    M[p] += by
    M[at + N_LIVE] += int(was == 0) - int(was + by == 0)
    return at


# A cell of distinct values: the values themselves while they are few, then the place of a block in which each stands once.
@kernel
def values_free(M, at):
    """Let go of what a cell of distinct values keeps elsewhere."""
    if M[at] > INLINE:
        counts_free(M, M[at])
    M[at] = 0


@kernel
def values_count(M, at):
    """How many values a cell of distinct values holds."""
    return M[at] if M[at] <= INLINE else M[M[at] + N_LIVE]


@kernel
def values_add(M, at, code):
    """One more value into a cell of distinct values."""
    n = M[at]
    if n <= INLINE:
        for i in range(at + 1, at + 1 + n):
            if M[i] == code:
                return
        if n < INLINE:
            M[at + 1 + n] = code
            M[at] = n + 1
            return
        M[at] = counts_new(M, SMALLEST)
        for i in range(at + 1, at + 1 + n):
            M[at] = counts_changed(M, M[at], M[i], 1)
    if M[counts_find(M, M[at], code)] < 0:
        M[at] = counts_changed(M, M[at], code, 1)


@kernel
def values_span(M, at):
    """The words [from, to) among which a cell's values stand, for value_at."""
    if M[at] <= INLINE:
        return at + 1, at + 1 + M[at]
    return M[at] + N_DATA, M[at] + N_DATA + M[M[at] + N_PLACES]


@kernel
def value_at(M, at, p):
    """The value at one of these words, -1 where none is."""
    return M[p] if M[at] <= INLINE else M[p] >> HALF
