# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's state as words, and back."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import EMPTY, LIST_DATA, LIST_N, MAP_DATA, MAP_MASK, MEMO, WATERMARK, list_new, list_push, room
from windows.jit import kernel
from windows.kernel_close import needed
from windows.kernel_emit import judge
from windows.kernel_events import event_room
from windows.kernel_grid import record
from windows.kernel_history import data_of
from windows.kernel_kept_events import doc_note
from windows.kernel_slices import slice_find, slice_learn, slice_new
from windows.kernel_values import values_add, values_count


@kernel
def plain_words(kind):
    """How many words a cell has that keeps nothing elsewhere."""
    if kind == w.STATS:
        return w.X_WORDS
    return 1 if kind == w.CNT else 2


@kernel
def cell_words(M, kind, at):
    """How many words a cell takes in a dump."""
    if kind == w.DISTINCT:
        return 1 + values_count(M, at)
    if kind == w.QUANT:
        return 1 + (0 if M[at] == 0 else M[M[at] + LIST_N])
    return plain_words(kind)


@kernel
def cell_dump(M, kind, at, words, coded, n):
    """A cell's words, and in `coded` which of them are codes (of one set of values each): the next free word."""
    if kind == w.DISTINCT or kind == w.QUANT:
        size = cell_words(M, kind, at) - 1
        words[n] = size
        coded[n] = -1
        n += 1
        if size == 0:
            return n
        for i in range(n, n + size):
            coded[i] = n if kind == w.DISTINCT else -1
        if M[at] > 0:
            first = at + 1 if kind == w.DISTINCT and M[at] <= w.INLINE else M[at] + LIST_DATA
            for i in range(size):
                words[n + i] = M[first + i]
            return n + size
        values = -M[at]
        for p in range(values + MAP_DATA, values + MAP_DATA + 2 * (M[values + MAP_MASK] + 1), 2):
            if M[p] != EMPTY:
                words[n] = M[p]
                n += 1
        return n
    size = cell_words(M, kind, at)
    for i in range(size):
        words[n + i] = M[at + i]
        coded[n + i] = -1
    if kind == w.FIRST or kind == w.LAST:
        coded[n + 1] = n
    return n + size


@kernel
def slices_size(M, P, Z, g, root, mask):
    """(how many words the dump of a key's slices takes that just these sets may read, where the newest ends)."""
    n = 0
    newest = w.LONG_AGO
    wm = judge(M, root, M[WATERMARK])
    node = M[root + P[g + w.G_CHAIN] + 1]
    while node != 0:
        if M[node + w.L_MASK] == mask and needed(M, P, Z, g, root, node, wm):
            newest = M[node + w.L_TO]
            n += 2
            for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
                n += cell_words(M, P[c + w.C_TYPE], node + w.L_CELLS + P[c + w.C_AT])
        node = M[node + w.L_PREV]
    return n, newest


@kernel
def slices_dump(M, P, Z, g, root, mask, words, coded):
    """Those slices, the oldest first: words, and the set of values that each is a code of, -1 none."""
    n = 0
    wm = judge(M, root, M[WATERMARK])
    node = M[root + P[g + w.G_CHAIN] + 1]
    while node != 0:
        if M[node + w.L_MASK] == mask and needed(M, P, Z, g, root, node, wm):
            words[n] = M[node + w.L_FROM]
            words[n + 1] = M[node + w.L_TO]
            coded[n] = -1
            coded[n + 1] = -1
            n += 2
            for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
                n = cell_dump(M, P[c + w.C_TYPE], node + w.L_CELLS + P[c + w.C_AT], words, coded, n)
        node = M[node + w.L_PREV]


@kernel
def slices_masks(M, P, g, root, masks, most):
    """Which sets may read each slice, each once: how many."""
    n = 0
    node = M[root + P[g + w.G_CHAIN]]
    while node != 0:
        i = 0
        while i < n and masks[i] != M[node + w.L_MASK]:
            i += 1
        if i == n and n < most:
            masks[n] = M[node + w.L_MASK]
            n += 1
        node = M[node + w.L_NEXT]
    return n


@kernel
def slices_load(M, X, P, Z, g, root, words, nwords, kinds, places, nkinds, codes, mask):
    """Take up dumped slices. kinds: of the cells in the dump; places: where each stands here, -1 nowhere; codes: of those there."""
    n = 0
    m = M[MEMO] + P[g + w.G_MEMO]
    while n < nwords:
        _found, older = slice_find(M, M[root + P[g + w.G_CHAIN]], words[n], words[n + 1], -1)
        slice_learn(M, P, Z, g, m, words[n], words[n + 1])
        node = slice_new(M, X, P, g, root, m, older)
        M[node + w.L_MASK] = mask
        n += 2
        for j in range(nkinds):
            n = cell_load(M, kinds[j], node + w.L_CELLS + places[j] if places[j] >= 0 else 0, words, n, codes)
    M[m + w.MEMO_FROM] = 0  # slices of other plans are not where this one has its own
    M[m + w.MEMO_TO] = 0


@kernel
def cell_load(M, kind, at, words, n, codes):
    """One cell of a dump to its place (0: to none): the next word."""
    if kind == w.DISTINCT or kind == w.QUANT:
        size = words[n]
        if at != 0:
            for i in range(n + 1, n + 1 + size):
                if kind == w.DISTINCT:
                    values_add(M, at, codes[words[i]])
                else:
                    M[at] = list_push(M, M[at] if M[at] != 0 else list_new(M, size), words[i])
        return n + 1 + size
    size = plain_words(kind)
    if at != 0:
        for i in range(size):
            M[at + i] = words[n + i]
        if (kind == w.FIRST or kind == w.LAST) and words[n + 1] >= 0:
            M[at + 1] = codes[words[n + 1]]
    return n + size


@kernel
def records_dump(M, P, Z, s, root, rows):
    """Number, revision, late and cause of a set's closed windows: how many."""
    e = root + P[s + w.S_ENT]
    for i in range(M[e + w.E_N]):
        for c in range(4):
            rows[4 * i + c] = M[record(M, e, i) + c]
    return M[e + w.E_N]


@kernel
def history_dump(M, P, g, h, rows):
    """A history's events, a row each: its columns."""
    ncols = P[g + w.G_NCOLS]
    leaf = M[h + w.H_FIRST]
    n = 0
    while leaf != 0:
        for i in range(M[leaf + w.N_N]):
            for c in range(ncols):
                rows[n] = M[leaf + data_of(P, g) + c * M[leaf + w.N_CAP] + i]
                n += 1
        leaf = M[leaf + w.N_NEXT]


@kernel
def history_load(M, P, g, h, rows, begin, n):
    """n dumped events into a history, from row `begin` on until memory is short: where to go on."""
    ncols = P[g + w.G_NCOLS]
    for i in range(begin, n):
        if not room(M):
            return i
        leaf, place = event_room(M, P, g, h, rows[i * ncols])
        for c in range(1, ncols):
            M[leaf + data_of(P, g) + c * M[leaf + w.N_CAP] + place] = rows[i * ncols + c]
        doc_note(M, P, g, h, leaf, place)
    return n
