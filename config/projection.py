"""A trigger's `projection`: which fields of a document are relayed, in the form that MongoDB knows. Nothing that a record is found
by may be left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from config.names import no_path
from config.specs import Trigger
from config.table import Table, shown


def projection(table: Table) -> dict[str, bool]:
    """Paths, all with True (these are relayed, and `_id`) or all with False (these are not)."""
    given = table.read("projection", dict, {})
    found = dict(_flat(table, "", given))
    if len(set(found.values())) > 1:
        table.problem("projection", "has fields with 1 and fields with 0; say which are relayed, or which are not")
    ordered = sorted(found, key=lambda path: path.split("."))
    for one, other in pairwise(ordered):
        if _inside(other, one):
            table.problem("projection", f"{shown(other)} lies inside {shown(one)}; one of both must go")
    if table.given("projection") and not found and table.right("projection"):
        table.problem("projection", "is empty; name fields, as in projection = { card_id = 1, amount = 1 }, or leave it out")
    return found


def keeps_what_is_needed(table: Table, t: Trigger) -> None:
    """The id, the routes and the time are there whatever else is not."""
    if not t.projection or not table.right("projection", "routes", "time"):
        return
    needed = [(route, "routes names it") for route in t.routes]
    needed += [(t.time, "time names it")] if t.time is not None else []
    if next(iter(t.projection.values())):
        for name, why in needed:
            if name.split(".")[0] != "_id" and not any(_inside(name, kept) for kept in t.projection):
                table.problem("projection", f"leaves out {shown(name)}, and {why}; add it, with 1")
        return
    for name, why in [("_id", "a document is known by it"), *needed]:
        held = next((path for path in t.projection if _inside(name, path) or _inside(path, name)), None)
        if held is not None:
            table.problem("projection", f"leaves out {shown(held)}, and of {name} nothing may be missing: {why}")


def reads(table: Table, t: Trigger, who: str, fields: Iterable[str]) -> None:
    """What is left out is not asked for elsewhere in the file: it would be null for ever."""
    if not t.projection or not table.right("projection"):
        return
    only = next(iter(t.projection.values()))
    for name in sorted(fields):
        kept = name == "_id" or any(_inside(name, path) or _inside(path, name) for path in t.projection)
        gone = not kept if only else any(_inside(name, path) for path in t.projection)
        if gone:
            table.problem("projection", f"leaves out {shown(name)}, which {who} reads")
            return


def _inside(path: str, other: str) -> bool:
    return path == other or path.startswith(f"{other}.")


def _flat(table: Table, prefix: str, given: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """TOML makes tables of a.b = 1; MongoDB means the path."""
    for name, value in given.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value:
            yield from _flat(table, f"{path}.", value)
        elif (why := no_path(path)) is not None:
            table.problem("projection", why)
        elif type(value) not in (int, bool) or value not in (0, 1):
            table.problem("projection", f"{shown(path)} has {shown(value)}; write 1 (it is relayed) or 0 (it is not)")
        else:
            yield path, bool(value)
