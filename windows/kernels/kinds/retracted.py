# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Windows of a fixed grid, and rolling views, whose values can be taken out again: by document, each as one event of a history.

Every window that a value came into has a span, from then until it is frozen, also when it was emptied. What is measured is asked
of the history when the window's document is written: after the step, or when the window is frozen.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.history.events import came_at, event_of, events_cut, kept_put, kept_take
from windows.kernels.history.moving import inc_apply
from windows.kernels.history.tree import data_of
from windows.kernels.kinds.grid import ends, first_past, last_at
from windows.kernels.kinds.rolling import leaves_after, rolling_due, view_touch
from windows.kernels.kinds.spans import kept_due, kept_since, span_touch
from windows.kernels.memory.arena import CAUSE, EMPTY
from windows.kernels.memory.documents import docs_find, docs_strike
from windows.kernels.memory.rowlist import span, span_from, span_put
from windows.kernels.results import REFUSED, TOOK, arm


@kernel
def taken_put(M, X, P, Z, g, s, root, mask, t, i, NUM, CODE, OUT, wm):
    """A value comes into all its windows that are not frozen: REFUSED where all are."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_SPANS
    last = last_at(P, Z, s, t)
    first = max(first_past(P, Z, s, t), first_past(P, Z, s, wm - P[s + w.S_HOLD]))
    if first > last:
        return REFUSED
    kept_put(M, X, P, g, root, mask, t, i, NUM, CODE, wm)
    place = span_from(M, j, first)
    for k in range(first, last + 1):
        if place == M[j + w.J_N] or M[span(M, j, place) + w.K_KEY] != k:
            span_put(M, j, place, k)
        r = span(M, j, place)
        if M[r + w.K_STATE] & w.EVER:
            M[r + w.K_REVISION] += 1
        if ends(P, Z, s, k) + P[s + w.S_LAT] <= wm:
            M[r + w.K_LATE] += 1
            if not M[r + w.K_STATE] & w.FINAL:
                M[r + w.K_STATE] = w.EVER | w.FINAL
                M[r + w.K_CAUSE] = M[CAUSE]
        span_touch(M, P, s, root, OUT, r)
        place += 1
    arm(M, P, s, e, root, kept_due(M, P, Z, s, e))
    return TOOK


@kernel
def taken_take(M, P, Z, g, s, root, code, old_at, OUT, wm):
    """A value goes out of its windows: TOOK; or if it is not found, REFUSED where all that would hold its time are frozen, or 0."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_SPANS
    h = M[root + P[g + w.G_CHAIN]]
    since = kept_since(M, P, Z, s, root)
    there = False
    t = w.LONG_AGO
    if h != 0 and since != w.NONE:
        there, t = docs_find(M, h, code, old_at)
    if there and old_at >= since:
        t = old_at
    if t == w.LONG_AGO or t < since:
        return REFUSED if ends(P, Z, s, last_at(P, Z, s, old_at)) + P[s + w.S_HOLD] <= wm else 0
    leaf, place = event_of(M, P, g, h, t, code)
    came = M[came_at(M, P, g, leaf, place)]
    last = last_at(P, Z, s, t)
    i = span_from(M, j, max(first_past(P, Z, s, t), first_past(P, Z, s, came - P[s + w.S_HOLD])))
    while i < M[j + w.J_N] and M[span(M, j, i) + w.K_KEY] <= last:
        r = span(M, j, i)
        if M[r + w.K_STATE] & w.EVER:
            M[r + w.K_REVISION] += 1
        if ends(P, Z, s, M[r + w.K_KEY]) + P[s + w.S_LAT] <= came:
            M[r + w.K_LATE] -= 1
        span_touch(M, P, s, root, OUT, r)
        i += 1
    kept_take(M, P, g, h, leaf, place, t, code)
    return TOOK


@kernel
def rolling_take(M, X, P, g, s, root, code, old_at, OUT, wm):
    """A value goes out of a key's history and view: TOOK; or if it is not found, REFUSED where no value could need it, or 0."""
    e = root + P[s + w.S_ENT]
    h = M[root + P[g + w.G_CHAIN]]
    useless = wm - P[s + w.S_LAT] - leaves_after(P, s)
    there = False
    t = w.LONG_AGO
    if h != 0 and M[e + w.E_LAST] != EMPTY:
        there, t = docs_find(M, h, code, old_at)
    if there and old_at > useless:
        t = old_at
    if t <= useless or t == w.LONG_AGO:
        return REFUSED if old_at <= useless else 0
    leaf, place = event_of(M, P, g, h, t, code)
    if P[s + w.S_NINC] > 0 and M[e + w.E_LO] <= t <= M[e + w.E_HI]:
        inc_apply(M, X, P, s, e, leaf, data_of(P, g), place, -1)
    docs_strike(M, h, code, t)
    events_cut(M, P, g, h, leaf, place, 1)
    view_touch(M, P, s, e, root, OUT, wm)
    arm(M, P, s, e, root, rolling_due(M, P, g, s, e, h))
    return TOOK
