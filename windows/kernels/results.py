# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What a step leaves behind: rows of results, and timers."""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import words as w
from windows.kernels.memory.arena import STEP, TIGHT
from windows.kernels.memory.timers import ring_at
from windows.kernels.tables import group_at, plan_of, set_at
from windows.kernels.words import chain_at, entity_at, out_at, root_at

TOOK, REFUSED, KEPT = 1, 2, 4  # KEPT: a set that refused does not drop


@kernel
def judge(M, root, mark):
    """The watermark that judges a key: what it has closed stays closed, whatever shard it came from."""
    return max(mark, root_at(M, root).floor, w.LONG_AGO)


@inlined
def out_new(core, head, width):
    """Room for one more row of a result: its place."""
    M, OUT = core.M, core.OUT
    rows = out_at(OUT, head)
    at = rows.at
    n = rows.n + width
    rows.n = n
    if n + rows.spare > rows.cap:
        M[TIGHT] = 1
    return at + n - width


@inlined
def key_changed(core, root, wm):
    """The key's dump is no longer what it was; what it has closed stays closed."""
    M, P, OUT = core.M, core.P, core.OUT
    root_at(M, root).floor = wm
    if root_at(M, root).changed != M[STEP]:
        root_at(M, root).changed = M[STEP]
        OUT[out_new(core, plan_of(P).changed, 1)] = root_at(M, root).slot


@inlined
def arm(core, s, root, due):
    """Ring for this set and key no later than `due`. All sets of a group have one timer at a key."""
    spec = set_at(core.P, s)
    mine = entity_at(core.M, root + spec.entity)
    if due < mine.due:
        mine.due = due
        group_arm(core, spec.group, root, due)


@inlined
def group_arm(core, g, root, due):
    """Ring for a group and key no later than `due`."""
    M, P = core.M, core.P
    group = group_at(P, g)
    chain = chain_at(M, root + group.chain)
    if due < chain.due:
        chain.due = due
        ring_at(M, due, group.index, root_at(M, root).slot)
