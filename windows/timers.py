"""What is due when: a heap of the distinct due times, and for each a list of tokens. Many windows share a due time.

A token is (window set, slot, the slot's generation). A timer may ring early or twice, never late: who is rung looks for himself.
"""

from __future__ import annotations

from windows.arena import EMPTY, MAP_N, T_CAP, T_HEAP, T_MAP, T_N, alloc, map_find, map_grown, map_new, map_remove, release
from windows.jit import kernel

NODE = 4  # words of a token: [next, set, slot, generation]


@kernel
def timers_new(M):
    M[T_CAP] = 64
    M[T_HEAP] = alloc(M, 64)
    M[T_N] = 0
    M[T_MAP] = map_new(M, 64)


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
def ring_at(M, due, s, slot, generation):
    """Ring for this token once the watermark is at `due`."""
    M[T_MAP] = map_grown(M, M[T_MAP])
    p = map_find(M, M[T_MAP], due)
    node = alloc(M, NODE)
    if M[p] == EMPTY:
        M[p] = due
        M[p + 1] = 0
        M[M[T_MAP] + MAP_N] += 1
        heap_push(M, due)
    M[node] = M[p + 1]
    M[node + 1] = s
    M[node + 2] = slot
    M[node + 3] = generation
    M[p + 1] = node


@kernel
def ring_next(M):
    """Take the next token: its node, to be released by the caller. Only while there is one."""
    due = M[M[T_HEAP]]
    p = map_find(M, M[T_MAP], due)
    node = M[p + 1]
    M[p + 1] = M[node]
    if M[p + 1] == 0:
        map_remove(M, M[T_MAP], p)
        heap_pop(M)
    return node
