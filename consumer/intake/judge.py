"""What a change asks of the windows, and the letter that is kept of a record which could not be used."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from config.specs import Trigger
from consumer.intake.records import Raw
from consumer.store.contract import Cursor, Doc, ShardId
from consumer.store.layout import DEAD_LETTERS, shard_key
from contract.errors import Rejected, Unstorable
from contract.event import Event
from contract.times import date, time_ms
from contract.values import get

MOST = 200  # characters of an _id that are shown
TOO_LATE = Rejected("late", "every window set that reads it had closed its windows, and no longer kept them")


def asked(trigger: Trigger, event: Event) -> tuple[bool, bool]:
    """(put, take): whether the event's document goes in and its pre-image comes out. Neither: it is ignored.

    Raises Rejected("envelope") for an insert of nothing.
    """
    has = event.document is not None
    if event.op == "insert":
        if not has:
            raise Rejected("envelope", "an insert without a document")
        return True, False
    out = trigger.before and event.before is not None
    if event.op == "delete":
        return False, out and trigger.deletes == "retract"
    if trigger.before:
        return has, out
    return has and trigger.updates == "new_event", False


def old_time(trigger: Trigger, event: Event) -> int:
    """The event time of the value to take out, ms. Where the pre-image has none that can be read: the change's cluster time."""
    try:
        at = time_ms(get(event.before or {}, trigger.time)) if trigger.time is not None else None
    except Rejected:
        at = None
    return event.cluster if at is None else at


class Again(NamedTuple):
    """A dead letter whose record has come again. by: the place where it came."""

    letter: Doc
    by: Doc

    def came_to(self, outcome: str, event: Event | None, cause: Rejected | None = None) -> tuple[str, Doc]:
        """The same letter, with the class of its record now: counted, or a repeat of one that was; of any other class, when it may
        be put in once more. event: whose id tells other letters of the same change. cause: why it is dead again."""
        letter = {name: field for name, field in self.letter.items() if name != "updated_at"}
        if cause is not None:
            letter |= {"reason": cause.reason, "why": cause.why}
        if event is not None:
            letter |= {"trigger": event.trigger, "route": event.route}
        letter["requeued"] = {"outcome": outcome, "event": (event.id or None) if event is not None else None, "by": self.by}
        return DEAD_LETTERS, letter


def place(shard: ShardId, raw: Raw) -> Doc:
    """Where a record lies: the `_id` of the letter that it would become."""
    return {**shard_key(shard), "sequence": str(raw.sequence), "sub": raw.sub}


def letter(shard: ShardId, raw: Raw, event: Event | None, cause: Rejected) -> tuple[str, Doc]:
    """The dead letter of a record: a contract.views.DeadLetterDoc but for updated_at, and its collection."""
    try:
        text, binary = raw.data.decode(), None
    except UnicodeDecodeError:
        text, binary = None, raw.data
    return DEAD_LETTERS, {
        "_id": place(shard, raw),
        "reason": cause.reason,
        "why": cause.why,
        "trigger": event.trigger if event else None,
        "route": event.route if event else None,
        "record": text,
        "binary": binary,
        "partition_key": raw.partition_key,
        "arrived_at": None if raw.arrived is None else date(raw.arrived),
    }


def refusal(cursor: Cursor, collection: str, document: Doc, cause: Unstorable) -> tuple[str, Doc]:
    """The dead letter of a document that belongs to no one record, and that the store does not take: what stands in its place."""
    name = repr(document["_id"])
    told = hashlib.sha256(f"{collection} {name}".encode(errors="replace")).hexdigest()[:32]
    return DEAD_LETTERS, {
        "_id": {**shard_key(cursor.shard), "sequence": str(cursor.sequence), "sub": cursor.sub, "document": told},
        "reason": "refused",
        "why": f"{cause}; its _id: {name[:MOST]}".encode(errors="replace").decode(),
        "trigger": None,
        "route": None,
        "record": None,
        "binary": None,
        "partition_key": None,
        "arrived_at": None,
    }
