"""The check of every result: it agrees with a product that is right, and sees each single thing that is not."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from config.load import load
from config.specs import Pipeline
from query.verify import Report, check
from query.verify.windows import holding
from tests.query.verify.shop_run import Day, day
from windows.law.spec import Rolling, Sliding, Tumbling

Document = dict[str, Any]
MINUTE, DAY = 60_000, 86_400_000


@pytest.fixture(scope="module")
def spec() -> Pipeline:
    return load(Path(__file__).parents[2] / "sandbox" / "everything.toml")


@pytest.fixture(scope="module")
def ran(spec: Pipeline) -> Day:
    return day(spec, count=1_500, seconds=40, quiet=25)


def checked(spec: Pipeline, ran: Day) -> Report:
    return check(spec, ran.rows, ran.view, ran.terms)


def test_a_right_product_has_no_differences(spec: Pipeline, ran: Day) -> None:
    report = checked(spec, ran)
    assert (report.examples, report.differ) == ([], 0)
    assert report.good
    assert report.windows > 1_000
    assert report.rolling > 5_000
    assert report.carts > 20
    assert report.scores == len(ran.rows["transactions"])


def test_windows_that_cannot_be_closed_yet_are_compared_too(spec: Pipeline) -> None:
    report = checked(spec, day(spec, count=300, seconds=20, quiet=0))
    assert (report.examples, report.differ) == ([], 0)
    assert report.still_open > 20


WRONG: list[tuple[str, Callable[[Document], Any]]] = [
    ("tumbling", lambda d: d.update(spend=d["spend"] + 0.01)),
    ("tumbling", lambda d: d.update(middle=d["middle"] + 0.01)),
    ("tumbling", lambda d: d.update(final=not d["final"])),
    ("tumbling", lambda d: d.update(revision=1)),
    ("sliding", lambda d: d.update(events=d["events"] + 1)),
    ("sliding", lambda d: d.update(closed_by=None)),
    ("session", lambda d: d.update(end=d["end"] + timedelta(milliseconds=1))),
    ("session", lambda d: d.update(value=None)),
    ("recent", lambda d: d.update(n=d["n"] + 1)),
    ("recent", lambda d: d.update(expires_at=d["as_of"])),
    ("a_while_ago", lambda d: d.update(as_of=d["as_of"] - timedelta(hours=1))),
    ("fraud_scores", lambda d: d.update(decision="maybe")),
    ("fraud_scores", lambda d: d["features"]["before_this"].update(n=99)),
    ("fraud_scores", lambda d: d["features"].pop("recent")),
    ("abandoned_carts", lambda d: d.update(status="forgotten")),
    ("abandoned_carts", lambda d: d.update(items=[])),
    ("abandoned_carts", lambda d: d.update(retracted_at=d["since"])),
    ("health", lambda d: d.update(counted=d["counted"] - 1, records=d["records"] - 1)),
    ("health", lambda d: d.update(records=d["records"] + 1)),
]


@pytest.mark.parametrize(("view", "spoil"), WRONG)
def test_one_wrong_value_is_seen(spec: Pipeline, ran: Day, view: str, spoil: Callable[[Document], Any]) -> None:
    documents = ran.store.collections[view]
    name, right = next((id, d) for id, d in documents.items() if d.get("events", 2) > 1)
    features = {s: dict(values) for s, values in right.get("features", {}).items()}
    documents[name] = {**right, **({"features": features} if features else {})}
    spoil(documents[name])
    try:
        assert checked(spec, ran).differ > 0
    finally:
        documents[name] = right


@pytest.fixture(scope="module")
def sharing(spec: Pipeline) -> Pipeline:
    """The same with all rolling sets in one view; one of them leaves some events out, one looks back."""
    return replace(spec, windows=tuple(replace(s, view="cards") if isinstance(s.kind, Rolling) else s for s in spec.windows))


@pytest.fixture(scope="module")
def shared(sharing: Pipeline) -> Day:
    return day(sharing, count=600, seconds=25, quiet=25)


def test_a_right_shared_view_has_no_differences(sharing: Pipeline, shared: Day) -> None:
    report = checked(sharing, shared)
    assert (report.examples, report.differ) == ([], 0)
    documents = shared.view("cards")
    assert all({"recent", "before_this", "a_while_ago"} < set(d) for d in documents)
    assert len(documents) > 100


SPOILT: list[Callable[[Document], Any]] = [
    lambda d: d["recent"].update(n=d["recent"]["n"] + 1),
    lambda d: d["before_this"].update(config="another"),
    lambda d: d.pop("a_while_ago"),
    lambda d: d.update(expires_at=d["as_of"]),
    lambda d: d.update(as_of=d["as_of"] - timedelta(hours=1)),
    lambda d: d.update(key="another"),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_one_wrong_value_in_a_shared_view_is_seen(sharing: Pipeline, shared: Day, spoil: Callable[[Document], Any]) -> None:
    documents = shared.store.collections["cards"]
    name, right = next(iter(documents.items()))
    documents[name] = deepcopy(right)
    spoil(documents[name])
    try:
        assert checked(sharing, shared).differ > 0
    finally:
        documents[name] = right
    del documents[name]
    try:
        assert checked(sharing, shared).differ > 0
    finally:
        documents[name] = right


@pytest.mark.parametrize("view", ["tumbling", "sliding", "session", "recent", "fraud_scores", "abandoned_carts"])
def test_one_missing_and_one_extra_document_are_seen(spec: Pipeline, ran: Day, view: str) -> None:
    documents = ran.store.collections[view]
    name, right = next(iter(documents.items()))
    del documents[name]
    try:
        assert checked(spec, ran).differ > 0
        extra = {**right, "_id": {"k": "nobody", "s": right["start"]} if "start" in right else "nobody", "key": "nobody"}
        if view == "abandoned_carts":
            extra["_id"] = {"k": "nobody", "s": right["since"]}
        documents[name], documents["extra"] = right, extra
        assert checked(spec, ran).differ > 0
    finally:
        documents.pop("extra", None)
        documents[name] = right


def test_nothing_to_compare_is_not_good() -> None:
    assert not Report().good


#  zone Europe/Berlin: on 2026-03-29 the clock goes from 02:00 to 03:00, the day has 23 hours
#  22:00Z           21:59Z 22:00Z
#  |=== 29 March ===|      |=== 30 March ===
def test_windows_of_a_zone_follow_its_clocks() -> None:
    day_start, next_start = 1_774_738_800_000, 1_774_821_600_000  # 2026-03-28T23:00Z, 2026-03-29T22:00Z
    kind = Tumbling(DAY, zone="Europe/Berlin")
    assert list(holding(kind, day_start)) == [(day_start, next_start)]
    assert list(holding(kind, next_start - 1)) == [(day_start, next_start)]
    assert [start for start, _ in holding(kind, next_start)] == [next_start]


#  size 10, every 4, offset 1    t = 13
#       [5..........15)
#           [9...........19)
#               [13..........23)
def test_sliding_windows_that_hold_a_time() -> None:
    assert sorted(holding(Sliding(10, 4, 1), 13)) == [(5, 15), (9, 19), (13, 23)]
    assert sorted(holding(Sliding(10, 4, 1), 15)) == [(9, 19), (13, 23)]


def test_times_before_1970_are_floored() -> None:
    assert list(holding(Tumbling(MINUTE), -1)) == [(-MINUTE, 0)]
