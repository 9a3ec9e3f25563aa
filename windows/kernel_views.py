# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Views of rolling sets: when they change by silence alone, and what happens then."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import DOCS, EMPTY, STEP
from windows.jit import inlined, kernel
from windows.kernel_events import forget_before
from windows.kernel_history import data_of, history_free
from windows.kernel_kept import inc_free
from windows.kernel_queue import arm, key_changed, out_new
from windows.kernel_window import place_near


@inlined
def history_of(M, P, g, root, j):
    """The history that the group's j-th set reads at a key, 0 if there is none."""
    h = M[root + P[g + w.G_CHAIN]]
    while h != 0 and not (M[h + w.H_MASK] >> j) & 1:
        h = M[h + w.H_NEXT]
    return h


@kernel
def leaves_after(P, s):
    """How long after an event a view is without it again."""
    return P[s + w.S_DELAY] + P[s + w.S_SIZE] + P[s + w.S_CLOSED]


@inlined
def next_event(M, P, g, e, h, bit, t):
    """The time of the set's first event at or after a time, NONE if there is none."""
    if h == 0:
        return w.NONE
    D = data_of(P, g)
    leaf, i = place_near(M, P, g, e, h, t)
    while leaf != 0:
        while i < M[leaf + w.N_N]:
            if (M[leaf + D + w.V_MASK * M[leaf + w.N_CAP] + i] >> bit) & 1:
                return M[leaf + D + i]
            i += 1
        leaf = M[leaf + w.N_NEXT]
        i = 0
    return w.NONE


@kernel
def expires(M, P, g, s, e, h, as_of):
    """When the value next changes by silence alone after as_of: an event leaves, or a delayed one enters. NONE if never."""
    bit = P[s + w.S_BIT]
    soonest = w.NONE
    t = next_event(M, P, g, e, h, bit, as_of - leaves_after(P, s) + 1)
    if t != w.NONE:
        soonest = t + leaves_after(P, s)
        last = M[h + w.H_LAST]
        if P[s + w.S_DELAY] > 0 or M[last + data_of(P, g) + M[last + w.N_N] - 1] > as_of:
            t = next_event(M, P, g, e, h, bit, as_of - P[s + w.S_DELAY] + 1)
            if t != w.NONE:
                soonest = min(soonest, t + P[s + w.S_DELAY])
    return soonest


@kernel
def last_held(M, P, g, h):
    """The time of the last event of a history, EMPTY where there is none."""
    if h == 0 or M[M[h + w.H_LAST] + w.N_N] == 0:
        return EMPTY
    leaf = M[h + w.H_LAST]
    return M[leaf + data_of(P, g) + M[leaf + w.N_N] - 1]


@kernel
def rolling_due(M, P, g, s, e, h):
    """When something of the set happens next at a key: a refresh, or that the key is forgotten; NONE if nothing is known of it."""
    if M[e + w.E_LAST] == EMPTY:
        return w.NONE
    return due_after(M, P, s, e, expires(M, P, g, s, e, h, M[e + w.E_ASOF]))


@inlined
def due_after(M, P, s, e, soonest):
    """When a view is refreshed that changes at `soonest`; where nothing changes it, when the key is forgotten."""
    if soonest == w.NONE:
        return M[e + w.E_LAST] + leaves_after(P, s) + P[s + w.S_LAT]
    return -(-soonest // P[s + w.S_STEP]) * P[s + w.S_STEP]


@kernel
def view_touch(M, P, s, e, root, OUT, wm):
    """The view is to be written as of now."""
    M[e + w.E_ASOF] = max(M[e + w.E_LAST], wm)
    head = P[s + w.S_OUT]
    if M[e + w.E_STAMP] != M[STEP]:
        M[e + w.E_STAMP] = M[STEP]
        M[DOCS] += 1
        row = out_new(M, OUT, head, P[s + w.S_WIDTH] - 1 + w.VIEW_WORDS)
        OUT[row + w.VIEW_SLOT] = M[root + w.R_SLOT]
        M[e + w.E_ROW] = row - OUT[head + w.OUT_AT]
    OUT[OUT[head + w.OUT_AT] + M[e + w.E_ROW] + w.VIEW_ASOF] = EMPTY


@inlined
def rolling_ring(M, X, P, g, s, root, OUT, wm):
    """Refresh a view that has decayed, forget a key that no value can need any more, ring again for the rest."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    if M[e + w.E_LAST] == EMPTY:
        return
    h = history_of(M, P, g, root, P[s + w.S_J])
    soonest = expires(M, P, g, s, e, h, M[e + w.E_ASOF])
    due = due_after(M, P, s, e, soonest)
    if wm >= due:
        if soonest != w.NONE:
            view_touch(M, P, s, e, root, OUT, wm)
            due = due_after(M, P, s, e, expires(M, P, g, s, e, h, M[e + w.E_ASOF]))
        key_changed(M, P, OUT, root, wm)
        if M[e + w.E_LAST] + leaves_after(P, s) <= wm - P[s + w.S_LAT]:
            M[e + w.E_LAST] = EMPTY
            inc_free(M, P, s, e)
            history_leave(M, P, g, root, h)
            return
    arm(M, P, s, e, root, due)


@kernel
def history_leave(M, P, g, root, h):
    """Free a history once all sets that read it have forgotten the key."""
    if h == 0:  # all its events were taken out before it was saved
        return
    for j in range(P[g + w.G_NSETS]):
        if (M[h + w.H_MASK] >> j) & 1 and M[root + P[P[P[g + w.G_SETS] + j] + w.S_ENT] + w.E_LAST] != EMPTY:
            return
    chain = root + P[g + w.G_CHAIN]
    if M[chain] != h or M[h + w.H_NEXT] != 0:
        forget_before(M, P, g, root, h, w.NONE)  # other sets have theirs: it stays, empty, so that each set has one
        return
    M[chain] = 0
    history_free(M, P, g, h)
