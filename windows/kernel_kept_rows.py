# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sessions and windows of sets that keep their events, as rows of a result (see kernel_rows): put together from the history."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import DOCS, STEP, TIGHT
from windows.jit import kernel
from windows.kernel_events import stretch
from windows.kernel_grid import ends, starts
from windows.kernel_history import data_of
from windows.kernel_kept_events import leaf_items
from windows.kernel_measures import joined, measure_of
from windows.kernel_queue import out_new
from windows.kernel_rows import row_new
from windows.kernel_spans import span, span_from


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
