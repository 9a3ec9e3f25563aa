"""Tumbling and sliding windows: where they lie, when they close, what a late value does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.windows.build import Factory, Folded, beat, drive, window_set
from windows.engine import BY_IDLE, COUNTED, LATE_DROP, LATE_KEEP
from windows.law.spec import Sliding, Tumbling


def at(*times: int) -> list[dict[str, Any]]:
    return [{"at": t} for t in times]


def state(folded: Folded, start: int, name: str = "w") -> tuple[int, bool, int, int]:
    """(events, final, revision, late) of a window."""
    d = folded.window(name, start)
    return d["events"], d["final"], d["revision"], d["late"]


def test_a_tumbling_window_is_half_open_and_floored_also_before_1970(make: Factory) -> None:
    #  -11 -10      -1 0        9 10
    #    a  b        c d        e f        size 10
    #  ---)[=========)[=========)[===
    f = drive(make, [window_set("w", Tumbling(10))], at(-11, -10, -1, 0, 9, 10))
    assert f.spans("w") == [(-20, -10, 1), (-10, 0, 2), (0, 10, 2), (10, 20, 1)]


def test_an_offset_moves_every_start(make: Factory) -> None:
    #  2   3         12  13     size 10, offset 3
    #  a   b          c  d
    #  ---)[============)[===
    f = drive(make, [window_set("w", Tumbling(10, offset=3))], at(2, 3, 12, 13))
    assert f.spans("w") == [(-7, 3, 1), (3, 13, 2), (13, 23, 1)]


def test_a_sliding_event_is_in_every_window_that_holds_it(make: Factory) -> None:
    #  3     6   12                 size 10, every 5
    #  a     b   c
    #  [a====b=====)                 0..10  -> a b
    #     [==b===c=====)             5..15  -> b c
    f = drive(make, [window_set("w", Sliding(10, 5))], at(3, 6, 12))
    assert f.spans("w") == [(-5, 5, 1), (0, 10, 2), (5, 15, 2), (10, 20, 1)]


def test_every_need_not_divide_the_size(make: Factory) -> None:
    #  starts ... -6 -3 0 3 6 9, size 10: 5 lies in -3, 0 and 3, and in no window that ends at or before 5
    f = drive(make, [window_set("w", Sliding(10, 3, offset=0))], at(5))
    assert f.spans("w") == [(-3, 7, 1), (0, 10, 1), (3, 13, 1)]
    f = drive(make, [window_set("w", Sliding(10, 3, offset=1))], at(5))
    assert f.spans("w") == [(-2, 8, 1), (1, 11, 1), (4, 14, 1)]


def test_a_window_is_early_while_open_and_final_at_end_plus_lateness(make: Factory) -> None:
    #  0        10    13
    #  |===a====|-late-|             lateness 3: at 12 open, at 13 closed
    sets = [window_set("w", Tumbling(10), lateness=3)]
    f = drive(make, sets, [*at(5), beat(12)], end=False)
    assert state(f, 0) == (1, False, 0, 0)
    assert f.window("w", 0)["closed_by"] is None
    f = drive(make, sets, [*at(5), beat(13)], end=False)
    assert state(f, 0) == (1, True, 0, 0)


@pytest.mark.parametrize(
    ("row", "cause"), [({"at": 10, "key": "b"}, "event"), (beat(10), "heartbeat"), (beat(10, BY_IDLE), "idle")]
)
def test_what_moved_the_watermark_stands_in_closed_by(make: Factory, row: dict[str, object], cause: str) -> None:
    f = drive(make, [window_set("w", Tumbling(10))], [*at(5), row], end=False)
    assert f.window("w", 0)["closed_by"] == cause


def test_at_the_end_everything_is_closed(make: Factory) -> None:
    f = drive(make, [window_set("w", Tumbling(10))], at(5))
    assert f.window("w", 0)["closed_by"] == "end"
    assert state(f, 0) == (1, True, 0, 0)


def test_nothing_closes_without_records(make: Factory) -> None:
    f = drive(make, [window_set("w", Tumbling(10))], at(5, 3, 9), end=False)
    assert state(f, 0) == (3, False, 0, 0)


def test_the_watermark_moves_before_the_event_and_never_back(make: Factory) -> None:
    #  5  10  9      the mark of 10 closes 0..10 before 9 comes: 9 is late, and the watermark stays at 10
    f = drive(make, [window_set("w", Tumbling(10), late="drop")], at(5, 10, 9, 9))
    assert f.outcomes == [COUNTED, COUNTED, LATE_DROP, LATE_DROP]


def test_a_late_value_revises_the_closed_window_while_it_is_kept(make: Factory) -> None:
    #  0       10          25        retain 15
    #  [==a=b==)...........|         b and c come at 10 and 24: revised twice; d comes at 25: dead letter
    sets = [window_set("w", Tumbling(10), retain=15)]
    late = {"at": 7, "mark": 0}
    f = drive(make, sets, [*at(5), beat(10), late, beat(24), late, beat(25), late], end=False)
    assert state(f, 0) == (3, True, 2, 2)
    assert [o for o in f.outcomes if o != COUNTED] == [LATE_KEEP]
    assert f.late == {"w": 1}


def test_revisions_count_values_however_the_stream_is_cut(make: Factory) -> None:
    sets = [window_set("w", Tumbling(10), retain=15)]
    rows = [*at(5), beat(10), *[{"at": 7, "mark": 0}] * 5]
    for cuts in ([], [1, 3, 4], range(8)):
        assert state(drive(make, sets, rows, cuts), 0) == (6, True, 5, 5)


def test_a_window_first_seen_after_its_close_is_final_at_once(make: Factory) -> None:
    #  0       10     18
    #  [==a====)------|         a is the first that is heard of 0..10
    f = drive(make, [window_set("w", Tumbling(10), retain=100)], [beat(18), {"at": 5}], end=False)
    assert state(f, 0) == (1, True, 0, 1)
    assert f.window("w", 0)["closed_by"] == "event"


@pytest.mark.parametrize(("late", "outcome"), [("dead_letter", LATE_KEEP), ("drop", LATE_DROP)])
def test_other_policies_refuse_what_comes_after_the_close(make: Factory, late: str, outcome: int) -> None:
    #  lateness 3: 12 is in time, 13 is not
    sets = [window_set("w", Tumbling(10), lateness=3, late=late, retain=1_000)]
    f = drive(make, sets, [beat(12), {"at": 5}, beat(13), {"at": 5}])
    assert f.outcomes == [COUNTED, COUNTED, COUNTED, outcome]
    assert state(f, 0) == (1, True, 0, 0)


def test_a_late_event_counts_in_the_windows_that_still_take_it(make: Factory) -> None:
    #  size 10, every 5, no updates; the watermark stands at 11
    #  [====a====)             0..10 closed
    #     [=a=======)          5..15 open
    f = drive(make, [window_set("w", Sliding(10, 5), late="dead_letter")], [beat(11), {"at": 7}])
    assert f.spans("w") == [(5, 15, 1)]
    assert f.outcomes == [COUNTED, COUNTED]
    assert not f.late


def test_a_record_is_late_only_if_no_set_took_it(make: Factory) -> None:
    short, long = window_set("short", Tumbling(10), late="drop"), window_set("long", Tumbling(100), late="dead_letter")
    f = drive(make, [short, long], [beat(50), {"at": 5}, beat(100), {"at": 6}])
    assert f.outcomes == [COUNTED, COUNTED, COUNTED, LATE_KEEP]
    assert f.late == {"short": 2, "long": 1}
    f = drive(make, [short, window_set("other", Tumbling(10), late="drop")], [beat(50), {"at": 5}])
    assert f.outcomes == [COUNTED, LATE_DROP]


def test_where_decides_who_is_concerned_and_null_does_not_hold(make: Factory) -> None:
    sets = [window_set("w", Tumbling(10), where="amount > 3", late="drop")]
    amounts = [{"at": 5, "fields": {"amount": a}} for a in (4.0, 3.0, None)]
    assert drive(make, sets, amounts).spans("w") == [(0, 10, 1)]
    f = drive(make, sets, [beat(10), *amounts])
    assert f.outcomes == [COUNTED, LATE_DROP, COUNTED, COUNTED]


def test_keys_triggers_and_routes_never_meet(make: Factory) -> None:
    card, terminal = window_set("card", Tumbling(10)), window_set("terminal", Tumbling(10), key="terminal")
    other = window_set("other", Tumbling(10), trigger="u")
    rows: list[dict[str, Any]] = [
        {"at": 1, "key": 5},
        {"at": 1, "key": 5, "route": "terminal"},
        {"at": 1, "key": 6},
        {"at": 2, "key": 5, "trigger": "u"},
    ]
    f = drive(make, [card, terminal, other], [*rows, {"at": 3, "key": 5, "trigger": "nobody reads"}])
    assert f.spans("card", 5) == [(0, 10, 1)] == f.spans("card", 6) == f.spans("other", 5)
    assert f.spans("terminal", 5, "terminal") == [(0, 10, 1)]
    assert len(f.windows["card"]) == 2


def test_a_silent_key_is_closed_by_another_ones_events(make: Factory) -> None:
    f = drive(make, [window_set("w", Tumbling(10))], [{"at": 1, "key": "quiet"}, {"at": 10, "key": "loud"}], end=False)
    assert f.window("w", 0, "quiet")["final"]
