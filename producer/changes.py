"""One change of a stream as the records to relay: one event per route, or the bare document. Pure.

A document is serialised once, however many routes there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from config.specs import Trigger
from contract.codec import Packed, encode, pack
from contract.errors import Rejected
from contract.event import Event
from contract.keys import bare_partition_key, partition_key, stray_partition_key, typed
from contract.values import get, time_ms
from producer.projection import projected

Change = Mapping[str, Any]
Document = Mapping[str, Any]


class Backfilled(NamedTuple):
    """Of a document that was there before its trigger, in `backfill` of the change that it is made to be. cluster: ms, what its
    event vouches for; second: its turn in the relay."""

    cluster: int
    second: int


class Record(NamedTuple):
    """What Kinesis gets (partition key and data), and whose it is: the event's id, trigger and route. second: of cluster time, or
    what stands in its place in a backfill."""

    key: str
    data: bytes
    id: str
    trigger: str
    route: str
    second: int

    @property
    def size(self) -> int:
        """Bytes as Kinesis counts them: data and partition key."""
        return len(self.data) + (len(self.key) if self.key.isascii() else len(self.key.encode()))


class _Half(NamedTuple):
    """What one event of a route says: its key, and what is put in and taken out there."""

    key: Any
    partition_key: str
    put: bool
    take: bool


def records(trigger: Trigger, change: Change) -> list[Record]:
    """The records of one insert, update, replace or delete for one trigger."""
    document = change.get("fullDocument")
    before = change.get("fullDocumentBeforeChange") if trigger.before else None
    if trigger.projection:
        document = None if document is None else projected(document, trigger.projection)
        before = None if before is None else projected(before, trigger.projection)
    packed = None if document is None else pack(document)
    if not trigger.envelope:
        return _bare(trigger, change, document, packed)
    packed_before = None if before is None else pack(before)
    written = change["clusterTime"].time * 1000
    backfilled: Backfilled | None = change.get("backfill")
    second = change["clusterTime"].time if backfilled is None else backfilled.second
    made = []
    for route in trigger.routes:
        for half in _halves(route, document, before, change["documentKey"]):
            event = Event(
                id=f"{change['_id']['_data']}/{route}",
                trigger=trigger.name,
                route=route,
                op=change["operationType"],
                key=half.key,
                at=_event_time(trigger, document if half.put else before, written),
                cluster=written if backfilled is None else backfilled.cluster,
                doc_id=change["documentKey"]["_id"],
                origin="stream" if backfilled is None else "backfill",
            )
            data = encode(event, packed if half.put else None, packed_before if half.take else None)
            made.append(Record(half.partition_key, data, event.id, trigger.name, route, second))
    return made


def _bare(trigger: Trigger, change: Change, document: Document | None, packed: Packed | None) -> list[Record]:
    """The document itself, once per route, under the route's value as text; a change without one (a delete) leaves nothing to
    relay."""
    if document is None or packed is None:
        return []
    data, token, backfilled = bytes(packed), change["_id"]["_data"], change.get("backfill")
    second = change["clusterTime"].time if backfilled is None else backfilled.second
    places = [(route, _place(route, document, change["documentKey"], bare=True)[1]) for route in trigger.routes]
    return [Record(place, data, f"{token}/{route}", trigger.name, route, second) for route, place in places]


def _halves(route: str, document: Document | None, before: Document | None, document_key: Document) -> Iterator[_Half]:
    """One event; two where the route's value changed: out on the old key first, then in on the new one."""
    own = document if document is not None else before if before is not None else document_key
    key, place = _place(route, own, document_key)
    if document is None or before is None:
        yield _Half(key, place, document is not None, before is not None)
        return
    old_key, old_place = _place(route, before, document_key)
    if old_place != place:
        yield _Half(old_key, old_place, False, True)
        yield _Half(key, place, True, False)
    else:
        yield _Half(key, place, True, True)


def _place(route: str, document: Document, document_key: Document, bare: bool = False) -> tuple[Any, str]:
    """The route's value and its partition key. What is no key goes by the document's id, for the consumer to reject."""
    value = get(document, route)
    try:
        key = typed(value)
        return value, bare_partition_key(key) if bare else partition_key(route, key)
    except Rejected:
        return value, stray_partition_key(route, document_key["_id"])


def _event_time(trigger: Trigger, document: Document | None, cluster: int) -> int | None:
    """The time field of the document put in, else of the one taken out; without one the cluster time. None: unreadable."""
    if trigger.time is None or document is None:
        return cluster
    try:
        at = time_ms(get(document, trigger.time))
    except Rejected:
        return None
    return cluster if at is None else at
