"""Sets that keep their events: sessions and whatever values can be taken out of, crowded, against the twin."""

from __future__ import annotations

import itertools
from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Driver, Factory, beat, columns, drive, window_set
from tests.windows.drawn import MEASURES
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.engine import ColumnarEngine
from windows.engine import BY_END, END, Columns
from windows.kernels.memory import arena
from windows.law.spec import DAY, Kind, Rolling, Session, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

Story = tuple[list[WindowSet], list[dict[str, Any]]]


def kind_of(random: Random, scale: int) -> Kind:
    size = random.randint(1, 9) * scale
    longest = random.choice([None, size, size + scale, size + 3 * scale, 3 * size])
    which = random.choice(["session", "session", "tumbling", "sliding", "rolling"])
    if which == "tumbling":
        return Tumbling(size, random.choice([0, 3]))
    if which == "sliding":
        return Sliding(size, random.randint(1, size) if size < 30 else random.randint(size // 9, size))
    if which == "rolling":
        closed = random.random() < 0.3
        return Rolling(size, "both" if closed else "right", random.random() < 0.7, random.choice([0, 0, 2 * scale]))
    return Session(size, longest)


def crowded(random: Random, n: int, scale: int = 1) -> Story:
    """Few keys and documents: values come twice under one document, at equal times, late, far too late; they go again, from where
    they were or from where they never were, known or unknown."""
    choice = random.choice
    sets = [
        window_set(
            f"w{i}", kind_of(random, scale), choice([None, None, "x > 0"]), measures=MEASURES, retract=random.random() < 0.8,
            late=choice(["update", "update", "drop", "dead_letter"]), retain=choice([0, 4, 12, 60]) * scale,
            lateness=choice([0, 0, 2, 6]) * scale,
        )
        for i in range(random.randint(1, 3))
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    known: dict[Any, tuple[int, str]] = {}
    pool, behind = choice([4, 12, 10**6]), choice([[0, 0, 0, 1], [0, 0, 1, 3, 8], [0, 0, 2, 9, 30]])
    now = choice([-50, 0, 10**9]) * scale
    for number in range(n):
        now += choice([0, 0, 0, 1, 1, 2, 5]) * choice([1, scale])
        if random.random() < 0.1:
            rows.append(beat(now + choice([0, 3, 20]) * scale))
            continue
        at, doc = now - choice(behind) * scale, choice([number, random.randrange(pool)])
        fields = {"x": choice([None, -1.0, 0.5, 2.0, 1e16]), "ok": choice([None, True, False]), "shop": choice([None, "a", "b", 5])}
        row = {"at": at, "mark": now - choice([0, 4]) * scale, "doc": doc, "key": choice("aab"), "fields": fields}
        if random.random() < 0.45:
            doc = choice([*known][-8:]) if known and random.random() < 0.9 else choice([doc, None, "nobody"])
            old, key = known.get(doc, (at, row["key"]))
            moved = choice([0, 0, 0, 0, 1, -3, 40]) * scale
            row |= {
                "take": True,
                "put": random.random() < 0.5,
                "doc": doc,
                "old_at": old + moved,
                "key": choice([key, key, key, "b"]),
            }
        if row.get("put", True):
            known.pop(row["doc"], None)
            known[row["doc"]] = (at, row["key"])
        rows.append(row)
    return sets, rows


@given(st.integers(0, 2**32))
def test_crowded_changes_are_what_the_twin_makes_of_them(seed: int) -> None:
    for each in range(4):
        random = Random(seed + each)
        sets, rows = crowded(random, random.randint(3, 40))
        twin = plain(drive(NaiveEngine, sets, rows, end=seed % 2 == 0))
        assert_same(plain(drive(ColumnarEngine, sets, rows, end=seed % 2 == 0)), twin)
        cuts = random.sample(range(40), 4)
        ours = drive(ColumnarEngine, sets, rows, cuts, random.choice([None, 1, 2, 5]), random, end=seed % 2 == 0)
        assert_same(plain(ours), twin)


@given(st.integers(0, 2**32))
def test_dues_are_the_twins_at_every_place(seed: int) -> None:
    random = Random(seed)
    sets, rows = crowded(random, 25)
    ours, twin = (Driver(make, sets) for make in (ColumnarEngine, NaiveEngine))
    for i, row in enumerate(rows):
        ours.feed([row], i)
        twin.feed([row], i)
        if random.random() < 0.3:
            assert dict(ours.engine.dues(ours.engine.loaded())) == dict(twin.engine.dues(twin.engine.loaded()))
        if random.random() < 0.3:
            assert ours.engine.due() == twin.engine.due()
    assert_same(plain(ours.folded), plain(twin.folded))


@pytest.mark.parametrize("seed", range(8))
def test_long_crowded_histories(make: Factory, seed: int) -> None:
    random = Random(seed)
    sets, rows = crowded(random, 500, random.choice([1, 20]))
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows)), twin)
    assert_same(plain(drive(make, sets, rows, random.sample(range(500), 12), random.choice([None, 30]), Random(seed))), twin)


def test_a_late_value_shifts_the_cuts_of_a_long_chain(make: Factory) -> None:
    #  gap 5, max 12, an event every 3: all cuts behind a value that comes first are other ones, hundreds in one row
    sets = [window_set("w", Session(5, 12), measures=MEASURES, lateness=10**6)]
    rows: list[dict[str, Any]] = [{"at": 3 * i, "mark": 0, "fields": {"x": float(i)}} for i in range(4_000)]
    rows += [{"at": -1, "mark": 0}, {"at": -2, "mark": 0}, {"at": 4_001, "mark": 0}]
    folded = drive(make, sets, rows, [4_000, 4_001, 4_002])
    assert_same(plain(folded), plain(drive(NaiveEngine, sets, rows)))


def test_a_session_that_was_frozen_empty_and_begins_again_can_still_be_removed(make: Factory) -> None:
    #   gap 8                 0         5         8      9        10
    #   comes                 A         B                C at 0
    #   goes                  A (at 7)                            C
    #   session 0     |-------- empty ----------| final  |- with B -| gone
    sets = [window_set("w", Session(8), retract=True, late="drop", retain=12)]
    rows: list[dict[str, Any]] = [
        {"at": 0, "mark": 0, "doc": "A"},
        {"at": 0, "mark": 7, "doc": "A", "take": True, "put": False},
        {"at": 5, "mark": 7, "doc": "B"},
        {"at": 0, "mark": 9, "doc": "C"},
        {"at": 0, "mark": 10, "doc": "C", "take": True, "put": False},
    ]
    for cuts in [*itertools.combinations(range(1, 5), 2), ()]:
        found = drive(make, sets, rows, cuts, end=False).windows["w"]
        assert {start: document["events"] for (_, start), document in found.items()} == {5: 1}


def test_values_go_out_of_local_days(make: Factory) -> None:
    sets = [
        window_set("day", Tumbling(DAY, zone="Europe/Berlin"), measures=MEASURES, retract=True, retain=3 * DAY),
        window_set("week", Sliding(7 * DAY, DAY, zone="Europe/Berlin"), measures=MEASURES, retract=True, lateness=DAY),
    ]
    start = 1_743_033_600_000  # three days before the clocks change
    rows = [{"at": start + i * DAY // 9, "doc": i, "fields": {"x": float(i % 7)}} for i in range(80)]
    for i in range(0, 80, 3):
        at = start + i * DAY // 9
        rows.insert(i + 20 + i // 3, {"at": at, "mark": rows[min(i + 12, 79)]["at"], "doc": i, "take": True, "put": i % 2 == 0})
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows, range(0, 100, 9), 3, Random(1))), twin)


def test_the_work_of_one_row_on_sessions_is_bounded_by_the_budget(make: Factory) -> None:
    sets = [window_set("s", Session(5)), window_set("t", Tumbling(10), retract=True)]
    engine, folded, most, steps, done = make(sets), [], 0, 0, 0
    rows = [{"at": 20 * i, "mark": 0, "key": f"k{i % 3}"} for i in range(900)]
    engine.step(columns(sets, rows))
    while not done:
        result = engine.advance(10**6, budget=50)
        closed = [(b.set.name, key, start) for b in result.windows for key, start in zip(b.key, b.start, strict=True)]
        folded += closed
        most, steps, done = max(most, len(closed)), steps + 1, result.done
    assert Counter(folded).most_common(1)[0][1] == 1
    assert len(folded) == 1_800
    assert most <= 50 + 130
    assert steps >= 9


def test_memory_of_kept_events_comes_back(make: Factory) -> None:
    kinds = {"s": Session(50), "t": Tumbling(100), "r": Rolling(80)}
    sets = [window_set(name, kind, measures=MEASURES, retract=True, retain=100) for name, kind in kinds.items()]
    engine = ColumnarEngine(sets)
    sizes = []
    for turn, i in itertools.product(range(6), range(10)):
        at = 10_000 * turn + 100 * i
        rows = [{"at": at + n, "key": f"{turn}{n % 5}", "doc": n % 40, "fields": {"x": 1.0, "shop": f"{n}"}} for n in range(100)]
        rows += [{"at": at + n, "key": f"{turn}{n % 5}", "doc": n, "take": True, "put": n % 2 > 0} for n in range(0, 40, 3)]
        engine.step(columns(sets, rows))
        if i == 9:
            engine.evict(list(engine.loaded()))
            sizes.append((int(engine.M[arena.USED]), int(engine.M[arena.BUMP])))
    assert sizes[-1][0] <= sizes[1][0] + 64
    assert sizes[-1][1] == sizes[2][1]


def test_a_row_that_vouches_for_the_end_is_taken_after_all_has_closed(make: Factory) -> None:
    sets = [window_set("s", Session(5), retract=True), window_set("t", Tumbling(10), retract=True)]
    rows = [{"at": 3, "doc": 1}, {"at": 4, "doc": 2}, {"at": 4, "mark": END, "cause": BY_END, "doc": 3}]

    def documents(engine: Any) -> Any:
        batch: Columns = columns(sets, rows)
        result = engine.step(batch)
        return sorted((b.set.name, *row) for b in result.windows for row in zip(b.start, b.end, b.events, b.revision, strict=True))

    assert documents(make(sets)) == documents(NaiveEngine(sets))
