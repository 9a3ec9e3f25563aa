# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's root: made, forgotten, and when something happens next for it."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.kinds import each
from windows.kernels.memory.arena import EMPTY, T_HEAP, T_N, alloc, release
from windows.kernels.memory.timers import GROUP_BITS, next_token, ring_at, ring_next
from windows.kernels.results import arm
from windows.kernels.tables import SET_WORDS, group_at, plan_of, set_at
from windows.kernels.words import chain_at, entity_at, root_at


@kernel
def root_new(core, slot, route):
    """The root of a key that nothing is known of."""
    M, P = core.M, core.P
    words = P[plan_of(P).routes + route]
    root = alloc(M, words)
    for i in range(words):
        M[root + i] = 0
    key = root_at(M, root)
    key.floor = EMPTY
    key.slot = slot
    key.route = route
    for n in range(plan_of(P).nsets):
        s = plan_of(P).sets + n * SET_WORDS
        group = group_at(P, set_at(P, s).group)
        if group.route == route:
            chain_at(M, root + group.chain).due = w.NONE
            entity_at(M, root + set_at(P, s).entity).due = w.NONE
            each.new(core, s, root)
    return root


@kernel
def key_wipe(core, root):
    """Forget all windows of a fixed grid at a key."""
    P = core.P
    for n in range(plan_of(P).ngroups):
        g = P[plan_of(P).groups + n]
        if group_at(P, g).route == root_at(core.M, root).route:
            each.wipe(core, g, root)


@kernel
def key_free(core, root):
    """Forget a key."""
    M, P = core.M, core.P
    route = root_at(M, root).route
    for n in range(plan_of(P).ngroups):
        g = P[plan_of(P).groups + n]
        if group_at(P, g).route == route:
            each.free(core, g, root)
    release(M, root, P[plan_of(P).routes + route])


@kernel
def key_due(core, root):
    """When something happens next for a key, NONE if never."""
    P = core.P
    soonest = w.NONE
    for n in range(plan_of(P).ngroups):
        g = P[plan_of(P).groups + n]
        if group_at(P, g).route == root_at(core.M, root).route:
            soonest = min(soonest, group_due(core, g, root))
    return soonest


@kernel
def group_due(core, g, root):
    """When something happens next for a group at a key, NONE if never."""
    P = core.P
    soonest = w.NONE
    for j in range(group_at(P, g).nsets):
        soonest = min(soonest, each.due(core, P[group_at(P, g).sets + j], root))
    return soonest


@kernel
def set_watch(core, s, root):
    """Ring for a set at a key when something happens next."""
    due = each.due(core, s, root)
    if due != w.NONE:
        arm(core, s, root, due)


@kernel
def first_due(core):
    """The due time of the first timer that means it; those that would ring in vain are put right."""
    M, P = core.M, core.P
    while M[T_N] > 0:
        due = M[M[T_HEAP]]
        token = next_token(M)
        g = P[plan_of(P).groups + (token & ((1 << GROUP_BITS) - 1))]
        group = group_at(P, g)
        root = core.ROOTS[token >> GROUP_BITS]
        valid = root != 0 and root_at(M, root).route == group.route and chain_at(M, root + group.chain).due == due
        if valid and group_due(core, g, root) == due:
            return due
        ring_next(M)
        if valid:
            chain_at(M, root + group.chain).due = w.NONE
            for j in range(group.nsets):
                s = P[group.sets + j]
                entity_at(M, root + set_at(P, s).entity).due = w.NONE
                set_watch(core, s, root)
    return w.NONE


@kernel
def timers_renew(core, nroots):
    """Drop all tokens, most of which ring for keys that are gone, and ring again for each group of each key that waits for it."""
    M, P = core.M, core.P
    while M[T_N] > 0:
        ring_next(M)
    for slot in range(nroots):
        root = core.ROOTS[slot]
        for n in range(plan_of(P).ngroups if root != 0 else 0):
            group = group_at(P, P[plan_of(P).groups + n])
            if group.route == root_at(M, root).route and chain_at(M, root + group.chain).due != w.NONE:
                ring_at(M, chain_at(M, root + group.chain).due, group.index, slot)
