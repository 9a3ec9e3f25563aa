"""A key's history: events by (time, arrival) in a tree of leaves and nodes that keep combined cells (after FiBA: Tangwongsan,
Hirzel, Schneider, "Optimal and General Out-of-Order Sliding-Window Aggregation", VLDB 2019, without its fingers).

An event goes in and out in O(log n), any stretch of time is O(log n) items. Cells are made when a node is first asked for whole;
a node that changed is dirty, and so are all above it. The right edge grows by appending, so it is always dirty and never asked.
"""

from __future__ import annotations

from windows.arena import alloc, release
from windows.jit import kernel
from windows.kernel_layout import (
    FAN, G_CELLWORDS, G_NCOLS, H_FIRST, H_LAST, H_MASK, H_N, H_NEXT, H_ROOT, H_WORDS, LEAF, N_CAP, N_CELLS, N_DIRTY, N_LEVEL, N_N,
    N_NEXT, N_PARENT, N_PREV,
)  # fmt: skip


@kernel
def data_of(P, g):
    """Words from a node to its data."""
    return N_CELLS + P[g + G_CELLWORDS]


@kernel
def node_new(M, P, g, level, cap):
    words = data_of(P, g) + (cap * P[g + G_NCOLS] if level == 0 else 2 * FAN)
    node = alloc(M, words)
    for i in range(N_CELLS):
        M[node + i] = 0
    M[node + N_LEVEL] = level
    M[node + N_CAP] = cap
    M[node + N_DIRTY] = 1
    return node


@kernel
def node_free(M, P, g, node):
    cap = M[node + N_CAP]
    release(M, node, data_of(P, g) + (cap * P[g + G_NCOLS] if M[node + N_LEVEL] == 0 else 2 * FAN))


@kernel
def history_new(M, P, g, mask):
    h = alloc(M, H_WORDS)
    for i in range(H_WORDS):
        M[h + i] = 0
    M[h + H_MASK] = mask
    leaf = node_new(M, P, g, 0, 4)
    M[h + H_ROOT] = leaf
    M[h + H_FIRST] = leaf
    M[h + H_LAST] = leaf
    return h


@kernel
def history_free(M, P, g, h):
    while M[M[h + H_FIRST] + N_NEXT] != 0:
        leaf_drop(M, P, g, h, M[h + H_FIRST])
    node_free(M, P, g, M[h + H_FIRST])
    release(M, h, H_WORDS)


@kernel
def dirty(M, node):
    """This node's cells, and those above it, are to be made anew."""
    while node != 0 and M[node + N_DIRTY] == 0:
        M[node + N_DIRTY] = 1
        node = M[node + N_PARENT]


@kernel
def place_in(M, P, g, parent, child):
    d = parent + data_of(P, g)
    i = 0
    while M[d + i] != child:
        i += 1
    return i


@kernel
def leaf_for(M, P, g, h, t):
    """The last leaf whose lowest time is not after t, or the first leaf."""
    D = data_of(P, g)
    node = M[h + H_ROOT]
    while M[node + N_LEVEL] > 0:
        i = M[node + N_N] - 1
        while i > 0 and M[node + D + FAN + i] > t:
            i -= 1
        node = M[node + D + i]
    return node


@kernel
def leaf_bigger(M, P, g, h, leaf):
    """The leaf with twice the room, in another place."""
    D = data_of(P, g)
    cap = M[leaf + N_CAP]
    new = node_new(M, P, g, 0, 2 * cap)
    for i in range(N_PARENT, D):
        if i != N_CAP:
            M[new + i] = M[leaf + i]
    for c in range(P[g + G_NCOLS]):
        for j in range(M[leaf + N_N]):
            M[new + D + c * 2 * cap + j] = M[leaf + D + c * cap + j]
    parent = M[leaf + N_PARENT]
    if parent == 0:
        M[h + H_ROOT] = new
    else:
        M[parent + D + place_in(M, P, g, parent, leaf)] = new
    join_leaves(M, h, M[leaf + N_PREV], new)
    join_leaves(M, h, new, M[leaf + N_NEXT])
    node_free(M, P, g, leaf)
    return new


@kernel
def join_leaves(M, h, left, right):
    """Neighbours; 0 stands for the end of the history."""
    if left != 0:
        M[left + N_NEXT] = right
    else:
        M[h + H_FIRST] = right
    if right != 0:
        M[right + N_PREV] = left
    else:
        M[h + H_LAST] = left


@kernel
def leaf_split(M, P, g, h, leaf, t):
    """Room in a full leaf: the leaf that t goes into. At the right end a new leaf begins, elsewhere half of the events move."""
    D = data_of(P, g)
    cap = M[leaf + N_CAP]
    new = node_new(M, P, g, 0, cap)
    join_leaves(M, h, new, M[leaf + N_NEXT])
    join_leaves(M, h, leaf, new)
    if M[new + N_NEXT] == 0 and t >= M[leaf + D + cap - 1]:
        node_link(M, P, g, h, leaf, new, t)
        return new
    half = cap >> 1
    for c in range(P[g + G_NCOLS]):
        for j in range(cap - half):
            M[new + D + c * cap + j] = M[leaf + D + c * cap + half + j]
    M[new + N_N] = cap - half
    M[leaf + N_N] = half
    node_link(M, P, g, h, leaf, new, M[new + D])
    return new if t >= M[new + D] else leaf


@kernel
def child_put(M, P, g, parent, i, child, low):
    """Room for a child at place i of a parent that is not full."""
    d = parent + data_of(P, g)
    n = M[parent + N_N]
    for j in range(n, i, -1):
        M[d + j] = M[d + j - 1]
        M[d + FAN + j] = M[d + FAN + j - 1]
    M[d + i] = child
    M[d + FAN + i] = low
    M[parent + N_N] = n + 1
    M[child + N_PARENT] = parent
    dirty(M, parent)


@kernel
def node_link(M, P, g, h, left, new, low):
    """Make `new` (whose lowest time is `low`) the right neighbour of `left` in the tree; full parents are split upwards."""
    D = data_of(P, g)
    dirty(M, left)
    while True:
        parent = M[left + N_PARENT]
        if parent == 0:
            top = node_new(M, P, g, M[left + N_LEVEL] + 1, FAN)
            M[h + H_ROOT] = top
            child_put(M, P, g, top, 0, left, M[left + D] if M[left + N_LEVEL] == 0 else M[left + D + FAN])
            child_put(M, P, g, top, 1, new, low)
            return
        i = place_in(M, P, g, parent, left) + 1
        if M[parent + N_N] < FAN:
            child_put(M, P, g, parent, i, new, low)
            return
        other = node_new(M, P, g, M[parent + N_LEVEL], FAN)
        dirty(M, parent)
        keep = FAN if i == FAN else FAN >> 1
        for j in range(keep, FAN):
            child_put(M, P, g, other, j - keep, M[parent + D + j], M[parent + D + FAN + j])
        M[parent + N_N] = keep
        if i <= keep and keep < FAN:
            child_put(M, P, g, parent, i, new, low)
        else:
            child_put(M, P, g, other, i - keep, new, low)
        left = parent
        new = other
        low = M[other + D + FAN]


@kernel
def leaf_drop(M, P, g, h, leaf):
    """Take a leaf, which is not the only one, out of the tree."""
    D = data_of(P, g)
    join_leaves(M, h, M[leaf + N_PREV], M[leaf + N_NEXT])
    M[h + H_N] -= M[leaf + N_N]
    node = leaf
    while True:
        parent = M[node + N_PARENT]
        i = place_in(M, P, g, parent, node)
        node_free(M, P, g, node)
        n = M[parent + N_N] - 1
        M[parent + N_N] = n
        for j in range(i, n):
            M[parent + D + j] = M[parent + D + j + 1]
            M[parent + D + FAN + j] = M[parent + D + FAN + j + 1]
        dirty(M, parent)
        if n > 0:
            break
        node = parent
    root = M[h + H_ROOT]
    while M[root + N_LEVEL] > 0 and M[root + N_N] == 1:
        M[h + H_ROOT] = M[root + D]
        node_free(M, P, g, root)
        root = M[h + H_ROOT]
        M[root + N_PARENT] = 0
