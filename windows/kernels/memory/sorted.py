# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Sorted numbers, equal ones as often as they come: one list while they are few, lists under a tree that counts them when not.

A number goes in and out, and is found by its rank, in O(log n), at most 509 words moved. A node has children of one kind, how many
numbers are under each, and for each but the last a bound: no number under it is greater, none under the next one is less. So the
first number not less than x is under the first child whose bound is not less, or else it is the next one's first. Lists and nodes
tell apart by their first word, a list's capacity or less the node's height. Where a number goes, small neighbours are joined; two
that were not fill half of one at least. So m numbers take less than 5 m words and a few blocks, however they came and went:
columnar/room.py counts on it.
"""

from __future__ import annotations

import numpy as np

from compiled.kernel import kernel
from windows.kernels.memory.arena import LIST_CAP, LIST_DATA, LIST_N, alloc, list_new, list_push, release
from windows.kernels.memory.rising import first_from

LIST, MOST = 510, 509  # numbers that a list has room for, and holds: a word is free for what comes behind the last one
NODE, FAN = 128, 42
T_HEIGHT, T_N, T_CHILD, T_COUNT, T_BOUND = 0, 1, 2, 2 + FAN, 2 + 2 * FAN  # T_N is LIST_N too: what a block holds


@kernel
def sorted_count(M, at):
    """How many numbers there are, so that a rank can be told from a share."""
    n = M[at + LIST_N] if M[at] > 0 else 0
    for i in range(M[at + T_N] if M[at] < 0 else 0):
        n += M[at + T_COUNT + i]
    return n


@kernel
def sorted_item(M, at, rank):
    """Where the number of a rank stands; there must be one."""
    while M[at] < 0:
        i, rank = under(M, at, rank)
        at = M[at + T_CHILD + i]
    return at + LIST_DATA + rank


@kernel
def sorted_quantile(M, X, at, q):
    """As of a list: what comes after the last number of one is laid behind it, where a word is free."""
    if M[at] > 0:
        return between(X, at + LIST_DATA, M[at + LIST_N], q)
    n = sorted_count(M, at)
    low = int(np.floor((n - 1) * q))
    place = sorted_item(M, at, low)
    if low + 1 < n:
        X[place + 1] = X[sorted_item(M, at, low + 1)]
    return between(X, place - low, n, q)


@kernel
def under(M, node, rank):
    """(which child the number of a rank is under, its rank there)."""
    i = 0
    while rank >= M[node + T_COUNT + i]:
        rank -= M[node + T_COUNT + i]
        i += 1
    return i, rank


@kernel
def sorted_rank(M, X, at, x):
    """How many numbers are less than x: the rank of the first that is equal to it."""
    rank = 0
    while M[at] < 0:
        i = first_from(X, at + T_BOUND, M[at + T_N] - 1, x)
        for j in range(i):
            rank += M[at + T_COUNT + j]
        at = M[at + T_CHILD + i]
    return rank + first_from(X, at + LIST_DATA, M[at + LIST_N], x)


@kernel
def sorted_put(M, X, at, x):
    """One more number: where they are now. What is full on the way down is split, so that no split goes up again."""
    if at == 0:
        at = list_new(M, 6)  # it doubles, with its two words
    if M[at] > 0 and M[at + LIST_N] < MOST:
        return list_put(M, X, at, x)
    if M[at] > 0 or M[at + T_N] == FAN:
        top = alloc(M, NODE)
        M[top + T_HEIGHT] = min(M[at], 0) - 1
        M[top + T_N] = 1
        M[top + T_CHILD] = at
        M[top + T_COUNT] = sorted_count(M, at)
        at = top
    node = at
    while M[node] < 0:
        i = first_from(X, node + T_BOUND, M[node + T_N] - 1, x)
        if M[M[node + T_CHILD + i] + LIST_N] == (MOST if M[node + T_HEIGHT] == -1 else FAN):
            split(M, X, node, i)
            i += X[node + T_BOUND + i] < x
        M[node + T_COUNT + i] += 1
        node = M[node + T_CHILD + i]
    list_put(M, X, node, x)
    return at


@kernel
def list_put(M, X, values, x):
    """One more number into a list that has room for it, or grows."""
    values = list_push(M, values, 0)
    n = M[values + LIST_N] - 1
    place = first_from(X, values + LIST_DATA, n, x)
    for j in range(values + LIST_DATA + n, values + LIST_DATA + place, -1):
        X[j] = X[j - 1]
    X[values + LIST_DATA + place] = x
    return values


@kernel
def split(M, X, node, i):
    """The upper half of a full child goes to a new one behind it. The node must have room."""
    child = M[node + T_CHILD + i]
    n = M[child + LIST_N]
    half = n >> 1
    if M[child] > 0:
        new = list_new(M, LIST)
        for j in range(n - half):
            X[new + LIST_DATA + j] = X[child + LIST_DATA + half + j]
        bound = X[child + LIST_DATA + half - 1]
    else:
        new = alloc(M, NODE)
        M[new + T_HEIGHT] = M[child + T_HEIGHT]
        children_move(M, X, new, 0, child, half, n - half)
        bound = X[child + T_BOUND + half - 1]
    M[child + LIST_N] = half
    M[new + LIST_N] = n - half
    for j in range(M[node + T_N], i + 1, -1):
        children_move(M, X, node, j, node, j - 1, 1)
    M[node + T_N] += 1
    X[node + T_BOUND + i + 1] = X[node + T_BOUND + i]
    X[node + T_BOUND + i] = bound
    M[node + T_CHILD + i + 1] = new
    M[node + T_COUNT + i + 1] = sorted_count(M, new)
    M[node + T_COUNT + i] -= M[node + T_COUNT + i + 1]


@kernel
def children_move(M, X, to, i, node, j, n):
    """n children of a node from place j on, to another place or node; from low places to high ones."""
    for k in range(n):
        M[to + T_CHILD + i + k] = M[node + T_CHILD + j + k]
        M[to + T_COUNT + i + k] = M[node + T_COUNT + j + k]
        X[to + T_BOUND + i + k] = X[node + T_BOUND + j + k]


@kernel
def sorted_drop(M, X, at, x):
    """A number that is there goes: where the others are now. Small neighbours are joined on the way down."""
    rank = sorted_rank(M, X, at, x)
    node = at
    while M[node] < 0:
        i, inside = under(M, node, rank)
        if joined_near(M, X, node, i):
            i, inside = under(M, node, rank)
        M[node + T_COUNT + i] -= 1
        node = M[node + T_CHILD + i]
        rank = inside
    n = M[node + LIST_N] - 1
    for j in range(node + LIST_DATA + rank, node + LIST_DATA + n):
        X[j] = X[j + 1]
    M[node + LIST_N] = n
    while M[at] < 0 and M[at + T_N] == 1:
        node = M[at + T_CHILD]
        block_free(M, at)
        at = node
    return at


@kernel
def held(M, node, i):
    """What a child's block holds; of a list it is known without a look at it."""
    return M[node + T_COUNT + i] if M[node + T_HEIGHT] == -1 else M[M[node + T_CHILD + i] + T_N]


@kernel
def joined_near(M, X, node, i):
    """Join a child with a neighbour, if both fill three quarters of a block at most. Whether that was done."""
    most = (MOST if M[node + T_HEIGHT] == -1 else FAN) * 3 // 4
    if held(M, node, i) > most:
        return False
    for left in range(max(i - 1, 0), min(i + 1, M[node + T_N] - 1)):
        if held(M, node, left) + held(M, node, left + 1) <= most:
            join(M, X, node, left)
            return True
    return False


@kernel
def join(M, X, node, i):
    """All of the child behind goes into this one."""
    left = M[node + T_CHILD + i]
    right = M[node + T_CHILD + i + 1]
    n = M[left + LIST_N]
    if M[left] > 0:
        for j in range(M[right + LIST_N]):
            X[left + LIST_DATA + n + j] = X[right + LIST_DATA + j]
    else:
        X[left + T_BOUND + n - 1] = X[node + T_BOUND + i]
        children_move(M, X, left, n, right, 0, M[right + T_N])
    M[left + LIST_N] = n + M[right + LIST_N]
    block_free(M, right)
    M[node + T_COUNT + i] += M[node + T_COUNT + i + 1]
    X[node + T_BOUND + i] = X[node + T_BOUND + i + 1]
    M[node + T_N] -= 1
    children_move(M, X, node, i + 1, node, i + 2, M[node + T_N] - i - 1)


@kernel
def sorted_free(M, at):
    """Give back all blocks: from the last child of the last node on."""
    while M[at] < 0 and M[at + T_N] > 0:
        node = at
        last = M[at + T_CHILD + M[at + T_N] - 1]
        while M[last] < 0 and M[last + T_N] > 0:
            node = last
            last = M[node + T_CHILD + M[node + T_N] - 1]
        block_free(M, last)
        M[node + T_N] -= 1
    block_free(M, at)


@kernel
def block_free(M, at):
    release(M, at, NODE if M[at] < 0 else LIST_DATA + M[at + LIST_CAP])


@kernel
def between(values, at, k, q):
    """The quantile of k sorted values from values[at] on, linear between neighbours."""
    if k == 0:
        return np.nan
    place = (k - 1) * q
    low = int(np.floor(place))
    a = values[at + low]
    b = values[at + min(low + 1, k - 1)]
    part = place - low
    if np.isinf(b - a):
        return a * (1 - part) + b * part
    return a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)
