"""Properties over drawn timelines: the law by brute force, and cuts, budgets and reloads that never show."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.windows.build import Factory, Folded, drive
from tests.windows.drawn import crowded_sessions, stories
from tests.windows.reference import reference
from windows.law.spec import WindowSet

Story = tuple[list[WindowSet], list[dict[str, Any]]]


def plain(folded: Folded) -> dict[str, Any]:
    """The same as nested dicts without empty ones, for messages that name the place of a difference."""
    parts: dict[str, dict[str, dict[Any, Any]]] = {
        "windows": folded.windows,
        "rolling": folded.rolling,
        "features": folded.features,
    }
    kept = {part: {name: docs for name, docs in by_name.items() if docs} for part, by_name in parts.items()}
    return {**kept, "outcomes": dict(enumerate(folded.outcomes)), "late": dict(folded.late)}


def assert_same(ours: Any, theirs: Any, place: tuple[Any, ...] = ()) -> None:
    """Equal; floats within 1e-9 relative (var and std: of values up to 1e16, within that of the largest)."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), (*place, "ours", sorted(map(repr, ours)), "theirs", sorted(map(repr, theirs)))
        for name, value in theirs.items():
            assert_same(ours[name], value, (*place, name))
    elif isinstance(theirs, float):
        assert isinstance(ours, float), (*place, ours, theirs)
        assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=0.0), (*place, ours, theirs)
    else:
        assert (ours, type(ours)) == (theirs, type(theirs)), (*place, ours, theirs)


@given(stories())
def test_an_engine_does_what_the_law_says_by_brute_force(make: Factory, story: Story) -> None:
    sets, rows = story
    assert_same(plain(drive(make, sets, rows)), plain(reference(sets, rows)))


@given(st.integers(0, 2**32))
def test_crowded_sessions_are_what_brute_force_says(make: Factory, seed: int) -> None:
    for each in range(10):
        random = Random(seed + each)
        sets, rows = crowded_sessions(random)
        assert_same(plain(drive(make, sets, rows, [5, 9], 2, random)), plain(reference(sets, rows)))


@given(stories(), st.lists(st.integers(0, 30)), st.sampled_from([None, 1, 2, 5]), st.integers(0, 2**32))
def test_cuts_budgets_and_reloads_never_show(make: Factory, story: Story, cuts: list[int], budget: int | None, seed: int) -> None:
    sets, rows = story
    whole = plain(drive(make, sets, rows))
    assert plain(drive(make, sets, rows, cuts, budget, Random(seed))) == whole
    assert plain(drive(make, sets, rows, range(len(rows)))) == whole


@given(stories(), st.integers(0, 2**32))
def test_open_windows_and_views_are_the_same_at_any_place(make: Factory, story: Story, seed: int) -> None:
    sets, rows = story
    now = plain(drive(make, sets, rows, [seed % 30], 2, Random(seed), end=False))
    assert_same(now, plain(reference(sets, rows, end=False)))
