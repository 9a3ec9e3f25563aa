"""The page of `make demo`: one look at the pipeline as one screen, or as one line where the output is no terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox.observe import Seen

STEPS = (("written", "in MongoDB"), ("captured", "captured"), ("relayed", "relayed"), ("processed", "processed"))
COLOURS = {"review": "yellow", "block": "bold red", "raised": "yellow", "retracted": "green"}


@dataclass(frozen=True, slots=True)
class Phase:
    """What the demo is at: a title, how long it has run and is to run (seconds; None: nobody knows), and a note below."""

    title: str
    elapsed: float
    of: float | None
    note: str = ""


def page(seen: Seen, phase: Phase) -> RenderableType:
    """The screen."""
    parts: list[RenderableType] = [_head(phase), _flow(seen), _windows(seen)]
    if phase.note:
        parts.insert(1, Text(phase.note, style="bold yellow"))
    return Group(*parts, _scores(seen), _carts(seen))


def line(seen: Seen, phase: Phase) -> str:
    """One line of progress."""
    flow = ", ".join(f"{name} {seen.counts.get(key, 0)} ({seen.rates.get(key, 0):.0f}/s)" for key, name in STEPS)
    still_open, closed = (sum(pair[i] for pair in seen.windows.values()) for i in (0, 1))
    more = f"lag {_seconds(seen.lag)}, watermark {_ago(seen)}, windows {still_open} open {closed} closed"
    alarms = f"scores {seen.decisions.get('review', 0)} review {seen.decisions.get('block', 0)} block, carts left {seen.abandoned}"
    note = f" | {phase.note}" if phase.note else ""
    return f"demo {phase.elapsed:4.0f} s, {phase.title}: {flow} | {more} | {alarms}{note}"


def _head(phase: Phase) -> RenderableType:
    of = "" if phase.of is None else f" of {phase.of:.0f}"
    return Text(f"Eddy  {phase.title}, {phase.elapsed:.0f}{of} s", style="bold")


def _flow(seen: Seen) -> RenderableType:
    table = _table("", "in MongoDB", "captured", "relayed", "processed", "lag: insert to visible", "watermark")
    table.add_row("changes", *(f"{seen.counts.get(key, 0):,}" for key, _ in STEPS), _seconds(seen.lag), _ago(seen))
    troubles = ", ".join(f"{name} {n}" for name, n in seen.troubles.items())
    table.add_row("per second", *(f"{seen.rates.get(key, 0):.0f}" for key, _ in STEPS), "", Text(troubles, style="red"))
    return Panel(table, title="flow (a payment is relayed twice: for its card and for its terminal)", title_align="left")


def _windows(seen: Seen) -> RenderableType:
    table = _table("windows", *seen.windows)
    table.add_row("open", *(f"{still_open:,}" for still_open, _ in seen.windows.values()))
    table.add_row("closed", *(f"{closed:,}" for _, closed in seen.windows.values()))
    return Panel(table)


def _scores(seen: Seen) -> RenderableType:
    table = _table("time", "card", "score", "decision", "reasons")
    for d in seen.scores:
        why = "; ".join(reason["text"] for reason in d["reasons"])
        table.add_row(f"{d['at']:%H:%M:%S}", str(d["key"]), f"{d['score']:.2f}", _coloured(d["decision"]), why)
    counts = ", ".join(f"{n} {name}" for name, n in seen.decisions.items())
    return Panel(table, title=f"latest high scores ({counts or 'none yet'})", title_align="left")


def _carts(seen: Seen) -> RenderableType:
    table = _table("since", "cart", "value", "items", "status")
    for d in seen.carts:
        status = _coloured(d["status"])
        if d["retracted_by"]:
            status.append(f" by {d['retracted_by']}")
        value = "" if d["value"] is None else f"{d['value']:.2f}"
        table.add_row(f"{d['since']:%H:%M:%S}", str(d["key"]), value, _items(d["items"]), status)
    return Panel(table, title=f"latest abandoned carts ({seen.abandoned} raised, {seen.retracted} retracted)", title_align="left")


def _items(items: Sequence[Any]) -> str:
    return ", ".join(f"{item['qty']} x {item['sku']}" if isinstance(item, dict) and "sku" in item else str(item) for item in items)


def _table(*columns: str) -> Table:
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 2))
    for name in columns:
        long = name in ("reasons", "items")
        table.add_column(name, no_wrap=not long, overflow="ellipsis", ratio=1 if long else None)
    return table


def _coloured(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, ""))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _ago(seen: Seen) -> str:
    if seen.watermark is None or seen.behind is None:
        return "-"
    return f"{seen.watermark:%H:%M:%S} ({seen.behind:.0f} s ago)"
