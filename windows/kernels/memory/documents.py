# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Which documents brought the events of a history: a map from a document's code to the time of its event, or to a list of times.

A time t stands in the map as 2 * t, a list as 2 * its place + 1.
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.memory.arena import (
    EMPTY,
    LIST_DATA,
    LIST_N,
    MAP_DATA,
    MAP_MASK,
    MAP_N,
    list_free,
    list_new,
    list_push,
    map_find,
    map_free,
    map_grown,
    map_new,
    map_remove,
)
from windows.kernels.words import history_at


@kernel
def docs_add(M, h, code, t):
    """An event of this document came in."""
    history_at(M, h).documents = map_grown(M, history_at(M, h).documents) if history_at(M, h).documents != 0 else map_new(M, 4)
    p = map_find(M, history_at(M, h).documents, code)
    if M[p] == EMPTY:
        M[p] = code
        M[p + 1] = t << 1
        M[history_at(M, h).documents + MAP_N] += 1
        return
    times = M[p + 1] >> 1
    if not M[p + 1] & 1:
        times = list_push(M, list_new(M, 2), times)
    M[p + 1] = (list_push(M, times, t) << 1) | 1


@kernel
def docs_strike(M, h, code, t):
    """An event of this document went out."""
    p = map_find(M, history_at(M, h).documents, code)
    if M[p] == EMPTY:
        return
    times = M[p + 1] >> 1
    if M[p + 1] & 1:
        n = M[times + LIST_N]
        i = 0
        while i < n and M[times + LIST_DATA + i] != t:
            i += 1
        if i < n:
            M[times + LIST_DATA + i] = M[times + LIST_DATA + n - 1]
            M[times + LIST_N] = n - 1
        if M[times + LIST_N] > 0:
            return
        list_free(M, times)
    elif times != t:
        return
    map_remove(M, history_at(M, h).documents, p)


@kernel
def docs_find(M, h, code, at):
    """(whether the document has an event at this time, the time of its latest one, LONG_AGO if it has none); h: 0 is no history."""
    if h == 0 or history_at(M, h).documents == 0:
        return False, w.LONG_AGO
    p = map_find(M, history_at(M, h).documents, code)
    if M[p] == EMPTY:
        return False, w.LONG_AGO
    latest = M[p + 1] >> 1
    if not M[p + 1] & 1:
        return latest == at, latest
    times = latest
    latest = w.LONG_AGO
    there = False
    for i in range(times + LIST_DATA, times + LIST_DATA + M[times + LIST_N]):
        there = there or M[i] == at
        latest = max(latest, M[i])
    return there, latest


@kernel
def docs_free(M, h):
    """Let go of the map of a history that is freed."""
    docs = history_at(M, h).documents
    if docs == 0:
        return
    for p in range(docs + MAP_DATA, docs + MAP_DATA + 2 * (M[docs + MAP_MASK] + 1), 2):
        if M[p] != EMPTY and M[p + 1] & 1:
            list_free(M, M[p + 1] >> 1)
    map_free(M, docs)
    history_at(M, h).documents = 0
