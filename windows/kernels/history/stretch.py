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
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import history_at, node_at, rolling_at

NEAR = 4  # leaves that are looked through before the tree is asked


@inlined
def is_known(M, e, h):
    """Whether what is remembered still holds."""
    return rolling_at(M, e).left != 0 and rolling_at(M, e).epoch == history_at(M, h).epoch


@inlined
def window_items(core, s, e, h, lo, hi):
    """The events with lo <= time <= hi as items from S[0] on, in order: how many."""
    M, S = core.M, core.S
    g = set_at(core.P, s).group
    D = data_of(core, g)
    mine = rolling_at(M, e)
    if node_at(M, history_at(M, h).root).level == 0:
        return leaf_item(core, g, history_at(M, h).root, lo, hi, 0)
    if is_known(M, e, h):
        if lo < mine.begin or hi < mine.end:
            return stretch(core, g, h, lo, hi)
        window_forward(core, s, e, h, lo, hi)
    else:
        window_find(core, s, e, h, lo, hi)
    left = mine.left
    if left == 0:
        return 0
    right = mine.right
    n = leaf_item(core, g, left, lo, hi, 0)
    if left == right:
        return n
    if node_at(M, left).next != right:
        S[3 * n] = mine.middle
        S[3 * n + 1] = -1
        n += 1
    d = right + D
    S[3 * n] = right
    S[3 * n + 1] = 0
    S[3 * n + 2] = node_at(M, right).n if M[d + node_at(M, right).n - 1] <= hi else leaf_from(M, d, node_at(M, right).n, hi + 1)
    return n + 1


@kernel
def window_find(core, s, e, h, lo, hi):
    """Find the stretch anew. No leaf is remembered where it is empty."""
    M = core.M
    g = set_at(core.P, s).group
    mine = rolling_at(M, e)
    left, i = place_of(core, g, h, lo)
    mine.left = 0
    if left == 0 or M[left + data_of(core, g) + i] > hi:
        return
    mine.left = left
    mine.right = leaf_for(core, g, h, hi)
    mine.begin = lo
    mine.end = hi
    mine.epoch = history_at(M, h).epoch
    middle_make(core, s, e)


@inlined
def window_forward(core, s, e, h, lo, hi):
    """The stretch has moved on."""
    M = core.M
    D = data_of(core, set_at(core.P, s).group)
    mine = rolling_at(M, e)
    left = mine.left
    right = mine.right
    first = left
    after = node_at(M, right).next
    while after != 0 and M[after + D] <= hi:
        if right != left:
            middle_join(core, s, e, left, right)
        right = after
        after = node_at(M, right).next
    mine.right = right
    while left != right and M[left + D + node_at(M, left).n - 1] < lo:
        left = node_at(M, left).next
    if left == right and M[left + D + node_at(M, left).n - 1] < lo:
        window_find(core, s, e, h, lo, hi)
        return
    mine.left = left
    mine.begin = lo
    mine.end = hi
    if left != first:
        middle_make(core, s, e)


@kernel
def middle_join(core, s, e, left, leaf):
    """One more leaf, the next one, belongs to the middle."""
    M, S = core.M, core.S
    spec = set_at(core.P, s)
    g = spec.group
    if node_at(M, leaf).dirty:
        refreshed(core, g, leaf, 0)
    n = 0
    if node_at(M, left).next == leaf:
        middle_room(core, g, e)
    else:
        S[0] = rolling_at(M, e).middle
        S[1] = -1
        n = 1
    S[3 * n] = leaf + w.NODE_CELLS
    S[3 * n + 1] = -1
    cells_join(core, spec.cells, spec.ncells, rolling_at(M, e).middle, 0, n + 1, data_of(core, g))


@kernel
def middle_room(core, g, e):
    """The middle, with nothing in it."""
    M, P = core.M, core.P
    if rolling_at(M, e).middle == 0:
        rolling_at(M, e).middle = alloc(M, group_at(P, g).cell_words)
    cells_clear(core, g, rolling_at(M, e).middle)


@kernel
def middle_make(core, s, e):
    """Join all leaves between the first and the last one, by whole branches of the tree."""
    M, S = core.M, core.S
    spec = set_at(core.P, s)
    g = spec.group
    left = rolling_at(M, e).left
    right = rolling_at(M, e).right
    if left == right or node_at(M, left).next == right:
        return
    middle_room(core, g, e)
    D = data_of(core, g)
    n = 0
    top = M[SCRATCH]
    while node_at(M, left).parent != node_at(M, right).parent:
        n = branches(core, g, node_at(M, left).parent, left, 0, n)
        i = 0
        d = node_at(M, right).parent + D
        while M[d + i] != right:
            i += 1
        for j in range(i - 1, -1, -1):
            top -= 1
            S[top] = M[d + j]
        left = node_at(M, left).parent
        right = node_at(M, right).parent
    n = branches(core, g, node_at(M, left).parent, left, right, n)
    while top < M[SCRATCH]:
        n = branch(core, g, S[top], n)
        top += 1
    cells_join(core, spec.cells, spec.ncells, rolling_at(M, e).middle, 0, n, D)


@kernel
def branches(core, g, parent, after, before, n):
    """The children of a parent behind one of them, up to another (0: to the end), as items."""
    M = core.M
    d = parent + data_of(core, g)
    i = 0
    while M[d + i] != after:
        i += 1
    i += 1
    while i < node_at(M, parent).n and M[d + i] != before:
        n = branch(core, g, M[d + i], n)
        i += 1
    return n


@kernel
def branch(core, g, node, n):
    """A whole node as an item."""
    M, S = core.M, core.S
    if node_at(M, node).dirty:
        refreshed(core, g, node, 3 * n)
    S[3 * n] = node + w.NODE_CELLS
    S[3 * n + 1] = -1
    return n + 1


@kernel
def place_near(core, g, e, h, t):
    """(leaf, place) of the first event at or after a time, leaf 0 where there is none. In the last leaf, near what is remembered,
    or by the tree."""
    M = core.M
    D = data_of(core, g)
    if M[history_at(M, h).last + D] >= t and is_known(M, e, h) and t >= rolling_at(M, e).begin:
        leaf = rolling_at(M, e).left
        for _ in range(NEAR):
            if M[leaf + D + node_at(M, leaf).n - 1] >= t:
                return leaf, leaf_from(M, leaf + D, node_at(M, leaf).n, t)
            leaf = node_at(M, leaf).next
            if leaf == 0:
                return leaf, 0
    return place_of(core, g, h, t)
