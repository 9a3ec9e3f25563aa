"""What the server sends us: the triggers' filters as one `$match` of a change stream. Pure.

A trigger's `match` speaks of the document; in a change stream the document is `fullDocument`, so every field moves under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.specs import Trigger
from contract.errors import Misconfigured

Filter = dict[str, Any]
_LISTS = ("$and", "$or", "$nor")


def under(prefix: str, match: Mapping[str, Any]) -> Filter:
    """The same filter for a document that stands in the field `prefix`. Raises Misconfigured for what cannot be moved there.

    >>> under("fullDocument", {"status": {"$ne": "test"}, "$or": [{"a": 1}, {"b.c": 2}]})
    {'fullDocument.status': {'$ne': 'test'}, '$or': [{'fullDocument.a': 1}, {'fullDocument.b.c': 2}]}
    """
    moved: Filter = {}
    for name, wanted in match.items():
        if name in _LISTS:
            moved[name] = [under(prefix, part) for part in wanted]
        elif name.startswith("$"):
            raise Misconfigured(f"{name} cannot be used in a trigger's match; only fields, their operators, $and, $or and $nor")
        else:
            moved[f"{prefix}.{name}"] = wanted
    return moved


def stages(triggers: Sequence[Trigger]) -> list[Filter]:
    """The pipeline of a change stream over these triggers; drops, renames and invalidations come along, to be told of."""
    wanted = [{"ns.db": t.database, "ns.coll": t.collection, **_operations(t)} for t in triggers]
    for database, collection in sorted({(t.database, t.collection) for t in triggers}):
        wanted.append({"ns.db": database, "ns.coll": collection, "operationType": {"$in": ["drop", "rename"]}})
        wanted.append({"ns.db": database, "operationType": "dropDatabase"})
    return [{"$match": {"$or": [*wanted, {"operationType": "invalidate"}]}}]


def _operations(trigger: Trigger) -> Filter:
    """The operations, and the match. A delete always passes: it has no document to ask."""
    if not trigger.match:
        return {"operationType": {"$in": list(trigger.operations)}}
    asked = [op for op in trigger.operations if op != "delete"]
    ways: list[Filter] = [{"$and": [{"operationType": {"$in": asked}}, under("fullDocument", trigger.match)]}]
    return {"$or": ways + ([{"operationType": "delete"}] if "delete" in trigger.operations else [])}


def unsure(trigger: Trigger, triggers: Sequence[Trigger], op: str) -> bool:
    """Whether a change may have come for another trigger's sake, so that the server must be asked about this one's match."""
    if not trigger.match or op == "delete":
        return False
    return any(t is not trigger and (t.database, t.collection) == (trigger.database, trigger.collection) for t in triggers)
