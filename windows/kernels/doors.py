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

from compiled.kernel import inlined, kernel
from compiled.pointers import bytes_of, floats, words
from windows.kernels import codes, dumps, keys, saved
from windows.kernels import run as passing
from windows.kernels import words as w
from windows.kernels.core import Arrays, Bytes, Floats, RowArrays, Words, core_of, rows_of
from windows.kernels.history import segments, tree
from windows.kernels.kinds import grid, rolling, spans
from windows.kernels.memory import rowlist, timers
from windows.kernels.tables import set_at
from windows.kernels.words import history_at, rowlist_at, segments_at

timers_new_, timers_renew_ = timers.timers_new, keys.timers_renew
first_due_, key_due_ = keys.first_due, keys.key_due
run_, finish_ = passing.run, passing.finish
emit_windows_, emit_revised_, open_windows_ = grid.emit, grid.emit_revised, grid.open_windows
emit_views_, emit_spans_ = rolling.emit, spans.emit
root_new_, key_free_, key_wipe_, set_watch_ = keys.root_new, keys.key_free, keys.key_wipe, keys.set_watch
keys_dump_, values_met_, states_laid_, states_written_ = saved.keys_dump, saved.values_met, saved.states_laid, saved.states_written
segments_dump_, segments_set_, large_ = saved.segments_dump, segments.segments_set, saved.large
Book, Said = saved.Book, saved.Said
slices_load_, slices_check_ = dumps.slices_load, dumps.slices_check
Slices = dumps.Slices
rows_dump_, row_put_, spans_load_ = rowlist.rows_dump, rowlist.row_put, dumps.spans_load
history_new_, history_load_ = tree.history_new, dumps.history_load
codes_used_ = codes.codes_used
Dumped = tuple[Words, Words, Words, Words]  # words, which set of values each is a code of, pieces (n, 5), how many of each are used


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
def keys_due(arrays: Arrays, roots: Words) -> Words:
    """(n,) the watermark at which something happens next for each key, NONE for never, and where a root is 0."""
    dues = np.empty(roots.size, np.int64)
    for i in range(roots.size):
        dues[i] = w.NONE if roots[i] == 0 else key_due_(core_of(arrays), roots[i])
    return dues


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
def keys_dump(arrays: Arrays, roots: Words, begin: int, book: Dumped, states: Words, masks: Words) -> int:
    """The keys of these roots (n,), 0 for one that nothing is known of, from the begin-th on, while there is room in the book: the
    first one that is not in. states: (n, 7). masks: (64,), lent."""
    most = book[0].size, book[2].shape[0]
    return keys_dump_(core_of(arrays), words(roots), roots.size, begin, words(masks), book_of(book, states), most[0], most[1])


@kernel
def histories_large(arrays: Arrays, roots: Words, begin: int, most: int, found: Words) -> tuple[int, int]:
    """Which histories of the keys of these roots (n,), from the begin-th on, have segments, or are larger than so many words: [key,
    g, place] of each to `found` (m, 3); (how many these are, where to go on)."""
    return large_(core_of(arrays), words(roots), roots.size, begin, most, words(found), found.shape[0])


@kernel
def segments_dump(arrays: Arrays, g: int, h: int, rows: Words, book: Dumped, states: Words) -> None:
    """Stretches of a history, rows (n, 2), as states (n, 7). The book has room for them."""
    segments_dump_(core_of(arrays), g, h, words(rows), rows.shape[0], book_of(book, states))


@kernel
def segments_known(arrays: Arrays, h: int) -> tuple[int, Words]:
    """(how many events have gone from the front of a history, (n, 7) its segments): SEGMENTS, SEGMENT of words.py."""
    M = words(arrays[0])
    at = history_at(M, h).segments
    rows = np.empty((rowlist_at(M, at + w.SEGMENT_ROWS).n if at != 0 else 0, w.SEGMENT_WORDS), np.int64)
    if at == 0:
        return 0, rows
    rows_dump_(M, at + w.SEGMENT_ROWS, w.SEGMENT_WORDS, w.SEGMENT_WORDS, words(rows), 0)
    return segments_at(M, at).trimmed, rows


@kernel
def segments_set(arrays: Arrays, h: int, rows: Words) -> None:
    """These (n, 7) are the segments of a history now, and nothing has gone since."""
    segments_set_(words(arrays[0]), h, words(rows), rows.shape[0])


@kernel
def values_met(dumped: Words, coded: Words, n: int, ncodes: int, others: Words, ranks: Words, met: Words) -> tuple[int, int]:
    """Of n words those that are codes become places among all values (2 * ncodes + others,), of which those that are named go to
    `met`: (how many these are, how many words are codes). others: rising codes of other spellings. ranks: -1, by place."""
    return values_met_(words(dumped), words(coded), n, ncodes, words(others), others.size, words(ranks), words(met))


@kernel
def states_laid(book: Dumped, states: Words, ranks: Words, lengths: Words, values: Words, texts: Words) -> int:
    """Have states (n, 7) name their values, of which the ranks go to `values`: all bytes that they take. ranks: by place among all
    values; lengths: bytes of a value, by rank; texts: (m, 4). Where a piece has no text, -1 less that piece, and nothing is
    changed."""
    seen = np.zeros(lengths.size, np.int64)
    places = np.empty(lengths.size, np.int64)
    return states_laid_(
        book_of(book, states), states.shape[0], words(ranks), words(lengths), words(seen), words(places), words(values),
        words(texts), texts.shape[0],
    )  # fmt: skip


@kernel
def states_written(
    book: Dumped, states: Words, raw: Bytes, values: Words, texts: Words, text_bytes: Bytes, value_bytes: Bytes, starts: Words,
    out: Bytes,
) -> None:  # fmt: skip
    """Write states as msgpack. raw: the book's words as bytes; text_bytes, value_bytes: what Python has written; starts: where a
    value's bytes begin, by rank, and one more."""
    said = Said(words(texts), bytes_of(text_bytes), bytes_of(value_bytes), words(starts))
    states_written_(book_of(book, states), bytes_of(raw), states.shape[0], words(values), said, bytes_of(out))


@inlined
def book_of(book: Dumped, states: Words) -> saved.Book:
    """From the arrays, which the caller keeps alive."""
    dumped, coded, pieces, used = book
    return Book(words(dumped), words(coded), words(pieces), words(states), words(used))


@kernel
def slices_check(dumped: Words, kinds: Words, ncodes: int) -> bool:
    """Whether these are words of dumped slices, of cells of these types, that name values below ncodes."""
    return slices_check_(floats(dumped), words(dumped), dumped.size, words(kinds), kinds.size, ncodes)


@kernel
def slices_load(
    arrays: Arrays, g: int, root: int, mask: int, dumped: Words, kinds: Words, places: Words, codes: Words, begin: int
) -> tuple[int, int]:
    """Take up dumped slices, from the begin-th word on until memory is short: (where to go on, how many words of memory are asked
    for there). kinds, places: of the cells in the dump, their types and where they stand here, -1 for nowhere; codes: here, of the
    values there."""
    dump = Slices(words(dumped), dumped.size, words(kinds), words(places), kinds.size, words(codes))
    return slices_load_(core_of(arrays), g, root, dump, mask, begin)


@kernel
def record_put(arrays: Arrays, s: int, root: int, i: int, number: int) -> int:
    """The place of a new record for a closed window, the i-th one."""
    M, P = words(arrays[0]), words(arrays[1])
    return row_put_(M, root + set_at(P, s).entity + w.GRID_RECORDS, w.CLOSED_WORDS, i, number)


@kernel
def spans_load(arrays: Arrays, s: int, root: int, which: int, rows: Words, i: int) -> None:
    """Put row i of dumped spans behind those that are there."""
    spans_load_(core_of(arrays), s, root, which, words(rows), i)


@kernel
def history_new(arrays: Arrays, g: int, mask: int) -> int:
    """The place of a new history, which no chain holds yet."""
    return history_new_(core_of(arrays), g, mask)


@kernel
def history_load(arrays: Arrays, g: int, h: int, rows: Words, begin: int) -> int:
    """Put events into a history, from row `begin` on until memory is short: where to go on."""
    return history_load_(core_of(arrays), g, h, words(rows), begin, rows.shape[0])


@kernel
def codes_used(arrays: Arrays, nroots: int, groups: Words, used: Bytes) -> None:
    """Set used[code] (int8) to 1 for every value that a key of slots [0, nroots) holds in one of the groups."""
    codes_used_(core_of(arrays), nroots, words(groups), groups.size, bytes_of(used))
