# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Which value codes are still in use: all that slices and histories hold is looked through, now and then."""

from __future__ import annotations

from windows import kernel_layout as w
from windows.arena import EMPTY, LIST_DATA, MAP_DATA, MAP_MASK
from windows.jit import kernel
from windows.kernel_history import data_of
from windows.kernel_values import values_count


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
