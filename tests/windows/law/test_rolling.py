"""Rolling windows: one value an event, and the key's current value in its view."""

from __future__ import annotations

from typing import Any

import pytest

from tests.windows.build import Factory, Folded, beat, columns, drive, window_set
from windows.engine import COUNTED, LATE_DROP, LATE_KEEP
from windows.law.spec import Rolling

SUM = {"n": "count()", "spend": "sum(amount)"}


def at(*times: int) -> list[dict[str, Any]]:
    """Events whose amount is their time."""
    return [{"at": t, "fields": {"amount": float(t)}} for t in times]


def counts(folded: Folded, name: str = "w") -> list[int | None]:
    """n of every event, by row."""
    return [values["n"] for _, values in sorted(folded.features[name].items())]


def test_a_value_holds_what_lies_in_the_window_that_ends_at_the_event(make: Factory) -> None:
    #  0  5  10  11           size 10: (t - 10, t]
    #  a  b  c   d
    #        c: (0, 10] -> b c          d: (1, 11] -> b c d
    f = drive(make, [window_set("w", Rolling(10), measures=SUM)], at(0, 5, 10, 11))
    assert counts(f) == [1, 2, 2, 3]
    assert f.features["w"][3]["spend"] == 26.0


def test_closed_both_takes_in_the_left_edge(make: Factory) -> None:
    #  0    10        [t - 10, t]: at 10 the event at 0 still counts, at 11 it does not
    f = drive(make, [window_set("w", Rolling(10, closed="both"), measures=SUM)], at(0, 10, 11))
    assert counts(f) == [1, 2, 2]


def test_current_false_leaves_the_event_itself_out(make: Factory) -> None:
    f = drive(make, [window_set("w", Rolling(10, current=False), measures=SUM)], at(0, 5, 10))
    assert counts(f) == [0, 1, 1]
    assert f.features["w"][0] == {"n": 0, "spend": 0.0}
    assert f.view("w")["n"] == 2  # the view holds every event in (0, 10]


def test_of_equal_times_earlier_arrivals_count_and_later_ones_do_not(make: Factory) -> None:
    assert counts(drive(make, [window_set("w", Rolling(10))], at(5, 5, 5))) == [1, 2, 3]
    assert counts(drive(make, [window_set("w", Rolling(10, current=False))], at(5, 5, 5))) == [0, 1, 2]


def test_an_event_that_comes_late_counts_from_then_on_and_changes_no_value_given(make: Factory) -> None:
    #  5 8 . 9        arrival: 5 8 6 9, out of order by 2
    sets = [window_set("w", Rolling(10))]
    rows = [{"at": t, "mark": t - 2} for t in (5, 8, 6, 9)]
    assert counts(drive(make, sets, rows)) == [1, 2, 2, 4]


def test_with_delay_the_window_ends_before_the_event(make: Factory) -> None:
    #  0  4   9        16          size 10, delay 5: (t - 15, t - 5]
    #  a  b   c        d
    #  d: (1, 11] -> b c
    f = drive(make, [window_set("w", Rolling(10, delay=5), measures=SUM)], at(0, 4, 9, 16))
    assert counts(f) == [0, 0, 2, 2]
    both = drive(make, [window_set("w", Rolling(10, delay=5, closed="both"), measures=SUM)], at(1, 4, 9, 16))
    assert counts(both) == [0, 0, 2, 3]


def test_a_label_that_comes_long_after_counts_where_delay_waits_for_it(make: Factory) -> None:
    #  transaction at 0, its label (time 0) arrives when the watermark stands at 70; delay 70, size 30
    sets = [window_set("w", Rolling(30, delay=70), measures=SUM)]
    f = drive(make, sets, [beat(70), *at(0), {"at": 75, "fields": {"amount": 1.0}}])
    assert f.outcomes == [COUNTED] * 3
    assert f.features["w"] == {1: {"n": None, "spend": None}, 2: {"n": 1, "spend": 0.0}}


def test_an_event_behind_the_watermark_has_no_value_of_its_own_but_counts_later(make: Factory) -> None:
    #  lateness 3, watermark 20: 17 still has a value, 16 has none; both count for 21
    sets = [window_set("w", Rolling(10), lateness=3)]
    f = drive(make, sets, [beat(20), *at(17, 16, 21)])
    assert counts(f) == [1, None, 3]
    assert not f.late


@pytest.mark.parametrize(("closed", "first"), [("right", 8), ("both", 7)])
def test_an_event_that_no_value_can_need_is_late(make: Factory, closed: Any, first: int) -> None:
    #  size 10, lateness 3, watermark 20: values from 17 on are still to come, (7, 17] or [7, 17]
    for late, outcome in (("update", LATE_KEEP), ("dead_letter", LATE_KEEP), ("drop", LATE_DROP)):
        sets = [window_set("w", Rolling(10, closed=closed), lateness=3, late=late)]
        f = drive(make, sets, [beat(20), *at(first - 1, first, 17)])
        assert f.outcomes == [COUNTED, outcome, COUNTED, COUNTED]
        assert counts(f) == [None, None, 2]
        assert f.late == {"w": 1}


def test_an_event_that_where_leaves_out_still_has_a_value(make: Factory) -> None:
    f = drive(make, [window_set("w", Rolling(10), where="amount > 3")], at(2, 4, 5))
    assert counts(f) == [0, 1, 2]
    f = drive(make, [window_set("w", Rolling(10), where="amount > 30", late="drop")], [beat(50), *at(2)])
    assert counts(f) == [None]
    assert f.outcomes == [COUNTED, COUNTED]


def test_a_view_says_as_of_when_and_until_when_silence_keeps_it_true(make: Factory) -> None:
    sets = [window_set("w", Rolling(10_000), measures=SUM)]
    f = drive(make, sets, at(2_000, 7_000), end=False)
    assert f.view("w") == {"as_of": 7_000, "expires_at": 12_000, "n": 2, "spend": 9_000.0}
    both = [window_set("w", Rolling(10_000, closed="both"))]
    assert drive(make, both, at(2_000), end=False).view("w")["expires_at"] == 12_001
    delayed = [window_set("w", Rolling(10_000, delay=3_000))]
    f = drive(make, delayed, at(2_000), end=False)
    assert f.view("w") == {"as_of": 2_000, "expires_at": 5_000, "n": 0}  # it enters at 5 s and leaves at 15 s
    assert drive(make, delayed, [*at(2_000), beat(5_000)], end=False).view("w") == {"as_of": 5_000, "expires_at": 15_000, "n": 1}


def test_a_quiet_card_goes_down_to_nothing(make: Factory) -> None:
    #  events at 2.5 s and 7 s, size 10 s: they leave at 12.5 s and 17 s; the sweep looks at each whole second
    sets = [window_set("w", Rolling(10_000), measures=SUM)]
    rows = at(2_500, 7_000)
    assert drive(make, sets, [*rows, beat(12_999)], end=False).view("w")["n"] == 2
    f = drive(make, sets, [*rows, beat(13_400)], end=False)
    assert f.view("w") == {"as_of": 13_400, "expires_at": 17_000, "n": 1, "spend": 7_000.0}
    f = drive(make, sets, [*rows, beat(13_400), beat(17_000)], end=False)
    assert f.view("w") == {"as_of": 17_000, "expires_at": None, "n": 0, "spend": 0.0}
    assert drive(make, sets, [*rows, beat(99_000)], end=False).view("w")["as_of"] == 99_000


def test_the_sweep_is_a_sixtieth_of_the_size(make: Factory) -> None:
    #  size 10 min: the step is 10 s; an event at 1 s leaves at 601 s and is gone from the view at 610 s
    sets = [window_set("w", Rolling(600_000))]
    assert drive(make, sets, [*at(1_000), beat(609_999)], end=False).view("w") == {"as_of": 1_000, "expires_at": 601_000, "n": 1}
    assert drive(make, sets, [*at(1_000), beat(610_000)], end=False).view("w") == {"as_of": 610_000, "expires_at": None, "n": 0}


def test_a_view_is_as_of_the_watermark_where_that_is_further(make: Factory) -> None:
    f = drive(make, [window_set("w", Rolling(10_000))], [beat(9_000), *at(5_000)], end=False)
    assert f.view("w") == {"as_of": 9_000, "expires_at": 15_000, "n": 1}


def test_a_view_is_as_of_its_key_and_not_of_other_keys_later_in_the_batch(make: Factory) -> None:
    rows = [{"at": 1_000, "key": "a"}, {"at": 5_000, "key": "b"}]
    for cuts in ([], [1]):
        assert drive(make, [window_set("w", Rolling(10_000))], rows, cuts, end=False).view("w")["as_of"] == 1_000


def test_at_the_end_views_stand_as_of_the_last_true_watermark(make: Factory) -> None:
    rows = [{"at": 1_000, "key": "a"}, {"at": 5_000, "key": "b"}]
    f = drive(make, [window_set("w", Rolling(10_000))], rows)
    assert f.view("w", "a") == {"as_of": 5_000, "expires_at": 11_000, "n": 1}
    assert f.view("w", "b") == {"as_of": 5_000, "expires_at": 15_000, "n": 1}


def test_current_gives_values_as_of_a_time_and_changes_nothing(make: Factory) -> None:
    sets = [window_set("w", Rolling(10_000), measures=SUM)]
    engine = make(sets)
    engine.step(columns(sets, at(2_000, 7_000)))
    before = dict(engine.dump([("k", "a")]))
    for as_of, n, expires in ((7_000, 2, 12_000), (12_000, 1, 17_000), (17_000, 0, None)):
        (block,) = engine.current(("k", "a"), as_of)
        assert (list(block.as_of), list(block.measures["n"]), list(block.expires_at)) == ([as_of], [n], [expires])
    (unknown,) = engine.current(("k", "nobody"), 7_000)
    assert list(unknown.measures["n"]) == [0]
    assert dict(engine.dump([("k", "a")])) == before


def test_views_of_several_keys_are_as_of_their_own_times_or_a_later_one_and_nothing_changes(make: Factory) -> None:
    #  a stands at 7 s, b (dated ahead of time) at 9 s, c is unknown; asked as of 8 s, then as of 12.5 s
    sets = [window_set("w", Rolling(10_000), measures=SUM), window_set("v", Rolling(1_000))]
    rows = [*at(2_000, 7_000), {"at": 9_000, "mark": 7_000, "key": "b"}]
    engine, keys = make(sets), [("k", "a"), ("k", "b"), ("k", "c")]
    engine.step(columns(sets, rows))
    before = dict(engine.dump(keys[:2]))
    for as_of, times, found, expires in (
        (8_000, [8_000, 9_000, 8_000], [2, 1, 0], [12_000, 19_000, None]),
        (12_500, [12_500, 12_500, 12_500], [1, 1, 0], [17_000, 19_000, None]),
    ):
        block = engine.views(sets[0], keys, [as_of] * 3)
        assert (block.set, list(block.key), list(block.as_of)) == (sets[0], keys, times)
        assert (list(block.measures["n"]), list(block.expires_at)) == (found, expires)
    assert dict(engine.dump(keys[:2])) == before
