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
from query.views import DEAD_LETTERS, HEALTH, Doc, Found

SKIPPED = frozenset({"_id", "config", "updated_at", "model", "features", "expires_at", "binary", "record"})
CLASSES = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
WIDE = frozenset({"reasons", "items", "why", "late by set", "dead letters"})
COLOURS = {"block": "bold red", "review": "yellow", "raised": "yellow"}
Cells = Callable[[Found], Sequence[Mapping[str, str]]]  # the rows of a document


def json_lines(found: Sequence[Found]) -> list[str]:
    """`{"view", "document"}`, with `stale` beside them for a rolling value."""
    return [json.dumps(_line(f), ensure_ascii=False, separators=(",", ":")) for f in found]


def show(console: Console, found: Sequence[Found], pipeline: Pipeline, now: datetime, empty: str) -> None:
    """A table for each view, in the order in which they come."""
    if not found:
        console.print(empty)
    for view, group in groupby(found, key=lambda f: f.view):
        console.print(_table(view, list(group), _cells_of(view, pipeline, now)))


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
        return lambda f: [_health(f.document, now)]
    if view == DEAD_LETTERS:
        return lambda f: [_letter(f.document)]
    sets = [s.name for s in pipeline.windows if s.view == view]
    if sets:
        return lambda f: _shared(f, sets, now)
    return lambda f: [_document(f, f.document, now)]


def _shared(f: Found, sets: Sequence[str], now: datetime) -> list[Mapping[str, str]]:
    """A row for each set that shares the view."""
    fixed = {name: value for name, value in f.document.items() if not isinstance(value, dict) or name == "key"}
    return [_document(f, {**fixed, "set": name, **f.document[name]}, now) for name in sets if name in f.document]


def _document(f: Found, document: Doc, now: datetime) -> Mapping[str, str]:
    cells = {name: text(value, name) for name, value in document.items() if name not in SKIPPED}
    if f.stale is None:
        return cells
    return {**cells, "stale": f"for {ago(f.document['expires_at'], now)}" if f.stale else ""}


def _health(document: Doc, now: datetime) -> Mapping[str, str]:
    classes = {name: int(document.get(name, 0)) for name in CLASSES}
    records = int(document.get("records", 0))
    watermark = document.get("watermark")
    return {
        "shard": str(document["_id"]),
        "watermark": text(watermark),
        "behind": ago(watermark, now) if isinstance(watermark, datetime) else "-",
        "records": f"{records:,}"
        if records == sum(classes.values())
        else f"{records:,} (classes add up to {sum(classes.values()):,})",
        **{name.replace("_", " "): f"{n:,}" for name, n in classes.items()},
        "late by set": counts(document.get("late_by_set", {})),
        "dead letters": counts(document.get("dead_letters_by_reason", {})),
    }


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


def ago(then: datetime, now: datetime) -> str:
    """How long ago, for people.

    >>> ago(datetime(2024, 1, 1), datetime(2024, 1, 1, 0, 2))
    '2 min'
    """
    seconds = (now - then) / timedelta(seconds=1)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (unit == "min" and seconds >= 120):
            return f"{seconds / length:.0f} {unit}"
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
    return {**line, "document": to_json(f.document)}
