"""Rolling windows: a value is asked of the key's history when its event arrives; the view is asked again when it decays.

What cannot be combined (distinct values, sorted values for quantiles) is kept for the stretch [lo, hi] that was asked for last, and
moved event by event to the next one: whole numbers are counted up and down, values go into their place and out of it again.
"""

from __future__ import annotations

import numpy as np

from windows.arena import (
    DOCS, EMPTY, ENTRY_WM, LIST_DATA, LIST_N, MAP_N, STEP, STRIDE, list_free, list_new, list_push, map_add, map_free, map_grown, map_new,
)  # fmt: skip
from windows.jit import kernel
from windows.kernel_events import event_room, forget_before, place_of, stretch
from windows.kernel_history import data_of, history_free, history_new
from windows.kernel_layout import (
    E_ASOF, E_DUE, E_HI, E_INC, E_LAST, E_LO, E_STAMP, F_DISTINCT, F_FN, F_INC, F_Q, F_WORDS, G_CHAIN, G_COLS, G_FULL, G_KEEP, G_NCOLS,
    G_NSETS, G_SETS, H_LAST, H_MASK, H_NEXT, I_BIT, I_COL, I_KIND, I_MAP, I_WORDS, N_CAP, N_N, N_NEXT, NONE, R_SLOT, ROLLING,
    S_BIT, S_CLOSED, S_CURRENT, S_DELAY, S_ENT, S_FEATURE, S_INC, S_INDEX, S_KIND, S_LAT, S_LATE, S_MEASURES, S_NINC, S_NMEASURES,
    S_SIZE, S_STEP, V_EXTRA, V_MASK,
)  # fmt: skip
from windows.kernel_measures import between, forget_sums, measure_of
from windows.kernel_slices import KEPT, Q_VIEW, REFUSED, TOOK, arm, key_changed, queue


@kernel
def history_of(M, P, g, root, j):
    """The history that the group's j-th set reads at a key, 0 if there is none."""
    h = M[root + P[g + G_CHAIN]]
    while h != 0 and not (M[h + H_MASK] >> j) & 1:
        h = M[h + H_NEXT]
    return h


@kernel
def inc_apply(M, X, P, s, e, leaf, D, i, sign):
    """One event into (sign 1) or out of (-1) what a set keeps incrementally."""
    cap = M[leaf + N_CAP]
    mask = M[leaf + D + V_MASK * cap + i]
    for j in range(P[s + S_NINC]):
        c = P[s + S_INC] + j * I_WORDS
        if not (mask >> P[c + I_BIT]) & 1:
            continue
        at = leaf + D + P[c + I_COL] * cap + i
        word = e + E_INC + j
        if P[c + I_KIND] == I_MAP:
            M[word] = map_grown(M, M[word]) if M[word] != 0 else map_new(M, 4)
            map_add(M, M[word], M[at], sign)
        elif sign > 0:
            M[word] = sorted_put(M, X, M[word], X[at])
        else:
            sorted_drop(M, X, M[word], X[at])


@kernel
def sorted_place(M, X, values, x):
    """How many of the sorted values are less than x."""
    lo = 0
    hi = M[values + LIST_N]
    while lo < hi:
        mid = (lo + hi) >> 1
        if X[values + LIST_DATA + mid] < x:
            lo = mid + 1
        else:
            hi = mid
    return lo


@kernel
def sorted_put(M, X, values, x):
    if values == 0:
        values = list_new(M, 6)
    values = list_push(M, values, 0)
    n = M[values + LIST_N] - 1
    M[values + LIST_N] = n
    place = sorted_place(M, X, values, x)
    for j in range(values + LIST_DATA + n, values + LIST_DATA + place, -1):
        X[j] = X[j - 1]
    X[values + LIST_DATA + place] = x
    M[values + LIST_N] = n + 1
    return values


@kernel
def sorted_drop(M, X, values, x):
    place = sorted_place(M, X, values, x)
    n = M[values + LIST_N] - 1
    for j in range(values + LIST_DATA + place, values + LIST_DATA + n):
        X[j] = X[j + 1]
    M[values + LIST_N] = n


@kernel
def inc_walk(M, X, P, g, s, e, h, lo, hi, sign):
    """All events of a stretch into or out of what a set keeps incrementally."""
    if lo > hi:
        return
    D = data_of(P, g)
    leaf, i = place_of(M, P, g, h, lo)
    while leaf != 0:
        n = M[leaf + N_N]
        while i < n:
            if M[leaf + D + i] > hi:
                return
            inc_apply(M, X, P, s, e, leaf, D, i, sign)
            i += 1
        leaf = M[leaf + N_NEXT]
        i = 0


@kernel
def inc_move(M, X, P, g, s, e, h, lo, hi):
    """What a set keeps incrementally, moved to the stretch [lo, hi]."""
    a = M[e + E_LO]
    b = M[e + E_HI]
    if a > b or lo > b or hi < a:
        inc_walk(M, X, P, g, s, e, h, a, b, -1)
        inc_walk(M, X, P, g, s, e, h, lo, hi, 1)
    else:
        inc_walk(M, X, P, g, s, e, h, a, lo - 1, -1)
        inc_walk(M, X, P, g, s, e, h, lo, a - 1, 1)
        inc_walk(M, X, P, g, s, e, h, hi + 1, b, -1)
        inc_walk(M, X, P, g, s, e, h, b + 1, hi, 1)
    M[e + E_LO] = lo
    M[e + E_HI] = hi


@kernel
def inc_free(M, P, s, e):
    """Let go of what a set keeps incrementally."""
    for j in range(P[s + S_NINC]):
        word = e + E_INC + j
        if M[word] != 0:
            if P[P[s + S_INC] + j * I_WORDS + I_KIND] == I_MAP:
                map_free(M, M[word])
            else:
                list_free(M, M[word])
            M[word] = 0
    M[e + E_LO] = 1
    M[e + E_HI] = 0


@kernel
def rolling_values(M, X, P, PX, g, s, e, h, t, S, STAMP, out, at, stride):
    """The values of a set as of a time, into out[at], out[at + stride], ..."""
    lo = t - P[s + S_DELAY] - P[s + S_SIZE] + (0 if P[s + S_CLOSED] else 1)
    hi = t - P[s + S_DELAY]
    n = 0
    if h != 0:
        n = stretch(M, X, P, g, h, lo, hi, S)
        if P[s + S_NINC] > 0:
            inc_move(M, X, P, g, s, e, h, lo, hi)
    D = data_of(P, g)
    forget_sums(M)
    for j in range(P[s + S_NMEASURES]):
        f = P[s + S_MEASURES] + j * F_WORDS
        inc = P[f + F_INC]
        if inc < 0:
            out[at + j * stride] = measure_of(M, X, P, PX, f, S, 0, n, D, STAMP)
            continue
        kept = M[e + E_INC + inc] if h != 0 else 0
        if P[f + F_FN] == F_DISTINCT:
            out[at + j * stride] = M[kept + MAP_N] if kept != 0 else 0
        elif kept == 0:
            out[at + j * stride] = np.nan
        else:
            out[at + j * stride] = between(X, kept + LIST_DATA, M[kept + LIST_N], PX[P[f + F_Q]])


@kernel
def leaves_after(P, s):
    """How long after an event a view is without it again."""
    return P[s + S_DELAY] + P[s + S_SIZE] + P[s + S_CLOSED]


@kernel
def next_event(M, P, g, h, bit, t):
    """The time of the set's first event at or after a time, NONE if there is none."""
    if h == 0:
        return NONE
    D = data_of(P, g)
    leaf, i = place_of(M, P, g, h, t)
    while leaf != 0:
        while i < M[leaf + N_N]:
            if (M[leaf + D + V_MASK * M[leaf + N_CAP] + i] >> bit) & 1:
                return M[leaf + D + i]
            i += 1
        leaf = M[leaf + N_NEXT]
        i = 0
    return NONE


@kernel
def expires(M, P, g, s, h, as_of):
    """When the value next changes by silence alone after as_of: an event leaves, or a delayed one enters. NONE if never."""
    bit = P[s + S_BIT]
    soonest = NONE
    t = next_event(M, P, g, h, bit, as_of - leaves_after(P, s) + 1)
    if t != NONE:
        soonest = t + leaves_after(P, s)
        last = M[h + H_LAST]
        if P[s + S_DELAY] > 0 or M[last + data_of(P, g) + M[last + N_N] - 1] > as_of:
            t = next_event(M, P, g, h, bit, as_of - P[s + S_DELAY] + 1)
            if t != NONE:
                soonest = min(soonest, t + P[s + S_DELAY])
    return soonest


@kernel
def rolling_due(M, P, g, s, e, h):
    """When something of the set happens next at a key: a refresh, or that the key is forgotten; NONE if nothing is known of it."""
    if M[e + E_LAST] == EMPTY:
        return NONE
    return due_after(M, P, s, e, expires(M, P, g, s, h, M[e + E_ASOF]))


@kernel
def due_after(M, P, s, e, soonest):
    """When a view is refreshed that changes at `soonest`; where nothing changes it, when the key is forgotten."""
    if soonest == NONE:
        return M[e + E_LAST] + leaves_after(P, s) + P[s + S_LAT]
    return -(-soonest // P[s + S_STEP]) * P[s + S_STEP]


@kernel
def view_touch(M, P, s, e, root, OUT, wm):
    """The view is to be written as of now."""
    M[e + E_ASOF] = max(M[e + E_LAST], wm)
    if M[e + E_STAMP] != M[STEP]:
        M[e + E_STAMP] = M[STEP]
        M[DOCS] += 1
        queue(M, OUT, Q_VIEW, s, M[root + R_SLOT], 0, 0)


@kernel
def rolling_ring(M, X, P, g, s, j, root, OUT, wm):
    """Refresh a view that has decayed, forget a key that no value can need any more, ring again for the rest."""
    e = root + P[s + S_ENT]
    M[e + E_DUE] = NONE
    if M[e + E_LAST] == EMPTY:
        return
    h = history_of(M, P, g, root, j)
    soonest = expires(M, P, g, s, h, M[e + E_ASOF])
    due = due_after(M, P, s, e, soonest)
    if wm >= due:
        if soonest != NONE:
            view_touch(M, P, s, e, root, OUT, wm)
            due = due_after(M, P, s, e, expires(M, P, g, s, h, M[e + E_ASOF]))
        key_changed(M, OUT, root, wm)
        if M[e + E_LAST] + leaves_after(P, s) <= wm - P[s + S_LAT]:
            M[e + E_LAST] = EMPTY
            inc_free(M, P, s, e)
            history_leave(M, P, g, root, h)
            return
    arm(M, P, s, e, root, due)


@kernel
def history_leave(M, P, g, root, h):
    """Free a history once all sets that read it have forgotten the key."""
    for j in range(P[g + G_NSETS]):
        if (M[h + H_MASK] >> j) & 1 and M[root + P[P[P[g + G_SETS] + j] + S_ENT] + E_LAST] != EMPTY:
            return
    chain = root + P[g + G_CHAIN]
    if M[chain] != h or M[h + H_NEXT] != 0:
        forget_before(M, P, g, h, NONE)  # other sets have theirs: it stays, empty, so that each set has one
        return
    M[chain] = 0
    history_free(M, P, g, h)


@kernel
def history_trim(M, X, P, g, root, h, before):
    """Free what no value can need any more, once a leaf is full."""
    last = M[h + H_LAST]
    if M[last + N_N] < M[last + N_CAP]:
        return
    useless = before - P[g + G_KEEP]
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        e = root + P[s + S_ENT]
        if (M[h + H_MASK] >> j) & 1 and P[s + S_KIND] == ROLLING and M[e + E_LO] <= M[e + E_HI] and M[e + E_LO] < useless:
            inc_walk(M, X, P, g, s, e, h, M[e + E_LO], min(useless - 1, M[e + E_HI]), -1)
            M[e + E_LO] = useless
    forget_before(M, P, g, h, useless)


@kernel
def event_put(M, X, P, g, root, h, mask, t, i, NUM, CODE):
    """A row's event into a history, and into what its sets keep incrementally."""
    leaf, place = event_room(M, P, g, h, t)
    D = data_of(P, g)
    cap = M[leaf + N_CAP]
    M[leaf + D + V_MASK * cap + place] = mask
    for c in range(V_EXTRA, P[g + G_NCOLS]):
        col = P[P[g + G_COLS] + c]
        at = leaf + D + c * cap + place
        if col >= 0:
            X[at] = NUM[col * M[STRIDE] + i]
        else:
            M[at] = CODE[(-1 - col) * M[STRIDE] + i]
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        e = root + P[s + S_ENT]
        if P[s + S_NINC] > 0 and (M[h + H_MASK] >> j) & 1 and M[e + E_LO] <= t <= M[e + E_HI]:
            inc_apply(M, X, P, s, e, leaf, D, place, 1)


@kernel
def rolling_put(M, X, P, PX, g, root, mask, t, i, NUM, CODE, S, STAMP, FEATURES, OUT, wm, LATE):
    """One value into a group's history, and the row's features: TOOK | REFUSED | KEPT."""
    verdict = 0
    accepted = 0
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        if t + leaves_after(P, s) <= wm - P[s + S_LAT]:
            if (mask >> P[s + S_BIT]) & 1:
                LATE[P[s + S_INDEX]] += 1
                verdict |= REFUSED | (0 if P[s + S_LATE] == 2 else KEPT)
        elif (mask >> P[s + S_BIT]) & 1:
            verdict |= TOOK
            accepted |= 1 << j
    features_of(M, X, P, PX, g, root, t, i, S, STAMP, FEATURES, wm, 0)
    if accepted:
        if M[root + P[g + G_CHAIN]] == 0:
            M[root + P[g + G_CHAIN]] = history_new(M, P, g, P[g + G_FULL])
        h = M[root + P[g + G_CHAIN]]
        while h != 0:
            if M[h + H_MASK] & accepted:
                history_trim(M, X, P, g, root, h, M[ENTRY_WM])
                event_put(M, X, P, g, root, h, mask, t, i, NUM, CODE)
            h = M[h + H_NEXT]
    features_of(M, X, P, PX, g, root, t, i, S, STAMP, FEATURES, wm, 1)
    if accepted:
        rolling_taken(M, P, g, root, accepted, t, OUT, wm)
    return verdict


@kernel
def features_of(M, X, P, PX, g, root, t, i, S, STAMP, FEATURES, wm, current):
    """The row's values of the sets that read it before (current 0) or after (1) its event is in."""
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        if P[s + S_CURRENT] == current and t >= wm - P[s + S_LAT]:
            h = history_of(M, P, g, root, j)
            rolling_values(M, X, P, PX, g, s, root + P[s + S_ENT], h, t, S, STAMP, FEATURES, P[s + S_FEATURE] * M[STRIDE] + i, M[STRIDE])


@kernel
def rolling_taken(M, P, g, root, accepted, t, OUT, wm):
    """Views and timers of the sets that took an event of time t."""
    for j in range(P[g + G_NSETS]):
        if not (accepted >> j) & 1:
            continue
        s = P[P[g + G_SETS] + j]
        e = root + P[s + S_ENT]
        fresh = M[e + E_LAST] == EMPTY
        M[e + E_LAST] = t if fresh else max(M[e + E_LAST], t)
        view_touch(M, P, s, e, root, OUT, wm)
        soonest = t + leaves_after(P, s)
        if t + P[s + S_DELAY] > M[e + E_ASOF]:
            soonest = min(soonest, t + P[s + S_DELAY])
        if soonest > M[e + E_ASOF]:
            arm(M, P, s, e, root, -(-soonest // P[s + S_STEP]) * P[s + S_STEP])
        else:
            arm(M, P, s, e, root, M[e + E_LAST] + leaves_after(P, s) + P[s + S_LAT])
