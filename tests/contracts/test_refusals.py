"""Documents that a real mongod never takes: nothing of their commit is written, and it is said which one it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from config.load import parse
from config.specs import Pipeline
from consumer.runner import Runner
from consumer.store.contract import Doc, Effects
from consumer.store.layout import KEYS
from consumer.store.mongo import MongoStore
from contract.errors import Unstorable
from edge.mongo import connect
from tests.consumer.stream import SHARD, TOML, S, beat, change, raws
from tests.contracts.conftest import AT, pipeline
from tests.contracts.test_mongo_faults import fail
from tests.contracts.test_store import A, moved, put, state


@pytest.fixture
def views(database: tuple[str, str]) -> Iterator[Database[Doc]]:
    client: MongoClient[Doc]
    with MongoClient(database[0], tz_aware=True) as client:
        yield client[database[1]]


@pytest.fixture
def store(database: tuple[str, str]) -> Iterator[MongoStore]:
    one = MongoStore(connect(database[0], "test"), pipeline(database[1]), clock=lambda: AT, wait=lambda seconds: None)
    one.prepare()
    yield one
    one.close()


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


REFUSED: dict[str, Any] = {
    "a number of 65 bits": 1 << 64,
    "more than 16 MB": "x" * (17 << 20),
    "a text that is none": "\ud800",
    "deeper than a document may be": nested(250),
    "far deeper": nested(900),
    "no value of BSON": object(),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_document_that_is_never_taken_is_named_and_nothing_is_written(store: MongoStore, views: Database[Doc], what: str) -> None:
    cursor = store.open(A)
    puts = [("minutes", {"_id": n, "n": REFUSED[what] if n == 2 else n}) for n in range(4)]
    with pytest.raises(Unstorable) as told:
        store.commit(Effects(cursor, moved(cursor), puts=puts))
    assert told.value.place == ("minutes", 2)
    assert views["minutes"].count_documents({}) == 0
    store.commit(Effects(cursor, moved(cursor), puts=[p for p in puts if p[1]["_id"] != 2]))
    assert views["minutes"].count_documents({}) == 3


@pytest.mark.parametrize("id", [["a"], {"$a": 1}, 1 << 64], ids=str)
def test_so_is_an_id_that_is_none(store: MongoStore, id: Any) -> None:
    with pytest.raises(Unstorable) as told:
        store.commit(put(store.open(A), "a", id))
    assert told.value.place == ("minutes", id)


def test_so_is_what_somebodys_validator_or_unique_index_keeps_out(store: MongoStore, views: Database[Doc]) -> None:
    views.command("collMod", "minutes", validator={"n": {"$lt": 10}})
    views["recent"].create_index("n", unique=True)
    cursor = store.open(A)
    with pytest.raises(Unstorable, match="code 121") as told:
        store.commit(put(cursor, "a", n=10))
    assert told.value.place == ("minutes", "a")
    with pytest.raises(Unstorable, match="code 11000") as told:
        store.commit(Effects(cursor, moved(cursor), puts=[("recent", {"_id": i, "n": 1}) for i in "ab"]))
    assert told.value.place == ("recent", "b")


def test_so_is_the_state_of_a_key(store: MongoStore, views: Database[Doc]) -> None:
    cursor = store.open(A)
    with pytest.raises(Unstorable) as told:
        store.commit(Effects(cursor, moved(cursor), states=[state("a", 1, 1), state("b", 1, 1, b"x" * (17 << 20))]))
    assert told.value.place == (KEYS, {"r": "card", "v": "b"})
    assert views[KEYS].count_documents({}) == 0


@pytest.mark.parametrize("code", [388, 10334])
def test_what_is_too_much_at_once_may_be_written_in_parts(store: MongoStore, database: tuple[str, str], code: int) -> None:
    cursor = store.open(A)
    fail(database[0], {"times": 1}, failCommands=["commitTransaction"], errorCode=code)
    with pytest.raises(Unstorable) as told:
        store.commit(put(cursor, *"abc"))
    assert told.value.place is None
    store.commit(put(cursor, *"abc"))


def test_a_shard_goes_on_past_records_that_the_views_do_not_take(database: tuple[str, str], views: Database[Doc]) -> None:
    spec: Pipeline = parse(f"{TOML}\n[views]\ndatabase = '{database[1]}'\n")
    store = MongoStore(connect(database[0], "test"), spec, wait=lambda seconds: None)
    store.prepare()
    views.command("collMod", "fraud_scores", validator={"_id": {"$nin": [3, 11]}})
    lines = [change(n, "pay", "card", n % 4, n * S, amount=n, shop="x") for n in range(20)]
    runner = Runner(spec, store, SHARD)
    runner.feed(raws([*lines, beat(60 * S)]))
    assert sorted(d["_id"] for d in views["fraud_scores"].find()) == [n for n in range(20) if n not in (3, 11)]
    assert sum(d["n"] for d in views["minute"].find()) == 18
    letters = list(views["dead_letters"].find().sort("_id.sequence"))
    assert {letter["record"] for letter in letters} == {lines[n].decode() for n in (3, 11)}
    assert {letter["reason"] for letter in letters} == {"refused"}
    [health] = views["health"].find()
    assert (health["records"], health["counted"], health["dead_letter"]) == (21, 18, 2)
    store.close()
