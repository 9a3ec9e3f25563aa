"""Engines with a few keys in them, of each kind of window: what releases have saved of them lies beside this (states_v5.json)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from tests.windows.build import columns, window_set
from windows.columnar.engine import ColumnarEngine
from windows.law.spec import DAY, Kind, Rolling, Session, Sliding, Tumbling, WindowSet

MEASURES = {"n": "count()", "s": "sum(x)", "d": "distinct(shop)", "l": "last(shop)", "q": "quantile(x, 0.9)", "v": "std(x)"}
SHOPS = ["north", "south", "", "größer", 7, 7.5, -3, True, "x" * 300, 1 << 70]
KINDS: dict[str, tuple[Kind, dict[str, Any]]] = {
    "tumbling": (Tumbling(50), {"retain": 2_000}),
    "sliding": (Sliding(90, 20), {"retain": 2_000}),
    "local": (Tumbling(DAY, zone="Europe/Berlin"), {"retain": DAY}),
    "rolling": (Rolling(700), {}),
    "session": (Session(40), {"retain": 2_000}),
    "taken": (Tumbling(50), {"retain": 2_000, "retract": True}),
    "taken_rolling": (Rolling(700), {"retract": True}),
}


def sets() -> dict[str, list[WindowSet]]:
    """Window sets by name: of one kind each, and of all kinds together."""
    each = {name: [window_set(name, kind, measures=MEASURES, **more)] for name, (kind, more) in KINDS.items()}
    return {**each, "all": [spec for specs in each.values() for spec in specs]}


def rows() -> list[dict[str, Any]]:
    """Events of three keys, some late, some taken out again."""
    random, made = Random(5), list[dict[str, Any]]()
    for n in range(80):
        at = 5 * n - random.choice([0, 0, 0, 3, 60])
        fields = {"x": random.choice([1.5, 2.0, 1e16, -7.25]), "shop": random.choice(SHOPS), "flag": n % 3 == 0}
        made.append({"at": at, "mark": 5 * n - 10, "key": random.choice("aaab"), "doc": f"d{n}", "fields": fields})
        if n % 20 == 19:
            made.append({**made[-15], "mark": 5 * n, "take": True, "put": n % 40 == 19, "old_at": made[-15]["at"]})
    return [*made, {**made[0], "at": 390, "mark": 390, "key": "c", "fields": {}}]


def engines() -> Iterator[tuple[str, ColumnarEngine]]:
    """Each with these events in it."""
    for name, specs in sets().items():
        engine = ColumnarEngine(specs)
        engine.step(columns(specs, rows()))
        yield name, engine
