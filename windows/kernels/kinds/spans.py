# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""How spans live as time passes, sessions and windows alike: they close, they are frozen, and one day they are forgotten."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.history.events import kept_forget, leaf_items, stretch
from windows.kernels.history.tree import data_of, history_free
from windows.kernels.kinds.grid import ends, row_new, starts
from windows.kernels.memory.arena import DOCS, STEP, TIGHT
from windows.kernels.memory.rowlist import first_open, span, span_from, spans_cut
from windows.kernels.results import arm, key_changed, out_new

CLOSINGS = 64  # most spans that one ring closes, and most that it forgets


@kernel
def spans_close(M, P, Z, s, root, j, OUT, until, cause, most):
    """Close what is due, the first ones: how many."""
    closed = 0
    i = first_open(M, j)
    while i < M[j + w.J_N] and closed < most:
        r = span(M, j, i)
        if end_of(M, P, Z, s, r) + P[s + w.S_LAT] > until:
            break
        M[r + w.K_STATE] = w.EVER | w.FINAL
        M[r + w.K_CAUSE] = cause
        span_touch(M, P, s, root, OUT, r)
        closed += 1
        i += 1
    return closed


@kernel
def close_all(M, P, Z, s, root, OUT, until, cause):
    """Close what is due at a key, as much as one ring closes: how many."""
    e = root + P[s + w.S_ENT]
    closed = spans_close(M, P, Z, s, root, e + w.E_SPANS, OUT, until, cause, CLOSINGS)
    if P[s + w.S_KIND] == w.SESSION:
        closed += spans_close(M, P, Z, s, root, e + w.E_EMPTIED, OUT, until, cause, CLOSINGS - closed)
    return closed


@kernel
def useless_at(M, P, Z, s, j):
    """When nobody can miss the first span: see naive/session.py, where it is proven for sessions."""
    r = span(M, j, 0)
    end = end_of(M, P, Z, s, r)
    if P[s + w.S_KIND] != w.SESSION:
        return end + P[s + w.S_HOLD]
    useless = end + 2 * P[s + w.S_GAP] + P[s + w.S_HOLD]
    if M[j + w.J_N] > 1:
        r = span(M, j, 1)
        if M[r + w.K_KEY] < end + P[s + w.S_GAP]:
            return max(useless, end_of(M, P, Z, s, r) + P[s + w.S_HOLD])
    return useless


@kernel
def spans_leave(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, until):
    """Forget what nobody can miss any more, as much as one ring forgets; what has still to be written is written: how many."""
    e = root + P[s + w.S_ENT]
    chain = root + P[P[s + w.S_GROUP] + w.G_CHAIN]
    gone = 0
    j = e + w.E_SPANS
    while M[j + w.J_N] > 0 and gone < CLOSINGS and useless_at(M, P, Z, s, j) <= until:
        span_row(M, X, P, PX, Z, s, root, span(M, j, 0), 0, S, STAMP, OUT, OX)
        M[e + w.E_LATES] -= M[span(M, j, 0) + w.K_LATE]
        spans_cut(M, j, 0, 1)
        gone += 1
    if M[chain] != 0 and M[j + w.J_N] == 0:
        history_free(M, P, P[s + w.S_GROUP], M[chain])
        M[chain] = 0
    elif M[chain] != 0 and gone:
        kept_forget(M, P, P[s + w.S_GROUP], M[chain], start_of(M, P, Z, s, span(M, j, 0)))
    j = e + w.E_EMPTIED
    while P[s + w.S_KIND] == w.SESSION and M[j + w.J_N] > 0 and gone < CLOSINGS:
        if end_of(M, P, Z, s, span(M, j, 0)) + P[s + w.S_HOLD] > until:
            break
        span_row(M, X, P, PX, Z, s, root, span(M, j, 0), 1, S, STAMP, OUT, OX)
        spans_cut(M, j, 0, 1)
        gone += 1
    return gone


@kernel
def kept_due(M, P, Z, s, e):
    """When something happens next to what a set keeps at a key: NONE if never."""
    due = w.NONE
    for emptied in range(2 if P[s + w.S_KIND] == w.SESSION else 1):
        j = e + (w.E_EMPTIED if emptied else w.E_SPANS)
        i = first_open(M, j)
        if i < M[j + w.J_N]:
            due = min(due, end_of(M, P, Z, s, span(M, j, i)) + P[s + w.S_LAT])
        if M[j + w.J_N] == 0:
            continue
        if not emptied and P[s + w.S_KIND] == w.SESSION:
            due = min(due, useless_at(M, P, Z, s, j))
        elif i > 0:
            due = min(due, end_of(M, P, Z, s, span(M, j, 0)) + P[s + w.S_HOLD])
    return due


@kernel
def kept_ring(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, wm, rung, cause):
    """Close what is due and forget what nobody needs. Sessions of a key go together, windows of a grid in the order of time."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    until = wm if P[s + w.S_KIND] == w.SESSION else rung
    closed = close_all(M, P, Z, s, root, OUT, until, cause)
    gone = spans_leave(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, until) if closed < CLOSINGS else 0
    due = kept_due(M, P, Z, s, e)
    if due != w.NONE:
        arm(M, P, s, e, root, due)
    if gone or closed:
        key_changed(M, P, OUT, root, wm)


@kernel
def kept_finish(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, far, cause):
    """The end of a file: close and forget everything, as much as one ring does. Whether there was anything."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    closed = close_all(M, P, Z, s, root, OUT, far, cause)
    gone = spans_leave(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, w.NONE) if closed < CLOSINGS else 0
    if gone or closed:
        floor = M[root + w.R_FLOOR]
        key_changed(M, P, OUT, root, far)
        M[root + w.R_FLOOR] = floor  # the end of a file judges no later value
    return closed + gone > 0


@kernel
def kept_since(M, P, Z, s, root):
    """From when on the events of a key are kept: NONE if none are."""
    j = root + P[s + w.S_ENT] + w.E_SPANS
    return start_of(M, P, Z, s, span(M, j, 0)) if M[j + w.J_N] > 0 else w.NONE


@kernel
def kept_free(M, P, s, root):
    """Let go of a key's spans."""
    spans_cut(M, root + P[s + w.S_ENT] + w.E_SPANS, 0, M[root + P[s + w.S_ENT] + w.E_SPANS + w.J_N])
    spans_cut(M, root + P[s + w.S_ENT] + w.E_EMPTIED, 0, M[root + P[s + w.S_ENT] + w.E_EMPTIED + w.J_N])


# Sessions and windows of sets that keep their events, as rows of a result (see kinds/grid.py): put together from the history.
@kernel
def start_of(M, P, Z, s, r):
    """Where a span starts."""
    return M[r + w.K_KEY] if P[s + w.S_KIND] == w.SESSION else starts(P, Z, s, M[r + w.K_KEY])


@kernel
def end_of(M, P, Z, s, r):
    """Where a span ends."""
    if P[s + w.S_KIND] == w.SESSION:
        return M[r + w.K_LAST] + P[s + w.S_GAP]
    return ends(P, Z, s, M[r + w.K_KEY])


@kernel
def span_said(M, P, s, root, OUT, key, what):
    """A span's document is to be written or removed."""
    row = out_new(M, OUT, P[s + w.S_OUT] + w.OUT_WORDS, 3)
    OUT[row] = M[root + w.R_SLOT]
    OUT[row + 1] = key
    OUT[row + 2] = what


@kernel
def span_touch(M, P, s, root, OUT, r):
    """The span has changed."""
    if M[r + w.K_STAMP] != M[STEP]:
        M[r + w.K_STAMP] = M[STEP]
        M[DOCS] += 1
        span_said(M, P, s, root, OUT, M[r + w.K_KEY], w.TOUCHED)


@kernel
def span_row(M, X, P, PX, Z, s, root, r, emptied, S, STAMP, OUT, OX):
    """A span as it stands, if it changed in this step and has not been written since."""
    if M[r + w.K_STAMP] != M[STEP]:
        return
    M[r + w.K_STAMP] = 0
    g = P[s + w.S_GROUP]
    h = 0 if emptied else M[root + P[g + w.G_CHAIN]]
    start = start_of(M, P, Z, s, r)
    end = end_of(M, P, Z, s, r)
    last = M[r + w.K_LAST] if P[s + w.S_KIND] == w.SESSION else end - 1
    n = 0
    if h != 0:  # what no node keeps (distinct values, quantiles) needs each event
        n = leaf_items(M, P, g, h, start, last, S) if P[s + w.S_NINC] > 0 else stretch(M, X, P, g, h, start, last, S)
    base = joined(M, X, P, s, S, 0, n, data_of(P, g))
    row = row_new(M, P, s, OUT)
    OUT[row + w.ROW_SLOT] = M[root + w.R_SLOT]
    OUT[row + w.ROW_NUMBER] = M[r + w.K_KEY]
    OUT[row + w.ROW_START] = start
    OUT[row + w.ROW_END] = end
    OUT[row + w.ROW_EVENTS] = M[base + P[s + w.S_CNT]]
    OUT[row + w.ROW_REVISION] = M[r + w.K_REVISION]
    OUT[row + w.ROW_LATE] = M[r + w.K_LATE]
    OUT[row + w.ROW_CAUSE] = M[r + w.K_CAUSE] if M[r + w.K_STATE] & w.FINAL else -1
    f = P[s + w.S_MEASURES]
    for j in range(row + w.ROW_WORDS, row + P[s + w.S_WIDTH]):
        OX[j] = measure_of(M, X, P, PX, f, base, S, 0, n, data_of(P, g), STAMP)
        f += w.F_WORDS


@kernel
def emit_spans(M, X, P, PX, Z, ROOTS, s, begin, S, STAMP, OUT, OX):
    """Rows of a set's spans that changed in this step, from the one said at `begin` on, until room is short: where to go on."""
    head = P[s + w.S_OUT] + w.OUT_WORDS
    while begin < OUT[head + w.OUT_N] and not M[TIGHT]:
        said = OUT[head + w.OUT_AT] + begin
        root = ROOTS[OUT[said]]
        e = root + P[s + w.S_ENT]
        for emptied in range(2 if P[s + w.S_KIND] == w.SESSION else 1):
            j = e + (w.E_EMPTIED if emptied else w.E_SPANS)
            i = span_from(M, j, OUT[said + 1])
            if i < M[j + w.J_N] and M[span(M, j, i) + w.K_KEY] == OUT[said + 1]:
                span_row(M, X, P, PX, Z, s, root, span(M, j, i), emptied, S, STAMP, OUT, OX)
        begin += 3
    return begin
