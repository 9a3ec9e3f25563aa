"""Records that break the code they go through: one dead letter each, the shard goes on, and no restart stumbles over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from consumer.halving import TOO_MANY
from consumer.intake import in_place
from consumer.runner import Runner
from consumer.store.memory import MemoryStore
from contract.errors import Unstorable
from models.fraud import RuleScorer
from tests.consumer.stream import SHARD, SPEC, Crash, Result, S, Watched, beat, change, feed, limited, raws, result, whole
from tests.consumer.test_refused import Picky, views
from windows.columnar.engine import ColumnarEngine


def pay(n: int) -> bytes:
    return change(n, "pay", "card", "ab"[n % 2], n // 2 * S, amount=n, shop="x")


LINES = [line for n in range(30) for line in (pay(n), beat(n // 2 * S))]
Breaks = Callable[[set[int]], None]


@pytest.fixture(params=["reading", "model", "engine"])
def breaks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Breaks:
    """breaks({3, 7}): from now on payments of 3 and of 7 break that code."""

    def begin(poison: set[int]) -> None:
        read, score, step = in_place.Reader.read, RuleScorer.score, ColumnarEngine.step

        def reading(self: Any, records: Any) -> Any:
            if any(records.raw(i).data == pay(n) and records.raw(i).message is None for i in range(len(records)) for n in poison):
                raise RecursionError("too deep")
            return read(self, records)

        def scoring(self: Any, happening: Any, features: Any) -> Any:
            return score(self, happening, features) if happening.document["amount"] not in poison else 1 / 0

        def stepping(self: Any, batch: Any, first: int = 0, budget: Any = None) -> Any:
            amounts = batch.number.get("amount")
            if amounts is not None and any(batch.put[i] and amounts[i] in poison for i in range(first, batch.n)):
                raise MemoryError
            return step(self, batch, first, budget)

        where: tuple[Any, str, Any] = {
            "reading": (in_place.Reader, "read", reading),
            "model": (RuleScorer, "score", scoring),
            "engine": (ColumnarEngine, "step", stepping),
        }[request.param]
        monkeypatch.setattr(*where)

    return begin


def good(poison: set[int]) -> Result:
    """What all other records make."""
    return whole([line for n in range(30) for line in ([] if n in poison else [pay(n)]) + [beat(n // 2 * S)]])


@pytest.mark.parametrize("cuts", [(), (7, 8, 31)], ids=["one batch", "four batches"])
@pytest.mark.parametrize("poison", [{0}, {11}, {29}, {3, 4, 5}, {0, 13, 14, 29}], ids=str)
def test_a_record_that_breaks_code_is_a_dead_letter_and_all_others_go_in(
    breaks: Breaks, poison: set[int], cuts: tuple[int, ...]
) -> None:
    expected = good(poison)
    breaks(poison)
    store = MemoryStore(SPEC)
    runner = Runner(SPEC, store, SHARD)
    feed(runner, raws(LINES), cuts)
    found = result(store, runner.finish())
    assert views(found) == views(expected)
    letters = found.documents["dead_letters"]
    assert {(letter["record"], letter["reason"]) for letter in letters} == {(pay(n).decode(), "fault") for n in poison}
    assert all("Error" in letter["why"] for letter in letters)
    assert found.counters.records == 60 and found.counters.classes["dead_letter"] == len(poison)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_after_a_fault_does_not_stumble_over_it_again(breaks: Breaks, after: bool) -> None:
    poison = {4, 9}
    expected = good(poison)
    breaks(poison)
    for dies_at in range(2, 60, 3):
        inner = MemoryStore(SPEC)
        way = limited(interval=1e9, chunk=1)
        first = None
        try:
            first = Runner(SPEC, Watched(inner, dies_at, after), SHARD, **way)
            feed(first, raws(LINES), range(0, 60, 7))
            break
        except Crash:
            second = Runner(SPEC, inner, SHARD, **way)
            feed(second, raws(LINES), range(0, 60, 11))
            found = result(inner, second.finish())
            assert views(found) == views(expected), f"died at {dies_at}"
            assert found.counters.classes["dead_letter"] == 2
    assert dies_at > 20


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_after_a_refusal_leaves_out_what_was_refused(after: bool) -> None:
    #  five cards, 4 s between two payments: the time of a refused one closes windows of others, whose states are saved one by one,
    #  so that the snapshot stands before it when the process dies
    poison = {9, 14}
    lines = [change(n, "pay", "card", "abcde"[n % 5], 4 * n * S, amount=n, shop="x") for n in range(30)]
    expected = whole([beat(4 * n * S) if n in poison else lines[n] for n in range(30)])

    def refuses(name: str, document: Any) -> bool:
        return name == "fraud_scores" and document["_id"] in poison

    class Dies(Watched):
        def commit(self, effects: Any) -> Any:
            for name, document in effects.documents:
                if refuses(name, document):
                    raise Unstorable("code 121", (name, document["_id"]))
            return super().commit(effects)

    for dies_at in range(2, 200):
        inner, way = Picky(refuses), limited(interval=1e9, chunk=1)
        try:
            first = Runner(SPEC, Dies(inner, dies_at, after), SHARD, **way)
            feed(first, raws(lines), range(0, 30, 7))
            break
        except Crash:
            second = Runner(SPEC, inner, SHARD, **way)
            feed(second, raws(lines), range(0, 30, 11))
            found = result(inner, second.finish())
            assert by_what(found) == by_what(expected), f"died at {dies_at}"
            assert found.counters.classes["dead_letter"] == 2
    assert dies_at > 40


def by_what(found: Result) -> dict[str, Any]:
    """The views, whatever closed their windows: a refused event, or a heartbeat that stands for its time."""
    return {name: [{k: v for k, v in d.items() if k != "closed_by"} for d in docs] for name, docs in views(found).items()}


def test_where_every_record_breaks_it_is_not_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RuleScorer, "score", lambda self, happening, features: 1 / 0)
    store = MemoryStore(SPEC)
    runner = Runner(SPEC, store, SHARD)
    with pytest.raises(ZeroDivisionError):
        feed(runner, raws([pay(n) for n in range(100)]))
    assert len(store.collections["dead_letters"]) == TOO_MANY
    with pytest.raises(RuntimeError, match="make a new one"):
        runner.rest()


def test_an_error_of_the_store_is_no_records_fault() -> None:
    class Odd(MemoryStore):
        def commit(self, effects: Any) -> Any:
            raise ValueError("a bug in the store")

    for overlap in (False, True):
        runner = Runner(SPEC, Odd(SPEC), SHARD, overlap=overlap)
        with pytest.raises(ValueError, match="a bug in the store"):
            feed(runner, raws(LINES))
            runner.drain()
