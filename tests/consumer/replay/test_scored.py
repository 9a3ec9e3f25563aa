"""scored.jsonl: what a model may use of each scored event, and nothing of what comes later."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.consumer.replay.files import BARE, Replay, doc, rows
from tests.consumer.stream import change

DAY = 86_400_000
FRAUD = """
[[trigger]]
name = "chargebacks"
database = "shop"
collection = "chargebacks"
routes = ["shop"]
time = "at"

[[windows]]
name = "charged"
trigger = "chargebacks"
key = "shop"
rolling = { size = "30d", delay = "7d" }
measures = { n = "count()" }

[[windows]]
name = "taken"
trigger = "pay"
key = "shop"
rolling = { size = "30d", delay = "7d" }
measures = { n = "count()" }

[fraud]
trigger = "pay"
key = "card"

[[fraud.rules]]
name = "high"
when = "amount > 50"
weight = 0.5
reason = "{amount}"
"""
NAMED = """
[fraud.features]
amount = "amount"
n = "recent.n"
charged = "charged.n"
risk = "(charged.n + 0.1) / (taken.n + 1)"
"""


def scored(folder: Any) -> list[dict[str, Any]]:
    return rows(folder / "scored.jsonl")


def paid(number: int, at: int, shop: str = "s", card: str = "c", amount: float = 5) -> list[bytes]:
    both = {"amount": amount, "shop": shop, "card": card}
    return [change(number, "pay", route, both[route], at, **both) for route in ("card", "shop")]


def charged(number: int, at: int, shop: str = "s") -> bytes:
    return change(number, "chargebacks", "shop", shop, at, shop=shop)


def test_a_line_for_each_scored_event_and_none_for_its_other_route(replay: Replay) -> None:
    lines = [*paid(1, 1_000), *paid(2, 2_000, "t", "d", 7)]
    found = scored(replay(lines, BARE + FRAUD + NAMED, "--features"))
    assert [(f["key"], f["at"]) for f in found] == [("c", 1_000), ("d", 2_000)]
    assert set(found[0]) == {"id", "key", "at", "features"}
    assert found[1]["features"] == {
        "amount": 7.0,
        "n": 1.0,
        "charged": 0.0,
        "risk": 0.1,
        "shop": "t",
        "charged.as_of": None,
        "taken.as_of": None,
    }


def test_the_id_is_the_documents_own(replay: Replay) -> None:
    lines = [doc(_id="p1", card="c", shop="s", amount=3, at=5)]
    found = scored(replay(lines, BARE + FRAUD, "--features", "--trigger", "pay"))
    assert [f["id"] for f in found] == ["p1"]


def test_without_features_named_those_of_the_window_sets_are_written(replay: Replay) -> None:
    lines = [line for i in range(3) for line in paid(i + 1, 1_000 * (i + 1), amount=10 * (i + 1))]
    [*_, last] = scored(replay(lines, BARE + FRAUD, "--features"))
    names = {"amount", "recent.n", "recent.top", "busy.n", "charged.n", "taken.n", "charged by taken", "event.hour"}
    assert names <= set(last["features"])
    assert last["features"]["amount by recent.top"] == 1.0 and last["features"]["recent.n"] == 3.0


def test_a_field_that_only_labels_read_is_no_feature(replay: Replay) -> None:
    told = FRAUD.replace('measures = { n = "count()" }\n\n[fraud]', 'measures = { n = "count()", bad = "sum(fraud)" }\n\n[fraud]')
    assert told != FRAUD
    [line] = scored(replay(paid(1, 1_000), BARE + told, "--features"))
    assert "taken.bad" in line["features"] and "fraud" not in line["features"]


@pytest.mark.parametrize("many", [1, 4, 9])
def test_what_comes_later_changes_no_feature(replay: Replay, many: int) -> None:
    draw = np.random.default_rng(many)
    lines, at = [], 1_000
    for i in range(12):
        at += int(draw.integers(1_000, 3 * DAY))
        lines.append(paid(2 * i + 1, at, str(draw.choice(["s", "t"])), str(draw.choice(["c", "d"])), float(draw.integers(1, 90))))
        lines.append([charged(2 * i + 2, max(at - int(draw.integers(0, 9 * DAY)), 0), str(draw.choice(["s", "t"])))])
    toml = BARE + FRAUD + NAMED
    whole = scored(replay([line for some in lines for line in some], toml, "--features", out="whole"))
    part = scored(replay([line for some in lines[: 2 * many] for line in some], toml, "--features", out="part"))
    assert len(part) == many and part == whole[:many]


@pytest.mark.parametrize(("late", "seen"), [(7 * DAY - 1, 0.0), (7 * DAY, 1.0), (20 * DAY, 1.0)])
def test_a_label_is_not_seen_before_its_delay_however_early_it_comes(replay: Replay, late: int, seen: float) -> None:
    #  payment, charged back at once        7d             37d
    #  |-- nobody sees it ------------------|== it counts ==|
    first = 10 * DAY
    lines = [*paid(1, first), charged(2, first), *(line for i in range(600) for line in paid(3 + i, first + late, "t", "d"))]
    [last] = [f for f in scored(replay([*lines, *paid(700, first + late)], BARE + FRAUD + NAMED, "--features")) if f["key"] == "c"][
        1:
    ]
    assert last["features"]["charged"] == seen
    assert last["features"]["charged.as_of"] is not None


def test_two_replays_write_the_same_bytes(replay: Replay) -> None:
    lines = [line for i in range(40) for line in paid(i + 1, i * DAY // 3, f"s{i % 3}", f"c{i % 4}", i)]
    one, two = (replay(lines, BARE + FRAUD + NAMED, "--features", out=name) / "scored.jsonl" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes() and len(json.loads(one.read_bytes().splitlines()[-1])["features"]) == 7
