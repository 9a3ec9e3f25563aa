"""Runs the prototype: `python -m benchmarks.peers.prototype_run FILE N` prints its rate of (event x measure)."""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from typing import Any

import msgspec
import numba
import numpy as np

from benchmarks.peers.prototype import LAST, MEASURES, NEXT_MINUTE, USED, M, Payment, rehash, rows

WARM = 20_000
PANES = 16


@numba.njit(cache=True, nogil=True)
def closed(minute: int, cards: int, pc: Any, ps: Any, px: Any, one: Any, ten: Any) -> tuple[int, int]:
    """The windows that end with a minute: columns of one, and of ten minutes; the oldest minute is wiped."""
    r, a, b = minute % PANES, 0, 0
    for k in range(cards):
        if pc[r, k]:
            one[0, a], one[1, a], one[2, a], one[3, a] = k, pc[r, k], ps[r, k], px[r, k]
            a += 1
        n, s = 0, 0.0
        for j in range(10):
            q = (minute - 9 + j) % PANES
            n += pc[q, k]
            s += ps[q, k]
        if n:
            ten[0, b], ten[1, b], ten[2, b], ten[3, b] = k, n, s, s / n
            b += 1
    r = (minute - 9) % PANES
    pc[r, :cards], ps[r, :cards], px[r, :cards] = 0, 0.0, -np.inf
    return a, b


class Engine:
    """State in arrays that double."""

    def __init__(self, cards: int = 1 << 15, arena: int = 1 << 16, shops: int = 1 << 16) -> None:
        self.cards: dict[str, int] = {}
        self.shops: dict[str, int] = {}
        self.pane = (np.zeros((PANES, cards), np.int32), np.zeros((PANES, cards)), np.full((PANES, cards), -np.inf))
        self.si, self.sf, self.g = np.zeros((cards, 8), np.int64), np.zeros((cards, 2)), np.zeros(8, np.int64)
        self.ring = (np.zeros(arena, np.int64), np.zeros(arena), np.zeros(arena, np.int32))
        self.hk, self.hc = np.full(shops, -1, np.int64), np.zeros(shops, np.int32)
        self.g[NEXT_MINUTE] = -1

    def process(self, lines: list[bytes]) -> Any:
        """One batch."""
        events, n = list(map(DECODE, lines)), len(lines)
        slot = np.fromiter([self.cards.setdefault(e.card_id, len(self.cards)) for e in events], np.int32, n)
        shop = np.fromiter([self.shops.setdefault(e.merchant, len(self.shops)) for e in events], np.int32, n)
        amount, ts = np.fromiter([e.amount for e in events], np.float64, n), np.fromiter([e.ts for e in events], np.int64, n)
        if self.g[NEXT_MINUTE] < 0:
            self.g[NEXT_MINUTE] = ts[0] // M - 1
        out, i, code = np.empty((5, n)), 0, 1
        while code:
            i, code = rows(i, slot, shop, amount, ts, self.g, self.si, self.sf, self.ring, self.hk, self.hc, self.pane, out)
            (lambda: None, self.close, self.grow, self.sweep)[code]()
        return out

    def close(self) -> None:
        """A minute is over."""
        n = len(self.cards)
        closed(int(self.g[NEXT_MINUTE]), n, *self.pane, np.empty((4, n)), np.empty((4, n)))
        self.g[NEXT_MINUTE] += 1

    def grow(self) -> None:
        """The arena doubles."""
        self.ring = tuple(np.concatenate([a, np.zeros_like(a)]) for a in self.ring)  # type: ignore[assignment]

    def sweep(self) -> None:
        """The map of shops forgets those that no window holds, or doubles."""
        size = self.hk.size * (2 if int(np.count_nonzero(self.hc)) * 4 > self.hk.size else 1)
        keys, counts = np.full(size, -1, np.int64), np.zeros(size, np.int32)
        self.g[USED] = rehash(self.hk, self.hc, keys, counts)
        self.hk, self.hc = keys, counts

    def finish(self) -> None:
        """The end."""
        while self.g[NEXT_MINUTE] <= self.g[LAST] + 9:
            self.close()


DECODE = msgspec.json.Decoder(Payment).decode


def run(engine: Engine, path: str, most: int) -> int:
    """Takes the first lines of a file in batches."""
    with open(path, "rb", buffering=1 << 20) as file:
        lines, n = islice(file, most), 0
        while batch := list(islice(lines, 5_000)):
            engine.process(batch)
            n += len(batch)
    engine.finish()
    return n


if __name__ == "__main__":
    run(Engine(), sys.argv[1], WARM)
    wall, cpu = time.perf_counter(), time.process_time()
    count = run(Engine(), sys.argv[1], int(sys.argv[2]))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"n": count * MEASURES, "seconds": wall, "cpu": cpu}), flush=True)
