# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What is due when: a heap of the distinct due times, and for each the tokens that ring then. Many windows share a due time.

A token is a slot and a group of window sets. A timer may ring early, twice, or for a key that is gone, never late: who is rung
looks for himself. Tokens lie in chunks, so that many are rung without a search for each.
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from windows.kernels.memory.arena import (
    EMPTY,
    MAP_N,
    T_CAP,
    T_DUE,
    T_HEAP,
    T_HELD,
    T_MAP,
    T_N,
    T_TOKENS,
    alloc,
    map_find,
    map_grown,
    map_new,
    map_remove,
    release,
)

GROUP_BITS = 16
# tokens of a due time: one word, the place of the newest chunk. A chunk: [older chunk, how many, words, tokens...]
C_OLDER, C_N, C_WORDS, C_DATA = 0, 1, 2, 3
SMALL, LARGE = 8, 128


@kernel
def timers_new(M):
    M[T_CAP] = 64
    M[T_HEAP] = alloc(M, 64)
    M[T_N] = 0
    M[T_MAP] = map_new(M, 64)
    M[T_TOKENS] = 0


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
def chunk_new(M, older, words):
    chunk = alloc(M, words)
    M[chunk + C_OLDER] = older
    M[chunk + C_N] = 0
    M[chunk + C_WORDS] = words
    return chunk


@kernel
def tokens_at(M, due):
    """The tokens of a due time; a new due time is pushed on the heap."""
    if M[T_TOKENS] != 0 and M[T_DUE] == due:
        return M[T_TOKENS]
    M[T_MAP] = map_grown(M, M[T_MAP])
    p = map_find(M, M[T_MAP], due)
    if M[p] == EMPTY:
        M[p] = due
        M[p + 1] = alloc(M, 4)
        M[M[p + 1]] = chunk_new(M, 0, SMALL)
        M[M[T_MAP] + MAP_N] += 1
        heap_push(M, due)
    M[T_DUE] = due
    M[T_TOKENS] = M[p + 1]
    return M[p + 1]


@inlined
def ring_at(M, due, group, slot):
    """Ring for this token once the watermark is at `due`."""
    tokens = tokens_at(M, due)
    chunk = M[tokens]
    n = M[chunk + C_N]
    if n == M[chunk + C_WORDS] - C_DATA:
        chunk = chunk_new(M, chunk, LARGE)
        M[tokens] = chunk
        n = 0
    M[chunk + C_DATA + n] = (slot << GROUP_BITS) | group
    M[chunk + C_N] = n + 1
    M[T_HELD] += 1


@kernel
def next_token(M):
    """The token that rings next; it stays. Only while there is one."""
    chunk = M[tokens_at(M, M[M[T_HEAP]])]
    return M[chunk + C_DATA + M[chunk + C_N] - 1]


@inlined
def ring_next(M):
    """Take the token that rings next."""
    due = M[M[T_HEAP]]
    tokens = tokens_at(M, due)
    chunk = M[tokens]
    n = M[chunk + C_N] - 1
    token = M[chunk + C_DATA + n]
    M[chunk + C_N] = n
    M[T_HELD] -= 1
    if n == 0:
        M[tokens] = M[chunk + C_OLDER]
        release(M, chunk, M[chunk + C_WORDS])
        if M[tokens] == 0:
            release(M, tokens, 4)
            map_remove(M, M[T_MAP], map_find(M, M[T_MAP], due))
            heap_pop(M)
            M[T_TOKENS] = 0
    return token
