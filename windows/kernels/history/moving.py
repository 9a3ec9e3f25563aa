# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a rolling set keeps beside its history, for the stretch [lo, hi] that was asked for last: counts of values, sorted values.

To ask for another stretch it is moved there event by event: whole numbers are counted up and down, values go into their place and
out of it again.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.history.stretch import place_near
from windows.kernels.history.tree import data_of
from windows.kernels.memory.arena import release
from windows.kernels.memory.codesets import counts_changed, counts_free
from windows.kernels.memory.sorted import sorted_drop, sorted_free, sorted_put


@inlined
def inc_apply(M, X, P, s, e, leaf, D, i, sign):
    """One event into (sign 1) or out of (-1) what a set keeps incrementally."""
    cap = M[leaf + w.N_CAP]
    mask = M[leaf + D + w.V_MASK * cap + i]
    for j in range(P[s + w.S_NINC]):
        c = P[s + w.S_INC] + j * w.I_WORDS
        if not (mask >> P[c + w.I_BIT]) & 1:
            continue
        at = leaf + D + P[c + w.I_COL] * cap + i
        word = e + w.E_INC + j
        if P[c + w.I_KIND] == w.I_MAP:
            M[word] = counts_changed(M, M[word], M[at], sign)
        elif sign > 0:
            M[word] = sorted_put(M, X, M[word], X[at])
        else:
            M[word] = sorted_drop(M, X, M[word], X[at])


@kernel
def inc_walk(M, X, P, g, s, e, h, lo, hi, sign):
    """All events of a stretch into or out of what a set keeps incrementally."""
    if lo > hi:
        return
    D = data_of(P, g)
    leaf, i = place_near(M, P, g, e, h, lo)
    while leaf != 0:
        n = M[leaf + w.N_N]
        while i < n:
            if M[leaf + D + i] > hi:
                return
            inc_apply(M, X, P, s, e, leaf, D, i, sign)
            i += 1
        leaf = M[leaf + w.N_NEXT]
        i = 0


@inlined
def inc_move(M, X, P, g, s, e, h, lo, hi):
    """What a set keeps incrementally, moved to the stretch [lo, hi]."""
    a = M[e + w.E_LO]
    b = M[e + w.E_HI]
    if a > b or lo > b or hi < a:
        inc_walk(M, X, P, g, s, e, h, a, b, -1)
        inc_walk(M, X, P, g, s, e, h, lo, hi, 1)
    else:
        if a != lo:
            inc_walk(M, X, P, g, s, e, h, min(a, lo), max(a, lo) - 1, 1 if lo < a else -1)
        if b != hi:
            inc_walk(M, X, P, g, s, e, h, min(b, hi) + 1, max(b, hi), 1 if b < hi else -1)
    M[e + w.E_LO] = lo
    M[e + w.E_HI] = hi


@kernel
def inc_free(M, P, s, e):
    """Let go of what a set keeps beside its history."""
    if M[e + w.E_MIDDLE] != 0:
        release(M, M[e + w.E_MIDDLE], P[P[s + w.S_GROUP] + w.G_CELLWORDS])
    M[e + w.E_MIDDLE] = 0
    M[e + w.E_LEFT] = 0
    for j in range(P[s + w.S_NINC]):
        word = e + w.E_INC + j
        if M[word] != 0:
            if P[P[s + w.S_INC] + j * w.I_WORDS + w.I_KIND] == w.I_MAP:
                counts_free(M, M[word])
            else:
                sorted_free(M, M[word])
            M[word] = 0
    M[e + w.E_LO] = 1
    M[e + w.E_HI] = 0
