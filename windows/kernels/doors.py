# mypy: allow-untyped-calls, no-warn-return-any
"""The kernels that Python calls: arrays come in, and go on as bare addresses. All else is compiled with these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compiled.kernel import bytes_of, floats, kernel, words
from windows.kernels import dues, keys
from windows.kernels import run as passing
from windows.kernels import words as w
from windows.kernels.history import tree
from windows.kernels.kinds import grid, spans
from windows.kernels.memory import rowlist, timers
from windows.kernels.memory.arena import SCRATCH, SIZE, STRIDE
from windows.kernels.memory.rowlist import SAVED
from windows.kernels.words import J_N

Words = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
emit_views_, emit_windows_, open_windows_ = dues.emit_views, dues.emit_windows, dues.open_windows
emit_revised_ = dues.emit_revised
run_, finish_ = passing.run, passing.finish
slices_dump_, slices_size_, slices_masks_ = keys.slices_dump, keys.slices_size, keys.slices_masks
slices_load_, history_load_, history_dump_ = keys.slices_load, keys.history_load, keys.history_dump
records_dump_, set_watch_, first_due_ = keys.records_dump, keys.set_watch, keys.first_due
key_free_, key_wipe_ = keys.key_free, keys.key_wipe
key_due_, root_new_ = dues.key_due, dues.root_new
codes_used_ = keys.codes_used
record_put_, history_new_, timers_new_ = grid.record_put, tree.history_new, timers.timers_new


@kernel
def timers_new(M: Words) -> None:
    timers_new_(words(M))


@kernel
def run(
    M: Words,
    P: Words,
    Z: Words,
    ROOTS: Words,
    begin: int,
    end: int,
    kind: Bytes,
    cause: Bytes,
    mark: Words,
    stream: npt.NDArray[np.int16],
    slot: Words,
    at: Words,
    put: npt.NDArray[np.bool_],
    take: npt.NDArray[np.bool_],
    old_at: Words,
    NUM: Floats,
    FLAG: Bytes,
    CODE: Words,
    S: Words,
    STAMP: Words,
    R: Floats,
    T: Words,
    OUT: Words,
    LATE: Words,
    OUTCOME: Bytes,
    budget: int,
    end_of_time: int,
) -> tuple[int, int]:
    M[SIZE], M[SCRATCH], M[STRIDE] = M.size, S.size, slot.size
    return run_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), begin, end, kind, cause, mark, stream, words(slot),
        at, put, take, old_at, floats(NUM), bytes_of(FLAG), words(CODE), words(S), words(STAMP), floats(R), words(T), words(OUT),
        floats(OUT), words(LATE), bytes_of(OUTCOME), budget, end_of_time,
    )  # fmt: skip


@kernel
def finish(
    M: Words, P: Words, Z: Words, ROOTS: Words, nroots: int, far: int, S: Words, STAMP: Words, OUT: Words, budget: int
) -> int:
    M[SIZE], M[SCRATCH] = M.size, S.size
    return finish_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), nroots, far, words(S), words(STAMP), words(OUT),
        floats(OUT), budget,
    )  # fmt: skip


@kernel
def open_windows(M: Words, P: Words, Z: Words, ROOTS: Words, s: int, SLOT: Words, FROM: Words, span: int) -> tuple[Words, Words]:
    slots = np.empty(SLOT.size * span, np.int64)
    numbers = np.empty(SLOT.size * span, np.int64)
    n = open_windows_(
        words(M), words(P), words(Z), words(ROOTS), s, SLOT.size, words(SLOT), words(FROM), words(slots), words(numbers)
    )  # fmt: skip
    return slots[:n], numbers[:n]


@kernel
def emit_windows(
    M: Words, P: Words, Z: Words, ROOTS: Words, s: int, SLOT: Words, K: Words, S: Words, STAMP: Words, OUT: Words
) -> None:
    M[SCRATCH] = S.size
    emit_windows_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), s, SLOT.size, words(SLOT), words(K), words(S),
        words(STAMP), words(OUT), floats(OUT),
    )  # fmt: skip


@kernel
def emit_revised(M: Words, P: Words, Z: Words, ROOTS: Words, S: Words, STAMP: Words, OUT: Words) -> None:
    M[SCRATCH] = S.size
    emit_revised_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), words(S), words(STAMP), words(OUT), floats(OUT)
    )  # fmt: skip


@kernel
def emit_views(
    M: Words,
    P: Words,
    ROOTS: Words,
    s: int,
    begin: int,
    SLOT: Words,
    S: Words,
    STAMP: Words,
    VALUES: Floats,
    INTS: Words,
    as_of: int,
) -> int:
    M[SIZE], M[SCRATCH] = M.size, S.size
    return emit_views_(
        words(M), floats(M), words(P), floats(P), words(ROOTS), s, begin, SLOT.size, words(SLOT), words(S), words(STAMP),
        floats(VALUES), words(INTS), as_of,
    )  # fmt: skip


@kernel
def key_due(M: Words, P: Words, Z: Words, root: int) -> int:
    return key_due_(words(M), words(P), words(Z), root)


@kernel
def first_due(M: Words, P: Words, Z: Words, ROOTS: Words) -> int:
    return first_due_(words(M), words(P), words(Z), words(ROOTS))


@kernel
def root_new(M: Words, P: Words, slot: int, route: int) -> int:
    return root_new_(words(M), words(P), slot, route)


@kernel
def key_free(M: Words, P: Words, root: int) -> None:
    key_free_(words(M), words(P), root)


@kernel
def key_wipe(M: Words, P: Words, root: int) -> None:
    key_wipe_(words(M), words(P), root)


@kernel
def slices_masks(M: Words, P: Words, g: int, root: int) -> Words:
    masks = np.empty(64, np.int64)
    return masks[: slices_masks_(words(M), words(P), g, root, words(masks), masks.size)]


@kernel
def slices_dump(M: Words, P: Words, Z: Words, g: int, root: int, mask: int) -> tuple[Words, Words, int]:
    n, newest = slices_size_(words(M), words(P), words(Z), g, root, mask)
    out = np.empty(n, np.int64)
    coded = np.empty(n, np.int64)
    slices_dump_(words(M), words(P), words(Z), g, root, mask, words(out), words(coded))
    return out, coded, newest


@kernel
def slices_load(
    M: Words, P: Words, Z: Words, g: int, root: int, dumped: Words, kinds: Words, places: Words, codes: Words, mask: int
) -> None:
    slices_load_(
        words(M), floats(M), words(P), words(Z), g, root, words(dumped), dumped.size, words(kinds), words(places), kinds.size,
        words(codes), mask,
    )  # fmt: skip


@kernel
def records_dump(M: Words, P: Words, Z: Words, s: int, root: int, most: int) -> Words:
    rows = np.empty((most, 4), np.int64)
    return rows[: records_dump_(words(M), words(P), words(Z), s, root, words(rows))]


@kernel
def record_put(M: Words, e: int, i: int, key: int) -> int:
    return record_put_(words(M), e, i, key)


@kernel
def history_new(M: Words, P: Words, g: int, mask: int) -> int:
    return history_new_(words(M), words(P), g, mask)


@kernel
def history_dump(M: Words, P: Words, g: int, h: int) -> Words:
    rows = np.empty((M[h + w.H_N], P[g + w.G_NCOLS]), np.int64)
    history_dump_(words(M), words(P), g, h, words(rows))
    return rows


@kernel
def history_load(M: Words, P: Words, g: int, h: int, rows: Words, begin: int) -> int:
    M[SIZE] = M.size
    return history_load_(words(M), words(P), g, h, words(rows), begin, rows.shape[0])


@kernel
def set_watch(M: Words, P: Words, Z: Words, s: int, root: int) -> None:
    set_watch_(words(M), words(P), words(Z), s, root)


@kernel
def codes_used(M: Words, P: Words, ROOTS: Words, nroots: int, groups: Words, used: Bytes) -> None:
    codes_used_(words(M), words(P), words(ROOTS), nroots, words(groups), groups.size, bytes_of(used))


# The kernels for sets that keep their events, as Python calls them (see doors.py).
emit_spans_, kept_since_ = spans.emit_spans, spans.kept_since
spans_dump_, spans_load_ = rowlist.spans_dump, rowlist.spans_load


@kernel
def emit_spans(M: Words, P: Words, Z: Words, ROOTS: Words, s: int, begin: int, S: Words, STAMP: Words, OUT: Words) -> int:
    M[SIZE], M[SCRATCH] = M.size, S.size
    return emit_spans_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), s, begin, words(S), words(STAMP), words(OUT), floats(OUT)
    )  # fmt: skip


@kernel
def spans_dump(M: Words, j: int) -> Words:
    rows = np.empty((M[j + J_N], SAVED), np.int64)
    spans_dump_(words(M), j, words(rows))
    return rows


@kernel
def spans_load(M: Words, e: int, j: int, rows: Words, i: int) -> None:
    spans_load_(words(M), e, j, words(rows), i)


@kernel
def kept_since(M: Words, P: Words, Z: Words, s: int, root: int) -> int:
    return kept_since_(words(M), words(P), words(Z), s, root)
