# mypy: allow-untyped-calls, no-warn-return-any
"""The kernels for sets that keep their events, as Python calls them (see kernel_entry)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windows import kernel_kept_rows, kernel_lives, kernel_spans
from windows.arena import SCRATCH, SIZE
from windows.jit import floats, kernel, words
from windows.kernel_layout import J_N
from windows.kernel_spans import SAVED

Words = npt.NDArray[np.int64]
emit_spans_, kept_since_ = kernel_kept_rows.emit_spans, kernel_lives.kept_since
spans_dump_, spans_load_ = kernel_spans.spans_dump, kernel_spans.spans_load


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
