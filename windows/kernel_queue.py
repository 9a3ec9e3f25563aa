# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a step leaves behind: a queue of what changed, and timers."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import OUTN, STEP
from windows.jit import kernel
from windows.timers import ring_at

Q_SLICE, Q_REVISED, Q_VIEW, Q_KEY, Q_REMOVED, Q_SESSION = 0, 1, 2, 3, 4, 5
TOOK, REFUSED, KEPT = 1, 2, 4  # KEPT: a set that refused does not drop


@kernel
def queue(M, OUT, what, a, b, c, d):
    """Something changed: it is written down once for this step."""
    n = M[OUTN]
    OUT[n] = what
    OUT[n + 1] = a
    OUT[n + 2] = b
    OUT[n + 3] = c
    OUT[n + 4] = d
    M[OUTN] = n + 5


@kernel
def key_changed(M, OUT, root, wm):
    """The key's dump is no longer what it was; what it has closed stays closed."""
    M[root + w.R_FLOOR] = wm
    if M[root + w.R_CHANGED] != M[STEP]:
        M[root + w.R_CHANGED] = M[STEP]
        queue(M, OUT, Q_KEY, M[root + w.R_SLOT], 0, 0, 0)


@kernel
def arm(M, P, s, e, root, due):
    """Ring for this set and key no later than `due`. All sets of a group have one timer at a key."""
    if due < M[e + w.E_DUE]:
        M[e + w.E_DUE] = due
        g = P[s + w.S_GROUP]
        group_arm(M, P, g, root, due)


@kernel
def group_arm(M, P, g, root, due):
    """Ring for a group and key no later than `due`."""
    chain = root + P[g + w.G_CHAIN]
    if due < M[chain + w.CH_DUE]:
        M[chain + w.CH_DUE] = due
        ring_at(M, due, P[g + w.G_INDEX], M[root + w.R_SLOT])
