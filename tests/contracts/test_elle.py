"""The store under two owners that do not know of each other, judged as Elle judges databases: by a list that is only appended to.

    one      open  append 0  append 1 ................ append 2 -> Fenced   open …
    other                        open  append 3  append 4 …
    reader       []      [0]         [0 1]     [0 1 3]     …

Each append writes the list that its owner knows, with one more number, into two documents and a key's state, and the number of
appends goes into `health`. From what each of them saw it follows whether any commit was lost, done twice, torn, or put in where
its owner had not seen what stands in front of it. (After Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies, VLDB 2020.)
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from consumer.store.contract import Cursor, Doc, Effects, KeyState, ShardId, Store
from consumer.store.memory import MemoryStore
from consumer.store.mongo import MongoStore
from contract.errors import Fenced, Retryable
from edge.mongo import connect
from tests.contracts.conftest import AT, Stores, pipeline

VIEWS = "minutes", "recent"  # the same list in both, under its shard's name, so that half a commit shows
SHARDS = (ShardId("arn:aws:kinesis:us-east-1:000000000000:stream/shop", 1_767_000_000_000, f"shardId-{n:012d}") for n in count())
APPENDS = 3_000 if "EDDY_SOAK" in os.environ else 150  # acknowledged ones, of the two together
TROUBLE = ("commitTransaction", "update", "insert", "find")


@dataclass
class History:
    """What was seen. after: number -> the list that its owner knew in front of it; acknowledged, refused: numbers of which the
    store said that they are in, and that they are not; reads: (the two lists, how many records health tells of), in order."""

    after: dict[int, list[int]] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    reads: list[tuple[list[int], list[int], int]] = field(default_factory=list)


class Owner:
    """One process that believes in owning the shard. append() raises Fenced, and does nothing any more until claim()."""

    def __init__(self, store: Store, shard: ShardId, history: History, numbers: Iterator[int]) -> None:
        self.store, self.shard, self.history, self.numbers = store, shard, history, numbers
        self.key = ("card", shard.shard)
        self.cursor: Cursor | None = None
        self.known: list[int] = []

    def claim(self) -> None:
        """Own the shard, and know what is there: from here on nobody else may add to it."""
        self.cursor = patiently(lambda: self.store.open(self.shard))
        found = patiently(lambda: self.store.load([self.key]))
        self.known = msgspec.json.decode(found[self.key].data, type=list[int]) if found else []

    def append(self, twice: bool = False) -> None:
        """One number more. twice: the same commit is asked for again, as after a lost answer."""
        if self.cursor is None:
            return
        number, lost = next(self.numbers), False
        self.history.after[number] = list(self.known)
        effects = self._effects([*self.known, number])
        while True:
            try:
                self.cursor = self.store.commit(effects)
                break
            except Retryable:
                lost = True  # whether it is in nobody knows; asked again, the store does
            except Fenced:
                self.cursor = None
                if not lost:
                    self.history.refused.add(number)
                raise
        self.history.acknowledged.add(number)
        self.known.append(number)
        if twice:
            self._again(effects)

    def _again(self, effects: Effects) -> None:
        try:
            patiently(lambda: self.store.commit(effects))
        except Fenced:
            self.cursor = None
            raise

    def _effects(self, values: list[int]) -> Effects:
        assert self.cursor is not None
        moved = self.cursor.moved(len(values), 0, len(values), self.cursor.counters.add({"counted": 1}, {}, {}))
        saved = KeyState(self.key, 5, None, msgspec.json.encode(values), self.shard.name, (len(values), 0))
        puts: list[tuple[str, Doc]] = [(view, {"_id": self.shard.shard, "values": values}) for view in VIEWS]
        return Effects(self.cursor, moved, puts=puts, states=[saved])


def patiently(work: Callable[[], Any]) -> Any:
    """Until the database answers."""
    while True:
        try:
            return work()
        except Retryable:
            continue


def read(docs: Callable[[str], dict[str, Doc]], shard: ShardId) -> tuple[list[int], list[int], int]:
    """What lies there of a shard."""
    one, other = (docs(view).get(shard.shard, {}).get("values", []) for view in VIEWS)
    return one, other, docs("health").get(f"shop/{shard.shard}", {}).get("records", 0)


def anomalies(history: History) -> list[str]:
    """What must not be. The last read is the final one."""
    final = history.reads[-1][0]
    where = {number: place for place, number in enumerate(final)}
    found = [f"{n} is in twice" for n in where if final.count(n) > 1]
    found += [f"{n} was acknowledged, and is lost" for n in history.acknowledged - set(final)]
    found += [f"{n} was refused, and is in" for n in history.refused & set(final)]
    found += [f"{n} stands behind what its owner had not seen" for n in final if history.after[n] != final[: where[n]]]
    found += [f"a commit in part: {one}, {other}, {n}" for one, other, n in history.reads if one != other or len(one) != n]
    found += [f"a read that is no prefix of the final list: {one}" for one, _, _ in history.reads if one != final[: len(one)]]
    found += [f"time went back: {b} after {a}" for (a, _, _), (b, _, _) in pairwise(history.reads) if len(b) < len(a)]
    return found


# --- steps in a drawn order, one at a time, on both stores

STEPS = st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from(["claim", "append", "append", "append twice"])), max_size=40)


@given(steps=STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_in_any_order_of_steps_nothing_is_lost_doubled_or_torn(stores: Stores, steps: Sequence[tuple[int, str]]) -> None:
    shard, history, numbers = next(SHARDS), History(), count()
    owners = [Owner(stores.new(), shard, history, numbers) for _ in range(2)]
    last: Owner | None = None  # who claimed it
    for who, what in steps:
        owner = owners[who]
        if what == "claim":
            owner.claim()
            last = owner
        elif owner.cursor is not None and owner is last:
            owner.append(twice=what == "append twice")
        elif owner.cursor is not None:
            with pytest.raises(Fenced):
                owner.append()
        history.reads.append(read(stores.docs, shard))
    history.reads.append(read(stores.docs, shard))
    assert anomalies(history) == []


# --- at the same time, each with a connection of its own, on a mongod that hangs up now and then


def test_at_the_same_time_nothing_is_lost_doubled_or_torn(database: tuple[str, str]) -> None:
    uri, name = database
    shard = next(SHARDS)
    history, numbers, enough, wrong = History(), count(), threading.Event(), list[BaseException]()

    def owns(seed: int) -> None:
        pick = random.Random(seed)
        store = MongoStore(connect(uri, "test"), pipeline(name), clock=lambda: AT)
        owner = Owner(store, shard, history, numbers)
        try:
            while not enough.is_set():
                owner.claim()
                burst(owner, pick.randint(1, 12), pick)
                if len(history.acknowledged) >= APPENDS:
                    enough.set()
        except BaseException as error:
            wrong.append(error)
            enough.set()
        finally:
            store.close()

    with MongoClient[Doc](uri) as client:
        threads = [threading.Thread(target=owns, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        while not enough.is_set():
            history.reads.append(snapshot(client, name, shard))
            client.admin.command(hang_up(len(history.reads)))
        for thread in threads:
            thread.join()
        client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        history.reads.append(snapshot(client, name, shard))
    assert [str(error) for error in wrong] == []
    assert anomalies(history) == []
    assert len(history.acknowledged) >= APPENDS
    assert history.refused  # they did meet
    print(f"{len(history.acknowledged)} appends, {len(history.refused)} refused, {len(history.reads)} reads")


def burst(owner: Owner, n: int, pick: random.Random) -> None:
    """Some appends, until the other one claims the shard."""
    try:
        for _ in range(n):
            owner.append(twice=pick.random() < 0.2)
    except Fenced:
        return


def snapshot(client: MongoClient[Doc], name: str, shard: ShardId) -> tuple[list[int], list[int], int]:
    """What lies there at one moment."""
    while True:
        try:
            with client.start_session(snapshot=True) as session:
                return read(lambda view: {str(d["_id"]): d for d in client[name][view].find(session=session)}, shard)
        except PyMongoError:  # it was hung up on, or nothing is there yet
            continue


def hang_up(n: int) -> dict[str, Any]:
    """Every so often the next command of one kind gets no answer: before it was done, for all that the client knows."""
    how = {"failCommands": [TROUBLE[n // 10 % len(TROUBLE)]], "closeConnection": True, "appName": "eddy-test"}
    return {"configureFailPoint": "failCommand", "mode": {"times": 1} if n % 10 == 0 else "off", "data": how}


# --- and the judge sees what is wrong


def good() -> History:
    return History({0: [], 1: [0], 2: [0, 1], 3: [0, 1]}, {0, 1, 3}, {2}, [([], [], 0), ([0], [0], 1), ([0, 1, 3], [0, 1, 3], 3)])


def test_a_good_history_has_no_anomaly() -> None:
    assert anomalies(good()) == []


@pytest.mark.parametrize(
    ("last", "sees"),
    [
        (([0, 3], [0, 3], 2), "lost"),
        (([0, 1, 3, 3], [0, 1, 3, 3], 4), "twice"),
        (([0, 1, 2, 3], [0, 1, 2, 3], 4), "refused"),
        (([1, 0, 3], [1, 0, 3], 3), "not seen"),
        (([0, 1, 3], [0, 1], 3), "in part"),
        (([0, 1, 3], [0, 1, 3], 2), "in part"),
    ],
)
def test_the_judge_sees_each_anomaly(last: tuple[list[int], list[int], int], sees: str) -> None:
    history = good()
    history.reads[-1] = last
    assert any(sees in said for said in anomalies(history))


def test_the_judge_sees_a_dirty_read_and_time_that_goes_back() -> None:
    history = good()
    history.reads[1:1] = [([0, 2], [0, 2], 2)]
    said = " ".join(anomalies(history))
    assert "no prefix" in said
    assert "went back" in said


def test_the_judge_sees_a_store_without_a_fence() -> None:
    class Unfenced(MemoryStore):
        def commit(self, effects: Effects) -> Cursor:
            self._write(effects)
            return effects.cursor

    store, shard, history, numbers = Unfenced(pipeline("db"), clock=lambda: AT), next(SHARDS), History(), count()
    one, other = (Owner(store, shard, history, numbers) for _ in range(2))
    for owner in (one, other, one, other):
        if owner.cursor is None:
            owner.claim()
        owner.append()
    history.reads.append(read(lambda name: {str(d["_id"]): d for d in store.collections[name].values()}, shard))
    assert any("lost" in said for said in anomalies(history))
