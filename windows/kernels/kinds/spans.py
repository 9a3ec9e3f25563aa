# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Spans: the sessions, or the windows of a grid, of a set that keeps its events. As time passes they close, they are frozen, and
one day they are forgotten; as rows of a result they are put together from the key's history."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.history.events import event_put, events_forget, leaf_items, stretch
from windows.kernels.history.tree import data_of, history_free, history_new
from windows.kernels.kinds.edges import ends, starts
from windows.kernels.memory.arena import DOCS, LONGEST, STEP, TIGHT
from windows.kernels.memory.rowlist import row_from, row_known, row_of, row_put, rows_cut, rows_free
from windows.kernels.results import arm, key_changed, out_new
from windows.kernels.tables import MEASURE_WORDS, group_at, set_at
from windows.kernels.words import chain_at, entity_at, history_at, keeper_at, out_at, root_at, row_at, rowlist_at, span_at

CLOSINGS = 64  # most spans that one ring closes, and most that it forgets


# Lists of spans: rows of a list (memory/rowlist.py).
@inlined
def span(M, j, i):
    """The place of the i-th span."""
    return row_of(M, j, w.SPAN_WORDS, i)


@inlined
def span_from(M, j, key):
    """Which is the first span whose key is not below this one."""
    return row_from(M, j, w.SPAN_WORDS, key)


@inlined
def span_put(M, j, i, key):
    """A new span of zeros at place i."""
    return row_put(M, j, w.SPAN_WORDS, i, key)


@inlined
def spans_cut(M, j, i, k):
    """Take k spans out, from place i on."""
    rows_cut(M, j, w.SPAN_WORDS, i, k)


@kernel
def first_open(M, j):
    """Which is the first span that is not final: what ends sooner is closed sooner."""
    low = 0
    high = rowlist_at(M, j).n
    while low < high:
        mid = (low + high) >> 1
        if span_at(M, span(M, j, mid)).state & w.FINAL:
            low = mid + 1
        else:
            high = mid
    return low


@kernel
def event_in(core, rows, g, root, mask, t, i, came):
    """A row's event into the history of a set that keeps its events: the history."""
    M, P = core.M, core.P
    group = group_at(P, g)
    chain = chain_at(M, root + group.chain)
    if chain.head == 0:
        chain.head = history_new(core, g, group.full)
    h = chain.head
    event_put(core, rows, g, h, mask, t, i, came)
    if set_at(P, P[group.sets]).nmoving > 0:
        M[LONGEST] = max(M[LONGEST], (history_at(M, h).n + 1) >> 1)  # its leaves, as items, have room in the scratch
    return h


@kernel
def spans_close(core, s, root, j, until, cause, most):
    """Close what is due, the first ones: how many."""
    M, P = core.M, core.P
    closed = 0
    i = first_open(M, j)
    while i < rowlist_at(M, j).n and closed < most:
        r = span(M, j, i)
        if end_of(core, s, r) + set_at(P, s).lateness > until:
            break
        span_at(M, r).state = w.EVER | w.FINAL
        span_at(M, r).cause = cause
        span_touch(core, s, root, r)
        closed += 1
        i += 1
    return closed


@kernel
def close_all(core, s, root, until, cause):
    """Close what is due at a key, as much as one ring closes: how many."""
    P = core.P
    spec = set_at(P, s)
    e = root + spec.entity
    closed = spans_close(core, s, root, e + w.SPANS, until, cause, CLOSINGS)
    if spec.kind == tables.SESSION:
        closed += spans_close(core, s, root, e + w.EMPTIED, until, cause, CLOSINGS - closed)
    return closed


@kernel
def spans_leave(core, s, root, until):
    """Let go of what is frozen, as much as one ring forgets; what has still to be written is written: how many. The last one to go
    is remembered by its times: no value may join it."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    chain = chain_at(M, root + group_at(P, spec.group).chain)
    gone = 0
    j = e + w.SPANS
    keeper = keeper_at(M, e)
    while rowlist_at(M, j).n > 0 and gone < CLOSINGS and end_of(core, s, span(M, j, 0)) + spec.hold <= until:
        span_row(core, s, root, span(M, j, 0), 0)
        keeper.lates -= span_at(M, span(M, j, 0)).late
        keeper.gone_first = span_at(M, span(M, j, 0)).key
        keeper.gone_end = span_at(M, span(M, j, 0)).last + 1
        spans_cut(M, j, 0, 1)
        gone += 1
    if chain.head != 0 and rowlist_at(M, j).n == 0:
        history_free(core, spec.group, chain.head)
        chain.head = 0
    elif chain.head != 0 and gone:
        events_forget(core, spec.group, root, chain.head, start_of(core, s, span(M, j, 0)), True)
    j = e + w.EMPTIED
    while spec.kind == tables.SESSION and rowlist_at(M, j).n > 0 and gone < CLOSINGS:
        if end_of(core, s, span(M, j, 0)) + spec.hold > until:
            break
        span_row(core, s, root, span(M, j, 0), 1)
        spans_cut(M, j, 0, 1)
        gone += 1
    return gone


@kernel
def due(core, s, root):
    """When something happens next to what a set keeps at a key: NONE if never."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    soonest = w.NONE
    for emptied in range(2 if spec.kind == tables.SESSION else 1):
        j = e + (w.EMPTIED if emptied else w.SPANS)
        i = first_open(M, j)
        if i < rowlist_at(M, j).n:
            soonest = min(soonest, end_of(core, s, span(M, j, i)) + spec.lateness)
        if i > 0:
            soonest = min(soonest, end_of(core, s, span(M, j, 0)) + spec.hold)
    return soonest


@kernel
def ring(core, s, root, wm, rung, cause):
    """Close what is due and forget what nobody needs. Sessions of a key go together, windows of a grid in the order of time."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    e = root + spec.entity
    entity_at(M, e).due = w.NONE
    until = wm if spec.kind == tables.SESSION else rung
    closed = close_all(core, s, root, until, cause)
    gone = spans_leave(core, s, root, until) if closed < CLOSINGS else 0
    at = due(core, s, root)
    if at != w.NONE:
        arm(core, s, root, at)
    if gone or closed:
        key_changed(core, root, wm)


@kernel
def finish(core, s, root, far, cause):
    """The end of a file: close and forget everything, as much as one ring does. Whether there was anything."""
    M, P = core.M, core.P
    e = root + set_at(P, s).entity
    entity_at(M, e).due = w.NONE
    closed = close_all(core, s, root, far, cause)
    keeper = keeper_at(M, e)
    first, end = keeper.gone_first, keeper.gone_end
    gone = spans_leave(core, s, root, w.NONE) if closed < CLOSINGS else 0
    keeper.gone_first, keeper.gone_end = first, end  # what only the end of a file has frozen judges no later value either
    if gone or closed:
        floor = root_at(M, root).floor
        key_changed(core, root, far)
        root_at(M, root).floor = floor
    return closed + gone > 0


@kernel
def since(core, s, root):
    """From when on the events of a key are kept: NONE if none are."""
    M, P = core.M, core.P
    j = root + set_at(P, s).entity + w.SPANS
    return start_of(core, s, span(M, j, 0)) if rowlist_at(M, j).n > 0 else w.NONE


@kernel
def free(core, s, root):
    """Let go of a key's spans."""
    e = root + set_at(core.P, s).entity
    rows_free(core.M, e + w.SPANS, w.SPAN_WORDS)
    rows_free(core.M, e + w.EMPTIED, w.SPAN_WORDS)


@kernel
def start_of(core, s, r):
    """Where a span starts."""
    M, P = core.M, core.P
    return span_at(M, r).key if set_at(P, s).kind == tables.SESSION else starts(core, s, span_at(M, r).key)


@kernel
def end_of(core, s, r):
    """Where a span ends."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    if spec.kind == tables.SESSION:
        return span_at(M, r).last + spec.gap
    return ends(core, s, span_at(M, r).key)


@kernel
def span_said(core, s, root, key, what):
    """A span's document is to be written or removed."""
    M, P, OUT = core.M, core.P, core.OUT
    row = out_new(core, set_at(P, s).out + w.OUT_WORDS, 3)
    OUT[row] = root_at(M, root).slot
    OUT[row + 1] = key
    OUT[row + 2] = what


@kernel
def span_touch(core, s, root, r):
    """The span has changed."""
    M = core.M
    if span_at(M, r).stamp != M[STEP]:
        span_at(M, r).stamp = M[STEP]
        M[DOCS] += 1
        span_said(core, s, root, span_at(M, r).key, w.TOUCHED)


@kernel
def span_row(core, s, root, r, emptied):
    """A span as it stands, if it changed in this step and has not been written since."""
    M, P, OUT, OX = core.M, core.P, core.OUT, floats_of(core.OUT)
    spec = set_at(P, s)
    mine = span_at(M, r)
    if mine.stamp != M[STEP]:
        return
    mine.stamp = 0
    g = spec.group
    h = 0 if emptied else chain_at(M, root + group_at(P, g).chain).head
    start = start_of(core, s, r)
    end = end_of(core, s, r)
    last = mine.last if spec.kind == tables.SESSION else end - 1
    n = 0
    if h != 0:  # what no node keeps (distinct values, quantiles) needs each event
        n = leaf_items(core, g, h, start, last) if spec.nmoving > 0 else stretch(core, g, h, start, last)
    D = data_of(core, g)
    base = joined(core, s, 0, n, D)
    row = out_new(core, spec.out, spec.width)
    said = row_at(OUT, row)
    said.slot = root_at(M, root).slot
    said.number = mine.key
    said.start = start
    said.end = end
    said.events = M[base + spec.count]
    said.revision = mine.revision
    said.late = mine.late
    said.cause = mine.cause if mine.state & w.FINAL else -1
    f = spec.measures
    for j in range(row + w.ROW_WORDS, row + spec.width):
        OX[j] = measure_of(core, f, base, 0, n, D)
        f += MEASURE_WORDS


@kernel
def emit(core, s, begin):
    """Rows of a set's spans that changed in this step, from the one said at `begin` on, until room is short: where to go on."""
    M, OUT = core.M, core.OUT
    spec = set_at(core.P, s)
    said = out_at(OUT, spec.out + w.OUT_WORDS)
    while begin < said.n and not M[TIGHT]:
        root = core.ROOTS[OUT[said.at + begin]]
        key = OUT[said.at + begin + 1]
        for emptied in range(2 if spec.kind == tables.SESSION else 1):
            r = row_known(M, root + spec.entity + (w.EMPTIED if emptied else w.SPANS), w.SPAN_WORDS, key)
            if r != 0:
                span_row(core, s, root, r, emptied)
        begin += 3
    return begin
