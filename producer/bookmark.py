"""What the producer keeps in the views database: how far each change stream is relayed, and changes that Kinesis cannot take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bson import Int64, Timestamp
from pymongo import UpdateOne, WriteConcern
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from contract.errors import Fenced
from contract.event import Gap
from edge.mongo import Client, code_of
from producer.changes import Record
from producer.mongo import Document, in_our_words
from producer.relay import Position

BOOKMARKS, DEAD_LETTERS = "_bookmarks", "dead_letters"
EXISTS = 11000  # a document of that _id
PART = 4_000_000  # characters of one dead letter, each up to four bytes: MongoDB takes 16 MB


@dataclass(frozen=True, slots=True)
class Bookmark:
    """A stream's position, everything before which is acknowledged, and its counts: changes captured, records acknowledged.

    The counts go on over restarts; what a crash repeats is counted again. gap: what was skipped in front of the position, and is
    to be told on the stream before anything else.
    """

    position: Position
    captured: int = 0
    relayed: int = 0
    gap: Gap | None = None

    def skipping(self, to: Position, triggers: Sequence[str]) -> Bookmark:
        """Going on from another position. Where that lies further on, what is between, and what was to be told before, is a gap."""
        if to.cluster <= self.position.cluster:
            return replace(self, position=to)
        begin, end, names = self.position.cluster[0] * 1000, to.cluster[0] * 1000 + 999, tuple(triggers)
        if self.gap is not None:
            begin, names = min(begin, self.gap.begin), tuple(dict.fromkeys([*self.gap.triggers, *triggers]))
            end = max(end, self.gap.end)
        return replace(self, position=to, gap=Gap(begin, end, names))


class Bookmarks:
    """The bookmarks of one Kinesis stream's producer. Raises Retryable when MongoDB is away, Misconfigured without rights, Fenced.

    epoch: of the lease that they are written under; None where nobody else can be there.
    """

    def __init__(self, client: Client, database: str, stream: str, epoch: int | None = None) -> None:
        self._db: Database[Document] = client.get_database(database, write_concern=WriteConcern("majority"))
        self._stream, self._epoch = stream, epoch

    def claim(self) -> None:
        """Put our epoch on all there are: from here on no former owner moves one."""
        with in_our_words(f"claiming {self._db.name}.{BOOKMARKS}"):
            older = {"$or": [{"epoch": None}, {"epoch": {"$lte": self._epoch}}]}
            self._db[BOOKMARKS].update_many({"stream": self._stream, **older}, {"$set": {"epoch": self._epoch}})

    def load(self) -> dict[str, Bookmark]:
        """Those there are, by the name of the group of triggers."""
        with in_our_words(f"reading {self._db.name}.{BOOKMARKS}"):
            found = list(self._db[BOOKMARKS].find({"stream": self._stream}))
        return {
            d["group"]: Bookmark(
                Position(d["token"], (d["cluster"].time, d["cluster"].inc)),
                int(d.get("captured", 0)),
                int(d.get("relayed", 0)),
                Gap(int(d["gap"]["begin"]), int(d["gap"]["end"]), tuple(d["gap"]["triggers"])) if d.get("gap") else None,
            )
            for d in found
        }

    def save(self, bookmarks: Mapping[str, Bookmark]) -> None:
        """Write them, safe against the loss of a server. On an idle replica set this is also what moves the cluster time on."""
        with in_our_words(f"writing {self._db.name}.{BOOKMARKS}"):
            new = self._epoch is None
            done = self._db[BOOKMARKS].bulk_write([self._change(g, b, new) for g, b in bookmarks.items()])
            if not new and done.matched_count < len(bookmarks):
                raise Fenced(f"{self._db.name}.{BOOKMARKS}: another producer has claimed the bookmarks")

    def begin(self, bookmarks: Mapping[str, Bookmark]) -> None:
        """Write them where there may be none yet."""
        with in_our_words(f"writing {self._db.name}.{BOOKMARKS}"):
            try:
                self._db[BOOKMARKS].bulk_write([self._change(g, b, True) for g, b in bookmarks.items()])
            except BulkWriteError as error:
                if code_of(error) == EXISTS:  # under another epoch than ours
                    raise Fenced(f"{self._db.name}.{BOOKMARKS}: another producer has claimed the bookmarks") from error
                raise

    def drop(self, groups: Sequence[str]) -> None:
        """Forget groups that no trigger is in any more: a stale bookmark would later bring back long-gone changes."""
        with in_our_words(f"writing {self._db.name}.{BOOKMARKS}"):
            self._db[BOOKMARKS].delete_many({"_id": {"$in": [self._id(group)["_id"] for group in groups]}})

    def too_large(self, record: Record, limit: int) -> None:
        """Keep a record that Kinesis cannot take, whole, as dead letters; more than one where it is too long for one document."""
        text, at = record.data.decode(), datetime.now(UTC)
        parts = [text[i : i + PART] for i in range(0, len(text), PART)]
        with in_our_words(f"writing {self._db.name}.{DEAD_LETTERS}"):
            for number, part in enumerate(parts, 1):
                key: Document = {"stream": self._stream, "event": record.id, "partition_key": record.key}
                key |= {"part": number, "parts": len(parts)} if len(parts) > 1 else {}
                letter = {
                    "reason": "size", "why": f"{record.size} bytes with its partition key; a Kinesis record takes {limit}",
                    "trigger": record.trigger, "route": record.route, "record": part, "binary": None,
                    "partition_key": record.key, "arrived_at": None, "updated_at": at,
                }  # fmt: skip
                self._db[DEAD_LETTERS].replace_one({"_id": key}, letter, upsert=True)

    def _id(self, group: str) -> dict[str, Any]:
        return {"_id": f"{self._stream}/{group}"} | ({} if self._epoch is None else {"epoch": self._epoch})

    def _change(self, group: str, bookmark: Bookmark, new: bool) -> UpdateOne:
        """The bookmark as it is now; the first one says where all of it began, for whoever compares views with their source."""
        begun = Timestamp(*bookmark.position.cluster)
        return UpdateOne(self._id(group), {"$set": self._doc(group, bookmark), "$setOnInsert": {"begun": begun}}, new)

    def _doc(self, group: str, bookmark: Bookmark) -> Document:
        token, cluster, gap = bookmark.position.token, bookmark.position.cluster, bookmark.gap
        skipped = None if gap is None else {"begin": Int64(gap.begin), "end": Int64(gap.end), "triggers": list(gap.triggers)}
        return {
            "stream": self._stream, "group": group, "token": None if token is None else dict(token), "cluster": Timestamp(*cluster),
            "captured": bookmark.captured, "relayed": bookmark.relayed, "gap": skipped, "updated_at": datetime.now(UTC),
        }  # fmt: skip


def first_positions(
    found: Mapping[str, Bookmark],
    names: Sequence[str],
    now: Callable[[], Position],
    from_earlier: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Bookmark]:
    """A bookmark for every group. A group that has none begins where the others stand, so that a trigger that changed its group
    misses nothing; but stored images may not reach back that far, so `images` begins now, as everything does at the first start.

    from_earlier: groups which must begin at this cluster time or before: one of their triggers is relayed up to there only, by
    another group or by a backfill.
    """
    oldest = min((b.position.cluster for b in found.values()), default=None)
    marks: dict[str, Bookmark] = {}
    for name in names:
        least = (from_earlier or {}).get(name)
        if name in found:
            marks[name] = found[name]
        elif least is not None:
            marks[name] = Bookmark(Position(None, least))
        elif oldest is not None and not name.startswith("images"):
            marks[name] = Bookmark(Position(None, oldest))
        else:
            marks[name] = Bookmark(now())
        mark = marks[name]
        if least is not None and least < mark.position.cluster:
            marks[name] = Bookmark(Position(None, least), mark.captured, mark.relayed)
    return marks
