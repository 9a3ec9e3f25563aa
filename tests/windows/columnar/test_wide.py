"""Sets that ask much of an event: as many conditions as a word has bits, many such sets beside each other, and one too many."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Factory, drive, window_set
from tests.windows.drawn import window_sets
from tests.windows.law.test_properties import assert_same, plain
from windows.columnar.codes import Interner
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
