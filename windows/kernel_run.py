# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The one pass over a batch: per row time passes and rings, then each group of the row's stream takes the value."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import CAUSE, DOCS, EMPTY, OUT_SIZE, OUTN, STRIDE, T_HEAP, T_N, WATERMARK, release, room
from windows.jit import kernel
from windows.kernel_close import grid_due, grid_ring
from windows.kernel_expr import bits_of, evaluate
from windows.kernel_queue import TOOK, key_changed
from windows.kernel_rolling import rolling_put
from windows.kernel_slices import slices_put, spoils
from windows.kernel_views import leaves_after, rolling_ring, view_touch
from windows.timers import NODE, SET_BITS, ring_next

DONE, GROW, FULL, READ = (
    0,
    1,
    2,
    3,
)  # why a pass ended: all done; memory or room is short; budget spent; closed windows must be read
CHANGE_ROW = 1
BY_END = 3


@kernel
def index_in(P, g, s):
    """Which of its group's sets a set is."""
    j = 0
    while P[P[g + w.G_SETS] + j] != s:
        j += 1
    return j


@kernel
def judge(M, root, mark):
    """The watermark that judges a key: what it has closed stays closed, whatever shard it came from."""
    return max(mark, M[root + w.R_FLOOR], w.LONG_AGO)


@kernel
def ring(M, X, P, Z, ROOTS, OUT, target):
    """Do what the next timer asks for."""
    rung = min(M[M[T_HEAP]], target)
    node = ring_next(M)
    s = P[w.P_SETS] + (M[node + 1] & ((1 << SET_BITS) - 1)) * w.S_WORDS
    slot = M[node + 1] >> SET_BITS
    generation = M[node + 2]
    release(M, node, NODE)
    root = ROOTS[slot]
    if root == 0 or M[root + w.R_GENERATION] != generation:
        return
    g = P[s + w.S_GROUP]
    wm = judge(M, root, target)
    if P[s + w.S_KIND] == w.GRID:
        grid_ring(M, P, Z, s, g, root, OUT, wm, max(rung, min(wm, M[root + w.R_FLOOR])), M[CAUSE])
    else:
        rolling_ring(M, X, P, g, s, index_in(P, g, s), root, OUT, wm)


@kernel
def space(M, reserve):
    """Whether there is memory, and room in the queue, for the next thing."""
    return room(M) and M[OUTN] + reserve < M[OUT_SIZE]


@kernel
def pass_time(M, X, P, Z, ROOTS, OUT, mark, reserve, budget):
    """Let time pass to a mark and do all that is due. Until it is all done, the watermark stays where it was."""
    target = max(mark, M[WATERMARK])
    while M[T_N] > 0 and M[M[T_HEAP]] <= target:
        if M[DOCS] >= budget:
            return FULL
        if not space(M, reserve):
            return GROW
        ring(M, X, P, Z, ROOTS, OUT, target)
    M[WATERMARK] = target
    return DONE


@kernel
def must_read(M, P, Z, st, root, t):
    """Whether windows that were closed in this step must be put together before a value comes in."""
    wm = judge(M, root, M[WATERMARK])
    for j in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + j]
        if P[g + w.G_KIND] == w.SLICES and spoils(M, P, Z, g, t, wm):
            return True
    return False


@kernel
def change(M, X, P, PX, Z, st, root, i, at, NUM, FLAG, CODE, R, T, S, STAMP, FEATURES, OUT, LATE):
    """One value into all groups of its stream: TOOK | REFUSED | KEPT."""
    wm = judge(M, root, M[WATERMARK])
    evaluate(P, PX, st, i, M[STRIDE], NUM, FLAG, CODE, R, T)
    verdict = 0
    for j in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + j]
        mask = bits_of(P, g, i, M[STRIDE], NUM, CODE, T)
        if P[g + w.G_KIND] == w.SLICES:
            verdict |= slices_put(M, X, P, Z, g, root, mask, at, i, NUM, CODE, OUT, wm, LATE)
        else:
            verdict |= rolling_put(M, X, P, PX, g, root, mask, at, i, NUM, CODE, S, STAMP, FEATURES, OUT, wm, LATE)
    if verdict & TOOK:
        key_changed(M, OUT, root, wm)
    return verdict


@kernel
def run(
    M, X, P, PX, Z, ROOTS, begin, end, kind, cause, mark, stream, slot, at, put, NUM, FLAG, CODE, S, STAMP, R, T, FEATURES, OUT,
    LATE, OUTCOME, reserve, budget,
):  # fmt: skip
    """Rows [begin, end) in order: (the first row that is not finished, why)."""
    for i in range(begin, end):
        if M[DOCS] >= budget:
            return i, FULL
        if kind[i] == 0:
            continue
        M[CAUSE] = cause[i]
        code = pass_time(M, X, P, Z, ROOTS, OUT, mark[i], reserve, budget)
        if code != DONE:
            return i, code
        if kind[i] != CHANGE_ROW or slot[i] < 0 or not put[i]:
            continue
        if not space(M, reserve):
            return i, GROW
        st = P[w.P_STREAMS] + stream[i] * w.ST_WORDS
        root = ROOTS[slot[i]]
        if at[i] < M[WATERMARK] - P[w.P_HOLD] and must_read(M, P, Z, st, root, at[i]):
            return i, READ
        OUTCOME[i] = change(M, X, P, PX, Z, st, root, i, at[i], NUM, FLAG, CODE, R, T, S, STAMP, FEATURES, OUT, LATE)
    return end, DONE


@kernel
def finish(M, X, P, Z, ROOTS, nroots, far, OUT, reserve, budget):
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
            code = finish_set(M, P, Z, s, g, root, far, OUT, reserve, budget)
            if code != DONE:
                return code
    return DONE


@kernel
def finish_set(M, P, Z, s, g, root, far, OUT, reserve, budget):
    """The end of a file for one set at one key."""
    more = True
    while more:
        if M[DOCS] >= budget:
            return FULL
        if not space(M, reserve):
            return GROW
        if P[s + w.S_KIND] == w.GRID:
            floor = M[root + w.R_FLOOR]
            more = grid_due(M, P, Z, s, g, root, far) <= far
            if more:
                grid_ring(M, P, Z, s, g, root, OUT, far, far, BY_END)
            elif M[root + P[g + w.G_CHAIN]] != 0 or M[root + P[s + w.S_ENT] + w.E_N] > 0:
                key_changed(M, OUT, root, far)
            M[root + w.R_FLOOR] = floor  # the end of a file judges no later value
            continue
        more = False
        e = root + P[s + w.S_ENT]
        wm = judge(M, root, M[WATERMARK])
        known = M[e + w.E_LAST] != EMPTY and M[e + w.E_LAST] + leaves_after(P, s) > wm - P[s + w.S_LAT]
        if known and M[e + w.E_ASOF] < wm:
            view_touch(M, P, s, e, root, OUT, wm)
            key_changed(M, OUT, root, wm)
    return DONE
