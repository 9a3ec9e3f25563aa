"""Changes to data: a value goes out by its document's id, and comes in anew."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.windows.build import Factory, Folded, beat, drive, window_set
from windows.engine import COUNTED, LATE_DROP, LATE_KEEP
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling

MEASURES = {"n": "count()", "spend": "sum(amount)"}


def put(doc: str, t: int, amount: float = 1.0, **more: Any) -> dict[str, Any]:
    return {"at": t, "doc": doc, "fields": {"amount": amount}, **more}


def take(doc: str, t: int, **more: Any) -> dict[str, Any]:
    """A delete: nothing comes in."""
    return {"at": t, "old_at": t, "doc": doc, "put": False, "take": True, **more}


def swap(doc: str, old: int, t: int, amount: float, **more: Any) -> dict[str, Any]:
    """An update: the old value out, the new one in."""
    return put(doc, t, amount, take=True, old_at=old, **more)


def retracting(kind: Kind, **more: Any) -> list[Any]:
    return [window_set("w", kind, measures=MEASURES, retract=True, **more)]


def state(f: Folded, start: int) -> tuple[int, float, bool, int, int]:
    d = f.window("w", start)
    return d["n"], d["spend"], d["final"], d["revision"], d["late"]


def test_an_update_takes_the_old_value_out_and_puts_the_new_one_in(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10)), [put("a", 1, 5.0), put("b", 2, 7.0), swap("a", 1, 1, 50.0)], end=False)
    assert state(f, 0) == (2, 57.0, False, 0, 0)


def test_an_update_may_move_a_value_to_another_window(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), put("b", 2), swap("a", 1, 15, 9.0)], end=False)
    assert f.spans("w") == [(0, 10, 1), (10, 20, 1)]


def test_a_delete_takes_it_out_and_an_emptied_window_stays(make: Factory) -> None:
    #  [==a==)     a is deleted: the window closes with nothing in it
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), take("a", 1), beat(10)], end=False)
    assert state(f, 0) == (0, 0.0, True, 0, 0)


def test_a_closed_window_is_revised_by_what_goes_out_and_by_what_comes_in(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), beat(10), take("a", 1)], end=False)
    assert state(f, 0) == (0, 0.0, True, 1, 0)
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), beat(10), swap("a", 1, 1, 3.0)], end=False)
    assert state(f, 0) == (1, 3.0, True, 2, 1)


def test_a_late_value_that_goes_out_again_is_no_longer_counted_as_late(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), beat(10), put("b", 2), take("b", 2)], end=False)
    assert state(f, 0) == (1, 1.0, True, 2, 0)


def test_a_sliding_value_goes_out_of_each_of_its_windows(make: Factory) -> None:
    f = drive(make, retracting(Sliding(10, 5)), [put("a", 7), put("b", 7), take("a", 7)])
    assert f.spans("w") == [(0, 10, 1), (5, 15, 1)]


def test_only_a_value_found_by_its_documents_id_goes_out(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10)), [put("a", 1), take("b", 1), take("a", 1), take("a", 1)], end=False)
    assert state(f, 0)[:2] == (0, 0.0)
    assert f.outcomes == [COUNTED] * 4
    assert not f.late


def test_of_several_values_of_a_document_the_one_of_that_time_goes_out(make: Factory) -> None:
    rows = [put("a", 1, 1.0), put("a", 2, 2.0), put("a", 2, 4.0), take("a", 2)]
    assert drive(make, retracting(Tumbling(10)), rows).window("w", 0)["spend"] == 3.0
    for old_at, left in ((1, 6.0), (9, 3.0)):
        assert drive(make, retracting(Tumbling(10)), [*rows[:3], take("a", old_at)]).window("w", 0)["spend"] == left


def test_which_value_goes_out_is_the_same_after_a_reload(make: Factory) -> None:
    #  two values of one document, the one of 15 came first; neither is at the old time that is named, so the later one goes
    rows = [put("a", 15, 2.0, mark=0), put("a", 5, 1.0, mark=0), take("a", 7, mark=0)]
    for seed in range(20):
        f = drive(make, retracting(Tumbling(10)), rows, [1, 2], reload=Random(seed))
        assert f.spans("w") == [(0, 10, 1), (10, 20, 0)]


@pytest.mark.parametrize("kind", [Tumbling(10), Sliding(10, 5), Rolling(10), Session(10)])
@pytest.mark.parametrize(("late", "outcome"), [("update", LATE_KEEP), ("dead_letter", LATE_KEEP), ("drop", LATE_DROP)])
def test_what_is_no_longer_kept_cannot_be_taken_out(make: Factory, kind: Kind, late: str, outcome: int) -> None:
    f = drive(make, retracting(kind, late=late, retain=10), [put("a", 1), beat(50), take("a", 1)], end=False)
    assert f.outcomes == [COUNTED, COUNTED, outcome]
    assert f.late == {"w": 1}


def test_a_delete_that_finds_nothing_where_windows_are_kept_concerns_nobody(make: Factory) -> None:
    for kind in (Tumbling(10), Sliding(10, 5), Rolling(10), Session(10)):
        f = drive(make, retracting(kind, retain=100), [put("b", 2), beat(9), take("a", 1)], end=False)
        assert f.outcomes == [COUNTED] * 3
        assert not f.late


def test_an_update_whose_old_value_is_gone_still_counts_its_new_one(make: Factory) -> None:
    f = drive(make, retracting(Tumbling(10), late="drop"), [put("a", 1), beat(50), swap("a", 1, 55, 2.0)])
    assert f.outcomes == [COUNTED] * 3
    assert f.late == {"w": 1}
    assert f.window("w", 50)["spend"] == 2.0


def test_sets_that_do_not_retract_take_nothing_out(make: Factory) -> None:
    sets = [*retracting(Tumbling(10)), window_set("kept", Tumbling(10), measures=MEASURES)]
    f = drive(make, sets, [put("a", 1), take("a", 1)])
    assert f.window("w", 0)["n"] == 0
    assert f.window("kept", 0)["n"] == 1


def test_a_rolling_value_given_stays_and_the_view_follows(make: Factory) -> None:
    rows = [put("a", 1, 5.0), put("b", 2, 7.0), take("a", 1), put("c", 3, 1.0)]
    f = drive(make, retracting(Rolling(10)), rows, end=False)
    assert [f.features["w"][row]["spend"] for row in (0, 1, 3)] == [5.0, 12.0, 8.0]
    assert 2 not in f.features["w"]  # a delete is no event of its own
    assert f.view("w") == {"as_of": 3, "expires_at": 12, "n": 2, "spend": 8.0}


def test_a_view_whose_last_event_went_out_does_not_go_back_in_time(make: Factory) -> None:
    f = drive(make, retracting(Rolling(10)), [put("a", 1), put("b", 5), take("b", 5)], end=False)
    assert f.view("w") == {"as_of": 5, "expires_at": 11, "n": 1, "spend": 1.0}


def test_a_session_is_split_where_the_value_between_goes_out(make: Factory) -> None:
    #  0   4   8        gap 5: b goes out
    #  [a==b===c====)
    #  [a====) [c====)
    rows = [put("a", 0), put("b", 4), put("c", 8)]
    f = drive(make, retracting(Session(5)), [*rows, take("b", 4)], end=False)
    assert f.spans("w") == [(0, 5, 1), (8, 13, 1)]
    f = drive(make, retracting(Session(5)), [*rows, beat(13), take("b", 4)], end=False)
    assert state(f, 0) == (1, 1.0, True, 1, 0)  # goes on from the document that was there
    assert state(f, 8) == (1, 1.0, True, 0, 0)  # is new, and closed


def test_a_session_whose_first_value_goes_out_starts_later(make: Factory) -> None:
    f = drive(make, retracting(Session(5)), [put("a", 0), put("b", 4), beat(9), take("a", 0)], end=False)
    assert f.spans("w") == [(4, 9, 1)]
    assert state(f, 4) == (1, 1.0, True, 1, 0)


def test_an_emptied_session_stays_under_its_start(make: Factory) -> None:
    f = drive(make, retracting(Session(5)), [put("a", 3), take("a", 3)], end=False)
    assert f.spans("w") == [(3, 8, 0)]
    f = drive(make, retracting(Session(5)), [put("a", 3), take("a", 3), beat(8)], end=False)
    assert state(f, 3) == (0, 0.0, True, 0, 0)
    f = drive(make, retracting(Session(5)), [put("a", 3), beat(8), take("a", 3)], end=False)
    assert state(f, 3) == (0, 0.0, True, 1, 0)


def test_a_session_that_starts_where_one_was_emptied_goes_on_from_it(make: Factory) -> None:
    f = drive(make, retracting(Session(5)), [put("a", 3), beat(8), take("a", 3), put("b", 3)], end=False)
    assert state(f, 3) == (1, 1.0, True, 2, 1)


def test_a_retraction_may_shorten_a_session_so_that_it_is_closed(make: Factory) -> None:
    #  [a==b====) ends at 9; without b it ended at 5, and the watermark stands at 6
    f = drive(make, retracting(Session(5)), [put("a", 0), put("b", 4), beat(6), take("b", 4)], end=False)
    assert f.spans("w") == [(0, 5, 1)]
    assert state(f, 0) == (1, 1.0, True, 0, 0)
