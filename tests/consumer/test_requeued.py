"""Dead letters that are put into the stream again: each counts once, however often it comes and whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.intake.records import Raw
from consumer.runner import Runner
from consumer.store.contract import Cursor, Doc, Effects
from consumer.store.memory import MemoryStore
from contract import requeued
from contract.errors import Unstorable
from tests.consumer.stream import SHARD, SPEC, Crash, Result, S, Watched, beat, change, feed, limited, raws, result, whole
from tests.consumer.test_batches import drawn, ways
from tests.consumer.test_idle import BARE

SCORES, LETTERS = "fraud_scores", "dead_letters"


class Picky(MemoryStore):
    """Takes no score of these payments; for a while."""

    def __init__(self, refused: set[int]) -> None:
        super().__init__(SPEC)
        self.refused = refused

    def commit(self, effects: Effects) -> Cursor:
        for name, document in effects.documents:
            if name == SCORES and document["_id"] in self.refused:
                raise Unstorable("code 121", (name, document["_id"]))
        return super().commit(effects)


def pay(n: int, at: float = 1, token: int | None = None, key: str = "a") -> bytes:
    return change(n if token is None else token, "pay", "card", key, int(at * S), "insert", None, n, amount=n, shop="x")


def again(letter: Doc) -> bytes:
    return requeued.encode(letter["_id"], letter["record"], letter["binary"])


def letters(store: MemoryStore) -> list[Doc]:
    return sorted(store.collections[LETTERS].values(), key=lambda letter: int(letter["_id"]["sequence"]))


def views(found: Result) -> dict[str, Any]:
    return {name: documents for name, documents in found.documents.items() if name not in (LETTERS, "health")}


def read(store: MemoryStore, lines: Iterable[bytes], before: int = 0, **options: Any) -> Result:
    """Fed behind so many records that were fed before; everything is committed, and the snapshot stands behind it."""
    runner = Runner(SPEC, store, SHARD, **limited(**options))
    with closing(runner):
        runner.feed(raws([b""] * before + list(lines))[before:])
        return result(store, runner.flush())


def test_a_letter_that_comes_again_counts_once_and_says_so() -> None:
    store = Picky({2})
    read(store, [pay(1), pay(2), pay(3)])
    [letter] = letters(store)
    store.refused = set()
    found = read(store, [again(letter), again(letter)], 3)
    assert views(found) == views(whole([pay(1), pay(3), pay(2, token=4)], end=False))
    assert {n: found.counters.classes[n] for n in ("counted", "repeat", "dead_letter")} == {
        "counted": 3,
        "repeat": 1,
        "dead_letter": 1,
    }
    [used] = letters(store)
    assert used["requeued"] == {"outcome": "counted", "event": "000002/card", "by": {**letter["_id"], "sequence": "40"}}
    assert (used["record"], used["reason"]) == (letter["record"], "refused")
    assert read(store, [again(used)], 5).counters.classes["repeat"] == 2


def test_two_letters_of_one_change_count_once() -> None:
    #  the producer put it twice, and both were refused; as the second one is no repeat of anything that counted
    store = Picky({2})
    read(store, [pay(2), pay(1, token=1), pay(2)])
    assert len(letters(store)) == 2
    store.refused = set()
    found = read(store, map(again, letters(store)), 3)
    assert (found.counters.classes["counted"], found.counters.classes["repeat"]) == (2, 1)
    assert [letter["requeued"]["outcome"] for letter in letters(store)] == ["counted", "repeat"]


def test_one_that_dies_again_is_the_same_letter_with_the_new_reason() -> None:
    #  500 s are over: the payment's windows have closed, and are not kept any more
    store = Picky({2})
    read(store, [pay(2), beat(500 * S), b"{"])
    store.refused = set()
    found = read(store, map(again, letters(store)), 3)
    assert [(letter["reason"], letter["requeued"]["outcome"]) for letter in letters(store)] == [
        ("late", "dead_letter"),
        ("json", "dead_letter"),
    ]
    assert found.counters.classes["dead_letter"] == 3  # two at first; of these again the late one is late, and the other one dead
    assert found.counters.classes["late"] == 1


def test_without_its_letter_nobody_knows_whether_it_has_counted() -> None:
    store = Picky({2})
    read(store, [pay(2)])
    [letter] = letters(store)
    store.refused = set()
    store.collections[LETTERS].clear()
    read(store, [again(letter), b'{"$requeued":{"v":1}}'], 1)
    lost, broken = letters(store)
    assert (lost["reason"], lost["record"].encode()) == ("requeued", again(letter))
    assert broken["reason"] == "envelope"


def test_what_is_no_text_comes_back_as_it_was() -> None:
    store = MemoryStore(SPEC)
    read(store, [b"\xff\xfe{"])
    [letter] = letters(store)
    read(store, [again(letter)], 1)
    [same] = letters(store)
    assert (same["binary"], same["requeued"]["outcome"]) == (b"\xff\xfe{", "dead_letter")


steps = st.lists(st.one_of(st.integers(0, 3), st.just(None)), max_size=12)  # which letter comes again; or a new payment


@drawn
@given(steps=steps, way=ways, dies_at=st.integers(0, 30), after=st.booleans(), back=st.integers(0, 4))
def test_any_order_of_letters_counts_each_once(
    steps: list[int | None], way: dict[str, Any], dies_at: int, after: bool, back: int
) -> None:
    store = Picky({2, 4, 5, 6})
    first = [pay(n, 1 + n / 10, key="ab"[n % 2]) for n in range(8)]
    read(store, first, interval=0.0)
    old = letters(store)
    assert len(old) == 4
    store.refused = set()
    lines, expected, done = list(first), [line for n, line in enumerate(first) if n not in (2, 4, 5, 6)], set[int]()
    for n, step in enumerate(steps, start=10):
        lines.append(pay(n, 2 + n / 10) if step is None else again(old[step]))
        if step is None:
            expected.append(lines[-1])
        elif step not in done:
            done.add(step)
            number = [2, 4, 5, 6][step]
            expected.append(pay(number, 1 + number / 10, token=n, key="ab"[number % 2]))
    options = limited(**{name: value for name, value in way.items() if name != "cuts"})

    def live(inner: Any, records: list[Raw]) -> Result:
        runner = Runner(SPEC, inner, SHARD, **options)
        with closing(runner):
            passed = sum(runner.cursor.snapshot.passed(raw.sequence, raw.sub) for raw in records)
            feed(runner, records[max(0, passed - back) :], way["cuts"])
            return result(store, runner.flush())

    try:
        found = live(Watched(store, dies_at, after), raws(lines))
    except Crash:
        found = live(store, raws(lines))
    assert views(found) == views(whole(expected, end=False))
    assert found.counters.records == len(lines)
    assert found.counters.classes["counted"] == len(expected)
    outcomes = [letter.get("requeued", {}).get("outcome") for letter in letters(store)]
    assert outcomes == ["counted" if step in done else None for step in range(4)]


def test_bare_documents_come_again_as_what_they_were() -> None:
    #  at 1,000 s, and read at 1 s: of the future; again at 1,000 s
    store = MemoryStore(BARE)
    runner = Runner(BARE, store, SHARD, **limited(interval=0.0))
    runner.feed([Raw(b'{"_id":1,"card":1,"at":1000000}', "1", 10, 0, 1_000)])
    runner.flush()
    [letter] = letters(store)
    assert letter["reason"] == "future"
    runner.feed([Raw(again(letter), "1", 10 * n, 0, 1_000_000) for n in (2, 3)])
    classes = runner.flush().counters.classes
    assert (classes["counted"], classes["repeat"], classes["dead_letter"]) == (1, 1, 1)
    assert [d["n"] for d in store.collections["minute"].values()] == [1]
    assert letters(store)[0]["requeued"] == {"outcome": "counted", "event": None, "by": {**letter["_id"], "sequence": "20"}}


LETTER = requeued.encode({"stream": "a", "created": 1, "shard": "s", "sequence": "5", "sub": 0}, "{}", None)
NASTY = LETTER.replace(b'"sequence":"5"', b'"sequence":{"$gt":""}')


@pytest.mark.parametrize("data", [b'{"$requeued":', b'{"$requeued":7}', LETTER.replace(b'"v":1', b'"v":2'), NASTY])
def test_what_only_begins_like_one_is_a_dead_letter(data: bytes) -> None:
    found = read(store := MemoryStore(SPEC), [data, pay(1)])
    assert [letter["reason"] for letter in letters(store)] == ["envelope"]
    assert found.counters.classes["counted"] == 1
