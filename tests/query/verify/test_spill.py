"""Dealing records out by the hash of their key, in parts that fit."""

from __future__ import annotations

import random

import pytest

from query.verify.spill import STRETCH, WEIGHT, Record, Spill, TooLarge

MEMORY = 40_000


def records(n: int, keys: int, seed: int = 3) -> list[Record]:
    """So many, of so many keys, each told apart by its data."""
    draw = random.Random(seed)
    hashes = [draw.getrandbits(128) for _ in range(keys)]
    return [Record(draw.choice(hashes), draw.randrange(3), f"{i:06d}".encode() * draw.randrange(1, 30)) for i in range(n)]


def weight(part: list[Record]) -> int:
    return sum(WEIGHT + STRETCH * len(record.data) for record in part)


@pytest.mark.parametrize("n", [0, 10, 5_000])
def test_every_record_comes_back_once_and_each_key_in_one_part(n: int) -> None:
    given, parts = records(n, keys=1_000), []
    with Spill(MEMORY) as spill:
        for record in given:
            spill.add(record)
        for part in spill.parts():
            assert not isinstance(part, TooLarge)
            assert weight(part) <= MEMORY
            parts.append(part)
    assert sorted(record for part in parts for record in part) == sorted(given)
    seen: dict[int, int] = {}
    for number, part in enumerate(parts):
        assert all(seen.setdefault(record.hash, number) == number for record in part)
    for key in {record.hash for record in given}:
        assert [r for part in parts for r in part if r.hash == key] == [r for r in given if r.hash == key], "in their order"


def test_one_key_that_is_too_large_is_told_with_its_counts() -> None:
    near = [Record((1 << 127) + n, 1, b"x") for n in range(3)]  # alike in all bits but the last two
    with Spill(MEMORY) as spill:
        for record in [*near, *(Record(1 << 127, n % 2, b"y" * 90) for n in range(100))]:
            spill.add(record)
        parts = list(spill.parts())
    assert [part for part in parts if isinstance(part, TooLarge)] == [TooLarge(1 << 127, {1: 51, 0: 50})]
    assert sorted(r for part in parts if not isinstance(part, TooLarge) for r in part) == near[1:]
