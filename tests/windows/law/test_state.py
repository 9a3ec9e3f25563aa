"""The saved state of a key, what is due when, and budgets: an engine may be stopped, emptied and filled again anywhere."""

from __future__ import annotations

import uuid
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.windows.build import Driver, Factory, beat, columns, window_set
from windows.engine import BY_END, END, LATE_DROP, NEVER, VOID, StateMismatch
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

A = ("k", "a")
MEASURES = {"n": "count()", "s": "sum(x)", "f": "first(shop)", "d": "distinct(shop)"}


def every_kind(**options: Any) -> list[WindowSet]:
    kinds: dict[str, Kind] = {"tumbling": Tumbling(10), "sliding": Sliding(10, 3), "rolling": Rolling(10), "session": Session(5)}
    return [window_set(name, kind, measures=MEASURES, **options) for name, kind in kinds.items()]


def test_a_void_row_touches_nothing(make: Factory) -> None:
    sets = every_kind()
    engine = make(sets)
    result = engine.step(columns(sets, [{"kind": VOID, "at": 5}, {"at": 3}, {"kind": VOID, "at": 1_000}]))
    assert (result.done, result.watermark, engine.watermark) == (3, 3, 3)
    assert result.outcome.tolist() == [0, 0, 0]
    assert make(sets).step(columns(sets, [{"kind": VOID}])).watermark == NEVER


def test_changed_names_the_keys_whose_dump_is_another_one(make: Factory) -> None:
    sets = every_kind(where="x > 0")
    engine = make(sets)
    rows = [{"at": 1, "key": "a", "fields": {"x": 1.0}}, {"at": 1, "key": "b", "fields": {"x": 0.0}}]
    assert engine.step(columns(sets, rows)).changed == {A}
    assert engine.step(columns(sets, [beat(2)])).changed == set()
    assert engine.advance(1_000_000).changed == {A}


def test_dump_and_load_are_inverse_and_evict_forgets(make: Factory) -> None:
    sets = every_kind(retract=True)
    engine, other = make(sets), make(sets)
    rows = [{"at": t, "key": k, "doc": f"{k}{t}", "fields": {"x": t, "shop": "s"}} for t in (1, 2, 12) for k in "ab"]
    engine.step(columns(sets, rows))
    states = dict(engine.dump([A, ("k", "b")]))
    assert set(engine.loaded()) == {A, ("k", "b")}
    engine.evict([A])
    assert set(engine.loaded()) == {("k", "b")}
    other.watermark = engine.watermark
    other.load(states)
    assert dict(other.dump(states.keys())) == states
    engine.load({A: states[A]})
    assert dict(engine.dump(states.keys())) == states
    assert engine.due() == other.due()
    assert dict(engine.dues(states.keys())) == dict(other.dues(states.keys()))


def test_all_that_is_loaded_can_be_evicted_at_once(make: Factory) -> None:
    sets = every_kind()
    engine = make(sets)
    engine.step(columns(sets, [{"at": 1, "key": f"k{i}"} for i in range(5)]))
    engine.evict(engine.loaded())
    assert len(engine.loaded()) == 0
    assert engine.due() is None


def test_the_end_leaves_the_watermark_at_the_last_true_one(make: Factory) -> None:
    sets = every_kind()
    engine = make(sets)
    engine.step(columns(sets, [{"at": 7}]))
    assert engine.advance(END, BY_END).watermark == engine.watermark == 7


def test_sections_of_other_sets_are_left_out_and_new_sets_start_empty(make: Factory) -> None:
    old, new = [*every_kind(), window_set("gone", Tumbling(7))], [*every_kind(), window_set("new", Tumbling(5))]
    first = make(old)
    first.step(columns(old, [{"at": 1, "fields": {"x": 1.0}}]))
    second = make(new)
    second.watermark = first.watermark
    second.load(first.dump([A]))
    result = second.step(columns(new, [{"at": 2, "fields": {"x": 2.0}}]))
    events = {block.set.name: list(block.events) for block in result.windows}
    assert events["tumbling"] == [2]
    assert events["new"] == [1]
    assert "gone" not in events


@pytest.mark.parametrize(
    "damage", [lambda d: b"\xff" + d[1:], lambda d: d[:-1], lambda d: d[:-3] + bytes([d[-3] ^ 1]) + d[-2:], lambda d: b""]
)
def test_bytes_of_another_version_or_damaged_are_not_guessed_at(make: Factory, damage: Any) -> None:
    sets = every_kind()
    engine = make(sets)
    engine.step(columns(sets, [{"at": 1, "fields": {"x": 1.5}}]))
    data = engine.dump([A])[A]
    with pytest.raises(StateMismatch):
        make(sets).load({A: damage(data)})


@dataclass(frozen=True)
class Flag:
    """A boolean that is not a number."""

    value: bool


VALUES: list[Hashable] = [None, "x", b"y", 5, 5.5, 1 << 80, -(1 << 70), True, ("a", (1, None)), Flag(True), uuid.UUID(int=7)]


def test_values_of_any_type_come_back_as_what_they_were() -> None:
    def pack(value: Hashable) -> bytes:
        return b"f" + bytes([value.value]) if isinstance(value, Flag) else b"u" + value.bytes  # type: ignore[attr-defined]

    def unpack(data: bytes) -> Hashable:
        return Flag(bool(data[1])) if data[:1] == b"f" else uuid.UUID(bytes=data[1:])

    sets = [window_set("w", kind, measures={"l": "last(shop)"}, retract=True) for kind in (Tumbling(100),)]
    for value in VALUES:
        rows = [{"at": 1, "doc": value, "fields": {"shop": value}}]
        engine, other = NaiveEngine(sets, pack, unpack), NaiveEngine(sets, pack, unpack)
        engine.step(columns(sets, rows))
        other.load(engine.dump([A]))
        (block,) = other.step(columns(sets, [{"at": 2, "put": False, "take": True, "doc": value}])).windows
        assert list(block.events) == [0], value
        other.load(engine.dump([A]))
        (block,) = other.advance(END, BY_END).windows
        (got,) = block.measures["l"]
        assert got == value
        assert type(got) is type(value)


def test_a_value_that_nobody_can_pack_is_said() -> None:
    sets = every_kind()
    engine = NaiveEngine(sets)
    engine.step(columns(sets, [{"at": 1, "fields": {"shop": Flag(True)}}]))
    with pytest.raises(TypeError, match="Flag"):
        engine.dump([A])


def test_what_a_key_has_closed_stays_closed_under_a_lower_watermark(make: Factory) -> None:
    #  a shard at 50 hands its key to one that stands at 0 (a merge): 0..10 is closed and not to be opened anew
    sets = [window_set("w", Tumbling(10), late="drop")]
    high, low = make(sets), make(sets)
    high.step(columns(sets, [{"at": 5}, beat(50)]))
    low.watermark = 0
    low.load(high.dump([A]))
    assert low.step(columns(sets, [{"at": 5, "mark": 5}])).outcome.tolist() == [LATE_DROP]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Tumbling(10), [13, 23]),  # closes, is freed
        (Sliding(10, 5), [8, 13, 18, 23]),
        (Session(5), [11, 21]),  # closes, is frozen
        (Rolling(2_000), [3_000]),  # the sweep; its event left at 2003 and is no longer needed from 2006 on
        (Rolling(2_000, delay=10_000), [11_000, 13_000]),  # enters, leaves
    ],
)
def test_due_is_when_something_happens_next(make: Factory, kind: Any, expected: list[int]) -> None:
    sets = [window_set("w", kind, lateness=3, retain=10)]
    engine = make(sets)
    assert engine.due() is None
    engine.step(columns(sets, [{"at": 3}]))
    for due in expected:
        assert engine.due() == engine.dues([A])[A] == due
        before = engine.dump([A])[A]
        assert engine.advance(due - 1).changed == set()
        assert engine.dump([A])[A] == before
        assert engine.advance(due).changed == {A}
    assert engine.due() is None
    assert engine.dues([A])[A] is None


def test_expired_values_are_freed(make: Factory) -> None:
    sets = [s for s in every_kind(retain=10) if s.name != "session"]  # a session that never ends keeps its events
    engine, sizes = make(sets), []
    for t in range(0, 3_000, 2):
        engine.step(columns(sets, [{"at": t, "fields": {"x": 1.0, "shop": "s"}}]))
        sizes.append(len(engine.dump([A])[A]))
    assert max(sizes[1_000:]) <= max(sizes[:100]) + 50
    engine.advance(100_000)
    assert len(engine.dump([A])[A]) < 100


def test_time_does_not_pass_backwards(make: Factory) -> None:
    engine = make(every_kind())
    engine.advance(100)
    assert engine.advance(50).watermark == 100


def test_rows_of_one_key_with_a_mark_far_ahead_and_no_change_after(make: Factory) -> None:
    sets = every_kind()
    driver = Driver(make, sets)
    driver.feed([{"at": 1, "fields": {"x": 1.0}}, beat(10_000)])
    assert driver.engine.watermark == 10_000
    assert driver.folded.view("rolling")["n"] == 0
    assert np.array_equal(driver.folded.outcomes, [0, 0])
