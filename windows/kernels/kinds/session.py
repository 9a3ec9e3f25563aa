# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sessions: a value comes or goes, and from the session that it falls into on all are cut anew, greedily, until a cut comes out
where one was before (see naive/cut.py; what is here only asks the key's history where it must).

Events of one time are never in two sessions, so a session is all events in [its first time, its last time]. Between two events of
a session there is never a gap: where one is cut anew only `max` cuts it, but at the place where a value went out.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.history.events import (
    came_at,
    event_of,
    first_at,
    first_from,
    kept_put,
    kept_take,
    last_before,
    last_place,
    place_of,
)
from windows.kernels.history.tree import data_of
from windows.kernels.kinds.spans import span_said, span_touch
from windows.kernels.memory.arena import CAUSE
from windows.kernels.memory.documents import docs_find
from windows.kernels.memory.rowlist import span, span_from, span_put, spans_cut
from windows.kernels.results import REFUSED, TOOK, arm


@kernel
def joins(P, s, first, last, t):
    """Whether an event at t, not before `last`, is of the session [first, last]."""
    return t - last < P[s + w.S_GAP] and t + P[s + w.S_GAP] - first <= P[s + w.S_MAX]


@kernel
def grown(M, P, g, s, h, j, first, until, n):
    """How far a session from `first` on reaches, if its events lie without a gap up to `until` and the n-th session comes next:
    (its last event, the first event of what is left of the session that it ends in, where that ends). Nothing left: NONE."""
    limit = first + P[s + w.S_MAX] - P[s + w.S_GAP]
    while until <= limit:
        if n == M[j + w.J_N] or not joins(P, s, first, until, M[span(M, j, n) + w.K_KEY]):
            return until, w.NONE, w.NONE
        until = M[span(M, j, n) + w.K_LAST]
        n += 1
    rest = first_at(M, P, g, h, limit + 1)
    return last_before(M, P, g, h, rest), rest, until


@kernel
def late_in(M, P, g, h, first, last):
    """How many events of a stretch came late."""
    late = 0
    leaf, i = place_of(M, P, g, h, first)
    while leaf != 0:
        end = first_from(M, leaf + data_of(P, g), M[leaf + w.N_N], last + 1)
        for k in range(i, end):
            late += M[came_at(M, P, g, leaf, k)]
        leaf = M[leaf + w.N_NEXT] if end == M[leaf + w.N_N] else 0
        i = 0
    return late


@kernel
def inherit(M, P, s, root, OUT, r, old):
    """The session at r goes on from an older one, whose document is removed where it began elsewhere."""
    if M[old + w.K_STATE] & w.EVER:
        M[r + w.K_REVISION] = max(M[r + w.K_REVISION], M[old + w.K_REVISION] + 1)
    if M[old + w.K_STATE] & w.FINAL and M[r + w.K_CAUSE] < 0:
        M[r + w.K_CAUSE] = M[old + w.K_CAUSE]
    M[r + w.K_STATE] |= M[old + w.K_STATE]
    M[r + w.K_LATE] += M[old + w.K_LATE]
    if M[old + w.K_KEY] == M[r + w.K_KEY]:
        M[r + w.K_STAMP] = M[old + w.K_STAMP]
    else:
        span_said(M, P, s, root, OUT, M[old + w.K_KEY], OUT[P[s + w.S_OUT] + w.OUT_N] // P[s + w.S_WIDTH])


@kernel
def session_made(M, P, s, root, OUT, wm, at, first, last):
    """The session [first, last] at place `at`, instead of those that began in it, and of one that was emptied where it begins.
    Whether an event that comes into it now is late."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_SPANS
    r = span_put(M, j, at, first)
    M[r + w.K_LAST] = last
    M[r + w.K_CAUSE] = -1
    n = at + 1
    while n < M[j + w.J_N] and M[span(M, j, n) + w.K_KEY] <= last:
        inherit(M, P, s, root, OUT, r, span(M, j, n))
        n += 1
    spans_cut(M, j, at + 1, n - at - 1)
    before = e + w.E_EMPTIED
    place = span_from(M, before, first)
    if place < M[before + w.J_N] and M[span(M, before, place) + w.K_KEY] == first:
        inherit(M, P, s, root, OUT, r, span(M, before, place))
        spans_cut(M, before, place, 1)
    closed = last + P[s + w.S_GAP] + P[s + w.S_LAT] <= wm
    late = closed or M[r + w.K_STATE] & w.FINAL > 0
    M[r + w.K_STATE] = (w.EVER | w.FINAL) if closed else M[r + w.K_STATE] & w.EVER
    if M[r + w.K_CAUSE] < 0:
        M[r + w.K_CAUSE] = M[CAUSE]
    span_touch(M, P, s, root, OUT, r)
    arm(M, P, s, e, root, last + P[s + w.S_GAP] + (P[s + w.S_HOLD] if closed else P[s + w.S_LAT]))
    return late


@kernel
def sessions_cut(M, P, g, s, root, h, OUT, wm, at, first, until):
    """Cut anew from the session on that begins at `first`, has the place `at`, and has no gap up to `until`. (whether an event
    that comes into it is late, where it ends)."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_SPANS
    late = False
    end = w.NONE
    n = max(span_from(M, j, until + 1), at)
    recount = False
    while first != w.NONE:
        last, rest, until = grown(M, P, g, s, h, j, first, until, n)
        came_late = session_made(M, P, s, root, OUT, wm, at, first, last)
        recount = M[e + w.E_LATES] > 0 and (recount or rest != w.NONE)
        if recount:
            M[span(M, j, at) + w.K_LATE] = late_in(M, P, g, h, first, last)
        if end == w.NONE:
            late = came_late
            end = last
        first = rest
        at += 1
        n = at
    return late, end


@kernel
def session_put(M, X, P, g, s, root, mask, t, i, NUM, CODE, OUT, wm):
    """A value comes: REFUSED where it would change a frozen session, or its own would be frozen at once."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_SPANS
    at = span_from(M, j, t + 1) - 1
    first = t
    until = t
    begin = at + 1
    if at >= 0:
        r = span(M, j, at)
        if t <= M[r + w.K_LAST] or joins(P, s, M[r + w.K_KEY], M[r + w.K_LAST], t):
            begin = at
            first = M[r + w.K_KEY]
            until = max(t, M[r + w.K_LAST])
    end, _rest, _until = grown(M, P, g, s, M[root + P[g + w.G_CHAIN]], j, first, until, at + 1)
    frozen = wm - P[s + w.S_HOLD] - P[s + w.S_GAP]
    if end <= frozen:
        return REFUSED
    if begin == at and M[span(M, j, at) + w.K_LAST] <= frozen:
        return REFUSED
    if begin > at and end > t and M[span(M, j, at + 1) + w.K_LAST] <= frozen:
        return REFUSED
    h = kept_put(M, X, P, g, root, mask, t, i, NUM, CODE, 0)
    late, _end = sessions_cut(M, P, g, s, root, h, OUT, wm, begin, first, until)
    if late:
        leaf, place = last_place(M, P, g, h, t)
        M[came_at(M, P, g, leaf, place)] = 1
        M[span(M, j, begin) + w.K_LATE] += 1
        M[e + w.E_LATES] += 1
    return TOOK


@kernel
def session_take(M, P, g, s, root, code, old_at, OUT, wm):
    """A value goes out: TOOK; or if it is not found, REFUSED where no session that holds its time could change any more, or 0."""
    j = root + P[s + w.S_ENT] + w.E_SPANS
    h = M[root + P[g + w.G_CHAIN]]
    there = False
    t = w.LONG_AGO
    if h != 0:
        there, t = docs_find(M, h, code, old_at)
    if there and alive(M, P, s, j, old_at, wm) >= 0:
        t = old_at
    at = alive(M, P, s, j, t, wm) if t != w.LONG_AGO else -1
    if at < 0:
        open_alone = old_at + P[s + w.S_GAP] + P[s + w.S_HOLD] > wm
        return 0 if open_alone or alive(M, P, s, j, old_at, wm) >= 0 else REFUSED
    session_without(M, P, g, s, root, h, OUT, wm, at, t, code)
    return TOOK


@kernel
def alive(M, P, s, j, t, wm):
    """Which session holds a time and is not frozen, -1 if none does."""
    at = span_from(M, j, t + 1) - 1
    if at < 0:
        return -1
    end = M[span(M, j, at) + w.K_LAST] + P[s + w.S_GAP]
    return at if t < end and end + P[s + w.S_HOLD] > wm else -1


@kernel
def session_without(M, P, g, s, root, h, OUT, wm, at, t, code):
    """The event of a document goes out of a session: the session stays, is emptied, begins later, ends sooner or breaks in two."""
    e = root + P[s + w.S_ENT]
    r = span(M, e + w.E_SPANS, at)
    first = M[r + w.K_KEY]
    last = M[r + w.K_LAST]
    leaf, place = event_of(M, P, g, h, t, code)
    late = M[came_at(M, P, g, leaf, place)]
    M[r + w.K_LATE] -= late
    M[e + w.E_LATES] -= late
    kept_take(M, P, g, h, leaf, place, t, code)
    leaf, place = last_place(M, P, g, h, t)
    if leaf != 0 and M[leaf + data_of(P, g) + place] == t:  # another one of that time is left
        sessions_cut(M, P, g, s, root, h, OUT, wm, at, first, last)
    elif first == last:
        session_empty(M, P, s, root, OUT, at)
    elif t == first:
        sessions_cut(M, P, g, s, root, h, OUT, wm, at, first_at(M, P, g, h, t), last)
    elif t == last:
        sessions_cut(M, P, g, s, root, h, OUT, wm, at, first, last_before(M, P, g, h, t))
    else:
        left = last_before(M, P, g, h, t)
        right = first_at(M, P, g, h, t)
        if right - left < P[s + w.S_GAP]:
            sessions_cut(M, P, g, s, root, h, OUT, wm, at, first, last)
            return
        session_made(M, P, s, root, OUT, wm, at, first, left)
        if M[e + w.E_LATES] > 0:
            M[span(M, e + w.E_SPANS, at) + w.K_LATE] = late_in(M, P, g, h, first, left)
        sessions_cut(M, P, g, s, root, h, OUT, wm, at + 1, right, last)
        if M[e + w.E_LATES] > 0:
            r = span(M, e + w.E_SPANS, at + 1)
            M[r + w.K_LATE] = late_in(M, P, g, h, right, M[r + w.K_LAST])


@kernel
def session_empty(M, P, s, root, OUT, at):
    """The only value of a session went: its document stays, with nothing in it."""
    e = root + P[s + w.S_ENT]
    j = e + w.E_EMPTIED
    old = span(M, e + w.E_SPANS, at)
    first = M[old + w.K_KEY]
    r = span_put(M, j, span_from(M, j, first), first)
    M[r + w.K_LAST] = first
    M[r + w.K_STATE] = M[old + w.K_STATE]
    M[r + w.K_REVISION] = M[old + w.K_REVISION] + (1 if M[old + w.K_STATE] & w.EVER else 0)
    M[r + w.K_CAUSE] = M[old + w.K_CAUSE]
    M[r + w.K_STAMP] = M[old + w.K_STAMP]
    spans_cut(M, e + w.E_SPANS, at, 1)
    span_touch(M, P, s, root, OUT, r)
    arm(M, P, s, e, root, first + P[s + w.S_GAP] + (P[s + w.S_HOLD] if M[r + w.K_STATE] & w.FINAL else P[s + w.S_LAT]))
