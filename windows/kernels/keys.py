# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""A key's state as words, and back."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.dues import judge, set_due
from windows.kernels.history.events import doc_note, event_room
from windows.kernels.history.moving import inc_free
from windows.kernels.history.tree import data_of, history_free
from windows.kernels.kinds.grid import needed, record, slice_find, slice_learn, slice_new, slices_forget
from windows.kernels.kinds.spans import kept_free
from windows.kernels.memory.arena import (
    EMPTY,
    LIST_DATA,
    LIST_N,
    MAP_DATA,
    MAP_MASK,
    MEMO,
    T_HEAP,
    T_N,
    WATERMARK,
    list_new,
    list_push,
    release,
    room,
)
from windows.kernels.memory.codesets import values_add, values_count
from windows.kernels.memory.timers import GROUP_BITS, next_token, ring_next
from windows.kernels.results import arm


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


# A key's end, and when something happens first.
@kernel
def key_wipe(M, P, root):
    """Forget all windows of a fixed grid at a key."""
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE] or P[s + w.S_KIND] != w.GRID:
            continue
        slices_forget(M, P, g, root, w.NONE)
        e = root + P[s + w.S_ENT]
        if M[e + w.E_CAP] > 0:
            release(M, M[e + w.E_RECORDS], w.W_WORDS * M[e + w.E_CAP])
        M[e + w.E_CAP] = 0
        M[e + w.E_HEAD] = 0
        M[e + w.E_N] = 0
        M[e + w.E_OPEN] = w.LONG_AGO
        M[e + w.E_DUE] = w.NONE


@kernel
def key_free(M, P, root):
    """Forget a key. Its timers find nothing, or another key that is not due."""
    key_wipe(M, P, root)
    for n in range(P[w.P_NSETS]):
        s = P[w.P_SETS] + n * w.S_WORDS
        g = P[s + w.S_GROUP]
        if g < 0 or P[g + w.G_ROUTE] != M[root + w.R_ROUTE] or P[s + w.S_KIND] == w.GRID:
            continue
        if P[g + w.G_KIND] == w.KEPT:
            kept_free(M, P, s, root)
        else:
            inc_free(M, P, s, root + P[s + w.S_ENT])
        h = M[root + P[g + w.G_CHAIN]]
        while h != 0:
            after = M[h + w.H_NEXT]
            history_free(M, P, g, h)
            h = after
        M[root + P[g + w.G_CHAIN]] = 0
    release(M, root, P[P[w.P_ROUTES] + M[root + w.R_ROUTE]])


@kernel
def set_watch(M, P, Z, s, root):
    """Ring for a set at a key when something happens next."""
    due = set_due(M, P, Z, s, root)
    if due != w.NONE:
        arm(M, P, s, root + P[s + w.S_ENT], root, due)


@kernel
def group_due(M, P, Z, g, root):
    """When something happens next for a group at a key, NONE if never."""
    due = w.NONE
    for j in range(P[g + w.G_NSETS]):
        due = min(due, set_due(M, P, Z, P[P[g + w.G_SETS] + j], root))
    return due


@kernel
def first_due(M, P, Z, ROOTS):
    """The due time of the first timer that means it; those that would ring in vain are put right."""
    while M[T_N] > 0:
        due = M[M[T_HEAP]]
        token = next_token(M)
        g = P[P[w.P_GROUPS] + (token & ((1 << GROUP_BITS) - 1))]
        root = ROOTS[token >> GROUP_BITS]
        chain = root + P[g + w.G_CHAIN]
        valid = root != 0 and M[root + w.R_ROUTE] == P[g + w.G_ROUTE] and M[chain + w.CH_DUE] == due
        if valid and group_due(M, P, Z, g, root) == due:
            return due
        ring_next(M)
        if valid:
            M[chain + w.CH_DUE] = w.NONE
            for j in range(P[g + w.G_NSETS]):
                s = P[P[g + w.G_SETS] + j]
                M[root + P[s + w.S_ENT] + w.E_DUE] = w.NONE
                set_watch(M, P, Z, s, root)
    return w.NONE


# Which value codes are still in use: all that slices and histories hold is looked through, now and then.
@kernel
def mark_values(M, at, used):
    """The codes in a cell of distinct values."""
    values = M[at]
    if values >= 0:
        first = at + 1 if values <= w.INLINE else values + LIST_DATA
        for p in range(first, first + values_count(M, at)):
            used[M[p]] = 1
        return
    for p in range(-values + MAP_DATA, -values + MAP_DATA + 2 * (M[-values + MAP_MASK] + 1), 2):
        if M[p] != EMPTY:
            used[M[p]] = 1


@kernel
def mark_slices(M, P, g, root, used):
    """The codes in a key's slices."""
    node = M[root + P[g + w.G_CHAIN]]
    while node != 0:
        for c in range(P[g + w.G_CELLS], P[g + w.G_CELLS] + P[g + w.G_NCELLS] * w.C_WORDS, w.C_WORDS):
            at = node + w.L_CELLS + P[c + w.C_AT]
            kind = P[c + w.C_TYPE]
            if kind == w.DISTINCT:
                mark_values(M, at, used)
            elif kind in (w.FIRST, w.LAST) and M[at + 1] >= 0:
                used[M[at + 1]] = 1
        node = M[node + w.L_NEXT]


@kernel
def mark_history(M, P, g, root, used):
    """The codes in a key's events."""
    h = M[root + P[g + w.G_CHAIN]]
    while h != 0:
        leaf = M[h + w.H_FIRST]
        while leaf != 0:
            for c in range(w.V_EXTRA, P[g + w.G_NCOLS]):
                d = leaf + data_of(P, g) + c * M[leaf + w.N_CAP]
                for i in range(d, d + M[leaf + w.N_N]):
                    if P[P[g + w.G_COLS] + c] < 0 and M[i] >= 0:
                        used[M[i]] = 1
            leaf = M[leaf + w.N_NEXT]
        h = M[h + w.H_NEXT]


@kernel
def codes_used(M, P, ROOTS, nroots, groups, ngroups, used):
    """Mark every code that some key still holds."""
    for slot in range(nroots):
        root = ROOTS[slot]
        for j in range(ngroups):
            g = groups[j]
            if root == 0 or M[root + w.R_ROUTE] != P[g + w.G_ROUTE]:
                continue
            if P[g + w.G_KIND] == w.SLICES:
                mark_slices(M, P, g, root, used)
            else:
                mark_history(M, P, g, root, used)
