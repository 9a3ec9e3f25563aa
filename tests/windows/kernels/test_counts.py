"""Counts of values, up and down, against Python's Counter; and that they take no more memory than is promised."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from windows.columnar.room import AN_EVENT
from windows.kernels import tables
from windows.kernels.memory import arena
from windows.kernels.memory.codesets import HALF, N_DATA, N_LIVE, N_PLACES, counts_changed, counts_free

CODES = {"few": lambda random: random.randrange(5), "many": lambda random: random.randrange(1 << 31)}


def empty() -> npt.NDArray[np.int64]:
    memory: npt.NDArray[np.int64] = np.zeros(1 << 20, np.int64)
    memory[arena.BUMP] = arena.HEAD + arena.LINE
    return memory


def counts(memory: npt.NDArray[np.int64], at: int) -> Counter[int]:
    """What a block holds."""
    words = memory[at + N_DATA : at + N_DATA + memory[at + N_PLACES]].tolist()
    return Counter({word >> HALF: word & ((1 << HALF) - 1) for word in words if word >= 0 and word & ((1 << HALF) - 1)})


@given(
    st.integers(0, 1 << 30), st.sampled_from(sorted(CODES)), st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=20)
)
def test_as_a_counter_counts(seed: int, which: str, runs: list[tuple[int, bool]]) -> None:
    random, memory, at, held = Random(seed), empty(), 0, list[int]()
    for length, up in runs:
        for _ in range(length):
            if up or not held:
                held.append(CODES[which](random))
                at = counts_changed(memory, at, held[-1], 1)
            else:
                at = counts_changed(memory, at, held.pop(random.randrange(len(held))), -1)
        assert counts(memory, at) == Counter(held)
        assert memory[at + N_LIVE] == len(set(held))
    if at:
        counts_free(memory, at)
        assert memory[arena.USED] == 0


@pytest.mark.parametrize("n", [1, 9, 10, 11, 100, 5_000, 50_000])
def test_so_many_values_at_once_take_what_is_promised(n: int) -> None:
    memory, at = empty(), 0
    for code in range(n):
        at = counts_changed(memory, at, code, 1)
    assert memory[at + N_LIVE] == n
    assert memory[arena.BUMP] - arena.HEAD <= AN_EVENT[tables.COUNTS] * n + 64


def test_values_that_never_come_again_leave_no_words_behind() -> None:
    memory, at = empty(), 0
    for code in range(100_000):
        at = counts_changed(memory, at, code, 1)
        if code >= 50:
            at = counts_changed(memory, at, code - 50, -1)
    assert memory[at + N_LIVE] == 50
    assert memory[at + N_PLACES] < 256
    assert memory[arena.USED] < 256 + 16
