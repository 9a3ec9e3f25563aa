"""A key's state as words, and back; its end; and when something happens first."""

from __future__ import annotations

from windows.arena import (
    EMPTY, GARBAGE, LIST_DATA, LIST_N, MAP_DATA, MAP_MASK, T_HEAP, T_MAP, T_N, T_SORTED, WATERMARK, list_free, list_new, list_push,
    map_find, release, room,
)  # fmt: skip
from windows.jit import kernel
from windows.kernel_cells import values_add, values_count
from windows.kernel_emit import set_due
from windows.kernel_events import event_room
from windows.kernel_grid import ends, last_at, record, record_drop
from windows.kernel_history import data_of, history_free
from windows.kernel_layout import (
    C_AT, C_TYPE, C_WORDS, DISTINCT, E_CAP, E_DUE, E_HEAD, E_N, E_OPEN, E_RECORDS, FIRST, G_CELLS, G_CHAIN, G_NCELLS,
    G_NCOLS, G_NSETS, G_ROUTE, G_SETS, GRID, H_FIRST, H_NEXT, INLINE, L_CELLS, L_FROM, L_MASK, L_NEXT, L_PREV, L_TO, LAST, LONG_AGO, N_CAP, N_N, N_NEXT,
    NONE, P_NSETS, P_SETS, QUANT, R_GENERATION, R_ROUTE, S_ENT, S_GROUP, S_HOLD, S_KIND, S_WORDS, SUM, W_KEY, W_WORDS,
)  # fmt: skip
from windows.kernel_rolling import inc_free
from windows.kernel_run import judge
from windows.kernel_slices import arm, may_read, slice_drop, slice_find, slice_new, slices_forget
from windows.timers import NODE, SET_BITS, ring_next


@kernel
def key_wipe(M, P, root):
    """Forget all windows of a fixed grid at a key."""
    for n in range(P[P_NSETS]):
        s = P[P_SETS] + n * S_WORDS
        g = P[s + S_GROUP]
        if g < 0 or P[g + G_ROUTE] != M[root + R_ROUTE] or P[s + S_KIND] != GRID:
            continue
        slices_forget(M, P, g, root, NONE)
        e = root + P[s + S_ENT]
        if M[e + E_CAP] > 0:
            release(M, M[e + E_RECORDS], W_WORDS * M[e + E_CAP])
        M[e + E_CAP] = 0
        M[e + E_HEAD] = 0
        M[e + E_N] = 0
        M[e + E_OPEN] = LONG_AGO
        M[e + E_DUE] = NONE


@kernel
def key_free(M, P, root, words):
    """Forget a key. Its timers find another generation."""
    key_wipe(M, P, root)
    for n in range(P[P_NSETS]):
        s = P[P_SETS] + n * S_WORDS
        g = P[s + S_GROUP]
        if g < 0 or P[g + G_ROUTE] != M[root + R_ROUTE] or P[s + S_KIND] == GRID:
            continue
        inc_free(M, P, s, root + P[s + S_ENT])
        h = M[root + P[g + G_CHAIN]]
        while h != 0:
            after = M[h + H_NEXT]
            history_free(M, P, g, h)
            h = after
        M[root + P[g + G_CHAIN]] = 0
    release(M, root, words)


@kernel
def cell_words(M, kind, at):
    """How many words a cell takes in a dump."""
    if kind == DISTINCT:
        return 1 + values_count(M, at)
    if kind == QUANT:
        return 1 + (0 if M[at] == 0 else M[M[at] + LIST_N])
    return 2 if kind == SUM or kind == FIRST or kind == LAST else 1


@kernel
def cell_dump(M, kind, at, words, coded, n):
    """A cell's words, and in `coded` which of them are codes (of one set of values each): the next free word."""
    if kind == DISTINCT or kind == QUANT:
        size = cell_words(M, kind, at) - 1
        words[n] = size
        coded[n] = -1
        n += 1
        if size == 0:
            return n
        for i in range(n, n + size):
            coded[i] = n if kind == DISTINCT else -1
        if M[at] > 0:
            first = at + 1 if kind == DISTINCT and M[at] <= INLINE else M[at] + LIST_DATA
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
    if kind == FIRST or kind == LAST:
        coded[n + 1] = n
    return n + size


@kernel
def needed(M, P, Z, g, root, node):
    """Whether a set may still ask for a slice in which it has events."""
    wm = judge(M, root, M[WATERMARK])
    for j in range(P[g + G_NSETS]):
        s = P[P[g + G_SETS] + j]
        if may_read(M, P, s, g, node):
            last = last_at(P, Z, s, M[node + L_FROM])
            if last >= M[root + P[s + S_ENT] + E_OPEN] or ends(P, Z, s, last) + P[s + S_HOLD] > wm:
                return True
    return False


@kernel
def tidy(M, P, Z, ROOTS):
    """Free what nobody needed after the last step."""
    todo = M[GARBAGE]
    M[GARBAGE] = 0
    for i in range(todo + LIST_DATA, todo + LIST_DATA + M[todo + LIST_N], 2):
        s = M[i]
        root = ROOTS[M[i + 1]]
        if root == 0 or M[root + R_ROUTE] != P[P[s + S_GROUP] + G_ROUTE]:
            continue
        wm = judge(M, root, M[WATERMARK])
        e = root + P[s + S_ENT]
        while M[e + E_N] > 0 and ends(P, Z, s, M[record(M, e, 0) + W_KEY]) + P[s + S_HOLD] <= wm:
            record_drop(M, e, 0)
        g = P[s + S_GROUP]
        tail = M[root + P[g + G_CHAIN] + 1]
        while tail != 0 and not needed(M, P, Z, g, root, tail):
            slice_drop(M, P, g, root)
            tail = M[root + P[g + G_CHAIN] + 1]
    list_free(M, todo)


@kernel
def slices_size(M, P, Z, g, root, mask):
    """(how many words the dump of a key's slices takes that just these sets may read, where the newest ends)."""
    n = 0
    newest = LONG_AGO
    node = M[root + P[g + G_CHAIN] + 1]
    while node != 0:
        if M[node + L_MASK] == mask and needed(M, P, Z, g, root, node):
            newest = M[node + L_TO]
            n += 2
            for c in range(P[g + G_CELLS], P[g + G_CELLS] + P[g + G_NCELLS] * C_WORDS, C_WORDS):
                n += cell_words(M, P[c + C_TYPE], node + L_CELLS + P[c + C_AT])
        node = M[node + L_PREV]
    return n, newest


@kernel
def slices_dump(M, P, Z, g, root, mask, words, coded):
    """Those slices, the oldest first: words, and the set of values that each is a code of, -1 none."""
    n = 0
    node = M[root + P[g + G_CHAIN] + 1]
    while node != 0:
        if M[node + L_MASK] == mask and needed(M, P, Z, g, root, node):
            words[n] = M[node + L_FROM]
            words[n + 1] = M[node + L_TO]
            coded[n] = -1
            coded[n + 1] = -1
            n += 2
            for c in range(P[g + G_CELLS], P[g + G_CELLS] + P[g + G_NCELLS] * C_WORDS, C_WORDS):
                n = cell_dump(M, P[c + C_TYPE], node + L_CELLS + P[c + C_AT], words, coded, n)
        node = M[node + L_PREV]


@kernel
def slices_masks(M, P, g, root, masks, most):
    """Which sets may read each slice, each once: how many."""
    n = 0
    node = M[root + P[g + G_CHAIN]]
    while node != 0:
        i = 0
        while i < n and masks[i] != M[node + L_MASK]:
            i += 1
        if i == n and n < most:
            masks[n] = M[node + L_MASK]
            n += 1
        node = M[node + L_NEXT]
    return n


@kernel
def slices_load(M, X, P, Z, g, root, words, nwords, kinds, places, nkinds, codes, mask):
    """Take up dumped slices. kinds: of the cells in the dump; places: where each stands here, -1 nowhere; codes: here, of those there."""
    n = 0
    while n < nwords:
        found, older = slice_find(M, M[root + P[g + G_CHAIN]], words[n], words[n + 1], -1)
        node = slice_new(M, X, P, Z, g, root, words[n], words[n + 1], older)
        M[node + L_MASK] = mask
        n += 2
        for j in range(nkinds):
            n = cell_load(M, kinds[j], node + L_CELLS + places[j] if places[j] >= 0 else 0, words, n, codes)


@kernel
def cell_load(M, kind, at, words, n, codes):
    """One cell of a dump to its place (0: to none): the next word."""
    if kind == DISTINCT or kind == QUANT:
        size = words[n]
        if at != 0:
            for i in range(n + 1, n + 1 + size):
                if kind == DISTINCT:
                    values_add(M, at, codes[words[i]])
                else:
                    M[at] = list_push(M, M[at] if M[at] != 0 else list_new(M, size), words[i])
        return n + 1 + size
    size = 2 if kind == SUM or kind == FIRST or kind == LAST else 1
    if at != 0:
        for i in range(size):
            M[at + i] = words[n + i]
        if (kind == FIRST or kind == LAST) and words[n + 1] >= 0:
            M[at + 1] = codes[words[n + 1]]
    return n + size


@kernel
def records_dump(M, P, Z, s, root, rows):
    """Number, revision, late and cause of a set's closed windows that are not frozen: how many."""
    e = root + P[s + S_ENT]
    n = 0
    for i in range(M[e + E_N]):
        r = record(M, e, i)
        if ends(P, Z, s, M[r + W_KEY]) + P[s + S_HOLD] > judge(M, root, M[WATERMARK]):
            for c in range(4):
                rows[4 * n + c] = M[r + c]
            n += 1
    return n


@kernel
def history_dump(M, P, g, h, rows):
    """A history's events, a row each: its columns."""
    ncols = P[g + G_NCOLS]
    leaf = M[h + H_FIRST]
    n = 0
    while leaf != 0:
        for i in range(M[leaf + N_N]):
            for c in range(ncols):
                rows[n] = M[leaf + data_of(P, g) + c * M[leaf + N_CAP] + i]
                n += 1
        leaf = M[leaf + N_NEXT]


@kernel
def set_watch(M, P, Z, s, root):
    """Ring for a set at a key when something happens next."""
    due = set_due(M, P, Z, s, root)
    if due != NONE:
        arm(M, P, s, root + P[s + S_ENT], root, due)


@kernel
def first_due(M, P, Z, ROOTS):
    """The due time of the first timer that means it; those that would ring in vain are put right."""
    while M[T_N] > 0:
        due = M[M[T_HEAP]]
        node = M[map_find(M, M[T_MAP], due) + 1]
        s = P[P_SETS] + (M[node + 1] & ((1 << SET_BITS) - 1)) * S_WORDS
        root = ROOTS[M[node + 1] >> SET_BITS]
        valid = root != 0 and M[root + R_GENERATION] == M[node + 2]
        true = set_due(M, P, Z, s, root) if valid else NONE
        if valid and true <= due:
            return due
        M[T_SORTED] = due  # so that the token taken is the one looked at
        release(M, ring_next(M), NODE)
        M[T_SORTED] = EMPTY
        if valid:
            M[root + P[s + S_ENT] + E_DUE] = NONE
            set_watch(M, P, Z, s, root)
    return NONE


@kernel
def history_load(M, P, g, h, rows, begin, n):
    """n dumped events into a history, from row `begin` on until memory is short: where to go on."""
    ncols = P[g + G_NCOLS]
    for i in range(begin, n):
        if not room(M):
            return i
        leaf, place = event_room(M, P, g, h, rows[i * ncols])
        for c in range(1, ncols):
            M[leaf + data_of(P, g) + c * M[leaf + N_CAP] + place] = rows[i * ncols + c]
    return n
