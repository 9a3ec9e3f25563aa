# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Where windows and slices of a fixed grid lie. Windows have whole numbers k; in a time zone they lie evenly on its clocks."""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.tables import group_at, set_at
from windows.kernels.words import slice_at
from windows.kernels.zones import last_edge, utc_of


@kernel
def starts(core, s, k):
    """When window k starts."""
    spec = set_at(core.P, s)
    start = spec.offset + k * spec.every
    return start if spec.zone < 0 else utc_of(core.Z, spec.zone, start)


@kernel
def ends(core, s, k):
    """When window k ends."""
    spec = set_at(core.P, s)
    end = spec.offset + k * spec.every + spec.size
    return end if spec.zone < 0 else utc_of(core.Z, spec.zone, end)


@kernel
def last_at(core, s, t):
    """The last window that starts at or before t."""
    spec = set_at(core.P, s)
    if spec.zone < 0:
        return (t - spec.offset) // spec.every
    return last_edge(core.Z, spec.zone, spec.offset, spec.every, t)


@kernel
def first_past(core, s, t):
    """The first window that ends after t."""
    spec = set_at(core.P, s)
    if spec.zone < 0:
        return (t - spec.offset - spec.size) // spec.every + 1
    return last_edge(core.Z, spec.zone, spec.offset + spec.size, spec.every, t) + 1


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
    P = core.P
    group = group_at(P, g)
    if group.zone >= 0:
        return local_slice_of(core, g, t)
    period = group.period
    r = group.edges
    n = group.nedges
    base = t - (t - P[r]) % period - P[r]
    i = n - 1
    while base + P[r + i] > t:
        i -= 1
    return base + P[r + i], base + (P[r + i + 1] if i + 1 < n else P[r] + period)


@kernel
def local_slice_of(core, g, t):
    """The same on the clocks of a zone."""
    P, Z = core.P, core.Z
    group = group_at(P, g)
    a = -w.NONE
    b = w.NONE
    for i in range(group.edges, group.edges + group.nedges):
        k = last_edge(Z, group.zone, P[i], group.period, t)
        a = max(a, utc_of(Z, group.zone, P[i] + k * group.period))
        b = min(b, utc_of(Z, group.zone, P[i] + (k + 1) * group.period))
    return a, b
