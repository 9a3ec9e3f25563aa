# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""How often each value's code stands in a stretch of time, counted up and down: one word a value, the code above its count.

A value that comes to 0 keeps its word, since most values come again; the words of those that do not are left behind when the block
is made anew, which it is when three quarters of it are taken. So a change costs O(1) on average, and a block is never more than
eight times as large as what it counts.
"""

from __future__ import annotations

import numpy as np

from windows.arena import alloc, release
from windows.jit import kernel

# words of a block: [capacity - 1, words taken, values whose count is not 0, then the words of values, -1 where one is free]
N_MASK, N_TAKEN, N_LIVE, N_DATA = 0, 1, 2, 3
SMALLEST = 8
HALF = 32  # bits of a count
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio (Knuth 6.4): near codes go far apart


@kernel
def counts_new(M, capacity):
    at = alloc(M, N_DATA + capacity)
    M[at + N_MASK] = capacity - 1
    M[at + N_TAKEN] = 0
    M[at + N_LIVE] = 0
    for i in range(at + N_DATA, at + N_DATA + capacity):
        M[i] = -1
    return at


@kernel
def counts_free(M, at):
    release(M, at, N_DATA + M[at + N_MASK] + 1)


@kernel
def counts_find(M, at, code):
    """Where the word of a code stands, or the free one for it."""
    mask = M[at + N_MASK]
    i = np.int64((np.uint64(code) * SPREAD) >> np.uint64(HALF)) & mask
    while M[at + N_DATA + i] >= 0 and M[at + N_DATA + i] >> HALF != code:
        i = (i + 1) & mask
    return at + N_DATA + i


@kernel
def counts_renewed(M, at):
    """The same counts in a block with room for as many more, without the words of those that are 0."""
    capacity = SMALLEST
    while capacity < 2 * (M[at + N_LIVE] + 1):
        capacity *= 2
    new = counts_new(M, capacity)
    for i in range(at + N_DATA, at + N_DATA + M[at + N_MASK] + 1):
        if M[i] >= 0 and M[i] & ((1 << HALF) - 1) > 0:
            M[counts_find(M, new, M[i] >> HALF)] = M[i]
    M[new + N_TAKEN] = M[at + N_LIVE]
    M[new + N_LIVE] = M[at + N_LIVE]
    counts_free(M, at)
    return new


@kernel
def counts_changed(M, at, code, by):
    """The block (0: there is none yet) with a code's count one up or one down. What goes down has gone up before."""
    if at == 0:
        at = counts_new(M, SMALLEST)
    p = counts_find(M, at, code)
    if M[p] < 0:
        if 4 * (M[at + N_TAKEN] + 1) > 3 * (M[at + N_MASK] + 1):
            at = counts_renewed(M, at)
            p = counts_find(M, at, code)
        M[at + N_TAKEN] += 1
        M[p] = code << HALF
    was = M[p] & ((1 << HALF) - 1)
    M[p] += by
    M[at + N_LIVE] += (was == 0) - (was + by == 0)
    return at
