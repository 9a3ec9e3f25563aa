"""A window set whose definition has changed, is new, or comes back: it begins where the shard stands, and says of what began
before it that it is not complete. What its former definition has called final stays."""

from __future__ import annotations

from typing import Any

import pytest

from config.load import parse
from config.specs import Pipeline
from consumer.intake.batch import Budget
from consumer.life import known_since
from consumer.runner import Runner
from consumer.store.contract import Cursor, Effects, HashRange, ShardId
from consumer.store.memory import MemoryStore
from contract.errors import Unstorable
from contract.keys import kinesis_hash, partition_key
from tests.consumer.stream import (
    SHARD,
    SHARED,
    SPEC,
    TOML,
    Crash,
    S,
    Watched,
    beat,
    change,
    feed,
    limited,
    raws,
    result,
    sharing,
    whole,
)
from windows.engine import NEVER

MINUTE = 'tumbling = { size = "10s" }\nlateness = "1s"\nretain = "20s"'
RECENT = 'rolling = { size = "10s" }'
assert MINUTE in TOML and RECENT in TOML
LATER = parse(TOML.replace(MINUTE, MINUTE.replace('lateness = "1s"', 'lateness = "2s"')))


def pay(n: int, at: int, key: str = "a") -> bytes:
    return change(n, "pay", "card", key, at * S, amount=2, shop="x")


def shown(store: MemoryStore, view: str = "minute") -> list[tuple[Any, ...]]:
    """(start in s, events, final, complete) of each window."""
    found = [*store.collections[view].values()]
    return sorted((d["start"].timestamp(), d["events"], d["final"], d.get("complete", True)) for d in found)


def change_over(before: Pipeline, after: Pipeline, lines: list[bytes], at: int) -> tuple[MemoryStore, Runner]:
    """The first records under one configuration, the others under another."""
    store = MemoryStore(before)
    first = Runner(before, store, SHARD)
    feed(first, raws(lines)[:at])
    first.flush()
    second = Runner(after, store, SHARD)
    feed(second, raws(lines)[at:])
    return store, second


def test_windows_that_began_before_their_set_are_not_complete_and_replace_nothing_final() -> None:
    #  windows  |0 ......... |10 ........ |20 ........ |30
    #  events    1 2 3 4 5 6   12   change   13   21 22   31
    #  final     at 11 s       ^
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 12), pay(8, 13), pay(9, 21), pay(10, 22), beat(60 * S)]
    store, runner = change_over(SPEC, LATER, lines, 7)
    assert shown(store) == [(0, 6, True, True), (10, 1, True, False), (20, 2, True, True)]
    configs = {d["start"].timestamp(): d["config"] for d in store.collections["minute"].values()}
    old, new = (next(s for s in spec.windows if s.name == "minute").fingerprint for spec in (SPEC, LATER))
    assert (configs[0], configs[10], configs[20]) == (old, new, new)
    others = {name: d for name, d in result(store, runner.cursor).documents.items() if name != "minute"}
    assert others == {name: d for name, d in whole(lines, end=False).documents.items() if name != "minute"}, "others go on"


def test_a_late_event_of_a_window_that_the_former_definition_has_closed_leaves_it_as_it_was() -> None:
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 11), beat(11 * S), pay(8, 9), beat(60 * S)]
    store, _ = change_over(SPEC, LATER, lines, 8)
    assert shown(store)[0] == (0, 6, True, True)


def test_a_rolling_value_is_not_complete_until_its_window_lies_behind_the_sets_beginning() -> None:
    #  change at 6 s; recent holds 15 s now
    after = parse(TOML.replace(RECENT, 'rolling = { size = "15s" }'))
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 8), pay(8, 20), pay(9, 23)]
    for at, complete in ((7, False), (8, False), (9, True)):
        store, _ = change_over(SPEC, after, lines[:at], 6)
        [document] = store.collections["recent"].values()
        assert document.get("complete", True) is complete
        [habit] = store.collections["habit"].values()
        assert "complete" not in habit


def test_a_set_that_moves_into_a_view_keeps_what_it_holds_and_leaves_its_old_view_as_it_is() -> None:
    #  change at 6 s; what recent (10 s) and habit (20 s) hold is what they hold without a change; large is new
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 8), beat(9 * S)]
    store, _ = change_over(SPEC, SHARED, lines, 6)
    [document] = store.collections["cards"].values()
    [recent] = whole(lines, end=False).documents["recent"]
    [habit] = whole(lines, end=False).documents["habit"]
    for name, alone in (("recent", recent), ("habit", habit)):
        fixed = {"_id", "key", "as_of", "expires_at"}
        assert document[name] == {field: value for field, value in alone.items() if field not in fixed}
    assert (document["recent"]["n"], document["large"]["n"]) == (7, 1)
    assert document["complete"] is False, "one of its sets is not"
    [old] = store.collections["recent"].values()
    assert (old["n"], old["as_of"].timestamp()) == (6, 6)


def test_a_changed_set_in_a_view_leaves_the_others_as_they_are() -> None:
    #  change at 6 s; recent holds 15 s now: it is whole from 21 s on
    after = parse(sharing().replace(RECENT, 'rolling = { size = "15s" }'))
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 8), pay(8, 20), pay(9, 23)]
    configs = {s.name: s.fingerprint for s in after.windows}
    for at, counts, complete in ((7, (1, 7, 5), False), (8, (2, 8, 1), False), (9, (2, 6, 2), True)):
        store, _ = change_over(SHARED, after, lines[:at], 6)
        [document] = store.collections["cards"].values()
        sets = ("recent", "habit", "large")
        assert tuple(document[name]["n"] for name in sets) == counts
        assert {name: document[name]["config"] for name in sets} == {name: configs[name] for name in sets}
        assert document.get("complete", True) is complete


def test_a_session_that_an_earlier_event_may_have_belonged_to_is_not_complete() -> None:
    #  gap 6 s; change at 10 s, behind an event of 10 s, which the new set has not seen: its session is closed as it was
    other = parse(TOML.replace('session = { gap = "6s", max = "20s" }', 'session = { gap = "6s", max = "25s" }'))
    carts = [change(n, "carts", "cart", key, at * S, action="add", items=["s"], n=1) for n, key, at in CARTS]
    store, _ = change_over(SPEC, other, [*carts, beat(90 * S)], 2)
    assert shown(store, "visits") == [(2, 1, True, True), (10, 1, True, False), (12, 2, True, False), (30, 1, True, True)]


CARTS = [(1, "k", 2), (2, "k", 10), (3, "k", 12), (4, "k", 13), (5, "k", 30)]


@pytest.mark.parametrize("taken_out", [False, True], ids=["changed", "taken out"])
def test_what_a_former_definition_has_left_open_is_closed_when_it_would_have_been(taken_out: bool) -> None:
    #  windows  |0 ......... |10 ........ |20
    #  events    1 2 3 4 5 6   12  change            heartbeats: 20 s, 21 s
    #  10..20 is the former's: open until its end and its lateness of 1 s
    after = parse(TOML.replace('name = "minute"', 'name = "minutes"')) if taken_out else LATER
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 12), beat(21 * S - 1), beat(21 * S)]
    store, _ = change_over(SPEC, after, lines[:8], 7)
    assert shown(store) == [(0, 6, True, True), (10, 1, False, True)]
    before = {id: dict(document) for id, document in store.collections["minute"].items()}
    second = Runner(after, store, SHARD)
    feed(second, raws(lines))
    assert shown(store) == [(0, 6, True, True), (10, 1, True, False)]
    for id, document in store.collections["minute"].items():
        fixed = {"final", "complete", "updated_at"}
        assert {k: v for k, v in document.items() if k not in fixed} == {k: v for k, v in before[id].items() if k not in fixed}
    assert second.cursor.left_open == ()


def test_a_window_of_the_new_definition_takes_the_place_of_one_left_open_whether_that_is_closed_or_not() -> None:
    #  12  change  13 13 ...  21 s: closed        the same with the second 13 only behind it
    early = [pay(1, 12), pay(2, 13), beat(25 * S), pay(3, 14)]
    late = [pay(1, 12), beat(25 * S), pay(2, 13), pay(3, 14)]
    new = next(s.fingerprint for s in LATER.windows if s.name == "minute")
    for lines in (early, late):
        store, _ = change_over(SPEC, LATER, lines, 1)
        [document] = store.collections["minute"].values()
        assert (document["config"], document["events"], document["final"], document["complete"]) == (new, 2, True, False)


def test_only_the_shard_of_its_key_closes_what_was_left_open() -> None:
    #  two shards, the first one is further on
    store = MemoryStore(SPEC)
    middle = 1 << 127
    halves = {ShardId("s", 1, "low"): HashRange(0, middle - 1), ShardId("s", 1, "high"): HashRange(middle, 2 * middle - 1)}
    cards = [f"c{n}" for n in range(12)]
    for shard, hashes in halves.items():
        own = [c for c in cards if hashes.low <= kinesis_hash(partition_key("card", c)) <= hashes.high]
        assert own
        feed(Runner(SPEC, store, shard, hashes), raws([pay(n, 12, card) for n, card in enumerate(own)]))
    for done, (shard, hashes) in enumerate(halves.items(), 1):
        again = Runner(LATER, store, shard, hashes)
        own = [c for c in cards if hashes.low <= kinesis_hash(partition_key("card", c)) <= hashes.high]
        feed(again, [*raws(pay(n, 12, card) for n, card in enumerate(own)), *raws([*(b"{" for _ in range(12)), beat(60 * S)])[-1:]])
        closed = [d["key"] for d in store.collections["minute"].values() if d["final"]]
        assert sorted(closed) == sorted(c for c in cards if done == 2 or c in own)


def test_it_is_closed_whatever_dies_on_the_way() -> None:
    #  9 cards' windows left open; a commit closes two at most; the process dies at its n-th call
    lines = [*(pay(n, 12, f"c{n}") for n in range(9)), beat(60 * S)]
    for dies_at in range(80):
        store = MemoryStore(SPEC)
        first = Runner(SPEC, store, SHARD)
        feed(first, raws(lines)[:9])
        first.flush()
        way = limited(budget=Budget(rows=3, windows=2, judged=1))
        try:
            runner = Runner(LATER, Watched(store, dies_at, after=bool(dies_at % 2)), SHARD, **way)
            feed(runner, raws(lines))
            runner.flush()
            done = True
        except Crash:
            done = False
            feed(last := Runner(LATER, store, SHARD, **way), raws(lines))
            last.flush()
        assert shown(store) == [(10, 1, True, False)] * 9
        if done:
            break
    else:
        raise AssertionError("it dies for ever")
    assert dies_at > 8


def test_one_that_the_store_does_not_take_as_closed_stays_open_and_a_letter_names_it() -> None:
    class Picky(MemoryStore):
        def commit(self, effects: Effects) -> Cursor:
            for closing in effects.closings:
                if any(id["k"] == "c3" for id in closing.ids):
                    raise Unstorable("code 121", (closing.collection, next(id for id in closing.ids if id["k"] == "c3")))
            return super().commit(effects)

    lines = [*(pay(n, 12, f"c{n}") for n in range(9)), beat(60 * S), beat(61 * S)]
    store = Picky(SPEC)
    first = Runner(SPEC, store, SHARD)
    feed(first, raws(lines)[:9])
    first.flush()
    second = Runner(LATER, store, SHARD)
    feed(second, raws(lines))
    second.flush()
    assert [d["key"] for d in store.collections["minute"].values() if not d["final"]] == ["c3"]
    [letter] = store.collections["dead_letters"].values()
    assert letter["reason"] == "refused" and "c3" in letter["why"]
    assert second.cursor.left_open == ()


def test_a_set_that_was_away_begins_anew() -> None:
    without = parse(TOML.replace('name = "minute"', 'name = "minutes"'))
    store = MemoryStore(SPEC)
    for spec, lines in ((SPEC, (1, 2)), (without, (3, 4)), (SPEC, (5, 12))):
        runner = Runner(spec, store, SHARD)
        feed(runner, _at(lines))
        runner.flush()
    runner.feed(raws([b"{"] * 20 + [beat(60 * S)])[20:])
    assert shown(store) == [(0, 1, True, False), (10, 1, True, True)]


def _at(lines: tuple[int, ...]) -> list[Any]:
    """Payments at these seconds, as records of these numbers."""
    return [record for n in lines for record in raws([b"{"] * (n - 1) + [pay(n, n)])[n - 1 :]]


def test_a_change_and_a_crash_at_once_still_begin_at_the_cursor() -> None:
    #  snapshot at 0, cursor at 6 s, then the set changes: what lies between is put in in silence, and is not all
    lines = [*(pay(n, n) for n in range(1, 7)), pay(7, 8), beat(60 * S)]
    store = MemoryStore(SPEC)
    feed(Runner(SPEC, store, SHARD), raws(lines)[:6])
    second = Runner(LATER, store, SHARD)
    feed(second, raws(lines), cuts=[3])
    assert shown(store) == [(0, 7, True, False)]
    assert second.cursor.since == {s.fingerprint: 6 * S + 1 if s.name == "minute" else NEVER for s in LATER.windows}


def test_a_child_shard_knows_what_its_parents_have_kept() -> None:
    store = MemoryStore(SPEC)
    mother, father = (ShardId(SHARD.stream, SHARD.created, name) for name in ("m", "f"))
    for parent, specs in ((mother, (SPEC, LATER)), (father, (LATER,))):
        for n, spec in enumerate(specs, 1):
            runner = Runner(spec, store, parent)
            feed(runner, raws([pay(1, 3, parent.shard), pay(2, 12, parent.shard)])[n - 1 : n])
            runner.flush()
    child = Runner(LATER, store, SHARD, parents=[mother, father])
    changed = next(s for s in LATER.windows if s.name == "minute")
    assert known_since(child.cursor, LATER)[changed.fingerprint] == 3 * S + 1
    assert set(known_since(child.cursor, SPEC).values()) == {NEVER, child.cursor.watermark + 1}
