"""A trigger's collection as it was at one cluster time, document by document, in the form of changes.

    S1                                   S2
    |- stretch 1: read as of S1 -|       |- stretch 2: read as of S2, without what was inserted behind S1 -|
    |- live changes of the trigger, from right behind S1 ---------------------------------------------------->

All of it is read as of S1 while the server keeps that (minSnapshotHistoryWindowInSeconds, 300 s by default). When it does not any
more, what is left is read as of a later time, less what the live stream will bring as inserted: so each document still comes once.
One that was updated meanwhile comes as it is by then (where its event time was changed too: perhaps twice, or
not at all), and one that was deleted does not come; with `before = true`, where the live
change takes the very value out that was put in, that is not good enough, and the backfill stops.

Order: an index that begins with the trigger's time gives the order of events; without one it is that of `_id`. Each document has a
token made of S and its number in that order, so that one which is read again after a crash is known as a repeat, and every live
change has a greater one.
"""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import bson
import structlog
from bson import MinKey, Timestamp
from bson.int64 import Int64
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from config.specs import Trigger
from contract.errors import Fatal, HistoryLost, Rejected
from contract.times import date, time_ms
from contract.values import get
from edge.mongo import Client
from producer.changes import Backfilled, Change
from producer.mongo import Document, in_our_words, reaction
from producer.relay import Position
from producer.source import AWAIT_MS, Captured, Group, cluster_of

log = structlog.get_logger("producer")
TOO_OLD, NO_SNAPSHOT, CURSOR_GONE = 239, 246, 43  # SnapshotTooOld, SnapshotUnavailable, CursorNotFound
PAGE = 1_000
MOST_ALIKE = 10_000  # documents of one time that are remembered by their _id
END = 1 << 62  # behind every second
LONGER = (
    "Let the server keep more: db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: 86400}), or on Atlas ask its"
    " support; or backfill less, with --since"
)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a backfill is. at: what it is read as of. begun: as of when its first document was read. n: documents that are
    through. value: of the index, of the last one; first: the number of the first document with that value; ids: those with that
    value that are through, None where they are too many. since: ms, event times before are left out. least: ms, no event time is
    before."""

    at: Timestamp
    begun: Timestamp
    index: Mapping[str, int]
    since: int | None = None
    least: int | None = None
    total: int = 0
    n: int = 0
    value: Any = field(default_factory=MinKey)
    first: int = 0
    ids: tuple[Any, ...] | None = ()
    done: bool = False

    @property
    def by_time(self) -> bool:
        """Whether the order is that of events."""
        return next(iter(self.index)) != "_id"

    def document(self) -> dict[str, Any]:
        """As it is kept in MongoDB."""
        return {
            "at": self.at, "begun": self.begun, "index": list(self.index.items()), "since": self.since, "least": self.least,
            "total": self.total, "n": self.n, "value": self.value, "first": self.first, "done": self.done,
            "ids": None if self.ids is None else list(self.ids),
        }  # fmt: skip


def place(document: Mapping[str, Any]) -> Place:
    """The inverse of `Place.document`."""
    ids = document["ids"]
    numbers: dict[str, Any] = {name: int(document[name]) for name in ("total", "n", "first")}  # BSON's have a type of their own
    times: dict[str, Any] = {name: None if document[name] is None else int(document[name]) for name in ("since", "least")}
    return Place(
        at=document["at"], begun=document["begun"], index={name: int(way) for name, way in document["index"]},
        value=document["value"], ids=None if ids is None else tuple(ids), done=document["done"], **numbers, **times,
    )  # fmt: skip


def begin(client: Client, trigger: Trigger, at: Timestamp, since: int | None) -> Place:
    """In front of the first document. Asks which index serves, how many documents there are, and how old the oldest is."""
    with in_our_words(f"looking at {trigger.named}"):
        table = client[trigger.database][trigger.collection]
        index = _index(client, trigger)
        total = table.count_documents(_filter(trigger, since)) if since is not None or trigger.match else None
        total = table.estimated_document_count() if total is None else total
        least = None
        if trigger.time is not None:
            asked = {"$convert": {"input": f"${trigger.time}", "to": "date", "onError": None, "onNull": None}}
            found = list(
                table.aggregate([{"$match": _filter(trigger, since)}, {"$group": {"_id": None, "least": {"$min": asked}}}])
            )
            least = time_ms(found[0]["least"]) if found else None
    return Place(at, at, index, since, least, total)


def _filter(trigger: Trigger, since: int | None) -> Document:
    parts: list[Any] = [trigger.match] if trigger.match else []
    if since is not None and trigger.time is not None:
        parts.append({trigger.time: {"$gte": date(since)}})
    return {"$and": parts} if parts else {}


def _index(client: Client, trigger: Trigger) -> dict[str, int]:
    """The shortest index that begins with the time and holds every document once; that of _id where there is none."""
    if trigger.time is None:
        return {"_id": 1}
    database = client[trigger.database]
    fits: list[dict[str, int]] = []
    for one in database[trigger.collection].list_indexes():
        key = dict(one["key"])
        partial = {"sparse", "partialFilterExpression", "collation", "hidden"}.intersection(one)
        if not partial and next(iter(key)) == trigger.time and all(type(v) in (int, float) and v == 1 for v in key.values()):
            fits.append(dict.fromkeys(key, 1))
    for key in sorted(fits, key=lambda k: (list(k) != [trigger.time, "_id"], len(k))):
        plan = database.command("explain", {"find": trigger.collection, "filter": {}, "hint": key}, verbosity="queryPlanner")
        if "'isMultiKey': True" not in str(plan["queryPlanner"]["winningPlan"]):
            return key
    return {"_id": 1}


class Snapshot:
    """Reads one trigger's documents from a place on, as `Source` reads changes. span: ms of event time that are put together."""

    def __init__(self, client: Client, trigger: Trigger, place: Place, span: int, floor: int | None = None) -> None:
        """floor: ms; the time that every record vouches for, where not all of what is read is in the order of events."""
        self.group = Group(f"backfill/{trigger.name}", (trigger,))
        self.place = place
        self._client, self._trigger, self._span, self._floor = client, trigger, span, floor
        self._session: ClientSession | None = None
        self._cursor = 0
        self._page: deque[Document] = deque()
        self._read = place.first  # the number of the next document of the index
        self._value = place.value
        self._first = place.first
        self._ids: list[Any] | None = list(place.ids) if place.ids is not None else None
        self._through = {_key(id_) for id_ in place.ids or ()}
        self._n = place.n
        self._second = self._second_of(place.least if place.least is not None else place.begun.time * 1000)
        self._newer = _Inserted(client, trigger, place.begun)
        self.position = Position(place.document(), (END if place.done else self._second, 0))

    def next(self) -> Captured:
        """The next document, or where it stands where there is none. Raises Retryable, Fatal, HistoryLost."""
        while self._page or self._turn():
            document = self._page.popleft()
            value = get(document, next(iter(self.place.index)))
            if not _alike(value, self._value):
                self._value, self._first, self._ids = value, self._read, []
                self._through.clear()
            number = self._read
            self._read += 1
            if _key(document["_id"]) in self._through or self._newer.has(document["_id"]):
                continue
            if self._ids is not None:
                self._ids = [*self._ids, document["_id"]] if len(self._ids) < MOST_ALIKE else None
            self._n += 1
            change = self._change(document, number)
            self.position = Position(self._here(), (self._second, 0))
            return Captured(change, self.group.triggers, self.position)
        if not self.place.done:
            self.place = replace(self.place, done=True)
            self.position = Position(self._here(), (END, 0))
        time.sleep(AWAIT_MS / 1000)
        return Captured(None, (), self.position)

    def more(self) -> bool:
        """Whether the next document is here already."""
        return bool(self._page)

    def close(self) -> None:
        """Let the server's cursor go."""
        session, self._session, self._cursor = self._session, None, 0
        self._page.clear()
        if session is not None:
            session.end_session()

    def _here(self) -> Document:
        ids = None if self._ids is None else tuple(self._ids)
        now = replace(self.place, n=self._n, value=self._value, first=self._first, ids=ids)
        return now.document()

    def _change(self, document: Document, number: int) -> Change:
        at = self.place.at
        event_time = self._time(document)
        self._second = max(self._second, self._second_of(event_time)) if self.place.by_time else self._second
        vouched = (self._second - 1) * self._span if self._floor is None else self._floor
        token = f"82{at.time:08X}{at.inc:08X}{number:012X}{zlib.crc32(self._trigger.name.encode()):08X}"
        return {
            "_id": {"_data": token}, "operationType": "insert", "clusterTime": at, "fullDocument": document,
            "documentKey": {"_id": document["_id"]}, "backfill": Backfilled(min(vouched, event_time), self._second),
        }  # fmt: skip

    def _time(self, document: Document) -> int:
        """Event time, ms; as of when it is read where it has none."""
        found = None
        if self._trigger.time is not None:
            try:
                found = time_ms(get(document, self._trigger.time))
            except Rejected:
                found = None
        return self.place.at.time * 1000 if found is None else found

    def _second_of(self, ms: int) -> int:
        return ms // self._span

    def _turn(self) -> bool:
        """The next page. False: there is none."""
        if self.place.done or (self._session is not None and not self._cursor):
            return False
        try:
            answer = self._more() if self._session is not None else self._open()
        except PyMongoError as error:
            self._lost()
            code = error.code if isinstance(error, OperationFailure) else None
            if code in (TOO_OLD, NO_SNAPSHOT):
                self._next_stretch(error)
                return self._turn()
            if code == CURSOR_GONE:
                return self._turn()
            raise reaction(error, f"reading {self._trigger.named}") from error
        cursor = answer["cursor"]
        self._cursor = cursor["id"]
        self._page.extend(cursor.get("firstBatch") or cursor.get("nextBatch") or ())
        return bool(self._page) or (bool(self._cursor) and self._turn())

    def _open(self) -> Document:
        """From the first document of the last one's value on: those that are through are known by their _id."""
        index = dict(self.place.index)
        names = list(index)
        if self.place.at != self.place.begun:
            self._newer.up_to(self.place.at)
        asked: Document = {
            "find": self._trigger.collection, "filter": _filter(self._trigger, self.place.since), "hint": index,
            "sort": {names[0]: 1}, "batchSize": PAGE, "readConcern": {"level": "snapshot", "atClusterTime": self.place.at},
        }  # fmt: skip
        if not isinstance(self._value, MinKey):
            asked["min"] = {names[0]: self._value} | {name: MinKey() for name in names[1:]}
            if len(names) > 1:
                asked["sort"] = index
        self._read = self._first
        self._through = {_key(id_) for id_ in self._ids or ()}
        self._session = self._client.start_session(causal_consistency=False)
        return self._command(asked)

    def _more(self) -> Document:
        return self._command({"getMore": Int64(self._cursor), "collection": self._trigger.collection, "batchSize": PAGE})

    def _command(self, asked: Document) -> Document:
        database = self._client[self._trigger.database]
        return dict(database.command(asked, session=self._session, codec_options=database.codec_options))

    def _lost(self) -> None:
        session, self._session, self._cursor = self._session, None, 0
        if session is not None:
            session.end_session()

    def _next_stretch(self, error: PyMongoError) -> None:
        """The server does not know any more how it was; what is left is read as it is now."""
        why = f"backfill of {self._trigger.name}: the server no longer keeps how {self._trigger.named} was when it began"
        if self._trigger.before:
            raise Fatal(
                f"{why}, and with before = true each value must be the one that later changes take out. Give it up (--give-up), and"
                f" begin anew with another trigger name. {LONGER}"
            ) from error
        if self._ids is None:
            raise Fatal(f"{why}, and more than {MOST_ALIKE} documents have one time; an index on time and _id is needed") from error
        told = self._client.admin.command("ping")["operationTime"]
        log.warning("snapshot ended, going on with a later one", trigger=self._trigger.name, documents=self._n, what=LONGER)
        self.place = replace(self.place, at=told)


class _Inserted:
    """Documents that were inserted behind the first snapshot: the live stream brings them. By their _id, in memory."""

    def __init__(self, client: Client, trigger: Trigger, begun: Timestamp) -> None:
        self._client, self._trigger = client, trigger
        self._from: Document = {"start_at_operation_time": Timestamp(begun.time, begun.inc + 1)}
        self._ids: set[bytes] = set()

    def has(self, id_: Any) -> bool:
        """Whether it came later."""
        return bool(self._ids) and _key(id_) in self._ids

    def up_to(self, at: Timestamp) -> None:
        """Read on to there. Raises HistoryLost where the oplog does not reach back."""
        wanted: list[Document] = [{"$match": {"operationType": "insert"}}, {"$project": {"documentKey": 1, "clusterTime": 1}}]
        table = self._client[self._trigger.database][self._trigger.collection]
        try:
            with table.watch(wanted, max_await_time_ms=AWAIT_MS, batch_size=PAGE, **self._from) as stream:
                while True:
                    change = stream.try_next()
                    if change is not None and change["clusterTime"] <= at:
                        self._ids.add(_key(change["documentKey"]["_id"]))
                        self._from = {"start_after": change["_id"]}
                    elif change is not None or _reached(stream.resume_token, at):
                        return
        except PyMongoError as error:
            told = reaction(error, f"backfill of {self._trigger.name}: reading what was inserted since it began")
            if isinstance(told, HistoryLost):
                raise Fatal(f"{told}. Give it up (--give-up), and begin anew with another trigger name. {LONGER}") from error
            raise told from error


def _reached(token: Mapping[str, Any] | None, at: Timestamp) -> bool:
    told = cluster_of(token)
    return told is not None and told >= (at.time, at.inc)


def _key(id_: Any) -> bytes:
    return bson.encode({"": id_})


def _alike(one: Any, other: Any) -> bool:
    return type(one) is type(other) and _key(one) == _key(other)


def least(places: Iterable[Place]) -> int | None:
    """The time that all records vouch for where some are not in the order of events; None where all are."""
    known = list(places)
    if all(one.by_time for one in known):
        return None
    return min((one.least if one.least is not None else one.begun.time * 1000 for one in known if not one.done), default=None)
