"""Documents that the store never takes: one dead letter for each record that brings one, and the shard goes on."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.intake.batch import Budget
from consumer.runner import Runner
from consumer.store.contract import Cursor, Doc, Effects
from consumer.store.memory import MemoryStore
from contract.errors import Misconfigured, Unstorable
from tests.consumer.stream import SHARD, SMALL, SPEC, Result, S, beat, change, feed, limited, raws, result, whole
from tests.consumer.test_batches import records, ways

Refuses = Callable[[str, Doc], bool]
SCORES = "fraud_scores"


class Picky(MemoryStore):
    """Takes no document that it refuses, and no more than so many at once."""

    def __init__(self, refuses: Refuses, most: int = 1 << 40) -> None:
        super().__init__(SPEC)
        self._refuses, self._most, self.tries = refuses, most, 0

    def commit(self, effects: Effects) -> Cursor:
        self.tries += 1
        puts = list(effects.documents)
        for name, document in puts:
            if self._refuses(name, document):
                raise Unstorable("code 121", (name, document["_id"]))
        if len(puts) > self._most:
            raise Unstorable("code 388")
        return super().commit(effects)


def run(lines: list[bytes], store: Picky, **options: Any) -> Result:
    runner = Runner(SPEC, store, SHARD, **limited(**options))
    feed(runner, raws(lines))
    return result(store, runner.finish())


def views(found: Result) -> dict[str, Any]:
    """All documents but the dead letters."""
    return {name: documents for name, documents in found.documents.items() if name != "dead_letters"}


def pay(n: int, at: int, key: str = "a") -> bytes:
    return change(n, "pay", "card", key, at * S, amount=n, shop="x")


@pytest.mark.parametrize("budget", [SMALL, Budget()], ids=["small parts", "one part"])
@pytest.mark.parametrize("poison", [{0}, {7}, {29}, {3, 4, 5}, {0, 13, 14, 29}, set(range(30))], ids=str)
def test_a_record_whose_score_is_refused_is_a_dead_letter_and_counts_nowhere(poison: set[int], budget: Budget) -> None:
    lines = [pay(n, n // 2, "ab"[n % 2]) for n in range(30)]
    time = [beat(n // 2 * S) for n in range(30)]  # what the refused ones say of time counts
    store = Picky(lambda name, document: name == SCORES and document["_id"] in poison)
    found = run([line for pair in zip(lines, time, strict=True) for line in pair], store, budget=budget)
    good = whole([line for n in range(30) for line in ([] if n in poison else [lines[n]]) + [time[n]]])
    assert views(found) == views(good)
    letters = found.documents["dead_letters"]
    assert {(letter["record"], letter["reason"], letter["trigger"]) for letter in letters} == {
        (lines[n].decode(), "refused", "pay") for n in poison
    }
    assert found.counters.records == 60
    assert found.counters.dead_by_reason.get("refused", 0) == found.counters.classes["dead_letter"] == len(poison)
    assert store.tries < 60 + 15 * len(poison)


@settings(max_examples=30)
@given(lines=records)
def test_commits_that_are_too_large_are_made_smaller_and_nothing_is_lost(lines: list[bytes]) -> None:
    assert run(lines, Picky(lambda name, document: False, most=9)) == whole(lines)


@settings(max_examples=60)
@given(lines=records, way=ways, every=st.integers(1, 4))
def test_whatever_documents_are_refused_every_record_is_in_one_class_and_the_shard_goes_on(
    lines: list[bytes], way: dict[str, Any], every: int
) -> None:
    def refuses(name: str, document: Doc) -> bool:
        return name not in ("dead_letters", "health") and zlib.crc32(repr((name, document["_id"])).encode()) % every == 0

    options = {name: value for name, value in way.items() if name != "cuts"}
    found = run(lines, Picky(refuses), **options)
    assert found.counters.records == len(lines)
    assert not any(refuses(name, document) for name, documents in found.documents.items() for document in documents)
    kept = [letter for letter in found.documents["dead_letters"] if letter["record"] is not None or letter["binary"] is not None]
    assert len(kept) == sum(found.counters.dead_by_reason.values())


def test_a_window_that_time_closes_is_no_fault_of_the_record_that_brought_the_time() -> None:
    #  a 1 s   b 2 s   a 30 s: closes both windows of 0..10 s, and b's is refused once it is final
    lines = [pay(1, 1, "a"), pay(2, 2, "b"), pay(3, 30, "a"), pay(4, 31, "a")]
    store = Picky(lambda name, document: name == "minute" and document["final"] and document["key"] == "b")
    found, good = run(lines, store), whole(lines)
    assert found.counters.classes == good.counters.classes
    assert views(found) | {"minute": 0} == views(good) | {"minute": 0}
    kept = [d for d in found.documents["minute"] if d["key"] == "b"]
    assert [d["final"] for d in kept] == [False]
    [letter] = found.documents["dead_letters"]
    assert (letter["reason"], letter["record"]) == ("refused", None)
    assert "'k': 'b'" in letter["why"]


def test_a_refused_letter_ends_the_process_and_nothing_is_acknowledged() -> None:
    store = Picky(lambda name, document: name == "dead_letters")
    runner = Runner(SPEC, store, SHARD)
    with pytest.raises(Misconfigured, match="nothing was written"):
        feed(runner, raws([pay(1, 1), b"{"]))
    assert Runner(SPEC, store, SHARD).cursor.sequence == 10  # which is in front of it
