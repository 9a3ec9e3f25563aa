"""Rolling sets that share a view: one document a key, always whole, and the same however the stream is cut.

#  key a   x         y                 short (size 10), long (size 30, of declined ones only)
#          |---------|---------|-->
#          short 1   short 1   short 0    each time the document says of both, as of that time
#          long 0    long 1    long 1
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.step.rolling import RollingViews
from tests.windows.build import Driver, Factory, Folded, beat, window_set
from tests.windows.drawn import UNITS, timelines
from windows.columnar.engine import ColumnarEngine
from windows.engine import NEVER, StepResult
from windows.law.spec import Rolling, WindowSet
from windows.naive.engine import NaiveEngine

S = 1_000
Documents = dict[tuple[str, Any], dict[str, Any]]
MEASURES = {"n": "count()", "s": "sum(x)", "hi": "max(x)", "d": "distinct(shop)", "l": "last(shop)", "q": "quantile(x, 0.3)"}


def at(seconds: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


class Shown(Folded):
    """What a reader finds in the views of rolling sets."""

    def __init__(self, views: RollingViews) -> None:
        super().__init__()
        self.rolling_views, self.documents = views, Documents()

    def apply(self, result: StepResult, offset: int = 0) -> None:
        for view, key, document in self.rolling_views.documents(result.rolling, lambda spec: NEVER, lambda spec: ()):
            self.documents[view, key] = document
        super().apply(result, offset)


class Showing(Driver):
    """A driver that makes documents of each step, whichever engine made it."""

    def __init__(self, factory: Factory, sets: Sequence[WindowSet], budget: int | None = None, reload: Random | None = None):
        super().__init__(factory, sets, budget, reload)
        self.folded = self.shown = Shown(RollingViews(sets, self.engine))

    def _took(self, result: StepResult, offset: int = 0) -> None:
        self.shown.rolling_views = RollingViews(self.sets, self.engine)  # the engine may be another one since
        super()._took(result, offset)


def shown(
    factory: Factory,
    sets: Sequence[WindowSet],
    rows: Sequence[dict[str, Any]],
    cuts: Sequence[int] = (),
    budget: int | None = None,
    reload: Random | None = None,
    end: bool = False,
) -> Documents:
    """The documents of rolling sets, after all rows."""
    driver = Showing(factory, sets, budget, reload)
    edges = sorted({0, len(rows), *(c for c in cuts if c < len(rows))})
    for begin, stop in pairwise(edges):
        driver.feed(rows[begin:stop], begin)
    if end:
        driver.end()
    return driver.shown.documents


@st.composite
def rolling(draw: st.DrawFn, unit: int) -> Rolling:
    closed = draw(st.sampled_from(["right", "both"]))
    return Rolling(draw(st.integers(1, 15)) * unit, closed, draw(st.booleans()), draw(st.sampled_from([0, 0, 3, 12])) * unit)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[WindowSet], list[dict[str, Any]]]:
    """Two to four rolling sets of one key, most of them in one view, some of another trigger."""
    unit = draw(UNITS)
    sets = [
        window_set(
            f"w{i}",
            draw(rolling(unit)),
            draw(st.sampled_from([None, None, "x > 0", "ok"])),
            trigger=draw(st.sampled_from(["t", "t", "u"])) if i else "t",
            measures=MEASURES,
            lateness=draw(st.sampled_from([0, 0, 2, 8])) * unit,
            retract=draw(st.booleans()),
            view=draw(st.sampled_from(["cards", "cards", "cards", "others", None])),
        )
        for i in range(draw(st.integers(2, 4)))
    ]
    rows = draw(timelines(unit))
    for row in rows:
        if "route" in row:
            row |= {"route": "k", "trigger": draw(st.sampled_from(["t", "t", "u"]))}
    return sets, rows


@pytest.mark.timeout(1_800)
@settings(max_examples=int(os.environ.get("EDDY_SOAK") or 400))
@given(stories(), st.lists(st.integers(0, 30)), st.sampled_from([None, 1, 2, 5]), st.integers(0, 2**32), st.booleans())
def test_no_cut_shows(story: Any, cuts: list[int], budget: int | None, seed: int, end: bool) -> None:
    sets, rows = story
    one_by_one = shown(NaiveEngine, sets, rows, range(len(rows)), end=end)
    assert shown(NaiveEngine, sets, rows, end=end) == one_by_one
    assert shown(ColumnarEngine, sets, rows, end=end) == one_by_one
    assert shown(ColumnarEngine, sets, rows, cuts, budget, Random(seed), end=end) == one_by_one


def pay(second: float, key: str = "a", **more: Any) -> dict[str, Any]:
    """An event of the trigger of both sets."""
    return {"at": int(second * S), "key": key, "fields": {"ok": True}, **more}


SHORT = window_set("short", Rolling(10 * S), view="cards")
LONG = window_set("long", Rolling(30 * S), "not ok", view="cards")
BAD = {"fields": {"ok": False}}


def one(sets: Sequence[WindowSet], rows: Sequence[dict[str, Any]], cuts: Sequence[int] = ()) -> Any:
    """(as_of, expires_at, then each set's n) of key a, with all rows in the views."""
    document = shown(ColumnarEngine, sets, rows, cuts)["cards", ("k", "a")]
    seconds = [when and (when - at(0)).total_seconds() for when in (document["as_of"], document["expires_at"])]
    return (*seconds, *(document[s.name]["n"] for s in sets))


def test_a_document_says_of_each_set_what_it_holds_and_which_definition_it_is_of() -> None:
    document = shown(ColumnarEngine, [SHORT, LONG], [pay(1), pay(5, **BAD)])["cards", ("k", "a")]
    assert document == {
        "_id": "a",
        "key": "a",
        "as_of": at(5),
        "expires_at": at(11),
        "short": {"n": 2, "config": SHORT.fingerprint},
        "long": {"n": 1, "config": LONG.fingerprint},
    }


def test_a_set_that_did_not_change_is_told_as_of_the_documents_time() -> None:
    #  long   (0 ----------- 30]                 one bad event at 0.5: leaves at 30.5
    #  short             x at 20, y at 30.9      long is due at 31, and is 0 at 30.9 already
    rows = [pay(0.5, **BAD), pay(20), pay(30.9)]
    for cuts in ((), (1, 2), (2,)):
        assert one([SHORT, LONG], rows[:2], cuts) == (20, 30, 1, 1)
        assert one([SHORT, LONG], rows, cuts) == (30.9, 40.9, 1, 0)


def test_decay_of_one_set_writes_all() -> None:
    assert one([SHORT, LONG], [pay(1, **BAD), beat(12 * S)], (1,)) == (12, 31, 0, 1)
    assert one([SHORT, LONG], [pay(1, **BAD), beat(40 * S)], (1,)) == (40, None, 0, 0)


def test_a_document_is_as_of_the_latest_time_of_any_of_its_sets() -> None:
    #  a bad event dated 25 s while time stands at 1 s; what comes after it does not bring the document back
    rows = [pay(1), pay(25, mark=1 * S, **BAD), pay(2)]
    for cuts in ((), (1, 2), (2,)):
        assert one([SHORT, LONG], rows, cuts) == (25, 35, 1, 1)


def test_a_value_that_another_set_takes_and_this_one_refuses_is_not_told_of_a_time_before_it() -> None:
    #  good holds good events of 10 s, and is told of as of 12, where (2, 12] holds none
    #  row   a bad one at 12   time is 14   a good one of 3: `all` takes it, good is over with it
    sets = [window_set("all", Rolling(30 * S)), window_set("good", Rolling(10 * S), "ok", view="cards"), SHORT]
    rows = [pay(12, **BAD), beat(14 * S), pay(3, mark=14 * S)]
    for cuts in ((), (1,), (2,), (1, 2)):
        document = shown(ColumnarEngine, sets, rows, cuts)["cards", ("k", "a")]
        assert (document["as_of"], document["good"]["n"], document["short"]["n"]) == (at(12), 0, 1)


def test_sets_of_two_triggers_may_share_a_view() -> None:
    other = window_set("other", Rolling(20 * S), trigger="u", view="cards")
    rows = [pay(1), pay(2, trigger="u"), pay(3)]
    for cuts in ((), (1, 2)):
        assert one([SHORT, other], rows, cuts) == (3, 11, 2, 1)


def test_sets_alone_in_a_view_and_without_one_stand_beside_others() -> None:
    sets = [SHORT, replace(LONG, view="lone"), window_set("plain", Rolling(5 * S))]
    found = shown(ColumnarEngine, sets, [pay(1, **BAD)])
    assert {view for view, _ in found} == {"cards", "lone", "plain"}
    assert found["lone", ("k", "a")]["long"]["n"] == found["plain", ("k", "a")]["n"] == 1
