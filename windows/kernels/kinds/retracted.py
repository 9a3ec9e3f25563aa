# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Windows of a fixed grid whose values can be taken out again: by document, each as one event of a history.

Every window that a value came into has a span, from then until it is frozen, also when it was emptied. What is measured is asked
of the history when the window's document is written: after the step, or when the window is frozen.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.history.events import came_at, event_of, event_take
from windows.kernels.kinds.edges import ends, first_past, last_at
from windows.kernels.kinds.spans import due, event_in, since, span, span_from, span_put, span_touch
from windows.kernels.memory.arena import CAUSE
from windows.kernels.memory.documents import docs_find
from windows.kernels.results import REFUSED, TOOK, arm
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import chain_at, rowlist_at, span_at


@kernel
def put(core, rows, s, root, mask, t, i, wm):
    """A value comes into all its windows that are not frozen: REFUSED where all are."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    j = e + w.SPANS
    last = last_at(core, s, t)
    first = max(first_past(core, s, t), first_past(core, s, wm - spec.hold))
    if first > last:
        return REFUSED
    event_in(core, rows, spec.group, root, mask, t, i, wm)
    place = span_from(M, j, first)
    for k in range(first, last + 1):
        if place == rowlist_at(M, j).n or span_at(M, span(M, j, place)).key != k:
            span_put(M, j, place, k)
        r = span(M, j, place)
        if span_at(M, r).state & w.EVER:
            span_at(M, r).revision += 1
        if ends(core, s, k) + spec.lateness <= wm:
            span_at(M, r).late += 1
            if not span_at(M, r).state & w.FINAL:
                span_at(M, r).state = w.EVER | w.FINAL
                span_at(M, r).cause = M[CAUSE]
        span_touch(core, s, root, r)
        place += 1
    arm(core, s, root, due(core, s, root))
    return TOOK


@kernel
def take(core, s, root, code, old_at, wm):
    """A value goes out of its windows: TOOK; or if it is not found, REFUSED where all that would hold its time are frozen, or 0."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    e = root + spec.entity
    j = e + w.SPANS
    h = chain_at(M, root + group_at(P, g).chain).head
    kept = since(core, s, root)
    there, t = docs_find(M, h if kept != w.NONE else 0, code, old_at)
    if there and old_at >= kept:
        t = old_at
    if t == w.LONG_AGO or t < kept:
        return REFUSED if ends(core, s, last_at(core, s, old_at)) + spec.hold <= wm else 0
    leaf, place = event_of(core, g, h, t, code)
    came = M[came_at(core, g, leaf, place)]
    last = last_at(core, s, t)
    i = span_from(M, j, max(first_past(core, s, t), first_past(core, s, came - spec.hold)))
    while i < rowlist_at(M, j).n and span_at(M, span(M, j, i)).key <= last:
        r = span(M, j, i)
        if span_at(M, r).state & w.EVER:
            span_at(M, r).revision += 1
        if ends(core, s, span_at(M, r).key) + spec.lateness <= came:
            span_at(M, r).late -= 1
        span_touch(core, s, root, r)
        i += 1
    event_take(core, g, h, leaf, place, t, code)
    return TOOK
