"""The prototype in numba: running sums (which drift), hard-wired measures; the base of the line about (event x measure).

It is kept as it was measured, and is no example of how windows are computed here.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numba
import numpy as np

M, W, LATE = 60_000, 600_000, 30_000
MEASURES = 11  # of W1 three, of W2 three, of W3 five
OFF, CAP, HEAD, LOW, TAIL, NEWEST, SHOPS = range(7)  # of a card: its ring in the arena, its window, its distinct shops
NEXT_MINUTE, BUMP, USED, LAST = 1, 2, 3, 4  # of g; 0 is the newest time
kernel = numba.njit(cache=True, nogil=True)


class Payment(msgspec.Struct, gc=False):
    """What of a line is needed."""

    card_id: str
    merchant: str
    amount: float
    ts: int


@kernel
def find(hk: Any, key: int) -> int:
    mask = hk.size - 1
    i = ((key * np.int64(-7046029254386353131)) >> np.int64(20)) & mask
    while True:
        k = hk[i]
        if k == key or k == -1:
            return i
        i = (i + 1) & mask


@kernel
def rehash(hk: Any, hc: Any, nk: Any, nc: Any) -> int:
    live = 0
    for i in range(hk.size):
        if hk[i] != -1 and hc[i] != 0:
            j = find(nk, hk[i])
            nk[j] = hk[i]
            nc[j] = hc[i]
            live += 1
    return live


@kernel
def counted(hk: Any, hc: Any, g: Any, k: int, shop: int, by: int) -> int:
    """Counts a shop of a card up or down; by how much the distinct ones change."""
    key = (np.int64(k) << 20) | shop
    p = find(hk, key)
    if hk[p] == -1:
        hk[p] = key
        g[USED] += 1
    was = hc[p]
    hc[p] = was + by
    return (was == 0) * (by > 0) - (was == 1) * (by < 0)


@kernel
def room(k: int, g: Any, si: Any, at: Any, aa: Any, am: Any) -> bool:
    """Makes room in a full ring; False where the arena must grow first."""
    cap, limit, h, off = si[k, CAP], g[0] - W - LATE - 1, si[k, HEAD], si[k, OFF]
    m = cap - 1
    while cap > 0 and h < si[k, LOW] and at[off + (h & m)] <= limit:
        h += 1
    si[k, HEAD] = h
    if cap == 0 or si[k, TAIL] - h >= cap - (cap >> 2):
        wide = cap * 2 if cap else 4
        if g[BUMP] + wide > at.size:
            return False
        to = g[BUMP]
        g[BUMP] += wide
        for j in range(h, si[k, TAIL]):
            x, y = off + (j & m), to + (j & (wide - 1))
            at[y], aa[y], am[y] = at[x], aa[x], am[x]
        si[k, OFF], si[k, CAP] = to, wide
    return True


@kernel
def in_order(
    k: int, t: int, a: float, shop: int, g: Any, si: Any, sf: Any, at: Any, aa: Any, am: Any, hk: Any, hc: Any
) -> tuple[int, float, float, int]:
    """(n, sum, sum of squares, distinct) of the window up to an event that is its card's newest."""
    off, m, tail, low = si[k, OFF], si[k, CAP] - 1, si[k, TAIL], si[k, LOW]
    si[k, SHOPS] += counted(hk, hc, g, k, shop, 1)
    s, ss = sf[k, 0] + a, sf[k, 1] + a * a
    si[k, NEWEST] = t
    x = off + (tail & m)
    at[x], aa[x], am[x] = t, a, shop
    tail += 1
    while True:
        x = off + (low & m)
        if at[x] > t - W:
            break
        b = aa[x]
        s, ss, low = s - b, ss - b * b, low + 1
        si[k, SHOPS] += counted(hk, hc, g, k, am[x], -1)
    if tail - low == 1:
        s, ss = a, a * a
    si[k, TAIL], si[k, LOW], sf[k, 0], sf[k, 1] = tail, low, s, ss
    return tail - low, s, ss, si[k, SHOPS]


@kernel
def late(
    k: int, t: int, a: float, shop: int, g: Any, si: Any, sf: Any, at: Any, aa: Any, am: Any, hk: Any, hc: Any
) -> tuple[int, float, float, int]:
    """The same of an event behind newer ones: its own window is walked, and the counts are put back."""
    off, m, tail, low, head = si[k, OFF], si[k, CAP] - 1, si[k, TAIL], si[k, LOW], si[k, HEAD]
    si[k, SHOPS] += counted(hk, hc, g, k, shop, 1)
    s, ss = sf[k, 0] + a, sf[k, 1] + a * a
    sf[k, 0], sf[k, 1], si[k, TAIL] = s, ss, tail + 1
    j = tail
    while j > head and at[off + ((j - 1) & m)] > t:
        x, y = off + ((j - 1) & m), off + (j & m)
        at[y], aa[y], am[y] = at[x], aa[x], am[x]
        j -= 1
    x = off + (j & m)
    at[x], aa[x], am[x] = t, a, shop
    shops, n, first = si[k, SHOPS], tail + 1 - low, low
    for z in range(j + 1, tail + 1):
        x = off + (z & m)
        s, ss, n = s - aa[x], ss - aa[x] * aa[x], n - 1
        shops += counted(hk, hc, g, k, am[x], -1)
    while first > head and at[off + ((first - 1) & m)] > t - W:
        first -= 1
        x = off + (first & m)
        s, ss, n = s + aa[x], ss + aa[x] * aa[x], n + 1
        shops += counted(hk, hc, g, k, am[x], 1)
    for z in range(j + 1, tail + 1):
        counted(hk, hc, g, k, am[off + (z & m)], 1)
    for z in range(first, low):
        counted(hk, hc, g, k, am[off + (z & m)], -1)
    return n, s, ss, shops


@kernel
def rows(
    i: int, slot: Any, shop: Any, am: Any, ts: Any, g: Any, si: Any, sf: Any, ring: Any, hk: Any, hc: Any, pane: Any, out: Any
) -> tuple[int, int]:
    """(next row, 0 done | 1 a minute is over | 2 the arena is full | 3 the map is full)."""
    at, aa, shops = ring
    pc, ps, px = pane
    while i < ts.size:
        t, k, a = ts[i], slot[i], am[i]
        if t > g[0]:
            if t >= (g[NEXT_MINUTE] + 1) * M + LATE:
                return i, 1
            g[0] = t
        if g[USED] + 1 >= hk.size // 2:
            return i, 3
        if si[k, TAIL] - si[k, HEAD] >= si[k, CAP] and not room(k, g, si, at, aa, shops):
            return i, 2
        minute = t // M
        g[LAST] = max(g[LAST], minute)
        r = minute % pc.shape[0]
        pc[r, k] += 1
        ps[r, k] += a
        px[r, k] = max(px[r, k], a)
        if t >= si[k, NEWEST]:
            n, s, ss, distinct = in_order(k, t, a, shop[i], g, si, sf, at, aa, shops, hk, hc)
        else:
            n, s, ss, distinct = late(k, t, a, shop[i], g, si, sf, at, aa, shops, hk, hc)
        mean = s / n
        v = (ss - s * mean) / (n - 1) if n > 1 else 0.0
        out[0, i], out[1, i], out[2, i], out[3, i], out[4, i] = n, s, mean, np.sqrt(v) if v > 0 else 0.0, distinct
        i += 1
    return i, 0
