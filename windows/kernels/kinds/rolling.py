# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Rolling windows: a value is asked of the key's history when its event arrives; the view is asked again when it decays.

What cannot be combined (distinct values, sorted values for quantiles) is kept for the stretch [lo, hi] that was asked for last, and
moved event by event to the next one: whole numbers are counted up and down, values go into their place and out of it again.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.history.events import doc_note, event_room, forget_before, kept_forget
from windows.kernels.history.moving import inc_apply, inc_free, inc_move, inc_walk
from windows.kernels.history.stretch import place_near, window_items
from windows.kernels.history.tree import data_of, history_free, history_new
from windows.kernels.memory.arena import DOCS, EMPTY, ENTRY_WM, STEP, STRIDE
from windows.kernels.memory.codesets import N_LIVE
from windows.kernels.memory.sorted import sorted_quantile
from windows.kernels.results import KEPT, REFUSED, TOOK, arm, key_changed, out_new


@inlined
def rolling_values(M, X, P, PX, g, s, e, h, t, S, STAMP, out, at, stride):
    """The values of a set as of a time, into out[at], out[at + stride], ..."""
    lo = t - P[s + w.S_DELAY] - P[s + w.S_SIZE] + (0 if P[s + w.S_CLOSED] else 1)
    hi = t - P[s + w.S_DELAY]
    n = 0
    tree = False
    if h != 0:
        tree = M[M[h + w.H_ROOT] + w.N_LEVEL] > 0
        if P[s + w.S_NINC] > 0:
            if tree:
                inc_move(M, X, P, g, s, e, h, lo, hi)
            elif M[e + w.E_LO] <= M[e + w.E_HI]:
                inc_free(M, P, s, e)  # so few events are looked through
        n = window_items(M, X, P, g, s, e, h, lo, hi, S)
    D = data_of(P, g)
    base = joined(M, X, P, s, S, 0, n, D)
    f = P[s + w.S_MEASURES]
    for j in range(at, at + P[s + w.S_NMEASURES] * stride, stride):
        if tree and P[f + w.F_INC] >= 0:
            out[j] = kept_value(M, X, P, PX, f, M[e + w.E_INC + P[f + w.F_INC]])
        else:
            out[j] = measure_of(M, X, P, PX, f, base, S, 0, n, D, STAMP)
        f += w.F_WORDS


@inlined
def kept_value(M, X, P, PX, f, kept):
    """What a set keeps incrementally, as its measure."""
    if P[f + w.F_FN] == w.F_DISTINCT:
        return float(M[kept + N_LIVE]) if kept != 0 else 0.0
    return sorted_quantile(M, X, kept, PX[P[f + w.F_Q]]) if kept != 0 else np.nan


@inlined
def history_trim(M, X, P, g, root, h, before):
    """Free what no value can need any more, once a leaf is full."""
    last = M[h + w.H_LAST]
    if M[last + w.N_N] < M[last + w.N_CAP]:
        return
    useless = before - P[g + w.G_KEEP]
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        e = root + P[s + w.S_ENT]
        if (
            (M[h + w.H_MASK] >> j) & 1
            and P[s + w.S_KIND] == w.ROLLING
            and M[e + w.E_LO] <= M[e + w.E_HI]
            and M[e + w.E_LO] < useless
        ):
            inc_walk(M, X, P, g, s, e, h, M[e + w.E_LO], min(useless - 1, M[e + w.E_HI]), -1)
            M[e + w.E_LO] = useless
    if P[g + w.G_RETRACT] > 0:
        kept_forget(M, P, g, h, useless)
    else:
        forget_before(M, P, g, root, h, useless)


@inlined
def event_put(M, X, P, g, root, h, mask, t, i, NUM, CODE):
    """A row's event into a history, and into what its sets keep incrementally."""
    leaf, place = event_room(M, P, g, h, t)
    D = data_of(P, g)
    cap = M[leaf + w.N_CAP]
    M[leaf + D + w.V_MASK * cap + place] = mask
    for c in range(w.V_EXTRA, P[g + w.G_NCOLS]):
        col = P[P[g + w.G_COLS] + c]
        at = leaf + D + c * cap + place
        if col >= 0:
            X[at] = NUM[col * M[STRIDE] + i]
        else:
            M[at] = CODE[(-1 - col) * M[STRIDE] + i]
    doc_note(M, P, g, h, leaf, place)
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        e = root + P[s + w.S_ENT]
        if P[s + w.S_NINC] > 0 and (M[h + w.H_MASK] >> j) & 1 and M[e + w.E_LO] <= t <= M[e + w.E_HI]:
            inc_apply(M, X, P, s, e, leaf, D, place, 1)


@inlined
def rolling_put(M, X, P, PX, g, root, mask, t, i, NUM, CODE, S, STAMP, OUT, OX, wm, LATE):
    """One value into a group's history, and the row's features: TOOK | REFUSED | KEPT."""
    verdict = 0
    accepted = 0
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if t + leaves_after(P, s) <= wm - P[s + w.S_LAT]:
            if (mask >> P[s + w.S_BIT]) & 1:
                LATE[P[s + w.S_INDEX]] += 1
                verdict |= REFUSED | (0 if P[s + w.S_LATE] == 2 else KEPT)
        elif (mask >> P[s + w.S_BIT]) & 1:
            verdict |= TOOK
            accepted |= 1 << j
    for current in range(2):
        if current and accepted:
            histories_put(M, X, P, PX, g, root, accepted, mask, t, i, NUM, CODE, S, STAMP, OUT, OX)
        features_of(M, X, P, PX, g, root, t, i, S, STAMP, OUT, OX, wm, current)
    if accepted:
        rolling_taken(M, P, g, root, accepted, t, OUT, wm)
    return verdict


@inlined
def histories_put(M, X, P, PX, g, root, accepted, mask, t, i, NUM, CODE, S, STAMP, OUT, OX):
    """An event into the histories of the sets that accept it."""
    chain = root + P[g + w.G_CHAIN]
    if M[chain] == 0:
        M[chain] = history_new(M, P, g, P[g + w.G_FULL])
    if accepted != P[g + w.G_FULL]:
        views_settle(M, X, P, PX, g, root, accepted, t, S, STAMP, OUT, OX)
    h = M[chain]
    while h != 0:
        if M[h + w.H_MASK] & accepted:
            history_trim(M, X, P, g, root, h, M[ENTRY_WM])
            event_put(M, X, P, g, root, h, mask, t, i, NUM, CODE)
        h = M[h + w.H_NEXT]


@kernel
def views_settle(M, X, P, PX, g, root, accepted, t, S, STAMP, OUT, OX):
    """An event comes that some sets have refused: their views of this step stand as they were before it."""
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        e = root + P[s + w.S_ENT]
        if (accepted >> j) & 1 or M[e + w.E_STAMP] != M[STEP] or t <= M[e + w.E_ASOF] - leaves_after(P, s):
            continue
        row = OUT[P[s + w.S_OUT] + w.OUT_AT] + M[e + w.E_ROW]
        if OUT[row + w.VIEW_ASOF] == EMPTY:
            h = history_of(M, P, g, root, j)
            now = M[e + w.E_ASOF]
            OUT[row + w.VIEW_ASOF] = now
            OUT[row + w.VIEW_EXPIRES] = expires(M, P, g, s, e, h, now)
            rolling_values(M, X, P, PX, g, s, e, h, now, S, STAMP, OX, row + w.VIEW_WORDS, 1)


@inlined
def features_of(M, X, P, PX, g, root, t, i, S, STAMP, OUT, OX, wm, current):
    """The row's values of the sets that read it before (current 0) or after (1) its event is in."""
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if P[s + w.S_CURRENT] != current:
            continue
        row = out_new(M, OUT, P[s + w.S_OUT] + w.OUT_WORDS, P[s + w.S_WIDTH])
        OUT[row] = i
        if t >= wm - P[s + w.S_LAT]:
            h = history_of(M, P, g, root, j)
            rolling_values(M, X, P, PX, g, s, root + P[s + w.S_ENT], h, t, S, STAMP, OX, row + 1, 1)
        else:
            for k in range(row + 1, row + P[s + w.S_WIDTH]):
                OX[k] = np.nan


@inlined
def rolling_taken(M, P, g, root, accepted, t, OUT, wm):
    """Views and timers of the sets that took an event of time t."""
    for j in range(P[g + w.G_NSETS]):
        if not (accepted >> j) & 1:
            continue
        s = P[P[g + w.G_SETS] + j]
        e = root + P[s + w.S_ENT]
        fresh = M[e + w.E_LAST] == EMPTY
        M[e + w.E_LAST] = t if fresh else max(M[e + w.E_LAST], t)
        view_touch(M, P, s, e, root, OUT, wm)
        soonest = t + leaves_after(P, s)
        if t + P[s + w.S_DELAY] > M[e + w.E_ASOF]:
            soonest = min(soonest, t + P[s + w.S_DELAY])
        if soonest > M[e + w.E_ASOF]:
            if soonest < M[e + w.E_DUE]:
                arm(M, P, s, e, root, -(-soonest // P[s + w.S_STEP]) * P[s + w.S_STEP])
        else:
            arm(M, P, s, e, root, M[e + w.E_LAST] + leaves_after(P, s) + P[s + w.S_LAT])


# Views of rolling sets: when they change by silence alone, and what happens then.
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
