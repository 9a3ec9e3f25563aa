# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What changed, as rows: revised windows, open windows when they are read, views asked of their histories."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.kinds.grid import first_past, grid_due, last_at, record, record_find, row_new, window_row
from windows.kernels.kinds.rolling import expires, history_of, rolling_due, rolling_values
from windows.kernels.kinds.spans import kept_due
from windows.kernels.memory.arena import EMPTY, STEP, TIGHT, WATERMARK, alloc, room


@kernel
def judge(M, root, mark):
    """The watermark that judges a key: what it has closed stays closed, whatever shard it came from."""
    return max(mark, M[root + w.R_FLOOR], w.LONG_AGO)


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
def emit_windows(M, X, P, PX, Z, ROOTS, s, n, SLOT, K, S, STAMP, OUT, OX):
    """n windows of one set, row by row from OUT[0] on."""
    for i in range(n):
        window_row(M, X, P, PX, Z, s, P[s + w.S_GROUP], ROOTS[SLOT[i]], K[i], S, STAMP, OUT, OX, i * P[s + w.S_WIDTH])


@kernel
def emit_revised(M, X, P, PX, Z, ROOTS, S, STAMP, OUT, OX):
    """Rows of the windows that late values came into in this step and that are not frozen yet; from the last one down, until room
    is short."""
    head = P[w.P_REVISED]
    while OUT[head + w.OUT_N] > 0 and not M[TIGHT]:
        OUT[head + w.OUT_N] -= 3
        n = OUT[head + w.OUT_AT] + OUT[head + w.OUT_N]
        s = OUT[n]
        root = ROOTS[OUT[n + 1]]
        e = root + P[s + w.S_ENT]
        k = OUT[n + 2]
        i = record_find(M, e, k)
        if i < M[e + w.E_N] and M[record(M, e, i) + w.W_KEY] == k and M[record(M, e, i) + w.W_STAMP] == M[STEP]:
            window_row(M, X, P, PX, Z, s, P[s + w.S_GROUP], root, k, S, STAMP, OUT, OX, row_new(M, P, s, OUT))


@kernel
def emit_views(M, X, P, PX, ROOTS, s, begin, n, SLOT, S, STAMP, VALUES, INTS, as_of):
    """n views of one rolling set, from row `begin` on until memory is short: measures, as_of and expires_at. Where to go on."""
    g = P[s + w.S_GROUP]
    for i in range(begin, n):
        if not room(M):
            return i
        root = ROOTS[SLOT[i]]
        e = root + P[s + w.S_ENT]
        h = history_of(M, P, g, root, P[s + w.S_J])
        now = M[e + w.E_ASOF] if as_of == EMPTY else as_of
        INTS[i] = now
        rolling_values(M, X, P, PX, g, s, e, h, now, S, STAMP, VALUES, i, n)
        INTS[n + i] = expires(M, P, g, s, e, h, now)
    return n


@kernel
def set_due(M, P, Z, s, root):
    """When something happens next for one set at one key, NONE if never."""
    g = P[s + w.S_GROUP]
    if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE]:
        return w.NONE
    e = root + P[s + w.S_ENT]
    if P[s + w.S_KIND] == w.GRID:
        return grid_due(M, P, Z, s, g, root)
    if P[g + w.G_KIND] == w.KEPT:
        return kept_due(M, P, Z, s, e)
    return rolling_due(M, P, g, s, e, history_of(M, P, g, root, P[s + w.S_J]))


@kernel
def key_due(M, P, Z, root):
    """When something happens next for a key, NONE if never."""
    due = w.NONE
    for n in range(P[w.P_NSETS]):
        due = min(due, set_due(M, P, Z, P[w.P_SETS] + n * w.S_WORDS, root))
    return due


@kernel
def root_new(M, P, slot, route):
    """The root of a key that nothing is known of."""
    words = P[P[w.P_ROUTES] + route]
    root = alloc(M, words)
    for i in range(words):
        M[root + i] = 0
    M[root + w.R_FLOOR] = EMPTY
    M[root + w.R_SLOT] = slot
    M[root + w.R_ROUTE] = route
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != route:
            continue
        M[root + P[g + w.G_CHAIN] + w.CH_DUE] = w.NONE
        e = root + P[s + w.S_ENT]
        M[e + w.E_DUE] = w.NONE
        if P[s + w.S_KIND] == w.GRID:
            M[e + w.E_OPEN] = w.LONG_AGO
        elif P[s + w.S_KIND] == w.ROLLING:
            M[e + w.E_LAST] = EMPTY
            M[e + w.E_LO] = 1
    return root
