"""The kernels that Python calls: arrays come in, and go on as bare addresses. Everything behind these is compiled with one of them."""

from __future__ import annotations

import numpy as np

from windows import kernel_emit, kernel_grid, kernel_history, kernel_run, kernel_state, timers
from windows.arena import OUT_SIZE, SCRATCH, SIZE, STRIDE
from windows.jit import bytes_of, floats, kernel, words
from windows.kernel_layout import G_NCOLS, H_N

emit_views_, emit_windows_, open_windows_ = kernel_emit.emit_views, kernel_emit.emit_windows, kernel_emit.open_windows
run_, finish_ = kernel_run.run, kernel_run.finish
slices_dump_, slices_size_, slices_masks_ = kernel_state.slices_dump, kernel_state.slices_size, kernel_state.slices_masks
slices_load_, history_load_, history_dump_ = kernel_state.slices_load, kernel_state.history_load, kernel_state.history_dump
records_dump_, set_watch_, first_due_ = kernel_state.records_dump, kernel_state.set_watch, kernel_state.first_due
key_free_, key_wipe_, tidy_ = kernel_state.key_free, kernel_state.key_wipe, kernel_state.tidy
key_due_, root_new_ = kernel_emit.key_due, kernel_emit.root_new
record_put_, history_new_, timers_new_ = kernel_grid.record_put, kernel_history.history_new, timers.timers_new


@kernel
def timers_new(M):
    timers_new_(words(M))


@kernel
def run(
    M, P, Z, ROOTS, begin, end, kind, cause, mark, stream, slot, at, put, NUM, FLAG, CODE, S, STAMP, R, T, FEATURES, OUT, LATE,
    OUTCOME, reserve, budget,
):  # fmt: skip
    M[SIZE], M[OUT_SIZE], M[SCRATCH], M[STRIDE] = M.size, OUT.size, S.size, slot.size
    return run_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), begin, end, kind, cause, mark, stream, words(slot),
        at, put, floats(NUM), bytes_of(FLAG), words(CODE), words(S), words(STAMP), floats(R), words(T), floats(FEATURES), words(OUT),
        words(LATE), bytes_of(OUTCOME), reserve, budget,
    )  # fmt: skip


@kernel
def finish(M, P, Z, ROOTS, nroots, far, OUT, reserve, budget):
    M[SIZE], M[OUT_SIZE] = M.size, OUT.size
    return finish_(words(M), floats(M), words(P), words(Z), words(ROOTS), nroots, far, words(OUT), reserve, budget)


@kernel
def open_windows(M, P, Z, ROOTS, s, SLOT, FROM, span):
    slots = np.empty(SLOT.size * span, np.int64)
    numbers = np.empty(SLOT.size * span, np.int64)
    n = open_windows_(
        words(M), words(P), words(Z), words(ROOTS), s, SLOT.size, words(SLOT), words(FROM), words(slots), words(numbers)
    )  # fmt: skip
    return slots[:n], numbers[:n]


@kernel
def emit_windows(M, P, Z, ROOTS, s, begin, SLOT, K, S, STAMP, VALUES, INTS):
    M[SIZE], M[SCRATCH] = M.size, S.size
    return emit_windows_(
        words(M), floats(M), words(P), floats(P), words(Z), words(ROOTS), s, begin, SLOT.size, words(SLOT), words(K), words(S),
        words(STAMP), floats(VALUES), words(INTS),
    )  # fmt: skip


@kernel
def emit_views(M, P, ROOTS, s, begin, SLOT, S, STAMP, VALUES, INTS, as_of):
    M[SIZE], M[SCRATCH] = M.size, S.size
    return emit_views_(
        words(M), floats(M), words(P), floats(P), words(ROOTS), s, begin, SLOT.size, words(SLOT), words(S), words(STAMP),
        floats(VALUES), words(INTS), as_of,
    )  # fmt: skip


@kernel
def key_due(M, P, Z, root):
    return key_due_(words(M), words(P), words(Z), root)


@kernel
def first_due(M, P, Z, ROOTS):
    return first_due_(words(M), words(P), words(Z), words(ROOTS))


@kernel
def root_new(M, P, size, slot, generation, route, order):
    return root_new_(words(M), words(P), size, slot, generation, route, order)


@kernel
def key_free(M, P, root, size):
    key_free_(words(M), words(P), root, size)


@kernel
def key_wipe(M, P, root):
    key_wipe_(words(M), words(P), root)


@kernel
def tidy(M, P, Z, ROOTS):
    tidy_(words(M), words(P), words(Z), words(ROOTS))


@kernel
def slices_masks(M, P, g, root):
    masks = np.empty(64, np.int64)
    return masks[: slices_masks_(words(M), words(P), g, root, words(masks), masks.size)]


@kernel
def slices_dump(M, P, Z, g, root, mask):
    n, newest = slices_size_(words(M), words(P), words(Z), g, root, mask)
    out = np.empty(n, np.int64)
    coded = np.empty(n, np.int64)
    slices_dump_(words(M), words(P), words(Z), g, root, mask, words(out), words(coded))
    return out, coded, newest


@kernel
def slices_load(M, P, Z, g, root, dumped, kinds, places, codes, mask):
    slices_load_(
        words(M), floats(M), words(P), words(Z), g, root, words(dumped), dumped.size, words(kinds), words(places), kinds.size,
        words(codes), mask,
    )  # fmt: skip


@kernel
def records_dump(M, P, Z, s, root, most):
    rows = np.empty((most, 4), np.int64)
    return rows[: records_dump_(words(M), words(P), words(Z), s, root, words(rows))]


@kernel
def record_put(M, e, i, key):
    return record_put_(words(M), e, i, key)


@kernel
def history_new(M, P, g, mask):
    return history_new_(words(M), words(P), g, mask)


@kernel
def history_dump(M, P, g, h):
    rows = np.empty((M[h + H_N], P[g + G_NCOLS]), np.int64)
    history_dump_(words(M), words(P), g, h, words(rows))
    return rows


@kernel
def history_load(M, P, g, h, rows, begin):
    M[SIZE] = M.size
    return history_load_(words(M), words(P), g, h, words(rows), begin, rows.shape[0])


@kernel
def set_watch(M, P, Z, s, root):
    set_watch_(words(M), words(P), words(Z), s, root)
