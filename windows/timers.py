# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What is due when: a heap of the distinct due times, and for each a list of tokens. Many windows share a due time.

A token is (window set, slot, the slot's generation, the key's place in the order of keys). A timer may ring early or twice, never
late: who is rung looks for himself. Tokens of one due time ring in the order of their keys, however they came to be there.
"""

from __future__ import annotations

import numpy as np

from windows.arena import (
    EMPTY,
    MAP_N,
    T_CAP,
    T_HEAP,
    T_MAP,
    T_N,
    T_SORTED,
    alloc,
    map_find,
    map_grown,
    map_new,
    map_remove,
    release,
)  # fmt: skip
from windows.jit import kernel

NODE = 4  # words of a token: [next, slot and set, generation, order]
SET_BITS = 16


@kernel
def timers_new(M):
    M[T_CAP] = 64
    M[T_HEAP] = alloc(M, 64)
    M[T_N] = 0
    M[T_MAP] = map_new(M, 64)
    M[T_SORTED] = EMPTY


@kernel
def heap_push(M, due):
    n = M[T_N]
    if n == M[T_CAP]:
        new = alloc(M, 2 * n)
        for j in range(n):
            M[new + j] = M[M[T_HEAP] + j]
        release(M, M[T_HEAP], n)
        M[T_HEAP] = new
        M[T_CAP] = 2 * n
    heap = M[T_HEAP]
    i = n
    while i > 0:
        up = (i - 1) >> 1
        if M[heap + up] <= due:
            break
        M[heap + i] = M[heap + up]
        i = up
    M[heap + i] = due
    M[T_N] = n + 1


@kernel
def heap_pop(M):
    heap = M[T_HEAP]
    n = M[T_N] - 1
    M[T_N] = n
    last = M[heap + n]
    i = 0
    while True:
        down = 2 * i + 1
        if down >= n:
            break
        if down + 1 < n and M[heap + down + 1] < M[heap + down]:
            down += 1
        if M[heap + down] >= last:
            break
        M[heap + i] = M[heap + down]
        i = down
    M[heap + i] = last


@kernel
def ring_at(M, due, s, slot, generation, order):
    """Ring for this token once the watermark is at `due`."""
    M[T_MAP] = map_grown(M, M[T_MAP])
    p = map_find(M, M[T_MAP], due)
    node = alloc(M, NODE)
    if M[p] == EMPTY:
        M[p] = due
        M[p + 1] = 0
        M[M[T_MAP] + MAP_N] += 1
        heap_push(M, due)
    if M[T_SORTED] == due:
        M[T_SORTED] = EMPTY
    M[node] = M[p + 1]
    M[node + 1] = (slot << SET_BITS) | s
    M[node + 2] = generation
    M[node + 3] = order
    M[p + 1] = node


@kernel
def ring_next(M):
    """Take the next token: its node, to be released by the caller. Only while there is one."""
    due = M[M[T_HEAP]]
    p = map_find(M, M[T_MAP], due)
    if M[T_SORTED] != due:
        M[p + 1] = sorted_tokens(M, M[p + 1])
        M[T_SORTED] = due
    node = M[p + 1]
    M[p + 1] = M[node]
    if M[p + 1] == 0:
        map_remove(M, M[T_MAP], p)
        heap_pop(M)
        M[T_SORTED] = EMPTY
    return node


@kernel
def sorted_tokens(M, head):
    """A list of tokens in the order of their keys and sets."""
    n = 0
    node = head
    while node != 0:
        n += 1
        node = M[node]
    if n == 1:
        return head
    a = np.empty((n, 3), np.int64)
    node = head
    for i in range(n):
        a[i, 0] = M[node + 3]
        a[i, 1] = M[node + 1]
        a[i, 2] = node
        node = M[node]
    a = merge_sorted(a, np.empty_like(a))
    for i in range(n - 1):
        M[a[i, 2]] = a[i + 1, 2]
    M[a[n - 1, 2]] = 0
    return a[0, 2]


@kernel
def merge_sorted(a, b):
    """Rows of three, sorted by their first two numbers, with as much room at b. Merge sort from below."""
    n = a.shape[0]
    run = 1
    while run < n:
        for low in range(0, n, 2 * run):
            mid = min(low + run, n)
            high = min(low + 2 * run, n)
            i = low
            j = mid
            for k in range(low, high):
                if i < mid and (j >= high or a[i, 0] < a[j, 0] or (a[i, 0] == a[j, 0] and a[i, 1] <= a[j, 1])):
                    b[k] = a[i]
                    i += 1
                else:
                    b[k] = a[j]
                    j += 1
        a, b = b, a
        run *= 2
    return a
