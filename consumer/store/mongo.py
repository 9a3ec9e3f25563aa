"""The store in MongoDB: one transaction a commit, which moves the cursor from exactly the value that this owner left it at.

A commit, in this order: (1) the cursor, filtered on epoch, session and position, so that a fenced owner writes nothing at all;
(2) removes; (3) puts; (4) key states; (5) health. An unknown result is settled by doing it again: if (1) finds the cursor where
it was to go, the commit is in. `open` ends its predecessor's logical session first: a transaction that a killed process left open
would hold its locks for a minute and more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from bson import Binary, encode
from pymongo import MongoClient, ReadPreference, ReplaceOne, ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as Table
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from config.specs import Pipeline
from consumer.store.contract import CLASSES, Counters, Cursor, Doc, Effects, HashRange, KeyState, ShardId
from consumer.store.layout import CURSORS, HEALTH, KEYS, health_doc, shard_key
from consumer.store.memory import now
from consumer.store.refusals import named, not_too_much
from consumer.store.setup import check, prepare
from contract.errors import Fenced
from contract.keys import dump_key, load_key
from edge.mongo import in_our_words, worth_again
from windows.engine import NEVER, Key

MAJORITY = WriteConcern("majority")
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # s between attempts; then it is the caller's to wait
CHUNK = 2_000  # keys in one query, removes in one statement
SNAPSHOT_CHUNK = 1_000  # states in one transaction
CLAIM_MS = 2_000  # how long a claim waits for a transaction that holds the cursor
T = TypeVar("T")


class MongoStore:
    """Views, key states and cursors in one database. Raises Retryable when it is away, Misconfigured when it will not have us."""

    def __init__(
        self,
        client: MongoClient[Doc],
        spec: Pipeline,
        clock: Callable[[], datetime] = now,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._spec, self._clock, self._wait = client, spec, clock, wait
        self._db = client.get_database(spec.views.database, read_preference=ReadPreference.PRIMARY, write_concern=MAJORITY)
        self._sessions: dict[ShardId, ClientSession] = {}

    def check(self) -> None:
        """Raises Retryable when MongoDB is away, Misconfigured when it refuses us or has no transactions."""
        check(self._client)

    def prepare(self) -> None:
        """Make the collections and indexes as the configuration says."""
        with in_our_words("preparing the views"):
            prepare(self._db, self._spec)

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard. Retryable while a transaction that cannot be ended holds the cursor."""
        with in_our_words(f"opening {shard.shard}"):
            prepare(self._db, self._spec, only_missing=True)
            session = self._client.start_session(causal_consistency=False)
            ended = [doc for doc in (self._claim(parent, {}, upsert=False) for parent in parents) if doc is not None]
            start = {"sequence": None, "sub": 0, "watermark": min((d["watermark"] for d in ended), default=NEVER)}
            change = {"$set": {"session": session.session_id}, "$setOnInsert": {**start, "counters": _counters(Counters())}}
            claimed = self._claim(shard, change, upsert=True)
            if shard in self._sessions:
                self._sessions[shard].end_session()
            self._sessions[shard] = session
            return _cursor(shard, claimed or {})

    def _claim(self, shard: ShardId, change: Doc, upsert: bool) -> Doc | None:
        """Raise the epoch; the cursor after it. Ends the owner's session before, which takes its open transaction with it."""
        who = {"_id": shard_key(shard)}
        owner = self._db[CURSORS].find_one(who, {"session": 1})
        if owner is None and not upsert:
            return None
        if owner is not None and "session" in owner:
            self._end(owner["session"])
        return self._db[CURSORS].find_one_and_update(
            who, {**change, "$inc": {"epoch": 1}}, upsert=upsert, return_document=ReturnDocument.AFTER, maxTimeMS=CLAIM_MS
        )

    def _end(self, session: Mapping[str, Any]) -> None:
        with suppress(OperationFailure):  # not allowed here: the claim waits until the server itself ends the transaction
            self._client.admin.command("killSessions", [{"id": session["id"]}])

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """The saved states of those keys that have one."""
        with in_our_words("loading keys"):
            found: dict[Key, KeyState] = {}
            for some in _chunks(keys, CHUNK):
                for doc in self._db[KEYS].find({"_id": {"$in": [dump_key(key) for key in some]}}):
                    key = load_key(doc["_id"])
                    found[key] = KeyState(key, int(doc["hash"], 16), doc.get("due"), bytes(doc["data"]))
            return found

    def due(self, hashes: HashRange, until: int, limit: int) -> Collection[Key]:
        """Keys in the range with due <= until, ordered by (due, hash)."""
        with in_our_words("looking for due keys"):
            wanted = {"due": {"$lte": until}, "hash": {"$gte": _hex(hashes.low), "$lte": _hex(hashes.high)}}
            found = self._db[KEYS].find(wanted, {"_id": 1}).sort([("due", 1), ("hash", 1)]).limit(limit)
            return [load_key(doc["_id"]) for doc in found]

    def commit(self, effects: Effects) -> Cursor:
        """All or nothing."""
        at = self._clock()
        health = (HEALTH, health_doc(self._spec, effects.cursor))
        puts = _by_collection((name, {**doc, "updated_at": at}) for name, doc in (*effects.puts, health))
        puts[KEYS] = list(_latest(KEYS, map(_state_doc, effects.states)))
        removes = _grouped(effects.removes)

        def work(session: ClientSession) -> None:
            if not self._move(effects, session):
                return
            for name, ids in removes.items():
                for some in _chunks(ids, CHUNK):
                    self._db[name].delete_many({"_id": {"$in": some}}, session=session)
            for name, docs in puts.items():
                _replace(self._db[name], docs, session)

        with in_our_words("committing"), not_too_much():
            self._in_transaction(self._session(effects.expected), work)
        return effects.cursor

    def _move(self, effects: Effects, session: ClientSession) -> bool:
        """Move the cursor; False if it stands where it is to go already. Raises Fenced if it is another's."""
        wanted = effects.cursor
        owned = {"_id": shard_key(wanted.shard), "epoch": effects.expected.epoch, "session": session.session_id}
        table = self._db[CURSORS]
        change = {**_position(wanted), "watermark": int(wanted.watermark), "counters": _counters(wanted.counters)}
        if table.update_one({**owned, **_position(effects.expected)}, {"$set": change}, session=session).matched_count:
            return True
        if table.find_one({**owned, **change}, {"_id": 1}, session=session) is not None:
            return False
        raise Fenced(f"{wanted.shard.shard}: another owner has claimed this shard; nothing was written")

    def snapshot(self, cursor: Cursor, states: Iterable[KeyState]) -> None:
        """Save key states apart from a commit. Each chunk changes the cursor too: only a write meets another owner's write."""
        session = self._session(cursor)
        owned = {"_id": shard_key(cursor.shard), "epoch": cursor.epoch, "session": session.session_id}

        def work(session: ClientSession) -> None:
            if not self._db[CURSORS].update_one(owned, {"$inc": {"chunks": 1}}, session=session).matched_count:
                raise Fenced(f"{cursor.shard.shard}: another owner has claimed this shard; no state was written")
            _replace(self._db[KEYS], docs, session)

        with in_our_words("saving key states"):
            for some in _chunks(states, SNAPSHOT_CHUNK):
                docs = list(_latest(KEYS, map(_state_doc, some)))
                self._in_transaction(session, work)

    def close(self) -> None:
        """Let go of sessions and connections."""
        for session in self._sessions.values():
            session.end_session()
        self._sessions.clear()
        self._client.close()

    def _session(self, cursor: Cursor) -> ClientSession:
        if cursor.shard not in self._sessions:
            raise Fenced(f"{cursor.shard.shard}: this process does not own the shard")
        return self._sessions[cursor.shard]

    def _in_transaction(self, session: ClientSession, work: Callable[[ClientSession], None]) -> None:
        """Do it in one transaction, and again where another was in the way. A lost answer is Retryable: asked again it is found."""
        for pause in (*PAUSES, None):
            try:
                with session.start_transaction(ReadConcern("snapshot"), MAJORITY, ReadPreference.PRIMARY):
                    work(session)
                return
            except PyMongoError as error:
                if pause is None or not worth_again(error):
                    raise
            self._wait(pause)


def _replace(table: Table[Doc], docs: Sequence[Doc], session: ClientSession) -> None:
    if docs:
        with named(table.name, docs):
            table.bulk_write([ReplaceOne({"_id": doc["_id"]}, doc, upsert=True) for doc in docs], ordered=False, session=session)


def _by_collection(puts: Iterable[tuple[str, Doc]]) -> dict[str, Sequence[Doc]]:
    return {name: list(_latest(name, docs)) for name, docs in _grouped(puts).items()}


def _grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
    for name, one in pairs:
        found.setdefault(name, []).append(one)
    return found


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _latest(name: str, docs: Iterable[Doc]) -> Collection[Doc]:
    """The last document of each `_id`: an unordered bulk write promises no order between two of them."""
    docs = list(docs)
    with named(name, docs):
        return {encode({"": doc["_id"]}): doc for doc in docs}.values()


def _state_doc(state: KeyState) -> Doc:
    due = {} if state.due is None else {"due": int(state.due)}  # a key without one is not in the index
    return {"_id": dump_key(state.key), "hash": _hex(state.hash), **due, "data": Binary(state.data)}


def _hex(hash: int) -> str:
    """128 bits as text that sorts as they do."""
    return f"{hash:032x}"


def _position(cursor: Cursor) -> Doc:
    """Sequence numbers have up to 56 digits: text."""
    return {"sequence": None if cursor.sequence is None else str(cursor.sequence), "sub": cursor.sub}


def _counters(counters: Counters) -> Doc:
    parts = {"classes": counters.classes, "late_by_set": counters.late_by_set, "dead_by_reason": counters.dead_by_reason}
    return {part: {name: int(n) for name, n in own.items()} for part, own in parts.items()}


def _cursor(shard: ShardId, doc: Mapping[str, Any]) -> Cursor:
    saved = doc["counters"]
    classes = {**dict.fromkeys(CLASSES, 0), **saved["classes"]}
    counters = Counters(classes, dict(saved["late_by_set"]), dict(saved["dead_by_reason"]))
    sequence = None if doc["sequence"] is None else int(doc["sequence"])
    return Cursor(shard, doc["epoch"], sequence, doc["sub"], doc["watermark"], counters)
