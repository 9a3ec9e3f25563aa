# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's state as words, and back; its end; and when something happens first."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import EMPTY, GARBAGE, LIST_DATA, LIST_N, T_HEAP, T_MAP, T_N, T_SORTED, WATERMARK, list_free, map_find, release
from windows.jit import kernel
from windows.kernel_close import may_read
from windows.kernel_emit import set_due
from windows.kernel_grid import ends, last_at, record, record_drop
from windows.kernel_history import history_free
from windows.kernel_kept import inc_free
from windows.kernel_queue import arm
from windows.kernel_run import judge
from windows.kernel_slices import slice_drop, slices_forget
from windows.timers import NODE, SET_BITS, ring_next


@kernel
def key_wipe(M, P, root):
    """Forget all windows of a fixed grid at a key."""
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE] or P[s + w.S_KIND] != w.GRID:
            continue
        slices_forget(M, P, g, root, w.NONE)
        e = root + P[s + w.S_ENT]
        if M[e + w.E_CAP] > 0:
            release(M, M[e + w.E_RECORDS], w.W_WORDS * M[e + w.E_CAP])
        M[e + w.E_CAP] = 0
        M[e + w.E_HEAD] = 0
        M[e + w.E_N] = 0
        M[e + w.E_OPEN] = w.LONG_AGO
        M[e + w.E_DUE] = w.NONE


@kernel
def key_free(M, P, root, words):
    """Forget a key. Its timers find another generation."""
    key_wipe(M, P, root)
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE] or P[s + w.S_KIND] == w.GRID:
            continue
        inc_free(M, P, s, root + P[s + w.S_ENT])
        h = M[root + P[g + w.G_CHAIN]]
        while h != 0:
            after = M[h + w.H_NEXT]
            history_free(M, P, g, h)
            h = after
        M[root + P[g + w.G_CHAIN]] = 0
    release(M, root, words)


@kernel
def needed(M, P, Z, g, root, node):
    """Whether a set may still ask for a slice in which it has events."""
    wm = judge(M, root, M[WATERMARK])
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if may_read(M, P, s, g, node):
            last = last_at(P, Z, s, M[node + w.L_FROM])
            if last >= M[root + P[s + w.S_ENT] + w.E_OPEN] or ends(P, Z, s, last) + P[s + w.S_HOLD] > wm:
                return True
    return False


@kernel
def tidy(M, P, Z, ROOTS):
    """Free what nobody needed after the last step."""
    todo = M[GARBAGE]
    M[GARBAGE] = 0
    for i in range(todo + LIST_DATA, todo + LIST_DATA + M[todo + LIST_N], 2):
        s = M[i]
        root = ROOTS[M[i + 1]]
        if root == 0 or M[root + w.R_ROUTE] != P[P[s + w.S_GROUP] + w.G_ROUTE]:
            continue
        wm = judge(M, root, M[WATERMARK])
        e = root + P[s + w.S_ENT]
        while M[e + w.E_N] > 0 and ends(P, Z, s, M[record(M, e, 0) + w.W_KEY]) + P[s + w.S_HOLD] <= wm:
            record_drop(M, e, 0)
        g = P[s + w.S_GROUP]
        tail = M[root + P[g + w.G_CHAIN] + 1]
        while tail != 0 and not needed(M, P, Z, g, root, tail):
            slice_drop(M, P, g, root)
            tail = M[root + P[g + w.G_CHAIN] + 1]
    list_free(M, todo)


@kernel
def set_watch(M, P, Z, s, root):
    """Ring for a set at a key when something happens next."""
    due = set_due(M, P, Z, s, root)
    if due != w.NONE:
        arm(M, P, s, root + P[s + w.S_ENT], root, due)


@kernel
def first_due(M, P, Z, ROOTS):
    """The due time of the first timer that means it; those that would ring in vain are put right."""
    while M[T_N] > 0:
        due = M[M[T_HEAP]]
        node = M[map_find(M, M[T_MAP], due) + 1]
        s = P[w.P_SETS] + (M[node + 1] & ((1 << SET_BITS) - 1)) * w.S_WORDS
        root = ROOTS[M[node + 1] >> SET_BITS]
        valid = root != 0 and M[root + w.R_GENERATION] == M[node + 2]
        true = set_due(M, P, Z, s, root) if valid else w.NONE
        if valid and true <= due:
            return due
        M[T_SORTED] = due  # so that the token taken is the one looked at
        release(M, ring_next(M), NODE)
        M[T_SORTED] = EMPTY
        if valid:
            M[root + P[s + w.S_ENT] + w.E_DUE] = w.NONE
            set_watch(M, P, Z, s, root)
    return w.NONE
