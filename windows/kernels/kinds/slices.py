# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The slices of a group at a key: stretches of time that no window of its sets begins or ends in, each with its cells.

They are a chain, the newest first. All windows that are not frozen take a value, so what a slice holds is right for every window
that is still to be asked for; the frozen ones are never asked again.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_clear, cells_free
from windows.kernels.kinds.edges import ends, first_past, last_at, slice_of
from windows.kernels.memory.arena import LONGEST, MEMO, alloc, release
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import chain_at, grid_at, memo_at, slice_at


@inlined
def slice_find(M, head, a, b, full):
    """(the slice [a, b) that all sets may read or 0, the newest one that does not start after a)."""
    node = head
    while node != 0 and slice_at(M, node).begin > a:
        node = slice_at(M, node).next
    older = node
    while node != 0 and slice_at(M, node).begin == a:
        if slice_at(M, node).end == b and slice_at(M, node).mask == full:
            return node, older
        node = slice_at(M, node).next
    return 0, older


@inlined
def slice_known(core, g, t):
    """The place of what is known of the slice that holds t. Many values in a row are in one slice."""
    M = core.M
    m = M[MEMO] + group_at(core.P, g).memo
    if not memo_at(M, m).begin <= t < memo_at(M, m).end:
        a, b = slice_of(core, g, t)
        slice_learn(core, g, m, a, b)
    return m


@kernel
def slice_learn(core, g, m, a, b):
    """When the first window on the slice [a, b) closes, when all are frozen, and the last window on it for each set."""
    M, P = core.M, core.P
    group = group_at(P, g)
    safe = w.NONE
    dead = -w.NONE
    for j in range(group.nsets):
        s = P[group.sets + j]
        spec = set_at(P, s)
        last = last_at(core, s, a)
        safe = min(safe, ends(core, s, first_past(core, s, a)) + spec.lateness)
        dead = max(dead, ends(core, s, last) + spec.hold)
        M[m + w.MEMO_LASTS + j] = last
    memo = memo_at(M, m)
    memo.begin = a
    memo.end = b
    memo.safe = safe
    memo.dead = dead


@inlined
def slice_new(core, g, root, m, older):
    """The slice known at m, in front of `older` (0: at the old end); not needed once the last window on it is frozen for all."""
    M, P = core.M, core.P
    group = group_at(P, g)
    memo = memo_at(M, m)
    chain = chain_at(M, root + group.chain)
    place = alloc(M, w.SLICE_CELLS + group.cell_words + group.nsets)
    node = slice_at(M, place)
    newer = slice_at(M, older).prev if older != 0 else chain.tail
    slices_join(M, root + group.chain, newer, place)
    slices_join(M, root + group.chain, place, older)
    node.begin = memo.begin
    node.end = memo.end
    node.mask = group.full
    node.dead = memo.dead
    node.stamp = 0
    lasts = place + w.SLICE_CELLS + group.cell_words
    for j in range(group.nsets):
        last = M[m + w.MEMO_LASTS + j]
        M[lasts + j] = last
        mine = grid_at(M, root + set_at(P, P[group.sets + j]).entity)
        if mine.finger != 0 and memo.begin < slice_at(M, mine.finger).begin and last >= mine.open:
            mine.finger = place
    cells_clear(core, g, place + w.SLICE_CELLS)
    chain.n += 1
    M[LONGEST] = max(M[LONGEST], chain.n)
    return place


@inlined
def slices_join(M, chain, newer, older):
    """Neighbours; 0 stands for an end of the chain."""
    if newer != 0:
        slice_at(M, newer).next = older
    else:
        chain_at(M, chain).head = older
    if older != 0:
        slice_at(M, older).prev = newer
    else:
        chain_at(M, chain).tail = newer


@inlined
def slice_drop(core, g, root):
    """Free the oldest slice."""
    M, P = core.M, core.P
    group = group_at(P, g)
    chain = root + group.chain
    node = chain_at(M, chain).tail
    newer = slice_at(M, node).prev
    for j in range(group.nsets):
        mine = grid_at(M, root + set_at(P, P[group.sets + j]).entity)
        if mine.finger == node:
            mine.finger = newer
    slices_join(M, chain, newer, 0)
    chain_at(M, chain).n -= 1
    cells_free(core, g, node + w.SLICE_CELLS)
    release(M, node, w.SLICE_CELLS + group.cell_words + group.nsets)


@kernel
def slices_forget(core, g, root, before):
    """Free the oldest slices that no window needs since `before`."""
    M = core.M
    chain = chain_at(M, root + group_at(core.P, g).chain)
    while chain.tail != 0 and slice_at(M, chain.tail).dead <= before:
        slice_drop(core, g, root)


@inlined
def slices_free(core, g, root, wm):
    """Free the oldest slices that nobody needs once all that is due at a watermark has happened."""
    M, P = core.M, core.P
    group = group_at(P, g)
    chain = chain_at(M, root + group.chain)
    while chain.tail != 0 and (
        slice_at(M, chain.tail).dead <= wm or (not group.alike and not needed(core, g, root, chain.tail, wm))
    ):
        slice_drop(core, g, root)


@kernel
def needed(core, g, root, node, wm):
    """Whether a set may still ask for a slice in which it has events."""
    M, P = core.M, core.P
    group = group_at(P, g)
    for j in range(group.nsets):
        s = P[group.sets + j]
        if may_read(core, s, node):
            last = last_at(core, s, slice_at(M, node).begin)
            if last >= grid_at(M, root + set_at(P, s).entity).open or ends(core, s, last) + set_at(P, s).hold > wm:
                return True
    return False


@inlined
def may_read(core, s, node):
    """Whether the slice holds events of this set."""
    M = core.M
    spec = set_at(core.P, s)
    return (slice_at(M, node).mask >> spec.member) & 1 and M[node + w.SLICE_CELLS + spec.count] > 0
