"""Features as columns: they say what the law on expressions says of one record, and what is looked up says of when it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import parse
from config.signals import number_or_flag
from models.base import Happening
from models.features import Named
from models.inputs import Inputs

TEXTS = (
    "amount",
    "amount / habit.mean",
    "(amount - habit.mean) / habit.std % 3",
    "-abs(amount) * 2 + 1",
    "amount > habit.mean and declined",
    "amount > 10 or not declined",
    "place == 'a'",
    "place in ['a', 'b']",
    "place != other",
    "amount in [1, 2]",
    "habit.mean is None or amount <= 5",
    "declined == true",
)
TOML = """
[stream]
name = "s"
[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card", "shop"]
time = "at"
[[windows]]
name = "habit"
trigger = "pay"
key = "card"
rolling = { size = "7d", current = false }
measures = { mean = "mean(amount)", std = "std(amount)", last_at = "last(at)" }
[[windows]]
name = "near"
trigger = "pay"
key = "shop"
rolling = { size = "1d" }
measures = { n = "count()", mean = "mean(amount)" }
[fraud]
trigger = "pay"
key = "card"
[[fraud.rules]]
name = "r"
when = "amount > 1"
weight = 0.5
reason = "x"
[fraud.features]
"""


def inputs(*features: str) -> Inputs:
    spec = parse(TOML + "\n".join(f'f{i} = "{text}"' for i, text in enumerate(features)))
    assert spec.fraud is not None
    return Inputs(spec.fraud, spec.windows)


def event(at: int = 0, **document: Any) -> Happening:
    return Happening("pay", "card", document.get("card", "c"), at, "", "p", document)


numbers = st.none() | st.integers(-20, 20).map(float) | st.integers(-3, 3) | st.just("no number") | st.just(float("nan"))
documents = st.fixed_dictionaries(
    {},
    optional={
        "amount": numbers,
        "declined": st.none() | st.booleans() | st.just(1),
        "place": st.none() | st.sampled_from(["a", "b", 3]),
        "other": st.none() | st.sampled_from(["a", 3.0]),
    },
)
habits = st.fixed_dictionaries(
    {"mean": st.none() | st.integers(-5, 20).map(float), "std": st.none() | st.integers(0, 5).map(float)}
)


@given(st.lists(st.tuples(documents, habits | st.none()), min_size=1, max_size=8))
def test_columns_say_what_an_expression_says_of_each_event(drawn: list[tuple[dict[str, Any], dict[str, Any] | None]]) -> None:
    events = [event(**document) for document, _ in drawn]
    features: list[dict[str, Any]] = [{} if habit is None else {"habit": habit} for _, habit in drawn]
    columns = inputs(*TEXTS).columns(events, features, {})
    for i, text in enumerate(TEXTS):
        expr = number_or_flag(text)
        for row, (happening, own) in enumerate(zip(events, features, strict=True)):
            full = own or {"habit": {}}
            want = expr.value(Named(happening.document, full).get)
            found = float(columns[f"f{i}"][row])
            assert np.isnan(found) if want is None else found == pytest.approx(float(want)), (text, happening.document, own)


def test_an_events_time_and_a_date_are_numbers() -> None:
    at = 1_522_540_800_000 + 90 * 60_000  # Sunday 2018-04-01 01:30
    last = datetime(2018, 4, 1, 1, 0, tzinfo=UTC)
    found = inputs("event.hour", "event.weekday", "(event.at - habit.last_at) / 1000")
    columns = found.columns([event(at)], [{"habit": {"last_at": last}}], {})
    assert [float(c[0]) for c in columns.values()] == [1.5, 6.0, 1800.0]


def test_what_is_looked_up_says_what_it_is_as_of() -> None:
    made = inputs("near.n", "near.mean")
    events = [event(shop="s", amount=1), event(shop="t", amount=1), event(amount=1)]
    wanted = made.wanted(events)
    assert list(wanted) == ["near"] and list(wanted["near"].values()) == ["s", "t"]
    as_of = datetime(2018, 4, 1, tzinfo=UTC)
    rows = made.shown(events, [{}, {}, {}], {("near", "s"): {"_id": "s", "as_of": as_of, "n": 4, "mean": None}})
    assert rows[0] == {"f0": 4.0, "f1": None, "shop": "s", "near.as_of": "2018-04-01 00:00:00"}
    assert rows[1] == {"f0": 0.0, "f1": None, "shop": "t", "near.as_of": None}  # never seen: a count of nothing, and no mean
    assert rows[2]["shop"] is None and rows[2]["near.as_of"] is None


def test_only_sets_of_another_entity_are_looked_up() -> None:
    assert inputs("amount / habit.mean").wanted([event(shop="s")]) == {}
