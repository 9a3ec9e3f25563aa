# mypy: allow-untyped-calls, no-warn-return-any
"""The kernels that Python calls: arrays come in, and go on as bare addresses (core.py). All else is compiled with these.

What they are given and give back, with `arrays` as an engine has them (core.py, Arrays), all int64 where nothing else is said:

    root    place of a key's root in the arena       s, g    places of a set and of a group in the plan
    slots   (n,), keys as the engine numbers them    codes   of values, as the engine numbers them
    mask    one bit a set of a group                 times   ms since 1970 UTC

A door writes into the arena only what the caller has made room for (columnar/room.py).
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import kernel
from compiled.pointers import bytes_of, floats, words
from windows.kernels import codes, dumps, keys
from windows.kernels import run as passing
from windows.kernels import words as w
from windows.kernels.core import Arrays, Bytes, Floats, RowArrays, Words, core_of, rows_of
from windows.kernels.history import tree
from windows.kernels.kinds import grid, rolling, spans
from windows.kernels.memory import rowlist, timers
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import history_at, rowlist_at

timers_new_, timers_renew_ = timers.timers_new, keys.timers_renew
first_due_, key_due_ = keys.first_due, keys.key_due
run_, finish_ = passing.run, passing.finish
emit_windows_, emit_revised_, open_windows_ = grid.emit, grid.emit_revised, grid.open_windows
emit_views_, emit_spans_ = rolling.emit, spans.emit
root_new_, key_free_, key_wipe_, set_watch_ = keys.root_new, keys.key_free, keys.key_wipe, keys.set_watch
slices_dump_, slices_size_, slices_masks_ = dumps.slices_dump, dumps.slices_size, dumps.slices_masks
slices_load_, slices_check_ = dumps.slices_load, dumps.slices_check
Slices = dumps.Slices
rows_dump_, row_put_, spans_load_ = rowlist.rows_dump, rowlist.row_put, dumps.spans_load
history_new_, history_dump_, history_load_ = tree.history_new, dumps.history_dump, dumps.history_load
codes_used_ = codes.codes_used


# --- a pass over rows


@kernel
def run(arrays: Arrays, rows: RowArrays, begin: int, end: int, budget: int, end_of_time: int) -> tuple[int, int]:
    """Rows [begin, end) of a batch (core.py, RowArrays), in order, until about `budget` documents have changed: (the first row that
    is not finished, why: DONE, GROW, FULL or LAST of run.py; LAST stands in front of a mark of end_of_time or more)."""
    return run_(core_of(arrays), rows_of(rows), begin, end, budget, end_of_time)


@kernel
def finish(arrays: Arrays, nroots: int, far: int, budget: int) -> int:
    """The end of a file for slots [0, nroots): everything closes, at a watermark beyond all times. Why it ended, as `run`."""
    return finish_(core_of(arrays), nroots, far, budget)


# --- what a step says


@kernel
def open_windows(arrays: Arrays, s: int, slots: Words, times: Words, span: int) -> tuple[Words, Words]:
    """The open windows of a set on touched slices that begin at `times` (n,): their slots and numbers (m,), a pair for each slice
    that touches a window. span: the most windows that a slice is in."""
    found = np.empty(slots.size * span, np.int64)
    numbers = np.empty(slots.size * span, np.int64)
    n = open_windows_(core_of(arrays), s, slots.size, words(slots), words(times), words(found), words(numbers))
    return found[:n], numbers[:n]


@kernel
def emit_windows(arrays: Arrays, s: int, slots: Words, numbers: Words) -> None:
    """Windows of a set as they stand, row by row (words.py, ROW) into `arrays`' results, which is a block of just these rows."""
    emit_windows_(core_of(arrays), s, slots.size, words(slots), words(numbers))


@kernel
def emit_revised(arrays: Arrays) -> None:
    """Rows of the windows that late values came into in this step, from the last on, until room for results is short."""
    emit_revised_(core_of(arrays))


@kernel
def emit_views(arrays: Arrays, s: int, begin: int, slots: Words, values: Floats, times: Words, own: bool) -> int:
    """Views of a set from the begin-th slot on, until memory is short: where to go on. values: float64 (measures, n); times: (2,
    n), as_of and expires_at (NONE for never). as_of is what it was before; own: or the view's own time, if that is later."""
    return emit_views_(core_of(arrays), s, begin, slots.size, words(slots), floats(values), words(times), own)


@kernel
def emit_spans(arrays: Arrays, s: int, begin: int) -> int:
    """Rows of the sessions, or kept windows, of a set that were said to have changed, from the begin-th word on, until room is
    short: where to go on."""
    return emit_spans_(core_of(arrays), s, begin)


# --- keys


@kernel
def timers_new(M: Words) -> None:
    """The timers of a new arena."""
    timers_new_(words(M))


@kernel
def root_new(arrays: Arrays, slot: int, route: int) -> int:
    """The root of a key of which nothing is known."""
    return root_new_(core_of(arrays), slot, route)


@kernel
def key_free(arrays: Arrays, root: int) -> None:
    """Let go of all that is known of a key."""
    key_free_(core_of(arrays), root)


@kernel
def key_wipe(arrays: Arrays, root: int) -> None:
    """Let go of a key's windows on fixed grids."""
    key_wipe_(core_of(arrays), root)


@kernel
def timers_renew(arrays: Arrays, nroots: int) -> None:
    """Let go of the timers of keys that are gone: those of slots [0, nroots) are set anew."""
    timers_renew_(core_of(arrays), nroots)


@kernel
def key_due(arrays: Arrays, root: int) -> int:
    """The watermark at which something happens next for a key, NONE for never."""
    return key_due_(core_of(arrays), root)


@kernel
def first_due(arrays: Arrays) -> int:
    """The same for all keys in memory."""
    return first_due_(core_of(arrays))


@kernel
def set_watch(arrays: Arrays, s: int, root: int) -> None:
    """Set a timer for a set at a key that has been loaded."""
    set_watch_(core_of(arrays), s, root)


# --- dumps


@kernel
def slices_masks(arrays: Arrays, g: int, root: int) -> Words:
    """The different masks of a key's slices (at most 64)."""
    masks = np.empty(64, np.int64)
    return masks[: slices_masks_(core_of(arrays), g, root, words(masks), masks.size)]


@kernel
def slices_dump(arrays: Arrays, g: int, root: int, mask: int) -> tuple[Words, Words]:
    """(words of the slices with this mask, which set of values each word is a code of or -1)."""
    n = slices_size_(core_of(arrays), g, root, mask)
    out = np.empty(n, np.int64)
    coded = np.empty(n, np.int64)
    slices_dump_(core_of(arrays), g, root, mask, words(out), words(coded))
    return out, coded


@kernel
def slices_check(dumped: Words, kinds: Words, ncodes: int) -> bool:
    """Whether these are words of slices_dump, of cells of these types, that name values below ncodes."""
    return slices_check_(floats(dumped), words(dumped), dumped.size, words(kinds), kinds.size, ncodes)


@kernel
def slices_load(
    arrays: Arrays, g: int, root: int, mask: int, dumped: Words, kinds: Words, places: Words, codes: Words, begin: int
) -> tuple[int, int]:
    """Inverse of slices_dump, from the begin-th word on until memory is short: (where to go on, how many words of memory are asked
    for there). kinds, places: of the cells in the dump, their types and where they stand here, -1 for nowhere; codes: here, of the
    values there."""
    dump = Slices(words(dumped), dumped.size, words(kinds), words(places), kinds.size, words(codes))
    return slices_load_(core_of(arrays), g, root, dump, mask, begin)


@kernel
def records_dump(arrays: Arrays, s: int, root: int) -> Words:
    """(n, 4): number, revision, late and cause of a set's closed windows."""
    return rows_saved(arrays[0], root + set_at(words(arrays[1]), s).entity + w.GRID_RECORDS, w.CLOSED_WORDS, w.CLOSED_SAVED)


@kernel
def spans_dump(arrays: Arrays, s: int, root: int, which: int) -> Words:
    """(n, 6): a set's spans at a key, or its emptied ones: which is SPANS or EMPTIED of words.py."""
    return rows_saved(arrays[0], root + set_at(words(arrays[1]), s).entity + which, w.SPAN_WORDS, w.SPAN_SAVED)


@kernel
def rows_saved(M: Words, j: int, width: int, saved: int) -> Words:
    """The first words of each row of a list."""
    rows = np.empty((rowlist_at(words(M), j).n, saved), np.int64)
    rows_dump_(words(M), j, width, saved, words(rows))
    return rows


@kernel
def record_put(arrays: Arrays, s: int, root: int, i: int, number: int) -> int:
    """The place of a new record for a closed window, the i-th one."""
    M, P = words(arrays[0]), words(arrays[1])
    return row_put_(M, root + set_at(P, s).entity + w.GRID_RECORDS, w.CLOSED_WORDS, i, number)


@kernel
def spans_load(arrays: Arrays, s: int, root: int, which: int, rows: Words, i: int) -> None:
    """Put row i of spans_dump behind those that are there."""
    spans_load_(core_of(arrays), s, root, which, words(rows), i)


@kernel
def history_new(arrays: Arrays, g: int, mask: int) -> int:
    """The place of a new history, which no chain holds yet."""
    return history_new_(core_of(arrays), g, mask)


@kernel
def history_dump(arrays: Arrays, g: int, h: int) -> Words:
    """(events, columns) of a history."""
    M, P = words(arrays[0]), words(arrays[1])
    rows = np.empty((history_at(M, h).n, group_at(P, g).ncolumns), np.int64)
    history_dump_(core_of(arrays), g, h, words(rows))
    return rows


@kernel
def history_load(arrays: Arrays, g: int, h: int, rows: Words, begin: int) -> int:
    """Put events into a history, from row `begin` on until memory is short: where to go on."""
    return history_load_(core_of(arrays), g, h, words(rows), begin, rows.shape[0])


@kernel
def codes_used(arrays: Arrays, nroots: int, groups: Words, used: Bytes) -> None:
    """Set used[code] (int8) to 1 for every value that a key of slots [0, nroots) holds in one of the groups."""
    codes_used_(core_of(arrays), nroots, words(groups), groups.size, bytes_of(used))
