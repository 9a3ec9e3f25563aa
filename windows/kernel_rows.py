# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Windows as rows of a result, each with its measures: put together from slices when a window closes, is revised, or is read.

OUT is what windows/kernel_layout.py says of results, OX the same as float64.
"""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import SCRATCH
from windows.jit import inlined, kernel
from windows.kernel_grid import ends, record, record_find, starts
from windows.kernel_measures import joined, measure_of
from windows.kernel_queue import out_new


@inlined
def may_read(M, P, s, node):
    """Whether the slice holds events of this set."""
    return (M[node + w.L_MASK] >> P[s + w.S_J]) & 1 and M[node + w.L_CELLS + P[s + w.S_CNT]] > 0


@inlined
def row_new(M, P, s, OUT):
    """Room for one more row of a set: its place."""
    return out_new(M, OUT, P[s + w.S_OUT], P[s + w.S_WIDTH])


@inlined
def row_write(M, X, P, PX, Z, s, root, k, S, at, n, STAMP, OUT, OX, row):
    """Window k over n items: all but what its record says."""
    base = joined(M, X, P, s, S, at, n, 0)
    OUT[row + w.ROW_SLOT] = M[root + w.R_SLOT]
    OUT[row + w.ROW_NUMBER] = k
    OUT[row + w.ROW_START] = starts(P, Z, s, k)
    OUT[row + w.ROW_END] = ends(P, Z, s, k)
    OUT[row + w.ROW_EVENTS] = M[base + P[s + w.S_CNT]]
    OUT[row + w.ROW_REVISION] = 0
    OUT[row + w.ROW_LATE] = 0
    OUT[row + w.ROW_CAUSE] = -1
    f = P[s + w.S_MEASURES]
    for j in range(row + w.ROW_WORDS, row + P[s + w.S_WIDTH]):
        OX[j] = measure_of(M, X, P, PX, f, base, S, at, n, 0, STAMP)
        f += w.F_WORDS


@kernel
def row_record(M, OUT, row, r):
    """What a window's record says."""
    OUT[row + w.ROW_REVISION] = M[r + w.W_REVISION]
    OUT[row + w.ROW_LATE] = M[r + w.W_LATE]
    OUT[row + w.ROW_CAUSE] = M[r + w.W_CAUSE]


@inlined
def items_from(M, P, s, node, end, S):
    """The slices of a window as items from S[0] on, from its oldest one: how many."""
    n = 0
    while node != 0 and M[node + w.L_FROM] < end:
        if M[node + w.L_TO] <= end and may_read(M, P, s, node):
            S[n] = node + w.L_CELLS
            S[n + 1] = -1
            n += 3
        node = M[node + w.L_PREV]
    return n // 3


@kernel
def items_of(M, P, s, g, root, start, end, S):
    """A window's slices as items at the end of the scratch, the oldest first: where they begin."""
    node = M[root + P[g + w.G_CHAIN]]
    while node != 0 and M[node + w.L_FROM] >= end:
        node = M[node + w.L_NEXT]
    at = M[SCRATCH]
    while node != 0 and M[node + w.L_FROM] >= start:
        if M[node + w.L_TO] <= end and may_read(M, P, s, node):
            at -= 3
            S[at] = node + w.L_CELLS
            S[at + 1] = -1
        node = M[node + w.L_NEXT]
    return at


@kernel
def window_row(M, X, P, PX, Z, s, g, root, k, S, STAMP, OUT, OX, row):
    """A window as it stands, wherever its slices lie."""
    e = root + P[s + w.S_ENT]
    at = items_of(M, P, s, g, root, starts(P, Z, s, k), ends(P, Z, s, k), S)
    row_write(M, X, P, PX, Z, s, root, k, S, at, (M[SCRATCH] - at) // 3, STAMP, OUT, OX, row)
    i = record_find(M, e, k)
    if i < M[e + w.E_N] and M[record(M, e, i) + w.W_KEY] == k:
        row_record(M, OUT, row, record(M, e, i))
