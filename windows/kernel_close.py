# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Windows of a fixed grid as time passes: they close, and later they are frozen."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import DOCS, STEP
from windows.jit import inlined, kernel
from windows.kernel_grid import ends, first_on, last_at, last_of, record, record_drop, record_put
from windows.kernel_queue import arm, key_changed
from windows.kernel_rows import items_from, may_read, row_new, row_write, window_row
from windows.kernel_slices import slice_drop

CLOSINGS = 64  # most windows that one ring closes, and most that it freezes


@inlined
def oldest_open(M, P, g, s, root):
    """The oldest slice on which a window may still be open, 0 if there is none."""
    e = root + P[s + w.S_ENT]
    node = M[e + w.E_FINGER]
    if node == 0:
        node = M[root + P[g + w.G_CHAIN] + w.CH_TAIL]
    while node != 0 and last_of(M, P, g, s, node) < M[e + w.E_OPEN]:
        M[e + w.E_FINGER] = node
        node = M[node + w.L_PREV]
    if node != 0:
        M[e + w.E_FINGER] = node
    return node


@inlined
def first_open(M, P, Z, s, e, node, last):
    """The first open window of those on a slice; after the last one where none is."""
    k = M[e + w.E_OPEN]
    if k > w.LONG_AGO and P[s + w.S_ZONE] < 0 and M[node + w.L_FROM] < ends(P, Z, s, k):
        return k
    return max(k, first_on(M, P, Z, s, node, last))


@inlined
def grid_ring(M, X, P, PX, Z, s, g, root, S, STAMP, OUT, OX, wm, rung, cause):
    """Close what is due at `rung`, forget what is frozen, and ring again for the rest."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    closed = 0
    due = w.NONE
    node = oldest_open(M, P, g, s, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, node):
            last = last_of(M, P, g, s, node)
            k = first_open(M, P, Z, s, e, node, last)
            while k <= last and closed < CLOSINGS and ends(P, Z, s, k) + P[s + w.S_LAT] <= rung:
                window_close(M, X, P, PX, Z, s, e, root, k, node, S, STAMP, OUT, OX, cause)
                closed += 1
                k += 1
            if k <= last:
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    frozen = 0
    while M[e + w.E_N] > 0:
        at = ends(P, Z, s, M[record(M, e, 0) + w.W_KEY]) + P[s + w.S_HOLD]
        if at > rung or frozen == CLOSINGS:
            due = min(due, at)
            break
        if M[record(M, e, 0) + w.W_STAMP] == M[STEP]:  # revised in this step, and what comes into its slices now is not its own
            window_row(M, X, P, PX, Z, s, g, root, M[record(M, e, 0)], S, STAMP, OUT, OX, row_new(M, P, s, OUT))
        record_drop(M, e, 0)
        frozen += 1
    if due != w.NONE:
        arm(M, P, s, e, root, due)
    if frozen or closed:
        key_changed(M, P, OUT, root, wm)


@inlined
def window_close(M, X, P, PX, Z, s, e, root, k, node, S, STAMP, OUT, OX, cause):
    """Window k, whose oldest slice is known, has its final value."""
    M[e + w.E_OPEN] = k + 1
    M[DOCS] += 1
    if P[s + w.S_HOLD] > P[s + w.S_LAT]:
        r = record_put(M, e, M[e + w.E_N], k)
        M[r + w.W_CAUSE] = cause
    n = items_from(M, P, s, node, ends(P, Z, s, k), S)
    row = row_new(M, P, s, OUT)
    row_write(M, X, P, PX, Z, s, root, k, S, 0, n, STAMP, OUT, OX, row)
    OUT[row + w.ROW_CAUSE] = cause


@inlined
def slices_free(M, P, Z, g, root, wm):
    """Free the oldest slices that nobody needs once all that is due at a watermark has happened."""
    chain = root + P[g + w.G_CHAIN]
    tail = M[chain + w.CH_TAIL]
    while tail != 0 and (M[tail + w.L_DEAD] <= wm or (not P[g + w.G_ALIKE] and not needed(M, P, Z, g, root, tail, wm))):
        slice_drop(M, P, g, root)
        tail = M[chain + w.CH_TAIL]


@kernel
def needed(M, P, Z, g, root, node, wm):
    """Whether a set may still ask for a slice in which it has events."""
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if may_read(M, P, s, node):
            last = last_at(P, Z, s, M[node + w.L_FROM])
            if last >= M[root + P[s + w.S_ENT] + w.E_OPEN] or ends(P, Z, s, last) + P[s + w.S_HOLD] > wm:
                return True
    return False


@kernel
def grid_due(M, P, Z, s, g, root):
    """When something of this set happens next at a key: NONE if never."""
    e = root + P[s + w.S_ENT]
    due = w.NONE
    node = oldest_open(M, P, g, s, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, node):
            last = last_of(M, P, g, s, node)
            k = max(M[e + w.E_OPEN], first_on(M, P, Z, s, node, last))
            if k <= last:
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    if M[e + w.E_N] > 0:  # also where that time has passed: the key came from memory of before
        due = min(due, ends(P, Z, s, M[record(M, e, 0) + w.W_KEY]) + P[s + w.S_HOLD])
    return due
