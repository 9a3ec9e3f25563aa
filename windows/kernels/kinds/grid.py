# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Tumbling and sliding windows from shared slices: a value goes into one slice; a window is put together when it closes.

All windows that are not frozen take a value, so what a slice holds is right for every window that is still to be asked for; the
frozen ones are never asked again. What is true of a closed window alone (revision, late, what closed it) stands in its record.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_add, cells_clear, cells_free
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.memory.arena import CAUSE, DOCS, LONGEST, MEMO, SCRATCH, STEP, alloc, release
from windows.kernels.results import KEPT, REFUSED, TOOK, arm, key_changed, out_new


@inlined
def slice_find(M, head, a, b, full):
    """(the slice [a, b) that all sets may read or 0, the newest one that does not start after a)."""
    node = head
    while node != 0 and M[node + w.L_FROM] > a:
        node = M[node + w.L_NEXT]
    older = node
    while node != 0 and M[node + w.L_FROM] == a:
        if M[node + w.L_TO] == b and M[node + w.L_MASK] == full:
            return node, older
        node = M[node + w.L_NEXT]
    return 0, older


@inlined
def slice_known(M, P, Z, g, t):
    """The place of what is known of the slice that holds t. Many values in a row are in one slice."""
    m = M[MEMO] + P[g + w.G_MEMO]
    if not M[m + w.MEMO_FROM] <= t < M[m + w.MEMO_TO]:
        a, b = slice_at(P, Z, g, t)
        slice_learn(M, P, Z, g, m, a, b)
    return m


@kernel
def slice_learn(M, P, Z, g, m, a, b):
    """When the slice [a, b) is safe and dead, and the last window on it for each set."""
    safe = w.NONE
    dead = -w.NONE
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        last = last_at(P, Z, s, a)
        safe = min(safe, ends(P, Z, s, first_past(P, Z, s, a)) + P[s + w.S_LAT])
        dead = max(dead, ends(P, Z, s, last) + P[s + w.S_HOLD])
        M[m + w.MEMO_LAST + j] = last
    M[m + w.MEMO_FROM] = a
    M[m + w.MEMO_TO] = b
    M[m + w.MEMO_SAFE] = safe
    M[m + w.MEMO_DEAD] = dead


@inlined
def slice_new(M, X, P, g, root, m, older):
    """The slice known at m, in front of `older` (0: at the old end); not needed once the last window on it is frozen for all."""
    chain = root + P[g + w.G_CHAIN]
    a = M[m + w.MEMO_FROM]
    node = alloc(M, w.L_CELLS + P[g + w.G_CELLWORDS] + P[g + w.G_NSETS])
    newer = M[older + w.L_PREV] if older != 0 else M[chain + w.CH_TAIL]
    M[node + w.L_NEXT] = older
    M[node + w.L_PREV] = newer
    M[(newer + w.L_NEXT) if newer != 0 else chain] = node
    M[(older + w.L_PREV) if older != 0 else chain + w.CH_TAIL] = node
    M[node + w.L_FROM] = a
    M[node + w.L_TO] = M[m + w.MEMO_TO]
    M[node + w.L_MASK] = P[g + w.G_FULL]
    M[node + w.L_STAMP] = 0
    M[node + w.L_DEAD] = M[m + w.MEMO_DEAD]
    lasts = node + w.L_CELLS + P[g + w.G_CELLWORDS]
    for j in range(P[g + w.G_NSETS]):
        last = M[m + w.MEMO_LAST + j]
        M[lasts + j] = last
        e = root + P[P[P[g + w.G_SETS] + j] + w.S_ENT]
        finger = M[e + w.E_FINGER]
        if finger != 0 and a <= M[finger + w.L_FROM] and last >= M[e + w.E_OPEN]:
            M[e + w.E_FINGER] = node
    cells_clear(M, X, P, g, node + w.L_CELLS)
    M[chain + w.CH_N] += 1
    M[LONGEST] = max(M[LONGEST], M[chain + w.CH_N])
    return node


@inlined
def slice_drop(M, P, g, root):
    """Free the oldest slice."""
    chain = root + P[g + w.G_CHAIN]
    node = M[chain + w.CH_TAIL]
    newer = M[node + w.L_PREV]
    for j in range(P[g + w.G_NSETS]):
        e = root + P[P[P[g + w.G_SETS] + j] + w.S_ENT]
        if M[e + w.E_FINGER] == node:
            M[e + w.E_FINGER] = newer
    M[chain + w.CH_TAIL] = newer
    M[(newer + w.L_NEXT) if newer != 0 else chain] = 0
    M[chain + w.CH_N] -= 1
    cells_free(M, P, g, node + w.L_CELLS)
    release(M, node, w.L_CELLS + P[g + w.G_CELLWORDS] + P[g + w.G_NSETS])


@kernel
def slices_forget(M, P, g, root, before):
    """Free the oldest slices that no window needs since `before`."""
    chain = root + P[g + w.G_CHAIN]
    while M[chain + w.CH_TAIL] != 0 and M[M[chain + w.CH_TAIL] + w.L_DEAD] <= before:
        slice_drop(M, P, g, root)


@inlined
def slices_put(M, X, P, Z, g, root, mask, t, i, NUM, CODE, OUT, wm, LATE):
    """One value into a group's slices: TOOK | REFUSED | KEPT."""
    if not mask & P[g + w.G_WANT]:
        return 0
    m = slice_known(M, P, Z, g, t)
    a = M[m + w.MEMO_FROM]
    chain = root + P[g + w.G_CHAIN]
    late = wm >= M[m + w.MEMO_SAFE]
    verdict = slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE) if late else TOOK
    if not verdict & TOOK:
        return verdict
    node, older = slice_find(M, M[chain], a, M[m + w.MEMO_TO], P[g + w.G_FULL])
    if node == 0:
        if late:
            slices_forget(M, P, g, root, wm)
            node, older = slice_find(M, M[chain], a, M[m + w.MEMO_TO], P[g + w.G_FULL])
        node = slice_new(M, X, P, g, root, m, older)
    base = node + w.L_CELLS
    cells_add(M, X, P, g, base, mask, t, NUM, CODE, i)
    seen = 0
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if (mask >> P[s + w.S_BIT]) & 1:
            seen += 1
            if late or M[base + P[s + w.S_CNT]] == 1:
                arm_open(M, P, Z, g, s, root, node)
    if M[node + w.L_STAMP] != M[STEP]:
        M[node + w.L_STAMP] = M[STEP]
        M[DOCS] += seen
        row = out_new(M, OUT, P[g + w.G_TOUCHED], 3)
        OUT[row] = M[root + w.R_SLOT]
        OUT[row + 1] = a
        OUT[row + 2] = M[m + w.MEMO_TO]
    return verdict


@inlined
def arm_open(M, P, Z, g, s, root, node):
    """A timer for the first open window on a slice."""
    e = root + P[s + w.S_ENT]
    last = last_of(M, P, g, s, node)
    k = max(M[e + w.E_OPEN], first_on(M, P, Z, s, node, last))
    if k <= last:
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + w.S_LAT])


@kernel
def slices_judge(M, P, Z, g, root, mask, a, OUT, wm, LATE):
    """Which sets take a value on the slice from a: into windows that are open, or closed and kept, which revises them."""
    verdict = 0
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if not (mask >> P[s + w.S_BIT]) & 1:
            continue
        e = root + P[s + w.S_ENT]
        last = last_at(P, Z, s, a)
        k = max(first_past(P, Z, s, a), first_past(P, Z, s, wm - P[s + w.S_HOLD]))
        if k > last:
            LATE[P[s + w.S_INDEX]] += 1
            verdict |= REFUSED
            if P[s + w.S_LATE] != w.DROP:
                verdict |= KEPT
            continue
        verdict |= TOOK
        M[e + w.E_OPEN] = max(M[e + w.E_OPEN], first_past(P, Z, s, wm - P[s + w.S_LAT]))
        while k <= last and k < M[e + w.E_OPEN]:
            revise(M, P, Z, s, root, k, OUT)
            k += 1
    return verdict


@kernel
def revise(M, P, Z, s, root, k, OUT):
    """A late value comes into window k, which is closed: one revision more, or its first and final value at once."""
    e = root + P[s + w.S_ENT]
    i = record_find(M, e, k)
    if i < M[e + w.E_N] and M[record(M, e, i) + w.W_KEY] == k:
        r = record(M, e, i)
        M[r + w.W_REVISION] += 1
    else:
        r = record_put(M, e, i, k)
        M[r + w.W_CAUSE] = M[CAUSE]
        arm(M, P, s, e, root, ends(P, Z, s, k) + P[s + w.S_HOLD])
    M[r + w.W_LATE] += 1
    if M[r + w.W_STAMP] != M[STEP]:
        M[r + w.W_STAMP] = M[STEP]
        M[DOCS] += 1
        row = out_new(M, OUT, P[w.P_REVISED], 3)
        OUT[row] = s
        OUT[row + 1] = M[root + w.R_SLOT]
        OUT[row + 2] = k


# Windows of a fixed grid as time passes: they close, and later they are frozen.
CLOSINGS = 64  # most windows that one ring closes, and most that it freezes


@inlined
def oldest_open(M, P, g, s, root):
    """The oldest slice on which a window may still be open, 0 if there is none."""
    e = root + P[s + w.S_ENT]
    node = M[e + w.E_FINGER]
    if node == 0:
        node = M[root + P[g + w.G_CHAIN] + w.CH_TAIL]
    while node != 0 and last_of(M, P, g, s, node) < M[e + w.E_OPEN]:
        M[e + w.E_FINGER] = node
        node = M[node + w.L_PREV]
    if node != 0:
        M[e + w.E_FINGER] = node
    return node


@inlined
def first_open(M, P, Z, s, e, node, last):
    """The first open window of those on a slice; after the last one where none is."""
    k = M[e + w.E_OPEN]
    if k > w.LONG_AGO and P[s + w.S_ZONE] < 0 and M[node + w.L_FROM] < ends(P, Z, s, k):
        return k
    return max(k, first_on(M, P, Z, s, node, last))


@inlined
def grid_ring(M, X, P, PX, Z, s, g, root, S, STAMP, OUT, OX, wm, rung, cause):
    """Close what is due at `rung`, forget what is frozen, and ring again for the rest."""
    e = root + P[s + w.S_ENT]
    M[e + w.E_DUE] = w.NONE
    closed = 0
    due = w.NONE
    node = oldest_open(M, P, g, s, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, node):
            last = last_of(M, P, g, s, node)
            k = first_open(M, P, Z, s, e, node, last)
            while k <= last and closed < CLOSINGS and ends(P, Z, s, k) + P[s + w.S_LAT] <= rung:
                window_close(M, X, P, PX, Z, s, e, root, k, node, S, STAMP, OUT, OX, cause)
                closed += 1
                k += 1
            if k <= last:
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    frozen = 0
    while M[e + w.E_N] > 0:
        at = ends(P, Z, s, M[record(M, e, 0) + w.W_KEY]) + P[s + w.S_HOLD]
        if at > rung or frozen == CLOSINGS:
            due = min(due, at)
            break
        if M[record(M, e, 0) + w.W_STAMP] == M[STEP]:  # revised in this step, and what comes into its slices now is not its own
            window_row(M, X, P, PX, Z, s, g, root, M[record(M, e, 0)], S, STAMP, OUT, OX, row_new(M, P, s, OUT))
        record_drop(M, e, 0)
        frozen += 1
    if due != w.NONE:
        arm(M, P, s, e, root, due)
    if frozen or closed:
        key_changed(M, P, OUT, root, wm)


@inlined
def window_close(M, X, P, PX, Z, s, e, root, k, node, S, STAMP, OUT, OX, cause):
    """Window k, whose oldest slice is known, has its final value."""
    M[e + w.E_OPEN] = k + 1
    M[DOCS] += 1
    if P[s + w.S_HOLD] > P[s + w.S_LAT]:
        r = record_put(M, e, M[e + w.E_N], k)
        M[r + w.W_CAUSE] = cause
    n = items_from(M, P, s, node, ends(P, Z, s, k), S)
    row = row_new(M, P, s, OUT)
    row_write(M, X, P, PX, Z, s, root, k, S, 0, n, STAMP, OUT, OX, row)
    OUT[row + w.ROW_CAUSE] = cause


@inlined
def slices_free(M, P, Z, g, root, wm):
    """Free the oldest slices that nobody needs once all that is due at a watermark has happened."""
    chain = root + P[g + w.G_CHAIN]
    tail = M[chain + w.CH_TAIL]
    while tail != 0 and (M[tail + w.L_DEAD] <= wm or (not P[g + w.G_ALIKE] and not needed(M, P, Z, g, root, tail, wm))):
        slice_drop(M, P, g, root)
        tail = M[chain + w.CH_TAIL]


@kernel
def needed(M, P, Z, g, root, node, wm):
    """Whether a set may still ask for a slice in which it has events."""
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        if may_read(M, P, s, node):
            last = last_at(P, Z, s, M[node + w.L_FROM])
            if last >= M[root + P[s + w.S_ENT] + w.E_OPEN] or ends(P, Z, s, last) + P[s + w.S_HOLD] > wm:
                return True
    return False


@kernel
def grid_due(M, P, Z, s, g, root):
    """When something of this set happens next at a key: NONE if never."""
    e = root + P[s + w.S_ENT]
    due = w.NONE
    node = oldest_open(M, P, g, s, root)
    while node != 0 and due == w.NONE:
        if may_read(M, P, s, node):
            last = last_of(M, P, g, s, node)
            k = max(M[e + w.E_OPEN], first_on(M, P, Z, s, node, last))
            if k <= last:
                due = ends(P, Z, s, k) + P[s + w.S_LAT]
        node = M[node + w.L_PREV]
    if M[e + w.E_N] > 0:  # also where that time has passed: the key came from memory of before
        due = min(due, ends(P, Z, s, M[record(M, e, 0) + w.W_KEY]) + P[s + w.S_HOLD])
    return due


# Where windows and slices of a fixed grid lie. Windows have whole numbers k; in a time zone their edges stand in a table.
#
# Z holds, for a set in a zone: [first k, how many, starts..., ends...]; for a group in a zone: [how many, edges...].
@kernel
def after(Z, at, n, t):
    """How many of n rising times from Z[at] on are not after t."""
    lo = 0
    hi = n
    while lo < hi:
        mid = (lo + hi) >> 1
        if Z[at + mid] <= t:
            lo = mid + 1
        else:
            hi = mid
    return lo


@kernel
def starts(P, Z, s, k):
    z = P[s + w.S_ZONE]
    if z < 0:
        return P[s + w.S_OFF] + k * P[s + w.S_EVERY]
    return Z[Z[z] + 2 + k - Z[Z[z]]]


@kernel
def ends(P, Z, s, k):
    z = P[s + w.S_ZONE]
    if z < 0:
        return P[s + w.S_OFF] + k * P[s + w.S_EVERY] + P[s + w.S_SIZE]
    return Z[Z[z] + 2 + Z[Z[z] + 1] + k - Z[Z[z]]]


@kernel
def last_at(P, Z, s, t):
    """The last window that starts at or before t."""
    z = P[s + w.S_ZONE]
    if z < 0:
        return (t - P[s + w.S_OFF]) // P[s + w.S_EVERY]
    return Z[Z[z]] + after(Z, Z[z] + 2, Z[Z[z] + 1], t) - 1


@kernel
def first_past(P, Z, s, t):
    """The first window that ends after t."""
    z = P[s + w.S_ZONE]
    if z < 0:
        return (t - P[s + w.S_OFF] - P[s + w.S_SIZE]) // P[s + w.S_EVERY] + 1
    n = Z[Z[z] + 1]
    before = after(Z, Z[z] + 2 + n, n, t)
    return Z[Z[z]] + before if before > 0 else w.LONG_AGO  # the table reaches over all that is kept, not over all time


@kernel
def last_of(M, P, g, s, node):
    """The last window of a set on a slice."""
    return M[node + w.L_CELLS + P[g + w.G_CELLWORDS] + P[s + w.S_J]]


@kernel
def first_on(M, P, Z, s, node, last):
    """The first window of a set on a slice, whose last one is known."""
    if P[s + w.S_SPAN] > 0:
        return last - P[s + w.S_SPAN] + 1
    return first_past(P, Z, s, M[node + w.L_FROM])


@kernel
def slice_at(P, Z, g, t):
    """The slice [from, to) of a group that holds t."""
    if P[g + w.G_ZONE] >= 0:
        z = Z[P[g + w.G_ZONE]]
        i = after(Z, z + 1, Z[z], t)
        return Z[z + i], Z[z + 1 + i]
    period = P[g + w.G_PERIOD]
    r = P[g + w.G_RES]
    n = P[g + w.G_NRES]
    base = t - (t - P[r]) % period - P[r]
    i = n - 1
    while base + P[r + i] > t:
        i -= 1
    return base + P[r + i], base + (P[r + i + 1] if i + 1 < n else P[r] + period)


@kernel
def record(M, e, i):
    """The place of a set's i-th record of a window."""
    return M[e + w.E_RECORDS] + w.W_WORDS * (M[e + w.E_HEAD] + i)


@kernel
def record_find(M, e, key):
    """How many records stand before this key."""
    lo = 0
    hi = M[e + w.E_N]
    while lo < hi:
        mid = (lo + hi) >> 1
        if M[record(M, e, mid) + w.W_KEY] < key:
            lo = mid + 1
        else:
            hi = mid
    return lo


@kernel
def record_put(M, e, i, key):
    """A new record of zeros at place i."""
    n = M[e + w.E_N]
    cap = M[e + w.E_CAP]
    if M[e + w.E_HEAD] + n == cap:
        if 2 * M[e + w.E_HEAD] > cap:
            records_move(M, e, M[e + w.E_RECORDS])
        else:
            new = alloc(M, w.W_WORDS * (2 * cap + 2))
            old = M[e + w.E_RECORDS]
            records_move(M, e, new)
            if cap > 0:
                release(M, old, w.W_WORDS * cap)
            M[e + w.E_CAP] = 2 * cap + 2
    base = record(M, e, 0)
    for j in range(base + w.W_WORDS * n - 1, base + w.W_WORDS * i - 1, -1):
        M[j + w.W_WORDS] = M[j]
    r = base + w.W_WORDS * i
    for j in range(w.W_WORDS):
        M[r + j] = 0
    M[r + w.W_KEY] = key
    M[e + w.E_N] = n + 1
    return r


@kernel
def records_move(M, e, to):
    """All records to the front of a block."""
    base = record(M, e, 0)
    for j in range(w.W_WORDS * M[e + w.E_N]):
        M[to + j] = M[base + j]
    M[e + w.E_RECORDS] = to
    M[e + w.E_HEAD] = 0


@kernel
def record_drop(M, e, i):
    """Take record i out."""
    if i == 0:
        M[e + w.E_HEAD] += 1
    else:
        base = record(M, e, 0)
        for j in range(base + w.W_WORDS * i, base + w.W_WORDS * (M[e + w.E_N] - 1)):
            M[j] = M[j + w.W_WORDS]
    M[e + w.E_N] -= 1
    if M[e + w.E_N] == 0:
        M[e + w.E_HEAD] = 0
        if M[e + w.E_CAP] > 2:
            release(M, M[e + w.E_RECORDS], w.W_WORDS * M[e + w.E_CAP])
            M[e + w.E_CAP] = 0


# Windows as rows of a result, each with its measures: put together from slices when a window closes, is revised, or is read.
#
# OUT is what windows/kernels/words.py says of results, OX the same as float64.
@inlined
def may_read(M, P, s, node):
    """Whether the slice holds events of this set."""
    return (M[node + w.L_MASK] >> P[s + w.S_J]) & 1 and M[node + w.L_CELLS + P[s + w.S_CNT]] > 0


@inlined
def row_new(M, P, s, OUT):
    """Room for one more row of a set: its place."""
    return out_new(M, OUT, P[s + w.S_OUT], P[s + w.S_WIDTH])


@inlined
def row_write(M, X, P, PX, Z, s, root, k, S, at, n, STAMP, OUT, OX, row):
    """Window k over n items: all but what its record says."""
    base = joined(M, X, P, s, S, at, n, 0)
    OUT[row + w.ROW_SLOT] = M[root + w.R_SLOT]
    OUT[row + w.ROW_NUMBER] = k
    OUT[row + w.ROW_START] = starts(P, Z, s, k)
    OUT[row + w.ROW_END] = ends(P, Z, s, k)
    OUT[row + w.ROW_EVENTS] = M[base + P[s + w.S_CNT]]
    OUT[row + w.ROW_REVISION] = 0
    OUT[row + w.ROW_LATE] = 0
    OUT[row + w.ROW_CAUSE] = -1
    f = P[s + w.S_MEASURES]
    for j in range(row + w.ROW_WORDS, row + P[s + w.S_WIDTH]):
        OX[j] = measure_of(M, X, P, PX, f, base, S, at, n, 0, STAMP)
        f += w.F_WORDS


@kernel
def row_record(M, OUT, row, r):
    """What a window's record says."""
    OUT[row + w.ROW_REVISION] = M[r + w.W_REVISION]
    OUT[row + w.ROW_LATE] = M[r + w.W_LATE]
    OUT[row + w.ROW_CAUSE] = M[r + w.W_CAUSE]


@inlined
def items_from(M, P, s, node, end, S):
    """The slices of a window as items from S[0] on, from its oldest one: how many."""
    n = 0
    while node != 0 and M[node + w.L_FROM] < end:
        if M[node + w.L_TO] <= end and may_read(M, P, s, node):
            S[n] = node + w.L_CELLS
            S[n + 1] = -1
            n += 3
        node = M[node + w.L_PREV]
    return n // 3


@kernel
def items_of(M, P, s, g, root, start, end, S):
    """A window's slices as items at the end of the scratch, the oldest first: where they begin."""
    node = M[root + P[g + w.G_CHAIN]]
    while node != 0 and M[node + w.L_FROM] >= end:
        node = M[node + w.L_NEXT]
    at = M[SCRATCH]
    while node != 0 and M[node + w.L_FROM] >= start:
        if M[node + w.L_TO] <= end and may_read(M, P, s, node):
            at -= 3
            S[at] = node + w.L_CELLS
            S[at + 1] = -1
        node = M[node + w.L_NEXT]
    return at


@kernel
def window_row(M, X, P, PX, Z, s, g, root, k, S, STAMP, OUT, OX, row):
    """A window as it stands, wherever its slices lie."""
    e = root + P[s + w.S_ENT]
    at = items_of(M, P, s, g, root, starts(P, Z, s, k), ends(P, Z, s, k), S)
    row_write(M, X, P, PX, Z, s, root, k, S, at, (M[SCRATCH] - at) // 3, STAMP, OUT, OX, row)
    i = record_find(M, e, k)
    if i < M[e + w.E_N] and M[record(M, e, i) + w.W_KEY] == k:
        row_record(M, OUT, row, record(M, e, i))
