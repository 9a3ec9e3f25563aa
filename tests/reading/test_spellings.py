"""Codes for spellings: the same for the same, and none that anybody could bring to collide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from reading.kernels import address
from reading.spellings import SEED, Table, code

LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-.:;,/!?#$%&()*+<=>@[]^`{|}~'", np.uint8)
OLD_SEED, OLD_STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)  # which every process had


def table() -> Table[Any]:
    return Table(lambda raw, tag: raw, lambda text, tag: text, ValueError, lambda tag: None)


def codes(of: Table[Any], spellings: Sequence[bytes]) -> list[int]:
    of.room(len(spellings), sum(map(len, spellings)))
    found = []
    for spelling in spellings:
        data = np.frombuffer(spelling + bytes(16), np.uint8)
        found.append(int(code(of.head, address(data), len(spelling), 0)))
    return found


def hashes(of: Table[Any]) -> set[int]:
    used = of._slots[of._slots[:, 0] != 0]
    return set(used[:, 1].tolist())


def crafted() -> list[bytes]:
    """JSON texts of 26 bytes whose hashes were all equal when the hash had no seed: the second word undoes the first."""
    rng, found = np.random.default_rng(1), list[bytes]()
    printable = np.zeros(256, np.bool_)
    printable[LETTERS] = True
    while len(found) < 300:
        words = rng.choice(LETTERS, (1_000_000, 8))
        words[:, 0] = ord('"')
        first = np.ascontiguousarray(words).view(np.uint64)[:, 0]
        h = (OLD_SEED ^ np.uint64(26)) ^ ((OLD_SEED ^ np.uint64(26)) >> np.uint64(32))
        h = (h ^ first) * OLD_STEP
        second = h ^ (h >> np.uint64(32)) ^ np.uint64(0x1234567890ABCDEF)
        good = printable[second.view(np.uint8).reshape(-1, 8)].all(1)
        found += [bytes(a) + int(b).to_bytes(8, "little") + b'ABCDEFGHI"' for a, b in zip(words[good], second[good], strict=True)]
    return list(dict.fromkeys(found))


def test_texts_that_were_made_to_collide_do_not() -> None:
    texts = crafted()
    of = table()
    assert codes(of, texts) == list(range(len(texts)))
    assert len(hashes(of)) == len(texts)


def test_no_two_words_undo_each_other_whatever_the_seed() -> None:
    #  a bit at the top of a word comes through a product as it is; nothing in the next word takes it back
    top = 1 << 63
    for undoing in (0, top, 1 << 31, top | 1 << 31, 1 << 30, 1 << 62):
        of, words = table(), [(n, n ^ 7, n + 5) for n in range(1, 400)]
        pairs = [(w, (w[0] ^ top, w[1] ^ undoing, w[2])) for w in words]
        codes(of, [b"".join(word.to_bytes(8, "little") for word in one) for pair in pairs for one in pair])
        assert len(hashes(of)) == 2 * len(pairs)


def test_every_table_has_a_seed_of_its_own_also_after_it_has_started_anew() -> None:
    of = table()
    seeds = {int(table()._head[SEED]) for _ in range(3)} | {int(of._head[SEED])}
    codes(of, [b'"a"', b'"b"'])
    of.resolve()
    assert of.values == ["a", "b"]
    of._forget()
    assert int(of._head[SEED]) not in seeds
    assert len(seeds) == 4
    assert codes(of, [b'"b"', b'"a"', b'"b"']) == [0, 1, 0]
