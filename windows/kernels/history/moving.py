# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a rolling set keeps beside its history and moves along with its window: counts of values, sorted numbers.

To ask for another stretch it is moved there event by event: whole numbers are counted up and down, values go into their place and
out of it again.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.history.stretch import place_near
from windows.kernels.history.tree import data_of
from windows.kernels.memory.arena import release
from windows.kernels.memory.codesets import counts_changed, counts_free
from windows.kernels.memory.sorted import sorted_drop, sorted_free, sorted_put
from windows.kernels.slots import alike
from windows.kernels.tables import MOVING_WORDS, group_at, moving_at, set_at
from windows.kernels.words import node_at, rolling_at


@inlined
def moving_apply(core, s, e, leaf, i, sign):
    """One event into (sign 1) or out of (-1) what moves along."""
    M, X, P = core.M, floats_of(core.M), core.P
    spec = set_at(P, s)
    cap = node_at(M, leaf).cap
    first = leaf + data_of(core, spec.group) + i
    mask = M[first + w.MASKS * cap]
    for j in range(spec.nmoving):
        c = spec.moving + j * MOVING_WORDS
        if not (mask >> moving_at(P, c).bit) & 1:
            continue
        at = first + moving_at(P, c).column * cap
        word = e + w.ROLLING_WORDS + j
        if moving_at(P, c).kind == tables.COUNTS:
            M[word] = counts_changed(M, M[word], alike(M[at]), sign)
        elif sign > 0:
            M[word] = sorted_put(M, X, M[word], X[at])
        else:
            M[word] = sorted_drop(M, X, M[word], X[at])


@kernel
def moving_walk(core, s, e, h, lo, hi, sign):
    """All events of a stretch into or out of what moves along."""
    M = core.M
    if lo > hi:
        return
    g = set_at(core.P, s).group
    D = data_of(core, g)
    leaf, i = place_near(core, g, e, h, lo)
    while leaf != 0:
        n = node_at(M, leaf).n
        while i < n:
            if M[leaf + D + i] > hi:
                return
            moving_apply(core, s, e, leaf, i, sign)
            i += 1
        leaf = node_at(M, leaf).next
        i = 0


@inlined
def moving_move(core, s, e, h, lo, hi):
    """What moves along, moved to the stretch [lo, hi]."""
    mine = rolling_at(core.M, e)
    a = mine.low
    b = mine.high
    if a > b or lo > b or hi < a:
        moving_walk(core, s, e, h, a, b, -1)
        moving_walk(core, s, e, h, lo, hi, 1)
    else:
        if a != lo:
            moving_walk(core, s, e, h, min(a, lo), max(a, lo) - 1, 1 if lo < a else -1)
        if b != hi:
            moving_walk(core, s, e, h, min(b, hi) + 1, max(b, hi), 1 if b < hi else -1)
    mine.low = lo
    mine.high = hi


@kernel
def moving_free(core, s, e):
    """Let go of what a set keeps beside its history."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    mine = rolling_at(M, e)
    if mine.middle != 0:
        release(M, mine.middle, group_at(P, spec.group).cell_words)
    mine.middle = 0
    mine.left = 0
    for j in range(spec.nmoving):
        word = e + w.ROLLING_WORDS + j
        if M[word] != 0:
            if moving_at(P, spec.moving + j * MOVING_WORDS).kind == tables.COUNTS:
                counts_free(M, M[word])
            else:
                sorted_free(M, M[word])
            M[word] = 0
    mine.low = 1
    mine.high = 0
