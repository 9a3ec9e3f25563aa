"""The oracle on views that the product's own pipeline made, in memory: nothing differs, and whatever is changed by hand does.

|-- payments, carts --|-- silence --|-- readings --|-- silence --|-- late readings, poison, repeats --|-- silence --|
0                    30            61             81           141                                                180 s
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import pytest

from config.load import load
from config.specs import Pipeline
from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import ShardId
from consumer.store.memory import MemoryStore
from contract.codec import encode
from contract.event import Heartbeat
from contract.times import date
from query.verify import Report, Row
from tests.chaos.oracle import Expected, Ranges, check, expected
from tests.chaos.parts import pipeline
from tests.query.verify.shop_run import BEGIN, EVERYTHING, SHARD, changes, consumed, happened

Document = dict[str, Any]
RANGES: Ranges = {SHARD: (EVERYTHING.low, EVERYTHING.high)}
BAD = b"{not json"
ON_TIME = range(61_000, 81_000, 250)  # ms from the beginning, as the next
LATE, END = 141_000, 180_000


@dataclass(frozen=True)
class Day:
    """What there was, what it has to become, and what the product made of it."""

    spec: Pipeline
    rows: Mapping[str, list[Row]]
    right: Expected
    views: Mapping[str, list[Document]]

    def judged(self) -> Mapping[str, Report]:
        """By the oracle."""
        return check(self.spec, self.rows, lambda name: self.views[name], RANGES, self.right)

    def differ(self) -> Mapping[str, int]:
        """The views that differ, and how many of their documents."""
        return {name: report.differ for name, report in self.judged().items() if report.differ}

    def one(self, view: str, holds: Callable[[Document], bool] = lambda document: True) -> Document:
        """A document of a view."""
        return next(document for document in self.views[view] if holds(document))


def readings() -> Iterable[tuple[int, Document]]:
    """When each is written, and itself; `at` is ms from the beginning. The last one is alone in the windows of its keys."""
    pick = random.Random(1)
    times = [(at, at) for at in ON_TIME] + [(LATE + n, pick.choice(ON_TIME)) for n in range(30)] + [(LATE + 30, 20_000)]
    for n, (written, at) in enumerate(times):
        own = {"_id": f"reading {n}", "n": n, "meter_id": pick.randrange(4), "house_id": f"house-{pick.randrange(3)}"}
        yield written, {**own, "value": pick.gauss(50, 20), "at": at, "late": written >= LATE}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The day that each test has a copy of."""
    spec = load(pipeline(tmp_path_factory.mktemp("day")))
    made = happened(spec, count=500, seconds=30, quiet=30)
    trigger = {t.name: t for t in spec.triggers}

    def put(*datas: bytes) -> None:
        made.raws.extend([Raw(data, None, len(made.raws) + n) for n, data in enumerate(datas, 1)])

    def insert(name: str, document: Document, written: int) -> None:
        put(*(raw.data for raw in changes(trigger[name], document, written, 0)))

    for written, reading in readings():
        if written == LATE:
            put(*(encode(Heartbeat(BEGIN + second)) for second in range(ON_TIME.stop, LATE, 1_000)))
        document = {**reading, "at": date(BEGIN + reading["at"])}
        made.rows["readings"].append(Row(BEGIN + reading["at"], reading["n"], document))
        insert("readings", document, BEGIN + written)
    for n in range(10_000, 10_003):
        payment = {"card_id": "card-0001", "terminal_id": "term-001", "at": date(BEGIN + LATE), "declined": False}
        insert("transactions", {**payment, "_id": n, "n": n, "amount": "12", "poison": "type"}, BEGIN + LATE)
    put(BAD, *(raw.data for raw in made.raws[10:20]))
    put(*(encode(Heartbeat(BEGIN + second)) for second in range(LATE, END, 1_000)))
    store = MemoryStore(spec)
    consumed(Runner(spec, store, ShardId("arn", 0, SHARD), EVERYTHING), made.raws)
    right = expected({SHARD: [(raw.sequence, raw.sub, raw.data) for raw in made.raws]}, {BAD: "json"})
    return Day(spec, made.rows, right, {name: list(own.values()) for name, own in store.collections.items()})


@pytest.fixture
def day(whole: Day) -> Day:
    """One's own, to be changed."""
    return replace(whole, views=deepcopy(whole.views))


def test_what_is_right_differs_nowhere(whole: Day) -> None:
    found = whole.judged()
    assert {name: report.examples for name, report in found.items() if report.examples} == {}
    assert set(found) == {
        "tumbling", "sliding", "session", "recent", "before_this", "a_while_ago", "meters", "houses", "fraud_scores",
        "abandoned_carts", "health", "dead_letters",
    }  # fmt: skip
    assert min(report.checked for report in found.values()) > 1
    assert {name: report.checked for name, report in found.items() if name != "health"} == {
        name: len(whole.views[name]) for name in found if name != "health"
    }


def test_the_day_has_what_only_this_pipeline_has(whole: Day) -> None:
    """Windows that were revised, one that a late reading made, late ones and poison among the letters, repeats."""
    meters = whole.views["meters"]
    assert sum(d["revision"] for d in meters) == 30
    assert [(d["late"], d["events"]) for d in meters if d["late"] and not d["revision"]] == [(1, 1)]
    assert {reason for reason, _ in whole.right.letters.values()} == {"late", "type", "json"}
    assert whole.right.classes[SHARD]["repeat"] == 10


@pytest.mark.parametrize(
    ("view", "field", "wrong"),
    [
        ("tumbling", "spend", 0.01),
        ("tumbling", "final", False),
        ("sliding", "n", 99),
        ("session", "value", -1.5),
        ("recent", "top", 1e9),
        ("before_this", "expires_at", date(BEGIN)),
        ("a_while_ago", "as_of", date(BEGIN)),
        ("meters", "revision", 99),
        ("meters", "late", 99),
        ("meters", "total", 0.5),
        ("houses", "total", 0.5),
        ("houses", "late", 1),
        ("houses", "revision", 1),
        ("fraud_scores", "decision", "maybe"),
        ("fraud_scores", "features", {}),
        ("abandoned_carts", "status", "forgotten"),
        ("abandoned_carts", "items", []),
        ("health", "repeat", 0),
        ("dead_letters", "reason", "time"),
    ],
)
def test_a_value_that_was_changed_by_hand_differs_in_its_view_alone(day: Day, view: str, field: str, wrong: Any) -> None:
    day.one(view)[field] = wrong
    assert day.differ() == {view: 1}


def test_a_revision_that_did_not_happen_differs(day: Day) -> None:
    document = day.one("meters", lambda d: d["revision"] > 0)
    document["revision"] -= 1
    assert day.differ() == {"meters": 1}


def test_a_late_reading_in_a_strict_window_differs(day: Day) -> None:
    document = day.one("houses", lambda d: d["events"] > 1)
    document["events"] += 1
    document["n"] += 1
    assert day.differ() == {"houses": 1}


def test_a_feature_that_an_event_was_not_scored_on_differs(day: Day) -> None:
    document = day.one("fraud_scores", lambda d: d["features"]["a_while_ago"]["n"] > 0)
    document["features"]["a_while_ago"]["terminals"] += 1
    assert day.differ() == {"fraud_scores": 1}


@pytest.mark.parametrize(
    "view",
    [
        "tumbling", "sliding", "session", "recent", "before_this", "a_while_ago", "meters", "houses", "fraud_scores",
        "abandoned_carts", "dead_letters",
    ],
)  # fmt: skip
def test_a_document_that_is_missing_and_one_too_many_differ(day: Day, view: str) -> None:
    document = day.views[view].pop()
    assert day.differ() == {view: 1}
    id: Any = "nobody"
    if isinstance(document["_id"], dict):
        id = {**document["_id"], "k": "nobody"} if view != "dead_letters" else {**document["_id"], "sequence": "1"}
    day.views[view].append({**document, "_id": id, "key": "nobody"})
    assert day.differ() == {view: 2}
