"""Budgets: an engine stops in front of a row or inside one row's passing of time, and goes on when called again."""

from __future__ import annotations

from typing import Any

from tests.windows.build import Factory, Folded, beat, columns, drive, window_set
from windows.engine import BY_END, END
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling, WindowSet


def every_kind() -> list[WindowSet]:
    kinds: dict[str, Kind] = {"tumbling": Tumbling(10), "sliding": Sliding(10, 3), "rolling": Rolling(10), "session": Session(5)}
    return [window_set(name, kind) for name, kind in kinds.items()]


def keys(n: int) -> list[dict[str, Any]]:
    return [{"at": 1, "key": f"k{i}"} for i in range(n)]


def test_a_budget_stops_in_front_of_a_row(make: Factory) -> None:
    sets = [window_set("w", Tumbling(10))]
    engine, batch = make(sets), columns(sets, keys(10))
    result = engine.step(batch, 0, 3)
    assert (result.done, sum(len(b.key) for b in result.windows)) == (3, 3)
    assert engine.step(batch, 3).done == 10


def test_a_budget_stops_inside_one_rows_passing_of_time_and_goes_on(make: Factory) -> None:
    sets = [window_set("w", Tumbling(10))]
    engine = make(sets)
    engine.step(columns(sets, keys(10)))
    batch, closed, steps = columns(sets, [beat(10), {"at": 12, "key": "k3"}]), [], 0
    done = 0
    while done < 2:
        result = engine.step(batch, done, 3)
        steps, done = steps + 1, result.done
        closed += [key for b in result.windows for key, final in zip(b.key, b.final, strict=True) if final]
        assert engine.watermark == (1 if done == 0 else 10 if done == 1 else 12)
    assert sorted(closed) == [("k", f"k{i}") for i in range(10)]
    assert steps >= 4


def test_advance_stops_and_goes_on_too(make: Factory) -> None:
    sets = every_kind()
    engine, folded = make(sets), Folded()
    folded.apply(engine.step(columns(sets, keys(10))))
    steps, done = 0, 0
    while not done:
        result = engine.advance(END, BY_END, 4)
        folded.apply(result)
        steps, done = steps + 1, result.done
    assert steps > 10
    assert folded.windows == drive(make, sets, keys(10)).windows
    assert all(d["final"] for documents in folded.windows.values() for d in documents.values())


def test_the_order_of_closing_is_by_due_and_then_the_same_for_the_same_keys(make: Factory) -> None:
    sets = [window_set("w", Tumbling(10))]

    def closings(rows: list[dict[str, Any]], reload: bool) -> list[Any]:
        engine, closed = make(sets), []
        engine.step(columns(sets, rows))
        if reload:
            states = dict(engine.dump(list(engine.loaded())))
            engine.evict(list(states))
            engine.load(dict(reversed(states.items())))
        done = 0
        while not done:
            result = engine.advance(100, budget=1)
            closed += [(start, key) for b in result.windows for start, key in zip(b.start, b.key, strict=True)]
            done = result.done
        return closed

    rows = [{"at": t, "mark": 0, "key": f"k{i}"} for t in (1, 11) for i in range(5)]
    order = closings(rows, False)
    assert [start for start, _ in order] == [0] * 5 + [10] * 5
    assert closings(rows, True) == order
