"""Engines in the least memory that a kernel may be called with, with marks behind it that nobody may write over."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windows.columnar.room import need
from windows.kernels.memory import arena

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
