"""What only the store in MongoDB can meet: lost answers, conflicts, a dead owner's open transaction, a server that is away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection

from config.specs import Views
from consumer.runner import Runner
from consumer.store.contract import Cursor, Doc, Effects, KeyState
from consumer.store.layout import internals, views
from consumer.store.mongo import MongoStore
from consumer.store.setup import check
from contract.errors import Fenced, Misconfigured, Retryable
from edge.mongo import connect
from tests.conftest import die_with_parent, free_port, mongod_binary, stop, until
from tests.consumer.stream import SHARD, SHARED, S, change, feed, raws, whole
from tests.contracts.conftest import pipeline
from tests.contracts.test_store import BIG, A, moved, put, state
from windows.engine import Key

Database = tuple[str, str]


def fail(uri: str, mode: Any, **data: Any) -> None:
    """Let the server fail commands; mode "alwaysOn", {"times": n} or "off"."""
    client: MongoClient[Doc]
    with MongoClient(uri) as client:
        client.admin.command({"configureFailPoint": "failCommand", "mode": mode, **({"data": data} if data else {})})


@pytest.fixture
def store(database: Database) -> Iterator[MongoStore]:
    """A store that waits for nothing."""
    uri, name = database
    one = MongoStore(MongoClient(uri), pipeline(name), wait=lambda seconds: None)
    yield one
    one.close()


def documents(database: Database, name: str = "minutes") -> list[Doc]:
    client: MongoClient[Doc]
    with MongoClient(database[0], tz_aware=True) as client:
        return list(client[database[1]][name].find())


LOST = {"code": 64, "errmsg": "waiting for the others took too long"}  # written, and perhaps to be rolled back
FAULTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "a write conflict": (
        {"times": 3},
        {"failCommands": ["update"], "errorCode": 112, "errorLabels": ["TransientTransactionError"]},
    ),
    "no such transaction": ({"times": 1}, {"failCommands": ["commitTransaction"], "errorCode": 251}),
    "a connection lost before the commit": ({"times": 2}, {"failCommands": ["commitTransaction"], "closeConnection": True}),
    "a connection lost in the middle": ({"times": 1}, {"failCommands": ["update"], "closeConnection": True}),
    "a commit that is in, but nobody hears of it": (
        {"times": 2},
        {"failCommands": ["commitTransaction"], "writeConcernError": LOST},
    ),
    "a primary that steps down": ({"times": 1}, {"failCommands": ["update"], "errorCode": 10107}),
}


def commit(store: MongoStore, effects: Effects) -> Cursor:
    """As the runner does it: the same again while it is Retryable."""
    for _ in range(3):
        with suppress(Retryable):
            return store.commit(effects)
    return store.commit(effects)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_is_not_seen(store: MongoStore, database: Database, fault: str) -> None:
    cursor = store.open(A)
    mode, data = FAULTS[fault]
    fail(database[0], mode, **data)
    effects = Effects(cursor, moved(cursor), puts=[("minutes", {"_id": "a"})], states=[state(1, 1, 1)])
    after = commit(store, effects)
    assert len(documents(database)) == 1
    commit(store, put(after, "b", sequence=BIG + 1))
    assert [d["records"] for d in documents(database, "health")] == [2]


def test_an_answer_that_stays_lost_is_settled_when_asked_again(store: MongoStore, database: Database) -> None:
    cursor = store.open(A)
    fail(database[0], "alwaysOn", failCommands=["commitTransaction"], writeConcernError=LOST)
    effects = put(cursor, "a")
    with pytest.raises(Retryable):
        store.commit(effects)
    fail(database[0], "off")
    assert store.commit(effects) == effects.cursor
    assert [d["records"] for d in documents(database, "health")] == [1]


def test_a_server_that_is_away_is_retryable_and_nothing_is_written(store: MongoStore, database: Database) -> None:
    cursor = store.open(A)
    for code in (189, 50, 262):
        fail(database[0], "alwaysOn", failCommands=["update", "find", "findAndModify"], errorCode=code)
        for call in (lambda: store.commit(put(cursor, "a")), lambda: store.load([("card", 1)]), lambda: store.open(A)):
            with pytest.raises(Retryable):
                call()
    fail(database[0], "off")
    assert documents(database) == []
    assert store.open(A).epoch == 2


def test_no_rights_is_misconfigured(store: MongoStore, database: Database) -> None:
    cursor = store.open(A)
    fail(database[0], "alwaysOn", failCommands=["update"], errorCode=13)
    with pytest.raises(Misconfigured, match="code 13"):
        store.commit(put(cursor, "a"))


def test_a_port_where_nobody_listens_is_retryable() -> None:
    with MongoStore_of(f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0&serverSelectionTimeoutMS=300") as store:
        with pytest.raises(Retryable) as told:
            store.prepare()
        assert "127.0.0.1" in str(told.value)


@pytest.mark.parametrize("uri", ["http://127.0.0.1", "mongodb://", "mongodb://127.0.0.1:none"])
def test_an_uri_that_is_none_is_misconfigured(uri: str) -> None:
    with pytest.raises(Misconfigured, match="MONGODB_URI"):
        connect(uri, "test")


class MongoStore_of:  # noqa: N801 -- reads as a function
    """A store on an URI, closed at the end."""

    def __init__(self, uri: str) -> None:
        self.store = MongoStore(MongoClient(uri), pipeline("nowhere"))

    def __enter__(self) -> MongoStore:
        return self.store

    def __exit__(self, *_: object) -> None:
        self.store.close()


def test_a_dead_owners_open_transaction_costs_no_time(store: MongoStore, database: Database) -> None:
    #  dead   open  [transaction ............ (killed in here)
    #  next                          open, at once
    cursor = store.open(A)
    session = store._sessions[A]
    session.start_transaction(write_concern=WriteConcern("majority"))
    assert store._move(put(cursor, "a"), session)  # holds the cursor's lock; the process dies here
    client: MongoClient[Doc] = MongoClient(database[0])
    following = MongoStore(client, pipeline(database[1]))
    begun = time.monotonic()
    new = following.open(A)
    assert time.monotonic() - begun < 2
    following.commit(put(new, "b"))
    session.abort_transaction()
    with pytest.raises(Fenced):
        store.commit(put(cursor, "a"))
    following.close()
    assert [d["_id"] for d in documents(database)] == ["b"]


def test_an_owner_that_is_interrupted_by_the_next_one_is_fenced_when_it_asks_again(store: MongoStore, database: Database) -> None:
    #  first   open   commit [..........|Interrupted   commit -> Fenced
    #  second                           open
    cursor = store.open(A)
    with second_store(database) as second, MongoClient[Doc](database[0]) as client, ThreadPoolExecutor(1) as beside:
        fail(database[0], "alwaysOn", failCommands=["update"], blockConnection=True, blockTimeMS=60_000)
        commits = beside.submit(store.commit, put(cursor, "zombie"))
        until(lambda: in_progress(client, "update"))
        new = second.open(A)
        with pytest.raises(Retryable, match="11601"):
            commits.result(30)
        fail(database[0], "off")
        with pytest.raises(Fenced):
            store.commit(put(cursor, "zombie"))
        second.commit(put(new, "owner"))
    assert [d["_id"] for d in documents(database)] == ["owner"]


@contextmanager
def second_store(database: Database) -> Iterator[MongoStore]:
    """Another owner's, with a connection of its own."""
    other = MongoStore(MongoClient(database[0]), pipeline(database[1]))
    try:
        yield other
    finally:
        other.close()


def in_progress(client: MongoClient[Doc], command: str) -> bool:
    """Whether the server is at a command of that name."""
    running = client.admin.command("currentOp", {"active": True, f"command.{command}": {"$exists": True}})
    return bool(running["inprog"])


def test_a_claim_that_may_not_end_sessions_is_retryable_until_the_transaction_is_gone(
    store: MongoStore, database: Database
) -> None:
    cursor = store.open(A)
    session = store._sessions[A]
    fail(database[0], "alwaysOn", failCommands=["killSessions"], errorCode=13)
    session.start_transaction(write_concern=WriteConcern("majority"))
    store._move(put(cursor, "a"), session)
    following = MongoStore(MongoClient(database[0]), pipeline(database[1]))
    with pytest.raises(Retryable):
        following.open(A)
    session.abort_transaction()
    assert following.open(A).epoch == 2
    following.close()


def test_indexes_are_made_once_and_follow_the_configuration(store: MongoStore, database: Database) -> None:
    uri, name = database
    client: MongoClient[Doc] = MongoClient(uri)
    store.prepare()
    store.prepare()
    for collection, indexes in {**views(pipeline(name)), **internals()}.items():
        made = set(client[name][collection].index_information())
        assert made == {"_id_", *(i.name for i in indexes)}, collection
    assert "expireAfterSeconds" not in client[name].minutes.index_information()["eddy_end"]
    for ttl, seconds in (({"minutes": 60_000}, 60), ({"minutes": 120_000}, 120), ({}, None)):
        again = MongoStore(MongoClient(uri), pipeline(name, ttl=ttl))
        again.prepare()
        again.close()
        assert client[name].minutes.index_information()["eddy_end"].get("expireAfterSeconds") == seconds
    client.close()


def test_a_view_that_sets_share_is_one_collection_with_indexes_and_an_age(database: Database) -> None:
    uri, name = database
    lines = [change(n, "pay", "card", "ab"[n % 2], n * S, amount=n % 3, shop="x") for n in range(1, 20)]
    client: MongoClient[Doc]
    with MongoClient(uri, tz_aware=True) as client:
        store = MongoStore(client, replace(SHARED, views=Views(name, {"cards": 60_000})))
        store.prepare()
        runner = Runner(replace(SHARED, views=Views(name)), store, SHARD)
        feed(runner, raws(lines), cuts=(3, 5, 11))
        runner.drain()
        assert {"recent", "habit", "large"}.isdisjoint(client[name].list_collection_names())
        made = client[name].cards.index_information()
        assert set(made) == {"_id_", "eddy_as_of", "eddy_expires_at"}
        assert made["eddy_as_of"]["expireAfterSeconds"] == 60
        found = {d["_id"]: {field: v for field, v in d.items() if field != "updated_at"} for d in client[name].cards.find()}
        assert found == {d["_id"]: d for d in whole(lines, SHARED, end=False).documents["cards"]}
        assert len(found) == 2


def test_an_index_of_somebodys_own_is_left_alone(store: MongoStore, database: Database) -> None:
    uri, name = database
    client: MongoClient[Doc]
    with MongoClient(uri) as client:
        client[name].minutes.create_index([("end", 1)], name="mine")
        store.prepare()
        assert "mine" in client[name].minutes.index_information()


def test_due_keys_are_looked_up_by_index(store: MongoStore, database: Database) -> None:
    store.prepare()
    client: MongoClient[Doc]
    with MongoClient(database[0]) as client:
        keys: Collection[Doc] = client[database[1]]["_keys"]
        found = keys.find({"due": {"$lte": 5}, "hash": {"$gte": "0", "$lte": "f"}}, {"_id": 1})
        plan = str(found.sort([("due", 1), ("hash", 1)]).limit(3).explain()["queryPlanner"]["winningPlan"])
    assert "IXSCAN" in plan and "SORT" not in plan and "COLLSCAN" not in plan


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a mongod that is no replica set and asks for credentials."""
    folder: Path = tmp_path_factory.mktemp("standalone")
    port = free_port()
    command = [str(mongod_binary()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    process = Popen([*command, "--auth"], stdout=DEVNULL, preexec_fn=die_with_parent)  # noqa: PLW1509
    client: MongoClient[Doc]
    with MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=500") as client:
        until(lambda: client.admin.command("hello"))
    yield port
    stop(process)


@pytest.mark.parametrize(("who", "said"), [("", "standalone"), ("eddy:wrong@", "AuthenticationFailed")])
def test_a_server_that_will_not_do_is_misconfigured(standalone: int, who: str, said: str) -> None:
    client = connect(f"mongodb://{who}127.0.0.1:{standalone}/", "test")
    with pytest.raises(Misconfigured, match=said) as told:
        check(client)
    assert "wrong" not in str(told.value)
    client.close()


def test_a_state_that_its_owner_replaces_while_it_is_read_is_read_again(database: Database) -> None:
    #  reader   heads ............... segments of 1 2, of which 2 has gone: again      heads, segments of 1 3
    #  owner            1 3 for 1 2
    owner = MongoStore(MongoClient(database[0]), pipeline(database[1]))
    key, before = ("card", "a"), replace(state("a", 1, None), held=(1, 2))
    cursor = owner.open(A)
    cursor = owner.commit(Effects(cursor, moved(cursor), states=[before], segments={(key, 1): b"a", (key, 2): b"b"}))

    class Reader(MongoStore):
        """Is overtaken once."""

        times = 0

        def _whole(self, states: Sequence[KeyState]) -> dict[Key, KeyState]:
            self.times += 1
            if self.times == 1:
                after, parts = [replace(before, held=(1, 3))], {(key, 2): None, (key, 3): b"c"}
                owner.commit(Effects(cursor, moved(cursor, BIG + 1), states=after, segments=parts))
            return super()._whole(states)

    reader = Reader(MongoClient(database[0]), pipeline(database[1]))
    assert reader.load([key]) == {key: replace(before, held=(1, 3), segments={1: b"a", 3: b"c"})}
    assert reader.times == 2
    for store in (owner, reader):
        store.close()
