"""Abandoned carts: by pictures, and against their definition on drawn timelines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from config.specs import Abandonment
from contract.times import date, date_ms
from models.abandonment import AbandonmentWatcher, Cart
from models.base import Doc, Happening
from tests.models.naive_carts import NaiveCarts, Step
from windows.law.expr import parse

END = 1 << 62
GAP, LATENESS, KEEP = 10, 3, 100
SPEC = Abandonment("carts", "cart_id", GAP, parse("action == 'purchase'"), lateness=LATENESS, keep=KEEP)


class Driver:
    """Runs the watcher as the pipeline does: time first, then the event, then what is due at once. Saves and loads between."""

    def __init__(self, spec: Abandonment = SPEC, reload: bool = False) -> None:
        self.watcher = AbandonmentWatcher(spec)
        self.state: Cart | None = None
        self.watermark = -(1 << 62)
        self.view: dict[int, Doc] = {}
        self.reload = reload

    def time(self, mark: int) -> None:
        self.watermark = max(self.watermark, mark)
        while self.state is not None and (due := self.watcher.due(self.state)) is not None and due <= self.watermark:
            self.state, signals = self.watcher.on_time(self.state, self.watermark)
            self._apply(signals)

    def event(self, t: int, items: int = 1, purchase: bool = False, mark: int | None = None) -> None:
        self.time(t if mark is None else mark)
        document = {"action": "purchase" if purchase else "add", "items": ["sku"] * items, "value": float(items)}
        happening = Happening("carts", "cart_id", "c1", t, "", "d", document)
        self.state, signals = self.watcher.on_event(self.state, happening, self.watermark)
        self._apply(signals)
        self.time(self.watermark)

    def _apply(self, signals: Any) -> None:
        for signal in signals:
            since = date_ms(signal.id["s"])
            self.view.pop(since, None)
            if signal.document is not None:
                assert signal.document["_id"] == signal.id
                self.view[since] = signal.document
        if self.reload and self.state is not None:
            self.state = self.watcher.load(self.watcher.dump(self.state))

    def answers(self) -> dict[int, tuple[int, int, str | None, int | None]]:
        return {since: _answer(document) for since, document in self.view.items()}


def _answer(document: Doc) -> tuple[int, int, str | None, int | None]:
    assert (document["status"] == "raised") == (document["retracted_by"] is None) == (document["retracted_at"] is None)
    at = document["retracted_at"]
    return len(document["items"]), date_ms(document["raised_at"]), document["retracted_by"], at if at is None else date_ms(at)


def test_a_silence_is_judged_when_the_watermark_has_passed_gap_and_lateness() -> None:
    #  0         5        18                    gap 10, lateness 3
    #  a ....... b ....... !  raised
    cart = Driver()
    cart.event(0)
    cart.event(5, items=2)
    cart.time(17)
    assert cart.view == {}
    cart.time(18)
    assert cart.view[5] == {
        "_id": {"k": "c1", "s": date(5)},
        "key": "c1",
        "since": date(5),
        "raised_at": date(18),
        "items": ["sku", "sku"],
        "value": 2.0,
        "status": "raised",
        "retracted_by": None,
        "retracted_at": None,
        "config": cart.view[5]["config"],
    }


@pytest.mark.parametrize(("items", "purchase"), [(0, False), (1, True), (0, True)])
def test_nothing_is_left_behind_by_an_empty_cart_or_a_purchase(items: int, purchase: bool) -> None:
    cart = Driver()
    cart.event(0, items, purchase)
    cart.time(END)
    assert cart.view == {}


@pytest.mark.parametrize(("document", "left"), [({}, False), ({"items": "sku"}, False), ({"items": ["sku"]}, True)])
def test_a_cart_without_a_list_of_items_or_a_value(document: Doc, left: bool) -> None:
    cart = Driver()
    cart.state, _ = cart.watcher.on_event(None, Happening("carts", "cart_id", "c1", 0, "", "d", document), 0)
    cart.time(END)
    assert [d["value"] for d in cart.view.values()] == [None] * left


def test_activity_retracts_and_a_purchase_retracts_all_of_them() -> None:
    #  0          20             40            time
    #  a ...! ... b ...! ....... $             a and b raised; b's activity retracts a; the purchase retracts both
    cart = Driver()
    cart.event(0)
    cart.time(13)
    cart.event(20)
    assert cart.answers() == {0: (1, 13, "activity", 20)}
    cart.time(33)
    assert cart.answers()[20] == (1, 33, None, None)
    cart.event(40, purchase=True)
    assert cart.answers() == {0: (1, 13, "purchase", 40), 20: (1, 33, "purchase", 40)}


def test_a_silence_that_is_judged_after_the_next_activity_is_retracted_at_once() -> None:
    cart = Driver()
    cart.event(0)
    cart.event(11)  # the watermark is at 11: the silence is 10 long, but judged at 13
    assert cart.answers() == {}
    cart.time(13)
    assert cart.answers() == {0: (1, 13, "activity", 11)}


def test_an_event_within_a_judged_silence_removes_its_signal() -> None:
    #  0        8         18 20
    #  a ...... b' ....... !        b' comes at watermark 20: a's silence was none, its own is judged at 21
    cart = Driver()
    cart.event(0)
    cart.time(20)
    assert cart.answers() == {0: (1, 13, None, None)}
    cart.event(8, mark=20)
    assert cart.answers() == {}
    cart.time(21)
    assert cart.answers() == {8: (1, 21, None, None)}


def test_a_purchase_within_a_judged_silence_leaves_no_signal() -> None:
    cart = Driver()
    cart.event(0)
    cart.time(20)
    cart.event(8, purchase=True, mark=20)
    cart.time(END)
    assert cart.answers() == {}


def test_of_two_events_at_one_instant_the_later_arrival_is_the_last() -> None:
    cart = Driver()
    cart.event(0, items=2)
    cart.event(0, items=1)
    cart.time(13)
    assert cart.answers() == {0: (1, 13, None, None)}
    cart.event(0, items=0, mark=13)
    assert cart.answers() == {}


def test_what_is_older_than_keep_changes_nothing_and_is_not_changed() -> None:
    cart = Driver()
    cart.event(0)
    cart.time(112)
    assert cart.state is not None
    cart.time(113)  # 0 + gap + lateness + keep
    assert cart.state is None
    cart.event(114, purchase=True)
    cart.event(0, items=5, mark=114)
    assert cart.answers() == {0: (1, 13, None, None)}


def test_the_purchase_that_comes_within_keep_still_counts() -> None:
    cart = Driver()
    cart.event(0)
    cart.event(112, purchase=True)
    assert cart.answers() == {0: (1, 13, "purchase", 112)}


def test_a_long_outage_judges_before_it_forgets() -> None:
    cart = Driver()
    cart.event(0)
    cart.time(10_000)
    assert cart.answers() == {0: (1, 13, None, None)}
    assert cart.state is None


def test_saved_state_keeps_bson_types_and_refuses_another_version() -> None:
    watcher = AbandonmentWatcher(SPEC)
    document = {"items": [{"added": date(5), "qty": 2}], "value": 1.5}
    state, _ = watcher.on_event(None, Happening("carts", "cart_id", date(7), 0, "", "d", document), 0)
    assert state is not None
    assert watcher.load(watcher.dump(state)) == state
    with pytest.raises(ValueError, match="version 9"):
        watcher.load(watcher.dump(state).replace(b"\x93\x01", b"\x93\x09", 1))


times = st.integers(0, 80) | st.sampled_from([0, 4, 8, 10, 14, 20, 24])
steps = st.builds(Step, t=times, items=st.integers(0, 2), purchase=st.booleans())
records = st.lists(st.tuples(steps | st.none(), st.integers(0, 200)), max_size=14)


@settings(max_examples=400)
@given(records=records, keep=st.sampled_from([1, 15, 1_000]), lateness=st.integers(0, 6), reload=st.booleans())
@example(records=[(Step(0, 1, False), 0), (None, 20), (Step(8, 1, False), 20)], keep=15, lateness=3, reload=False)
def test_equals_its_definition(records: list[tuple[Step | None, int]], keep: int, lateness: int, reload: bool) -> None:
    spec = Abandonment("carts", "cart_id", GAP, SPEC.purchase, lateness=lateness, keep=keep)
    cart, twin = Driver(spec, reload), NaiveCarts(GAP, lateness, keep)
    for step, mark in records:
        if step is None:
            cart.time(mark)
            twin.time(mark)
        else:
            cart.event(step.t, step.items, step.purchase, mark)
            twin.time(mark)
            twin.step(step)
        assert cart.answers() == twin.signals
    cart.time(END)
    twin.time(END)
    assert cart.answers() == twin.signals
