# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Looking ahead: the state of keys that come soon is fetched while others are worked on. Keys lie anywhere in memory, so most of
what an event costs would else be waiting."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.jit import kernel, prefetch
from windows.kernel_history import data_of

ROOT, CHAIN, LEAF, DATA = 16, 12, 8, 4  # so many rows ahead what is found by what was fetched before
LINE = 8  # words that are fetched together


@kernel
def look_ahead(M, P, ROOTS, i, end, stream, slot):
    """Fetch what the rows after row i will read, step by step."""
    if i + ROOT < end and slot[i + ROOT] >= 0:
        prefetch(ROOTS, slot[i + ROOT])
    j = i + CHAIN
    if j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        root = ROOTS[slot[j]]
        words = P[P[w.P_ROUTES] + P[P[w.P_STREAMS] + stream[j] * w.ST_WORDS + w.ST_ROUTE]]
        for word in range(0, words, LINE):
            prefetch(M, root + word)
    j = i + LEAF
    if j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        chains_ahead(M, P, P[w.P_STREAMS] + stream[j] * w.ST_WORDS, ROOTS[slot[j]])
    j = i + DATA
    if j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        leaves_ahead(M, P, P[w.P_STREAMS] + stream[j] * w.ST_WORDS, ROOTS[slot[j]])


@kernel
def chains_ahead(M, P, st, root):
    """The newest slice; of a history its head, and the leaves where its sets' stretches begin."""
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


@kernel
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
