# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Lists of rows by rising key, the first word of a row: what an entity knows of its closed windows, or of its spans.

A list is four words (see ROWLIST in kernels/words.py) at `j`; `width` is how many words a row has. Rows go at the front mostly, and
come at the end: the front is left behind, and made use of when the block is full.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels.memory.arena import alloc, release
from windows.kernels.words import rowlist_at

FEW = 2  # rows for which an empty list keeps its block


@kernel
def row_of(M, j, width, i):
    """The place of the i-th row."""
    return rowlist_at(M, j).block + width * (rowlist_at(M, j).head + i)


@kernel
def row_from(M, j, width, key):
    """Which is the first row whose key is not below this one."""
    low = 0
    high = rowlist_at(M, j).n
    while low < high:
        mid = (low + high) >> 1
        if M[row_of(M, j, width, mid)] < key:
            low = mid + 1
        else:
            high = mid
    return low


@kernel
def row_known(M, j, width, key):
    """The place of the row of a key, 0 if there is none."""
    i = row_from(M, j, width, key)
    if i == rowlist_at(M, j).n:
        return 0
    r = row_of(M, j, width, i)
    return r if M[r] == key else 0


@kernel
def row_put(M, j, width, i, key):
    """A new row of zeros at place i."""
    rows = rowlist_at(M, j)
    n = rows.n
    if rows.head + n == rows.cap:
        if 2 * rows.head > rows.cap:
            rows_move(M, j, width, rows.block)
        else:
            old = rows.block
            rows_move(M, j, width, alloc(M, width * (2 * rows.cap + 2)))
            if rows.cap > 0:
                release(M, old, width * rows.cap)
            rows.cap = 2 * rows.cap + 2
    r = row_of(M, j, width, i)
    for word in range(r + width * (n - i) - 1, r - 1, -1):
        M[word + width] = M[word]
    for word in range(r, r + width):
        M[word] = 0
    M[r] = key
    rows.n = n + 1
    return r


@kernel
def rows_move(M, j, width, to):
    """All rows to the front of a block."""
    base = row_of(M, j, width, 0)
    for word in range(width * rowlist_at(M, j).n):
        M[to + word] = M[base + word]
    rowlist_at(M, j).block = to
    rowlist_at(M, j).head = 0


@kernel
def rows_cut(M, j, width, i, k):
    """Take k rows out, from place i on."""
    rows = rowlist_at(M, j)
    rows.n -= k
    if i == 0:
        rows.head += k
    else:
        r = row_of(M, j, width, i)
        for word in range(r, r + width * (rows.n - i)):
            M[word] = M[word + width * k]
    if rows.n == 0:
        rows.head = 0
        if rows.cap > FEW:
            rows_free(M, j, width)


@kernel
def rows_free(M, j, width):
    """Let go of all rows."""
    rows = rowlist_at(M, j)
    if rows.cap > 0:
        release(M, rows.block, width * rows.cap)
    rows.block = 0
    rows.cap = 0
    rows.head = 0
    rows.n = 0


@kernel
def rows_dump(M, j, width, saved, to, at):
    """The first `saved` words of each row, one row behind the other, from word `at` on."""
    for i in range(rowlist_at(M, j).n):
        for word in range(saved):
            to[at + i * saved + word] = M[row_of(M, j, width, i) + word]
