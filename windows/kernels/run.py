# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The one pass over a batch: per row time passes and rings, then each group of the row's stream takes the value."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.conditions import bits_of, evaluate
from windows.kernels.keys import root_new
from windows.kernels.kinds import each, rolling
from windows.kernels.memory.arena import CAUSE, DOCS, LONGEST, SCRATCH, STEP, T_HEAP, T_N, TIGHT, WATERMARK, room
from windows.kernels.memory.timers import GROUP_BITS, ring_next
from windows.kernels.prefetch import FURTHEST, look_ahead, rings_ahead
from windows.kernels.results import TOOK, group_arm, judge, key_changed
from windows.kernels.tables import SET_WORDS, STREAM_WORDS, group_at, plan_of, set_at, stream_at
from windows.kernels.words import chain_at, entity_at, out_at, root_at, rowlist_at

DONE, GROW, FULL, LAST = (
    0,
    1,
    2,
    3,
)  # why a pass ended: all done; room is short; budget spent, or a view to be read; in front of the end of time
CHANGE_ROW = 1
BY_END = 3


@inlined
def ring(core, target, budget):
    """Do what the next timer asks for: for the sets of a group at a key, while the budget lasts."""
    M, P = core.M, core.P
    due = M[M[T_HEAP]]
    token = ring_next(M)
    rings_ahead(core)
    g = P[plan_of(P).groups + (token & ((1 << GROUP_BITS) - 1))]
    group = group_at(P, g)
    root = core.ROOTS[token >> GROUP_BITS]
    if root == 0 or root_at(M, root).route != group.route:
        return
    chain = chain_at(M, root + group.chain)
    if chain.due != due:
        return
    chain.due = w.LONG_AGO  # one timer is set below for all
    wm = judge(M, root, target)
    rung = max(min(due, target), min(wm, root_at(M, root).floor))
    soonest = w.NONE
    for j in range(group.nsets):
        s = P[group.sets + j]
        mine = entity_at(M, root + set_at(P, s).entity)
        if mine.due <= due and M[DOCS] < budget:
            each.ring(core, s, root, wm, rung, M[CAUSE])
        soonest = min(soonest, mine.due)
    chain.due = w.NONE
    each.rung(core, g, root, due if soonest > due else soonest - 1)
    if soonest != w.NONE:
        group_arm(core, g, root, soonest)


@inlined
def space(M):
    """Whether there is memory, and room for results, for the next thing."""
    return room(M) and not M[TIGHT] and 6 * M[LONGEST] + 1024 < M[SCRATCH]


@inlined
def pass_time(core, mark, budget):
    """Let time pass to a mark and do all that is due. Until it is all done, the watermark stays where it was."""
    M = core.M
    target = max(mark, M[WATERMARK])
    while M[T_N] > 0 and M[M[T_HEAP]] <= target:
        if M[DOCS] >= budget:
            return FULL
        if not space(M):
            return GROW
        ring(core, target, budget)
    M[WATERMARK] = target
    return DONE


@inlined
def change(core, rows, st, root, i):
    """The old value out of all groups of its stream that it can be taken out of, the new one into all: TOOK | REFUSED | KEPT."""
    M, P = core.M, core.P
    stream = stream_at(P, st)
    wm = judge(M, root, M[WATERMARK])
    verdict = take_out(core, rows, st, root, i, wm) if rows.take[i] else 0
    if rows.put[i]:
        evaluate(core, rows, st, i)
        for j in range(stream.ngroups):
            g = P[stream.groups + j]
            verdict |= each.put(core, rows, g, root, bits_of(core, rows, g, i), rows.at[i], i, wm)
    if verdict & TOOK:
        key_changed(core, root, wm)
    return verdict


@kernel
def take_out(core, rows, st, root, i, wm):
    """One value out of all sets of a stream that values can be taken out of: TOOK | REFUSED | KEPT."""
    P = core.P
    stream = stream_at(P, st)
    verdict = 0
    for n in range(stream.ngroups):
        group = group_at(P, P[stream.groups + n])
        if group.document > 0:
            code = rows.codes[(-1 - P[group.columns + group.document]) * rows.n + i]
            verdict |= each.take(core, rows, P[group.sets], root, code, rows.old_at[i], wm)
    return verdict


@kernel
def room_to_cut(core, st, root):
    """Whether there is room for whatever one row says of a key's sessions; else it is asked for."""
    M, P = core.M, core.P
    stream = stream_at(P, st)
    for n in range(stream.ngroups):
        group = group_at(P, P[stream.groups + n])
        if group.kind != tables.SESSION:
            continue
        spec = set_at(P, P[group.sets])
        said = out_at(core.OUT, spec.out + w.OUT_WORDS)
        need = 3 * (4 * rowlist_at(M, root + spec.entity + w.SPANS).n + w.SPARE)
        if said.spare < need:
            said.spare = need
            if said.n + need > said.cap:
                M[TIGHT] = 1
    return not M[TIGHT]


@inlined
def to_be_settled(core, rows, i):
    """Whether what this step says of the row's key must be read before the row comes: views that several sets share may ask for
    values of a set that is about to refuse the row's event, while its history is about to take it for another set."""
    M, P = core.M, core.P
    slot = rows.slot[i]
    if rows.kind[i] != CHANGE_ROW or slot < 0 or core.ROOTS[slot] == 0:
        return False
    root = core.ROOTS[slot]
    if root_at(M, root).changed != M[STEP] or not rows.put[i]:
        return False
    wm = judge(M, root, max(rows.mark[i], M[WATERMARK]))
    if rows.at[i] >= wm:
        return False
    stream = stream_at(P, plan_of(P).streams + rows.stream[i] * STREAM_WORDS)
    found = False
    for j in range(stream.ngroups):
        found = found or rolling.to_be_settled(core, P[stream.groups + j], root, rows.at[i], wm)
    return found


@kernel
def run(core, rows, begin, end, budget, end_of_time):
    """Rows [begin, end) in order: (the first row that is not finished, why)."""
    M, P, ROOTS = core.M, core.P, core.ROOTS
    for i in range(begin - FURTHEST, begin):
        look_ahead(core, rows, i, begin, end)
    for i in range(begin, end):
        if M[DOCS] >= budget:
            return i, FULL
        look_ahead(core, rows, i, begin, end)
        if rows.kind[i] == 0:
            continue
        if rows.mark[i] >= end_of_time:
            return i, LAST
        if to_be_settled(core, rows, i):
            return i, FULL
        M[CAUSE] = rows.cause[i]
        code = pass_time(core, rows.mark[i], budget)
        if code != DONE:
            return i, code
        slot = rows.slot[i]
        if rows.kind[i] != CHANGE_ROW or slot < 0:
            continue
        if not space(M):
            return i, GROW
        st = plan_of(P).streams + rows.stream[i] * STREAM_WORDS
        if ROOTS[slot] == 0:
            ROOTS[slot] = root_new(core, slot, stream_at(P, st).route)
        if rows.put[i] or rows.take[i]:
            if not room_to_cut(core, st, ROOTS[slot]):
                return i, GROW
            rows.outcome[i] = change(core, rows, st, ROOTS[slot], i)
    return end, DONE


@kernel
def finish(core, nroots, far, budget):
    """The end of a file, for all keys: why it ended."""
    M, P = core.M, core.P
    for slot in range(nroots):
        root = core.ROOTS[slot]
        if root == 0:
            continue
        for n in range(plan_of(P).nsets):
            s = plan_of(P).sets + n * SET_WORDS
            more = root_at(M, root).route == group_at(P, set_at(P, s).group).route
            while more:
                if M[DOCS] >= budget:
                    return FULL
                if not space(M):
                    return GROW
                more = each.finish(core, s, root, far, BY_END)
    return DONE
