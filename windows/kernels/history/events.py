# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Events into and out of a history, found by time or by document, forgotten; any stretch of its time as items (see
cells/cells.py)."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_join
from windows.kernels.history.segments import segment_changed, segments_trimmed
from windows.kernels.history.tree import (
    data_of,
    dirty,
    leaf_bigger,
    leaf_drop,
    leaf_for,
    leaf_split,
    place_in,
    reshaped,
)
from windows.kernels.memory.arena import CROWD, SCRATCH
from windows.kernels.memory.documents import docs_add, docs_strike
from windows.kernels.memory.rising import first_from
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import history_at, node_at, rolling_at


@inlined
def event_room(core, g, h, t):
    """Room for an event behind all up to its time: (leaf, place), its time written."""
    M, P = core.M, core.P
    D = data_of(core, g)
    leaf = history_at(M, h).last
    n = node_at(M, leaf).n
    if n > 0 and t < M[leaf + D + n - 1]:
        leaf = leaf_for(core, g, h, t)
        if leaf != history_at(M, h).last:  # what is remembered joins no events of the last leaf
            reshaped(M, h)
    if node_at(M, leaf).n == node_at(M, leaf).cap:
        leaf = leaf_bigger(core, g, h, leaf) if node_at(M, leaf).cap < w.LEAF else leaf_split(core, g, h, leaf, t)
    n = node_at(M, leaf).n
    cap = node_at(M, leaf).cap
    pos = n
    while pos > 0 and M[leaf + D + pos - 1] > t:
        pos -= 1
    for c in range(group_at(P, g).ncolumns):
        d = leaf + D + c * cap
        for j in range(n, pos, -1):
            M[d + j] = M[d + j - 1]
    M[leaf + D + pos] = t
    node_at(M, leaf).n = n + 1
    history_at(M, h).n += 1
    if t <= history_at(M, h).until:
        segment_changed(M, h, t, 1)
    M[CROWD] = max(M[CROWD], history_at(M, h).n)
    dirty(M, leaf)
    if pos == 0:
        lower(core, g, leaf, t)
    return leaf, pos


@inlined
def event_put(core, rows, g, h, mask, t, i, came):
    """A row's event into a history: (leaf, place). came: what its last column says in sets that keep their events, which is the
    watermark that it came under (windows of a grid), or whether it was late (sessions)."""
    M, X, P = core.M, floats_of(core.M), core.P
    NUM, CODE = rows.numbers, rows.codes
    group = group_at(P, g)
    leaf, place = event_room(core, g, h, t)
    cap = node_at(M, leaf).cap
    first = leaf + group.data + place
    M[first + w.MASKS * cap] = mask
    for c in range(w.FIELDS, group.ncolumns):
        column = P[group.columns + c]
        if column == tables.RAW:
            M[first + c * cap] = came
        elif column >= 0:
            X[first + c * cap] = NUM[column * rows.n + i]
        else:
            M[first + c * cap] = CODE[(-1 - column) * rows.n + i]
    doc_note(core, g, h, leaf, place)
    return leaf, place


@kernel
def lower(core, g, node, t):
    """The lowest time under a node came down to t."""
    M = core.M
    parent = node_at(M, node).parent
    while parent != 0:
        i = place_in(core, g, parent, node)
        d = parent + data_of(core, g) + w.FAN + i
        if M[d] > t:
            M[d] = t
        if i > 0:
            return
        node = parent
        parent = node_at(M, node).parent


@kernel
def events_cut(core, g, h, leaf, i, k):
    """Take k events out of a leaf, from place i on."""
    M, P = core.M, core.P
    n = node_at(M, leaf).n
    for c in range(group_at(P, g).ncolumns):
        d = leaf + data_of(core, g) + c * node_at(M, leaf).cap
        for j in range(i + k, n):
            M[d + j - k] = M[d + j]
    node_at(M, leaf).n = n - k
    history_at(M, h).n -= k
    reshaped(M, h)
    dirty(M, leaf)
    if n == k and history_at(M, h).root != leaf:
        leaf_drop(core, g, h, leaf)


@kernel
def refreshed(core, g, node, at):
    """Make the cells of a node, and of all below it that need it."""
    M = core.M
    D = data_of(core, g)
    now = node
    while True:
        child = 0
        if node_at(M, now).level > 0:
            for i in range(node_at(M, now).n):
                if node_at(M, M[now + D + i]).dirty:
                    child = M[now + D + i]
        if child != 0:
            now = child
            continue
        cells_make(core, g, now, at)
        if now == node:
            return
        now = node_at(M, now).parent


@kernel
def cells_make(core, g, node, at):
    """Make the cells of one node from its events or from its children's cells."""
    M, P, S = core.M, core.P, core.S
    group = group_at(P, g)
    D = data_of(core, g)
    n = 1
    S[at] = node
    S[at + 1] = 0
    S[at + 2] = node_at(M, node).n
    if node_at(M, node).level > 0:
        n = node_at(M, node).n
        for i in range(n):
            S[at + 3 * i] = M[node + D + i] + w.NODE_CELLS
            S[at + 3 * i + 1] = -1
    cells_join(core, group.cells, group.ncells, node + w.NODE_CELLS, at, n, D)
    node_at(M, node).dirty = 0


@kernel
def stretch(core, g, h, lo, hi):
    """The events with lo <= time <= hi as items from S[0] on, in order: how many. The end of S is a stack of (node, whole)."""
    M, S = core.M, core.S
    root = history_at(M, h).root
    if node_at(M, root).level == 0:
        return leaf_item(core, g, root, lo, hi, 0)
    D = data_of(core, g)
    n = 0
    top = M[SCRATCH] - 2
    S[top] = root
    S[top + 1] = 0
    while top < M[SCRATCH]:
        node = S[top]
        whole = S[top + 1]
        top += 2
        if whole:
            if node_at(M, node).dirty:
                refreshed(core, g, node, 3 * n)
            S[3 * n] = node + w.NODE_CELLS
            S[3 * n + 1] = -1
            n += 1
        elif node_at(M, node).level == 0:
            n = leaf_item(core, g, node, lo, hi, n)
        else:
            for i in range(node_at(M, node).n - 1, -1, -1):
                low = M[node + D + w.FAN + i]
                last = i == node_at(M, node).n - 1
                if low <= hi and (last or M[node + D + w.FAN + i + 1] >= lo):
                    top -= 2
                    S[top] = M[node + D + i]
                    S[top + 1] = low >= lo and not last and M[node + D + w.FAN + i + 1] <= hi
    return n


@inlined
def leaf_from(M, d, n, t):
    """How many of a leaf's n rising times from M[d] on are before t: all places are looked at together."""
    before = 0
    for i in range(w.LEAF):
        before += (M[d + i] < t) & (i < n)
    return before


@inlined
def leaf_item(core, g, leaf, lo, hi, n):
    """The events of one leaf between two times as an item, if there are any."""
    M, S = core.M, core.S
    d = leaf + data_of(core, g)
    b = node_at(M, leaf).n
    a = leaf_from(M, d, b, lo)
    if b > 0 and M[d + b - 1] > hi:
        b = leaf_from(M, d, b, hi + 1)
    if a < b:
        S[3 * n] = leaf
        S[3 * n + 1] = a
        S[3 * n + 2] = b
        n += 1
    return n


@kernel
def place_of(core, g, h, t):
    """(leaf, place) of the first event at or after a time; leaf 0 where there is none."""
    M = core.M
    D = data_of(core, g)
    last = history_at(M, h).last
    n = node_at(M, last).n
    if n > 0 and M[last + D] < t:
        return (last, leaf_from(M, last + D, n, t)) if M[last + D + n - 1] >= t else (0, 0)
    leaf = leaf_for(core, g, h, t - 1)
    while leaf != 0:
        n = node_at(M, leaf).n
        if n > 0 and M[leaf + D + n - 1] >= t:
            return leaf, leaf_from(M, leaf + D, n, t)
        leaf = node_at(M, leaf).next
    return leaf, 0


@kernel
def doc_note(core, g, h, leaf, place):
    """Remember which document brought an event, where values can be taken out."""
    M, P = core.M, core.P
    group = group_at(P, g)
    if group.document > 0:
        d = leaf + data_of(core, g)
        docs_add(M, h, M[d + group.document * node_at(M, leaf).cap + place], M[d + place])


@kernel
def came_at(core, g, leaf, place):
    """Where it stands how an event came."""
    M, P = core.M, core.P
    return leaf + data_of(core, g) + (group_at(P, g).ncolumns - 1) * node_at(M, leaf).cap + place


@kernel
def last_place(core, g, h, t):
    """(leaf, place) of the last event at or before a time; leaf 0 where there is none."""
    M = core.M
    leaf = leaf_for(core, g, h, t)
    while leaf != 0:
        i = first_from(M, leaf + data_of(core, g), node_at(M, leaf).n, t + 1) - 1
        if i >= 0:
            return leaf, i
        leaf = node_at(M, leaf).prev
    return leaf, 0


@kernel
def last_before(core, g, h, t):
    """The time of the last event before this one. There is one."""
    M = core.M
    leaf, i = last_place(core, g, h, t - 1)
    return M[leaf + data_of(core, g) + i]


@kernel
def first_at(core, g, h, t):
    """The time of the first event at or after this one. There is one."""
    M = core.M
    leaf, i = place_of(core, g, h, t)
    return M[leaf + data_of(core, g) + i]


@kernel
def event_of(core, g, h, t, code):
    """(leaf, place) of the last event at time t that this document brought. There is one."""
    M, P = core.M, core.P
    D = data_of(core, g)
    leaf, i = last_place(core, g, h, t)
    while M[leaf + D + group_at(P, g).document * node_at(M, leaf).cap + i] != code:
        i -= 1
        if i < 0:
            leaf = node_at(M, leaf).prev
            i = node_at(M, leaf).n - 1
    return leaf, i


@kernel
def event_take(core, g, h, leaf, place, t, code):
    """Take one event of a document out."""
    M = core.M
    docs_strike(M, h, code, t)
    if t <= history_at(M, h).until:
        segment_changed(M, h, t, -1)
    events_cut(core, g, h, leaf, place, 1)


@kernel
def events_forget(core, g, root, h, before, exactly):
    """Free the leaves that hold nothing from a time on; of the leaf behind them its events before that time, where it is the only
    one or `exactly` is asked for. What is remembered of the leaves behind still holds."""
    M, P = core.M, core.P
    group = group_at(P, g)
    D = group.data
    while True:
        leaf = history_at(M, h).first
        n = node_at(M, leaf).n
        alone = node_at(M, leaf).next == 0
        whole = n > 0 and not alone and M[leaf + D + n - 1] < before
        k = n if whole else first_from(M, leaf + D, n, before) if alone or exactly else 0
        if k == 0:
            return
        segments_trimmed(M, h, k)
        if group.document > 0:
            for i in range(k):
                docs_strike(M, h, M[leaf + D + group.document * node_at(M, leaf).cap + i], M[leaf + D + i])
        if not whole:
            events_cut(core, g, h, leaf, 0, k)
            return
        if group.kind == tables.ROLLING:
            for j in range(group.nsets):
                mine = rolling_at(M, root + set_at(P, P[group.sets + j]).entity)
                if mine.left == leaf:
                    mine.left = 0
        leaf_drop(core, g, h, leaf)


@kernel
def leaf_items(core, g, h, lo, hi):
    """The events of a stretch as items (see cells/cells.py), leaves only: what no node keeps needs each of them."""
    M, S = core.M, core.S
    n = 0
    leaf, i = place_of(core, g, h, lo)
    while leaf != 0:
        end = first_from(M, leaf + data_of(core, g), node_at(M, leaf).n, hi + 1)
        if end > i:
            S[3 * n] = leaf
            S[3 * n + 1] = i
            S[3 * n + 2] = end
            n += 1
        leaf = node_at(M, leaf).next if end == node_at(M, leaf).n else 0
        i = 0
    return n
