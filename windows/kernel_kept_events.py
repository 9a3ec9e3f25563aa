# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The events of sets that keep them: in, out, found by time or by document, and forgotten to the letter.

A kept event's last column says how it came: the watermark it came under (windows of a grid), or whether it was late (sessions).
"""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import LONGEST, STRIDE
from windows.jit import kernel
from windows.kernel_docs import docs_add, docs_strike
from windows.kernel_events import event_room, events_cut, first_from, place_of
from windows.kernel_history import data_of, history_new, leaf_for


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
    """The events of a stretch as items (see kernel_cells), leaves only: what no node keeps needs each of them."""
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
