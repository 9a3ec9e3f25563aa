"""What gathers while a commit is on its way, and what becomes of errors that come late."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumer import commits
from consumer.commits import Commits, Gathered
from consumer.step.documents import Changes
from consumer.store.contract import Counters, Cursor, Effects, KeyState
from contract.errors import Fenced, Unstorable
from tests.consumer.stream import SHARD

START = Cursor(SHARD, epoch=1)


def gathered(n: int, *ids: str, states: int = 0) -> Gathered:
    """The commit of record n, which writes n into some documents."""
    changes = Changes()
    for id in ids:
        changes.put("view", {"_id": id, "n": n})
    cursor = START.moved(n, 0, n, Counters({"counted": n}))
    return Gathered(cursor, changes, {("k", i): KeyState(("k", i), i, None, bytes([n])) for i in range(states)}, rows=1)


class Slow:
    """A store that is asked for one commit after the other, and answers when it is told."""

    def __init__(self) -> None:
        self.asked: list[Effects] = []
        self.answers = threading.Semaphore(0)
        self.came = threading.Semaphore(0)
        self.error: BaseException | None = None

    def commit(self, effects: Effects) -> Cursor:
        self.asked.append(effects)
        self.came.release()
        assert self.answers.acquire(timeout=10)
        if self.error is not None:
            raise self.error
        return effects.cursor

    def wait(self) -> None:
        """Until one more commit is on its way."""
        assert self.came.acquire(timeout=10)


@contextmanager
def overlapping(store: Slow) -> Iterator[Commits]:
    one = Commits(lambda effects, last: store.commit(effects), START, lambda: True, lambda seen: None)
    yield one
    store.answers.release(100)
    one.close()


def sequences(store: Slow) -> list[tuple[int | None, int | None]]:
    return [(e.expected.sequence, e.cursor.sequence) for e in store.asked]


def test_what_comes_while_a_commit_is_on_its_way_goes_with_the_next_one() -> None:
    #  put   1   2   3   4          5
    #  way   [1 ........][2 3 4 ...][5]
    store = Slow()
    with overlapping(store) as one:
        one.put(gathered(1, "a"))
        store.wait()
        for n, ids in ((2, "ab"), (3, "b"), (4, "c")):
            one.put(gathered(n, *ids, states=1))
        assert (one.cursor, one.saving) == (START, True)
        store.answers.release()
        store.wait()
        one.put(gathered(5, "c"))
        store.answers.release(2)
        assert one.drain().sequence == 5 and not one.saving
    assert sequences(store) == [(None, 1), (1, 4), (4, 5)]
    second = store.asked[1]
    assert [d["n"] for _, d in second.puts] == [2, 3, 4] and [s.data for s in second.states] == [b"\x04"]


def test_a_document_is_new_only_if_it_was_new_at_its_first_mention() -> None:
    #  a  new, put   b  put, new   c  new, removed   d  removed, new
    first, then = gathered(1), gathered(2)
    first.changes.put("view", {"_id": "a"}, how="new")
    first.changes.put("view", {"_id": "b"})
    first.changes.put("view", {"_id": "c"}, how="new")
    first.changes.remove("view", "d")
    then.changes.put("view", {"_id": "a"})
    then.changes.put("view", {"_id": "b"}, how="new")
    then.changes.remove("view", "c")
    then.changes.put("view", {"_id": "d"}, how="new")
    first.then(then)
    effects = first.effects(START)
    assert [d["_id"] for _, d in effects.new] == ["a"]
    assert [d["_id"] for _, d in effects.puts] == ["b", "d"]
    assert [id for _, id in effects.removes] == ["c"]


def test_whoever_brings_too_much_waits_until_the_commit_in_front_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commits, "MOST", 3)
    store = Slow()
    with overlapping(store) as one:
        one.put(gathered(1, "a"))
        store.wait()
        one.put(gathered(2, "b"))
        brought = threading.Thread(target=lambda: one.put(gathered(3, "c", "d")))
        brought.start()
        brought.join(0.1)
        assert brought.is_alive(), "three documents wait already"
        store.answers.release()
        brought.join(10)
        assert not brought.is_alive()


@pytest.mark.parametrize("error", [Fenced("another"), Unstorable("too large"), KeyboardInterrupt()], ids=repr)
def test_an_error_is_raised_where_records_come_in_and_nothing_behind_it_is_written(error: BaseException) -> None:
    store = Slow()
    with overlapping(store) as one:
        one.put(gathered(1, "a"))
        store.wait()
        one.put(gathered(2, "b"))
        store.error = error
        store.answers.release()
        for call in (one.drain, lambda: one.put(gathered(3, "c")), one.check):
            with pytest.raises(type(error)):
                call()
        assert (one.cursor, one.tried) == (START, 1)
    assert sequences(store) == [(None, 1)]


def test_after_its_end_nothing_more_is_begun() -> None:
    store = Slow()
    with overlapping(store) as one:
        one.put(gathered(1, "a"))
        store.wait()
        one.put(gathered(2, "b"))
        ended = threading.Thread(target=one.close)
        ended.start()
        store.answers.release()
        ended.join(10)
        one.put(gathered(3, "c"))
    assert sequences(store) == [(None, 1)]


def test_without_overlap_each_is_in_before_the_next() -> None:
    store = Slow()
    store.answers.release(2)
    one = Commits(lambda effects, last: store.commit(effects), START, lambda: False, lambda seen: None)
    for n in (1, 2):
        one.put(gathered(n, "a"))
        assert one.cursor.sequence == n
