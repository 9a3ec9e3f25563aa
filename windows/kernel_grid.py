# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Where windows and slices of a fixed grid lie. Windows have whole numbers k; in a time zone their edges stand in a table.

Z holds, for a set in a zone: [first k, how many, starts..., ends...]; for a group in a zone: [how many, edges...].
"""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import alloc, release
from windows.jit import kernel


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
