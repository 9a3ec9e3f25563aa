"""A key's dump: one version byte, a checksum, and msgpack of plain values; words are little-endian.

    byte 0      VERSION
    bytes 1-4   CRC-32 of the rest, big endian
    rest        msgpack [floor, values, [section, ...], {fingerprint: a set's own words}]

A section is slices or a history with the sets that may read it: {"kind", "sets": [fingerprint], "parts": [text], "words", ...}.
Its parts (cells; conditions and fields) are named by what they mean, so that a set which is still there finds its own in another
plan. A set reads a section only if its fingerprint stands there: a changed set starts empty.

All but the newest events of a long history are in segments, which `held` names in the order of the events, six words each: number,
how many of its first events are none any more, how many there are, the first and the last time, the segment's checksum. A segment
is bytes of the same form, whose rest is msgpack [values, words]: its history's parts and fields say what they mean. VERSION 5 knew
no segments.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from compiled.records import View
from windows.columnar.memory import Memory
from windows.engine import CAUSES, END, NEVER, Key, StateMismatch
from windows.kernels import dumps, tables
from windows.kernels import words as w
from windows.kernels.doors import (
    emit_spans,
    history_load,
    history_new,
    record_put,
    segments_set,
    set_watch,
    slices_check,
    slices_load,
    spans_load,
)
from windows.kernels.memory import arena
from windows.kernels.slots import ALIKE
from windows.law.spec import MOST_CONDITIONS, Session, Sliding, Tumbling, WindowSet
from windows.plan.kinds import every_of
from windows.plan.names import bit_names, cell_names, field_names
from windows.plan.plan import Group

VERSION, READ = 6, (5, 6)
GONE_ALONE = 3 * 8  # bytes of a session set's own words that say of nothing but which session went last
Words = npt.NDArray[np.int64]
Named = dict[int, tuple[list[str], list[str]]]  # by group: what its parts and fields are called


class Section(msgspec.Struct):
    """Slices, or a history, as saved."""

    kind: Literal["slices", "history"]
    sets: list[str]
    parts: list[str]
    words: bytes
    fields: list[str] = []
    held: bytes = b""


class Saved(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A key's dump, unsealed."""

    floor: int
    values: list[Any]
    sections: list[Section]
    own: dict[str, bytes]


class Rows(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """A segment, unsealed."""

    values: list[Any]
    words: bytes


DECODER, ROWS = msgspec.msgpack.Decoder(Saved), msgspec.msgpack.Decoder(Rows)
Slices = tuple[int, Words, Words, Words]  # mask, words, kinds of cells, their places
Segment = tuple[Words, Words, int, int]  # words, the codes of their values here, how many values there are, the checksum
NO_SEGMENTS = np.zeros((0, w.SEGMENT_WORDS), np.int64)
T = TypeVar("T")
HELD = 6  # words that a head has of a segment


class History(NamedTuple):
    """A history's events: a row each, in stretches. known: of those in front that are segments as this plan would make them, what
    is remembered of these (SEGMENT, windows/kernels/words.py)."""

    mask: int
    rows: list[Words]
    known: Words

    @property
    def times(self) -> Words:
        """Of all events."""
        return np.concatenate([np.zeros(0, np.int64), *(rows[:, w.TIMES] for rows in self.rows)])


@dataclass(slots=True)
class Found:
    """What a group's sets may read of a dump, in this engine's terms. own: of each set its words."""

    group: Group
    slices: list[Slices] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    own: dict[int, Words] = field(default_factory=dict)


def load_key(engine: Memory, key: Key, data: bytes, parts: Mapping[int, bytes], named: Named) -> tuple[int, ...]:
    """Take up a dump (windows/columnar/saved.py), for a key that is not loaded: the numbers of the segments that it refers to.
    parts: these, by number. Raises StateMismatch, before anything of the key is taken up, for bytes that no engine has written: all
    that kernels rely on is looked at first."""
    saved = unseal(data)
    try:
        codes = _codes(engine, key, saved.values)
        held = tuple(int(number) for section in saved.sections for number in _held(section)[:, 0])
        segments = {number: _segment(engine, key, number, parts) for number in held}
        found = [_found(engine, group, saved, segments, codes, named) for group in _groups(engine, key)]
        sound(saved.floor == NEVER or w.LONG_AGO <= saved.floor <= END, "the watermark it was changed under")
    except StateMismatch:
        raise
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, RecursionError) as error:
        raise StateMismatch(f"the saved state of {key!r} cannot be read: {error}") from error
    if key[0] not in engine.plan.routes:
        return held
    root = engine.root(key)
    View(engine.M, root, w.ROOT).floor = saved.floor
    for each in found:
        _take_up(engine, root, each, codes)
    return held


def _codes(engine: Memory, key: Key, saved: list[Any]) -> Words:
    """Of values as saved, their codes here: at least one."""
    try:
        values = engine.packer.values(saved)
    except Exception as error:  # whatever the caller's `unpack` raises for bytes that are not its own
        raise StateMismatch(f"a value in the saved state of {key!r} cannot be read: {error}") from error
    codes = np.array(engine.codes.all_spelled(values) or [0], np.int64)
    sound((codes >= 0).all(), "a value")
    return codes


def _held(section: Section) -> Words:
    """(n, 6): what a head says of segments."""
    held = _words(section.held).reshape(-1, HELD)
    _, skip, n, first, last, _ = held.T
    sound(
        (skip >= 0).all() and (skip < dumps.FAR).all() and (n > 0).all() and (n < dumps.FAR).all(),
        "how many events are in a segment",
    )
    sound(near(first) and near(last), "the times of a segment")
    return held


def _segment(engine: Memory, key: Key, number: int, parts: Mapping[int, bytes]) -> Segment:
    """A segment, its values in this engine's codes. Raises StateMismatch where it is none."""
    if number not in parts:
        raise StateMismatch(f"the saved state of {key!r} refers to segment {number}, which is not there")
    rows = _unsealed(parts[number], ROWS)
    return _words(rows.words), _codes(engine, key, rows.values), len(rows.values), int.from_bytes(parts[number][1:5], "big")


def holds(data: bytes) -> bool:
    """Whether a dump has anything in it but its floor, and which sessions are gone."""
    saved = unseal(data)
    return bool(saved.sections) or any(len(own) != GONE_ALONE for own in saved.own.values())


def sound(holds: Any, what: str) -> None:
    """Raises ValueError where something of a dump is not as engines write it."""
    if not holds:
        raise ValueError(f"{what} is not as it was written")


def near(times: Words, far: int = dumps.FAR) -> bool:
    """Whether sums with these numbers stay far from what a word holds."""
    return bool(((times >= -far) & (times <= far)).all())


def unseal(data: bytes) -> Saved:
    """What a dump says. Raises StateMismatch."""
    return _unsealed(data, DECODER)


def _unsealed(data: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """What a dump, or a segment, says."""
    if not data or data[0] not in READ:
        raise StateMismatch(f"state of version {data[:1].hex() or 'nothing'}, this engine reads {VERSION}")
    if zlib.crc32(data[5:]).to_bytes(4, "big") != data[1:5]:
        raise StateMismatch("damaged state: its checksum does not hold")
    try:
        return decoder.decode(data[5:])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise StateMismatch(f"state that is none: {error}") from error


def _groups(engine: Memory, key: Key) -> list[Group]:
    return [g for g in engine.plan.groups if engine.plan.streams[g.stream][1] == key[0]]


def _full(group: Group) -> int:
    return (1 << len(group.sets)) - 1


def _words(data: bytes) -> Words:
    return np.frombuffer(data, "<i8").astype(np.int64)


def named_parts(engine: Memory, group: Group, named: Named) -> tuple[list[str], list[str]]:
    """(a section's parts, a history's fields)."""
    if group.at not in named:
        parts = (bit_names if group.grid is None else cell_names)(engine.plan, group)
        named[group.at] = parts, field_names(engine.plan, group) if group.grid is None else []
    return named[group.at]


def _found(engine: Memory, group: Group, saved: Saved, segments: Mapping[int, Segment], codes: Words, named: Named) -> Found:
    """What a group's sets may read of a dump, looked at. Raises ValueError."""
    found, covered = Found(group), 0
    fingerprints = [engine.sets[i].fingerprint for i in group.sets]
    for section in saved.sections:
        mask = sum(1 << j for j, fingerprint in enumerate(fingerprints) if fingerprint in section.sets)
        if not mask or (section.kind == "slices") is (group.grid is None):
            continue
        if section.kind == "slices":
            sound(not len(_held(section)), "a section of slices")
            found.slices.append(_slices(engine, group, mask, section, len(saved.values), named))
        else:
            sound(not covered & mask, "whose history it is")
            covered |= mask
            found.histories.append(_history(engine, group, mask, section, segments, (codes, len(saved.values)), named))
    if group.grid is None and covered not in (0, _full(group)):
        found.histories.append(History(_full(group) & ~covered, [], NO_SEGMENTS))
    for i, fingerprint in zip(group.sets, fingerprints, strict=True):
        words = _words(saved.own[fingerprint]) if fingerprint in saved.own else None
        if group.kept:
            check_spans(engine.sets[i], words, found.histories[0].times if found.histories else np.zeros(0, np.int64))
        elif words is not None and engine.plan.is_rolling(i):
            sound(len(words) == 2 and near(words[:1]) and near(words[1:], END), "a rolling set's last event")
        elif words is not None:
            _check_records(engine.sets[i], words)
        if words is not None:
            found.own[i] = words
    return found


def _slices(engine: Memory, group: Group, mask: int, section: Section, ncodes: int, named: Named) -> Slices:
    """A section of slices: its words, and what its cells are and where they stand here."""
    here = {name: n for n, name in enumerate(named_parts(engine, group, named)[0])}
    at = list(group.cells.cells.values())
    places = np.array([at[here[name]] if name in here else -1 for name in section.parts], np.int64)
    kinds = np.array([int(name.partition(" ")[0]) for name in section.parts], np.int64)
    words = _words(section.words)
    known = (kinds >= tables.COUNT) & (kinds <= tables.SQUARES)
    sound(known.all() and slices_check(words, kinds, ncodes), "a slice")
    return mask, words, kinds, places


def _history(
    engine: Memory,
    group: Group,
    mask: int,
    section: Section,
    segments: Mapping[int, Segment],
    codes: tuple[Words, int],
    named: Named,
) -> History:
    """The events of a section's history. codes: of the head's values, and how many these are."""
    width, stretches, known = w.FIELDS + len(section.fields), list[Words](), list[list[int]]()
    for number, skip, n, first, last, sum_ in _held(section).tolist():
        words, own, nown, checksum = segments[number]
        sound(checksum == sum_, "a segment")
        theirs = words.reshape(-1, width)[skip : skip + n]
        sound(len(theirs) == n and theirs[-1, w.TIMES] == last and (skip or theirs[0, w.TIMES] == first), "what a segment holds")
        stretches.append(_rows(engine, group, section, theirs, own, nown, named))
        known.append([first, number, last, n, skip, 0, sum_])
    stretches.append(_rows(engine, group, section, _words(section.words).reshape(-1, width), *codes, named))
    ends = [int(rows[at, w.TIMES]) for rows in stretches if len(rows) for at in (0, -1)]
    sound(all(a <= b for a, b in pairwise(ends)), "the order of events")
    alike = (section.parts, section.fields) == named_parts(engine, group, named)
    return History(mask, stretches, np.array(known, np.int64) if alike and known else NO_SEGMENTS)


def _rows(engine: Memory, group: Group, section: Section, theirs: Words, codes: Words, ncodes: int, named: Named) -> Words:
    """Events of a section's history, as this engine's histories hold them. codes: of the ncodes values that they name."""
    bits, fields = named_parts(engine, group, named)
    sound(len(section.parts) <= MOST_CONDITIONS, "how many conditions there are")
    times, masks = theirs[:, w.TIMES], theirs[:, w.MASKS]
    sound(near(times) and (times[:-1] <= times[1:]).all(), "the order of events")
    sound((masks >> len(section.parts) == 0).all(), "what holds of an event")
    columns = group.cells.columns
    rows = np.empty((len(theirs), w.FIELDS + len(columns)), np.int64)
    rows[:, w.TIMES], rows[:, w.MASKS] = times, 0
    known = {name: b for b, name in enumerate(section.parts)}
    for b, name in enumerate(bits):
        if name in known:
            rows[:, w.MASKS] |= (masks >> known[name] & 1) << b
    there = {name: n for n, name in enumerate(section.fields)}
    for c, (name, column) in enumerate(zip(fields, columns, strict=True)):
        if name not in there:
            rows[:, w.FIELDS + c] = -1
            continue
        values = theirs[:, w.FIELDS + there[name]]
        if column < 0:
            sound(((values >= -1) & (values < ncodes)).all(), "the value of a field")
            values = np.where(values < 0, -1, codes[np.maximum(values, 0)] & (-1 if c in group.cells.shown else ALIKE))
        rows[:, w.FIELDS + c] = values
    _check_fields(engine.sets[group.sets[0]], group, rows)
    return rows


def _check_fields(spec: WindowSet, group: Group, rows: Words) -> None:
    """An event has the fields that its conditions say it has, and says how it came. spec: the set, where it is alone."""
    columns = group.cells.columns
    for b, terms in enumerate(group.cells.bits):
        for what, which in terms:
            column = which if what == tables.HAS_NUMBER else -1 - which
            if what in (tables.HAS_NUMBER, tables.HAS_VALUE) and column in columns:
                values = rows[:, w.FIELDS + columns.index(column)][(rows[:, w.MASKS] >> b & 1).astype(np.bool_)]
                sound(not np.isnan(values.view(np.float64)).any() if column >= 0 else (values >= 0).all(), "the field of an event")
    if group.kept:
        came = rows[:, -1]
        least, most = (0, 1) if isinstance(spec.kind, Session) else (w.LONG_AGO, END)
        sound(((least <= came) & (came <= most)).all(), "how an event came")


def _check_records(spec: WindowSet, words: Words) -> None:
    """A grid's first open window, and its closed ones: [number, revision, late, what closed it], by rising numbers."""
    assert isinstance(spec.kind, (Tumbling, Sliding))
    far = dumps.FAR // every_of(spec)
    sound(len(words) % 4 == 1 and (words[0] == w.LONG_AGO or near(words[:1], far)), "a grid's first open window")
    number, revision, late, cause = words[1:].reshape(-1, 4).T
    sound(near(number, far) and (number[:-1] < number[1:]).all(), "the order of windows")
    sound((revision >= 0).all() and (late >= 0).all(), "how often a window was revised")
    sound(((cause >= 0) & (cause < len(CAUSES))).all(), "what closed a window")


def _take_up(engine: Memory, root: int, found: Found, codes: Words) -> None:
    """Write what was found; memory is asked for by what is written next."""
    group = found.group
    for mask, words, kinds, places in found.slices:
        done, need = 0, 0
        while done < len(words):
            engine.make_room(need)
            done, need = slices_load(engine.arrays, group.at, root, mask, words, kinds, places, codes, done)
    for history in found.histories:
        engine.make_room()
        h = _add_history(engine, group, root, history.mask)
        for rows in history.rows:
            done = 0
            while done < len(rows):
                engine.make_room()
                done = history_load(engine.arrays, group.at, h, rows, done)
        if len(history.known):
            engine.make_room(16 * w.SEGMENT_WORDS * len(history.known) + 1_024)
            segments_set(engine.arrays, h, history.known)
    for i, words in found.own.items():
        _load_set(engine, i, root, words)


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


def check_spans(spec: WindowSet, words: Words | None, times: Words) -> None:
    """Raises ValueError where these are no spans over events of these times: [of the session that went last its first event, the ms
    behind its last one (the same: none went), how many are not emptied, a row each]."""
    if words is None:
        sound(not len(times), "which sessions or windows events are in")
        return
    sound(len(words) >= 3 and (len(words) - 3) % w.SPAN_SAVED == 0, "a list of spans")
    rows = words[3:].reshape(-1, w.SPAN_SAVED)
    sound(0 <= words[2] <= len(rows), "how many spans are not emptied")
    sound(near(words[:2]) and words[0] <= words[1], "which session went last")
    session = isinstance(spec.kind, Session)
    sound(session or words[2] == len(rows), "what a window's span is")
    far = dumps.FAR // (1 if session else every_of(spec))
    for spans in (rows[: words[2]], rows[words[2] :]):
        key, last, revision, state, late, cause = spans.T
        final = state & w.FINAL
        sound(near(key, far) and (key[:-1] < key[1:]).all(), "the order of spans")
        sound((revision >= 0).all() and (late >= 0).all(), "how often a span was revised")
        sound(((state >= 0) & (state <= w.EVER | w.FINAL)).all() and (final[:-1] >= final[1:]).all(), "the state of a span")
        sound(((cause >= -1) & (cause < len(CAUSES))).all(), "what closed a span")
        sound(not session or ((key <= last) & (last <= far)).all(), "where a session ends")
    if session:
        key, last = rows[: words[2], 0], rows[: words[2], 1]
        begin, end = np.searchsorted(times, key), np.searchsorted(times, last, "right")
        sound((begin < end).all() and (begin[1:] == end[:-1]).all(), "which sessions events are in")
        sound((times[begin] == key).all() and (times[end - 1] == last).all(), "where sessions begin and end")
        sound(end[-1] - begin[0] == len(times) if len(key) else not len(times), "which sessions events are in")


def load_spans(engine: Memory, i: int, root: int, words: Words) -> None:
    """Take up a set's spans, once the set's events are loaded."""
    rows = words[3:].reshape(-1, w.SPAN_SAVED)
    keeper = View(engine.M, root + engine.plan.entity[i], w.KEEPER)
    keeper.gone_first, keeper.gone_end = words[:2]
    for n in range(len(rows)):
        engine.make_room()
        spans_load(engine.arrays, engine.plan.set_at(i), root, w.SPANS if n < words[2] else w.EMPTIED, rows, n)
    h = chain_of(engine, engine.plan.group_of[i], root).head
    events = int(View(engine.M, h, w.HISTORY).n) if h else 0
    engine.M[arena.LONGEST] = max(int(engine.M[arena.LONGEST]), events // 2 + 1)
