# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's state as words, and back: slices, the records of closed windows, histories, spans."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from compiled.kernel import kernel
from windows.kernels import tables
from windows.kernels import words as w
from windows.kernels.cells.pairs import HUGE
from windows.kernels.history.events import doc_note, event_room
from windows.kernels.history.tree import data_of
from windows.kernels.kinds.slices import needed, slice_find, slice_learn, slice_new
from windows.kernels.kinds.spans import span_put
from windows.kernels.memory.arena import BUMP, LIST_DATA, LIST_N, MEMO, SIZE, SLACK, WATERMARK, list_new, list_push, room
from windows.kernels.memory.codesets import value_at, values_add, values_count, values_span
from windows.kernels.results import judge
from windows.kernels.slots import ANYHOW, alike
from windows.kernels.tables import CELL_WORDS, cell_at, group_at, set_at
from windows.kernels.words import chain_at, keeper_at, memo_at, node_at, rowlist_at, slice_at, span_at

FAR = 1 << 60  # no saved time is further from 1970, ms


class Slices(NamedTuple):
    """Dumped slices. kinds: types of their cells; places: where each stands here, -1 nowhere; codes: of the dump's values here."""

    words: Any
    n: Any
    kinds: Any
    places: Any
    nkinds: Any
    codes: Any


@kernel
def plain_words(kind):
    """How many words a cell has that keeps nothing elsewhere."""
    if kind == tables.NUMBER:
        return w.NUMBER_WORDS
    return 1 if kind == tables.COUNT else 2


@kernel
def cell_words(M, kind, at):
    """How many words a cell takes in a dump."""
    if kind == tables.DISTINCT:
        return 1 + values_count(M, at)
    if kind == tables.QUANTILE:
        return 1 + (0 if M[at] == 0 else M[M[at] + LIST_N])
    return plain_words(kind)


@kernel
def cell_dump(M, kind, at, to, coded, n):
    """A cell's words, and in `coded` which of them are codes (of one set of values each; with ANYHOW where only that value
    counts): the next free word."""
    if kind == tables.DISTINCT or kind == tables.QUANTILE:
        to[n] = cell_words(M, kind, at) - 1
        coded[n] = -1
        n += 1
        if kind == tables.QUANTILE:
            for i in range(to[n - 1]):
                to[n + i] = M[M[at] + LIST_DATA + i]
                coded[n + i] = -1
            return n + to[n - 1]
        first = n
        begin, end = values_span(M, at)
        for p in range(begin, end):
            if value_at(M, at, p) >= 0:
                to[n] = value_at(M, at, p) | ANYHOW
                coded[n] = first
                n += 1
        return n
    size = plain_words(kind)
    for i in range(size):
        to[n + i] = M[at + i]
        coded[n + i] = -1
    if kind == tables.FIRST or kind == tables.LAST:
        coded[n + 1] = n
    return n + size


@kernel
def slices_size(core, g, root):
    """How many words the dump of a key's slices takes, at most."""
    M, P = core.M, core.P
    group = group_at(P, g)
    n = 0
    node = chain_at(M, root + group.chain).tail
    while node != 0:
        n += 2
        for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
            n += cell_words(M, cell_at(P, c).type, node + w.SLICE_CELLS + cell_at(P, c).at)
        node = slice_at(M, node).prev
    return n


@kernel
def slices_dump(core, g, root, mask, to, coded, n):
    """A key's slices that just these sets may read, the oldest first: words, and the set of values that each is a code of, -1 none.
    The next free word behind n."""
    M, P = core.M, core.P
    group = group_at(P, g)
    wm = judge(M, root, M[WATERMARK])
    node = chain_at(M, root + group.chain).tail
    while node != 0:
        if slice_at(M, node).mask == mask and needed(core, g, root, node, wm):
            to[n] = slice_at(M, node).begin
            to[n + 1] = slice_at(M, node).end
            coded[n] = -1
            coded[n + 1] = -1
            n += 2
            for c in range(group.cells, group.cells + group.ncells * CELL_WORDS, CELL_WORDS):
                n = cell_dump(M, cell_at(P, c).type, node + w.SLICE_CELLS + cell_at(P, c).at, to, coded, n)
        node = slice_at(M, node).prev
    return n


@kernel
def slices_masks(core, g, root, masks, most):
    """Which sets may read each slice, each once: how many."""
    M, P = core.M, core.P
    n = 0
    node = chain_at(M, root + group_at(P, g).chain).head
    while node != 0:
        i = 0
        while i < n and masks[i] != slice_at(M, node).mask:
            i += 1
        if i == n and n < most:
            masks[n] = slice_at(M, node).mask
            n += 1
        node = slice_at(M, node).next
    return n


@kernel
def slices_check(X, dumped, n, kinds, nkinds, ncodes):
    """Whether n words are dumped slices with cells of these kinds: times that rise, counts that count, codes that there are."""
    at = 0
    before = -FAR
    while at < n:
        if n - at < 2 or not before <= dumped[at] < dumped[at + 1] <= FAR:
            return False
        before = dumped[at]
        at += 2
        for j in range(nkinds):
            at = cell_check(X, dumped, at, n, kinds[j], ncodes)
            if at < 0:
                return False
    return True


@kernel
def cell_check(X, dumped, at, n, kind, ncodes):
    """Whether a cell of a dump is one: the next word, or -1."""
    if kind == tables.DISTINCT or kind == tables.QUANTILE:
        if at >= n or not 0 <= dumped[at] < n - at:
            return -1
        end = at + 1 + dumped[at]
        for i in range(at + 1, end):
            if (kind == tables.DISTINCT and not 0 <= dumped[i] < ncodes) or (kind == tables.QUANTILE and np.isnan(X[i])):
                return -1
        return end
    end = at + plain_words(kind)
    if end > n:
        return -1
    if (kind == tables.FIRST or kind == tables.LAST) and not (-FAR <= dumped[at] <= FAR and -1 <= dumped[at + 1] < ncodes):
        return -1
    if (kind == tables.COUNT or kind == tables.NUMBER) and not 0 <= dumped[at] < 2 * HUGE:
        return -1
    return end


@kernel
def slice_room(dump, n):
    """How much memory the dumped slice at word n takes beside its own: for values that cells keep elsewhere."""
    need = 0
    at = n + 2
    for j in range(dump.nkinds):
        kind = dump.kinds[j]
        if kind == tables.DISTINCT or kind == tables.QUANTILE:
            if dump.places[j] >= 0:  # a set of values grows by doubling
                need += (12 if kind == tables.DISTINCT else 2) * dump.words[at] + 256
            at += 1 + dump.words[at]
        else:
            at += plain_words(kind)
    return need


@kernel
def slices_load(core, g, root, dump, mask, begin):
    """Take up dumped slices, which just the sets of `mask` may read, from word `begin` on until memory is short: (the word where to
    go on, how much memory is asked for there)."""
    M = core.M
    m = M[MEMO] + group_at(core.P, g).memo
    n = begin
    need = 0
    while n < dump.n:
        need = slice_room(dump, n)
        if M[BUMP] + M[SLACK] + need >= M[SIZE]:
            break
        since, until = dump.words[n], dump.words[n + 1]
        _found, older = slice_find(M, chain_at(M, root + group_at(core.P, g).chain).head, since, until, -1)
        slice_learn(core, g, m, since, until)
        node = slice_new(core, g, root, m, older)
        slice_at(M, node).mask = mask
        n += 2
        for j in range(dump.nkinds):
            n = cell_load(M, dump, j, node + w.SLICE_CELLS + dump.places[j] if dump.places[j] >= 0 else 0, n)
    memo_at(M, m).begin = 0  # slices of other plans are not where this one has its own
    memo_at(M, m).end = 0
    return n, need


@kernel
def cell_load(M, dump, j, at, n):
    """The j-th cell of a dump to its place (0: to none): the next word."""
    kind = dump.kinds[j]
    if kind == tables.DISTINCT or kind == tables.QUANTILE:
        size = dump.words[n]
        if at != 0:
            for i in range(n + 1, n + 1 + size):
                if kind == tables.DISTINCT:
                    values_add(M, at, alike(dump.codes[dump.words[i]]))
                else:
                    M[at] = list_push(M, M[at] if M[at] != 0 else list_new(M, size), dump.words[i])
        return n + 1 + size
    size = plain_words(kind)
    if at != 0:
        for i in range(size):
            M[at + i] = dump.words[n + i]
        if (kind == tables.FIRST or kind == tables.LAST) and dump.words[n + 1] >= 0:
            M[at + 1] = dump.codes[dump.words[n + 1]]
    return n + size


@kernel
def spans_load(core, s, root, list_at, rows, i):
    """The next one, in order, of saved spans, into one of a set's lists."""
    M = core.M
    e = root + set_at(core.P, s).entity
    r = span_put(M, e + list_at, rowlist_at(M, e + list_at).n, rows[i * w.SPAN_SAVED])
    for word in range(w.SPAN_SAVED):
        M[r + word] = rows[i * w.SPAN_SAVED + word]
    keeper_at(M, e).lates += span_at(M, r).late


@kernel
def history_load(core, g, h, rows, begin, n):
    """n dumped events into a history, from row `begin` on until memory is short: where to go on."""
    M, P = core.M, core.P
    ncols = group_at(P, g).ncolumns
    for i in range(begin, n):
        if not room(M):
            return i
        leaf, place = event_room(core, g, h, rows[i * ncols])
        for c in range(1, ncols):
            M[leaf + data_of(core, g) + c * node_at(M, leaf).cap + place] = rows[i * ncols + c]
        doc_note(core, g, h, leaf, place)
    return n
