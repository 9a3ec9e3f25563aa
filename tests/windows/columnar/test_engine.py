"""What only the columnar engine has: columns that come with codes, blocks made when they are read, memory, shared state."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from tests.windows.build import Driver, Factory, beat, columns, drive, window_set
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.codes import Codes
from windows.columnar.engine import ColumnarEngine
from windows.engine import StateMismatch
from windows.kernels.memory import arena
from windows.law.spec import DAY, Kind, Rolling, Session, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

MEASURES = {"n": "count()", "s": "sum(x)", "d": "distinct(shop)", "f": "first(shop)"}


def sets(**options: Any) -> list[WindowSet]:
    kinds: dict[str, Kind] = {"a": Tumbling(60), "b": Sliding(600, 60), "c": Rolling(300)}
    return [window_set(name, kind, measures=MEASURES, **options) for name, kind in kinds.items()]


def stream(n: int, keys: int = 3, shops: int = 40) -> list[dict[str, Any]]:
    return [
        {"at": 7 * i, "key": f"k{i * i % keys}", "fields": {"x": 0.1 * i, "shop": f"s{i * 31 % shops}" if i % 5 else None}}
        for i in range(n)
    ]


def test_tumbling_and_sliding_share_their_slices() -> None:
    plan = ColumnarEngine(sets()).plan
    assert [[plan.sets[i].name for i in g.sets] for g in plan.groups] == [["a", "b"], ["c"]]


def test_columns_with_codes_are_the_same_as_plain_ones() -> None:
    rows, spec = stream(400), sets()
    table: list[Any] = []
    keys: list[Any] = []

    class Coded(ColumnarEngine):
        def step(self, batch: Any, begin: int = 0, budget: int | None = None) -> Any:
            table.extend(v for v in dict.fromkeys(batch.value["shop"]) if v is not None and v not in table)
            keys.extend(k for k in batch.keys if k not in keys)
            shops = Codes(np.array([-1 if v is None else table.index(v) for v in batch.value["shop"]], np.int64), table)
            coded = Codes(np.array([keys.index(k) for k in batch.keys], np.int64), keys)
            return super().step(structs.replace(batch, value={"shop": shops}, keys=coded), begin, budget)

    cuts = range(0, 400, 90)
    assert_same(plain(drive(Coded, spec, rows, cuts)), plain(drive(NaiveEngine, spec, rows)))


def test_a_block_must_be_read_before_the_engine_goes_on() -> None:
    spec = sets()
    engine = ColumnarEngine(spec)
    result = engine.step(columns(spec, stream(3)))
    engine.advance(30)
    with pytest.raises(RuntimeError, match="read before"):
        list(result.rolling[0].as_of)


def test_all_memory_comes_back_and_is_used_again() -> None:
    spec = sets(retain=100)
    driver = Driver(ColumnarEngine, spec)
    engine = driver.engine
    assert isinstance(engine, ColumnarEngine)
    driver.feed([{"at": 0, "key": "first"}])
    engine.evict(list(engine.loaded()))
    engine.due()
    sizes = []
    for turn in range(6):
        driver.feed([{**row, "at": row["at"] + 100_000 * turn, "key": f"{turn}{row['key']}"} for row in stream(500, 20)])
        engine.evict(list(engine.loaded()))
        sizes.append((int(engine.M[arena.USED]), int(engine.M[arena.BUMP]), len(engine.roots)))
    assert sizes[-1][0] <= sizes[1][0] + 64
    assert sizes[-1][1:] == sizes[2][1:]


def test_a_changed_set_starts_empty_and_unchanged_ones_go_on() -> None:
    before, rows = sets(), stream(200, 1)
    engine = ColumnarEngine(before)
    engine.step(columns(before, rows[:150]))
    changed = [before[0], replace(before[1], lateness=1), before[2], window_set("e", Rolling(900), measures=MEASURES)]
    anew = ColumnarEngine(changed)
    anew.watermark = engine.watermark
    anew.load(engine.dump(engine.loaded()))
    driver = Driver(lambda _: anew, changed)
    driver.feed(rows[150:])
    driver.end()
    whole, rest = plain(drive(NaiveEngine, before, rows)), plain(drive(NaiveEngine, changed, rows[150:]))
    ours = plain(driver.folded)
    last = max(start for _, start in whole["windows"]["a"])
    assert_same(ours["rolling"]["c"], whole["rolling"]["c"])
    assert_same(ours["windows"]["a"][("k", "k0"), last], whole["windows"]["a"][("k", "k0"), last])
    assert_same(ours["windows"]["b"], rest["windows"]["b"])
    assert_same(ours["rolling"]["e"], rest["rolling"]["e"])


def test_bytes_of_another_version_or_damaged_ones_are_refused() -> None:
    spec = sets()
    engine = ColumnarEngine(spec)
    engine.step(columns(spec, stream(10, 1)))
    [(key, data)] = engine.dump(engine.loaded()).items()
    for bad in (b"", bytes([data[0] + 1]) + data[1:], data[:-1] + bytes([data[-1] ^ 1])):
        with pytest.raises(StateMismatch):
            ColumnarEngine(spec).load({key: bad})


@pytest.mark.parametrize("n", [20_000])
def test_a_long_history_of_one_busy_key_stays_fast_and_small(n: int) -> None:
    """30 days of one event every two minutes: the tree's height, not its length, is what an event costs."""
    spec = [window_set("m", Rolling(30 * 86_400_000), measures={"n": "count()", "s": "sum(x)", "d": "distinct(shop)"})]
    rows = [{"at": i * 120_000, "fields": {"x": 1.0, "shop": f"s{i % 9}"}} for i in range(n + 5_000)]
    driver = Driver(ColumnarEngine, spec)
    driver.feed(rows[:n])
    assert isinstance(driver.engine, ColumnarEngine)
    used = int(driver.engine.M[arena.USED])
    driver.feed(rows[n:], n)
    assert driver.folded.features["m"][n + 4_999] == {"n": 21_600, "s": 21_600.0, "d": 9}
    assert int(driver.engine.M[arena.USED]) < 1.3 * used < 21_600 * 12


@pytest.mark.parametrize(("kind", "times", "most"), [
    (Tumbling(1_000), [0], 264),
    (Sliding(10_000, 1_000), [0, 999], 264),
    (Sliding(10_000, 1_000), [1_000 * i for i in range(9)], 264 + 8 * 128),
    (Rolling(100_000), [0, 1, 2, 3], 584),
    (Rolling(100_000), [*range(16)], 844),
    (Rolling(100_000), [*range(2_000)], 2_000 * 60),
])  # fmt: skip
def test_a_key_takes_the_memory_that_the_docs_say(kind: Kind, times: list[int], most: int) -> None:
    spec = [window_set("m", kind, measures={"n": "count()", "s": "sum(x)", "top": "max(x)"}, lateness=0, retain=0)]
    engine, keys = ColumnarEngine(spec), 1_000 if len(times) < 100 else 5
    empty = int(engine.M[arena.USED])
    for at in times:
        engine.step(columns(spec, [{"at": at, "key": f"k{i}", "fields": {"x": 1.5}} for i in range(keys)]))
    timers = 32  # words of them that lie together
    assert (int(engine.M[arena.USED]) - empty) * 8 / keys <= most + timers


def test_codes_of_values_that_are_gone_are_given_to_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windows.columnar.codes.CROWD", 50)
    spec = [*sets(retain=10, where="shop != 'never'"), window_set("l", Tumbling(100), measures={"l": "last(shop)"}, retain=10)]
    rows = [{"at": 7 * i, "key": "ab"[i % 2], "fields": {"x": 1.0, "shop": f"s{i // 3}"}} for i in range(3_000)]
    driver = Driver(ColumnarEngine, spec)
    for begin in range(0, 3_000, 40):
        driver.feed(rows[begin : begin + 40], begin)
    driver.end()
    assert isinstance(driver.engine, ColumnarEngine)
    assert len(driver.engine.codes.values_by_code) < 400
    assert_same(plain(driver.folded), plain(drive(NaiveEngine, spec, rows)))


@pytest.mark.parametrize("seed", range(40))
def test_what_a_set_refused_is_not_in_its_views(seed: int) -> None:
    """Sets that share a history refuse late values at different times; a view of the same step stands as it was before them."""
    kinds: list[Kind] = [Rolling(10_000), Rolling(10_000, "both", False), Rolling(9_000, delay=1_000), Rolling(100_000)]
    spec = [window_set(f"w{i}", kind, measures=MEASURES, lateness=500 * i) for i, kind in enumerate(kinds)]
    random, now, rows = Random(seed), 0, []
    for n in range(40):
        now += random.choice([0, 500, 2_000, 6_000])
        at = max(0, now - random.choice([0, 0, 0, 2_000, 12_000, 40_000]))
        rows.append({"at": at, "mark": now, "key": random.choice("ab"), "fields": {"x": 1.0 + n, "shop": f"s{n % 3}"}})
    assert_same(plain(drive(ColumnarEngine, spec, rows)), plain(drive(NaiveEngine, spec, rows)))


def test_keys_that_come_and_go_leave_no_timers_behind() -> None:
    spec = [window_set("r", Rolling(30 * DAY)), window_set("w", Tumbling(60_000)), window_set("s", Session(60_000))]
    engine, keys = ColumnarEngine(spec), [("k", f"k{i}") for i in range(1_000)]
    engine.step(columns(spec, [{"at": 1_000 * i, "mark": 0, "key": f"k{i}"} for i in range(1_000)]))
    dumps, dues, used = dict(engine.dump(keys)), dict(engine.dues(keys)), int(engine.M[arena.USED])
    for _ in range(30):
        engine.evict(keys)
        engine.load(dumps)
        assert engine.M[arena.T_HELD] <= 2 * 3 * 1_000 + 1_024
        assert engine.M[arena.USED] <= 3 * used
        assert engine.due() == min(due for due in dues.values() if due is not None)
    assert dict(engine.dues(keys)) == dues
    twin = NaiveEngine(spec)
    twin.step(columns(spec, [{"at": 1_000 * i, "mark": 0, "key": f"k{i}"} for i in range(1_000)]))
    ours, theirs = engine.advance(10_000_000), twin.advance(10_000_000)
    for a, b in zip(sorted(ours.windows, key=lambda b: b.set.name), sorted(theirs.windows, key=lambda b: b.set.name), strict=True):
        assert set(zip(a.key, a.start, a.events, strict=True)) == set(zip(b.key, b.start, b.events, strict=True))


def test_memory_is_asked_for_by_what_is_in_use() -> None:
    kinds = [window_set(f"w{i}", Tumbling(3_600_000), measures={"d": "distinct(shop)", "s": "sum(x)"}) for i in range(3)]
    engine = ColumnarEngine(kinds)
    for n in (100_000, 400_000):
        batch = columns(kinds, [{"at": 0, "fields": {"x": 1.0, "shop": i}} for i in range(n)])
        engine.step(batch)
        words = 2 * 8 / 3 * n  # of a map with so many values: a code and its place, three quarters full at most
        assert engine.M[arena.USED] < words + 50_000
        assert engine.M.size < 6 * words + 200_000


def test_a_late_value_that_only_a_neighbour_takes_closes_no_window_that_is_frozen(make: Factory) -> None:
    #  windows of 1, the second set keeps them for 4 more: the value at -61, under the watermark -60, is late for the first set
    spec = [window_set("gone", Tumbling(1), retain=0), window_set("kept", Tumbling(1), retain=4)]
    folded = drive(make, spec, [{"at": -60}, {"at": -61, "mark": -60}, {"at": -59}])
    assert folded.spans("gone") == [(-60, -59, 1), (-59, -58, 1)]
    assert folded.spans("kept") == [(-61, -60, 1), (-60, -59, 1), (-59, -58, 1)]
    assert folded.late == {"gone": 1}


def test_a_window_goes_on_in_a_slice_beside_the_one_that_was_loaded(make: Factory) -> None:
    old, new = window_set("w", Tumbling(10)), window_set("new", Tumbling(10))
    first, second = make([old]), Driver(make, [old, new])
    first.step(columns([old], [{"at": 1}, {"at": 11, "mark": 1}]))
    second.engine.load(first.dump(first.loaded()))
    second.feed([{"at": 2, "mark": 1}, {"at": 12, "mark": 1}, {"at": 13, "mark": 1}])
    second.end()
    assert second.folded.spans("w") == [(0, 10, 2), (10, 20, 3)]
    assert second.folded.spans("new") == [(0, 10, 1), (10, 20, 2)]


def test_an_engine_may_stop_in_front_of_a_late_row_where_sets_share_a_view(make: Factory) -> None:
    #  w refuses the event of 3 s that v takes: what w holds as of 12 s is asked for before
    sets = [window_set("v", Rolling(30_000)), *(window_set(name, Rolling(10_000), view="k") for name in ("w", "x"))]
    rows = [{"at": 12_000}, beat(14_000), {"at": 3_000, "mark": 14_000}]
    engine, batch = make(sets), columns(sets, rows)
    assert engine.step(batch).done == 2
    assert engine.step(batch, 2).done == 3
    alone = make([replace(s, view=None) for s in sets])
    assert alone.step(columns(sets, rows)).done == 3
