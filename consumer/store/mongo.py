"""The store in MongoDB: one transaction a commit, which moves the cursor from exactly the value that this owner left it at.

A commit, in this order: (0) outside of the transaction, as it may be much and may be done twice: what of the views is not complete
after all; (1) the cursor, filtered on epoch, session and position, so that a fenced owner writes nothing at all; (2) windows that
a former definition has left open are closed; removes; (3) what is new, inserted; (4) puts, replaced; (5) key states, and their
segments; (6) health. A round trip for each collection in each of them, and one to commit. If something that is new is there all the
same, the commit is done again and replaces it.

An unknown result is settled by doing it again: if (1) finds the cursor where it was to go, the commit is in. One that does not
move the cursor is written twice then, which changes nothing. `open` ends its predecessor's logical session first: a transaction
that a killed process left open would hold its locks for a minute and more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from dataclasses import replace as changed
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from bson import Binary, MaxKey, MinKey
from pymongo import DeleteMany, MongoClient, ReadPreference, ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as Table
from pymongo.errors import OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern

from config.specs import Pipeline
from consumer.gaps import Mark
from consumer.store.configurations import admit
from consumer.store.contract import (
    CLASSES,
    Closing,
    Counters,
    Cursor,
    Doc,
    Due,
    Effects,
    HashRange,
    Kept,
    KeyState,
    LeftOpen,
    Place,
    ShardId,
    heir,
)
from consumer.store.layout import CONFIGURATIONS, CURSORS, DEAD_LETTERS, HEALTH, KEYS, SEGMENTS, hash_of, health_doc, shard_key
from consumer.store.memory import hashable, now
from consumer.store.refusals import not_too_much
from consumer.store.setup import check, prepare
from consumer.store.writes import NotNew, insert, replace, update
from contract.errors import Fenced
from contract.keys import dump_key, load_key
from contract.times import MAX_MS, MIN_MS, date, date_ms
from edge.mongo import in_our_words, worth_again
from windows.engine import Key

MAJORITY = WriteConcern("majority")
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # s between attempts; then it is the caller's to wait
CHUNK = 2_000  # keys in one query, removes in one statement
FEW = 100  # segments in one query
LOOK_AGAIN = 100  # commits, after something that was thought to be new was there
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
        self._not_new: dict[str, int] = {}  # collections where nothing is thought to be new, for so many commits more

    def check(self) -> None:
        """Raises Retryable when MongoDB is away, Misconfigured when it refuses us or has no transactions."""
        check(self._client)

    def prepare(self) -> None:
        """Make the collections and indexes as the configuration says."""
        with in_our_words("preparing the views"):
            prepare(self._db, self._spec)

    def admit(self, again: bool = False) -> None:
        """Raises Misconfigured where a newer configuration than this one has been seen; `again`: this one is to be the newest."""
        with in_our_words("looking for newer configurations"):
            table = self._db[CONFIGURATIONS]
            admit(table, self._spec.stream.name, self._spec.fingerprint, self._clock(), again)

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        """Claim the shard. Retryable while a transaction that cannot be ended holds the cursor."""
        with in_our_words(f"opening {shard.shard}"):
            prepare(self._db, self._spec, only_missing=True)
            session = self._client.start_session(causal_consistency=False)
            ended = [_cursor(p, doc) for p in parents if (doc := self._claim(p, {}, upsert=False)) is not None]
            change = {"$set": {"session": session.session_id}, "$setOnInsert": _cursor_doc(heir(shard, ended))}
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
                    found[key] = _state(key, doc)
            apart = [state for state in found.values() if state.held]
            for _ in PAUSES if apart else ():
                found |= (whole := self._whole(apart))
                apart = [state for state in apart if state.key not in whole]
                if not apart:
                    break
                again = self._db[KEYS].find({"_id": {"$in": [dump_key(state.key) for state in apart]}})
                apart = [_state(load_key(doc["_id"]), doc) for doc in again]
                found |= {state.key: state for state in apart}
            return found

    def look_up(self, view: str, ids: Collection[Any]) -> Sequence[Doc]:
        """The documents of a view that have these `_id`s, as a majority has them."""
        table = self._db[view].with_options(read_concern=ReadConcern("majority"))
        with in_our_words(f"looking up {view}"):
            return [doc for some in _chunks(ids, CHUNK) for doc in table.find({"_id": {"$in": some}})]

    def _whole(self, states: Sequence[KeyState]) -> dict[Key, KeyState]:
        """States with their segments: those of which all are there. A head and its segments are of one commit, so where one is
        missing its owner has replaced it meanwhile, and the state is to be read again."""
        parts: dict[Key, dict[int, bytes]] = {state.key: {} for state in states}
        for some in _chunks((segment_id(state.key, number) for state in states for number in state.held), FEW):
            for doc in self._db[SEGMENTS].find({"_id": {"$in": some}}):
                parts[load_key(doc["_id"]["k"])][doc["_id"]["n"]] = bytes(doc["data"])
        return {s.key: changed(s, segments=parts[s.key]) for s in states if len(parts[s.key]) == len(s.held)}

    def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
        """Keys in the range with after < (due, hash) and due <= until."""
        due, hash = after[0], _hex(after[1])
        behind = {"$or": [{"due": {"$gt": due}}, {"due": due, "hash": {"$gt": hash}}]}
        within = {"hash": {"$gte": _hex(hashes.low), "$lte": _hex(hashes.high)}}
        with in_our_words("looking for due keys"):
            found = self._waiting({"due": {"$gte": due, "$lte": until}, **within, **behind}, limit)
            if len(found) < limit:
                later = self._waiting({"due": {"$gte": max(until + 1, due)}, **within, **behind}, 1)
                return Due([load_key(doc["_id"]) for doc in found], None, later[0]["due"] if later else None)
            last = found[-1]["due"], found[-1]["hash"]
            alike = self._waiting({"due": last[0], "hash": last[1]}, 0)  # senders may give one hash to several keys
            found = [doc for doc in found if (doc["due"], doc["hash"]) != last] + alike
            return Due([load_key(doc["_id"]) for doc in found], (last[0], int(last[1], 16)), None)

    def _waiting(self, wanted: Doc, limit: int) -> list[Doc]:
        order = [("due", 1), ("hash", 1)]
        return list(self._db[KEYS].find(wanted, {"due": 1, "hash": 1}).sort(order).limit(limit))

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """By `_id`, and by the event that they were counted as."""
        with in_our_words("looking for dead letters"):
            return list(self._db[DEAD_LETTERS].find({"$or": [{"_id": {"$in": ids}}, {"requeued.event": {"$in": events}}]}))

    def dead_letters(self, wanted: Doc) -> Iterator[Doc]:
        """Those that a filter finds, shard by shard in the order of their records."""
        with in_our_words("looking for dead letters"):
            yield from self._db[DEAD_LETTERS].find(wanted).sort("_id", 1)

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        """The first and the last end of windows that a former definition has left open."""
        wanted = _left(left, behind, left.last)
        with in_our_words("looking for windows left open"):
            found = [self._db[left.name].find_one(wanted, {"end": 1}, sort=[("end", way)]) for way in (1, -1)]
        first, last = (None if doc is None else date_ms(doc["end"]) for doc in found)
        return None if first is None or last is None else (first, last)

    def left_open(self, left: LeftOpen, until: int, hashes: HashRange, limit: int) -> Sequence[Any]:
        """The `_id`s of those that end by a time, of keys in the range."""
        with in_our_words("looking for windows left open"):
            found = self._db[left.name].find(_left(left, left.after, until), {"key": 1}).sort("end", 1)
            own = (d["_id"] for d in found if hashes.low <= hash_of(self._spec, left.route, d["key"]) <= hashes.high)
            return list(islice(own, limit))

    def commit(self, effects: Effects) -> Cursor:
        """All or nothing."""
        at = self._clock()
        health = (HEALTH, health_doc(self._spec, effects.cursor, effects.figures, effects.hashes))
        old = self._not_new
        new = _by_collection(((name, doc) for name, doc in effects.new if name not in old), at)
        puts = _by_collection((*effects.puts, health, *((name, doc) for name, doc in effects.new if name in old)), at)
        guarded = _by_collection(effects.unless_final, at)
        removes = _grouped(effects.removes)
        if effects.states:
            puts[KEYS] = [_state_doc(state) for state in effects.states if state.data]
            removes[KEYS] = [dump_key(state.key) for state in effects.states if not state.data]
        gone = [dump_key(state.key) for state in effects.states if not state.data]
        if effects.segments:
            parts = effects.segments.items()
            puts[SEGMENTS] = [{"_id": segment_id(*of), "data": Binary(data)} for of, data in parts if data is not None]
            removes[SEGMENTS] = [segment_id(*of) for of, data in parts if data is None]

        def work(session: ClientSession) -> None:
            if not self._move(effects, session):
                return
            for closing in effects.closings:
                self._close(closing, at, session)
            for name, ids in removes.items():
                for some in _chunks(ids, CHUNK):
                    self._db[name].delete_many({"_id": {"$in": some}}, session=session)
            for some in _chunks(gone, CHUNK):  # also what was written of a state that never came
                self._db[SEGMENTS].bulk_write([DeleteMany({"_id": _all_of(key)}) for key in some], ordered=False, session=session)
            for name, docs in new.items():
                insert(self._db[name], docs, session)
            for name, docs in puts.items():
                replace(self._db[name], docs, session)
            for name, docs in guarded.items():
                replace(self._db[name], _that_may(self._db[name], docs, session), session)

        with in_our_words("committing"), not_too_much():
            for mark in effects.marks:
                self._mark(mark)
            try:
                self._in_transaction(self._session(effects.expected), work)
            except NotNew as there:
                self._not_new[there.collection] = LOOK_AGAIN
                return self.commit(effects)
        self._not_new = {name: left - 1 for name, left in self._not_new.items() if left > 1}
        return effects.cursor

    def _mark(self, mark: Mark) -> None:
        whole = {"complete": {"$ne": False}}
        if mark.first == mark.last:
            wanted: Doc = {mark.first: {"$gt": date(mark.begin), "$lte": date(mark.end)}, **whole}
        else:
            wanted = {mark.first: {"$lte": date(mark.end)}, mark.last: {"$gt": date(mark.begin)}, **whole}
        self._db[mark.collection].update_many(wanted, {"$set": {"complete": False}})

    def _close(self, closing: Closing, at: datetime, session: ClientSession) -> None:
        told = {"$set": {"final": True, "complete": False, "updated_at": at}}
        still = {"config": closing.config, "final": False, "end": {"$lte": _time(closing.until)}}
        for some in _chunks(closing.ids, CHUNK):
            update(self._db[closing.collection], [({"_id": id, **still}, told) for id in some], session)

    def _move(self, effects: Effects, session: ClientSession) -> bool:
        """Move the cursor; False if it stands where it is to go already. Raises Fenced if it is another's."""
        wanted = effects.cursor
        owned = {"_id": shard_key(wanted.shard), "epoch": effects.expected.epoch, "session": session.session_id}
        table = self._db[CURSORS]
        change = _cursor_doc(wanted)
        moved = {"$set": change, "$inc": {"commits": 1}}  # a change always: only a write meets another owner's write
        if table.update_one({**owned, **_position(effects.expected)}, moved, session=session).matched_count:
            return True
        if table.find_one({**owned, **change}, {"_id": 1}, session=session) is not None:
            return False
        raise Fenced(f"{wanted.shard.shard}: another owner has claimed this shard; nothing was written")

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


def _by_collection(puts: Iterable[tuple[str, Doc]], at: datetime) -> dict[str, list[Doc]]:
    found: dict[str, list[Doc]] = {}
    for name, doc in puts:
        doc["updated_at"] = at
        found.setdefault(name, []).append(doc)
    return found


def _that_may(table: Table[Doc], docs: Sequence[Doc], session: ClientSession) -> list[Doc]:
    """Those in whose place there is no document of another definition that this one has closed."""
    final = {"_id": {"$in": [doc["_id"] for doc in docs]}, "final": True, "config": {"$nin": list({doc["config"] for doc in docs})}}
    final["$nor"] = [{"complete": False, "closed_by": None}]  # left open, and closed by nobody's count
    there = {hashable(doc["_id"]) for doc in table.find(final, {"_id": 1}, session=session)}
    return [doc for doc in docs if hashable(doc["_id"]) not in there]


def _grouped(pairs: Iterable[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, one in pairs:
        found.setdefault(name, []).append(one)
    return found


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _state_doc(state: KeyState) -> Doc:
    due = {} if state.due is None else {"due": int(state.due)}  # a key without one is not in the index
    at = f"{state.shard} {state.position[0]} {state.position[1]}"
    held = {"held": list(state.held)} if state.held else {}
    return {"_id": dump_key(state.key), "hash": _hex(state.hash), **due, "at": at, **held, "data": Binary(state.data)}


def _state(key: Key, doc: Mapping[str, Any]) -> KeyState:
    state = KeyState(key, int(doc["hash"], 16), doc.get("due"), bytes(doc["data"]))
    if "at" not in doc:  # saved by a release that saved states with every commit
        return state
    shard, sequence, sub = doc["at"].rsplit(" ", 2)
    return changed(state, shard=shard, position=(int(sequence), int(sub)), held=tuple(doc.get("held", ())))


def segment_id(key: Key, number: int) -> Doc:
    """`_id` of a segment."""
    return {"k": dump_key(key), "n": number}


def _all_of(key: Doc) -> Doc:
    """The `_id`s of all segments of a key."""
    return {"$gte": {"k": key, "n": MinKey()}, "$lte": {"k": key, "n": MaxKey()}}


def _left(left: LeftOpen, behind: int, until: int) -> Doc:
    """What a former definition has left open, and ends between two times."""
    bound = {**({"$gt": _time(behind)} if behind >= MIN_MS else {}), **({"$lte": _time(until)} if until <= MAX_MS else {})}
    return {"config": left.config, "final": False, **({"end": bound} if bound else {})}


def _time(ms: int) -> Any:
    """A bound that MongoDB can compare with."""
    return date(min(max(ms, MIN_MS), MAX_MS))


def _hex(hash: int) -> str:
    """128 bits as text that sorts as they do."""
    return f"{hash:032x}"


def _position(at: Cursor | Place) -> Doc:
    """Sequence numbers have up to 56 digits: text."""
    return {"sequence": None if at.sequence is None else str(at.sequence), "sub": at.sub}


def _place(place: Cursor | Place) -> Doc:
    return {**_position(place), "watermark": int(place.watermark)}


def _counters(counters: Counters) -> Doc:
    parts = {"classes": counters.classes, "late_by_set": counters.late_by_set, "dead_by_reason": counters.dead_by_reason}
    return {part: {name: int(n) for name, n in own.items()} for part, own in parts.items()}


def _cursor_doc(cursor: Cursor) -> Doc:
    return {
        **_place(cursor),
        "counters": _counters(cursor.counters),
        "snapshot": {**_place(cursor.snapshot), "records": cursor.snapshot.records},
        "jumps": [_place(jump) for jump in cursor.jumps],
        "skips": [{"sequence": str(at[0]), "sub": at[1], "reason": reason} for at, reason in cursor.skips],
        "since": None if cursor.since is None else {name: int(at) for name, at in cursor.since.items()},
        "ended": None if cursor.ended is None else int(cursor.ended),
        "gaps": {name: [[int(low), int(high)] for low, high in spans] for name, spans in cursor.gaps.items()},
        "kept": {config: kept._asdict() for config, kept in cursor.kept.items()},
        "left_open": [asdict(left) for left in cursor.left_open],
    }


def _cursor(shard: ShardId, doc: Mapping[str, Any]) -> Cursor:
    saved = doc["counters"]
    classes = {**dict.fromkeys(CLASSES, 0), **saved["classes"]}
    counters = Counters(classes, dict(saved["late_by_set"]), dict(saved["dead_by_reason"]))
    place = _loaded(doc)
    cursor = Cursor(shard, doc["epoch"], place.sequence, place.sub, place.watermark, counters)
    if "snapshot" not in doc:  # of a release that saved states with every commit
        return changed(cursor, snapshot=cursor.place)
    jumps = tuple(_loaded(jump) for jump in doc["jumps"])
    skips = tuple(((int(skip["sequence"]), skip["sub"]), skip["reason"]) for skip in doc["skips"])
    gaps = {name: tuple((low, high) for low, high in spans) for name, spans in doc.get("gaps", {}).items()}
    kept = {config: Kept(**own) for config, own in doc.get("kept", {}).items()}  # nothing by a release before, and no end
    left, ended = tuple(LeftOpen(**own) for own in doc.get("left_open", ())), doc.get("ended")
    known = changed(cursor, snapshot=_loaded(doc["snapshot"]), jumps=jumps, since=doc["since"], skips=skips)
    return changed(known, ended=ended, gaps=gaps, kept=kept, left_open=left)


def _loaded(doc: Mapping[str, Any]) -> Place:
    sequence = None if doc["sequence"] is None else int(doc["sequence"])
    return Place(sequence, doc["sub"], doc["watermark"], doc.get("records", 0))
