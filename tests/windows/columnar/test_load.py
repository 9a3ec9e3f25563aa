"""Dumps that are read under other sets, cut off, flipped or made up: right or StateMismatch, never a crash."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Driver, Folded, columns, drive, window_set
from tests.windows.drawn import UNITS, stories, timelines, window_sets
from tests.windows.guarded import Guards, least_room
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.engine import ColumnarEngine
from windows.columnar.state import VERSION
from windows.engine import BY_END, END, Key, StateMismatch
from windows.kernels.memory import arena
from windows.law.spec import DAY, Kind, Rolling, Session, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

K = ("k", "a")
WIDE = {f"m{i}": f"{fn}(f{i % 9})" for i, fn in enumerate(["std", "distinct", "quantile", "last", "max"] * 6) if fn != "quantile"}
WIDE |= {f"q{i}": f"quantile(f{i}, 0.5)" for i in range(6)}
NASTY = [0, 1, -1, 7, 1 << 20, 1 << 41, 1 << 61, 1 << 62, -(1 << 62), (1 << 63) - 1, -(1 << 63)]
KINDS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "tumbling": (Tumbling(1_000), {"retain": 10**9}),
    "sliding": (Sliding(9_000, 1_000), {"retain": 10**9}),
    "local": (Tumbling(DAY, zone="Europe/Berlin"), {"retain": 10**12}),
    "rolling": (Rolling(10**8), {}),
    "session": (Session(500), {"retain": 10**9}),
    "taken": (Tumbling(1_000), {"retain": 10**9, "retract": True}),
}
DEEP = {"n": "count()", "s": "sum(f0)", "d": "distinct(f1)", "q": "quantile(f0, 0.9)", "l": "last(f1)"}


@pytest.fixture(scope="module")
def guards() -> Iterator[Guards]:
    """Every engine here has the least memory that it may have."""
    with least_room() as guards:
        yield guards


def deep(n: int, step: int) -> list[dict[str, Any]]:
    return [{"at": step * i, "mark": 0, "doc": i, "fields": {"f0": float(i % 101), "f1": 1.0 * (i % 977)}} for i in range(n)]


@pytest.mark.parametrize("n", [100, 5_000])
@pytest.mark.parametrize("name", KINDS)
def test_a_deep_dump_under_a_much_wider_plan_has_memory(guards: Guards, name: str, n: int) -> None:
    kind, options = KINDS[name]
    narrow = window_set("narrow", kind, measures=DEEP, **options)
    beside = window_set("wide", kind, measures=WIDE, **options)
    before, engine = ColumnarEngine([narrow]), ColumnarEngine([beside, narrow])
    rows = deep(n, DAY // 3 if name == "local" else 700)
    before.step(columns([narrow], rows))
    dumps = before.dump([K])
    segments = dumps.segments[K].new if K in dumps.segments else {}
    for key in [K, ("k", "b"), ("k", "c")]:
        engine.load({key: dumps[K]}, {key: segments})
        assert guards.hold()
        assert engine.M[arena.BUMP] <= engine.M.size
    twin = NaiveEngine([narrow])
    twin.step(columns([narrow], rows))
    more = [{"at": rows[-1]["at"] + 1, "fields": {"f0": 1.0}}]
    ours, theirs = Folded(), Folded()
    ours.apply(engine.step(columns([beside, narrow], more)))
    theirs.apply(twin.step(columns([narrow], more)))
    assert guards.hold()
    assert_same({at: d for at, d in ours.windows.get("narrow", {}).items() if at[0] == K}, theirs.windows.get("narrow", {}))
    assert_same({key: d for key, d in ours.rolling.get("narrow", {}).items() if key == K}, theirs.rolling.get("narrow", {}))
    assert_same(ours.features.get("narrow"), theirs.features.get("narrow"))


@st.composite
def changed_plans(draw: st.DrawFn) -> tuple[list[WindowSet], list[WindowSet], list[dict[str, Any]]]:
    """Window sets, others of which some are the same, and a timeline."""
    unit = draw(UNITS)
    before, others = draw(window_sets(unit)), draw(window_sets(unit))
    kept = [s for s in before if draw(st.booleans())]
    new = [window_set(f"new{n}", s.kind, key=s.key, retract=s.retract, measures=WIDE) for n, s in enumerate(others)]
    after = draw(st.permutations([*kept, *others[len(before) :], *new]))
    return before, list(after), draw(timelines(unit))


@given(changed_plans(), st.integers(0, 30))
def test_sets_that_are_still_there_go_on_under_another_plan(
    guards: Guards, story: tuple[list[WindowSet], list[WindowSet], list[dict[str, Any]]], cut: int
) -> None:
    before, after, rows = story
    names = {s.name for s in before} & {s.name for s in after if s in before}
    twin = plain(drive(NaiveEngine, before, rows))
    first = Driver(ColumnarEngine, before)
    first.feed(rows[:cut])
    second = Driver(ColumnarEngine, after)
    second.folded = first.folded
    second.engine.watermark = first.engine.watermark
    second.engine.load(first.engine.dump(first.engine.loaded()))
    second.feed(rows[cut:], cut)
    second.end()
    ours = plain(second.folded)
    for part in ("windows", "rolling"):
        mine = {name: documents for name, documents in ours[part].items() if name in names}
        assert_same(mine, {name: documents for name, documents in twin[part].items() if name in names}, (part,))
    assert guards.hold()


def sealed(body: bytes) -> bytes:
    return bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + body


def dumps_of(sets: list[WindowSet], rows: list[dict[str, Any]]) -> dict[Key, bytes]:
    driver = Driver(ColumnarEngine, sets)
    driver.feed(rows)
    return dict(driver.engine.dump(driver.engine.loaded()))


def tried(
    guards: Guards, sets: list[WindowSet], key: Key, data: bytes, rows: list[dict[str, Any]], parts: dict[int, bytes] | None = None
) -> bool:
    """Load it, and if it was taken up have the engine do all that an engine does. Whether it was."""
    engine = ColumnarEngine(sets)
    try:
        engine.load({key: data}, {key: parts or {}})
    except StateMismatch:
        assert key not in engine.loaded() or engine.dues([key]) == {key: None}
        assert guards.hold()
        return False
    engine.dues([key])
    engine.due()
    for block in engine.current(key, 50):
        assert len(list(block.expires_at)) == 1
    for batch in (rows, [{**row, "take": True, "old_at": row["at"]} for row in rows if "at" in row]):
        _read(engine.step(columns(sets, batch)))
    engine.dump([key])
    _read(engine.advance(10**9))
    _read(engine.advance(END, BY_END))
    engine.evict([key])
    assert guards.hold()
    return True


def _read(result: Any) -> None:
    for block in (*result.windows, *result.rolling, *result.features):
        for values in block.measures.values():
            list(values)


@given(stories(), st.integers(0, 2**32))
def test_a_dump_that_is_cut_off_or_flipped_is_refused(guards: Guards, story: Any, seed: int) -> None:
    sets, rows = story
    random = Random(seed)
    for data in dumps_of(sets, rows).values():
        for key in (K, ("other", "a")):
            flipped = bytearray(data)
            flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
            assert not tried(guards, sets, key, bytes(flipped), rows)
            assert not tried(guards, sets, key, data[: random.randrange(len(data))], rows)


@given(stories(), st.integers(0, 2**32))
def test_bytes_that_are_flipped_under_a_checksum_that_holds_are_refused_or_harmless(guards: Guards, story: Any, seed: int) -> None:
    sets, rows = story
    random = Random(seed)
    for key, data in dumps_of(sets, rows).items():
        for _ in range(3):
            body = bytearray(data[5:])
            for _ in range(random.choice([1, 1, 2, 5])):
                body[random.randrange(len(body))] = random.choice([0, 1, 0x7F, 0x80, 0xC0, 0xFF, random.randrange(256)])
            tried(guards, sets, key, sealed(bytes(body[: random.choice([len(body), random.randrange(len(body))])])), rows)


@given(stories(), st.integers(0, 2**32))
def test_words_that_say_what_cannot_be_are_refused_or_harmless(guards: Guards, story: Any, seed: int) -> None:
    sets, rows = story
    random = Random(seed)
    for key, data in dumps_of(sets, rows).items():
        for _ in range(4):
            floor, values, sections, own = msgspec.msgpack.decode(data[5:])
            for _ in range(random.choice([1, 1, 2])):
                what = random.random()
                if what < 0.5 and sections:
                    section = random.choice(sections)
                    section["words"] = strange(random, section["words"])
                elif what < 0.8 and own:
                    name = random.choice(list(own))
                    own[name] = strange(random, own[name])
                elif what < 0.85 and own:
                    own.pop(random.choice(list(own)))
                elif what < 0.9 and sections:
                    sections.append(random.choice(sections)) if random.random() < 0.5 else sections.pop()
                elif what < 0.95 and sections:
                    random.shuffle(random.choice(sections)["parts"])
                else:
                    values = random.choice([values[:-1], [*values[1:], None], values * 2])
                    floor = random.choice(NASTY)
            tried(guards, sets, key, sealed(msgspec.msgpack.encode([floor, values, sections, own])), rows)


def strange(random: Random, data: bytes) -> bytes:
    """Words with a few that are others, fewer, more, or in another order."""
    words = np.frombuffer(data, "<i8").astype(np.int64)
    if not len(words):
        return np.array(random.sample(NASTY, 3), "<i8").tobytes()
    what, i, j = random.random(), random.randrange(len(words)), random.randrange(len(words))
    if what < 0.5:
        words[i] = random.choice([*NASTY, words[i] + random.choice([-1, 1, 3]) if abs(int(words[i])) < 1 << 62 else 0, words[j]])
    elif what < 0.65:
        words[[i, j]] = words[[j, i]]
    elif what < 0.8:
        words = words[: random.randrange(len(words))]
    elif what < 0.9:
        words = np.concatenate([words, words[i:]])
    else:
        words = np.concatenate([words[:i], words[i + random.randint(1, 6) :]])
    return words.astype("<i8").tobytes()
