# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Windows of a fixed grid as time passes: they close, and later they are frozen."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import DOCS, STEP
from windows.jit import kernel
from windows.kernel_grid import ends, first_past, last_at, record, record_put
from windows.kernel_queue import Q_CLOSED, arm, garbage, key_changed, queue

CLOSINGS = 64  # most windows that one ring closes


@kernel
def oldest_open(M, P, Z, s, g, root):
    """The oldest slice on which a window may still be open, 0 if there is none."""
    e = root + P[s + w.S_ENT]
    node = M[e + w.E_FINGER]
    if node == 0:
        node = M[root + P[g + w.G_CHAIN] + 1]
    while node != 0 and last_at(P, Z, s, M[node + w.L_FROM]) < M[e + w.E_OPEN]:
        M[e + w.E_FINGER] = node
        node = M[node + w.L_PREV]
    if node != 0:
        M[e + w.E_FINGER] = node
    return node


@kernel
def may_read(M, P, s, g, node):
    """Whether the slice holds events of this set."""
    j = 0
    while P[P[g + w.G_SETS] + j] != s:
        j += 1
    return (M[node + w.L_MASK] >> j) & 1 and M[node + w.L_CELLS + P[s + w.S_CNT]] > 0


@kernel
def first_open(M, P, Z, s, e, t):
    """The first open window that ends after t; without a division where it is the first open one of all."""
    k = M[e + w.E_OPEN]
    if P[s + w.S_ZONE] < 0 and k > w.LONG_AGO and t < ends(P, Z, s, k):
        return k
    return max(k, first_past(P, Z, s, t))


@kernel
def grid_ring(M, P, Z, s, g, root, OUT, wm, rung, cause):
    """Close what is due at `rung`, and ring again for the rest. What is frozen is kept until this step's results are read."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    closed = 0
    due = w.NONE
    node = oldest_open(M, P, Z, s, g, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, g, node):
            k = first_open(M, P, Z, s, e, M[node + w.L_FROM])
            last = last_at(P, Z, s, M[node + w.L_FROM])
            while k <= last and closed < CLOSINGS and ends(P, Z, s, k) + P[s + w.S_LAT] <= rung:
                window_close(M, P, Z, s, e, root, k, OUT, cause)
                closed += 1
                k += 1
            if k <= last:
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    frozen = closed > 0 and P[s + w.S_HOLD] == P[s + w.S_LAT]
    for i in range(M[e + w.E_N]):
        at = ends(P, Z, s, M[record(M, e, i) + w.W_KEY]) + P[s + w.S_HOLD]
        if at > rung:
            due = min(due, at)
            break
        frozen = True
    if due != w.NONE:
        arm(M, P, s, e, root, due)
    if frozen:
        garbage(M, s, M[root + w.R_SLOT])
    if frozen or closed:
        key_changed(M, OUT, root, wm)


@kernel
def window_close(M, P, Z, s, e, root, k, OUT, cause):
    """Window k has its final value."""
    M[e + w.E_OPEN] = k + 1
    M[DOCS] += 1
    if P[s + w.S_HOLD] > P[s + w.S_LAT]:
        r = record_put(M, e, M[e + w.E_N], k)
        M[r + w.W_CAUSE] = cause
        M[r + w.W_STAMP] = M[STEP]
    queue(M, OUT, Q_CLOSED, s, M[root + w.R_SLOT], k, cause)


@kernel
def grid_due(M, P, Z, s, g, root, wm):
    """When something of this set happens next at a key: NONE if never."""
    e = root + P[s + w.S_ENT]
    due = w.NONE
    node = oldest_open(M, P, Z, s, g, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, g, node):
            k = max(M[e + w.E_OPEN], first_past(P, Z, s, M[node + w.L_FROM]))
            if k <= last_at(P, Z, s, M[node + w.L_FROM]):
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    for i in range(M[e + w.E_N]):
        frozen = ends(P, Z, s, M[record(M, e, i) + w.W_KEY]) + P[s + w.S_HOLD]
        if frozen > wm:
            return min(due, frozen)
    return due
