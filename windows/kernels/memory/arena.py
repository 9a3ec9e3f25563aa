# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""One growing memory of 8-byte words for all state of an engine, and what can be built of it: blocks, hash maps, growing lists.

`M` is int64, `X` the same memory as float64; inside kernels both are bare addresses (see compiled/pointers.py). A "pointer" is a
word's index in M, 0 is none. Blocks come in classes: multiples of a cache line up to 128 words, then four sizes between a power of
two and the next, each with a line more for what stands in front of so many items; a freed block goes to its class's list and is
used again. The memory never grows inside a kernel: a kernel asks `room` before each thing that it does, and returns to Python to
have it grown.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import kernel

# words of the head of M
BUMP = 0  # first word never used
SLACK = 1  # most words that one thing may ask for, beside growing blocks
GROWERS = 2  # how many blocks one thing may double
BIGGEST = 3  # the largest block so far
USED = 4  # words in use
WATERMARK = 5
CAUSE = 6  # what moved the watermark last
STEP = 7  # number of this step
DOCS = 8  # documents changed in this step
CROWD = 9  # most events that a history has had
T_HEAP, T_CAP, T_N = 10, 11, 12  # heap of due times
T_MAP = 13  # map of due time -> its tokens
T_DUE, T_TOKENS = 14, 15  # the due time that was armed last, and its tokens; 0 where they are gone
UNIQUE = 16  # counts distinct values of a join of windows
ACC = 17  # cells of the window at hand
MEMO = 18  # what is known of the slice that was asked for last, a row each group
EPOCHS = 19  # counts changes of histories
TIGHT = 20  # whether results are short of room
ENTRY_WM = 22  # the watermark at the start of this step
LONGEST = 21  # most slices that a key has had
AN_EVENT = 23  # words that one thing may ask for, for each event of a history
SIZE, SCRATCH = 24, 26  # words in the arena, in the scratch
T_HELD = 25  # tokens of timers, also of those that ring for nobody any more
FREE = 27  # lists of free blocks, one a class from 1 on
CLASSES = 16 + 4 * 40
HEAD = FREE + CLASSES + 1

LINE = 8  # words that come from memory together: blocks begin with such a line
EMPTY = np.iinfo(np.int64).min  # no key in a map
# words of a map: [capacity - 1, entries, then (key, value) pairs]
MAP_MASK, MAP_N, MAP_DATA = 0, 1, 2
# words of a list: [capacity, length, items]
LIST_CAP, LIST_N, LIST_DATA = 0, 1, 2


@kernel
def class_of(words):
    if words <= 128:
        return (words + 7) >> 3
    c = 16
    base = 128
    while 2 * base + LINE < words:
        base <<= 1
        c += 4
    return c + max((words - LINE - base + (base >> 2) - 1) // (base >> 2), 1)


@kernel
def words_of(c):
    if c <= 16:
        return c << 3
    base = np.int64(128) << ((c - 17) >> 2)
    return base + (((c - 17) & 3) + 1) * (base >> 2) + LINE


@kernel
def alloc(M, words):
    """A block of at least so many words; what is in it is anything."""
    c = class_of(words)
    at = M[FREE + c]
    size = words_of(c)
    M[USED] += size
    if at != 0:
        M[FREE + c] = M[at]
        return at
    at = M[BUMP]
    M[BUMP] = at + size
    if size > M[BIGGEST]:
        M[BIGGEST] = size
    return at


@kernel
def release(M, at, words):
    """Give back a block that was asked for with so many words."""
    c = class_of(words)
    M[at] = M[FREE + c]
    M[FREE + c] = at
    M[USED] -= words_of(c)


@kernel
def room(M):
    """Whether the next thing has memory, whatever it is."""
    return M[BUMP] + M[SLACK] + min(M[GROWERS] * 2 * M[BIGGEST], 2 * M[USED]) + M[AN_EVENT] * M[CROWD] < M[SIZE]


@kernel
def mix(key):
    """Spreads a key's bits (Murmur's finaliser)."""
    h = np.uint64(np.int64(key))
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(29)
    return np.int64(h & np.uint64(0x7FFFFFFFFFFFFFFF))


@kernel
def map_new(M, capacity):
    at = alloc(M, MAP_DATA + 2 * capacity)
    M[at + MAP_MASK] = capacity - 1
    M[at + MAP_N] = 0
    for i in range(capacity):
        M[at + MAP_DATA + 2 * i] = EMPTY
    return at


@kernel
def map_free(M, at):
    release(M, at, MAP_DATA + 2 * (M[at + MAP_MASK] + 1))


@kernel
def map_find(M, at, key):
    """Where the key's pair stands, or the free place for it."""
    mask = M[at + MAP_MASK]
    i = mix(key) & mask
    while True:
        p = at + MAP_DATA + 2 * i
        if M[p] == key or M[p] == EMPTY:
            return p
        i = (i + 1) & mask


@kernel
def map_grown(M, at):
    """The map with room for one more key (a new one, if it had to grow)."""
    mask = M[at + MAP_MASK]
    if 4 * (M[at + MAP_N] + 1) <= 3 * (mask + 1):
        return at
    new = map_new(M, 2 * (mask + 1))
    M[new + MAP_N] = M[at + MAP_N]
    for i in range(mask + 1):
        p = at + MAP_DATA + 2 * i
        if M[p] != EMPTY:
            q = map_find(M, new, M[p])
            M[q] = M[p]
            M[q + 1] = M[p + 1]
    map_free(M, at)
    return new


@kernel
def map_remove(M, at, p):
    """Take out the pair at p, and close the gap (Knuth 6.4, algorithm R)."""
    mask = M[at + MAP_MASK]
    base = at + MAP_DATA
    M[at + MAP_N] -= 1
    hole = (p - base) >> 1
    j = hole
    while True:
        j = (j + 1) & mask
        q = base + 2 * j
        if M[q] == EMPTY:
            break
        home = mix(M[q]) & mask
        if ((j - home) & mask) >= ((j - hole) & mask):
            M[base + 2 * hole] = M[q]
            M[base + 2 * hole + 1] = M[q + 1]
            hole = j
    M[base + 2 * hole] = EMPTY


@kernel
def list_new(M, capacity):
    at = alloc(M, LIST_DATA + capacity)
    M[at + LIST_CAP] = capacity
    M[at + LIST_N] = 0
    return at


@kernel
def list_free(M, at):
    release(M, at, LIST_DATA + M[at + LIST_CAP])


@kernel
def list_push(M, at, item):
    """The list (a new one, if it had to grow) with the item at its end."""
    n = M[at + LIST_N]
    if n == M[at + LIST_CAP]:
        new = list_new(M, 2 * n + 2)
        for i in range(n):
            M[new + LIST_DATA + i] = M[at + LIST_DATA + i]
        list_free(M, at)
        at = new
    M[at + LIST_DATA + n] = item
    M[at + LIST_N] = n + 1
    return at
