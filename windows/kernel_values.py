# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sets of value codes in a cell: in the cell itself, then in a list, then in a map."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import (
    EMPTY,
    LIST_DATA,
    LIST_N,
    MAP_N,
    list_free,
    list_new,
    list_push,
    map_add,
    map_find,
    map_free,
    map_grown,
    map_new,
)
from windows.jit import kernel

SMALL = 8  # a set of values is a list up to this many


@kernel
def values_free(M, at):
    """Let go of what a cell of distinct values keeps elsewhere."""
    if M[at] < 0:
        map_free(M, -M[at])
    elif M[at] > w.INLINE:
        list_free(M, M[at])
    M[at] = 0


@kernel
def values_count(M, at):
    """How many values a cell of distinct values holds."""
    values = M[at]
    if 0 <= values <= w.INLINE:
        return values
    return M[abs(values) + (LIST_N if values > 0 else MAP_N)]


@kernel
def values_add(M, at, code):
    """One more value into a cell of distinct values: in the cell itself, then in a list, then in a map (its negative place)."""
    values = M[at]
    if values < 0:
        new = map_grown(M, -values)
        p = map_find(M, new, code)
        if M[p] == EMPTY:
            M[p] = code
            M[new + MAP_N] += 1
        M[at] = -new
        return
    n = values if values <= w.INLINE else M[values + LIST_N]
    first = at + 1 if values <= w.INLINE else values + LIST_DATA
    for i in range(first, first + n):
        if M[i] == code:
            return
    if n < w.INLINE:
        M[first + n] = code
        M[at] = n + 1
    elif n == w.INLINE or n < SMALL:
        if n == w.INLINE and values <= w.INLINE:
            values = list_new(M, SMALL)
            for i in range(n):
                values = list_push(M, values, M[first + i])
        M[at] = list_push(M, values, code)
    else:
        values_spread(M, at, code)


@kernel
def values_spread(M, at, code):
    """From a list to a map."""
    values = M[at]
    new = map_new(M, 32)
    for i in range(values + LIST_DATA, values + LIST_DATA + M[values + LIST_N]):
        map_add(M, new, M[i], 1)
    map_add(M, new, code, 1)
    list_free(M, values)
    M[at] = -new
