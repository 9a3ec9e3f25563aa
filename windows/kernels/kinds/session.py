# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sessions: a value comes or goes, and from the session that it falls into on all are cut anew, greedily, until a cut comes out
where one was before (see naive/cut.py; what is here only asks the key's history where it must).

Events of one time are never in two sessions, so a session is all events in [its first time, its last time]. Between two events of
a session there is never a gap: where one is cut anew only `max` cuts it, but at the place where a value went out.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.history.events import came_at, event_of, event_take, first_at, last_before, last_place, place_of
from windows.kernels.history.tree import data_of
from windows.kernels.kinds.spans import event_in, span, span_from, span_put, span_said, span_touch, spans_cut
from windows.kernels.memory.arena import CAUSE
from windows.kernels.memory.documents import docs_find
from windows.kernels.memory.rising import first_from
from windows.kernels.results import REFUSED, TOOK, arm
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import chain_at, keeper_at, node_at, out_at, rowlist_at, span_at


@kernel
def joins(core, s, first, last, t):
    """Whether an event at t, not before `last`, is of the session [first, last]."""
    P = core.P
    spec = set_at(P, s)
    return t - last < spec.gap and t + spec.gap - first <= spec.max


@kernel
def grown(core, s, h, j, first, until, n):
    """How far a session from `first` on reaches, if its events lie without a gap up to `until` and the n-th session comes next:
    (its last event, the first event of what is left of the session that it ends in, where that ends). Nothing left: NONE."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    limit = first + spec.max - spec.gap
    while until <= limit:
        if n == rowlist_at(M, j).n or not joins(core, s, first, until, span_at(M, span(M, j, n)).key):
            return until, w.NONE, w.NONE
        until = span_at(M, span(M, j, n)).last
        n += 1
    rest = first_at(core, g, h, limit + 1)
    return last_before(core, g, h, rest), rest, until


@kernel
def late_in(core, g, h, first, last):
    """How many events of a stretch came late."""
    M = core.M
    late = 0
    leaf, i = place_of(core, g, h, first)
    while leaf != 0:
        end = first_from(M, leaf + data_of(core, g), node_at(M, leaf).n, last + 1)
        for k in range(i, end):
            late += M[came_at(core, g, leaf, k)]
        leaf = node_at(M, leaf).next if end == node_at(M, leaf).n else 0
        i = 0
    return late


@kernel
def inherit(core, s, root, r, old):
    """The session at r goes on from an older one, whose document is removed where it began elsewhere."""
    spec = set_at(core.P, s)
    new = span_at(core.M, r)
    was = span_at(core.M, old)
    if was.state & w.EVER:
        new.revision = max(new.revision, was.revision + 1)
    if was.state & w.FINAL and new.cause < 0:
        new.cause = was.cause
    new.state |= was.state
    new.late += was.late
    if was.key == new.key:
        new.stamp = was.stamp
    else:
        span_said(core, s, root, was.key, out_at(core.OUT, spec.out).n // spec.width)


@kernel
def made(core, s, root, wm, at, first, last):
    """The session [first, last] at place `at`, instead of those that began in it, and of one that was emptied where it begins.
    Whether an event that comes into it now is late."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    j = e + w.SPANS
    r = span_put(M, j, at, first)
    span_at(M, r).last = last
    span_at(M, r).cause = -1
    n = at + 1
    while n < rowlist_at(M, j).n and span_at(M, span(M, j, n)).key <= last:
        inherit(core, s, root, r, span(M, j, n))
        n += 1
    spans_cut(M, j, at + 1, n - at - 1)
    before = e + w.EMPTIED
    place = span_from(M, before, first)
    if place < rowlist_at(M, before).n and span_at(M, span(M, before, place)).key == first:
        inherit(core, s, root, r, span(M, before, place))
        spans_cut(M, before, place, 1)
    closed = last + spec.gap + spec.lateness <= wm
    late = closed or span_at(M, r).state & w.FINAL > 0
    span_at(M, r).state = (w.EVER | w.FINAL) if closed else span_at(M, r).state & w.EVER
    if span_at(M, r).cause < 0:
        span_at(M, r).cause = M[CAUSE]
    span_touch(core, s, root, r)
    arm(core, s, root, last + spec.gap + (spec.hold if closed else spec.lateness))
    return late


@kernel
def cut_anew(core, s, root, h, wm, at, first, until):
    """Cut anew from the session on that begins at `first`, has the place `at`, and has no gap up to `until`. (whether an event
    that comes into it is late, where it ends)."""
    M, P = core.M, core.P
    g = set_at(P, s).group
    e = root + set_at(P, s).entity
    j = e + w.SPANS
    late = False
    end = w.NONE
    n = max(span_from(M, j, until + 1), at)
    recount = False
    while first != w.NONE:
        last, rest, until = grown(core, s, h, j, first, until, n)
        came_late = made(core, s, root, wm, at, first, last)
        recount = keeper_at(M, e).lates > 0 and (recount or rest != w.NONE)
        if recount:
            span_at(M, span(M, j, at)).late = late_in(core, g, h, first, last)
        if end == w.NONE:
            late = came_late
            end = last
        first = rest
        at += 1
        n = at
    return late, end


@inlined
def gone_holds(core, s, root, t):
    """Whether a value that lies before all sessions there are would be of the last one that was let go, or lie before its end."""
    gone = keeper_at(core.M, root + set_at(core.P, s).entity)
    there = gone.gone_first < gone.gone_end
    return there and (t < gone.gone_end or joins(core, s, gone.gone_first, gone.gone_end - 1, t))


@kernel
def put(core, rows, s, root, mask, t, i, wm):
    """A value comes: REFUSED where it would change a frozen session, or its own would be frozen at once."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    e = root + spec.entity
    j = e + w.SPANS
    at = span_from(M, j, t + 1) - 1
    first = t
    until = t
    begin = at + 1
    if at >= 0:
        r = span(M, j, at)
        if t <= span_at(M, r).last or joins(core, s, span_at(M, r).key, span_at(M, r).last, t):
            begin = at
            first = span_at(M, r).key
            until = max(t, span_at(M, r).last)
    elif gone_holds(core, s, root, t):
        return REFUSED
    end, _rest, _until = grown(core, s, chain_at(M, root + group_at(P, g).chain).head, j, first, until, at + 1)
    frozen = wm - spec.hold - spec.gap
    if end <= frozen:
        return REFUSED
    if begin == at and span_at(M, span(M, j, at)).last <= frozen:
        return REFUSED
    if begin > at and end > t and span_at(M, span(M, j, at + 1)).last <= frozen:
        return REFUSED
    h = event_in(core, rows, g, root, mask, t, i, 0)
    late, _end = cut_anew(core, s, root, h, wm, begin, first, until)
    if late:
        leaf, place = last_place(core, g, h, t)
        M[came_at(core, g, leaf, place)] = 1
        span_at(M, span(M, j, begin)).late += 1
        keeper_at(M, e).lates += 1
    return TOOK


@kernel
def take(core, s, root, code, old_at, wm):
    """A value goes out: TOOK; or if it is not found, REFUSED where no session that holds its time could change any more, or 0."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    j = root + spec.entity + w.SPANS
    h = chain_at(M, root + group_at(P, g).chain).head
    there, t = docs_find(M, h, code, old_at)
    if there and alive(core, s, j, old_at, wm) >= 0:
        t = old_at
    at = alive(core, s, j, t, wm) if t != w.LONG_AGO else -1
    if at < 0:
        open_alone = old_at + spec.gap + spec.hold > wm
        return 0 if open_alone or alive(core, s, j, old_at, wm) >= 0 else REFUSED
    without(core, s, root, h, wm, at, t, code)
    return TOOK


@kernel
def alive(core, s, j, t, wm):
    """Which session holds a time and is not frozen, -1 if none does."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    at = span_from(M, j, t + 1) - 1
    if at < 0:
        return -1
    end = span_at(M, span(M, j, at)).last + spec.gap
    return at if t < end and end + spec.hold > wm else -1


@kernel
def without(core, s, root, h, wm, at, t, code):
    """The event of a document goes out of a session: the session stays, is emptied, begins later, ends sooner or breaks in two."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    e = root + spec.entity
    r = span(M, e + w.SPANS, at)
    first = span_at(M, r).key
    last = span_at(M, r).last
    leaf, place = event_of(core, g, h, t, code)
    late = M[came_at(core, g, leaf, place)]
    span_at(M, r).late -= late
    keeper_at(M, e).lates -= late
    event_take(core, g, h, leaf, place, t, code)
    leaf, place = last_place(core, g, h, t)
    if leaf != 0 and M[leaf + data_of(core, g) + place] == t:  # another one of that time is left
        cut_anew(core, s, root, h, wm, at, first, last)
    elif first == last:
        empty(core, s, root, at)
    elif t == first:
        cut_anew(core, s, root, h, wm, at, first_at(core, g, h, t), last)
    elif t == last:
        cut_anew(core, s, root, h, wm, at, first, last_before(core, g, h, t))
    else:
        left = last_before(core, g, h, t)
        right = first_at(core, g, h, t)
        if right - left < spec.gap:
            cut_anew(core, s, root, h, wm, at, first, last)
            return
        made(core, s, root, wm, at, first, left)
        if keeper_at(M, e).lates > 0:
            span_at(M, span(M, e + w.SPANS, at)).late = late_in(core, g, h, first, left)
        cut_anew(core, s, root, h, wm, at + 1, right, last)
        if keeper_at(M, e).lates > 0:
            r = span(M, e + w.SPANS, at + 1)
            span_at(M, r).late = late_in(core, g, h, right, span_at(M, r).last)


@kernel
def empty(core, s, root, at):
    """The only value of a session went: its document stays, with nothing in it."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    j = e + w.EMPTIED
    old = span(M, e + w.SPANS, at)
    first = span_at(M, old).key
    r = span_put(M, j, span_from(M, j, first), first)
    span_at(M, r).last = first
    span_at(M, r).state = span_at(M, old).state
    span_at(M, r).revision = span_at(M, old).revision + (1 if span_at(M, old).state & w.EVER else 0)
    span_at(M, r).cause = span_at(M, old).cause
    span_at(M, r).stamp = span_at(M, old).stamp
    spans_cut(M, e + w.SPANS, at, 1)
    span_touch(core, s, root, r)
    arm(core, s, root, first + spec.gap + (spec.hold if span_at(M, r).state & w.FINAL else spec.lateness))
