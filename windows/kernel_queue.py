# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a step leaves behind: a queue of what changed, timers, and what nobody needs after the step."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import GARBAGE, OUTN, STEP, list_new, list_push
from windows.jit import kernel
from windows.timers import ring_at

Q_SLICE, Q_CLOSED, Q_VIEW, Q_KEY, Q_REMOVED, Q_SESSION = 0, 1, 2, 3, 4, 5
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
    """Ring for this set and key no later than `due`."""
    if due < M[e + w.E_DUE]:
        M[e + w.E_DUE] = due
        ring_at(M, due, P[s + w.S_INDEX], M[root + w.R_SLOT], M[root + w.R_GENERATION], M[root + w.R_ORDER])


@kernel
def garbage(M, s, slot):
    """A set holds something at a key that nobody needs after this step."""
    if M[GARBAGE] == 0:
        M[GARBAGE] = list_new(M, 62)
    M[GARBAGE] = list_push(M, list_push(M, M[GARBAGE], s), slot)
