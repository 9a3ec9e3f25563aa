"""What the server sends us: the triggers' filters as one `$match` of a change stream. Pure.

A trigger's `match` speaks of the document; in a change stream the document is `fullDocument`, so every field moves under it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from config.specs import ALL, Trigger
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
    wanted = [{**_where(t), **_operations(t)} for t in triggers]
    told: list[Filter] = []
    for t in triggers:
        told.append({**_where(t), "operationType": {"$in": ["drop", "rename"]}})
        told.append({**_where(t, "to"), "operationType": "rename"})
        told.append({**({"ns.db": t.database} if t.database != ALL else _where(t)), "operationType": "dropDatabase"})
    unlike = [one for place, one in enumerate(told) if one not in told[:place]]
    return [{"$match": {"$or": [*wanted, *unlike, {"operationType": "invalidate"}]}}]


def in_doubt(one: Trigger, other: Trigger) -> bool:
    """Whether a change that the server sends for one of both may not be the other's, and nothing in it says so: they share a
    collection and an operation, and what they match differs. Such triggers have streams of their own."""
    shared = {*one.operations}.intersection(other.operations) - {"delete"}
    return bool(shared) and one.match != other.match and _meet(one, other)


def _meet(one: Trigger, other: Trigger) -> bool:
    def alike(a: str, b: str) -> bool:
        return a == b or ALL in (a, b)

    return alike(one.database, other.database) and alike(one.collection, other.collection)


def _where(t: Trigger, field: str = "ns") -> Filter:
    """The namespaces that a trigger watches."""
    found: Filter = {} if t.database == ALL else {f"{field}.db": t.database}
    if t.apart is not None:
        found[f"{field}.db"] = {"$ne": t.apart}
    return found if t.collection == ALL else found | {f"{field}.coll": t.collection}


def _operations(trigger: Trigger) -> Filter:
    """The operations, and the match. A delete always passes: it has no document to ask."""
    if not trigger.match:
        return {"operationType": {"$in": list(trigger.operations)}}
    asked = [op for op in trigger.operations if op != "delete"]
    ways: list[Filter] = [{"$and": [{"operationType": {"$in": asked}}, under("fullDocument", trigger.match)]}]
    return {"$or": ways + ([{"operationType": "delete"}] if "delete" in trigger.operations else [])}
