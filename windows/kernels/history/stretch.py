# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The stretch of a history that a rolling set asks for, over and over, a little later each time.

What is remembered of it: its first leaf, its last leaf, and the joined cells of all leaves between them. As the stretch moves on,
leaves are joined at its end; when its first leaf changes, once in many events, the middle is joined anew from the tree. Nothing is
taken out of it.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_clear, cells_join
from windows.kernels.history.events import leaf_from, leaf_item, place_of, refreshed, stretch
from windows.kernels.history.tree import data_of, leaf_for
from windows.kernels.memory.arena import SCRATCH, alloc

NEAR = 4  # leaves that are looked through before the tree is asked


@inlined
def is_known(M, e, h):
    """Whether what is remembered still holds."""
    return M[e + w.E_LEFT] != 0 and M[e + w.E_EPOCH] == M[h + w.H_EPOCH]


@inlined
def window_items(M, X, P, g, s, e, h, lo, hi, S):
    """The events with lo <= time <= hi as items from S[0] on, in order: how many."""
    D = data_of(P, g)
    if M[M[h + w.H_ROOT] + w.N_LEVEL] == 0:
        return leaf_item(M, P, g, M[h + w.H_ROOT], lo, hi, S, 0)
    if is_known(M, e, h):
        if lo < M[e + w.E_FROM] or hi < M[e + w.E_TO]:
            return stretch(M, X, P, g, h, lo, hi, S)
        window_forward(M, X, P, g, s, e, h, lo, hi, S)
    else:
        window_find(M, X, P, g, s, e, h, lo, hi, S)
    left = M[e + w.E_LEFT]
    if left == 0:
        return 0
    right = M[e + w.E_RIGHT]
    n = leaf_item(M, P, g, left, lo, hi, S, 0)
    if left == right:
        return n
    if M[left + w.N_NEXT] != right:
        S[3 * n] = M[e + w.E_MIDDLE]
        S[3 * n + 1] = -1
        n += 1
    d = right + D
    S[3 * n] = right
    S[3 * n + 1] = 0
    S[3 * n + 2] = M[right + w.N_N] if M[d + M[right + w.N_N] - 1] <= hi else leaf_from(M, d, M[right + w.N_N], hi + 1)
    return n + 1


@kernel
def window_find(M, X, P, g, s, e, h, lo, hi, S):
    """Find the stretch anew. No leaf is remembered where it is empty."""
    left, i = place_of(M, P, g, h, lo)
    M[e + w.E_LEFT] = 0
    if left == 0 or M[left + data_of(P, g) + i] > hi:
        return
    M[e + w.E_LEFT] = left
    M[e + w.E_RIGHT] = leaf_for(M, P, g, h, hi)
    M[e + w.E_FROM] = lo
    M[e + w.E_TO] = hi
    M[e + w.E_EPOCH] = M[h + w.H_EPOCH]
    middle_make(M, X, P, g, s, e, S)


@inlined
def window_forward(M, X, P, g, s, e, h, lo, hi, S):
    """The stretch has moved on."""
    D = data_of(P, g)
    left = M[e + w.E_LEFT]
    right = M[e + w.E_RIGHT]
    first = left
    after = M[right + w.N_NEXT]
    while after != 0 and M[after + D] <= hi:
        if right != left:
            middle_join(M, X, P, g, s, e, left, right, S)
        right = after
        after = M[right + w.N_NEXT]
    M[e + w.E_RIGHT] = right
    while left != right and M[left + D + M[left + w.N_N] - 1] < lo:
        left = M[left + w.N_NEXT]
    if left == right and M[left + D + M[left + w.N_N] - 1] < lo:
        window_find(M, X, P, g, s, e, h, lo, hi, S)
        return
    M[e + w.E_LEFT] = left
    M[e + w.E_FROM] = lo
    M[e + w.E_TO] = hi
    if left != first:
        middle_make(M, X, P, g, s, e, S)


@kernel
def middle_join(M, X, P, g, s, e, left, leaf, S):
    """One more leaf, the next one, belongs to the middle."""
    if M[leaf + w.N_DIRTY]:
        refreshed(M, X, P, g, leaf, S, 0)
    n = 0
    if M[left + w.N_NEXT] == leaf:
        middle_room(M, X, P, g, e)
    else:
        S[0] = M[e + w.E_MIDDLE]
        S[1] = -1
        n = 1
    S[3 * n] = leaf + w.N_CELLS
    S[3 * n + 1] = -1
    cells_join(M, X, P, P[s + w.S_CELLS], P[s + w.S_NCELLS], M[e + w.E_MIDDLE], S, 0, n + 1, data_of(P, g))


@kernel
def middle_room(M, X, P, g, e):
    if M[e + w.E_MIDDLE] == 0:
        M[e + w.E_MIDDLE] = alloc(M, P[g + w.G_CELLWORDS])
    cells_clear(M, X, P, g, M[e + w.E_MIDDLE])


@kernel
def middle_make(M, X, P, g, s, e, S):
    """Join all leaves between the first and the last one, by whole branches of the tree."""
    left = M[e + w.E_LEFT]
    right = M[e + w.E_RIGHT]
    if left == right or M[left + w.N_NEXT] == right:
        return
    middle_room(M, X, P, g, e)
    D = data_of(P, g)
    n = 0
    top = M[SCRATCH]
    while M[left + w.N_PARENT] != M[right + w.N_PARENT]:
        n = branches(M, X, P, g, M[left + w.N_PARENT], left, 0, S, n)
        i = 0
        d = M[right + w.N_PARENT] + D
        while M[d + i] != right:
            i += 1
        for j in range(i - 1, -1, -1):
            top -= 1
            S[top] = M[d + j]
        left = M[left + w.N_PARENT]
        right = M[right + w.N_PARENT]
    n = branches(M, X, P, g, M[left + w.N_PARENT], left, right, S, n)
    while top < M[SCRATCH]:
        n = branch(M, X, P, g, S[top], S, n)
        top += 1
    cells_join(M, X, P, P[s + w.S_CELLS], P[s + w.S_NCELLS], M[e + w.E_MIDDLE], S, 0, n, D)


@kernel
def branches(M, X, P, g, parent, after, before, S, n):
    """The children of a parent behind one of them, up to another (0: to the end), as items."""
    d = parent + data_of(P, g)
    i = 0
    while M[d + i] != after:
        i += 1
    i += 1
    while i < M[parent + w.N_N] and M[d + i] != before:
        n = branch(M, X, P, g, M[d + i], S, n)
        i += 1
    return n


@kernel
def branch(M, X, P, g, node, S, n):
    """A whole node as an item."""
    if M[node + w.N_DIRTY]:
        refreshed(M, X, P, g, node, S, 3 * n)
    S[3 * n] = node + w.N_CELLS
    S[3 * n + 1] = -1
    return n + 1


@kernel
def place_near(M, P, g, e, h, t):
    """(leaf, place) of the first event at or after a time, leaf 0 where there is none. In the last leaf, near what is remembered,
    or by the tree."""
    D = data_of(P, g)
    if M[M[h + w.H_LAST] + D] >= t and is_known(M, e, h) and t >= M[e + w.E_FROM]:
        leaf = M[e + w.E_LEFT]
        for _ in range(NEAR):
            if M[leaf + D + M[leaf + w.N_N] - 1] >= t:
                return leaf, leaf_from(M, leaf + D, M[leaf + w.N_N], t)
            leaf = M[leaf + w.N_NEXT]
            if leaf == 0:
                return leaf, 0
    return place_of(M, P, g, h, t)
