"""Keys as bytes, many in one pass of kernels (windows/kernels/saved.py): what windows/columnar/state.py reads.

Python has its part only in what is written once for many keys: how values look, and the texts of the plan.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from compiled.records import View
from windows.columnar.codes import normal
from windows.columnar.memory import Memory
from windows.columnar.state import VERSION, Named, named_parts
from windows.engine import Dumps, Key, Segments
from windows.kernels import saved
from windows.kernels import words as w
from windows.kernels.doors import (
    Dumped,
    histories_large,
    keys_dump,
    segments_dump,
    segments_known,
    segments_set,
    states_laid,
    states_written,
    values_met,
)
from windows.plan.plan import Group

Words = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.int8]
BEGIN = bytes([VERSION])
NO_BYTES = b"\xc4\x00"  # an empty `bin` of msgpack: words go where it stands
TAIL, KEPT = 4_096, 1_024  # words of a history that may be in its key's head; so many stay there when the others go to a segment
MOST, LIMIT = 96_000, 1_000_000  # words of a segment, and bytes, at most
SOME = 4_000_000  # words that segments are made of at once
AT_ONCE = 1 << 20  # words and more that are made room for at once
encode = msgspec.msgpack.Encoder().encode
TEXTS = {saved.MORE: encode("words"), saved.SEGMENT: b""}
NUMBER, N, SKIP, DIRTY = 1, 3, 4, 5  # words of a segment's row


class Saver:
    """Makes an engine's dumps. Equal states give equal bytes: values stand in the order of their bytes, and where only equality
    counts, in the one spelling for all that are equal, whichever this process met first."""

    def __init__(self, engine: Memory, named: Named) -> None:
        self._engine, self._named = engine, named
        self._texts: dict[tuple[int, int], bytes] = {}
        self._ranks = np.full(1024, saved.UNRANKED, np.int64)
        self._masks = np.empty(saved.MASKS, np.int64)
        self._held: dict[Key, tuple[int, ...]] = {}  # segments that the last head of a key refers to

    def know(self, key: Key, held: tuple[int, ...]) -> None:
        """A key was loaded from a head that refers to these segments."""
        if held:
            self._held[key] = held

    def forget(self, key: Key) -> None:
        """A key is not in memory any more."""
        self._held.pop(key, None)

    def of(self, keys: Collection[Key]) -> Dumps:
        """The dumps of keys."""
        names, roots = list(keys), self._engine.roots_of(keys)
        held, new = self._cut(names, roots)
        segments = dict[Key, Segments]()
        for key in {**dict.fromkeys(self._held.keys() & set(names)), **held}:
            mine, before = tuple(held.get(key, ())), self._held.pop(key, ())
            segments[key] = Segments(mine, new.get(key, {}), tuple(n for n in before if n not in mine))
            self.know(key, mine)
        return Dumps(self._heads(names, roots), segments)

    def _cut(self, names: Sequence[Key], roots: Words) -> tuple[dict[Key, list[int]], dict[Key, dict[int, bytes]]]:
        """Has all but the newest events of long histories in segments: (the numbers of each key's, the bytes of new ones)."""
        held, new = dict[Key, list[int]](), dict[Key, dict[int, bytes]]()
        found, begin = np.empty((1_024, 3), np.int64), 0
        while begin < len(roots):
            many, begin = histories_large(self._engine.arrays, roots, begin, TAIL, found)
            for i, g, h in found[:many].tolist():
                key = names[i]
                mine, made = held.setdefault(key, []), new.setdefault(key, {})
                after = max([0, *self._held.get(key, ()), *mine])
                mine += self._cut_history(g, h, after, made)
        return held, new

    def _cut_history(self, g: int, h: int, after: int, new: dict[int, bytes]) -> list[int]:
        """The numbers of a history's segments; those that are made now come after one, and their bytes go to `new`."""
        [group] = [group for group in self._engine.plan.groups if group.at == g]
        trimmed, rows = segments_known(self._engine.arrays, h)
        width, events = w.FIELDS + len(group.cells.columns), int(View(self._engine.M, h, w.HISTORY).n)
        stretches = after_changes(rows, trimmed)
        there = sum(s.n for s in stretches)
        if (events - there) * width > TAIL:
            stretches.append(Stretch(events - there - min(KEPT // width, events - there - 1)))
        if not trimmed and len(stretches) == len(rows) and all(s.row for s in stretches):
            return [int(row[NUMBER]) for row in rows]
        made, at = list[list[int]](), 0
        for stretch in joined(stretches, MOST // width):
            if stretch.row:
                made.append(stretch.row)
            else:
                for data, first, last, n in self._segments(group, h, at, at + stretch.n, max(MOST // width, 1)):
                    after += 1
                    new[after] = data
                    made.append([first, after, last, n, 0, 0, checksum(data)])
            at += stretch.n
        self._engine.make_room(16 * w.SEGMENT_WORDS * len(made) + 1_024)
        segments_set(self._engine.arrays, h, np.array(made, np.int64).reshape(-1, w.SEGMENT_WORDS))
        return [row[NUMBER] for row in made]

    def _segments(self, group: Group, h: int, begin: int, end: int, most: int) -> list[tuple[bytes, int, int, int]]:
        """Events [begin, end) of a history in segments of at most so many: (bytes, first time, last time, how many) of each."""
        each = -(-(end - begin) // -(-(end - begin) // most))
        cuts = np.array([(at, min(at + each, end)) for at in range(begin, end, each)], np.int64)
        made = list[tuple[bytes, int, int, int]]()
        width = w.FIELDS + len(group.cells.columns)
        for cut in range(0, len(cuts), some := max(SOME // (most * width), 1)):
            rows = cuts[cut : cut + some]
            book, states = _book(int((rows[:, 1] - rows[:, 0]).sum()) * width, len(rows)), _states(len(rows))
            segments_dump(self._engine.arrays, group.at, h, rows, book, states)
            times = [book[0][[at, at + n - width]].tolist() for at, n in book[2][: len(rows), [2, 3]].tolist()]
            for data, (first, last), (a, b) in zip(self._written(book, states), times, rows.tolist(), strict=True):
                if len(data) > LIMIT and b - a > 1:
                    made += self._segments(group, h, a, b, (b - a + 1) // 2)
                else:
                    made.append((data, first, last, b - a))
        return made

    def _heads(self, names: Sequence[Key], roots: Words) -> dict[Key, bytes]:
        made: dict[Key, bytes] = {}
        begin, size = 0, 64 * len(names) + 1024
        while begin < len(names):
            book = _book(size, size // 4)
            states = _states(len(names))
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
        if mask in TEXTS:
            return TEXTS[mask]
        if mask == saved.OWN:
            [spec] = [spec for i, spec in enumerate(self._engine.sets) if plan.set_at(i) == what]
            return encode(spec.fingerprint)
        [group] = [group for group in plan.groups if group.at in (what, -1 - what)]
        parts, fields = named_parts(self._engine, group, self._named)
        sets = [self._engine.sets[i].fingerprint for j, i in enumerate(group.sets) if mask >> j & 1]
        section: dict[str, Any] = {"kind": "slices" if group.grid else "history", "sets": sets, "parts": parts}
        more: Mapping[str, Any] = {} if group.grid else {"fields": fields}
        if what < 0:
            text = encode({**section, **more, "held": b"", "words": b""}).removesuffix(TEXTS[saved.MORE] + NO_BYTES)
        else:
            text = encode({**section, **more, "words": b""})
        return text.removesuffix(NO_BYTES)


@dataclass(slots=True)
class Stretch:
    """So many events of a history, in their order. row: of the segment that they are in (SEGMENT, windows/kernels/words.py), None
    where they are to be saved."""

    n: int
    row: list[int] | None = None


def after_changes(rows: Words, trimmed: int) -> list[Stretch]:
    """What is left of segments once so many events have gone from the front. Neighbours that are dirty are one stretch."""
    stretches, dirty_before = list[Stretch](), False
    for row in rows.tolist():
        if dirty_before and row[DIRTY]:
            stretches[-1].n += row[N]
        else:
            stretches.append(Stretch(row[N], None if row[DIRTY] else row))
        dirty_before = bool(row[DIRTY])
    for stretch in stretches:
        gone = min(trimmed, stretch.n)
        trimmed -= gone
        stretch.n -= gone
        if stretch.row:
            stretch.row[N] -= gone
            stretch.row[SKIP] += gone
    return [stretch for stretch in stretches if stretch.n > 0]


def joined(stretches: Sequence[Stretch], most: int) -> list[Stretch]:
    """Those that are to be saved take neighbours before them with them that are no larger, while no more than so many events come
    together: so segments are few, and each event is saved a few times only."""
    found = list[Stretch]()
    for stretch in stretches:
        while not stretch.row and found and (not found[-1].row or found[-1].n <= stretch.n) and found[-1].n + stretch.n <= most:
            stretch = Stretch(found.pop().n + stretch.n)
        found.append(stretch)
    return found


def checksum(data: bytes) -> int:
    """What a head says of a segment: its own checksum."""
    return int.from_bytes(data[1:5], "big")


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


def _states(n: int) -> Words:
    return np.zeros((n, saved.STATE_WORDS), np.int64)


def _bytes(data: bytes) -> Bytes:
    return np.frombuffer(data, np.int8)
