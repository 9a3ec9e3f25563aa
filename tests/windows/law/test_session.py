"""Sessions: greedy cuts, joining, closing and reopening. In the timelines gap is 5 and a session ends 5 after its last event."""

from __future__ import annotations

from typing import Any

import pytest

from tests.windows.build import Driver, Factory, Folded, beat, columns, drive, window_set
from windows.engine import COUNTED, LATE_DROP, LATE_KEEP
from windows.law.spec import Session

K = ("k", "a")


def at(*times: int, mark: int | None = None) -> list[dict[str, Any]]:
    return [{"at": t} if mark is None else {"at": t, "mark": mark} for t in times]


def state(folded: Folded, start: int) -> tuple[int, bool, int, int]:
    """(events, final, revision, late) of a session."""
    d = folded.window("w", start)
    return d["events"], d["final"], d["revision"], d["late"]


def test_events_less_than_gap_apart_are_one_session(make: Factory) -> None:
    #  0   4       9          gap 5: 4 - 0 < 5, but 9 - 4 is not
    #  [a==b====)[c====)
    f = drive(make, [window_set("w", Session(5))], at(0, 4, 9))
    assert f.spans("w") == [(0, 9, 2), (9, 14, 1)]


def test_a_session_is_cut_where_it_would_last_longer_than_max(make: Factory) -> None:
    #  0  3  6  7  8          gap 5, max 12: at 7 it would last 12, at 8 it would last 13
    #  [a=b==c==d====)
    #           [e====)
    f = drive(make, [window_set("w", Session(5, max=12))], at(0, 3, 6, 7, 8))
    assert f.spans("w") == [(0, 12, 4), (8, 13, 1)]


def test_a_max_shorter_than_the_gap_is_refused(make: Factory) -> None:
    with pytest.raises(ValueError, match="w"):
        make([window_set("w", Session(5, max=4))])


def test_a_session_closes_gap_and_lateness_after_its_last_event(make: Factory) -> None:
    sets = [window_set("w", Session(5), lateness=3)]
    assert state(drive(make, sets, [*at(0, 4), beat(11)], end=False), 0) == (2, False, 0, 0)
    f = drive(make, sets, [*at(0, 4), beat(12)], end=False)
    assert state(f, 0) == (2, True, 0, 0)
    assert f.window("w", 0)["closed_by"] == "heartbeat"


def test_an_event_between_joins_two_sessions_and_leaves_no_document_behind(make: Factory) -> None:
    #  0        8             a and b are two sessions, until c comes at 4
    #  [a====)[b====)
    #  [a===c===b====)
    sets = [window_set("w", Session(5))]
    driver = Driver(make, sets)
    driver.feed([{"at": 0, "mark": 0}, {"at": 8, "mark": 0}])
    assert driver.folded.spans("w") == [(0, 5, 1), (8, 13, 1)]
    driver.feed([{"at": 4, "mark": 0}])
    assert driver.folded.spans("w") == [(0, 13, 3)]
    assert state(driver.folded, 0) == (3, False, 0, 0)


def test_joined_away_documents_are_named_even_within_one_step(make: Factory) -> None:
    sets = [window_set("w", Session(5))]
    result = make(sets).step(columns(sets, at(0, 8, 4, mark=0)))
    assert [(s.name, key, start) for s, key, start in result.removed] == [("w", ("k", "a"), 8)]
    assert [list(block.start) for block in result.windows] == [[0]]


def test_an_earlier_event_moves_the_start(make: Factory) -> None:
    #  . 3     8              a at 3 is known, b comes at 0: the document is now that of 0
    f = drive(make, [window_set("w", Session(5))], at(3, 0, mark=0), end=False)
    assert f.spans("w") == [(0, 8, 2)]


def test_a_closed_session_is_revised_and_opens_again_if_it_now_lasts_longer(make: Factory) -> None:
    #  0  3    8 9            [a=b====) closed at 8; c at 4 makes it last to 9: open again, closes anew at 9
    sets = [window_set("w", Session(5))]
    rows = [*at(0, 3), beat(8)]
    assert state(drive(make, sets, rows, end=False), 0) == (2, True, 0, 0)
    f = drive(make, sets, [*rows, {"at": 2}], end=False)
    assert state(f, 0) == (3, True, 1, 1)
    f = drive(make, sets, [*rows, {"at": 4}], end=False)
    assert state(f, 0) == (3, False, 1, 1)
    assert f.window("w", 0)["closed_by"] is None
    f = drive(make, sets, [*rows, {"at": 4}, beat(9)], end=False)
    assert state(f, 0) == (3, True, 1, 1)


def test_a_change_while_it_is_open_again_counts_as_a_revision_but_is_not_late(make: Factory) -> None:
    sets = [window_set("w", Session(5))]
    f = drive(make, sets, [*at(0, 3), beat(8), *at(4, 3)], end=False)
    assert state(f, 0) == (4, False, 2, 1)


def test_joined_sessions_take_the_highest_revision_plus_one(make: Factory) -> None:
    #  0 1      7             [a] revised once, [b] never; c at 4 joins them when both are closed
    sets = [window_set("w", Session(5))]
    f = drive(make, sets, [*at(0, 7, mark=0), beat(12), {"at": 1}, {"at": 4}], end=False)
    assert f.spans("w") == [(0, 12, 4)]
    assert state(f, 0) == (4, True, 2, 2)


def test_the_highest_revision_may_be_that_of_the_later_one(make: Factory) -> None:
    f = drive(make, [window_set("w", Session(5))], [*at(0, 7, mark=0), beat(12), *at(8, 8, 9), {"at": 4}], end=False)
    assert state(f, 0) == (6, False, 4, 2)


def test_a_session_that_is_first_seen_after_its_close_is_final_at_once(make: Factory) -> None:
    f = drive(make, [window_set("w", Session(5))], [beat(100), {"at": 0}], end=False)
    assert state(f, 0) == (1, True, 0, 1)


@pytest.mark.parametrize(("late", "outcome"), [("update", LATE_KEEP), ("dead_letter", LATE_KEEP), ("drop", LATE_DROP)])
def test_a_frozen_session_changes_no_more_and_what_it_would_take_is_late(make: Factory, late: str, outcome: int) -> None:
    #  0  3        8 | retain 10 with updates: 18 |
    #  [a=b====)..........frozen.....                 c at 7 would join: it is late; d at 8 is too far away and opens a new one
    frozen = 18 if late == "update" else 8
    sets = [window_set("w", Session(5), late=late, retain=10)]
    f = drive(make, sets, [*at(0, 3), beat(frozen), {"at": 7}, {"at": 8}], end=False)
    assert f.outcomes == [COUNTED, COUNTED, COUNTED, outcome, COUNTED]
    assert f.spans("w") == [(0, 8, 2), (8, 13, 1)]
    assert state(f, 0) == (2, True, 0, 0)


def test_a_frozen_session_is_felt_for_as_long_as_a_value_could_reach_it(make: Factory) -> None:
    #  gap 5, no updates: [a====) of 0 is frozen from 5 on. At 9 an event at 4 alone would end at 9 and be frozen itself
    sets = [window_set("w", Session(5), late="drop")]
    for now in (5, 8, 9, 10, 50):
        f = drive(make, sets, [*at(0), beat(now), {"at": 4}], end=False)
        assert f.outcomes[-1] == LATE_DROP, now
        assert f.spans("w") == [(0, 5, 1)]


def test_an_event_that_would_shift_a_cut_into_a_frozen_session_is_late(make: Factory) -> None:
    #  gap 5, max 12, no updates    0  4  7 | 8  11        now: 14
    #                              [a==b==c)[d==e====)     x at 2 changes [a b c], which closed at 12
    sets = [window_set("w", Session(5, max=12), late="drop")]
    rows = at(0, 4, 7, 8, 11)
    f = drive(make, sets, [*rows, beat(14), {"at": 2}], end=False)
    assert f.outcomes[-1] == LATE_DROP
    assert f.spans("w") == [(0, 12, 3), (8, 16, 2)]


def test_an_event_that_shifts_cuts_revises_all_that_change(make: Factory) -> None:
    #  gap 5, max 12:  0  4  7 | 8  11 | 20     x at -2 makes it [x a b] [c d e]: c's document is new, d's is gone
    sets = [window_set("w", Session(5, max=12))]
    f = drive(make, sets, [*at(0, 4, 7, 8, 11), beat(17), {"at": -2}], end=False)
    assert f.spans("w") == [(-2, 9, 3), (7, 16, 3)]
    assert state(f, -2) == (3, True, 1, 1)  # goes on from the document of 0
    assert state(f, 7) == (3, True, 1, 0)  # goes on from the document of 8
    assert f.outcomes[-1] == COUNTED


def test_a_forgotten_session_is_never_missed(make: Factory) -> None:
    #  gap 5, no updates: [a====) of 0 is frozen from 5 on, x at 4 would join it. y at 8 is open until 13: x comes with y's help
    #  0   4   8
    #  a...x...y====)        x joins a and y, and is late, however long ago a was closed
    sets = [window_set("w", Session(5), late="drop")]
    for now in range(5, 13):
        f = drive(make, sets, [*at(0), beat(now), {"at": 8}, {"at": 4}], end=False)
        assert f.outcomes[-2:] == [COUNTED, LATE_DROP], now
    #  gap 5, max 7: b at 4 is cut from a, and stays open with c; a is felt as long as b is not frozen
    sets = [window_set("w", Session(5, max=7), late="drop", lateness=30)]
    f = drive(make, sets, [*at(0), beat(40), *at(6, 7), beat(41), {"at": 3}], end=False)
    assert f.outcomes[-1] == LATE_DROP


def test_a_frozen_session_is_felt_while_the_next_one_lives(make: Factory) -> None:
    #  gap 5, no updates
    #  0   4   8   12  16  20  24
    #  a...x...b===c===d===e===f====)     a is frozen; x at 4 would join it to all that b began, which is still open
    sets = [window_set("w", Session(5), late="drop")]
    f = drive(make, sets, [*at(0, 8, 12, 16, 20, 24), {"at": 4}], end=False)
    assert f.outcomes[-1] == LATE_DROP
    assert f.spans("w") == [(0, 5, 1), (8, 29, 5)]


def test_memory_of_frozen_sessions_ends(make: Factory) -> None:
    sets = [window_set("w", Session(5), late="drop")]
    engine = make(sets)
    engine.step(columns(sets, [*at(0), beat(4)]))
    held = engine.dump([K])[K]
    assert engine.holds(held)
    assert engine.due() == 5
    assert engine.step(columns(sets, [beat(5)])).changed == {K}
    left = engine.dump([K])[K]
    assert len(left) < len(held)
    assert not engine.holds(left)
    assert engine.due() is None


@pytest.mark.parametrize("reload", [False, True])
@pytest.mark.parametrize("longest", [None, 14])
def test_what_would_be_of_a_frozen_session_is_late_also_once_it_is_gone(make: Factory, longest: int | None, reload: bool) -> None:
    #  3   7   11  15  19  23
    #      a===|       b===|   watermark 23: a is frozen and gone, b is open
    #      a       15 =b===|   is of b
    #  3   7   11              11 would be of a, 7 lies in it, and 3 before its end
    #      a    12 = 15b===|   is of b
    sets = [window_set("w", Session(5, longest), late="drop")]
    engine = make(sets)
    engine.step(columns(sets, [*at(7), beat(18), {"at": 19, "mark": 19}, beat(23)]))
    if reload:
        engine.load(engine.dump([K]))
    rows = [{"at": t, "mark": 23} for t in (15, 11, 7, 3, 12)]
    assert engine.step(columns(sets, rows)).outcome.tolist() == [COUNTED, LATE_DROP, LATE_DROP, LATE_DROP, COUNTED]
