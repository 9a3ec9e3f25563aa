"""Engines in the least memory that a kernel may be called with, with marks behind it that nobody may write over; and results in the
least room, which are grown as soon as it is short, when it is seen whether they ran over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pytest

from windows.columnar.room import SPARE, N, need, out_of, ran_over
from windows.kernels import words as w
from windows.kernels.memory import arena
from windows.plan.plan import Plan, out_spares

MARK = 0x5A5A5A5A5A5A5A5A
BEHIND, SMALL = 1 << 14, 1 << 18
Words = npt.NDArray[np.int64]


class Guards:
    """What lies behind the memories that were handed out."""

    def __init__(self) -> None:
        self._behind: list[Words] = []
        self._held = True

    def least(self, words: Words, more: int) -> Words:
        """As windows.columnar.room.with_room, with hardly a word more than must be: none at all where memories are small."""
        least = need(words, more)
        if least < words.size:
            return words
        self.hold()
        size, used = least + 1 + (least // 16 if least > SMALL else 0), int(words[arena.BUMP])
        whole = np.empty(size + BEHIND, np.int64)
        whole[:used], whole[size:] = words[:used], MARK
        self._behind.append(whole[size:])
        return whole[:size]

    def hold(self) -> bool:
        """Whether nothing was ever written behind any of them."""
        self._held = self._held and all((behind == MARK).all() for behind in self._behind)
        del self._behind[:-1]
        return self._held


def first_results(plan: Plan) -> Words:
    """As windows.columnar.room.first_out, with no word more than must be free."""
    spares = out_spares(plan)
    return out_of(spares, spares, None)


def results(plan: Plan, old: Words) -> Words:
    """As windows.columnar.room.with_out, likewise."""
    spares = out_spares(plan)
    heads = old[: w.OUT_WORDS * len(spares)].reshape(-1, w.OUT_WORDS)
    ran_over(heads)
    spares = np.maximum(spares, heads[:, SPARE]).tolist()
    return out_of((heads[:, N] + spares).tolist(), spares, old)


@contextmanager
def least_room() -> Iterator[Guards]:
    """Every engine made meanwhile has the least memory that it may have, and the least room for results."""
    guards = Guards()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("windows.columnar.engine.with_room", guards.least)
        patch.setattr("windows.columnar.engine.first_out", first_results)
        patch.setattr("windows.columnar.engine.with_out", results)
        yield guards
