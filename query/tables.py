"""Documents as tables for people (rich), or as JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from bson import DatetimeMS
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.specs import Pipeline
from contract.times import spelled
from contract.values import to_json
from query.views import BOOKMARKS, DEAD_LETTERS, HEALTH, Doc, Found

SKIPPED = frozenset({"_id", "config", "updated_at", "model", "features", "expires_at", "binary", "record"})
CLASSES = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
HOPS = ("arrived", "processed", "sent", "visible")
WIDE = frozenset({"reasons", "items", "why", "late by set", "dead letters", "hops"})
COLOURS = {"block": "bold red", "review": "yellow", "raised": "yellow"}
Cells = Callable[[Found], Sequence[Mapping[str, str]]]  # the rows of a document


def json_lines(found: Sequence[Found]) -> list[str]:
    """`{"view", "document"}`, with `stale` beside them for a rolling value, `behind_seconds` and `stands` for a shard."""
    return [json.dumps(_line(f), ensure_ascii=False, separators=(",", ":")) for f in found]


def show(console: Console, found: Sequence[Found], pipeline: Pipeline, now: datetime, empty: str) -> None:
    """A table for each view, in the order in which they come."""
    if not found:
        console.print(empty)
    for view, group in groupby(found, key=lambda f: f.view):
        own = list(group)
        console.print(_table(view, own, _cells_of(view, pipeline, now)))
        if view == HEALTH:
            console.print(_table("shards", own, lambda f: [_shard(f.document)]))


def _table(view: str, group: Sequence[Found], cells: Cells) -> Table:
    rows = [row for f in group for row in cells(f)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=f"{view} (times in UTC)", title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD)
    for name in columns:
        wide = name in WIDE
        digits = any(row.get(name, "")[:1].isdigit() for row in rows) and all(
            row.get(name, "-")[:1] in "-0123456789" for row in rows
        )
        side: Literal["right", "left"] = "right" if digits else "left"
        table.add_column(name, overflow="fold", no_wrap=not wide, ratio=1 if wide else None, justify=side)
    for row in rows:
        style = next((COLOURS[row[name]] for name in ("decision", "status") if row.get(name) in COLOURS), None)
        table.add_row(*(escape(row.get(name, "")) for name in columns), style="dim" if row.get("stale") else style)
    return table


def _cells_of(view: str, pipeline: Pipeline, now: datetime) -> Cells:
    if view == HEALTH:
        return lambda f: [_health(f)]
    if view == BOOKMARKS:
        return lambda f: [_relay(f.document, now)]
    if view == DEAD_LETTERS:
        return lambda f: [_letter(f.document)]
    sets = [s.name for s in pipeline.windows if s.view == view]
    if sets:
        return lambda f: _shared(f, sets)
    return lambda f: [_document(f, f.document)]


def _shared(f: Found, sets: Sequence[str]) -> list[Mapping[str, str]]:
    """A row for each set that shares the view."""
    fixed = {name: value for name, value in f.document.items() if not isinstance(value, dict) or name == "key"}
    return [_document(f, {**fixed, "set": name, **f.document[name]}) for name in sets if name in f.document]


def _document(f: Found, document: Doc) -> Mapping[str, str]:
    cells = {name: text(value, name) for name, value in document.items() if name not in SKIPPED}
    if f.stale is None:
        return cells
    return {**cells, "stale": f"for {spell(f.behind)}" if f.stale and f.behind is not None else ""}


def _health(f: Found) -> Mapping[str, str]:
    document = f.document
    classes = {name: int(document.get(name, 0)) for name in CLASSES}
    records = int(document.get("records", 0))
    return {
        "shard": str(document["_id"]),
        "watermark": text(document.get("watermark")),
        "behind": _behind(f),
        "records": f"{records:,}"
        if records == sum(classes.values())
        else f"{records:,} (classes add up to {sum(classes.values()):,})",
        **{name.replace("_", " "): f"{n:,}" for name, n in classes.items()},
        "late by set": counts(document.get("late_by_set", {})),
        "dead letters": counts(document.get("dead_letters_by_reason", {})),
    }


def _behind(f: Found) -> str:
    if f.document.get("ended"):
        return "ended"
    return "-" if f.behind is None else spell(f.behind) + (", and stands" if f.stands else "")


def _shard(document: Doc) -> Mapping[str, str]:
    """How long its newest record was on each hop, and what the shard holds."""
    hops, memory, snapshot, owner = (document.get(name) or {} for name in ("hops", "memory", "snapshot", "owner"))
    spent = (f"{name} {spell(timedelta(milliseconds=hops[name]))}" for name in HOPS if hops.get(name) is not None)
    return {
        "shard": str(document["_id"]),
        "newest": text(hops.get("of")),
        "inserted": text(hops.get("inserted")),
        "hops": " > ".join(spent) or "-",
        "keys": text(memory.get("keys")),
        "MB": text(None if "bytes" not in memory else round(memory["bytes"] / 1e6, 1)),
        "snapshot": text(snapshot.get("made_at")),
        "unsaved": text(snapshot.get("behind")),
        "worker": text(owner.get("worker")),
        "epoch": text(owner.get("epoch")),
        "config": text(owner.get("config")),
        "version": text((owner.get("versions") or {}).get("eddy")),
    }


def _relay(document: Doc, now: datetime) -> Mapping[str, str]:
    """The producer: how far it has relayed, and when it said so."""
    said = document.get("updated_at")
    cells = {"group": str(document["_id"]), "relayed up to": text(document.get("up_to"))}
    cells |= {"said": f"{spell(now - said)} ago" if isinstance(said, datetime) else "-"}
    return {**cells, "captured": text(document.get("captured")), "relayed": text(document.get("relayed"))}


def _letter(document: Doc) -> Mapping[str, str]:
    names = ("reason", "trigger", "route", "partition_key", "arrived_at", "why")
    return {name.replace("_", " "): text(document.get(name)) for name in names}


def text(value: Any, name: str = "") -> str:
    """A value for a table's cell.

    >>> text(None), text(1234.5), text(0.25), text([{"rule": "a", "text": "so"}], "reasons")
    ('-', '1,234.5', '0.25', 'so')
    """
    if value is None:
        return "-"
    if isinstance(value, (datetime, DatetimeMS)):
        return spelled(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".") if abs(value) >= 1e-3 or value == 0 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    if name == "reasons" and isinstance(value, list):
        return "; ".join(str(reason.get("text", reason)) if isinstance(reason, dict) else str(reason) for reason in value)
    if isinstance(value, (dict, list)):
        return "; ".join(map(_flat, value)) if isinstance(value, list) else _flat(value)
    return str(value)


def spell(length: timedelta) -> str:
    """How long, for people.

    >>> spell(timedelta(minutes=2)), spell(timedelta(seconds=1.25)), spell(timedelta(milliseconds=7))
    ('2 min', '1.2 s', '7 ms')
    """
    seconds = length / timedelta(seconds=1)
    if -1 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for unit, of in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * of or (unit == "min" and seconds >= 120):
            return f"{seconds / of:.0f} {unit}"
    return f"{seconds:.1f} s"


def counts(found: Mapping[str, int]) -> str:
    """Names and numbers, without the zeros."""
    return ", ".join(f"{name} {n:,}" for name, n in found.items() if n) or "-"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(text(v) for v in value.values())
    return text(value)


def _line(f: Found) -> Doc:
    line: Doc = {"view": f.view} if f.stale is None else {"view": f.view, "stale": f.stale}
    if f.stands is not None and f.behind is not None:
        line |= {"behind_seconds": f.behind / timedelta(seconds=1), "stands": f.stands}
    return {**line, "document": to_json(f.document)}
