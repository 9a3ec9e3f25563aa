"""What the parts of the columnar engine see of it: its plan, its memory, and the room it lends."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import numpy as np
import numpy.typing as npt

from windows.columnar.codes import Interner
from windows.engine import Key
from windows.kernels.core import Arrays
from windows.law.spec import WindowSet
from windows.packing import Packer
from windows.plan.plan import Plan
from windows.plan.zones import Zones

Words = npt.NDArray[np.int64]


class Memory(Protocol):
    """`M` is the arena (windows/kernels/memory/arena.py); roots: the root of each slot's state in it; slots: key -> slot."""

    sets: tuple[WindowSet, ...]
    plan: Plan
    codes: Interner
    packer: Packer
    zones: Zones
    keys: list[Key | None]
    slots: dict[Key, int]
    roots: Words
    out: Words
    scratch: Words
    stamps: Words
    M: Words

    @property
    def arrays(self) -> Arrays:
        """All that kernels work on, as of now."""
        ...

    @property
    def watermark(self) -> int:
        """Of the shard, in ms."""
        ...

    def make_room(self, more: int = 0) -> None:
        """Memory for the next thing that a kernel does."""
        ...

    def root(self, key: Key) -> int:
        """The place of a key's state, made empty where there is none."""
        ...

    def roots_of(self, keys: Collection[Key]) -> Words:
        """(n,) the places of keys' states, 0 where there is none."""
        ...
