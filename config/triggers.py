"""[stream] and [[trigger]]: what is watched, and the stream that it is relayed into."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from config.names import collection_name, database_name, no_path, path, stream_name, word
from config.projection import keeps_what_is_needed, projection
from config.specs import ALL, Stream, Trigger
from config.table import Table, shown
from contract.errors import Rejected
from contract.event import Op
from contract.extjson import INT64, unheld
from contract.values import bson_value
from windows.law.shown import cut

OPERATIONS: tuple[Op, ...] = ("insert", "update", "replace", "delete")
TOLD = frozenset({"drop", "rename", "dropDatabase", "invalidate"})
REFUSED = frozenset({"$expr", "$where", "$text", "$near", "$nearSphere", "$jsonSchema", "$function", "$comment"})
JOINING = frozenset({"$and", "$or", "$nor"})
TYPES = frozenset("$oid $date $numberDecimal $numberLong $numberInt $numberDouble $uuid $binary $timestamp".split())
MAX_SHARDS = 10_000
DEEPEST = 50  # levels of a filter; the server takes twice as many, and ours stands within others


def stream(table: Table) -> Stream:
    """[stream]."""
    shards = table.read("shards", int, 2)
    if table.right("shards") and not 1 <= shards <= MAX_SHARDS:
        table.problem("shards", f"{shown(shards)} is not from 1 to {MAX_SHARDS}")
    result = Stream(
        name=stream_name(table, "name"),
        format=table.choice("format", ("event", "document"), "event"),
        shards=shards,
        out_of_order=table.duration("out_of_order", 0),
        settle=table.duration("settle", 5_000),
        max_future=table.duration("max_future", 300_000, positive=True),
        idle=table.duration("idle", 60_000, positive=True),
        heartbeat=table.duration("heartbeat", 1_000, positive=True),
        aggregate=table.read("aggregate", bool, True),
    )
    if result.format == "document" and table.data.get("aggregate") is True:
        table.problem("aggregate", 'cannot be true with format = "document": bare documents are for whoever reads the stream')
    table.finish()
    return result


def trigger(table: Table, into: Stream) -> Trigger:
    """One [[trigger]]."""
    bare = into.format == "document"
    result = Trigger(
        name=word(table, "name", 'a name, as in name = "transactions"'),
        database=database_name(table, "database", "", 'the database that is watched, or "*" for all', all_too=True),
        collection=collection_name(table, "collection", 'the collection that is watched, or "*" for all of the database'),
        routes=_routes(table),
        time=path(table, "time", "at") if table.given("time") else None,
        operations=_operations(table),
        full_document=table.read("full_document", bool, True),
        match=_match(table),
        before=table.read("before", bool, False),
        updates=table.choice("updates", ("ignore", "new_event"), "ignore"),
        deletes=table.choice("deletes", ("retract", "ignore"), "retract"),
        envelope=table.read("envelope", bool, not bare),
        oversize=table.choice("oversize", ("dead_letter", "trim"), "dead_letter"),
        trim=table.texts("trim", ()),
        projection=projection(table),
        enabled=table.read("enabled", bool, True),
    )
    table.known.append("time")
    _together(table, result)
    _everywhere(table, result)
    keeps_what_is_needed(table, result)
    _oversize(table, result)
    _bare(table, result, bare)
    table.finish()
    return result


def _routes(table: Table) -> tuple[str, ...]:
    routes = table.texts("routes", (), 'the fields that are keys, as in routes = ["card_id"]')
    if table.right("routes") and not routes:
        table.problem("routes", "is empty; at least one field must be a key")
    for name in routes:
        if (why := no_path(name)) is not None:
            table.problem("routes", why)
        elif len(name) > 100:
            table.problem("routes", f"{shown(name)} is longer than 100 characters")
    return routes


def _operations(table: Table) -> tuple[Op, ...]:
    words = table.texts("operations", OPERATIONS)
    for name in words:
        if name not in OPERATIONS:
            why = "; it changes no document: it is logged, and never relayed" if name in TOLD else ""
            table.problem("operations", f'"{cut(name)}" is not one of {", ".join(OPERATIONS)}{why}')
    if not words:
        table.problem("operations", f"is empty; some of {', '.join(OPERATIONS)} must be there")
    return tuple(op for op in OPERATIONS if op in words)


def _together(table: Table, t: Trigger) -> None:
    """What one setting asks of another."""
    if t.before and table.given("match"):
        table.problem("match", "cannot go with before = true, as deletes could not be matched; use `where` in the window sets")
    if t.before and not t.full_document:
        table.problem("full_document", "must be true with before = true: the new value is needed to put it in")
    if t.before and table.given("updates"):
        table.problem("updates", "has no meaning with before = true: an update takes the old value out and puts the new one in")
    if not t.before and table.data.get("deletes") == "retract":
        table.problem("deletes", '"retract" needs before = true: without the old document nothing can be taken out')


def _everywhere(table: Table, t: Trigger) -> None:
    """A watch of more than one collection."""
    if t.database == ALL and t.collection != ALL and table.right("collection"):
        table.problem("collection", 'must be "*" with database = "*"; name the database to watch one collection')
    if t.collection == ALL and t.before:
        table.problem("before", 'cannot be true with collection = "*": images are switched on collection by collection')


def _oversize(table: Table, t: Trigger) -> None:
    """What may be left out is named, and is nothing that a record is found by."""
    if t.oversize == "trim" and not t.trim and table.right("trim"):
        table.problem("trim", 'missing; with oversize = "trim" name the fields that may be left out, as in trim = ["photo"]')
    if t.trim and t.oversize != "trim" and table.right("oversize"):
        table.problem("trim", 'has a meaning only with oversize = "trim"')
    kept = ("_id", *t.routes, *([t.time] if t.time is not None else []))
    for name in t.trim:
        if (why := no_path(name)) is not None:
            table.problem("trim", why)
        elif (
            held := next((k for k in kept if k == name or k.startswith(f"{name}.") or name.startswith(f"{k}.")), None)
        ) is not None:
            table.problem("trim", f"{shown(name)} cannot be left out: {held} says where a record belongs")


def _bare(table: Table, t: Trigger, bare: bool) -> None:
    """Bare documents carry no trigger, no route and no cluster time, so these must be plain from here."""
    if not bare:
        if not t.envelope:
            table.problem("envelope", 'false needs [stream] format = "document", else the consumer takes no record of it')
        return
    if t.envelope:
        table.problem("envelope", 'must be false, or left out, with [stream] format = "document"')
    if t.before:
        table.problem("before", 'cannot be true with [stream] format = "document": bare documents carry no old value')
    if t.time is None and table.right("time"):
        table.problem("time", 'missing; with [stream] format = "document" the document itself must say when it happened')
    if len(t.routes) > 1:
        table.problem("routes", 'must be one with [stream] format = "document": a bare document does not say which it is for')


def _match(table: Table) -> dict[str, Any]:
    given = table.read("match", dict, {})
    found = {name: _filter(table, name, value, DEEPEST, top=True) for name, value in given.items()}
    if table.right("match") and (why := unheld(found)) is not None:
        table.problem("match", why)
    return found


def _filter(table: Table, name: str, value: Any, levels: int, top: bool) -> Any:
    """A MongoDB filter with BSON's types in it, as the server runs it over a change's document. top: where fields are named."""
    if name in REFUSED or (top and name.startswith("$") and name not in JOINING):
        table.problem(
            "match", f"{cut(name)} cannot be used in a trigger; only fields, their operators and {', '.join(sorted(JOINING))}"
        )
    elif "\0" in name:
        table.problem("match", f"{cut(name)!r} has a zero byte, which no name in MongoDB has")
    if top and name in JOINING and not (isinstance(value, list) and value and all(isinstance(part, dict) for part in value)):
        table.problem("match", f"{name} takes a list of filters, [{{ ... }}, ...]")
        return []
    if isinstance(value, (list, dict)) and not levels:
        table.problem("match", f"is nested deeper than {DEEPEST} levels")
        return None
    if isinstance(value, list):
        return [_filter(table, "", part, levels - 1, top=top and name in JOINING) for part in value]
    if isinstance(value, dict):
        if TYPES.intersection(value):
            return _typed(table, value)
        return {k: _filter(table, k, v, levels - 1, top=top and name in ("", *JOINING)) for k, v in value.items()}
    return _single(table, value)


def _single(table: Table, value: Any) -> Any:
    if isinstance(value, int) and not -INT64 <= value < INT64:
        table.problem("match", f"holds {shown(value)}, and MongoDB's have 64 at most")
    elif not isinstance(value, (str, int, float, datetime)) or (isinstance(value, datetime) and value.tzinfo is None):
        table.problem("match", f"{value} is a local date or time; write a date with its time and zone")
    elif isinstance(value, datetime) and unheld(value) is not None:
        table.problem("match", f"{value} lies outside the years 1 to 9999 in UTC; write a date within them")
    return value


def _typed(table: Table, value: dict[str, Any]) -> Any:
    try:
        found = bson_value(value, strict=True)
    except (Rejected, OverflowError) as error:
        table.problem("match", error.why if isinstance(error, Rejected) else f"no value of BSON: {error}")
        return None
    if (why := unheld(found)) is not None:
        table.problem("match", why)
        return None
    return found
