# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Events into and out of a history, and any stretch of its time as items (see cells/cells.py)."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_join
from windows.kernels.history.tree import (
    data_of,
    dirty,
    history_new,
    leaf_bigger,
    leaf_drop,
    leaf_for,
    leaf_split,
    place_in,
    reshaped,
)
from windows.kernels.memory.arena import CROWD, LONGEST, SCRATCH, STRIDE
from windows.kernels.memory.documents import docs_add, docs_strike


@inlined
def event_room(M, P, g, h, t):
    """Room for an event behind all up to its time: (leaf, place), its time written."""
    D = data_of(P, g)
    leaf = M[h + w.H_LAST]
    n = M[leaf + w.N_N]
    if n > 0 and t < M[leaf + D + n - 1]:
        leaf = leaf_for(M, P, g, h, t)
        if leaf != M[h + w.H_LAST]:  # what is remembered joins no events of the last leaf
            reshaped(M, h)
    if M[leaf + w.N_N] == M[leaf + w.N_CAP]:
        leaf = leaf_bigger(M, P, g, h, leaf) if M[leaf + w.N_CAP] < w.LEAF else leaf_split(M, P, g, h, leaf, t)
    n = M[leaf + w.N_N]
    cap = M[leaf + w.N_CAP]
    pos = n
    while pos > 0 and M[leaf + D + pos - 1] > t:
        pos -= 1
    for c in range(P[g + w.G_NCOLS]):
        d = leaf + D + c * cap
        for j in range(n, pos, -1):
            M[d + j] = M[d + j - 1]
    M[leaf + D + pos] = t
    M[leaf + w.N_N] = n + 1
    M[h + w.H_N] += 1
    M[CROWD] = max(M[CROWD], M[h + w.H_N])
    dirty(M, leaf)
    if pos == 0:
        lower(M, P, g, leaf, t)
    return leaf, pos


@kernel
def lower(M, P, g, node, t):
    """The lowest time under a node came down to t."""
    parent = M[node + w.N_PARENT]
    while parent != 0:
        i = place_in(M, P, g, parent, node)
        d = parent + data_of(P, g) + w.FAN + i
        if M[d] > t:
            M[d] = t
        if i > 0:
            return
        node = parent
        parent = M[node + w.N_PARENT]


@kernel
def events_cut(M, P, g, h, leaf, i, k):
    """Take k events out of a leaf, from place i on."""
    n = M[leaf + w.N_N]
    for c in range(P[g + w.G_NCOLS]):
        d = leaf + data_of(P, g) + c * M[leaf + w.N_CAP]
        for j in range(i + k, n):
            M[d + j - k] = M[d + j]
    M[leaf + w.N_N] = n - k
    M[h + w.H_N] -= k
    reshaped(M, h)
    dirty(M, leaf)
    if n == k and M[h + w.H_ROOT] != leaf:
        leaf_drop(M, P, g, h, leaf)


@kernel
def forget_before(M, P, g, root, h, useless):
    """Free the leaves that hold nothing from a time on; where one leaf is all, its events before that time. What is remembered of
    the leaves behind them still holds."""
    D = data_of(P, g)
    while True:
        leaf = M[h + w.H_FIRST]
        n = M[leaf + w.N_N]
        if n == 0:
            return
        if M[leaf + w.N_NEXT] == 0:
            k = 0
            while k < n and M[leaf + D + k] < useless:
                k += 1
            if k > 0:
                events_cut(M, P, g, h, leaf, 0, k)
            return
        if M[leaf + D + n - 1] >= useless:
            return
        for j in range(P[g + w.G_NSETS]):
            s = P[P[g + w.G_SETS] + j]
            if P[s + w.S_KIND] == w.ROLLING and M[root + P[s + w.S_ENT] + w.E_LEFT] == leaf:
                M[root + P[s + w.S_ENT] + w.E_LEFT] = 0
        leaf_drop(M, P, g, h, leaf)


@kernel
def refreshed(M, X, P, g, node, S, at):
    """Make the cells of a node, and of all below it that need it."""
    D = data_of(P, g)
    now = node
    while True:
        child = 0
        if M[now + w.N_LEVEL] > 0:
            for i in range(M[now + w.N_N]):
                if M[M[now + D + i] + w.N_DIRTY]:
                    child = M[now + D + i]
        if child != 0:
            now = child
            continue
        cells_make(M, X, P, g, now, S, at)
        if now == node:
            return
        now = M[now + w.N_PARENT]


@kernel
def cells_make(M, X, P, g, node, S, at):
    """Make the cells of one node from its events or from its children's cells."""
    D = data_of(P, g)
    n = 1
    S[at] = node
    S[at + 1] = 0
    S[at + 2] = M[node + w.N_N]
    if M[node + w.N_LEVEL] > 0:
        n = M[node + w.N_N]
        for i in range(n):
            S[at + 3 * i] = M[node + D + i] + w.N_CELLS
            S[at + 3 * i + 1] = -1
    cells_join(M, X, P, P[g + w.G_CELLS], P[g + w.G_NCELLS], node + w.N_CELLS, S, at, n, D)
    M[node + w.N_DIRTY] = 0


@kernel
def stretch(M, X, P, g, h, lo, hi, S):
    """The events with lo <= time <= hi as items from S[0] on, in order: how many. The end of S is a stack of (node, whole)."""
    root = M[h + w.H_ROOT]
    if M[root + w.N_LEVEL] == 0:
        return leaf_item(M, P, g, root, lo, hi, S, 0)
    D = data_of(P, g)
    n = 0
    top = M[SCRATCH] - 2
    S[top] = root
    S[top + 1] = 0
    while top < M[SCRATCH]:
        node = S[top]
        whole = S[top + 1]
        top += 2
        if whole:
            if M[node + w.N_DIRTY]:
                refreshed(M, X, P, g, node, S, 3 * n)
            S[3 * n] = node + w.N_CELLS
            S[3 * n + 1] = -1
            n += 1
        elif M[node + w.N_LEVEL] == 0:
            n = leaf_item(M, P, g, node, lo, hi, S, n)
        else:
            for i in range(M[node + w.N_N] - 1, -1, -1):
                low = M[node + D + w.FAN + i]
                last = i == M[node + w.N_N] - 1
                if low <= hi and (last or M[node + D + w.FAN + i + 1] >= lo):
                    top -= 2
                    S[top] = M[node + D + i]
                    S[top + 1] = low >= lo and not last and M[node + D + w.FAN + i + 1] <= hi
    return n


@kernel
def first_from(M, d, n, t):
    """How many of n rising times (or numbers) from M[d] on are before t."""
    lo = 0
    hi = n
    while lo < hi:
        mid = (lo + hi) >> 1
        if M[d + mid] < t:
            lo = mid + 1
        else:
            hi = mid
    return lo


@inlined
def leaf_from(M, d, n, t):
    """How many of a leaf's n rising times from M[d] on are before t: all places are looked at together."""
    before = 0
    for i in range(w.LEAF):
        before += (M[d + i] < t) & (i < n)
    return before


@inlined
def leaf_item(M, P, g, leaf, lo, hi, S, n):
    """The events of one leaf between two times as an item, if there are any."""
    d = leaf + data_of(P, g)
    b = M[leaf + w.N_N]
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
def place_of(M, P, g, h, t):
    """(leaf, place) of the first event at or after a time; leaf 0 where there is none."""
    D = data_of(P, g)
    last = M[h + w.H_LAST]
    n = M[last + w.N_N]
    if n > 0 and M[last + D] < t:
        return (last, leaf_from(M, last + D, n, t)) if M[last + D + n - 1] >= t else (0, 0)
    leaf = leaf_for(M, P, g, h, t - 1)
    while leaf != 0:
        n = M[leaf + w.N_N]
        if n > 0 and M[leaf + D + n - 1] >= t:
            return leaf, leaf_from(M, leaf + D, n, t)
        leaf = M[leaf + w.N_NEXT]
    return leaf, 0


# The events of sets that keep them: in, out, found by time or by document, and forgotten to the letter.
#
# A kept event's last column says how it came: the watermark it came under (windows of a grid), or whether it was late (sessions).
@kernel
def kept_put(M, X, P, g, root, mask, t, i, NUM, CODE, came):
    """A row's event into the history of a set: the history."""
    chain = root + P[g + w.G_CHAIN]
    if M[chain] == 0:
        M[chain] = history_new(M, P, g, P[g + w.G_FULL])
    h = M[chain]
    leaf, place = event_room(M, P, g, h, t)
    D = data_of(P, g)
    cap = M[leaf + w.N_CAP]
    M[leaf + D + w.V_MASK * cap + place] = mask
    for c in range(w.V_EXTRA, P[g + w.G_NCOLS]):
        col = P[P[g + w.G_COLS] + c]
        at = leaf + D + c * cap + place
        if col == w.RAW:
            M[at] = came
        elif col >= 0:
            X[at] = NUM[col * M[STRIDE] + i]
        else:
            M[at] = CODE[(-1 - col) * M[STRIDE] + i]
    doc_note(M, P, g, h, leaf, place)
    if P[P[P[g + w.G_SETS]] + w.S_NINC] > 0:
        M[LONGEST] = max(M[LONGEST], (M[h + w.H_N] + 1) >> 1)  # its leaves, as items, have room in the scratch
    return h


@kernel
def doc_note(M, P, g, h, leaf, place):
    """Remember which document brought an event, where values can be taken out."""
    if P[g + w.G_RETRACT] > 0:
        d = leaf + data_of(P, g)
        docs_add(M, h, M[d + P[g + w.G_RETRACT] * M[leaf + w.N_CAP] + place], M[d + place])


@kernel
def came_at(M, P, g, leaf, place):
    """Where it stands how an event came."""
    return leaf + data_of(P, g) + (P[g + w.G_NCOLS] - 1) * M[leaf + w.N_CAP] + place


@kernel
def last_place(M, P, g, h, t):
    """(leaf, place) of the last event at or before a time; leaf 0 where there is none."""
    leaf = leaf_for(M, P, g, h, t)
    while leaf != 0:
        i = first_from(M, leaf + data_of(P, g), M[leaf + w.N_N], t + 1) - 1
        if i >= 0:
            return leaf, i
        leaf = M[leaf + w.N_PREV]
    return leaf, 0


@kernel
def last_before(M, P, g, h, t):
    """The time of the last event before this one. There is one."""
    leaf, i = last_place(M, P, g, h, t - 1)
    return M[leaf + data_of(P, g) + i]


@kernel
def first_at(M, P, g, h, t):
    """The time of the first event at or after this one. There is one."""
    leaf, i = place_of(M, P, g, h, t)
    return M[leaf + data_of(P, g) + i]


@kernel
def event_of(M, P, g, h, t, code):
    """(leaf, place) of the last event at time t that this document brought. There is one."""
    D = data_of(P, g)
    leaf, i = last_place(M, P, g, h, t)
    while M[leaf + D + P[g + w.G_RETRACT] * M[leaf + w.N_CAP] + i] != code:
        i -= 1
        if i < 0:
            leaf = M[leaf + w.N_PREV]
            i = M[leaf + w.N_N] - 1
    return leaf, i


@kernel
def kept_take(M, P, g, h, leaf, place, t, code):
    """Take one event out."""
    docs_strike(M, h, code, t)
    events_cut(M, P, g, h, leaf, place, 1)


@kernel
def kept_forget(M, P, g, h, before):
    """Free the events before a time, and forget their documents."""
    D = data_of(P, g)
    while True:
        leaf = M[h + w.H_FIRST]
        k = first_from(M, leaf + D, M[leaf + w.N_N], before)
        if k == 0:
            return
        if P[g + w.G_RETRACT] > 0:
            for i in range(k):
                docs_strike(M, h, M[leaf + D + P[g + w.G_RETRACT] * M[leaf + w.N_CAP] + i], M[leaf + D + i])
        events_cut(M, P, g, h, leaf, 0, k)


@kernel
def leaf_items(M, P, g, h, lo, hi, S):
    """The events of a stretch as items (see cells/cells.py), leaves only: what no node keeps needs each of them."""
    n = 0
    leaf, i = place_of(M, P, g, h, lo)
    while leaf != 0:
        end = first_from(M, leaf + data_of(P, g), M[leaf + w.N_N], hi + 1)
        if end > i:
            S[3 * n] = leaf
            S[3 * n + 1] = i
            S[3 * n + 2] = end
            n += 1
        leaf = M[leaf + w.N_NEXT] if end == M[leaf + w.N_N] else 0
        i = 0
    return n
