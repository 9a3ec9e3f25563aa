"""Sets that ask much of an event: as many conditions as a word has bits, many such sets beside each other, and one too many."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Factory, beat, drive, window_set
from tests.windows.drawn import window_sets
from tests.windows.guarded import least_room
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.codes import Interner
from windows.columnar.engine import ColumnarEngine
from windows.columnar.room import CAP, N, first_out, with_out
from windows.law.spec import DAY, LONGEST, MOST_CONDITIONS, Kind, Rolling, Session, Sliding, Tumbling, WindowSet, check, conditions
from windows.naive.engine import NaiveEngine
from windows.plan.plan import Plan

KINDS = [Tumbling(40), Sliding(40, 10), Rolling(40), Session(7)]


def wide(name: str, kind: Kind, fields: range, **options: Any) -> WindowSet:
    """A set that asks for each of these fields whether it is there: one condition a field, and one for the event itself."""
    return window_set(name, kind, measures={f"m{i}": f"sum(f{i})" for i in fields}, **options)


def events(fields: int) -> list[dict[str, Any]]:
    """Of each event half of the fields are missing."""
    random = Random(fields)
    each = [{f"f{i}": random.choice([None, 1.0 + i]) for i in range(fields)} for _ in range(60)]
    return [{"at": 3 * n, "key": random.choice("ab"), "doc": n, "fields": held} for n, held in enumerate(each)]


@pytest.mark.parametrize("retract", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_set_may_ask_as_much_as_a_word_has_bits(make: Factory, kind: Kind, retract: bool) -> None:
    sets = [wide("w", kind, range(MOST_CONDITIONS - 1), retract=retract)]
    assert conditions(sets[0]) == MOST_CONDITIONS
    rows = events(MOST_CONDITIONS - 1)
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows, range(0, 60, 7), reload=Random(1))), twin)


def test_sets_beside_each_other_may_ask_more_together(make: Factory) -> None:
    sets = [wide(f"{n}{m}", kind, range(30 * m, 30 * m + 30)) for n, kind in enumerate(KINDS) for m in range(5)]
    rows = events(150)
    twin = plain(drive(NaiveEngine, sets, rows))
    assert_same(plain(drive(make, sets, rows, range(0, 60, 7), reload=Random(1))), twin)


@pytest.mark.parametrize("kind", KINDS)
def test_a_set_that_asks_more_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match=r"w: its measures ask 64 different things .* make two sets"):
        Plan([wide("w", kind, range(MOST_CONDITIONS))], Interner().__getitem__)


@pytest.mark.parametrize("retract", [False, True])
@pytest.mark.parametrize("windows", [90, 700, 5_000])
def test_a_late_event_revises_all_of_its_windows_however_many(windows: int, retract: bool) -> None:
    #  .......|late, in `windows` of each set, of which most were empty|....| the watermark is far behind all of them
    sets = [window_set(name, Sliding(2 * windows, 2), retain=DAY, retract=retract) for name in ("w", "v")]
    late = [{"at": n * windows, "doc": n, "key": key} for n, key in enumerate("aabac")]
    rows = [{"at": 0, "doc": 9}, beat(100 * windows), *late, beat(101 * windows)]
    with least_room() as guards:
        ours = plain(drive(ColumnarEngine, sets, rows, [4]))
        assert guards.hold()
    twin = plain(drive(NaiveEngine, sets, rows))
    assert len(twin["windows"]["w"]) > windows
    assert_same(ours, twin)


def test_one_ring_closes_as_many_windows_as_it_freezes_of_those_revised_just_now() -> None:
    #  0..200 | 100 windows are closed, all of them late | time passes by 200: they are frozen, and 100 more are closed, in one step
    for first in range(60, 160, 7):
        sets = [window_set("w", Tumbling(1), retain=200)]
        before = [{"at": n, "mark": 0, "doc": n} for n in range(first)]
        late = [{"at": n, "doc": 1_000 + n} for n in range(100)]
        ahead = [{"at": 200 + n, "mark": 0, "doc": 2_000 + n} for n in range(100)]
        rows = [*before, beat(190), *late, *ahead, beat(600)]
        with least_room() as guards:
            ours = plain(drive(ColumnarEngine, sets, rows))
            assert guards.hold()
        assert_same(ours, plain(drive(NaiveEngine, sets, rows)))


def test_results_that_ran_over_their_room_are_a_fault() -> None:
    plan = Plan([window_set("w", Sliding(40, 10))], Interner().__getitem__)
    out = first_out(plan)
    out[N] = out[CAP] + 1
    with pytest.raises(SystemExit, match="ran over"):  # not an error that a record could be blamed for
        with_out(plan, out)


@given(st.sampled_from([1, 400]).flatmap(window_sets))
def test_conditions_are_counted_as_the_plan_makes_them(sets: list[WindowSet]) -> None:
    for spec in sets:
        [group] = Plan([spec], Interner().__getitem__).groups
        assert len(group.cells.bits) == conditions(spec)


def test_conditions_that_only_python_can_judge_are_one_where_they_are_equal() -> None:
    measures = {"n": "count() if shop > 'b'", "s": "sum(x) if shop > 'b'", "m": "mean(x) if shop > 'b'", "r": "share(shop > 'b')"}
    spec = window_set("w", Tumbling(10), "shop > 'b'", measures=measures)
    [group] = Plan([spec], Interner().__getitem__).groups
    assert len(group.cells.bits) == conditions(spec) == 3


@pytest.mark.parametrize(
    "spec",
    [
        window_set("w", Tumbling(LONGEST)),
        window_set("w", Rolling(1, delay=1 << 61)),
        window_set("w", Session(1, 1 << 61)),
        window_set("w", Tumbling(DAY), retain=1 << 62),
        window_set("w", Tumbling(DAY), lateness=1 << 70),
        window_set("w", Tumbling(DAY, -(1 << 62))),
        window_set("w", Session(10, 9)),
    ],
)
def test_times_that_leave_what_a_word_holds_are_refused(spec: WindowSet) -> None:
    with pytest.raises(ValueError, match=r"years|cannot hold a gap"):
        check(spec)
