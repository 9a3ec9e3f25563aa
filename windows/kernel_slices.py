"""Tumbling and sliding windows from shared slices: a value goes into one slice; a window is put together when it is asked for.

All windows that are not frozen take a value, so what a slice holds is right for every window that is still to be asked for; the frozen
ones are never asked again. What is true of a closed window alone (revision, late, what closed it) stands in its record.
"""

from __future__ import annotations

from windows.arena import CAUSE, DOCS, ENTRY_WM, GARBAGE, OUTN, READ_WM, STEP, alloc, list_new, list_push, release
from windows.jit import kernel
from windows.kernel_cells import cells_add, cells_clear, cells_free
from windows.kernel_grid import ends, first_past, last_at, record, record_drop, record_find, record_put, slice_at
from windows.kernel_layout import (
    DROP, E_DUE, E_FINGER, E_N, E_OPEN, G_CELLWORDS, G_CHAIN, G_FULL, G_NSETS, G_SETS, L_CELLS, L_DEAD, L_FROM, L_MASK, L_NEXT, L_PREV, L_SAFE,
    L_STAMP, L_TO, NONE, R_CHANGED, R_FLOOR, R_GENERATION, R_ORDER, R_SLOT, S_BIT, S_CNT, S_ENT, S_HOLD, S_INDEX, S_LAT, S_LATE,
    W_CAUSE, W_KEY, W_LATE, W_REVISION, W_STAMP,
)  # fmt: skip
from windows.timers import ring_at

Q_SLICE, Q_CLOSED, Q_VIEW, Q_KEY, Q_REMOVED, Q_SESSION = 0, 1, 2, 3, 4, 5
TOOK, REFUSED, KEPT = 1, 2, 4  # KEPT: a set that refused does not drop
CLOSINGS = 64  # most windows that one ring closes


@kernel
def queue(M, OUT, what, a, b, c, d):
    """Something changed: it is written down once for this step."""
    n = M[OUTN]
    OUT[n] = what
    OUT[n + 1] = a
    OUT[n + 2] = b
    OUT[n + 3] = c
    OUT[n + 4] = d
    M[OUTN] = n + 5


@kernel
def key_changed(M, OUT, root, wm):
    """The key's dump is no longer what it was; what it has closed stays closed."""
    M[root + R_FLOOR] = wm
    if M[root + R_CHANGED] != M[STEP]:
        M[root + R_CHANGED] = M[STEP]
        queue(M, OUT, Q_KEY, M[root + R_SLOT], 0, 0, 0)


@kernel
def arm(M, P, s, e, root, due):
    """Ring for this set and key no later than `due`."""
    if due < M[e + E_DUE]:
        M[e + E_DUE] = due
        ring_at(M, due, P[s + S_INDEX], M[root + R_SLOT], M[root + R_GENERATION], M[root + R_ORDER])


@kernel
def slice_find(M, head, a, b, full):
    """(the slice [a, b) that all sets may read or 0, the newest one that does not start after a)."""
    node = head
    while node != 0 and M[node + L_FROM] > a:
        node = M[node + L_NEXT]
    older = node
    while node != 0 and M[node + L_FROM] == a:
        if M[node + L_TO] == b and M[node + L_MASK] == full:
            return node, older
        node = M[node + L_NEXT]
    return 0, older


@kernel
def slice_new(M, X, P, Z, g, root, a, b, older):
    """A slice in front of `older` (0: at the old end), which is not needed once the last window on it is frozen for every set."""
    chain = root + P[g + G_CHAIN]
    node = alloc(M, L_CELLS + P[g + G_CELLWORDS])
    newer = M[older + L_PREV] if older != 0 else M[chain + 1]
    M[node + L_NEXT] = older
    M[node + L_PREV] = newer
    M[(newer + L_NEXT) if newer != 0 else chain] = node
    M[(older + L_PREV) if older != 0 else chain + 1] = node
    M[node + L_FROM] = a
    M[node + L_TO] = b
    M[node + L_MASK] = P[g + G_FULL]
    M[node + L_STAMP] = 0
    safe = NONE
    dead = -NONE
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        e = root + P[s + S_ENT]
        finger = M[e + E_FINGER]
        if finger != 0 and a <= M[finger + L_FROM] and last_at(P, Z, s, a) >= M[e + E_OPEN]:
            M[e + E_FINGER] = node
        safe = min(safe, ends(P, Z, s, first_past(P, Z, s, a)) + P[s + S_LAT])
        dead = max(dead, ends(P, Z, s, last_at(P, Z, s, a)) + P[s + S_HOLD])
    M[node + L_SAFE] = safe
    M[node + L_DEAD] = dead
    cells_clear(M, X, P, g, node + L_CELLS)
    return node


@kernel
def slice_drop(M, P, g, root):
    """Free the oldest slice."""
    chain = root + P[g + G_CHAIN]
    node = M[chain + 1]
    newer = M[node + L_PREV]
    for j in range(P[g + G_NSETS]):
        e = root + P[P[P[g + G_SETS] + j] + S_ENT]
        if M[e + E_FINGER] == node:
            M[e + E_FINGER] = newer
    M[chain + 1] = newer
    M[(newer + L_NEXT) if newer != 0 else chain] = 0
    cells_free(M, P, g, node + L_CELLS)
    release(M, node, L_CELLS + P[g + G_CELLWORDS])


@kernel
def slices_forget(M, P, g, root, before):
    """Free the oldest slices that no window needs since `before`."""
    chain = root + P[g + G_CHAIN]
    while M[chain + 1] != 0 and M[M[chain + 1] + L_DEAD] <= before:
        slice_drop(M, P, g, root)


@kernel
def slices_put(M, X, P, Z, g, root, mask, t, i, NUM, CODE, OUT, wm, LATE):
    """One value into a group's slices: TOOK | REFUSED | KEPT."""
    a, b = slice_at(P, Z, g, t)
    chain = root + P[g + G_CHAIN]
    node, older = slice_find(M, M[chain], a, b, P[g + G_FULL])
    late = node == 0 or wm >= M[node + L_SAFE]
    verdict = TOOK
    if late:
        verdict = slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE)
        if verdict & TOOK and node == 0:
            slices_forget(M, P, g, root, M[ENTRY_WM])
            node, older = slice_find(M, M[chain], a, b, P[g + G_FULL])
            node = slice_new(M, X, P, Z, g, root, a, b, older)
    if not verdict & TOOK:
        return verdict
    base = node + L_CELLS
    cells_add(M, X, P, g, base, mask, t, NUM, CODE, i)
    seen = 0
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        if (mask >> P[s + S_BIT]) & 1:
            seen += 1
            if late or M[base + P[s + S_CNT]] == 1:
                arm_open(M, P, Z, s, root, a)
    if seen and M[node + L_STAMP] != M[STEP]:
        M[node + L_STAMP] = M[STEP]
        M[DOCS] += seen
        queue(M, OUT, Q_SLICE, g, M[root + R_SLOT], a, b)
    return verdict if seen else 0


@kernel
def spoils(M, P, Z, g, t, wm):
    """Whether a value would come into a slice of a window that froze in this step and has not been put together yet."""
    a, b = slice_at(P, Z, g, t)
    takes = False
    frozen = False
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        last = last_at(P, Z, s, a)
        takes = takes or ends(P, Z, s, last) + P[s + S_HOLD] > wm
        k = max(first_past(P, Z, s, a), first_past(P, Z, s, M[READ_WM] - P[s + S_HOLD]))
        frozen = frozen or (k <= last and ends(P, Z, s, k) + P[s + S_HOLD] <= wm)
    return takes and frozen


@kernel
def arm_open(M, P, Z, s, root, a):
    """A timer for the first open window on a slice."""
    e = root + P[s + S_ENT]
    k = max(M[e + E_OPEN], first_past(P, Z, s, a))
    if k <= last_at(P, Z, s, a):
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + S_LAT])


@kernel
def slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE):
    """Which sets take a value on the slice from a: into windows that are open, or closed and kept, which revises them."""
    verdict = 0
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        if not (mask >> P[s + S_BIT]) & 1:
            continue
        e = root + P[s + S_ENT]
        last = last_at(P, Z, s, a)
        k = max(first_past(P, Z, s, a), first_past(P, Z, s, wm - P[s + S_HOLD]))
        if k > last:
            LATE[P[s + S_INDEX]] += 1
            verdict |= REFUSED
            if P[s + S_LATE] != DROP:
                verdict |= KEPT
            continue
        verdict |= TOOK
        M[e + E_OPEN] = max(M[e + E_OPEN], first_past(P, Z, s, wm - P[s + S_LAT]))
        while k <= last and k < M[e + E_OPEN]:
            revise(M, P, Z, s, root, k, OUT)
            k += 1
    return verdict


@kernel
def revise(M, P, Z, s, root, k, OUT):
    """A late value comes into window k, which is closed: one revision more, or its first and final value at once."""
    e = root + P[s + S_ENT]
    i = record_find(M, e, k)
    if i < M[e + E_N] and M[record(M, e, i) + W_KEY] == k:
        r = record(M, e, i)
        M[r + W_REVISION] += 1
    else:
        r = record_put(M, e, i, k)
        M[r + W_CAUSE] = M[CAUSE]
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + S_HOLD])
    M[r + W_LATE] += 1
    if M[r + W_STAMP] != M[STEP]:
        M[r + W_STAMP] = M[STEP]
        M[DOCS] += 1
        queue(M, OUT, Q_CLOSED, s, M[root + R_SLOT], k, M[r + W_CAUSE])


@kernel
def oldest_open(M, P, Z, s, g, root):
    """The oldest slice on which a window may still be open, 0 if there is none."""
    e = root + P[s + S_ENT]
    node = M[e + E_FINGER]
    if node == 0:
        node = M[root + P[g + G_CHAIN] + 1]
    while node != 0 and last_at(P, Z, s, M[node + L_FROM]) < M[e + E_OPEN]:
        M[e + E_FINGER] = node
        node = M[node + L_PREV]
    if node != 0:
        M[e + E_FINGER] = node
    return node


@kernel
def may_read(M, P, s, g, node):
    """Whether the slice holds events of this set."""
    j = 0
    while P[P[g + G_SETS] + j] != s:
        j += 1
    return (M[node + L_MASK] >> j) & 1 and M[node + L_CELLS + P[s + S_CNT]] > 0


@kernel
def grid_ring(M, P, Z, s, g, root, OUT, wm, rung, cause):
    """Close what is due at `rung`, and ring again for the rest. What is frozen is kept until this step's results are read."""
    e = root + P[s + S_ENT]
    M[e + E_DUE] = NONE
    closed = 0
    due = NONE
    node = oldest_open(M, P, Z, s, g, root)
    while node != 0 and due == NONE:
        if may_read(M, P, s, g, node):
            k = max(M[e + E_OPEN], first_past(P, Z, s, M[node + L_FROM]))
            last = last_at(P, Z, s, M[node + L_FROM])
            while k <= last and closed < CLOSINGS and ends(P, Z, s, k) + P[s + S_LAT] <= rung:
                window_close(M, P, Z, s, e, root, k, OUT, cause)
                closed += 1
                k += 1
            if k <= last:
                due = ends(P, Z, s, k) + P[s + S_LAT]
        node = M[node + L_PREV]
    frozen = closed > 0 and P[s + S_HOLD] == P[s + S_LAT]
    for i in range(M[e + E_N]):
        at = ends(P, Z, s, M[record(M, e, i) + W_KEY]) + P[s + S_HOLD]
        if at > rung:
            due = min(due, at)
            break
        frozen = True
    if due != NONE:
        arm(M, P, s, e, root, due)
    if frozen:
        garbage(M, s, M[root + R_SLOT])
    if frozen or closed:
        key_changed(M, OUT, root, wm)


@kernel
def garbage(M, s, slot):
    """A set holds something at a key that nobody needs after this step."""
    if M[GARBAGE] == 0:
        M[GARBAGE] = list_new(M, 62)
    M[GARBAGE] = list_push(M, list_push(M, M[GARBAGE], s), slot)


@kernel
def window_close(M, P, Z, s, e, root, k, OUT, cause):
    """Window k has its final value."""
    M[e + E_OPEN] = k + 1
    M[DOCS] += 1
    if P[s + S_HOLD] > P[s + S_LAT]:
        r = record_put(M, e, M[e + E_N], k)
        M[r + W_CAUSE] = cause
        M[r + W_STAMP] = M[STEP]
    queue(M, OUT, Q_CLOSED, s, M[root + R_SLOT], k, cause)


@kernel
def grid_due(M, P, Z, s, g, root, wm):
    """When something of this set happens next at a key: NONE if never."""
    e = root + P[s + S_ENT]
    due = NONE
    node = oldest_open(M, P, Z, s, g, root)
    while node != 0 and due == NONE:
        if may_read(M, P, s, g, node):
            k = max(M[e + E_OPEN], first_past(P, Z, s, M[node + L_FROM]))
            if k <= last_at(P, Z, s, M[node + L_FROM]):
                due = ends(P, Z, s, k) + P[s + S_LAT]
        node = M[node + L_PREV]
    for i in range(M[e + E_N]):
        frozen = ends(P, Z, s, M[record(M, e, i) + W_KEY]) + P[s + S_HOLD]
        if frozen > wm:
            return min(due, frozen)
    return due
