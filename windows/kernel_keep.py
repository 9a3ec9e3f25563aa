# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The doors to sets that keep their events, for the pass over a batch: a value comes, a value goes."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import STRIDE, TIGHT
from windows.jit import kernel
from windows.kernel_lives import kept_due
from windows.kernel_queue import KEPT, REFUSED, TOOK, arm
from windows.kernel_sessions import session_put, session_take
from windows.kernel_taken import rolling_take, taken_put, taken_take


@kernel
def refused(P, s, verdict, LATE):
    """A set's verdict, counted."""
    if verdict != REFUSED:
        return verdict
    LATE[P[s + w.S_INDEX]] += 1
    return REFUSED if P[s + w.S_LATE] == w.DROP else REFUSED | KEPT


@kernel
def kept_change(M, X, P, Z, g, root, mask, t, i, NUM, CODE, OUT, wm, LATE):
    """One value into the set of a group that keeps its events: TOOK | REFUSED | KEPT."""
    s = P[P[g + w.G_SETS]]
    if not (mask >> P[s + w.S_BIT]) & 1:
        return 0
    if P[s + w.S_KIND] == w.SESSION:
        verdict = session_put(M, X, P, g, s, root, mask, t, i, NUM, CODE, OUT, wm)
    else:
        verdict = taken_put(M, X, P, Z, g, s, root, mask, t, i, NUM, CODE, OUT, wm)
    return refused(P, s, verdict, LATE)


@kernel
def take_out(M, X, P, Z, st, root, i, old_at, CODE, OUT, wm, LATE):
    """One value out of all sets of a stream that values can be taken out of: TOOK | REFUSED | KEPT."""
    verdict = 0
    for n in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + n]
        if P[g + w.G_RETRACT] == 0:
            continue
        s = P[P[g + w.G_SETS]]
        code = CODE[(-1 - P[P[g + w.G_COLS] + P[g + w.G_RETRACT]]) * M[STRIDE] + i]
        if P[s + w.S_KIND] == w.SESSION:
            own = session_take(M, P, g, s, root, code, old_at, OUT, wm)
            if own == TOOK:  # what the session kept alive may be of no use now
                arm(M, P, s, root + P[s + w.S_ENT], root, kept_due(M, P, Z, s, root + P[s + w.S_ENT]))
        elif P[s + w.S_KIND] == w.TAKEN:
            own = taken_take(M, P, Z, g, s, root, code, old_at, OUT, wm)
        else:
            own = rolling_take(M, X, P, g, s, root, code, old_at, OUT, wm)
        verdict |= refused(P, s, own, LATE)
    return verdict


@kernel
def room_to_cut(M, P, st, root, OUT):
    """Whether there is room for whatever one row says of a key's sessions; else it is asked for."""
    for n in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + n]
        s = P[P[g + w.G_SETS]]
        if P[s + w.S_KIND] != w.SESSION:
            continue
        head = P[s + w.S_OUT] + w.OUT_WORDS
        need = 3 * (4 * M[root + P[s + w.S_ENT] + w.E_SPANS + w.J_N] + w.SPARE)
        if OUT[head + w.OUT_SPARE] < need:
            OUT[head + w.OUT_SPARE] = need
            if OUT[head + w.OUT_N] + need > OUT[head + w.OUT_CAP]:
                M[TIGHT] = 1
    return not M[TIGHT]
