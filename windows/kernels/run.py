# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The one pass over a batch: per row time passes and rings, then each group of the row's stream takes the value."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.conditions import bits_of, evaluate
from windows.kernels.dues import judge, root_new
from windows.kernels.kinds.grid import grid_due, grid_ring, slices_free, slices_put
from windows.kernels.kinds.retracted import rolling_take, taken_put, taken_take
from windows.kernels.kinds.rolling import last_held, leaves_after, rolling_put, rolling_ring, view_touch
from windows.kernels.kinds.session import session_put, session_take
from windows.kernels.kinds.spans import kept_due, kept_finish, kept_ring
from windows.kernels.memory.arena import CAUSE, DOCS, EMPTY, LONGEST, SCRATCH, STRIDE, T_HEAP, T_N, TIGHT, WATERMARK, room
from windows.kernels.memory.timers import GROUP_BITS, ring_next
from windows.kernels.prefetch import FURTHEST, look_ahead, rings_ahead
from windows.kernels.results import KEPT, REFUSED, TOOK, arm, group_arm, key_changed

DONE, GROW, FULL, LAST = 0, 1, 2, 3  # why a pass ended: all done; room is short; budget spent; in front of the end of time
CHANGE_ROW = 1
BY_END = 3


@inlined
def ring(M, X, P, PX, Z, ROOTS, S, STAMP, OUT, OX, target, budget):
    """Do what the next timer asks for: for the sets of a group at a key, while the budget lasts."""
    due = M[M[T_HEAP]]
    token = ring_next(M)
    rings_ahead(M, P, ROOTS)
    g = P[P[w.P_GROUPS] + (token & ((1 << GROUP_BITS) - 1))]
    root = ROOTS[token >> GROUP_BITS]
    if root == 0 or M[root + w.R_ROUTE] != P[g + w.G_ROUTE]:
        return
    chain = root + P[g + w.G_CHAIN]
    if M[chain + w.CH_DUE] != due:
        return
    M[chain + w.CH_DUE] = w.LONG_AGO  # one timer is set below for all
    wm = judge(M, root, target)
    rung = max(min(due, target), min(wm, M[root + w.R_FLOOR]))
    soonest = w.NONE
    for j in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + j]
        e = root + P[s + w.S_ENT]
        if M[e + w.E_DUE] <= due and M[DOCS] < budget:
            if P[s + w.S_KIND] == w.GRID:
                grid_ring(M, X, P, PX, Z, s, g, root, S, STAMP, OUT, OX, wm, rung, M[CAUSE])
            elif P[g + w.G_KIND] == w.KEPT:
                kept_ring(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, wm, rung, M[CAUSE])
            else:
                rolling_ring(M, X, P, g, s, root, OUT, wm)
        soonest = min(soonest, M[e + w.E_DUE])
    M[chain + w.CH_DUE] = w.NONE
    if P[g + w.G_KIND] == w.SLICES:
        slices_free(M, P, Z, g, root, due if soonest > due else soonest - 1)
    if soonest != w.NONE:
        group_arm(M, P, g, root, soonest)


@inlined
def space(M):
    """Whether there is memory, and room for results, for the next thing."""
    return room(M) and not M[TIGHT] and 6 * M[LONGEST] + 1024 < M[SCRATCH]


@inlined
def pass_time(M, X, P, PX, Z, ROOTS, S, STAMP, OUT, OX, mark, budget):
    """Let time pass to a mark and do all that is due. Until it is all done, the watermark stays where it was."""
    target = max(mark, M[WATERMARK])
    while M[T_N] > 0 and M[M[T_HEAP]] <= target:
        if M[DOCS] >= budget:
            return FULL
        if not space(M):
            return GROW
        ring(M, X, P, PX, Z, ROOTS, S, STAMP, OUT, OX, target, budget)
    M[WATERMARK] = target
    return DONE


@inlined
def change(M, X, P, PX, Z, st, root, i, at, put, take, old_at, NUM, FLAG, CODE, R, T, S, STAMP, OUT, OX, LATE):
    """The old value out of all groups of its stream that it can be taken out of, the new one into all: TOOK | REFUSED | KEPT."""
    wm = judge(M, root, M[WATERMARK])
    verdict = take_out(M, X, P, Z, st, root, i, old_at, CODE, OUT, wm, LATE) if take else 0
    if put:
        evaluate(P, PX, st, i, M[STRIDE], NUM, FLAG, CODE, R, T)
    for j in range(P[st + w.ST_NGROUPS] if put else 0):
        g = P[P[st + w.ST_GROUPS] + j]
        mask = bits_of(P, g, i, M[STRIDE], NUM, CODE, T)
        if P[g + w.G_KIND] == w.SLICES:
            verdict |= slices_put(M, X, P, Z, g, root, mask, at, i, NUM, CODE, OUT, wm, LATE)
        elif P[g + w.G_KIND] == w.KEPT:
            verdict |= kept_change(M, X, P, Z, g, root, mask, at, i, NUM, CODE, OUT, wm, LATE)
        else:
            verdict |= rolling_put(M, X, P, PX, g, root, mask, at, i, NUM, CODE, S, STAMP, OUT, OX, wm, LATE)
    if verdict & TOOK:
        key_changed(M, P, OUT, root, wm)
    return verdict


@kernel
def run(
    M, X, P, PX, Z, ROOTS, begin, end, kind, cause, mark, stream, slot, at, put, take, old_at, NUM, FLAG, CODE, S, STAMP,
    R, T, OUT, OX, LATE, OUTCOME, budget, end_of_time,
):  # fmt: skip
    """Rows [begin, end) in order: (the first row that is not finished, why)."""
    for i in range(begin - FURTHEST, begin):
        look_ahead(M, P, ROOTS, i, begin, end, stream, slot)
    for i in range(begin, end):
        if M[DOCS] >= budget:
            return i, FULL
        look_ahead(M, P, ROOTS, i, begin, end, stream, slot)
        if kind[i] == 0:
            continue
        if mark[i] >= end_of_time:
            return i, LAST
        M[CAUSE] = cause[i]
        code = pass_time(M, X, P, PX, Z, ROOTS, S, STAMP, OUT, OX, mark[i], budget)
        if code != DONE:
            return i, code
        if kind[i] != CHANGE_ROW or slot[i] < 0:
            continue
        if not space(M):
            return i, GROW
        st = P[w.P_STREAMS] + stream[i] * w.ST_WORDS
        if ROOTS[slot[i]] == 0:
            ROOTS[slot[i]] = root_new(M, P, slot[i], P[st + w.ST_ROUTE])
        if put[i] or take[i]:
            root = ROOTS[slot[i]]
            if not room_to_cut(M, P, st, root, OUT):
                return i, GROW
            OUTCOME[i] = change(
                M, X, P, PX, Z, st, root, i, at[i], put[i], take[i], old_at[i], NUM, FLAG, CODE, R, T, S, STAMP, OUT, OX, LATE
            )
    return end, DONE


@kernel
def finish(M, X, P, PX, Z, ROOTS, nroots, far, S, STAMP, OUT, OX, budget):
    """The end of a file: windows close as if time had no end, rolling views stand as of the last true watermark."""
    for slot in range(nroots):
        root = ROOTS[slot]
        if root == 0:
            continue
        for n in range(P[w.P_NSETS]):
            s = P[w.P_SETS] + n * w.S_WORDS
            g = P[s + w.S_GROUP]
            if g < 0 or M[root + w.R_ROUTE] != P[g + w.G_ROUTE]:
                continue
            code = finish_set(M, X, P, PX, Z, s, g, root, far, S, STAMP, OUT, OX, budget)
            if code != DONE:
                return code
    return DONE


@kernel
def finish_set(M, X, P, PX, Z, s, g, root, far, S, STAMP, OUT, OX, budget):
    """The end of a file for one set at one key."""
    more = True
    while more:
        if M[DOCS] >= budget:
            return FULL
        if not space(M):
            return GROW
        if P[s + w.S_KIND] == w.GRID:
            floor = M[root + w.R_FLOOR]
            more = grid_due(M, P, Z, s, g, root) <= far
            if more:
                grid_ring(M, X, P, PX, Z, s, g, root, S, STAMP, OUT, OX, far, far, BY_END)
            elif M[root + P[g + w.G_CHAIN]] != 0 or M[root + P[s + w.S_ENT] + w.E_N] > 0:
                key_changed(M, P, OUT, root, far)
            M[root + w.R_FLOOR] = floor  # the end of a file judges no later value
            continue
        if P[g + w.G_KIND] == w.KEPT:
            more = kept_finish(M, X, P, PX, Z, s, root, S, STAMP, OUT, OX, far, BY_END)
            continue
        more = False
        e = root + P[s + w.S_ENT]
        wm = judge(M, root, M[WATERMARK])
        last = M[e + w.E_LAST] if P[g + w.G_RETRACT] == 0 else last_held(M, P, g, M[root + P[g + w.G_CHAIN]])
        known = last != EMPTY and last + leaves_after(P, s) > wm - P[s + w.S_LAT]
        if known and M[e + w.E_ASOF] < wm:
            view_touch(M, P, s, e, root, OUT, wm)
            key_changed(M, P, OUT, root, wm)
    return DONE


# The doors to sets that keep their events, for the pass over a batch: a value comes, a value goes.
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
