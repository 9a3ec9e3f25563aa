# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's history: events by (time, arrival) in a tree of leaves and nodes that keep combined cells (after FiBA: Tangwongsan,
Hirzel, Schneider, "Optimal and General Out-of-Order Sliding-Window Aggregation", VLDB 2019, without its fingers).

An event goes in and out in O(log n), any stretch of time is O(log n) items. Cells are made when a node is first asked for whole;
a node that changed is dirty, and so are all above it. The right edge grows by appending, so it is always dirty and never asked.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.history.segments import segments_free
from windows.kernels.memory.arena import EMPTY, EPOCHS, alloc, release
from windows.kernels.memory.documents import docs_free
from windows.kernels.tables import group_at
from windows.kernels.words import history_at, node_at


@kernel
def data_of(core, g):
    """Words from a node to its data."""
    return group_at(core.P, g).data


@kernel
def node_new(core, g, level, cap):
    M, P = core.M, core.P
    words = data_of(core, g) + (cap * group_at(P, g).ncolumns if level == 0 else 2 * w.FAN)
    node = alloc(M, words)
    for i in range(w.NODE_CELLS):
        M[node + i] = 0
    node_at(M, node).level = level
    node_at(M, node).cap = cap
    node_at(M, node).dirty = 1
    return node


@kernel
def node_free(core, g, node):
    M, P = core.M, core.P
    cap = node_at(M, node).cap
    release(M, node, data_of(core, g) + (cap * group_at(P, g).ncolumns if node_at(M, node).level == 0 else 2 * w.FAN))


@kernel
def history_new(core, g, mask):
    M = core.M
    h = alloc(M, w.HISTORY_WORDS)
    for i in range(w.HISTORY_WORDS):
        M[h + i] = 0
    history_at(M, h).mask = mask
    history_at(M, h).until = EMPTY
    leaf = node_new(core, g, 0, 4)
    history_at(M, h).root = leaf
    history_at(M, h).first = leaf
    history_at(M, h).last = leaf
    reshaped(M, h)
    return h


@kernel
def reshaped(M, h):
    """More has changed than an event at the end: what is remembered of the history holds no longer."""
    M[EPOCHS] += 1
    history_at(M, h).epoch = M[EPOCHS]


@kernel
def history_free(core, g, h):
    M = core.M
    while node_at(M, history_at(M, h).first).next != 0:
        leaf_drop(core, g, h, history_at(M, h).first)
    node_free(core, g, history_at(M, h).first)
    docs_free(M, h)
    segments_free(M, h)
    release(M, h, w.HISTORY_WORDS)


@kernel
def dirty(M, node):
    """This node's cells, and those above it, are to be made anew."""
    while node != 0 and node_at(M, node).dirty == 0:
        node_at(M, node).dirty = 1
        node = node_at(M, node).parent


@kernel
def place_in(core, g, parent, child):
    M = core.M
    d = parent + data_of(core, g)
    i = 0
    while M[d + i] != child:
        i += 1
    return i


@kernel
def leaf_for(core, g, h, t):
    """The last leaf whose lowest time is not after t, or the first leaf."""
    M = core.M
    D = data_of(core, g)
    node = history_at(M, h).root
    while node_at(M, node).level > 0:
        i = node_at(M, node).n - 1
        while i > 0 and M[node + D + w.FAN + i] > t:
            i -= 1
        node = M[node + D + i]
    return node


@kernel
def leaf_bigger(core, g, h, leaf):
    """The leaf with twice the room, in another place."""
    M, P = core.M, core.P
    D = data_of(core, g)
    cap = node_at(M, leaf).cap
    reshaped(M, h)
    new = node_new(core, g, 0, 2 * cap)
    for i in range(D):
        M[new + i] = M[leaf + i]
    node_at(M, new).cap = 2 * cap
    for c in range(group_at(P, g).ncolumns):
        for j in range(node_at(M, leaf).n):
            M[new + D + c * 2 * cap + j] = M[leaf + D + c * cap + j]
    parent = node_at(M, leaf).parent
    if parent == 0:
        history_at(M, h).root = new
    else:
        M[parent + D + place_in(core, g, parent, leaf)] = new
    join_leaves(M, h, node_at(M, leaf).prev, new)
    join_leaves(M, h, new, node_at(M, leaf).next)
    node_free(core, g, leaf)
    return new


@kernel
def join_leaves(M, h, left, right):
    """Neighbours; 0 stands for the end of the history."""
    if left != 0:
        node_at(M, left).next = right
    else:
        history_at(M, h).first = right
    if right != 0:
        node_at(M, right).prev = left
    else:
        history_at(M, h).last = left


@kernel
def leaf_split(core, g, h, leaf, t):
    """Room in a full leaf: the leaf that t goes into. At the right end a new leaf begins, elsewhere half of the events move."""
    M, P = core.M, core.P
    D = data_of(core, g)
    cap = node_at(M, leaf).cap
    new = node_new(core, g, 0, cap)
    join_leaves(M, h, new, node_at(M, leaf).next)
    join_leaves(M, h, leaf, new)
    if node_at(M, new).next == 0 and t >= M[leaf + D + cap - 1]:
        node_link(core, g, h, leaf, new, t)
        return new
    reshaped(M, h)
    half = cap >> 1
    for c in range(group_at(P, g).ncolumns):
        for j in range(cap - half):
            M[new + D + c * cap + j] = M[leaf + D + c * cap + half + j]
    node_at(M, new).n = cap - half
    node_at(M, leaf).n = half
    node_link(core, g, h, leaf, new, M[new + D])
    return new if t >= M[new + D] else leaf


@kernel
def child_put(core, g, parent, i, child, low):
    """Room for a child at place i of a parent that is not full."""
    M = core.M
    d = parent + data_of(core, g)
    n = node_at(M, parent).n
    for j in range(n, i, -1):
        M[d + j] = M[d + j - 1]
        M[d + w.FAN + j] = M[d + w.FAN + j - 1]
    M[d + i] = child
    M[d + w.FAN + i] = low
    node_at(M, parent).n = n + 1
    node_at(M, child).parent = parent
    dirty(M, parent)


@kernel
def node_link(core, g, h, left, new, low):
    """Make `new` (whose lowest time is `low`) the right neighbour of `left` in the tree; full parents are split upwards."""
    M = core.M
    D = data_of(core, g)
    dirty(M, left)
    while True:
        parent = node_at(M, left).parent
        if parent == 0:
            top = node_new(core, g, node_at(M, left).level + 1, w.FAN)
            history_at(M, h).root = top
            child_put(core, g, top, 0, left, M[left + D] if node_at(M, left).level == 0 else M[left + D + w.FAN])
            child_put(core, g, top, 1, new, low)
            return
        i = place_in(core, g, parent, left) + 1
        if node_at(M, parent).n < w.FAN:
            child_put(core, g, parent, i, new, low)
            return
        other = node_new(core, g, node_at(M, parent).level, w.FAN)
        dirty(M, parent)
        keep = w.FAN if i == w.FAN else w.FAN >> 1
        for j in range(keep, w.FAN):
            child_put(core, g, other, j - keep, M[parent + D + j], M[parent + D + w.FAN + j])
        node_at(M, parent).n = keep
        if i <= keep and keep < w.FAN:
            child_put(core, g, parent, i, new, low)
        else:
            child_put(core, g, other, i - keep, new, low)
        left = parent
        new = other
        low = M[other + D + w.FAN]


@kernel
def leaf_drop(core, g, h, leaf):
    """Take a leaf, which is not the only one, out of the tree. Whoever remembers it is told by the caller."""
    M = core.M
    D = data_of(core, g)
    join_leaves(M, h, node_at(M, leaf).prev, node_at(M, leaf).next)
    history_at(M, h).n -= node_at(M, leaf).n
    node = leaf
    while True:
        parent = node_at(M, node).parent
        i = place_in(core, g, parent, node)
        node_free(core, g, node)
        n = node_at(M, parent).n - 1
        node_at(M, parent).n = n
        for j in range(i, n):
            M[parent + D + j] = M[parent + D + j + 1]
            M[parent + D + w.FAN + j] = M[parent + D + w.FAN + j + 1]
        dirty(M, parent)
        if n > 0:
            break
        node = parent
    root = history_at(M, h).root
    while node_at(M, root).level > 0 and node_at(M, root).n == 1:
        history_at(M, h).root = M[root + D]
        node_free(core, g, root)
        root = history_at(M, h).root
        node_at(M, root).parent = 0
