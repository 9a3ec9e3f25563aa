# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Looking ahead: the state of keys that come soon is fetched while others are worked on. Keys lie anywhere in memory, so most of
what an event costs would else be waiting."""

from __future__ import annotations

from compiled.kernel import inlined
from compiled.pointers import prefetch
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.history.tree import data_of
from windows.kernels.memory.arena import LINE, T_TOKENS
from windows.kernels.memory.timers import C_DATA, C_N, GROUP_BITS
from windows.kernels.tables import STREAM_WORDS, group_at, plan_of, set_at, stream_at
from windows.kernels.words import chain_at, grid_at, history_at, rolling_at, root_at, slice_at

ROOT, CHAIN, LEAF, DATA = 16, 12, 8, 4  # so many rows ahead what is found by what was fetched before
FURTHEST = ROOT


@inlined
def look_ahead(core, rows, i, begin, end):
    """Fetch what the rows after row i will read, step by step."""
    M, P, ROOTS = core.M, core.P, core.ROOTS
    stream, slot = rows.stream, rows.slot
    j = i + ROOT
    if j < end and slot[j] >= 0:
        prefetch(ROOTS, slot[j])
    j = i + CHAIN
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        root = ROOTS[slot[j]]
        words = P[plan_of(P).routes + stream_at(P, plan_of(P).streams + stream[j] * STREAM_WORDS).route]
        for word in range(0, words, LINE):
            prefetch(M, root + word)
    j = i + LEAF
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        chains_ahead(core, plan_of(P).streams + stream[j] * STREAM_WORDS, ROOTS[slot[j]])
    j = i + DATA
    if begin <= j < end and slot[j] >= 0 and ROOTS[slot[j]] != 0:
        leaves_ahead(core, plan_of(P).streams + stream[j] * STREAM_WORDS, ROOTS[slot[j]])


@inlined
def chains_ahead(core, st, root):
    """The newest slice; of a history its head, the leaves where its sets' stretches begin, and what they count."""
    M, P = core.M, core.P
    stream = stream_at(P, st)
    for j in range(stream.ngroups):
        g = P[stream.groups + j]
        group = group_at(P, g)
        head = chain_at(M, root + group.chain).head
        if head == 0:
            continue
        prefetch(M, head)
        prefetch(M, head + LINE)
        if group.kind == tables.ROLLING:
            for n in range(group.nsets):
                e = root + set_at(P, P[group.sets + n]).entity
                if rolling_at(M, e).left != 0:
                    prefetch(M, rolling_at(M, e).left)
                    prefetch(M, rolling_at(M, e).middle)
                    for inc in range(set_at(P, P[group.sets + n]).nmoving):
                        prefetch(M, M[e + w.ROLLING_WORDS + inc])


@inlined
def leaves_ahead(core, st, root):
    """The newest leaf, and the data of those where stretches begin."""
    M, P = core.M, core.P
    stream = stream_at(P, st)
    for j in range(stream.ngroups):
        g = P[stream.groups + j]
        group = group_at(P, g)
        head = chain_at(M, root + group.chain).head
        if head == 0 or group.kind != tables.ROLLING:
            continue
        D = data_of(core, g)
        leaf = history_at(M, head).last
        prefetch(M, leaf)
        for c in range(group.ncolumns):
            prefetch(M, leaf + D + c * w.LEAF)
        for n in range(group.nsets):
            e = root + set_at(P, P[group.sets + n]).entity
            if rolling_at(M, e).left != 0:
                for c in range(group.ncolumns):
                    prefetch(M, rolling_at(M, e).left + D + c * w.LEAF + w.LEAF // 2)


@inlined
def rings_ahead(core):
    """Fetch what the timers that ring next, at the same time, will look at."""
    M, P, ROOTS = core.M, core.P, core.ROOTS
    if M[T_TOKENS] == 0:
        return
    chunk = M[M[T_TOKENS]]
    last = chunk + C_DATA + M[chunk + C_N] - 1
    if last - ROOT >= chunk + C_DATA:
        prefetch(ROOTS, M[last - ROOT] >> GROUP_BITS)
    if last - CHAIN >= chunk + C_DATA:
        root = ROOTS[M[last - CHAIN] >> GROUP_BITS]
        g = P[plan_of(P).groups + (M[last - CHAIN] & ((1 << GROUP_BITS) - 1))]
        group = group_at(P, g)
        if root != 0:
            prefetch(M, root)
            for word in range(root + group.chain, root + group.chain + group.root_words + LINE - 1, LINE):
                prefetch(M, word)
    if last - LEAF >= chunk + C_DATA:
        ring_ahead(core, M[last - LEAF], 0)
    if last - DATA >= chunk + C_DATA:
        ring_ahead(core, M[last - DATA], 1)


@inlined
def ring_ahead(core, token, further):
    """The slices, or the leaf, where a token's sets go on; further: the next slice after that, or the last leaf."""
    M, P, ROOTS = core.M, core.P, core.ROOTS
    g = P[plan_of(P).groups + (token & ((1 << GROUP_BITS) - 1))]
    group = group_at(P, g)
    root = ROOTS[token >> GROUP_BITS]
    if root == 0 or root_at(M, root).route != group.route:
        return
    head = chain_at(M, root + group.chain).head
    if group.kind == tables.ROLLING and head != 0:
        node_ahead(M, history_at(M, head).last if further else head, 4 * LINE if further else LINE)
    for n in range(group.nsets):
        s = P[group.sets + n]
        spec = set_at(P, s)
        e = root + spec.entity
        if spec.kind == tables.GRID:
            node = grid_at(M, e).finger
            if node != 0 and further:
                node = slice_at(M, node).prev
            if node != 0:
                node_ahead(M, node, w.SLICE_CELLS + group.cell_words + group.nsets)
        elif spec.kind == tables.ROLLING and not further and rolling_at(M, e).left != 0:
            node_ahead(M, rolling_at(M, e).left, 4 * LINE)


@inlined
def node_ahead(M, node, words):
    """The first words of a slice or a leaf, or a history's head."""
    for word in range(node, node + words, LINE):
        prefetch(M, word)
