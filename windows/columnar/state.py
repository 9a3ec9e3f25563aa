"""A key's dump: one version byte, a checksum, and msgpack of plain values; words are little-endian.

    byte 0      VERSION
    bytes 1-4   CRC-32 of the rest, big endian
    rest        msgpack [floor, values, [section, ...], {fingerprint: a set's own words}]

A section is slices or a history with the sets that may read it: {"kind", "sets": [fingerprint], "parts": [text], "words", ...}.
Its parts (cells; conditions and fields) are named by what they mean, so that a set which is still there finds its own in another
plan. A set reads a section only if its fingerprint stands there: a changed set starts empty.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from compiled.records import View
from windows.columnar.memory import Memory
from windows.engine import NEVER, Key, StateMismatch
from windows.kernels import words as w
from windows.kernels.doors import (
    emit_spans,
    history_dump,
    history_load,
    history_new,
    kept_since,
    record_put,
    records_dump,
    set_watch,
    slices_dump,
    slices_load,
    slices_masks,
    spans_dump,
    spans_load,
)
from windows.kernels.memory import arena
from windows.kernels.memory.arena import EMPTY
from windows.law.spec import Session, WindowSet
from windows.plan.names import bit_names, cell_names, field_names
from windows.plan.plan import Group

VERSION = 5
Words = npt.NDArray[np.int64]
Named = dict[int, tuple[list[str], list[str]]]  # by group: what its parts and fields are called


class Values:
    """The values that a dump names. Equal states give equal bytes: values stand in the order of their texts."""

    def __init__(self, engine: Memory) -> None:
        self._engine = engine
        self._parts: list[tuple[Any, str, Words, Words, Words]] = []

    def later(self, section: dict[str, Any], name: str, words: Words, coded: Words) -> None:
        """Put words into a section once all values are known. coded: which set of values each is a code of, -1 none."""
        section[name], which = _bytes(words), np.flatnonzero((coded >= 0) & (words >= 0))
        self._parts += [(section, name, words, which, coded)] if len(which) else []

    def done(self) -> list[Any]:
        """Put all words in their sections: the values, as msgpack knows them."""
        table, packer = self._engine.codes.values_by_code, self._engine.packer
        used = {code for *_, words, which, _ in self._parts for code in words[which].tolist()}
        plain = {code: packer.plain(table[code]) for code in used}
        places = {code: n for n, code in enumerate(sorted(used, key=lambda code: repr(plain[code])))}
        for section, name, words, which, coded in self._parts:
            own = np.array([places[code] for code in words[which].tolist()], np.int64)
            words[which] = own[np.lexsort((own, coded[which]))]
            section[name] = _bytes(words)
        return [plain[code] for code in places]


def dump_key(engine: Memory, key: Key, named: Named) -> bytes:
    """The bytes of a key. named: names of parts that are known from other keys of one dump."""
    slot = engine.slots.get(key)
    values, floor = Values(engine), NEVER
    sections, own = list[Any](), dict[str, bytes]()
    root = 0 if slot is None else int(engine.roots[slot])
    if root:
        floor = int(View(engine.M, root, w.ROOT).floor)
        for group in _groups(engine, key):
            new = (_dump_slices if group.grid else _dump_histories)(engine, group, root, values, named)
            own |= {engine.sets[i].fingerprint: words for i in group.sets if (words := _dump_set(engine, i, root, bool(new)))}
            sections += new
    body = msgspec.msgpack.encode([floor, values.done(), sections, own])
    return bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + body


def load_key(engine: Memory, key: Key, data: bytes) -> None:
    """Inverse of dump_key, for a key that is not loaded. Raises StateMismatch."""
    floor, plain, sections, own = unseal(data)
    try:
        codes = np.array([engine.codes[value] for value in engine.packer.values(plain)] or [0], np.int64)
        if key[0] not in engine.plan.routes:
            return
        root = engine.root(key)
        engine.make_room(8 * len(data) + 4096)
        View(engine.M, root, w.ROOT).floor = floor
        for group in _groups(engine, key):
            covered = 0
            for section in sections:
                covered |= _load_section(engine, group, root, section, codes)
            if group.grid is None and covered not in (0, _full(group)):
                _add_history(engine, group, root, _full(group) & ~covered)
            for i in group.sets:
                if engine.sets[i].fingerprint in own:
                    _load_set(engine, i, root, _words(own[engine.sets[i].fingerprint]))
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise StateMismatch(f"the saved state of {key!r} cannot be read") from error


def unseal(data: bytes) -> Any:
    """The plain values of a dump. Raises StateMismatch."""
    if data[:1] != bytes([VERSION]):
        raise StateMismatch(f"state of version {data[:1].hex() or 'nothing'}, this engine reads {VERSION}")
    if zlib.crc32(data[5:]).to_bytes(4, "big") != data[1:5]:
        raise StateMismatch("damaged state: its checksum does not hold")
    return msgspec.msgpack.decode(data[5:])


def _groups(engine: Memory, key: Key) -> list[Group]:
    return [g for g in engine.plan.groups if engine.plan.streams[g.stream][1] == key[0]]


def _full(group: Group) -> int:
    return (1 << len(group.sets)) - 1


def _names(engine: Memory, group: Group, mask: int) -> list[str]:
    return [engine.sets[i].fingerprint for j, i in enumerate(group.sets) if mask >> j & 1]


def _bytes(words: Words) -> bytes:
    return words.astype("<i8").tobytes()


def _words(data: bytes) -> Words:
    return np.frombuffer(data, "<i8").astype(np.int64)


def _parts(engine: Memory, group: Group, named: Named) -> tuple[list[str], list[str]]:
    """(a section's parts, a history's fields)."""
    if group.at not in named:
        parts = (bit_names if group.grid is None else cell_names)(engine.plan, group)
        named[group.at] = parts, field_names(engine.plan, group) if group.grid is None else []
    return named[group.at]


def _dump_slices(engine: Memory, group: Group, root: int, values: Values, named: Named) -> list[Any]:
    sections = []
    for mask in slices_masks(engine.arrays, group.at, root).tolist():
        words, coded, newest = slices_dump(engine.arrays, group.at, root, mask)
        if not len(words):
            continue
        section = {"kind": "slices", "sets": _names(engine, group, mask), "parts": _parts(engine, group, named)[0]}
        sections.append({**section, "reach": [int(words[0]), int(newest)]})
        values.later(sections[-1], "words", words, coded)
    return sections


def _dump_histories(engine: Memory, group: Group, root: int, values: Values, named: Named) -> list[Any]:
    sections = []
    h = chain_of(engine, group, root).head
    while h != 0:
        rows = history_dump(engine.arrays, group.at, h)
        if not len(rows):
            break
        coded = np.full(rows.shape, -1, np.int64)
        own = np.array([column < 0 for column in group.cells.columns], np.bool_)
        coded[:, w.FIELDS :][:, own] = np.arange(rows[:, w.FIELDS :][:, own].size).reshape(len(rows), -1)
        bits, fields = _parts(engine, group, named)
        sets = _names(engine, group, int(View(engine.M, h, w.HISTORY).mask))
        sections.append({"kind": "history", "sets": sets, "parts": bits, "fields": fields})
        values.later(sections[-1], "words", rows.ravel(), coded.ravel())
        h = View(engine.M, h, w.HISTORY).next
    return sections


def _dump_set(engine: Memory, i: int, root: int, slices: bool) -> bytes:
    at = root + engine.plan.entity[i]
    if engine.plan.group_of[i].kept:
        return _bytes(dump_spans(engine, i, root))
    if engine.plan.is_rolling(i):
        mine = View(engine.M, at, w.ROLLING)
        return _bytes(np.array([mine.last, mine.as_of])) if mine.last != EMPTY else b""
    records = records_dump(engine.arrays, engine.plan.set_at(i), root)
    if not len(records) and not slices:
        return b""
    return _bytes(np.concatenate([[View(engine.M, at, w.GRID).open], records.ravel()]))


def _load_section(engine: Memory, group: Group, root: int, section: Any, codes: Words) -> int:
    """Take up what the group's sets may read of a section: which of them may."""
    mask = sum(1 << j for j, i in enumerate(group.sets) if engine.sets[i].fingerprint in section["sets"])
    if not mask or (section["kind"] == "slices") is (group.grid is None):
        return 0
    words = _words(section["words"])
    if group.grid is None:
        _load_history(engine, group, root, mask, section, words, codes)
        return mask
    here = {name: n for n, name in enumerate(cell_names(engine.plan, group))}
    at = list(group.cells.cells.values())
    places = np.array([at[here[name]] if name in here else -1 for name in section.parts], np.int64)
    kinds = np.array([int(name.partition(" ")[0]) for name in section.parts], np.int64)
    words = _words(section.words)
    known = (kinds >= tables.COUNT) & (kinds <= tables.SQUARES)
    sound(known.all() and slices_check(words, kinds, ncodes), "a slice")
    return mask, words, kinds, places


def _rows(engine: Memory, group: Group, section: Section, codes: Words, ncodes: int, named: Named) -> Words:
    """The events of a section's history, as this engine's histories hold them."""
    bits, fields = _parts(engine, group, named)
    sound(len(section.parts) <= MOST_CONDITIONS, "how many conditions there are")
    theirs = _words(section.words).reshape(-1, w.FIELDS + len(section.fields))
    times, masks = theirs[:, w.TIMES], theirs[:, w.MASKS]
    sound(near(times) and (times[:-1] <= times[1:]).all(), "the order of events")
    sound((masks >> len(section.parts) == 0).all(), "what holds of an event")
    columns = group.cells.columns
    rows = np.empty((len(theirs), w.FIELDS + len(columns)), np.int64)
    rows[:, w.TIMES] = theirs[:, w.TIMES]
    bits = {name: b for b, name in enumerate(section["parts"])}
    rows[:, w.MASKS] = 0
    for b, name in enumerate(bit_names(engine.plan, group)):
        if name in bits:
            rows[:, w.MASKS] |= (theirs[:, w.MASKS] >> bits[name] & 1) << b
    fields = {name: n for n, name in enumerate(section["fields"])}
    for c, (name, column) in enumerate(zip(field_names(engine.plan, group), columns, strict=True)):
        if name not in fields:
            rows[:, w.FIELDS + c] = -1
            continue
        values = theirs[:, w.FIELDS + fields[name]]
        rows[:, w.FIELDS + c] = np.where(values < 0, -1, codes[np.maximum(values, 0)]) if column < 0 else values
    h = _add_history(engine, group, root, mask)
    done = 0
    while done < len(rows):
        engine.make_room()
        done = history_load(engine.arrays, group.at, h, rows, done)


def _add_history(engine: Memory, group: Group, root: int, mask: int) -> int:
    h, chain = int(history_new(engine.arrays, group.at, mask)), chain_of(engine, group, root)
    View(engine.M, h, w.HISTORY).next, chain.head = chain.head, h
    return h


def chain_of(engine: Memory, group: Group, root: int) -> Any:
    """A group's chain at a key (CHAIN of windows/kernels/words.py)."""
    return View(engine.M, root + group.chain, w.CHAIN)


def _load_set(engine: Memory, i: int, root: int, words: Words) -> None:
    at = root + engine.plan.entity[i]
    if engine.plan.group_of[i].kept:
        load_spans(engine, i, root, words)
    elif engine.plan.is_rolling(i):
        mine = View(engine.M, at, w.ROLLING)
        mine.last, mine.as_of = words
    else:
        View(engine.M, at, w.GRID).open = words[0]
        for n, (number, revision, late, cause) in enumerate(words[1:].reshape(-1, 4).tolist()):
            engine.make_room()
            record = View(engine.M, record_put(engine.arrays, engine.plan.set_at(i), root, n, number), w.CLOSED)
            record.revision, record.late, record.cause = revision, late, cause
    engine.make_room()
    set_watch(engine.arrays, engine.plan.set_at(i), root)


# Sets that keep their events, as Python sees them: what a step says of their sessions and windows, and what is saved of these.
Gone = dict[tuple[int, int], int]  # (slot, start) of a session: so many rows were written before it was removed the last time


def write_spans(engine: Memory, i: int) -> tuple[list[tuple[WindowSet, Key, int]], Gone]:
    """Have set i's sessions or windows that changed in this step written as rows: the documents that are to be removed, and which
    of the rows that were written on the way are theirs."""
    head, done = (2 * i + 1) * w.OUT_WORDS, 0
    at, _, n, _ = engine.out[head : head + w.OUT_WORDS].tolist()
    said = engine.out[at : at + n].copy().reshape(-1, 3)
    while done < n:
        engine.make_room()
        done = emit_spans(engine.arrays, engine.plan.set_at(i), done)
    gone = {(slot, start): before for slot, start, before in said[said[:, 2] != w.TOUCHED].tolist()}
    return [(engine.sets[i], key, start) for slot, start in gone if (key := engine.keys[slot]) is not None], gone


def dump_spans(engine: Memory, i: int, root: int) -> Words:
    """A set's spans at a key: [the first time that they reach, the last, how many are not emptied, a row each]; nothing of none."""
    at, kind = engine.plan.set_at(i), engine.sets[i].kind
    spans, emptied = (spans_dump(engine.arrays, at, root, which) for which in (w.SPANS, w.EMPTIED))
    if not len(spans) and not len(emptied):
        return np.zeros(0, np.int64)
    first = last = 0
    if len(spans):
        first = int(kept_since(engine.arrays, at, root))
        last = first if isinstance(kind, Session) else first + kind.size
    return np.concatenate([np.array([first, last, len(spans)]), spans.ravel(), emptied.ravel()])


def load_spans(engine: Memory, i: int, root: int, words: Words) -> None:
    """Inverse of dump_spans, once the set's events are loaded."""
    rows = words[3:].reshape(-1, w.SPAN_SAVED)
    for n in range(len(rows)):
        engine.make_room()
        spans_load(engine.arrays, engine.plan.set_at(i), root, w.SPANS if n < words[2] else w.EMPTIED, rows, n)
    h = chain_of(engine, engine.plan.group_of[i], root).head
    events = int(View(engine.M, h, w.HISTORY).n) if h else 0
    engine.M[arena.LONGEST] = max(int(engine.M[arena.LONGEST]), events // 2 + 1)
