"""Reads source documents and views as they are at one moment, as far as the server can, and deals them out by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as Table
from pymongo.cursor import Cursor
from pymongo.errors import ConfigurationError, OperationFailure

from config.specs import Pipeline, Trigger
from contract.errors import Misconfigured, Rejected
from contract.keys import typed, untyped
from contract.times import date, date_ms, time_ms
from contract.values import get
from query.verify.case import Key
from query.verify.check import HEALTH, Laws, place
from query.verify.rows import Document, Row, as_key
from query.verify.spill import Record, Spill, TooLarge
from query.verify.terms import NEVER, Terms, Watermarks, back
from windows.law.spec import Rolling

Client = MongoClient[dict[str, Any]]
NATIVE: CodecOptions[Document] = CodecOptions(tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_AUTO)
RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
BOOKMARKS = "_bookmarks"  # of the producer
EVERY = 1_000  # documents between two words on how far we are


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know. since: only what ends after it (ms). memory: bytes. order: a field of the source documents that
    grows in the order in which they were written. strict: the source holds all that there was, and all came in time: nothing is
    excused. views: None for all."""

    since: int | None = None
    memory: int = 512_000_000
    order: str | None = None
    strict: bool = False
    views: frozenset[str] | None = None


class Moment:
    """A time at which all is read; without a session it is whenever each document is come by."""

    def __init__(self, client: Client, session: ClientSession | None) -> None:
        self.client, self._session = client, session

    def raw(self, database: str, name: str, wanted: Document, fields: Document | None = None) -> Cursor[RawBSONDocument]:
        """Documents as bytes, each with its place in the collection ($recordId)."""
        table: Table[RawBSONDocument] = Table(self.client[database], name, codec_options=RAW)  # type: ignore[arg-type]
        return table.find(wanted, fields, session=self._session, show_record_id=True)

    def documents(self, database: str, name: str, wanted: Document, order: str | None = None, limit: int = 0) -> list[Document]:
        """A few documents; by a field, its highest value first."""
        table = self.client.get_database(database).get_collection(name, codec_options=NATIVE)
        found = table.find(wanted, session=self._session).limit(limit)
        return list(found.sort(order, -1) if order is not None else found)


@contextmanager
def moment(client: Client, pinned: bool) -> Iterator[Moment]:
    """A moment. Raises Unpinned where the server has no snapshot to read from (a standalone server, a capped collection), or not
    any more (after five minutes, usually), and where it refuses anything else: that it does again without a snapshot."""
    if not pinned:
        yield Moment(client, None)
        return
    try:
        with client.start_session(snapshot=True) as session:
            yield Moment(client, session)
    except (ConfigurationError, OperationFailure) as error:
        raise Unpinned from error


class Unpinned(Exception):
    """All cannot be read as it was at one moment."""


class Source:
    """One trigger's collection and the views that are made of it."""

    def __init__(self, client: Client, spec: Pipeline, trigger: Trigger, question: Question, step: Callable[[int], None]) -> None:
        self.spec, self.trigger, self._question, self._client, self._step = spec, trigger, question, client, step
        self.laws = {route: Laws(spec, trigger, route, question.views) for route in trigger.routes}
        views = [(route, name) for route, laws in self.laws.items() for name in laws.views]
        self.whats: Sequence[tuple[str, str | None]] = [*((route, None) for route in trigger.routes), *views]
        self.rows = 0

    def size(self) -> int:
        """About how many documents there are to read."""
        database = self._client[self.spec.views.database]
        own = self._client[self.trigger.database][self.trigger.collection].estimated_document_count()
        return own + sum(database[name].estimated_document_count() for _, name in self.whats if name is not None)

    def read(self, at: Moment, spill: Spill, keys: Mapping[str, Collection[Hashable]] | None = None) -> Terms:
        """Everything into the spill, or everything of some keys. First the watermarks, then the views, the source last: where all
        is not of one moment, what is newer is in the source, and young."""
        terms = self._terms(at)
        number = {what: n for n, what in enumerate(self.whats)}
        database, since = self.spec.views.database, self._question.since
        for route, laws in self.laws.items():
            for name, key_of in laws.views.items():
                wanted: Document = {}
                if since is not None and any(s.shown_in == name and not isinstance(s.kind, Rolling) for s in laws.sets):
                    wanted["end"] = {"$gt": date(since)}
                if keys is not None:
                    field = "_id" if any(s.shown_in == name and isinstance(s.kind, Rolling) for s in laws.sets) else "key"
                    wanted[field] = {"$in": [untyped(key) for key in keys.get(route, ())]}
                for raw in self._counted(at.raw(database, name, wanted)):
                    key = as_key(key_of(bson.decode(raw, NATIVE)))
                    spill.add(Record(place(route, key), number[route, name], raw))
        self.rows = 0
        for raw in self._counted(at.raw(self.trigger.database, self.trigger.collection, self._wanted(keys), self._fields())):
            document = bson.decode(raw, NATIVE)
            self.rows += 1
            for route in self.trigger.routes:
                try:
                    key = typed(get(document, route))
                except Rejected:
                    continue  # a dead letter: it is nobody's
                if keys is None or key in keys.get(route, ()):
                    spill.add(Record(place(route, key), number[route, None], raw))
        return terms

    def keys(self, spill: Spill) -> Iterator[Key | tuple[TooLarge, str]]:
        """Every key with all that is of it; of one that is too large its counts and its route."""
        now = self._now()
        for part in spill.parts():
            if isinstance(part, TooLarge):
                yield part, self.whats[next(iter(part.counts))][0]
                continue
            found: dict[tuple[str, int], Key] = {}
            while part:
                hash, what, data = part.pop()
                route, view = self.whats[what]
                document = bson.decode(data, NATIVE)
                key = found.get((route, hash))
                if key is None:
                    value = get(document, route) if view is None else self.laws[route].views[view](document)
                    key = found[route, hash] = Key(route, as_key(value), hash)
                if view is None:
                    self._row(key, document, now)
                else:
                    document.pop("$recordId", None)
                    key.docs.setdefault(view, []).append(document)
            while found:
                _, key = found.popitem()
                key.rows.sort(key=lambda row: row.n)
                yield key

    def _row(self, key: Key, document: Document, now: int) -> None:
        order = self._question.order
        n = document.pop("$recordId", 0) if order is None else get(document, order)
        try:
            at = time_ms(get(document, self.trigger.time)) if self.trigger.time is not None else None
        except Rejected:
            return  # a dead letter
        if at is None:
            key.undated = True
        elif at <= now + self.spec.stream.max_future:
            if order is not None and not isinstance(n, (int, float)):
                raise Misconfigured(f"--order {order}: a document of {self.trigger.collection} has no number there")
            key.rows.append(Row(at, n if isinstance(n, (int, float)) else 0, document))

    def _counted(self, found: Cursor[RawBSONDocument]) -> Iterator[bytes]:
        n = 0
        with found:
            for n, document in enumerate(found, 1):
                if n % EVERY == 0:
                    self._step(EVERY)
                yield bytes(document.raw)
        self._step(n % EVERY)

    def _wanted(self, keys: Mapping[str, Collection[Hashable]] | None) -> Document:
        every: list[Document] = [dict(self.trigger.match)] if self.trigger.match else []
        begin, time = self._read_from(), self.trigger.time
        if begin > NEVER and time is not None:  # a text or a number may be a time too; those are looked at one by one
            every.append({"$or": [{time: {"$gte": date(begin)}}, {time: {"$not": {"$type": "date"}}}]})
        if keys is not None:
            every.append({"$or": [{route: {"$in": [untyped(key) for key in own]}} for route, own in keys.items()]})
        return {"$and": every} if every else {}

    def _read_from(self) -> int:
        return NEVER if self._question.since is None else self._question.since - back(self.spec, self.trigger)

    def _fields(self) -> Document | None:
        """Only what is looked at, so that it is less to carry and to keep."""
        paths = {"_id", *self.trigger.routes, *(path for laws in self.laws.values() for path, _ in laws.fields)}
        paths |= {path for path in (self.trigger.time, self._question.order) if path is not None}
        for laws in self.laws.values():
            if laws.fraud is not None:
                paths |= {path for rule in laws.fraud.rules for path in rule.when.fields}
            if laws.carts is not None:
                paths |= {laws.carts.items, laws.carts.value, *laws.carts.purchase.fields}
        if any(re.search(r"^\$|\.\$|^\.|\.\.|\.$", path) for path in paths):
            return None  # no projection can name these
        return {path: 1 for path in paths if not any(path.startswith(f"{other}.") for other in paths)}

    def _terms(self, at: Moment) -> Terms:
        spec, question = self.spec, self._question
        name = {"_id": {"$regex": f"^{re.escape(spec.stream.name)}/"}}
        health = at.documents(spec.views.database, HEALTH, name)
        begun = [d["begun"].time * 1_000 for d in at.documents(spec.views.database, BOOKMARKS, name) if "begun" in d]
        refused: dict[str, int] = {}
        for document in health:
            for view, n in document.get("late_by_set", {}).items():
                refused[view] = refused.get(view, 0) + n
        return Terms(
            watermarks(health),
            self._now(),
            question.strict,
            question.order is not None,
            NEVER if question.since is None else question.since,
            self._read_from(),
            min(begun, default=NEVER),
            began(health),
            refused,
            self._thinned(),
            self._configs(at),
        )

    def _thinned(self) -> bool:
        table = self._client[self.trigger.database][self.trigger.collection]
        return bool(table.options().get("capped")) or any("expireAfterSeconds" in index for index in table.list_indexes())

    def _configs(self, at: Moment) -> Mapping[str, str]:
        """Of the newest signal and score the definition that made them."""
        found: dict[str, str] = {}
        for laws in self.laws.values():
            for view, order, field in (
                (laws.fraud.view if laws.fraud else None, "at", "model"),
                (laws.carts.view if laws.carts else None, "raised_at", "config"),
            ):
                for document in at.documents(self.spec.views.database, view, {}, order, 1) if view is not None else ():
                    found[view or ""] = document.get(field, "")
        return found

    def _now(self) -> int:
        return date_ms(self._client.admin.command("hello")["localTime"])


def began(health: Sequence[Document]) -> Mapping[str, int] | None:
    """By fingerprint, from when on a set has seen everything on every shard. None where a release wrote that does not say so."""
    if not all("since" in document for document in health):
        return None
    found: dict[str, int] = {}
    for document in health:
        for config, told in document["since"].items():
            found[config] = max(found.get(config, NEVER), NEVER if told is None else date_ms(told))
    return found


def watermarks(health: Sequence[Document]) -> Watermarks:
    """How far the views say that they are."""
    told = {d["_id"]: d.get("hashes") for d in health}
    ranges = {shard: (int(hashes[0]), int(hashes[1])) for shard, hashes in told.items() if hashes is not None}
    return Watermarks(ranges, {d["_id"]: NEVER if d["watermark"] is None else date_ms(d["watermark"]) for d in health})
