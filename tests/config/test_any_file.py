"""Whatever stands in pipeline.toml, it is a Pipeline or Misconfigured with a path on every line, and no other error."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import build
from contract.errors import Misconfigured
from contract.extjson import unheld
from tests.config.test_load import WHOLE

GOOD: dict[str, Any] = tomllib.loads(WHOLE + '[views]\ndatabase = "v"\n[views.ttl]\nw = "7d"\n')
WORDS = ["", "w", "k", "t", "1m", "0s", "$x", "a.b", "r.n > 3", "count()", "sum(a) if b", "event", "document", "{", "UTC"]
FAR = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23)))  # in UTC before all years
LEAVES = st.sampled_from(
    [*WORDS, True, 0, -1, 5, 0.5, float("nan"), datetime(2024, 1, 1, tzinfo=UTC), FAR, date(2024, 1, 1), [], {}, [{}]]
)
NAMES = ["name", "size", "gap", "every", "rolling", "measures", "match", "format", "before", "$or", "ttl", "rules", "view", "x"]


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(p for k, v in inner for p in places(v, (*path, k)))]


@given(
    st.lists(st.tuples(st.sampled_from(places(GOOD)[1:]), st.sampled_from(["set", "drop", "add"]), st.sampled_from(NAMES), LEAVES))
)
def test_any_change_to_a_good_file(changes: list[tuple[tuple[Any, ...], str, str, Any]]) -> None:
    data = deepcopy(GOOD)
    for path, how, name, leaf in changes:
        change(data, path, how, name, deepcopy(leaf))
    try:
        assert all(unheld(t.match) is None for t in build(data).triggers)
    except Misconfigured as error:
        assert all(": " in line and not line.startswith(":") for line in error.what.split("\n")), error.what


HUGE = int("F" * 5_000, 16)  # Python writes no such number
LONG = "x" * 5_000
ENDLESS = [
    HUGE, [HUGE], {"a": HUGE}, LONG, [LONG, LONG], {LONG: 1}, f"{LONG}.{LONG}", f"sum({LONG})", f"sum(a) {LONG}", f"{LONG}(",
    f"-{LONG}", f"quantile(a, {LONG})", f"count({LONG})", f"{{{LONG}}}", f"{{a:{LONG}}}", f"a > {'9' * 1_900}", f"{LONG[:1_900]} +",
    "9" * 5_000 + "d", {"x": {"$numberLong": HUGE}}, {"x": {"$in": [{"$oid": LONG}, {"$date": HUGE}]}},
]  # fmt: skip


@pytest.mark.parametrize("place", places(GOOD)[1:], ids=lambda place: ".".join(map(str, place)))
def test_a_value_without_end_makes_short_lines(place: tuple[Any, ...]) -> None:
    wrong = 0
    for leaf in ENDLESS:
        data = deepcopy(GOOD)
        change(data, place, "set", "", deepcopy(leaf))
        try:
            build(data)
        except Misconfigured as error:
            wrong += 1
            assert all(": " in line and len(line) < 500 for line in error.what.split("\n")), error.what[:2_000]
    assert wrong, "the number is wrong everywhere"


def change(data: Any, path: tuple[Any, ...], how: str, name: str, leaf: Any) -> None:
    """Set, drop or add one value; a path that an earlier change took away changes nothing."""
    try:
        for step in path[:-1]:
            data = data[step]
        if how == "drop":
            del data[path[-1]]
        elif how == "add":
            data[path[-1]][name] = leaf
        else:
            data[path[-1]] = leaf
    except (KeyError, IndexError, TypeError):
        pass
