# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Tumbling and sliding windows from shared slices: a value goes into one slice; a window is put together when it closes.

All windows that are not frozen take a value, so what a slice holds is right for every window that is still to be asked for; the
frozen ones are never asked again. What is true of a closed window alone (revision, late, what closed it) stands in its record.
"""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import CAUSE, DOCS, LONGEST, MEMO, STEP, alloc, release
from windows.jit import inlined, kernel
from windows.kernel_cells import cells_add, cells_clear, cells_free
from windows.kernel_grid import ends, first_on, first_past, last_at, last_of, record, record_find, record_put, slice_at
from windows.kernel_queue import KEPT, REFUSED, TOOK, arm, out_new


@inlined
def slice_find(M, head, a, b, full):
    """(the slice [a, b) that all sets may read or 0, the newest one that does not start after a)."""
    node = head
    while node != 0 and M[node + w.L_FROM] > a:
        node = M[node + w.L_NEXT]
    older = node
    while node != 0 and M[node + w.L_FROM] == a:
        if M[node + w.L_TO] == b and M[node + w.L_MASK] == full:
            return node, older
        node = M[node + w.L_NEXT]
    return 0, older


@inlined
def slice_known(M, P, Z, g, t):
    """The place of what is known of the slice that holds t. Many values in a row are in one slice."""
    m = M[MEMO] + P[g + w.G_MEMO]
    if not M[m + w.MEMO_FROM] <= t < M[m + w.MEMO_TO]:
        a, b = slice_at(P, Z, g, t)
        slice_learn(M, P, Z, g, m, a, b)
    return m


@kernel
def slice_learn(M, P, Z, g, m, a, b):
    """When the slice [a, b) is safe and dead, and the last window on it for each set."""
    safe = w.NONE
    dead = -w.NONE
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        last = last_at(P, Z, s, a)
        safe = min(safe, ends(P, Z, s, first_past(P, Z, s, a)) + P[s + w.S_LAT])
        dead = max(dead, ends(P, Z, s, last) + P[s + w.S_HOLD])
        M[m + w.MEMO_LAST + j] = last
    M[m + w.MEMO_FROM] = a
    M[m + w.MEMO_TO] = b
    M[m + w.MEMO_SAFE] = safe
    M[m + w.MEMO_DEAD] = dead


@inlined
def slice_new(M, X, P, g, root, m, older):
    """The slice known at m, in front of `older` (0: at the old end); not needed once the last window on it is frozen for all."""
    chain = root + P[g + w.G_CHAIN]
    a = M[m + w.MEMO_FROM]
    node = alloc(M, w.L_CELLS + P[g + w.G_CELLWORDS] + P[g + w.G_NSETS])
    newer = M[older + w.L_PREV] if older != 0 else M[chain + w.CH_TAIL]
    M[node + w.L_NEXT] = older
    M[node + w.L_PREV] = newer
    M[(newer + w.L_NEXT) if newer != 0 else chain] = node
    M[(older + w.L_PREV) if older != 0 else chain + w.CH_TAIL] = node
    M[node + w.L_FROM] = a
    M[node + w.L_TO] = M[m + w.MEMO_TO]
    M[node + w.L_MASK] = P[g + w.G_FULL]
    M[node + w.L_STAMP] = 0
    M[node + w.L_DEAD] = M[m + w.MEMO_DEAD]
    lasts = node + w.L_CELLS + P[g + w.G_CELLWORDS]
    for j in range(P[g + w.G_NSETS]):
        last = M[m + w.MEMO_LAST + j]
        M[lasts + j] = last
        e = root + P[P[P[g + w.G_SETS] + j] + w.S_ENT]
        finger = M[e + w.E_FINGER]
        if finger != 0 and a <= M[finger + w.L_FROM] and last >= M[e + w.E_OPEN]:
            M[e + w.E_FINGER] = node
    cells_clear(M, X, P, g, node + w.L_CELLS)
    M[chain + w.CH_N] += 1
    M[LONGEST] = max(M[LONGEST], M[chain + w.CH_N])
    return node


@inlined
def slice_drop(M, P, g, root):
    """Free the oldest slice."""
    chain = root + P[g + w.G_CHAIN]
    node = M[chain + w.CH_TAIL]
    newer = M[node + w.L_PREV]
    for j in range(P[g + w.G_NSETS]):
        e = root + P[P[P[g + w.G_SETS] + j] + w.S_ENT]
        if M[e + w.E_FINGER] == node:
            M[e + w.E_FINGER] = newer
    M[chain + w.CH_TAIL] = newer
    M[(newer + w.L_NEXT) if newer != 0 else chain] = 0
    M[chain + w.CH_N] -= 1
    cells_free(M, P, g, node + w.L_CELLS)
    release(M, node, w.L_CELLS + P[g + w.G_CELLWORDS] + P[g + w.G_NSETS])


@kernel
def slices_forget(M, P, g, root, before):
    """Free the oldest slices that no window needs since `before`."""
    chain = root + P[g + w.G_CHAIN]
    while M[chain + w.CH_TAIL] != 0 and M[M[chain + w.CH_TAIL] + w.L_DEAD] <= before:
        slice_drop(M, P, g, root)


@inlined
def slices_put(M, X, P, Z, g, root, mask, t, i, NUM, CODE, OUT, wm, LATE):
    """One value into a group's slices: TOOK | REFUSED | KEPT."""
    if not mask & P[g + w.G_WANT]:
        return 0
    m = slice_known(M, P, Z, g, t)
    a = M[m + w.MEMO_FROM]
    chain = root + P[g + w.G_CHAIN]
    late = wm >= M[m + w.MEMO_SAFE]
    verdict = slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE) if late else TOOK
    if not verdict & TOOK:
        return verdict
    node, older = slice_find(M, M[chain], a, M[m + w.MEMO_TO], P[g + w.G_FULL])
    if node == 0:
        if late:
            slices_forget(M, P, g, root, wm)
            node, older = slice_find(M, M[chain], a, M[m + w.MEMO_TO], P[g + w.G_FULL])
        node = slice_new(M, X, P, g, root, m, older)
    base = node + w.L_CELLS
    cells_add(M, X, P, g, base, mask, t, NUM, CODE, i)
    seen = 0
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if (mask >> P[s + w.S_BIT]) & 1:
            seen += 1
            if late or M[base + P[s + w.S_CNT]] == 1:
                arm_open(M, P, Z, g, s, root, node)
    if M[node + w.L_STAMP] != M[STEP]:
        M[node + w.L_STAMP] = M[STEP]
        M[DOCS] += seen
        row = out_new(M, OUT, P[g + w.G_TOUCHED], 3)
        OUT[row] = M[root + w.R_SLOT]
        OUT[row + 1] = a
        OUT[row + 2] = M[m + w.MEMO_TO]
    return verdict


@inlined
def arm_open(M, P, Z, g, s, root, node):
    """A timer for the first open window on a slice."""
    e = root + P[s + w.S_ENT]
    last = last_of(M, P, g, s, node)
    k = max(M[e + w.E_OPEN], first_on(M, P, Z, s, node, last))
    if k <= last:
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + w.S_LAT])


@kernel
def slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE):
    """Which sets take a value on the slice from a: into windows that are open, or closed and kept, which revises them."""
    verdict = 0
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if not (mask >> P[s + w.S_BIT]) & 1:
            continue
        e = root + P[s + w.S_ENT]
        last = last_at(P, Z, s, a)
        k = max(first_past(P, Z, s, a), first_past(P, Z, s, wm - P[s + w.S_HOLD]))
        if k > last:
            LATE[P[s + w.S_INDEX]] += 1
            verdict |= REFUSED
            if P[s + w.S_LATE] != w.DROP:
                verdict |= KEPT
            continue
        verdict |= TOOK
        M[e + w.E_OPEN] = max(M[e + w.E_OPEN], first_past(P, Z, s, wm - P[s + w.S_LAT]))
        while k <= last and k < M[e + w.E_OPEN]:
            revise(M, P, Z, s, root, k, OUT)
            k += 1
    return verdict


@kernel
def revise(M, P, Z, s, root, k, OUT):
    """A late value comes into window k, which is closed: one revision more, or its first and final value at once."""
    e = root + P[s + w.S_ENT]
    i = record_find(M, e, k)
    if i < M[e + w.E_N] and M[record(M, e, i) + w.W_KEY] == k:
        r = record(M, e, i)
        M[r + w.W_REVISION] += 1
    else:
        r = record_put(M, e, i, k)
        M[r + w.W_CAUSE] = M[CAUSE]
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + w.S_HOLD])
    M[r + w.W_LATE] += 1
    if M[r + w.W_STAMP] != M[STEP]:
        M[r + w.W_STAMP] = M[STEP]
        M[DOCS] += 1
        row = out_new(M, OUT, P[w.P_REVISED], 3)
        OUT[row] = s
        OUT[row + 1] = M[root + w.R_SLOT]
        OUT[row + 2] = k
