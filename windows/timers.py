"""What is due when: a heap of the distinct due times, and for each a list of tokens. Many windows share a due time.

A token is (window set, slot, the slot's generation, the key's place in the order of keys). A timer may ring early or twice, never late:
who is rung looks for himself. Tokens of one due time ring in the order of their keys, however they came to be there.
"""

from __future__ import annotations

from windows.arena import (
    EMPTY, MAP_N, T_CAP, T_HEAP, T_MAP, T_N, T_SORTED, alloc, map_find, map_grown, map_new, map_remove, release,
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
def before(M, a, b):
    """Whether token a rings before token b."""
    if M[a + 3] != M[b + 3]:
        return M[a + 3] < M[b + 3]
    return M[a + 1] <= M[b + 1]


@kernel
def sorted_tokens(M, head):
    """A list of tokens in the order of their keys: merge sort from below."""
    run = 1
    while True:
        rest = head
        head = 0
        tail = 0
        merges = 0
        while rest != 0:
            merges += 1
            a = rest
            left = 0
            while rest != 0 and left < run:
                rest = M[rest]
                left += 1
            right = run
            while left > 0 or (right > 0 and rest != 0):
                if left > 0 and (right == 0 or rest == 0 or before(M, a, rest)):
                    node = a
                    a = M[a]
                    left -= 1
                else:
                    node = rest
                    rest = M[rest]
                    right -= 1
                if tail != 0:
                    M[tail] = node
                else:
                    head = node
                tail = node
        if tail != 0:
            M[tail] = 0
        if merges <= 1:
            return head
        run *= 2
