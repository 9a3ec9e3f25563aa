# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""The one place that chooses a kind of window: the verbs that every kind has, for a set (or a group of sets) of whatever kind.

    new     nothing is known yet of a set at a key
    put     a value comes, into all sets of a group: TOOK | REFUSED | KEPT
    take    a value goes out of a set that values can be taken out of: TOOK, REFUSED or 0
    ring    what is due at a set happens, as much as one ring does, and its timer is set anew
    rung    so for a group, once its sets have been rung
    due     when something happens next at a set, NONE if never
    finish  the end of a file comes, as much of it as one ring does: whether there may be more
    free    all of a group at a key is let go of

A kind is a file beside this one (grid.py, rolling.py, session.py, retracted.py; the last two share spans.py). Rows of results
(`emit`) and dumps differ too much to be one verb: kernels/doors.py and kernels/dumps.py name the kinds.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.history.moving import moving_free
from windows.kernels.history.tree import history_free
from windows.kernels.kinds import grid, retracted, rolling, session, spans
from windows.kernels.kinds.slices import slices_forget, slices_free
from windows.kernels.results import KEPT, REFUSED, TOOK, arm
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import chain_at, history_at


@kernel
def new(core, s, root):
    """Nothing is known yet of a set at a key, whose words are 0."""
    kind = set_at(core.P, s).kind
    if kind == tables.GRID:
        grid.new(core, s, root)
    elif kind == tables.ROLLING:
        rolling.new(core, s, root)


@inlined
def put(core, rows, g, root, mask, t, i, wm):
    """A value into all sets of a group: TOOK | REFUSED | KEPT."""
    group = group_at(core.P, g)
    if group.kind == tables.GRID:
        return grid.put(core, rows, g, root, mask, t, i, wm)
    if group.kind == tables.ROLLING:
        return rolling.put(core, rows, g, root, mask, t, i, wm)
    return put_alone(core, rows, core.P[group.sets], root, mask, t, i, wm)


@kernel
def put_alone(core, rows, s, root, mask, t, i, wm):
    """A value into a set that keeps its events, and has a group of its own."""
    spec = set_at(core.P, s)
    if not (mask >> spec.bit) & 1:
        return 0
    if spec.kind == tables.SESSION:
        return refused(core, rows, s, session.put(core, rows, s, root, mask, t, i, wm))
    return refused(core, rows, s, retracted.put(core, rows, s, root, mask, t, i, wm))


@kernel
def take(core, rows, s, root, code, old_at, wm):
    """A value out of a set that values can be taken out of: TOOK | REFUSED | KEPT."""
    kind = set_at(core.P, s).kind
    if kind == tables.SESSION:
        verdict = session.take(core, s, root, code, old_at, wm)
        if verdict == TOOK:  # what the session kept alive may be of no use now
            arm(core, s, root, spans.due(core, s, root))
    elif kind == tables.RETRACTED:
        verdict = retracted.take(core, s, root, code, old_at, wm)
    else:
        verdict = rolling.take(core, s, root, code, old_at, wm)
    return refused(core, rows, s, verdict)


@kernel
def refused(core, rows, s, verdict):
    """A set's verdict, counted."""
    if verdict != REFUSED:
        return verdict
    spec = set_at(core.P, s)
    rows.late[spec.index] += 1
    return REFUSED if spec.late == tables.DROP else REFUSED | KEPT


@inlined
def ring(core, s, root, wm, rung, cause):
    """What is due happens: at `rung` for what goes in the order of time, at the watermark for the rest."""
    kind = set_at(core.P, s).kind
    if kind == tables.GRID:
        grid.ring(core, s, root, wm, rung, cause)
    elif kind == tables.ROLLING:
        rolling.ring(core, s, root, wm)
    else:
        spans.ring(core, s, root, wm, rung, cause)


@inlined
def rung(core, g, root, until):
    """All sets of a group have been rung, and nothing more is due up to `until`."""
    if group_at(core.P, g).kind == tables.GRID:
        slices_free(core, g, root, until)


@kernel
def due(core, s, root):
    """When something happens next for a set at a key, NONE if never."""
    kind = set_at(core.P, s).kind
    if kind == tables.GRID:
        return grid.due(core, s, root)
    if kind == tables.ROLLING:
        return rolling.due(core, s, root)
    return spans.due(core, s, root)


@kernel
def finish(core, s, root, far, cause):
    """The end of a file for a set at a key: windows close as if time had no end, views stand as of the last true watermark."""
    kind = set_at(core.P, s).kind
    if kind == tables.GRID:
        return grid.finish(core, s, root, far, cause)
    if kind == tables.ROLLING:
        rolling.finish(core, s, root)
        return False
    return spans.finish(core, s, root, far, cause)


@kernel
def wipe(core, g, root):
    """Forget the windows of a fixed grid at a key; of other groups nothing."""
    P = core.P
    group = group_at(P, g)
    if group.kind == tables.GRID:
        slices_forget(core, g, root, w.NONE)
        for j in range(group.nsets):
            grid.wipe(core, P[group.sets + j], root)


@kernel
def free(core, g, root):
    """Let go of all of a group at a key. Its timers find nothing, or another key that is not due."""
    M, P = core.M, core.P
    group = group_at(P, g)
    if group.kind == tables.GRID:
        wipe(core, g, root)
        return
    for j in range(group.nsets):
        s = P[group.sets + j]
        if group.kind == tables.ROLLING:
            moving_free(core, s, root + set_at(P, s).entity)
        else:
            spans.free(core, s, root)
    chain = chain_at(M, root + group.chain)
    while chain.head != 0:
        h = chain.head
        chain.head = history_at(M, h).next
        history_free(core, g, h)
