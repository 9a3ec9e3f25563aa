"""What is known of each trigger beside the bookmarks: since when it is relayed, by which stream, and how far a backfill of it is.

A bookmark belongs to a change stream, and which triggers share one changes with the configuration; this belongs to the trigger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import Timestamp
from pymongo import UpdateOne, WriteConcern
from pymongo.database import Database

from edge.mongo import Client
from producer.mongo import Document, in_our_words
from producer.source import Group

TRIGGERS = "_triggers"


@dataclass(frozen=True, slots=True)
class Entry:
    """One trigger. begun: changes behind this cluster time are relayed live. group: the stream that did so last, None before any
    has. live: whether a producer has watched it. backfill: its place (see `backfill.py`), None where there was none."""

    begun: Timestamp
    group: str | None
    live: bool
    backfill: Mapping[str, Any] | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a backfill was begun and is not at its end."""
        return self.backfill is not None and not self.backfill["done"]


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger of a stream says, by trigger."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def since(self, group: Group) -> dict[str, Timestamp]:
        """The triggers whose backfill has all that there was up to then."""
        mine = {t.name: self.entries[t.name] for t in group.triggers if t.name in self.entries}
        return {name: entry.begun for name, entry in mine.items() if entry.backfill is not None}

    def from_earlier(self, groups: Sequence[Group], marks: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
        """Groups of which a trigger is relayed up to this cluster time only: its group of before stands there (marks: where each
        group's bookmark is), or a backfill of it ends there. Stored images may not reach back to where another group stands."""
        found: dict[str, tuple[int, int]] = {}
        for group in groups:
            for entry in (self.entries[t.name] for t in group.triggers if t.name in self.entries):
                then = None
                if not entry.live:
                    then = (entry.begun.time, entry.begun.inc)
                elif entry.group != group.name and group.asks != "images":
                    then = marks.get(entry.group or "")
                if then is not None:
                    found[group.name] = min(then, found.get(group.name, then))
        return found


class Ledger:
    """Of one Kinesis stream's producer. Raises Retryable when MongoDB is away, Misconfigured without rights."""

    def __init__(self, client: Client, database: str, stream: str) -> None:
        self._db: Database[Document] = client.get_database(database, write_concern=WriteConcern("majority"))
        self._stream = stream

    def load(self) -> Known:
        """All of it."""
        with in_our_words(f"reading {self._db.name}.{TRIGGERS}"):
            found = list(self._db[TRIGGERS].find({"stream": self._stream}))
        return Known({d["trigger"]: Entry(d["begun"], d.get("group"), d["live"], d.get("backfill")) for d in found})

    def live(self, groups: Mapping[str, Sequence[str]], since: Mapping[str, tuple[int, int]]) -> None:
        """These groups' triggers are relayed from now on; those that are new since their group's cluster time."""
        changes = [
            UpdateOne(
                {"_id": self._id(trigger)},
                {
                    "$set": {"stream": self._stream, "trigger": trigger, "group": group, "live": True},
                    "$setOnInsert": {"begun": Timestamp(*since[group])},
                },
                upsert=True,
            )
            for group, triggers in groups.items()
            for trigger in triggers
        ]
        with in_our_words(f"writing {self._db.name}.{TRIGGERS}"):
            self._db[TRIGGERS].bulk_write(changes)

    def backfill(self, trigger: str, begun: Timestamp, place: Mapping[str, Any]) -> None:
        """How far a backfill is, and from when on the changes come live."""
        said = {"stream": self._stream, "trigger": trigger, "begun": begun, "backfill": {**place, "updated_at": datetime.now(UTC)}}
        with in_our_words(f"writing {self._db.name}.{TRIGGERS}"):
            self._db[TRIGGERS].update_one(
                {"_id": self._id(trigger)}, {"$set": said, "$setOnInsert": {"live": False, "group": None}}, upsert=True
            )

    def forget(self, trigger: str) -> None:
        """As if it had never been backfilled; what is relayed live stays so."""
        with in_our_words(f"writing {self._db.name}.{TRIGGERS}"):
            self._db[TRIGGERS].delete_one({"_id": self._id(trigger), "live": False})

    def _id(self, trigger: str) -> str:
        return f"{self._stream}/{trigger}"
