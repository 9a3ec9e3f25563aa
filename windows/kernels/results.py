# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a step leaves behind: rows of results, and timers."""

from __future__ import annotations

from compiled.kernel import inlined
from windows.kernels import words as w
from windows.kernels.memory.arena import STEP, TIGHT
from windows.kernels.memory.timers import ring_at

TOOK, REFUSED, KEPT = 1, 2, 4  # KEPT: a set that refused does not drop


@inlined
def out_new(M, OUT, head, width):
    """Room for one more row of a result: its place."""
    n = OUT[head + w.OUT_N] + width
    OUT[head + w.OUT_N] = n
    if n + OUT[head + w.OUT_SPARE] > OUT[head + w.OUT_CAP]:
        M[TIGHT] = 1
    return OUT[head + w.OUT_AT] + n - width


@inlined
def key_changed(M, P, OUT, root, wm):
    """The key's dump is no longer what it was; what it has closed stays closed."""
    M[root + w.R_FLOOR] = wm
    if M[root + w.R_CHANGED] != M[STEP]:
        M[root + w.R_CHANGED] = M[STEP]
        OUT[out_new(M, OUT, P[w.P_CHANGED], 1)] = M[root + w.R_SLOT]


@inlined
def arm(M, P, s, e, root, due):
    """Ring for this set and key no later than `due`. All sets of a group have one timer at a key."""
    if due < M[e + w.E_DUE]:
        M[e + w.E_DUE] = due
        g = P[s + w.S_GROUP]
        group_arm(M, P, g, root, due)


@inlined
def group_arm(M, P, g, root, due):
    """Ring for a group and key no later than `due`."""
    chain = root + P[g + w.G_CHAIN]
    if due < M[chain + w.CH_DUE]:
        M[chain + w.CH_DUE] = due
        ring_at(M, due, P[g + w.G_INDEX], M[root + w.R_SLOT])
