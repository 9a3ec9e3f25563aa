"""How a cart's runs are joined: what one more event changes, and what it leaves alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.silences import Run, Runs, answers, joined

GAP = 10


def event(at: int, purchase: bool = False) -> Run:
    return Run(at, at, ["sku"], 1.0, purchase, at if purchase else None)


def together(events: list[tuple[int, bool]]) -> Runs:
    runs: Runs = ()
    for at, purchase in events:
        runs = joined(runs, event(at, purchase), GAP).runs
    return runs


def test_the_next_event_of_a_long_cart_looks_at_the_run_before_it_alone() -> None:
    #  0   20   40   60  ...  80_000 ! 80_020
    runs = together([(20 * n, False) for n in range(4_000)])
    found = joined(runs, event(80_000), GAP)
    assert (len(found.runs), found.place, found.begin) == (4_001, 4_000, 3_999)
    assert found.runs[:4_000] == runs


def test_a_purchase_answers_the_silences_back_to_the_purchase_before_it() -> None:
    #  0 purchase   20   40   60 ! purchase
    found = joined(together([(0, True), (20, False), (40, False)]), event(60, True), GAP)
    assert found.begin == 0, "the silence after the purchase at 0 is answered by the one at 60"
    assert answers(found.runs, 0, 4) == [("purchase", 60)] * 3 + [(None, None)]


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=30), st.tuples(st.integers(0, 200), st.booleans()))
def test_answers_before_where_a_change_begins_stay_as_they_are(events: list[tuple[int, bool]], new: tuple[int, bool]) -> None:
    runs = together(events)
    found = joined(runs, event(*new), GAP)
    assert answers(found.runs, 0, found.begin) == answers(runs, 0, found.begin)
    assert found.runs[: found.place] == runs[: found.place]


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=20).flatmap(lambda times: st.tuples(st.just(times), st.permutations(times)))
)
def test_the_order_in_which_events_come_makes_no_difference(orders: tuple[list[int], list[int]]) -> None:
    one, other = orders
    assert together([(at, at % 3 == 0) for at in one]) == together([(at, at % 3 == 0) for at in other])
