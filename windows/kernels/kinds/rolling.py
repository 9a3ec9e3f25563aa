# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Rolling windows: a value is asked of the key's history when its event arrives; the view is asked again when it decays.

What cannot be combined (distinct values, sorted numbers for quantiles) moves along with the stretch that was asked for last (see
history/moving.py).
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.history.events import event_of, event_put, event_take, events_forget
from windows.kernels.history.moving import moving_apply, moving_free, moving_move, moving_walk
from windows.kernels.history.stretch import place_near, window_items
from windows.kernels.history.tree import data_of, history_free, history_new
from windows.kernels.memory.arena import DOCS, EMPTY, ENTRY_WM, STEP, WATERMARK, room
from windows.kernels.memory.codesets import N_LIVE
from windows.kernels.memory.documents import docs_find
from windows.kernels.memory.sorted import sorted_quantile
from windows.kernels.results import KEPT, REFUSED, TOOK, arm, judge, key_changed, out_new
from windows.kernels.tables import MEASURE_WORDS, group_at, measure_at, set_at
from windows.kernels.words import chain_at, history_at, node_at, out_at, rolling_at, root_at, view_at


@inlined
def new(core, s, root):
    """Nothing is known yet of a set at a key."""
    mine = rolling_at(core.M, root + set_at(core.P, s).entity)
    mine.last = EMPTY
    mine.as_of = EMPTY
    mine.low = 1


@inlined
def values_of(core, s, e, h, t, out, at, stride):
    """The values of a set as of a time, into out[at], out[at + stride], ..."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    low = t - spec.delay - spec.size + (0 if spec.closed else 1)
    high = t - spec.delay
    n = 0
    tree = False
    if h != 0:
        tree = node_at(M, history_at(M, h).root).level > 0
        if spec.nmoving > 0:
            if tree:
                moving_move(core, s, e, h, low, high)
            elif rolling_at(M, e).low <= rolling_at(M, e).high:
                moving_free(core, s, e)  # so few events are looked through
        n = window_items(core, s, e, h, low, high)
    D = data_of(core, spec.group)
    base = joined(core, s, 0, n, D)
    f = spec.measures
    for j in range(at, at + spec.nmeasures * stride, stride):
        moving = measure_at(P, f).moving
        if tree and moving >= 0:
            out[j] = moving_value(core, f, M[e + w.ROLLING_WORDS + moving])
        else:
            out[j] = measure_of(core, f, base, 0, n, D)
        f += MEASURE_WORDS


@inlined
def moving_value(core, f, kept):
    """What moves along, as its measure."""
    M = core.M
    measure = measure_at(core.P, f)
    if measure.fn == tables.F_DISTINCT:
        return float(M[kept + N_LIVE]) if kept != 0 else 0.0
    return sorted_quantile(M, floats_of(M), kept, floats_of(core.P)[measure.q]) if kept != 0 else np.nan


@inlined
def history_trim(core, g, root, h, before):
    """Free what no value can need any more, once a leaf is full."""
    M, P = core.M, core.P
    group = group_at(P, g)
    last = node_at(M, history_at(M, h).last)
    if last.n < last.cap:
        return
    useless = before - group.keep
    for j in range(group.nsets):
        s = P[group.sets + j]
        e = root + set_at(P, s).entity
        mine = rolling_at(M, e)
        if (history_at(M, h).mask >> j) & 1 and mine.low <= mine.high and mine.low < useless:
            moving_walk(core, s, e, h, mine.low, min(useless - 1, mine.high), -1)
            mine.low = useless
    events_forget(core, g, root, h, useless, group.document > 0)


@inlined
def event_in(core, rows, g, root, h, mask, t, i):
    """A row's event into a history, and into what moves along."""
    M, P = core.M, core.P
    group = group_at(P, g)
    leaf, place = event_put(core, rows, g, h, mask, t, i, 0)
    for j in range(group.nsets):
        s = P[group.sets + j]
        e = root + set_at(P, s).entity
        mine = rolling_at(M, e)
        if set_at(P, s).nmoving > 0 and (history_at(M, h).mask >> j) & 1 and mine.low <= t <= mine.high:
            moving_apply(core, s, e, leaf, place, 1)


@inlined
def put(core, rows, g, root, mask, t, i, wm):
    """One value into a group's history, and the row's features: TOOK | REFUSED | KEPT."""
    P = core.P
    group = group_at(P, g)
    verdict = 0
    accepted = 0
    for j in range(group.nsets):
        s = P[group.sets + j]
        spec = set_at(P, s)
        if not (mask >> spec.bit) & 1:
            continue
        if t + leaves_after(core, s) <= wm - spec.lateness:
            rows.late[spec.index] += 1
            verdict |= REFUSED if spec.late == tables.DROP else REFUSED | KEPT
        else:
            verdict |= TOOK
            accepted |= 1 << j
    for current in range(2):
        if current and accepted:
            histories_put(core, rows, g, root, accepted, mask, t, i)
        features_of(core, g, root, t, i, wm, current)
    if accepted:
        taken(core, g, root, accepted, t, wm)
    return verdict


@kernel
def take(core, s, root, code, old_at, wm):
    """A value goes out of a key's history and view: TOOK; or if it is not found, REFUSED where no value could need it, or 0."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    g = spec.group
    e = root + spec.entity
    mine = rolling_at(M, e)
    h = chain_at(M, root + group_at(P, g).chain).head
    useless = wm - spec.lateness - leaves_after(core, s)
    there, t = docs_find(M, h if mine.last != EMPTY else 0, code, old_at)
    if there and old_at > useless:
        t = old_at
    if t <= useless or t == w.LONG_AGO:
        return REFUSED if old_at <= useless else 0
    leaf, place = event_of(core, g, h, t, code)
    if spec.nmoving > 0 and mine.low <= t <= mine.high:
        moving_apply(core, s, e, leaf, place, -1)
    event_take(core, g, h, leaf, place, t, code)
    view_touch(core, s, root, wm)
    arm(core, s, root, due_of(core, s, e, h))
    return TOOK


@inlined
def histories_put(core, rows, g, root, accepted, mask, t, i):
    """An event into the histories of the sets that accept it."""
    M = core.M
    group = group_at(core.P, g)
    chain = chain_at(M, root + group.chain)
    if chain.head == 0:
        chain.head = history_new(core, g, group.full)
    if accepted != group.full:
        views_settle(core, g, root, accepted, t)
    h = chain.head
    while h != 0:
        if history_at(M, h).mask & accepted:
            history_trim(core, g, root, h, M[ENTRY_WM])
            event_in(core, rows, g, root, h, mask, t, i)
        h = history_at(M, h).next


@kernel
def views_settle(core, g, root, accepted, t):
    """An event comes that some sets have refused: their views of this step stand as they were before it."""
    M, P, OUT, OX = core.M, core.P, core.OUT, floats_of(core.OUT)
    group = group_at(P, g)
    for j in range(group.nsets):
        s = P[group.sets + j]
        e = root + set_at(P, s).entity
        mine = rolling_at(M, e)
        if (accepted >> j) & 1 or mine.stamp != M[STEP] or t <= mine.as_of - leaves_after(core, s):
            continue
        row = out_at(OUT, set_at(P, s).out).at + mine.row
        if view_at(OUT, row).as_of == EMPTY:
            h = history_of(core, g, root, j)
            view_at(OUT, row).as_of = mine.as_of
            view_at(OUT, row).expires = expires(core, s, e, h, mine.as_of)
            values_of(core, s, e, h, mine.as_of, OX, row + w.VIEW_WORDS, 1)


@kernel
def to_be_settled(core, g, root, t, wm):
    """Whether an event comes that a set refuses whose view others share, and which a value of it could hold that they may be shown
    with as of a time in this step."""
    M, P = core.M, core.P
    group = group_at(P, g)
    for j in range(group.nsets if group.kind == tables.ROLLING else 0):
        s = P[group.sets + j]
        spec = set_at(P, s)
        gone = t + leaves_after(core, s)
        if spec.shared and M[ENTRY_WM] < gone and gone <= wm - spec.lateness:
            return True
    return False


@inlined
def features_of(core, g, root, t, i, wm, current):
    """The row's values of the sets that read it before (current 0) or after (1) its event is in."""
    P, OUT, OX = core.P, core.OUT, floats_of(core.OUT)
    group = group_at(P, g)
    for j in range(group.nsets):
        s = P[group.sets + j]
        spec = set_at(P, s)
        if spec.current != current:
            continue
        row = out_new(core, spec.out + w.OUT_WORDS, spec.width)
        OUT[row] = i
        if t >= wm - spec.lateness:
            h = history_of(core, g, root, j)
            values_of(core, s, root + spec.entity, h, t, OX, row + 1, 1)
        else:
            for k in range(row + 1, row + spec.width):
                OX[k] = np.nan


@inlined
def taken(core, g, root, accepted, t, wm):
    """Views and timers of the sets that took an event of time t."""
    M, P = core.M, core.P
    group = group_at(P, g)
    for j in range(group.nsets):
        if not (accepted >> j) & 1:
            continue
        s = P[group.sets + j]
        spec = set_at(P, s)
        mine = rolling_at(M, root + spec.entity)
        mine.last = t if mine.last == EMPTY else max(mine.last, t)
        view_touch(core, s, root, wm)
        soonest = t + leaves_after(core, s)
        if t + spec.delay > mine.as_of:
            soonest = min(soonest, t + spec.delay)
        if soonest > mine.as_of:
            if soonest < mine.due:
                arm(core, s, root, -(-soonest // spec.decay) * spec.decay)
        else:
            arm(core, s, root, mine.last + leaves_after(core, s) + spec.lateness)


@inlined
def history_of(core, g, root, j):
    """The history that the group's j-th set reads at a key, 0 if there is none."""
    M = core.M
    h = chain_at(M, root + group_at(core.P, g).chain).head
    while h != 0 and not (history_at(M, h).mask >> j) & 1:
        h = history_at(M, h).next
    return h


@kernel
def leaves_after(core, s):
    """How long after an event a view is without it again."""
    spec = set_at(core.P, s)
    return spec.delay + spec.size + spec.closed


@inlined
def next_event(core, g, e, h, bit, t):
    """The time of the set's first event at or after a time, NONE if there is none."""
    M = core.M
    if h == 0:
        return w.NONE
    D = data_of(core, g)
    leaf, i = place_near(core, g, e, h, t)
    while leaf != 0:
        while i < node_at(M, leaf).n:
            if (M[leaf + D + w.MASKS * node_at(M, leaf).cap + i] >> bit) & 1:
                return M[leaf + D + i]
            i += 1
        leaf = node_at(M, leaf).next
        i = 0
    return w.NONE


@kernel
def expires(core, s, e, h, as_of):
    """When the value next changes by silence alone after as_of: an event leaves, or a delayed one enters. NONE if never."""
    M = core.M
    spec = set_at(core.P, s)
    g = spec.group
    soonest = w.NONE
    t = next_event(core, g, e, h, spec.bit, as_of - leaves_after(core, s) + 1)
    if t != w.NONE:
        soonest = t + leaves_after(core, s)
        last = history_at(M, h).last
        if spec.delay > 0 or M[last + data_of(core, g) + node_at(M, last).n - 1] > as_of:
            t = next_event(core, g, e, h, spec.bit, as_of - spec.delay + 1)
            if t != w.NONE:
                soonest = min(soonest, t + spec.delay)
    return soonest


@kernel
def last_held(core, g, h):
    """The time of the last event of a history, EMPTY where there is none."""
    M = core.M
    if h == 0 or node_at(M, history_at(M, h).last).n == 0:
        return EMPTY
    leaf = history_at(M, h).last
    return M[leaf + data_of(core, g) + node_at(M, leaf).n - 1]


@kernel
def due(core, s, root):
    """When something of the set happens next at a key: a refresh, or that the key is forgotten; NONE if nothing is known of it."""
    spec = set_at(core.P, s)
    return due_of(core, s, root + spec.entity, history_of(core, spec.group, root, spec.member))


@kernel
def due_of(core, s, e, h):
    """The same, where the set's history is known."""
    mine = rolling_at(core.M, e)
    return w.NONE if mine.last == EMPTY else due_after(core, s, e, expires(core, s, e, h, mine.as_of))


@inlined
def due_after(core, s, e, soonest):
    """When a view is refreshed that changes at `soonest`; where nothing changes it, when the key is forgotten."""
    spec = set_at(core.P, s)
    if soonest == w.NONE:
        return rolling_at(core.M, e).last + leaves_after(core, s) + spec.lateness
    return -(-soonest // spec.decay) * spec.decay


@kernel
def view_touch(core, s, root, wm):
    """The view is to be written as of now."""
    M, OUT = core.M, core.OUT
    spec = set_at(core.P, s)
    mine = rolling_at(M, root + spec.entity)
    mine.as_of = max(mine.last, wm)
    if mine.stamp != M[STEP]:
        mine.stamp = M[STEP]
        M[DOCS] += 1
        row = out_new(core, spec.out, spec.width - 1 + w.VIEW_WORDS)
        view_at(OUT, row).slot = root_at(M, root).slot
        mine.row = row - out_at(OUT, spec.out).at
    view_at(OUT, out_at(OUT, spec.out).at + mine.row).as_of = EMPTY


@inlined
def ring(core, s, root, wm):
    """Refresh a view that has decayed, forget a key that no value can need any more, ring again for the rest."""
    M = core.M
    spec = set_at(core.P, s)
    g = spec.group
    e = root + spec.entity
    mine = rolling_at(M, e)
    mine.due = w.NONE
    if mine.last == EMPTY:
        return
    h = history_of(core, g, root, spec.member)
    soonest = expires(core, s, e, h, mine.as_of)
    at = due_after(core, s, e, soonest)
    if wm >= at:
        if soonest != w.NONE:
            view_touch(core, s, root, wm)
            at = due_after(core, s, e, expires(core, s, e, h, mine.as_of))
        key_changed(core, root, wm)
        if mine.last + leaves_after(core, s) <= wm - spec.lateness:
            mine.last = EMPTY
            moving_free(core, s, e)
            history_leave(core, g, root, h)
            return
    arm(core, s, root, at)


@kernel
def finish(core, s, root):
    """The end of a file: the view stands as of the last true watermark."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    group = group_at(P, spec.group)
    mine = rolling_at(M, root + spec.entity)
    wm = judge(M, root, M[WATERMARK])
    last = mine.last if group.document == 0 else last_held(core, spec.group, chain_at(M, root + group.chain).head)
    if last != EMPTY and last + leaves_after(core, s) > wm - spec.lateness and mine.as_of < wm:
        view_touch(core, s, root, wm)
        key_changed(core, root, wm)


@kernel
def history_leave(core, g, root, h):
    """Free a history once all sets that read it have forgotten the key."""
    M, P = core.M, core.P
    group = group_at(P, g)
    if h == 0:  # all its events were taken out before it was saved
        return
    for j in range(group.nsets):
        if (history_at(M, h).mask >> j) & 1 and rolling_at(M, root + set_at(P, P[group.sets + j]).entity).last != EMPTY:
            return
    chain = chain_at(M, root + group.chain)
    if chain.head != h or history_at(M, h).next != 0:
        events_forget(core, g, root, h, w.NONE, False)  # other sets have theirs: it stays, empty, so that each set has one
        return
    chain.head = 0
    history_free(core, g, h)


@kernel
def emit(core, s, begin, n, SLOT, VALUES, INTS, own):
    """n views of one set, from row `begin` on until memory is short: measures, as_of and expires_at. Where to go on. INTS holds
    what each is asked as of; own: or as of what it stands at, if that is later."""
    M = core.M
    spec = set_at(core.P, s)
    for i in range(begin, n):
        if not room(M):
            return i
        root = core.ROOTS[SLOT[i]]
        e = root + spec.entity
        h = history_of(core, spec.group, root, spec.member)
        now = max(rolling_at(M, e).as_of, INTS[i]) if own else INTS[i]
        INTS[i] = now
        values_of(core, s, e, h, now, VALUES, i, n)
        INTS[n + i] = expires(core, s, e, h, now)
    return n
