"""The shop: the same from the same seed, in order, with known fraud and known fates of carts."""

from __future__ import annotations

import argparse
import itertools
import threading
from collections import Counter, defaultdict
from typing import Any

from sandbox import traffic
from sandbox.shop import CARTS, DISORDER, PAYMENTS, Happens, Shop
from sandbox.traffic import Writer, feed
from tests.conftest import Client

LATENESS = 3_000


def plan(n: int = 4_000, **options: Any) -> list[Happens]:
    return list(itertools.islice(Shop(**options), n))


def test_a_seed_says_everything() -> None:
    assert plan() == plan()
    assert plan(seed=8) != plan(seed=7)


def test_documents_come_in_order_and_their_counters_go_on() -> None:
    happens = plan(first=500)
    assert [h.document["n"] for h in happens] == list(range(500, 4_500))
    assert [h.due for h in happens] == sorted(h.due for h in happens)
    assert len({h.document["_id"] for h in [*plan(), *happens]}) == 4_500  # those that share a counter share the id


def test_disorder_and_the_relays_second_are_within_the_lateness() -> None:
    assert 1_000 < max(h.behind for h in plan()) < DISORDER <= LATENESS - 1_000


def test_the_rate_is_about_what_was_asked_for() -> None:
    for rate in (20, 50, 400):
        assert abs(4_000 / (plan(rate=rate)[-1].due / 1_000) / rate - 1) < 0.25


def test_every_kind_of_fraud_happens_and_is_marked() -> None:
    marks = Counter(h.document["fraud"] for h in plan() if h.collection == PAYMENTS)
    assert marks.keys() == {None, "velocity", "spike", "hopping"}
    assert 0.02 < 1 - marks[None] / marks.total() < 0.2


def test_a_carts_fate_is_what_becomes_of_it() -> None:
    steps: dict[str, list[Happens]] = defaultdict(list)
    for h in plan(20_000, gap=2_000):
        if h.collection == CARTS:
            steps[h.document["cart_id"]].append(h)
    fates = Counter[str]()
    for cart in steps.values():
        if cart[-1].due > 300_000:
            continue  # may go on after the end of the plan
        fate, actions = cart[0].document["fate"], [h.document["action"] for h in cart]
        fates[fate] += 1
        assert ("purchase" in actions) == (fate in ("bought", "returned"))
        assert (cart[-1].document["items"] == []) == (fate == "emptied")
        longest = max((b.due - a.due for a, b in itertools.pairwise(cart)), default=0)
        assert (longest > 2_000) == (fate == "returned")
    assert fates.keys() == {"bought", "left", "returned", "emptied"}


def options(*words: str) -> argparse.Namespace:
    return traffic.arguments(words)


def test_full_speed_writes_all_of_it_in_order_and_a_second_run_goes_on(mongo: Client, database_name: str) -> None:
    writer = Writer(mongo[database_name])
    for total in (1_500, 3_000):
        assert feed(writer, options("--count", "1500", "--span", "1"), threading.Event()) == 0
        payments, carts = (list(mongo[database_name][name].find().sort("$natural", 1)) for name in (PAYMENTS, CARTS))
        assert sorted(d["n"] for d in payments + carts) == list(range(total))
        assert [d["n"] for d in payments] == sorted(d["n"] for d in payments)
        behind = [(d["written_at"] - d["at"]).total_seconds() for d in payments + carts]
        assert max(behind) < DISORDER / 1_000
        assert min(behind) > -3  # the plan may run ahead of the clock by about its span


def test_a_paced_shop_ends_when_it_is_told_to(mongo: Client, database_name: str) -> None:
    ended = threading.Event()
    threading.Timer(0.5, ended.set).start()
    assert feed(Writer(mongo[database_name]), options("--rate", "400"), ended) == 0
    assert mongo[database_name][PAYMENTS].count_documents({}) > 10
