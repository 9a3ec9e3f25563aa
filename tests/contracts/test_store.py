"""What every store must do. Each test runs on the store in memory and on a real mongod."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consumer.gaps import Mark
from consumer.store.contract import (
    EVERYTHING,
    Closing,
    Cursor,
    Doc,
    Effects,
    HashRange,
    Kept,
    KeyState,
    LeftOpen,
    Place,
    Segments,
    ShardId,
)
from contract.errors import Fenced, Rejected
from contract.keys import kinesis_hash, partition_key
from contract.times import date
from contract.values import id_value
from tests.contracts.conftest import AT, Stores
from windows.engine import END, NEVER

A = ShardId("arn:aws:kinesis:us-east-1:000000000000:stream/shop", 1_767_000_000_000, "shardId-000000000000")
B = replace(A, shard="shardId-000000000001")
C = replace(A, shard="shardId-000000000002")
BIG = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898  # 56 digits


def moved(cursor: Cursor, sequence: int = BIG, sub: int = 0, watermark: int = 1_000) -> Cursor:
    """One record further."""
    return cursor.moved(sequence, sub, watermark, cursor.counters.add({"counted": 1}, {"minutes": 2}, {"json": 1}))


def put(cursor: Cursor, *ids: object, n: int = 1, sequence: int = BIG) -> Effects:
    """A commit that writes one document for each id."""
    return Effects(cursor, moved(cursor, sequence), puts=[("minutes", {"_id": i, "n": n}) for i in ids])


def state(key: Hashable, hash: int, due: int | None, data: bytes = b"\x00\xff") -> KeyState:
    """A key's state."""
    return KeyState(("card", key), hash, due, data, A.name, (BIG, 3))


def test_a_first_open_starts_before_everything(stores: Stores) -> None:
    assert stores.new().open(A) == Cursor(A, epoch=1, sequence=None, sub=0, watermark=NEVER)


def test_a_commit_is_found_again_by_the_next_owner(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    after = store.commit(Effects(cursor, moved(cursor, BIG, 7, 123), puts=[("minutes", {"_id": "a", "n": 1})]))
    assert (after.sequence, after.sub, after.watermark) == (BIG, 7, 123)
    assert stores.docs("minutes") == {"a": {"_id": "a", "n": 1, "updated_at": AT}}
    assert stores.new().open(A) == replace(after, epoch=2)


def test_a_second_open_fences_the_first(stores: Stores) -> None:
    #  first   open ............ commit -> Fenced
    #  second        open ................ commit
    first, second = stores.new(), stores.new()
    old = first.open(A)
    new = second.open(A)
    with pytest.raises(Fenced):
        first.commit(put(old, "zombie"))
    with pytest.raises(Fenced):
        first.commit(Effects(old, old.saved(old.place), states=[state("zombie", 1, None)]))
    assert "zombie" not in stores.docs("minutes")
    assert second.load([("card", "zombie")]) == {}
    second.commit(put(new, "owner"))
    assert set(stores.docs("minutes")) == {"owner"}


def test_letters_are_found_by_id_and_by_the_event_that_they_counted_as(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    ids = [{"stream": "s", "created": 1, "shard": "0", "sequence": str(n), "sub": 0} for n in range(4)]
    counted = {"outcome": "counted", "event": "t1/card", "by": ids[3]}
    letters = [{"_id": id, "reason": "late", **({"requeued": counted} if n == 2 else {})} for n, id in enumerate(ids)]
    store.commit(Effects(cursor, moved(cursor), puts=[("dead_letters", letter) for letter in letters]))

    def found(ids: Sequence[Doc], events: Sequence[str]) -> list[str]:
        return sorted(letter["_id"]["sequence"] for letter in store.letters(ids, events))

    assert found(ids[:1], ["t1/card"]) == ["0", "2"]
    assert found([{**ids[0], "sequence": "7"}, ids[1]], ["t1"]) == ["1"]
    assert found([], []) == []


def test_a_cursor_that_somebody_else_moved_is_not_moved_again(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    store.commit(put(cursor, "a"))
    with pytest.raises(Fenced):
        store.commit(put(cursor, "b", sequence=BIG + 1))  # believes that nothing is committed yet
    assert set(stores.docs("minutes")) == {"a"}


def test_the_same_commit_again_is_no_error_and_changes_nothing(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    effects = put(cursor, "a")
    assert store.commit(effects) == store.commit(effects)
    assert stores.docs("health")["shop/shardId-000000000000"]["records"] == 1


def test_shards_and_incarnations_of_a_stream_are_apart(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    store.commit(put(cursor, "a"))
    assert store.open(B).sequence is None
    assert store.open(replace(A, created=A.created + 1)).sequence is None
    store.commit(put(moved(cursor), "b", sequence=BIG + 1))  # none of them took the first one's epoch


def test_removes_happen_before_puts(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    ids = {"k": "c1", "s": datetime(2026, 1, 1, tzinfo=UTC)}, {"k": "c2", "s": datetime(2026, 1, 1, tzinfo=UTC)}
    cursor = store.commit(put(cursor, *ids))
    effects = Effects(
        cursor,
        moved(cursor, BIG + 1),
        removes=[("minutes", ids[0]), ("minutes", ids[1]), ("minutes", "nobody"), ("recent", "nobody")],
        puts=[("minutes", {"_id": ids[0], "n": 2})],
    )
    store.commit(effects)
    assert [d["n"] for d in stores.docs("minutes").values()] == [2]


def test_ids_meet_as_mongodb_compares_them(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    cursor = store.commit(put(cursor, 1, True, "1"))
    store.commit(put(cursor, 1.0, n=2, sequence=BIG + 1))
    assert sorted(d["n"] for d in stores.docs("minutes").values()) == [1, 1, 2]


def test_states_come_back_as_they_were(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    kept = [state(5, 2**128 - 1, None), state("5", 0, 7), state(("b", True), 3, -5), state(2.5, 4, 2**62)]
    store.commit(Effects(cursor, moved(cursor), states=kept))
    asked = [*(s.key for s in kept), ("card", "unknown"), ("terminal", 5)]
    assert store.load(asked) == {s.key: s for s in kept}
    assert stores.new().load([]) == {}


def test_a_long_history_comes_back_in_its_segments(stores: Stores) -> None:
    #  commit   1 2 3, ahead of their state | the state | 4 for 2, and another key | ...
    store, long, other = stores.new(), state("long", 1, None), state("other", 2, None)
    cursor = store.open(A)
    parts = {1: b"a", 2: b"\x00" * 600_000, 3: b"c"}
    cursor = store.commit(Effects(cursor, cursor, segments={(long.key, n): data for n, data in parts.items()}))
    assert store.load([long.key]) == {}
    cursor = store.commit(Effects(cursor, moved(cursor), states=[replace(long, held=(1, 2, 3))]))
    assert store.load([long.key]) == {long.key: replace(long, held=(1, 2, 3), segments=parts)}
    gone: Segments = {(long.key, 2): None, (long.key, 4): b"d", (other.key, 2): b"e"}
    heads = [replace(long, held=(1, 4, 3)), replace(other, held=(2,))]
    cursor = store.commit(Effects(cursor, moved(cursor, BIG + 1), states=heads, segments=gone))
    found = stores.new().load([long.key, other.key])
    assert found[long.key].held == (1, 4, 3) and found[long.key].segments == {1: b"a", 3: b"c", 4: b"d"}
    assert found[other.key].segments == {2: b"e"}
    cursor = store.commit(Effects(cursor, cursor, segments={(long.key, 5): b"f"}))  # a head that never came
    store.commit(Effects(cursor, moved(cursor, BIG + 2), states=[state("long", 1, None, b"")]))
    assert store.load([long.key, other.key]) == {other.key: found[other.key]}
    assert stores.segments() == [2]


def test_a_zombie_writes_no_segments(stores: Stores) -> None:
    old, new = stores.new(), stores.new()
    cursor = old.open(A)
    new.open(A)
    with pytest.raises(Fenced):
        old.commit(Effects(cursor, cursor, segments={(("card", "a"), 1): b"x"}))
    assert stores.segments() == []


FIRST = (NEVER, -1)


def test_due_keys_come_in_order_of_due_and_hash(stores: Stores) -> None:
    #  due    1    1    2    2    3    -
    #  hash   9    4    9   16    1    5         asked: until 2, hashes 4..16
    store = stores.new()
    cursor = store.open(A)
    made = [("e", 1, 3), ("a", 9, 1), ("d", 16, 2), ("b", 4, 1), ("c", 9, 2), ("f", 5, None), ("g", 3, 1), ("h", 17, 1)]
    made += [("i", 5, 4)]
    cursor = store.commit(Effects(cursor, moved(cursor), states=[state(k, hash, due) for k, hash, due in made]))
    span = HashRange(4, 16)

    def asked(until: int, limit: int, after: tuple[int, int] = FIRST) -> tuple[list[object], tuple[int, int] | None, int | None]:
        found = store.due(span, until, limit, after)
        return [k for _, k in found.keys], found.last, found.next

    assert asked(2, 10) == (["b", "a", "c", "d"], None, 4)
    assert asked(2, 10) == asked(2, 10), "asking changes nothing"
    assert asked(2, 3)[:2] == (["b", "a", "c"], (2, 9))
    assert asked(2, 3, (2, 9)) == (["d"], None, 4)
    assert asked(2, 1, (1, 4))[:2] == (["a"], (1, 9))
    assert asked(1, 10) == (["b", "a"], None, 2)
    assert asked(0, 10) == ([], None, 1)
    assert asked(4, 10, (2, (1 << 128) - 1)) == (["i"], None, None)
    assert asked(2, 10, (4, -1)) == ([], None, 4)
    assert asked(2, 10, (4, 5)) == ([], None, None)
    store.commit(Effects(cursor, moved(cursor, BIG + 1), states=[state("b", 4, 2), state("a", 9, None), state("e", 4, 1)]))
    assert asked(2, 10)[0] == ["e", "b", "c", "d"]
    assert len(store.due(HashRange(), 3, 100, FIRST).keys) == 6


def test_keys_of_one_due_time_and_one_hash_come_together(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    store.commit(Effects(cursor, moved(cursor), states=[state(n, 7, 1) for n in range(5)] + [state("z", 8, 1)]))
    found = store.due(HashRange(), 1, 2, FIRST)
    assert {k for _, k in found.keys} == set(range(5)) and found.last == (1, 7)
    assert [k for _, k in store.due(HashRange(), 1, 2, (1, 7)).keys] == ["z"]


def test_health_adds_up(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    for n in range(3):
        cursor = store.commit(Effects(cursor, moved(cursor, BIG + n, watermark=n * 1_000)))
    health = stores.docs("health")["shop/shardId-000000000000"]
    classes = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
    assert health["records"] == sum(health[c] for c in classes) == 3
    assert health["late_by_set"] == {"minutes": 6} and health["dead_letters_by_reason"] == {"json": 3}
    assert health["watermark"] == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC) and health["updated_at"] == AT


def test_health_says_which_keys_a_shard_holds_and_from_when_on_a_set_has_seen_all(stores: Stores) -> None:
    store = stores.new()
    begun = store.open(A)
    cursor = replace(moved(begun), since={"old": -(1 << 62), "new": 5_000})
    store.commit(Effects(begun, cursor, hashes=HashRange(1 << 127, (1 << 128) - 1)))
    health = stores.docs("health")["shop/shardId-000000000000"]
    assert health["hashes"] == [str(1 << 127), str((1 << 128) - 1)]
    assert health["since"] == {"old": None, "new": datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)}


def test_health_of_a_shard_without_a_watermark(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    store.commit(Effects(cursor, moved(cursor, watermark=NEVER)))
    assert stores.docs("health")["shop/shardId-000000000000"]["watermark"] is None
    assert stores.new().open(A).watermark == NEVER


def test_a_child_starts_at_its_parents_lowest_watermark_and_fences_them(stores: Stores) -> None:
    #  A  open  commit(9) ........ commit -> Fenced
    #  B  open  commit(4) ........ commit -> Fenced
    #  C                   open, at 4
    a, b, child = stores.new(), stores.new(), stores.new()
    a_cursor, b_cursor = a.open(A), b.open(B)
    a_cursor = a.commit(Effects(a_cursor, moved(a_cursor, watermark=9)))
    b_cursor = b.commit(Effects(b_cursor, moved(b_cursor, watermark=4)))
    never_read = replace(A, shard="shardId-000000000099")
    opened = child.open(C, [A, B, never_read])
    assert (opened.watermark, opened.sequence, opened.counters.records) == (4, None, 0)
    for store, cursor in ((a, a_cursor), (b, b_cursor)):
        with pytest.raises(Fenced):
            store.commit(put(cursor, "zombie", sequence=BIG + 1))
    opened = child.commit(Effects(opened, moved(opened, watermark=11)))
    assert stores.new().open(C, [A, B]).watermark == 11, "a child that has begun keeps its own"


def test_a_snapshot_goes_with_commits_and_stands_where_the_last_of_them_says(stores: Stores) -> None:
    #  commit   1 states   2 states   3: the snapshot stands at 1
    store = stores.new()
    cursor = at = store.commit(put(store.open(A), "a"))
    for n in (1, 2):
        cursor = store.commit(Effects(cursor, moved(cursor, BIG + n), states=[state(m, m, m) for m in range(n * 1_500)]))
        assert stores.new().open(A).snapshot.sequence is None
        store = stores.new()
        cursor = store.open(A)
    cursor = store.commit(Effects(cursor, cursor.saved(at.place)))
    found = stores.new().open(A)
    assert (found.sequence, found.snapshot) == (BIG + 2, at.place)
    assert len(store.due(HashRange(), 3_000, 3_000, FIRST).keys) == 3_000


def test_jumps_of_the_clock_are_kept_until_the_snapshot_passes_them(stores: Stores) -> None:
    store = stores.new()
    first = store.commit(put(store.open(A), "a"))
    second = store.commit(Effects(first, first.jumped(5_000)))
    third = store.commit(Effects(second, second.jumped(7_000)))
    fourth = store.commit(Effects(third, moved(third, BIG + 1).jumped(9_000)))
    assert stores.new().open(A).jumps == (Place(BIG, 0, 7_000), Place(BIG + 1, 0, 9_000))
    store = stores.new()
    now = store.open(A)
    assert replace(now, epoch=fourth.epoch) == fourth
    store.commit(Effects(now, now.saved(third.place)))
    assert stores.new().open(A).jumps == (Place(BIG + 1, 0, 9_000),)


def test_what_is_thought_to_be_new_and_is_there_is_replaced(stores: Stores) -> None:
    store = stores.new()
    cursor = store.commit(put(store.open(A), "a", "b"))
    for n in (2, 3, 4):
        new = [("minutes", {"_id": id, "n": n}) for id in ("a", n)]
        cursor = store.commit(Effects(cursor, moved(cursor, BIG + n), new=new, puts=[("minutes", {"_id": "b", "n": n})]))
        found = {id: d["n"] for id, d in stores.docs("minutes").items()}
        assert (found["a"], found["b"], found[str(n)]) == (n, n, n)
    assert len(stores.docs("minutes")) == 5


LET_IN = [
    None, "", "a", True, 0, 1.5, {"$numberDecimal": "NaN"}, {"$numberDecimal": "1E+6144"}, {"$numberDouble": "NaN"}, {}, {"": 1},
    {"a.b": 1}, {"k": [1, {"a": []}]}, {"k": {"$regularExpression": {"pattern": "(", "options": ""}}}, {"$code": "x"},
    {"$code": "x", "$scope": {"a": 1}}, {"$ref": "c", "$id": 1}, {"$ref": "c", "$id": {"a": 1}}, {"$minKey": 1}, {"$maxKey": 1},
    {"$timestamp": {"t": 1, "i": 1}}, {"$oid": "64b64b64b64b64b64b64b64b"}, {"$uuid": "00112233-4455-6677-8899-aabbccddeeff"},
    {"$date": {"$numberLong": "8640000000000000"}}, {"$binary": {"base64": "AA==", "subType": "00"}}, {"$undefined": True},
]  # fmt: skip
REFUSED = [[], {"$regularExpression": {"pattern": "a", "options": ""}}, {"$oid": "order-17"}, {"$a": 1}, {"k": [{"$a": 1}]}]


@pytest.mark.parametrize("v", LET_IN, ids=str)
def test_every_id_that_a_document_may_have_can_be_written(stores: Stores, v: object) -> None:
    store = stores.new()
    store.commit(put(store.open(A), id_value(v)))
    assert len(stores.docs("minutes")) == 1


@pytest.mark.parametrize("v", REFUSED, ids=str)
def test_an_id_is_let_in_only_if_it_can_be_written(v: object) -> None:
    with pytest.raises(Rejected):
        id_value(v)


def test_a_final_document_of_another_definition_stays(stores: Stores) -> None:
    #  there          final, old   open, old   final, new   none
    #  unless_final   stays        replaced    replaced     made
    store = stores.new()
    states = {"a": (True, "old"), "b": (False, "old"), "c": (True, "new")}
    there = [("minutes", {"_id": {"k": k}, "final": final, "config": config}) for k, (final, config) in states.items()]
    cursor = store.open(A)
    cursor = store.commit(Effects(cursor, moved(cursor), puts=there))
    partial = [("minutes", {"_id": {"k": k}, "final": True, "config": "new", "complete": False}) for k in "abcd"]
    cursor = store.commit(Effects(cursor, moved(cursor, BIG + 1), unless_final=partial))
    found = {d["_id"]["k"]: d for d in stores.docs("minutes").values()}
    assert "complete" not in found["a"] and found["a"]["config"] == "old"
    assert all(found[k]["complete"] is False and found[k]["config"] == "new" for k in "bcd")


def test_what_window_sets_have_seen_is_kept_and_handed_on(stores: Stores) -> None:
    store = stores.new()
    a, b = store.open(A), store.open(B)
    assert a.since is None
    store.commit(Effects(a, replace(moved(a), since={"x": NEVER, "y": 5, "z": 1})))
    store.commit(Effects(b, replace(moved(b), since={"x": 3, "y": NEVER})))
    assert stores.new().open(A).since == {"x": NEVER, "y": 5, "z": 1}
    assert stores.new().open(C, [A, B]).since == {"x": 3, "y": 5}


def test_records_to_be_skipped_are_kept_until_the_snapshot_passes_them(stores: Stores) -> None:
    store = stores.new()
    first = store.commit(put(store.open(A), "a"))
    skips = [((BIG + 1, 0), "refused"), ((BIG + 1, 2), "fault")]
    store.commit(Effects(first, moved(first, BIG + 2).skipping(skips)))
    assert stores.new().open(A).skips == tuple(skips)
    store = stores.new()
    now = store.open(A)
    store.commit(Effects(now, now.saved(Place(BIG + 1, 0, 5, 1))))
    assert stores.new().open(A).skips == (skips[1],)


def test_a_key_of_which_nothing_is_left_is_forgotten(stores: Stores) -> None:
    store = stores.new()
    cursor = store.open(A)
    cursor = store.commit(Effects(cursor, moved(cursor), states=[state("a", 1, 5), state("b", 2, 6)]))
    store.commit(Effects(cursor, moved(cursor, BIG + 1), states=[state("a", 1, None, b""), state("c", 3, 7)]))
    keys = [("card", name) for name in "abc"]
    assert set(store.load(keys)) == {("card", "b"), ("card", "c")}
    assert store.due(HashRange(), 10, 10, (NEVER, -1)).keys == [("card", "b"), ("card", "c")]


def test_a_shard_that_has_ended_stays_so(stores: Stores) -> None:
    store = stores.new()
    first = store.open(A)
    store.commit(Effects(first, replace(moved(first), ended=5_000)))
    again = stores.new().open(A)
    assert again.ended == 5_000
    assert stores.new().open(C, [A]).ended is None, "who goes on where it ended has not"
    health = stores.docs("health")["shop/shardId-000000000000"]
    assert (health["ended"], health["ended_at"]) == (True, datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))


def test_marks_reach_what_is_there_already_and_nothing_else(stores: Stores) -> None:
    #  gap              [====]
    #  a, b, c   |-a-|-b-|-c-|-d-|      a ends where the gap begins, d starts behind its end
    store = stores.new()
    cursor = store.open(A)
    windows = {"a": (0, 10), "b": (10, 20), "c": (20, 30), "d": (31, 40)}
    shown = [("minutes", {"_id": id, "start": date(s * 1000), "end": date(e * 1000)}) for id, (s, e) in windows.items()]
    values = [("recent", {"_id": id, "as_of": date(at * 1000)}) for id, at in {"x": 10, "y": 11, "z": 31}.items()]
    after = store.commit(Effects(cursor, moved(cursor), puts=[*shown, *values]))
    late = ("minutes", {"_id": "late", "start": date(12_000), "end": date(13_000), "complete": False})
    marks = [Mark("minutes", "start", "end", 10_000, 30_000), Mark("recent", "as_of", "as_of", 10_000, 30_000)]
    gaps = {"pay": ((10_000, 30_000),)}
    torn = store.commit(Effects(after, replace(moved(after, BIG + 1), gaps=gaps), puts=[late], marks=marks))
    assert {id for id, d in stores.docs("minutes").items() if d.get("complete") is False} == {"b", "c", "late"}
    assert {id for id, d in stores.docs("recent").items() if d.get("complete") is False} == {"y"}
    assert stores.new().open(A) == replace(torn, epoch=2)
    assert stores.new().open(B, [A]).gaps == gaps


def test_what_a_former_definition_has_left_open_is_found_and_closed_and_nothing_else(stores: Stores) -> None:
    #  end (s)   10 old, open   20 old, open   30 old, open   20 new, open   20 old, final
    #  asked     behind 5, until 20
    store = stores.new()
    rows = {"a": (10, "old", False), "b": (20, "old", False), "c": (30, "old", False), "d": (20, "new", False)}
    rows["e"] = (20, "old", True)
    documents: list[tuple[str, dict[str, Any]]] = [
        (
            "minutes",
            {"_id": {"k": k}, "key": k, "end": date(end * 1_000), "config": config, "final": final, "closed_by": None, "n": 1},
        )
        for k, (end, config, final) in rows.items()
    ]
    cursor = store.open(A)
    cursor = store.commit(Effects(cursor, moved(cursor), puts=documents))
    left = LeftOpen("minutes", "card", "old", 0, 5_000)
    assert store.left_ends(left, 5_000) == (10_000, 30_000)
    assert store.left_ends(left, 10_000) == (20_000, 30_000)
    assert store.left_ends(left, 30_000) is None
    assert store.left_ends(replace(left, last=20_000), NEVER) == (10_000, 20_000)
    assert store.left_open(left, 20_000, EVERYTHING, 9) == [{"k": "a"}, {"k": "b"}]
    assert store.left_open(left, END, EVERYTHING, 1) == [{"k": "a"}]
    hash = kinesis_hash(partition_key("card", "b"))
    assert store.left_open(left, 30_000, HashRange(hash, hash), 9) == [{"k": "b"}]
    closing = Closing("minutes", "old", 20_000, [{"k": k} for k in "abcd"])
    store.commit(Effects(cursor, moved(cursor, BIG + 1), closings=[closing]))
    found = {d["_id"]["k"]: d for d in stores.docs("minutes").values()}
    assert {k: (d["final"], d.get("complete"), d["n"]) for k, d in found.items()} == {
        "a": (True, False, 1), "b": (True, False, 1), "c": (False, None, 1), "d": (False, None, 1), "e": (True, None, 1)
    }  # fmt: skip


def test_a_window_left_open_and_closed_makes_room_for_one_of_the_new_definition(stores: Stores) -> None:
    store = stores.new()
    there = {"_id": {"k": "a"}, "key": "a", "end": date(1_000), "config": "old", "final": False, "closed_by": None}
    cursor = store.open(A)
    cursor = store.commit(Effects(cursor, moved(cursor), puts=[("minutes", there)]))
    closing = Closing("minutes", "old", 1_000, [{"k": "a"}])
    cursor = store.commit(Effects(cursor, moved(cursor, BIG + 1), closings=[closing]))
    new = {**there, "final": True, "closed_by": "event", "config": "new", "complete": False}
    store.commit(Effects(cursor, moved(cursor, BIG + 2), unless_final=[("minutes", new)]))
    [document] = stores.docs("minutes").values()
    assert document["config"] == "new"


def test_what_is_left_open_is_kept_and_handed_on(stores: Stores) -> None:
    store = stores.new()
    a, b = store.open(A), store.open(B)
    one, two = LeftOpen("minutes", "card", "old", 5, NEVER, 9), LeftOpen("hours", "shop", "older", 0, 3, 4)
    store.commit(Effects(a, replace(moved(a), kept={"x": Kept("minutes", "card", 5)}, left_open=(one,))))
    store.commit(Effects(b, replace(moved(b), kept={"y": Kept("hours", "shop", 0)}, left_open=(one, two))))
    again = stores.new().open(A)
    assert (again.kept, again.left_open) == ({"x": Kept("minutes", "card", 5)}, (one,))
    child = stores.new().open(C, [A, B])
    assert child.left_open == (one, two)
    assert child.kept == {"x": Kept("minutes", "card", 5), "y": Kept("hours", "shop", 0)}


def test_documents_of_a_view_are_looked_up_by_their_ids_as_committed(stores: Stores) -> None:
    store = stores.new()
    ids: list[Hashable] = ["a", 5, id_value({"$oid": "65f000000000000000000001"})]
    store.commit(put(store.open(A), *ids, n=3))
    found = {str(d["_id"]): d["n"] for d in stores.new().look_up("minutes", [*ids, "nobody"])}
    assert found == {"a": 3, "5": 3, "65f000000000000000000001": 3}
    assert list(stores.new().look_up("minutes", [])) == [] and list(stores.new().look_up("recent", ids)) == []
