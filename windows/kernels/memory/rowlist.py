# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Lists of spans by rising key: the sessions of a key, the emptied ones, or its windows of a grid (see kernels/words.py)."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.memory.arena import alloc, release

SAVED = 6  # words of a span in a dump: all but when it was queued


@kernel
def span(M, j, i):
    """The place of the i-th span of the list at j."""
    return M[j + w.J_BLOCK] + w.K_WORDS * (M[j + w.J_HEAD] + i)


@kernel
def span_from(M, j, key):
    """Which is the first span whose key is not below this one."""
    low = 0
    high = M[j + w.J_N]
    while low < high:
        mid = (low + high) >> 1
        if M[span(M, j, mid) + w.K_KEY] < key:
            low = mid + 1
        else:
            high = mid
    return low


@kernel
def first_open(M, j):
    """Which is the first span that is not final: what ends sooner is closed sooner."""
    low = 0
    high = M[j + w.J_N]
    while low < high:
        mid = (low + high) >> 1
        if M[span(M, j, mid) + w.K_STATE] & w.FINAL:
            low = mid + 1
        else:
            high = mid
    return low


@kernel
def span_put(M, j, i, key):
    """A new span of zeros at place i."""
    n = M[j + w.J_N]
    cap = M[j + w.J_CAP]
    if M[j + w.J_HEAD] + n == cap:
        if 2 * M[j + w.J_HEAD] > cap:
            spans_move(M, j, M[j + w.J_BLOCK])
        else:
            old = M[j + w.J_BLOCK]
            spans_move(M, j, alloc(M, w.K_WORDS * (2 * cap + 2)))
            if cap > 0:
                release(M, old, w.K_WORDS * cap)
            M[j + w.J_CAP] = 2 * cap + 2
    r = span(M, j, i)
    for word in range(r + w.K_WORDS * (n - i) - 1, r - 1, -1):
        M[word + w.K_WORDS] = M[word]
    for word in range(w.K_WORDS):
        M[r + word] = 0
    M[r + w.K_KEY] = key
    M[j + w.J_N] = n + 1
    return r


@kernel
def spans_move(M, j, to):
    """All spans to the front of a block."""
    base = span(M, j, 0)
    for word in range(w.K_WORDS * M[j + w.J_N]):
        M[to + word] = M[base + word]
    M[j + w.J_BLOCK] = to
    M[j + w.J_HEAD] = 0


@kernel
def spans_cut(M, j, i, k):
    """Take k spans out, from place i on."""
    M[j + w.J_N] -= k
    if i == 0:
        M[j + w.J_HEAD] += k
    else:
        r = span(M, j, i)
        for word in range(r, r + w.K_WORDS * (M[j + w.J_N] - i)):
            M[word] = M[word + w.K_WORDS * k]
    if M[j + w.J_N] == 0:
        spans_free(M, j)


@kernel
def spans_free(M, j):
    """Let go of all spans."""
    if M[j + w.J_CAP] > 0:
        release(M, M[j + w.J_BLOCK], w.K_WORDS * M[j + w.J_CAP])
    for word in range(w.J_N + 1):
        M[j + word] = 0


@kernel
def spans_dump(M, j, rows):
    """A list of spans, a row each."""
    for i in range(M[j + w.J_N]):
        for word in range(SAVED):
            rows[i * SAVED + word] = M[span(M, j, i) + word]


@kernel
def spans_load(M, e, j, rows, i):
    """The next one, in order, of saved spans."""
    r = span_put(M, j, M[j + w.J_N], rows[i * SAVED])
    for word in range(SAVED):
        M[r + word] = rows[i * SAVED + word]
    M[e + w.E_LATES] += M[r + w.K_LATE]
