# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's end, and when something happens first."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import T_HEAP, T_N, release
from windows.jit import kernel
from windows.kernel_emit import set_due
from windows.kernel_history import history_free
from windows.kernel_kept import inc_free
from windows.kernel_lives import kept_free
from windows.kernel_queue import arm
from windows.kernel_slices import slices_forget
from windows.timers import GROUP_BITS, next_token, ring_next


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
def key_free(M, P, root):
    """Forget a key. Its timers find nothing, or another key that is not due."""
    key_wipe(M, P, root)
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE] or P[s + w.S_KIND] == w.GRID:
            continue
        if P[g + w.G_KIND] == w.KEPT:
            kept_free(M, P, s, root)
        else:
            inc_free(M, P, s, root + P[s + w.S_ENT])
        h = M[root + P[g + w.G_CHAIN]]
        while h != 0:
            after = M[h + w.H_NEXT]
            history_free(M, P, g, h)
            h = after
        M[root + P[g + w.G_CHAIN]] = 0
    release(M, root, P[P[w.P_ROUTES] + M[root + w.R_ROUTE]])


@kernel
def set_watch(M, P, Z, s, root):
    """Ring for a set at a key when something happens next."""
    due = set_due(M, P, Z, s, root)
    if due != w.NONE:
        arm(M, P, s, root + P[s + w.S_ENT], root, due)


@kernel
def group_due(M, P, Z, g, root):
    """When something happens next for a group at a key, NONE if never."""
    due = w.NONE
    for j in range(P[g + w.G_NSETS]):
        due = min(due, set_due(M, P, Z, P[P[g + w.G_SETS] + j], root))
    return due


@kernel
def first_due(M, P, Z, ROOTS):
    """The due time of the first timer that means it; those that would ring in vain are put right."""
    while M[T_N] > 0:
        due = M[M[T_HEAP]]
        token = next_token(M)
        g = P[P[w.P_GROUPS] + (token & ((1 << GROUP_BITS) - 1))]
        root = ROOTS[token >> GROUP_BITS]
        chain = root + P[g + w.G_CHAIN]
        valid = root != 0 and M[root + w.R_ROUTE] == P[g + w.G_ROUTE] and M[chain + w.CH_DUE] == due
        if valid and group_due(M, P, Z, g, root) == due:
            return due
        ring_next(M)
        if valid:
            M[chain + w.CH_DUE] = w.NONE
            for j in range(P[g + w.G_NSETS]):
                s = P[P[g + w.G_SETS] + j]
                M[root + P[s + w.S_ENT] + w.E_DUE] = w.NONE
                set_watch(M, P, Z, s, root)
    return w.NONE
