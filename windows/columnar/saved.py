"""Keys as bytes, many in one pass of kernels (windows/kernels/saved.py): what windows/columnar/state.py reads.

Python has its part only in what is written once for many keys: how values look, and the texts of the plan.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from windows.columnar.codes import normal
from windows.columnar.memory import Memory
from windows.columnar.state import VERSION, Named, named_parts
from windows.engine import Key
from windows.kernels import saved
from windows.kernels.doors import Dumped, keys_dump, states_laid, states_written, values_met

Words = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
BEGIN = bytes([VERSION])
NO_BYTES = b"\xc4\x00"  # an empty `bin` of msgpack: words go where it stands
AT_ONCE = 1 << 20  # words and more that are made room for at once
encode = msgspec.msgpack.Encoder().encode


class Dumps:
    """Makes an engine's dumps. Equal states give equal bytes: values stand in the order of their bytes, and where only equality
    counts, in the one spelling for all that are equal, whichever this process met first."""

    def __init__(self, engine: Memory, named: Named) -> None:
        self._engine, self._named = engine, named
        self._texts: dict[tuple[int, int], bytes] = {}
        self._ranks = np.full(1024, saved.UNRANKED, np.int64)
        self._masks = np.empty(saved.MASKS, np.int64)

    def of(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """The dumps of keys."""
        names, roots = list(keys), self._engine.roots_of(keys)
        made: dict[Key, bytes] = {}
        begin, size = 0, 64 * len(names) + 1024
        while begin < len(names):
            book = _book(size, size // 4)
            states = np.zeros((len(names), saved.STATE_WORDS), np.int64)
            end = keys_dump(self._engine.arrays, roots, begin, book, states, self._masks)
            if end == begin:  # one that is larger than the whole book
                size *= 4
                continue
            made.update(zip(names[begin:end], self._written(book, states[begin:end]), strict=True))
            begin, size = end, max(size, min(4 * size, AT_ONCE))
        return made

    def _written(self, book: Dumped, states: Words) -> list[bytes]:
        """The bytes of states whose words are in the book."""
        dumped, coded, _, used = book
        codes = self._engine.codes
        ncodes, others = len(codes.values_by_code), np.array(sorted(codes.others), np.int64)
        if len(self._ranks) < 2 * ncodes + len(others):
            self._ranks = np.full(4 * ncodes + len(others), saved.UNRANKED, np.int64)
        met = np.empty(min(int(used[0]), 2 * ncodes + len(others)), np.int64)
        found, many = values_met(dumped, coded, int(used[0]), ncodes, others, self._ranks, met)
        met = met[:found]
        try:
            texts = self._ranked(met, ncodes, others)
            lengths = np.fromiter(map(len, texts), np.int64, len(texts))
            values = np.empty(many, np.int64)
            while (size := states_laid(book, states, self._ranks, lengths, values, (plan := self._plan())[0])) < 0:
                what, mask = book[2][-1 - size, :2].tolist()
                self._texts[what, mask] = self._text(what, mask)
        finally:
            self._ranks[met] = saved.UNRANKED
        starts = np.concatenate([np.zeros(1, np.int64), lengths.cumsum()])
        out = np.empty(size, np.int8)
        states_written(book, states, dumped.view(np.int8), values, *plan, _bytes(b"".join(texts)), starts, out)
        begins = states[:, saved.STATE_BYTES].tolist()
        body = memoryview(out.data).cast("B")
        return [sealed(body[a:b]) for a, b in zip(begins, [*begins[1:], size], strict=True)]

    def _ranked(self, met: Words, ncodes: int, others: Words) -> list[bytes]:
        """How the values at these places are written, each once, in their order; gives each of them its rank."""
        value, plain = self._engine.codes.value, self._engine.packer.plain
        places, codes = met.tolist(), self._engine.codes.values_by_code
        named = [codes[p] if p < ncodes else normal(codes[p - ncodes]) if p < 2 * ncodes else value(int(others[p - 2 * ncodes]))
                 for p in places]  # fmt: skip
        written = list(map(encode, named if set(map(type, named)) == {str} else map(plain, named)))
        texts = sorted(set(written))
        self._ranks[met] = list(map(dict(zip(texts, range(len(texts)), strict=True)).__getitem__, written))
        return texts

    def _plan(self) -> tuple[Words, Bytes]:
        """The texts that are known: a table, and all their bytes."""
        table, at = list[tuple[int, int, int, int]](), 0
        for (what, mask), text in self._texts.items():
            table.append((what, mask, at, len(text)))
            at += len(text)
        return np.array(table, np.int64).reshape(-1, saved.TEXT_WORDS), _bytes(b"".join(self._texts.values()))

    def _text(self, what: int, mask: int) -> bytes:
        """All of a section but its words; or a set's name, in front of its own words."""
        plan = self._engine.plan
        if mask == saved.OWN:
            [spec] = [spec for i, spec in enumerate(self._engine.sets) if plan.set_at(i) == what]
            return encode(spec.fingerprint)
        [group] = [group for group in plan.groups if group.at == what]
        parts, fields = named_parts(self._engine, group, self._named)
        sets = [self._engine.sets[i].fingerprint for j, i in enumerate(group.sets) if mask >> j & 1]
        section: dict[str, Any] = {"kind": "slices" if group.grid else "history", "sets": sets, "parts": parts}
        more: Mapping[str, Any] = {} if group.grid else {"fields": fields}
        return encode({**section, **more, "words": b""}).removesuffix(NO_BYTES)


def sealed(body: bytes | memoryview) -> bytes:
    """With what tells that nothing has happened to it."""
    return b"".join((BEGIN, zlib.crc32(body).to_bytes(4, "big"), body))


def _book(words: int, pieces: int) -> Dumped:
    """Room for so much."""
    return (
        np.empty(words, np.int64),
        np.empty(words, np.int64),
        np.empty((pieces, saved.PIECE_WORDS), np.int64),
        np.zeros(2, np.int64),
    )


def _bytes(data: bytes) -> Bytes:
    return np.frombuffer(data, np.int8)
