# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Looking ahead: the state of keys that come soon is fetched while others are worked on. Keys lie anywhere in memory, so most of
what an event costs would else be waiting."""

from __future__ import annotations

from compiled.kernel import inlined, prefetch
from windows.kernels import words as w
from windows.kernels.history.tree import data_of
from windows.kernels.memory.arena import LINE, T_TOKENS
from windows.kernels.memory.timers import C_DATA, C_N, GROUP_BITS

ROOT, CHAIN, LEAF, DATA = 16, 12, 8, 4  # so many rows ahead what is found by what was fetched before
FURTHEST = ROOT


@inlined
def look_ahead(M, P, ROOTS, i, begin, end, stream, slot):
    """Fetch what the rows after row i will read, step by step."""
    j = i + ROOT
    if j < end and slot[j] >= 0:
        prefetch(ROOTS, slot[j])
    j = i + CHAIN
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        root = ROOTS[slot[j]]
        words = P[P[w.P_ROUTES] + P[P[w.P_STREAMS] + stream[j] * w.ST_WORDS + w.ST_ROUTE]]
        for word in range(0, words, LINE):
            prefetch(M, root + word)
    j = i + LEAF
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        chains_ahead(M, P, P[w.P_STREAMS] + stream[j] * w.ST_WORDS, ROOTS[slot[j]])
    j = i + DATA
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        leaves_ahead(M, P, P[w.P_STREAMS] + stream[j] * w.ST_WORDS, ROOTS[slot[j]])


@inlined
def chains_ahead(M, P, st, root):
    """The newest slice; of a history its head, the leaves where its sets' stretches begin, and what they count."""
    for j in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + j]
        head = M[root + P[g + w.G_CHAIN]]
        if head == 0:
            continue
        prefetch(M, head)
        prefetch(M, head + LINE)
        if P[g + w.G_KIND] == w.HISTORY:
            for n in range(P[g + w.G_NSETS]):
                e = root + P[P[P[g + w.G_SETS] + n] + w.S_ENT]
                if M[e + w.E_LEFT] != 0:
                    prefetch(M, M[e + w.E_LEFT])
                    prefetch(M, M[e + w.E_MIDDLE])
                    for inc in range(P[P[P[g + w.G_SETS] + n] + w.S_NINC]):
                        prefetch(M, M[e + w.E_INC + inc])


@inlined
def leaves_ahead(M, P, st, root):
    """The newest leaf, and the data of those where stretches begin."""
    for j in range(P[st + w.ST_NGROUPS]):
        g = P[P[st + w.ST_GROUPS] + j]
        head = M[root + P[g + w.G_CHAIN]]
        if head == 0 or P[g + w.G_KIND] != w.HISTORY:
            continue
        D = data_of(P, g)
        leaf = M[head + w.H_LAST]
        prefetch(M, leaf)
        for c in range(P[g + w.G_NCOLS]):
            prefetch(M, leaf + D + c * w.LEAF)
        for n in range(P[g + w.G_NSETS]):
            e = root + P[P[P[g + w.G_SETS] + n] + w.S_ENT]
            if M[e + w.E_LEFT] != 0:
                for c in range(P[g + w.G_NCOLS]):
                    prefetch(M, M[e + w.E_LEFT] + D + c * w.LEAF + w.LEAF // 2)


@inlined
def rings_ahead(M, P, ROOTS):
    """Fetch what the timers that ring next, at the same time, will look at."""
    if M[T_TOKENS] == 0:
        return
    chunk = M[M[T_TOKENS]]
    last = chunk + C_DATA + M[chunk + C_N] - 1
    if last - ROOT >= chunk + C_DATA:
        prefetch(ROOTS, M[last - ROOT] >> GROUP_BITS)
    if last - CHAIN >= chunk + C_DATA:
        root = ROOTS[M[last - CHAIN] >> GROUP_BITS]
        g = P[P[w.P_GROUPS] + (M[last - CHAIN] & ((1 << GROUP_BITS) - 1))]
        if root != 0:
            prefetch(M, root)
            for word in range(root + P[g + w.G_CHAIN], root + P[g + w.G_CHAIN] + P[g + w.G_ROOT] + LINE - 1, LINE):
                prefetch(M, word)
    if last - LEAF >= chunk + C_DATA:
        ring_ahead(M, P, ROOTS, M[last - LEAF], 0)
    if last - DATA >= chunk + C_DATA:
        ring_ahead(M, P, ROOTS, M[last - DATA], 1)


@inlined
def ring_ahead(M, P, ROOTS, token, further):
    """The slices, or the leaf, where a token's sets go on; further: the next slice after that, or the last leaf."""
    g = P[P[w.P_GROUPS] + (token & ((1 << GROUP_BITS) - 1))]
    root = ROOTS[token >> GROUP_BITS]
    if root == 0 or M[root + w.R_ROUTE] != P[g + w.G_ROUTE]:
        return
    head = M[root + P[g + w.G_CHAIN]]
    if P[g + w.G_KIND] == w.HISTORY and head != 0:
        node_ahead(M, M[head + w.H_LAST] if further else head, 4 * LINE if further else w.H_WORDS)
    for n in range(P[g + w.G_NSETS]):
        s = P[P[g + w.G_SETS] + n]
        e = root + P[s + w.S_ENT]
        if P[s + w.S_KIND] == w.GRID:
            node = M[e + w.E_FINGER]
            if node != 0 and further:
                node = M[node + w.L_PREV]
            if node != 0:
                node_ahead(M, node, w.L_CELLS + P[g + w.G_CELLWORDS] + P[g + w.G_NSETS])
        elif P[s + w.S_KIND] == w.ROLLING and not further and M[e + w.E_LEFT] != 0:
            node_ahead(M, M[e + w.E_LEFT], 4 * LINE)


@inlined
def node_ahead(M, node, words):
    """The first words of a slice or a leaf, or a history's head."""
    for word in range(node, node + words, LINE):
        prefetch(M, word)
