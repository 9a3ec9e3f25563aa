"""What was changed since: the change stream of the past, as far as the oplog reaches, and dead letters.

A source document does not say that it was another one once. The oplog does, for a while, and `read` rights are enough to ask.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import Timestamp
from pymongo.change_stream import ChangeStream
from pymongo.collection import Collection as Table
from pymongo.errors import OperationFailure

from config.specs import Trigger
from contract.errors import Rejected
from contract.values import bson_value, value
from query.verify.rows import Document

HISTORY_LOST = 286
AWAIT_MS = 500
PATIENCE = 30  # empty answers, after which a stream that does not say how far it is counts as read


@dataclass(slots=True)
class History:
    """changed: by id, when last (ms); moved: changes that may have given a document another key or time; reaches: from when on all
    is known (ms), None where nothing is; why_not says why then."""

    changed: dict[Hashable, int] = field(default_factory=dict)
    moved: int = 0
    deleted: int = 0
    reaches: int | None = None
    why_not: str = ""


def history(table: Table[Document], trigger: Trigger, ids: Sequence[Any], begin: int, now: int) -> History:
    """Updates of these documents, changes that may have moved any, and all deletes, from `begin` (ms) on or as far as the oplog
    reaches. The database is watched: a stream of a collection ends where that was dropped or renamed."""
    found, wanted = History(), [{"$match": {"ns.coll": table.name}}, *_pipeline(trigger, ids)]
    wanted_ids = {value(id) for id in ids}
    until = table.database.client.admin.command("ping").get("operationTime")
    if until is None:
        found.why_not = "a standalone server gives no change stream"
        return found
    while found.reaches is None:
        start = Timestamp(max(1, begin // 1_000), 0)
        try:
            with table.database.watch(
                wanted, start_at_operation_time=start, max_await_time_ms=AWAIT_MS, batch_size=1_000
            ) as stream:
                _read(stream, found, until, wanted_ids)
            found.reaches = begin
        except OperationFailure as error:
            if error.code != HISTORY_LOST:
                found.why_not = f"MongoDB gives no change stream (code {error.code})"
                return found
            found = History()
            if begin >= now:
                found.why_not = "the oplog does not reach back"
                return found
            begin += max((now - begin) // 2, 1_000)  # somewhere between there and now the oplog begins
    return found


def _read(stream: ChangeStream[Document], found: History, until: Timestamp, ids: Collection[Hashable]) -> None:
    empty = 0
    while empty < PATIENCE:
        change = stream.try_next()
        if change is None:
            empty += 1
            if _time_of(stream.resume_token) >= (until.time, until.inc):
                return
            continue
        empty = 0
        if change["operationType"] == "delete":
            found.deleted += 1
        else:
            found.moved += bool(change["moved"])
            id = value(change["documentKey"]["_id"])
            if id in ids:
                found.changed[id] = change["clusterTime"].time * 1_000 + 999


def _pipeline(trigger: Trigger, ids: Sequence[Any]) -> list[Document]:
    names = {name for name in (*trigger.routes, trigger.time or "_id", *trigger.match) if "." not in name and "$" not in name}
    touched = [f"updateDescription.updatedFields.{name}" for name in sorted(names)]
    moved = {"$or": [{"$eq": ["$operationType", "replace"]}, *({"$ne": [{"$type": f"${path}"}, "missing"]} for path in touched)]}
    either = [
        {"operationType": "delete"},
        {"operationType": {"$in": ["update", "replace"]}, "documentKey._id": {"$in": list(ids)}},
        {"operationType": "replace"},
        *({path: {"$exists": True}} for path in touched),
    ]
    return [{"$match": {"$or": either}}, {"$project": {"operationType": 1, "documentKey": 1, "clusterTime": 1, "moved": moved}}]


def _time_of(token: Mapping[str, Any] | None) -> tuple[int, int]:
    """The cluster time that a resume token begins with (see producer/source.py); before all time where it is of another form."""
    data = token.get("_data") if token is not None else None
    if not isinstance(data, str) or not data.startswith("82") or len(data) < 18:
        return 0, 0
    return int(data[2:10], 16), int(data[10:18], 16)


def dead_letters(letters: Iterable[Document], ids: Collection[Hashable]) -> Mapping[str, frozenset[Hashable]]:
    """By route, which of these documents' records were dead letters."""
    found: dict[str, set[Hashable]] = {}
    for letter in letters:
        try:
            record = json.loads(letter["record"] or "")
            id = value(bson_value(record["doc_id"] if "doc_id" in record else record["_id"]))
        except (ValueError, KeyError, TypeError, Rejected):
            continue  # it names no document
        if id in ids:
            found.setdefault(letter["route"], set()).add(id)
    return {route: frozenset(own) for route, own in found.items()}
