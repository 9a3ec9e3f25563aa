# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Events into and out of a history, and any stretch of its time as items (see kernel_cells)."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import CROWD, SCRATCH
from windows.jit import inlined, kernel
from windows.kernel_cells import cells_join
from windows.kernel_history import data_of, dirty, leaf_bigger, leaf_drop, leaf_for, leaf_split, place_in, reshaped


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
