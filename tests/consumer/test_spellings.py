"""Numbers that are equal and spelled differently, through records: a restart in between gives the same documents, byte for byte."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import bson
import pytest
from bson import Decimal128, Int64
from hypothesis import given
from hypothesis import strategies as st

from config.load import parse
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Doc
from consumer.store.memory import MemoryStore
from tests.consumer.stream import SHARD, S, beat, change, feed, raws, result, run
from windows.naive.engine import NaiveEngine

MEASURES = (
    'measures = { f = "first(v)", l = "last(v)", d = "distinct(v)", same = "count() if v == u", lu = "last(u) if v != \'a\'" }'
)
TOML = f"""
[stream]
name = "s"
settle = "2s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card"]
time = "at"

[[trigger]]
name = "stock"
database = "shop"
collection = "stock"
routes = ["sku"]
time = "at"
before = true

[[windows]]
name = "slices"
trigger = "pay"
key = "card"
sliding = {{ size = "10s", every = "5s" }}
retain = "20s"
{MEASURES}

[[windows]]
name = "recent"
trigger = "pay"
key = "card"
rolling = {{ size = "20s" }}
{MEASURES}

[[windows]]
name = "visits"
trigger = "pay"
key = "card"
session = {{ gap = "6s", max = "20s" }}
{MEASURES}

[[windows]]
name = "moves"
trigger = "stock"
key = "sku"
tumbling = {{ size = "10s" }}
{MEASURES}
"""
SPEC = parse(TOML)
ONE = [1, 1.0, Int64(1), *map(Decimal128, ("1", "1.0", "1.00", "10E-1"))]
ZERO = [0, 0.0, -0.0, *map(Decimal128, ("0", "-0", "0.00", "0E+5"))]
LARGE = [*map(Decimal128, ("12345678901234567890.10", "12345678901234567890.1", "12345678901234567890.100"))]
OTHERS = [None, "1", "a", 'a "text" that is not read in place', 2, 2.5, Decimal128("2.50")]
VALUES = st.sampled_from([ONE, ONE, ZERO, LARGE, OTHERS]).flatmap(st.sampled_from)
DRAWN = st.tuples(
    st.sampled_from(["pay", "pay", "pay", "stock", "beat"]), st.sampled_from(ONE + LARGE), VALUES, VALUES, st.integers(0, 6)
)


def stream(drawn: Sequence[tuple[str, Any, Any, Any, int]]) -> list[bytes]:
    """Changes of keys and values in many spellings; every third one of a document takes the one before it out."""
    lines, now = [], 10
    for n, (what, key, v, u, later) in enumerate(drawn):
        now += later
        if what == "beat":
            lines.append(beat(now * S))
        elif what == "pay":
            lines.append(change(n, "pay", "card", key, now * S, v=v, u=u))
        else:
            doc = ONE[n % len(ONE)]
            op, old = ("insert", None) if n % 3 else ("update", (now - later) * S)
            lines.append(change(n, "stock", "sku", key, now * S, op, old, doc, v=v, u=u))  # type: ignore[arg-type]
    return lines


def bytes_of(documents: Mapping[str, Sequence[Doc]]) -> dict[str, list[bytes]]:
    """What MongoDB would hold."""
    return {name: [bson.encode(document) for document in found] for name, found in documents.items()}


def restarted(lines: list[bytes], at: int, saves: bool, limits: Limits) -> dict[str, list[bytes]]:
    """The first records in one life, the others in another; the first one saves all in the end, or leaves its records to be read
    again."""
    store = MemoryStore(SPEC)
    first = Runner(SPEC, store, SHARD, limits=limits)
    feed(first, raws(lines)[:at])
    if saves:
        first.flush()
    else:
        first.drain()
    first.close()
    second = Runner(SPEC, store, SHARD, limits=limits)
    feed(second, [raw for raw in raws(lines) if not second.cursor.snapshot.passed(raw.sequence, raw.sub)])
    found = result(store, second.finish())
    second.close()
    return bytes_of(found.documents)


def plainly(lines: list[bytes]) -> dict[str, list[bytes]]:
    """By the naive twin, which keeps every event as it came."""

    def pack(value: Hashable) -> bytes:
        return str(value).encode()

    return bytes_of(
        run(lines, spec=SPEC, engine=lambda spec: NaiveEngine(spec.windows, pack, lambda data: Decimal(data.decode()))).documents
    )


@given(
    st.lists(DRAWN, min_size=1, max_size=25).map(stream),
    st.integers(0, 25),
    st.booleans(),
    st.sampled_from([Limits(), Limits(cap=0)]),
)
def test_a_restart_changes_no_byte(lines: list[bytes], at: int, saves: bool, limits: Limits) -> None:
    expected = plainly(lines)
    assert bytes_of(run(lines, spec=SPEC).documents) == expected
    assert restarted(lines, at, saves, limits) == expected


@pytest.mark.parametrize("at", range(9))
def test_first_and_last_are_as_their_events_have_them(at: int) -> None:
    #  card 1     v = 1.0 at 10 s, 1 at 11 s, "1.00" at 12 s; card 7 met the decimal 1.0 before, at 9 s
    values = [1.0, 1, Decimal128("1.00")]
    keys = [Decimal128("1.0"), 1.0, 1]
    lines = [change(0, "pay", "card", 7, 9 * S, v=Decimal128("1.0"), u=0)]
    lines += [
        change(1 + n, "pay", "card", key, (10 + n) * S, v=v, u=1) for n, (v, key) in enumerate(zip(values, keys, strict=True))
    ]
    lines += [beat((14 + 6 * n) * S) for n in range(4)]
    found = restarted(lines, at, at % 2 == 0, Limits())
    recent, other = (bson.decode(data) for data in found["recent"])
    assert (recent["_id"], recent["key"], other["_id"]) == (1, 1, 7)
    assert not any(isinstance(recent[name], (float, Decimal128)) for name in ("_id", "key"))
    [first] = [d for d in map(bson.decode, found["slices"]) if d["key"] == 1 and d["start"].timestamp() == 10]
    assert [repr(first[name]) for name in ("f", "l", "d", "same", "lu")] == ["1.0", "Decimal128('1.00')", "1", "3", "1"]
    [visit] = [d for d in map(bson.decode, found["visits"]) if d["key"] == 7]
    assert [repr(visit[name]) for name in ("f", "l", "d")] == ["Decimal128('1.0')", "Decimal128('1.0')", "1"]
