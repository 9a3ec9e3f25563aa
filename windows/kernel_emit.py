# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What changed, as columns: windows put together from their slices, views asked of their histories."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import EMPTY, SCRATCH, WATERMARK, alloc, room
from windows.jit import kernel
from windows.kernel_close import grid_due, may_read
from windows.kernel_grid import ends, first_past, last_at, record, record_find, starts
from windows.kernel_measures import forget_sums, measure_of
from windows.kernel_rolling import rolling_values
from windows.kernel_run import index_in, judge
from windows.kernel_views import expires, history_of, rolling_due

START, END_AT, EVENTS, REVISION, LATE_N = 0, 1, 2, 3, 4


@kernel
def open_windows(M, P, Z, ROOTS, s, n, SLOT, FROM, slots, numbers):
    """The open windows on n touched slices, one pair for each slice that touches a window: how many pairs."""
    found = 0
    for i in range(n):
        root = ROOTS[SLOT[i]]
        e = root + P[s + w.S_ENT]
        wm = judge(M, root, M[WATERMARK])
        k = max(first_past(P, Z, s, FROM[i]), M[e + w.E_OPEN], first_past(P, Z, s, wm - P[s + w.S_LAT]))
        for number in range(k, last_at(P, Z, s, FROM[i]) + 1):
            slots[found] = SLOT[i]
            numbers[found] = number
            found += 1
    return found


@kernel
def window_items(M, P, s, g, root, start, end, S):
    """A window's slices as items at the end of the scratch, the oldest first: where they begin, -1 where it is too small."""
    node = M[root + P[g + w.G_CHAIN]]
    while node != 0 and M[node + w.L_FROM] >= end:
        node = M[node + w.L_NEXT]
    at = M[SCRATCH]
    while node != 0 and M[node + w.L_FROM] >= start:
        if M[node + w.L_TO] <= end and may_read(M, P, s, g, node):
            at -= 3
            if at < 0:
                return -1
            S[at] = node + w.L_CELLS
            S[at + 1] = -1
        node = M[node + w.L_NEXT]
    return at


@kernel
def emit_windows(M, X, P, PX, Z, ROOTS, s, begin, n, SLOT, K, S, STAMP, VALUES, INTS):
    """n windows of one set from the one at `begin` on: measures into VALUES[j * n + i], start, end, events, revision and late into
    INTS. Where to go on: with more scratch, if there are any left."""
    g = P[s + w.S_GROUP]
    for i in range(begin, n):
        root = ROOTS[SLOT[i]]
        e = root + P[s + w.S_ENT]
        start = starts(P, Z, s, K[i])
        end = ends(P, Z, s, K[i])
        at = window_items(M, P, s, g, root, start, end, S)
        if at < 0:
            return i
        items = (M[SCRATCH] - at) // 3
        events = 0
        for j in range(at, M[SCRATCH], 3):
            events += M[S[j] + P[s + w.S_CNT]]
        INTS[START * n + i] = start
        INTS[END_AT * n + i] = end
        INTS[EVENTS * n + i] = events
        r = record_find(M, e, K[i])
        known = r < M[e + w.E_N] and M[record(M, e, r) + w.W_KEY] == K[i]
        INTS[REVISION * n + i] = M[record(M, e, r) + w.W_REVISION] if known else 0
        INTS[LATE_N * n + i] = M[record(M, e, r) + w.W_LATE] if known else 0
        forget_sums(M)
        for j in range(P[s + w.S_NMEASURES]):
            VALUES[j * n + i] = measure_of(M, X, P, PX, P[s + w.S_MEASURES] + j * w.F_WORDS, S, at, items, 0, STAMP)
    return n


@kernel
def emit_views(M, X, P, PX, ROOTS, s, begin, n, SLOT, S, STAMP, VALUES, INTS, as_of):
    """n views of one rolling set, from row `begin` on until memory is short: measures, as_of and expires_at. Where to go on."""
    g = P[s + w.S_GROUP]
    j = index_in(P, g, s)
    for i in range(begin, n):
        if not room(M):
            return i
        root = ROOTS[SLOT[i]]
        e = root + P[s + w.S_ENT]
        h = history_of(M, P, g, root, j)
        now = M[e + w.E_ASOF] if as_of == EMPTY else as_of
        INTS[i] = now
        rolling_values(M, X, P, PX, g, s, e, h, now, S, STAMP, VALUES, i, n)
        INTS[n + i] = expires(M, P, g, s, h, now)
    return n


@kernel
def set_due(M, P, Z, s, root):
    """When something happens next for one set at one key, NONE if never."""
    g = P[s + w.S_GROUP]
    if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE]:
        return w.NONE
    e = root + P[s + w.S_ENT]
    if P[s + w.S_KIND] == w.GRID:
        return grid_due(M, P, Z, s, g, root, judge(M, root, M[WATERMARK]))
    return rolling_due(M, P, g, s, e, history_of(M, P, g, root, index_in(P, g, s)))


@kernel
def key_due(M, P, Z, root):
    """When something happens next for a key, NONE if never."""
    due = w.NONE
    for n in range(P[w.P_NSETS]):
        due = min(due, set_due(M, P, Z, P[w.P_SETS] + n * w.S_WORDS, root))
    return due


@kernel
def root_new(M, P, words, slot, generation, route, order):
    """The root of a key that nothing is known of."""
    root = alloc(M, words)
    for i in range(words):
        M[root + i] = 0
    M[root + w.R_FLOOR] = EMPTY
    M[root + w.R_GENERATION] = generation
    M[root + w.R_SLOT] = slot
    M[root + w.R_ROUTE] = route
    M[root + w.R_ORDER] = order
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        if P[s + w.S_GROUP] < 0 or P[P[s + w.S_GROUP] + w.G_ROUTE] != route:
            continue
        e = root + P[s + w.S_ENT]
        M[e + w.E_DUE] = w.NONE
        if P[s + w.S_KIND] == w.GRID:
            M[e + w.E_OPEN] = w.LONG_AGO
        else:
            M[e + w.E_LAST] = EMPTY
            M[e + w.E_LO] = 1
    return root
