# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's history: events by (time, arrival) in a tree of leaves and nodes that keep combined cells (after FiBA: Tangwongsan,
Hirzel, Schneider, "Optimal and General Out-of-Order Sliding-Window Aggregation", VLDB 2019, without its fingers).

An event goes in and out in O(log n), any stretch of time is O(log n) items. Cells are made when a node is first asked for whole;
a node that changed is dirty, and so are all above it. The right edge grows by appending, so it is always dirty and never asked.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.memory.arena import EPOCHS, alloc, release
from windows.kernels.memory.documents import docs_free


@kernel
def data_of(P, g):
    """Words from a node to its data."""
    return P[g + w.G_DATA]


@kernel
def node_new(M, P, g, level, cap):
    words = data_of(P, g) + (cap * P[g + w.G_NCOLS] if level == 0 else 2 * w.FAN)
    node = alloc(M, words)
    for i in range(w.N_CELLS):
        M[node + i] = 0
    M[node + w.N_LEVEL] = level
    M[node + w.N_CAP] = cap
    M[node + w.N_DIRTY] = 1
    return node


@kernel
def node_free(M, P, g, node):
    cap = M[node + w.N_CAP]
    release(M, node, data_of(P, g) + (cap * P[g + w.G_NCOLS] if M[node + w.N_LEVEL] == 0 else 2 * w.FAN))


@kernel
def history_new(M, P, g, mask):
    h = alloc(M, w.H_WORDS)
    for i in range(w.H_WORDS):
        M[h + i] = 0
    M[h + w.H_MASK] = mask
    leaf = node_new(M, P, g, 0, 4)
    M[h + w.H_ROOT] = leaf
    M[h + w.H_FIRST] = leaf
    M[h + w.H_LAST] = leaf
    reshaped(M, h)
    return h


@kernel
def reshaped(M, h):
    """More has changed than an event at the end: what is remembered of the history holds no longer."""
    M[EPOCHS] += 1
    M[h + w.H_EPOCH] = M[EPOCHS]


@kernel
def history_free(M, P, g, h):
    while M[M[h + w.H_FIRST] + w.N_NEXT] != 0:
        leaf_drop(M, P, g, h, M[h + w.H_FIRST])
    node_free(M, P, g, M[h + w.H_FIRST])
    docs_free(M, h)
    release(M, h, w.H_WORDS)


@kernel
def dirty(M, node):
    """This node's cells, and those above it, are to be made anew."""
    while node != 0 and M[node + w.N_DIRTY] == 0:
        M[node + w.N_DIRTY] = 1
        node = M[node + w.N_PARENT]


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
    node = M[h + w.H_ROOT]
    while M[node + w.N_LEVEL] > 0:
        i = M[node + w.N_N] - 1
        while i > 0 and M[node + D + w.FAN + i] > t:
            i -= 1
        node = M[node + D + i]
    return node


@kernel
def leaf_bigger(M, P, g, h, leaf):
    """The leaf with twice the room, in another place."""
    D = data_of(P, g)
    cap = M[leaf + w.N_CAP]
    reshaped(M, h)
    new = node_new(M, P, g, 0, 2 * cap)
    for i in range(w.N_PARENT, D):
        if i != w.N_CAP:
            M[new + i] = M[leaf + i]
    for c in range(P[g + w.G_NCOLS]):
        for j in range(M[leaf + w.N_N]):
            M[new + D + c * 2 * cap + j] = M[leaf + D + c * cap + j]
    parent = M[leaf + w.N_PARENT]
    if parent == 0:
        M[h + w.H_ROOT] = new
    else:
        M[parent + D + place_in(M, P, g, parent, leaf)] = new
    join_leaves(M, h, M[leaf + w.N_PREV], new)
    join_leaves(M, h, new, M[leaf + w.N_NEXT])
    node_free(M, P, g, leaf)
    return new


@kernel
def join_leaves(M, h, left, right):
    """Neighbours; 0 stands for the end of the history."""
    if left != 0:
        M[left + w.N_NEXT] = right
    else:
        M[h + w.H_FIRST] = right
    if right != 0:
        M[right + w.N_PREV] = left
    else:
        M[h + w.H_LAST] = left


@kernel
def leaf_split(M, P, g, h, leaf, t):
    """Room in a full leaf: the leaf that t goes into. At the right end a new leaf begins, elsewhere half of the events move."""
    D = data_of(P, g)
    cap = M[leaf + w.N_CAP]
    new = node_new(M, P, g, 0, cap)
    join_leaves(M, h, new, M[leaf + w.N_NEXT])
    join_leaves(M, h, leaf, new)
    if M[new + w.N_NEXT] == 0 and t >= M[leaf + D + cap - 1]:
        node_link(M, P, g, h, leaf, new, t)
        return new
    reshaped(M, h)
    half = cap >> 1
    for c in range(P[g + w.G_NCOLS]):
        for j in range(cap - half):
            M[new + D + c * cap + j] = M[leaf + D + c * cap + half + j]
    M[new + w.N_N] = cap - half
    M[leaf + w.N_N] = half
    node_link(M, P, g, h, leaf, new, M[new + D])
    return new if t >= M[new + D] else leaf


@kernel
def child_put(M, P, g, parent, i, child, low):
    """Room for a child at place i of a parent that is not full."""
    d = parent + data_of(P, g)
    n = M[parent + w.N_N]
    for j in range(n, i, -1):
        M[d + j] = M[d + j - 1]
        M[d + w.FAN + j] = M[d + w.FAN + j - 1]
    M[d + i] = child
    M[d + w.FAN + i] = low
    M[parent + w.N_N] = n + 1
    M[child + w.N_PARENT] = parent
    dirty(M, parent)


@kernel
def node_link(M, P, g, h, left, new, low):
    """Make `new` (whose lowest time is `low`) the right neighbour of `left` in the tree; full parents are split upwards."""
    D = data_of(P, g)
    dirty(M, left)
    while True:
        parent = M[left + w.N_PARENT]
        if parent == 0:
            top = node_new(M, P, g, M[left + w.N_LEVEL] + 1, w.FAN)
            M[h + w.H_ROOT] = top
            child_put(M, P, g, top, 0, left, M[left + D] if M[left + w.N_LEVEL] == 0 else M[left + D + w.FAN])
            child_put(M, P, g, top, 1, new, low)
            return
        i = place_in(M, P, g, parent, left) + 1
        if M[parent + w.N_N] < w.FAN:
            child_put(M, P, g, parent, i, new, low)
            return
        other = node_new(M, P, g, M[parent + w.N_LEVEL], w.FAN)
        dirty(M, parent)
        keep = w.FAN if i == w.FAN else w.FAN >> 1
        for j in range(keep, w.FAN):
            child_put(M, P, g, other, j - keep, M[parent + D + j], M[parent + D + w.FAN + j])
        M[parent + w.N_N] = keep
        if i <= keep and keep < w.FAN:
            child_put(M, P, g, parent, i, new, low)
        else:
            child_put(M, P, g, other, i - keep, new, low)
        left = parent
        new = other
        low = M[other + D + w.FAN]


@kernel
def leaf_drop(M, P, g, h, leaf):
    """Take a leaf, which is not the only one, out of the tree. Whoever remembers it is told by the caller."""
    D = data_of(P, g)
    join_leaves(M, h, M[leaf + w.N_PREV], M[leaf + w.N_NEXT])
    M[h + w.H_N] -= M[leaf + w.N_N]
    node = leaf
    while True:
        parent = M[node + w.N_PARENT]
        i = place_in(M, P, g, parent, node)
        node_free(M, P, g, node)
        n = M[parent + w.N_N] - 1
        M[parent + w.N_N] = n
        for j in range(i, n):
            M[parent + D + j] = M[parent + D + j + 1]
            M[parent + D + w.FAN + j] = M[parent + D + w.FAN + j + 1]
        dirty(M, parent)
        if n > 0:
            break
        node = parent
    root = M[h + w.H_ROOT]
    while M[root + w.N_LEVEL] > 0 and M[root + w.N_N] == 1:
        M[h + w.H_ROOT] = M[root + D]
        node_free(M, P, g, root)
        root = M[h + w.H_ROOT]
        M[root + w.N_PARENT] = 0
