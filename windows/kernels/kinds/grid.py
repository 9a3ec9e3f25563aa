# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Tumbling and sliding windows from shared slices: a value goes into one slice; a window is put together when it closes.

What is true of a closed window alone (revision, late, what closed it) stands in its record, a row of a list.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from compiled.pointers import floats_of
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.cells import cells_add
from windows.kernels.cells.measures import joined, measure_of
from windows.kernels.kinds.edges import ends, first_on, first_past, last_at, last_of, starts
from windows.kernels.kinds.slices import (
    may_read,
    slice_find,
    slice_known,
    slice_new,
    slices_forget,
)
from windows.kernels.memory.arena import CAUSE, DOCS, SCRATCH, STEP, TIGHT, WATERMARK
from windows.kernels.memory.rowlist import row_from, row_known, row_of, row_put, rows_cut, rows_free
from windows.kernels.results import KEPT, REFUSED, TOOK, arm, judge, key_changed, out_new
from windows.kernels.tables import MEASURE_WORDS, group_at, plan_of, set_at
from windows.kernels.words import chain_at, closed_at, grid_at, memo_at, out_at, root_at, row_at, slice_at

CLOSINGS = 64  # most windows that one ring closes, and most that it freezes


@inlined
def new(core, s, root):
    """Nothing is known yet of a set at a key."""
    grid_at(core.M, root + set_at(core.P, s).entity).open = w.LONG_AGO


@inlined
def put(core, rows, g, root, mask, t, i, wm):
    """One value into a group's slices: TOOK | REFUSED | KEPT."""
    M, P, OUT = core.M, core.P, core.OUT
    group = group_at(P, g)
    if not mask & group.wanted:
        return 0
    m = slice_known(core, g, t)
    memo = memo_at(M, m)
    chain = chain_at(M, root + group.chain)
    late = wm >= memo.safe
    verdict = admitted(core, rows, g, root, mask, memo.begin, wm) if late else TOOK
    if not verdict & TOOK:
        return verdict
    node, older = slice_find(M, chain.head, memo.begin, memo.end, group.full)
    if node == 0:
        if late:
            slices_forget(core, g, root, wm)
            node, older = slice_find(M, chain.head, memo.begin, memo.end, group.full)
        node = slice_new(core, g, root, m, older)
    base = node + w.SLICE_CELLS
    cells_add(core, rows, g, base, mask, t, i)
    seen = 0
    for j in range(group.nsets):
        s = P[group.sets + j]
        if (mask >> set_at(P, s).bit) & 1:
            seen += 1
            if late or M[base + set_at(P, s).count] == 1:
                arm_open(core, s, root, node)
    if slice_at(M, node).stamp != M[STEP]:
        slice_at(M, node).stamp = M[STEP]
        M[DOCS] += seen
        row = out_new(core, group.touched, 3)
        OUT[row] = root_at(M, root).slot
        OUT[row + 1] = memo.begin
        OUT[row + 2] = memo.end
    return verdict


@inlined
def arm_open(core, s, root, node):
    """A timer for the first open window on a slice."""
    spec = set_at(core.P, s)
    last = last_of(core, s, node)
    k = max(grid_at(core.M, root + spec.entity).open, first_on(core, s, node, last))
    if k <= last:
        arm(core, s, root, ends(core, s, k) + spec.lateness)


@kernel
def admitted(core, rows, g, root, mask, a, wm):
    """Which sets take a value on the slice from a: into windows that are open, or closed and kept, which revises them."""
    M, P = core.M, core.P
    group = group_at(P, g)
    verdict = 0
    for j in range(group.nsets):
        s = P[group.sets + j]
        spec = set_at(P, s)
        if not (mask >> spec.bit) & 1:
            continue
        last = last_at(core, s, a)
        k = max(first_past(core, s, a), first_past(core, s, wm - spec.hold))
        if k > last:
            rows.late[spec.index] += 1
            verdict |= REFUSED if spec.late == tables.DROP else REFUSED | KEPT
            continue
        verdict |= TOOK
        mine = grid_at(M, root + spec.entity)
        mine.open = max(mine.open, first_past(core, s, wm - spec.lateness))
        while k <= last and k < mine.open:
            revise(core, s, root, k)
            k += 1
    for j in range(group.nsets if verdict & TOOK and verdict & REFUSED else 0):
        spec = set_at(P, P[group.sets + j])  # the slice has the value now, also for sets whose windows on it are frozen
        mine = grid_at(M, root + spec.entity)
        mine.open = max(mine.open, first_past(core, P[group.sets + j], wm - spec.lateness))
    return verdict


@kernel
def revise(core, s, root, k):
    """A late value comes into window k, which is closed: one revision more, or its first and final value at once."""
    M, P, OUT = core.M, core.P, core.OUT
    spec = set_at(P, s)
    j = root + spec.entity + w.GRID_RECORDS
    r = row_known(M, j, w.CLOSED_WORDS, k)
    if r != 0:
        closed_at(M, r).revision += 1
    else:
        r = row_put(M, j, w.CLOSED_WORDS, row_from(M, j, w.CLOSED_WORDS, k), k)
        closed_at(M, r).cause = M[CAUSE]
        arm(core, s, root, ends(core, s, k) + spec.hold)
    closed_at(M, r).late += 1
    if closed_at(M, r).stamp != M[STEP]:
        closed_at(M, r).stamp = M[STEP]
        M[DOCS] += 1
        row = out_new(core, plan_of(P).revised, 3)
        OUT[row] = s
        OUT[row + 1] = root_at(M, root).slot
        OUT[row + 2] = k


@inlined
def oldest_open(core, s, root):
    """The oldest slice on which a window may still be open, 0 if there is none."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    mine = grid_at(M, root + spec.entity)
    node = mine.finger
    if node == 0:
        node = chain_at(M, root + group_at(P, spec.group).chain).tail
    while node != 0 and last_of(core, s, node) < mine.open:
        mine.finger = node
        node = slice_at(M, node).prev
    if node != 0:
        mine.finger = node
    return node


@inlined
def first_open(core, s, root, node, last):
    """The first open window of those on a slice; after the last one where none is."""
    spec = set_at(core.P, s)
    k = grid_at(core.M, root + spec.entity).open
    if k > w.LONG_AGO and spec.zone < 0 and slice_at(core.M, node).begin < ends(core, s, k):
        return k
    return max(k, first_on(core, s, node, last))


@inlined
def ring(core, s, root, wm, rung, cause):
    """Close what is due at `rung`, forget what is frozen, and ring again for the rest."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    mine = grid_at(M, root + spec.entity)
    mine.due = w.NONE
    closed = 0
    due = w.NONE
    node = oldest_open(core, s, root)
    while node != 0 and due == w.NONE:
        if may_read(core, s, node):
            last = last_of(core, s, node)
            k = first_open(core, s, root, node, last)
            while k <= last and closed < CLOSINGS and ends(core, s, k) + spec.lateness <= rung:
                close(core, s, root, k, node, cause)
                closed += 1
                k += 1
            if k <= last:
                due = ends(core, s, k) + spec.lateness
        node = slice_at(M, node).prev
    j = root + spec.entity + w.GRID_RECORDS
    frozen = 0
    while mine.n > 0:
        record = closed_at(M, row_of(M, j, w.CLOSED_WORDS, 0))
        at = ends(core, s, record.key) + spec.hold
        if at > rung or frozen == CLOSINGS:
            due = min(due, at)
            break
        if record.stamp == M[STEP]:  # revised in this step, and what comes into its slices now is not its own
            window_row(core, s, root, record.key, out_new(core, spec.out, spec.width))
        rows_cut(M, j, w.CLOSED_WORDS, 0, 1)
        frozen += 1
    if due != w.NONE:
        arm(core, s, root, due)
    if frozen or closed:
        key_changed(core, root, wm)


@inlined
def close(core, s, root, k, node, cause):
    """Window k, whose oldest slice is known, has its final value."""
    M, OUT = core.M, core.OUT
    spec = set_at(core.P, s)
    mine = grid_at(M, root + spec.entity)
    mine.open = k + 1
    M[DOCS] += 1
    if spec.hold > spec.lateness:
        r = row_put(M, root + spec.entity + w.GRID_RECORDS, w.CLOSED_WORDS, mine.n, k)
        closed_at(M, r).cause = cause
    n = items_from(core, s, node, ends(core, s, k))
    row = out_new(core, spec.out, spec.width)
    row_write(core, s, root, k, 0, n, row)
    row_at(OUT, row).cause = cause


@kernel
def due(core, s, root):
    """When something of this set happens next at a key: NONE if never."""
    M = core.M
    spec = set_at(core.P, s)
    mine = grid_at(M, root + spec.entity)
    soonest = w.NONE
    node = oldest_open(core, s, root)
    while node != 0 and soonest == w.NONE:
        if may_read(core, s, node):
            last = last_of(core, s, node)
            k = max(mine.open, first_on(core, s, node, last))
            if k <= last:
                soonest = ends(core, s, k) + spec.lateness
        node = slice_at(M, node).prev
    if mine.n > 0:  # also where that time has passed: the key came from memory of before
        first = row_of(M, root + spec.entity + w.GRID_RECORDS, w.CLOSED_WORDS, 0)
        soonest = min(soonest, ends(core, s, closed_at(M, first).key) + spec.hold)
    return soonest


@kernel
def finish(core, s, root, far, cause):
    """The end of a file: close and freeze everything, as much as one ring does. Whether there may be more."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    floor = root_at(M, root).floor
    more = due(core, s, root) <= far
    if more:
        ring(core, s, root, far, far, cause)
    elif chain_at(M, root + group_at(P, spec.group).chain).head != 0 or grid_at(M, root + spec.entity).n > 0:
        key_changed(core, root, far)
    root_at(M, root).floor = floor  # the end of a file judges no later value
    return more


@kernel
def wipe(core, s, root):
    """Forget all windows of a set at a key; its slices are its group's."""
    M = core.M
    mine = grid_at(M, root + set_at(core.P, s).entity)
    rows_free(M, root + set_at(core.P, s).entity + w.GRID_RECORDS, w.CLOSED_WORDS)
    mine.open = w.LONG_AGO
    mine.due = w.NONE


@inlined
def row_write(core, s, root, k, at, n, row):
    """Window k over n items: all but what its record says."""
    M, P, OUT, OX = core.M, core.P, core.OUT, floats_of(core.OUT)
    spec = set_at(P, s)
    base = joined(core, s, at, n, 0)
    said = row_at(OUT, row)
    said.slot = root_at(M, root).slot
    said.number = k
    said.start = starts(core, s, k)
    said.end = ends(core, s, k)
    said.events = M[base + spec.count]
    said.revision = 0
    said.late = 0
    said.cause = -1
    f = spec.measures
    for j in range(row + w.ROW_WORDS, row + spec.width):
        OX[j] = measure_of(core, f, base, at, n, 0)
        f += MEASURE_WORDS


@inlined
def items_from(core, s, node, end):
    """The slices of a window as items from S[0] on, from its oldest one: how many."""
    M, S = core.M, core.S
    n = 0
    while node != 0 and slice_at(M, node).begin < end:
        if slice_at(M, node).end <= end and may_read(core, s, node):
            S[n] = node + w.SLICE_CELLS
            S[n + 1] = -1
            n += 3
        node = slice_at(M, node).prev
    return n // 3


@kernel
def items_of(core, s, root, start, end):
    """A window's slices as items at the end of the scratch, the oldest first: where they begin."""
    M, P, S = core.M, core.P, core.S
    node = chain_at(M, root + group_at(P, set_at(P, s).group).chain).head
    while node != 0 and slice_at(M, node).begin >= end:
        node = slice_at(M, node).next
    at = M[SCRATCH]
    while node != 0 and slice_at(M, node).begin >= start:
        if slice_at(M, node).end <= end and may_read(core, s, node):
            at -= 3
            S[at] = node + w.SLICE_CELLS
            S[at + 1] = -1
        node = slice_at(M, node).next
    return at


@kernel
def window_row(core, s, root, k, row):
    """A window as it stands, wherever its slices lie."""
    M, OUT = core.M, core.OUT
    at = items_of(core, s, root, starts(core, s, k), ends(core, s, k))
    row_write(core, s, root, k, at, (M[SCRATCH] - at) // 3, row)
    r = row_known(M, root + set_at(core.P, s).entity + w.GRID_RECORDS, w.CLOSED_WORDS, k)
    if r != 0:
        row_at(OUT, row).revision = closed_at(M, r).revision
        row_at(OUT, row).late = closed_at(M, r).late
        row_at(OUT, row).cause = closed_at(M, r).cause


@kernel
def open_windows(core, s, n, SLOT, FROM, slots, numbers):
    """The open windows on n touched slices, one pair for each slice that touches a window: how many pairs."""
    M, ROOTS = core.M, core.ROOTS
    spec = set_at(core.P, s)
    found = 0
    for i in range(n):
        root = ROOTS[SLOT[i]]
        wm = judge(M, root, M[WATERMARK])
        first = max(first_past(core, s, FROM[i]), first_past(core, s, wm - spec.lateness))
        for number in range(max(first, grid_at(M, root + spec.entity).open), last_at(core, s, FROM[i]) + 1):
            slots[found] = SLOT[i]
            numbers[found] = number
            found += 1
    return found


@kernel
def emit(core, s, n, SLOT, K):
    """n windows of one set, row by row from OUT[0] on."""
    for i in range(n):
        window_row(core, s, core.ROOTS[SLOT[i]], K[i], i * set_at(core.P, s).width)


@kernel
def emit_revised(core):
    """Rows of the windows that late values came into in this step and that are not frozen yet; from the last one down, until room
    is short."""
    M, P, ROOTS, OUT = core.M, core.P, core.ROOTS, core.OUT
    revised = out_at(OUT, plan_of(P).revised)
    while revised.n > 0 and not M[TIGHT]:
        revised.n -= 3
        last = revised.at + revised.n
        s = OUT[last]
        spec = set_at(P, s)
        root = ROOTS[OUT[last + 1]]
        r = row_known(M, root + spec.entity + w.GRID_RECORDS, w.CLOSED_WORDS, OUT[last + 2])
        if r != 0 and closed_at(M, r).stamp == M[STEP]:
            window_row(core, s, root, OUT[last + 2], out_new(core, spec.out, spec.width))
