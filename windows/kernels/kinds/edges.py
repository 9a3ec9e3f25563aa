# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Where windows and slices of a fixed grid lie. Windows have whole numbers k; in a time zone their edges stand in a table.

Z holds, for a set in a zone: [first k, how many, starts..., ends...]; for a group in a zone: [how many, edges...].
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.memory.rising import first_from
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import slice_at


@kernel
def starts(core, s, k):
    """When window k starts."""
    P, Z = core.P, core.Z
    spec = set_at(P, s)
    z = spec.zone
    if z < 0:
        return spec.offset + k * spec.every
    return Z[Z[z] + 2 + k - Z[Z[z]]]


@kernel
def ends(core, s, k):
    """When window k ends."""
    P, Z = core.P, core.Z
    spec = set_at(P, s)
    z = spec.zone
    if z < 0:
        return spec.offset + k * spec.every + spec.size
    return Z[Z[z] + 2 + Z[Z[z] + 1] + k - Z[Z[z]]]


@kernel
def last_at(core, s, t):
    """The last window that starts at or before t."""
    P, Z = core.P, core.Z
    spec = set_at(P, s)
    z = spec.zone
    if z < 0:
        return (t - spec.offset) // spec.every
    return Z[Z[z]] + first_from(Z, Z[z] + 2, Z[Z[z] + 1], t + 1) - 1


@kernel
def first_past(core, s, t):
    """The first window that ends after t."""
    P, Z = core.P, core.Z
    spec = set_at(P, s)
    z = spec.zone
    if z < 0:
        return (t - spec.offset - spec.size) // spec.every + 1
    n = Z[Z[z] + 1]
    before = first_from(Z, Z[z] + 2 + n, n, t + 1)
    return Z[Z[z]] + before if before > 0 else w.LONG_AGO  # the table reaches over all that is kept, not over all time


@kernel
def last_of(core, s, node):
    """The last window of a set on a slice."""
    return core.M[node + set_at(core.P, s).last]


@kernel
def first_on(core, s, node, last):
    """The first window of a set on a slice, whose last one is known."""
    M, P = core.M, core.P
    spec = set_at(P, s)
    if spec.span > 0:
        return last - spec.span + 1
    return first_past(core, s, slice_at(M, node).begin)


@kernel
def slice_of(core, g, t):
    """The slice [from, to) of a group that holds t."""
    P, Z = core.P, core.Z
    group = group_at(P, g)
    if group.zone >= 0:
        z = Z[group.zone]
        i = first_from(Z, z + 1, Z[z], t + 1)
        return Z[z + i], Z[z + 1 + i]
    period = group.period
    r = group.edges
    n = group.nedges
    base = t - (t - P[r]) % period - P[r]
    i = n - 1
    while base + P[r + i] > t:
        i -= 1
    return base + P[r + i], base + (P[r + i + 1] if i + 1 < n else P[r] + period)
