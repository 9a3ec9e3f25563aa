"""Long histories are saved in segments that never change: whatever comes, goes, or is made up, and however they are cut."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.windows.build import Driver, columns, drive, small_segments, window_set
from tests.windows.columnar.test_load import strange, tried
from tests.windows.columnar.test_twin import MEASURES, busy
from tests.windows.drawn import stories, timelines, window_sets
from tests.windows.guarded import Guards
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar import saved
from windows.columnar.engine import ColumnarEngine
from windows.columnar.saved import Stretch, after_changes, joined
from windows.columnar.state import VERSION, unseal
from windows.engine import Columns, Dumps, Key, StateMismatch
from windows.law.spec import Kind, Rolling, Session, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

K = ("k", "a")
SOAK = int(os.environ.get("EDDY_SOAK") or 0)
KINDS: list[tuple[Kind, dict[str, Any]]] = [
    (Rolling(900), {}),
    (Rolling(900), {"retract": True}),
    (Session(40, 900), {"retain": 3_000}),
    (Tumbling(100), {"retract": True, "retain": 2_000}),
]


@pytest.fixture(scope="module")
def guards() -> Iterator[Guards]:
    """Every engine here has the least memory that it may have."""
    guards = Guards()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("windows.columnar.engine.with_room", guards.least)
        yield guards


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Segments hold a few events each."""
    with small_segments(TAIL=12, KEPT=6, MOST=30, LIMIT=400, SOME=50):
        yield


@settings(max_examples=max(300, SOAK))
@given(stories(), st.lists(st.integers(0, 30)), st.sampled_from([None, 1, 3]), st.integers(0, 2**32), st.booleans())
def test_it_does_what_the_twin_does(
    guards: Guards, story: tuple[list[WindowSet], list[dict[str, Any]]], cuts: list[int], budget: int | None, seed: int, end: bool
) -> None:
    sets, rows = story
    ours = plain(drive(ColumnarEngine, sets, rows, cuts, budget, Random(seed), end=end))
    assert_same(ours, plain(drive(NaiveEngine, sets, rows, end=end)))
    assert guards.hold()


@pytest.mark.parametrize("seed", range(max(3, SOAK // 20)))
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_long_histories(guards: Guards, kind: Kind, options: dict[str, Any], seed: int) -> None:
    #  hundreds of events, of which some come late, some are taken out again, and the oldest are forgotten
    random = Random(seed)
    rows = busy(random, 700, 30, random.choice([20, 600]))
    for n in range(60, len(rows), 9) if options.get("retract") else ():
        old = rows[n - random.choice([1, 5, 50])]
        if "doc" in old:
            rows[n] = {
                **rows[n],
                "doc": old["doc"],
                "key": old["key"],
                "old_at": old["at"],
                "at": old["at"],
                "take": True,
                "fields": {},
            }
    sets = [window_set("w", kind, measures=MEASURES, **options)]
    ours = plain(drive(ColumnarEngine, sets, rows, range(0, len(rows), 17), None, Random(seed)))
    assert_same(ours, plain(drive(NaiveEngine, sets, rows)))
    assert guards.hold()


def stored(driver: Driver, key: Key = K) -> set[int]:
    """The numbers of a key's segments in the store."""
    return set(driver.segments.get(key, {}))


def test_only_what_has_changed_is_written_anew() -> None:
    #  0 ..... 10 ..... 20 ..... 30     an event at 12 comes late; then all up to 15 are forgotten
    sets = [window_set("w", Rolling(10_000), measures={"n": "count()"}, lateness=100)]
    engine = ColumnarEngine(sets)
    engine.step(columns(sets, [{"at": n} for n in range(40)]))
    first = engine.dump([K]).segments[K]
    assert sorted(first.new) == sorted(first.held) == [1, 2, 3]
    assert all(len(data) <= saved.LIMIT for data in first.new.values())
    assert engine.dump([K]).segments[K].new == {}
    engine.step(columns(sets, [{"at": 12, "mark": 39}]))
    later = engine.dump([K]).segments[K]
    assert len(later.gone) == 1 and set(later.gone) < set(first.held)
    assert set(later.held) == {*first.held, *later.new} - {*later.gone}
    assert min(later.new) > max(first.held)
    engine.step(columns(sets, [{"at": 10_120}]))
    engine.step(columns(sets, [{"at": 10_120}] * 17))
    last = engine.dump([K]).segments[K]
    assert set(later.new) <= set(last.gone)
    engine.advance(10**6)
    assert not engine.holds(engine.dump([K])[K])


def test_a_key_whose_history_has_gone_has_its_segments_removed() -> None:
    for kind, options in KINDS:
        sets = [window_set("w", kind, measures={"n": "count()"}, **options)]
        driver = Driver(ColumnarEngine, sets, reload=Random(3))
        for n in range(0, 60, 5):
            driver.feed([{"at": t, "doc": t} for t in range(n, n + 5)])
        driver._save(Random(1))
        assert stored(driver)
        driver.end(10**7)
        driver._save(Random(1))
        assert not stored(driver)


@given(st.data(), st.integers(0, 30))
def test_sets_that_are_still_there_go_on_under_another_plan(guards: Guards, data: st.DataObject, cut: int) -> None:
    before, others, rows = data.draw(window_sets(10)), data.draw(window_sets(10)), data.draw(timelines(10))
    kept = [s for s in before if data.draw(st.booleans())]
    new = [window_set(f"new{n}", s.kind, key=s.key, retract=s.retract, measures=MEASURES) for n, s in enumerate(others)]
    after = data.draw(st.permutations([*kept, *new]))
    names = {s.name for s in kept}
    twin = plain(drive(NaiveEngine, before, rows))
    first, second = Driver(ColumnarEngine, before), Driver(ColumnarEngine, after)
    first.feed(rows[:cut])
    first._save(Random(1))  # all keys: the engine is made anew
    second.folded, second.saved, second.segments, second.dues = first.folded, first.saved, first.segments, first.dues
    second.engine.watermark = first.engine.watermark
    second._load(set(second.saved), 0)
    second.dirty = set(second.saved)
    second._save(Random(1))  # segments of the former plan go, those of this one come
    second.feed(rows[cut:], cut)
    second.end()
    ours = plain(second.folded)
    for part in ("windows", "rolling"):
        mine = {name: documents for name, documents in ours[part].items() if name in names}
        assert_same(mine, {name: documents for name, documents in twin[part].items() if name in names}, (part,))
    assert guards.hold()


def long(sets: list[WindowSet], rows: list[dict[str, Any]]) -> tuple[Dumps, Columns]:
    """What an engine saves of these rows."""
    engine, batch = ColumnarEngine(sets), columns(sets, rows)
    engine.step(batch)
    return engine.dump(engine.loaded()), batch


def test_a_segment_that_is_missing_or_another_one_is_told_of() -> None:
    sets = [window_set("w", Rolling(10_000), measures={"n": "count()"})]
    dumps, _ = long(sets, [{"at": n} for n in range(40)])
    others, _ = long(sets, [{"at": n} for n in range(1, 41)])
    new = dumps.segments[K].new
    ColumnarEngine(sets).load(dumps, {K: new})
    for number in new:
        for wrong in ({n: d for n, d in new.items() if n != number}, {**new, number: others.segments[K].new[number]}):
            with pytest.raises(StateMismatch):
                ColumnarEngine(sets).load(dumps, {K: wrong})


@given(stories(), st.integers(0, 2**32))
def test_segments_that_say_what_cannot_be_are_refused_or_harmless(guards: Guards, story: Any, seed: int) -> None:
    sets, rows = story
    random = Random(seed)
    dumps, _ = long(sets, rows)
    for key, held in dumps.segments.items():
        for _ in range(4):
            parts = dict(held.new)
            number = random.choice(list(parts))
            values, words = msgspec.msgpack.decode(parts[number][5:])
            if random.random() < 0.2:
                values = random.choice([values[:-1], values * 2, [*values, None]])
            parts[number] = sealed(msgspec.msgpack.encode([values, strange(random, words)]))
            floor, own_values, sections, own = msgspec.msgpack.decode(dumps[key][5:])
            for section in sections:
                if "held" in section:
                    told = np.frombuffer(section["held"], "<i8").reshape(-1, 6).copy()
                    told[told[:, 0] == number, 5] = int.from_bytes(parts[number][1:5], "big")
                    section["held"] = told.tobytes() if random.random() < 0.7 else strange(random, told.tobytes())
            tried(guards, sets, key, sealed(msgspec.msgpack.encode([floor, own_values, sections, own])), rows, parts)


def sealed(body: bytes) -> bytes:
    return bytes([VERSION]) + zlib.crc32(body).to_bytes(4, "big") + body


def row(n: int, dirty: int = 0, skip: int = 0) -> list[int]:
    return [0, 7, 0, n, skip, dirty, 0]


def test_what_is_left_of_segments() -> None:
    def left(rows: list[list[int]], trimmed: int) -> list[tuple[int, int | None]]:
        return [(s.n, s.row[4] if s.row else None) for s in after_changes(np.array(rows, np.int64), trimmed)]

    assert left([row(5), row(5)], 0) == [(5, 0), (5, 0)]
    assert left([row(5), row(5)], 7) == [(3, 2)]
    assert left([row(5, skip=4), row(5)], 2) == [(3, 6), (5, 0)]
    assert left([row(5), row(6, 1), row(4, 1), row(5)], 6) == [(9, None), (5, 0)]
    assert left([row(2, 1), row(-2, 1), row(5)], 1) == [(4, 1)]
    assert left([row(5), row(5)], 99) == []


def test_small_neighbours_are_saved_together() -> None:
    def sizes(*stretches: tuple[int, bool]) -> list[tuple[int, bool]]:
        return [(s.n, s.row is None) for s in joined([Stretch(n, None if new else [1]) for n, new in stretches], 10)]

    assert sizes((5, False), (3, True)) == [(5, False), (3, True)]
    assert sizes((5, False), (2, False), (3, True)) == [(10, True)]
    assert sizes((9, False), (2, False), (3, True)) == [(9, False), (5, True)]
    assert sizes((3, True), (8, True)) == [(3, True), (8, True)]


def test_what_is_told_of_a_segment_is_what_is_in_it() -> None:
    sets = [window_set("w", Rolling(10_000), measures={"l": "last(shop)"})]
    dumps, _ = long(sets, [{"at": 5, "fields": {"shop": f"s{n}" * (1 + 300 * (n == 20))}} for n in range(40)])
    [section] = unseal(dumps[K]).sections
    told = np.frombuffer(section.held, "<i8").reshape(-1, 6)
    assert told[:, 0].tolist() == list(dumps.segments[K].held)
    tail = len(section.words) // 8 // 3
    assert told[:, 2].sum() + tail == 40
    assert (told[:, 3] == 5).all()
    too_long = [data for data in dumps.segments[K].new.values() if len(data) > saved.LIMIT]
    assert len(too_long) == 1  # one event alone
