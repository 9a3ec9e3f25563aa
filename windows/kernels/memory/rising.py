# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Binary search among rising words."""

from __future__ import annotations

from compiled.kernel import kernel


@kernel
def first_from(M, d, n, t):
    """How many of n rising times (or numbers) from M[d] on are before t."""
    lo = 0
    hi = n
    while lo < hi:
        mid = (lo + hi) >> 1
        if M[d + mid] < t:
            lo = mid + 1
        else:
            hi = mid
    return lo
