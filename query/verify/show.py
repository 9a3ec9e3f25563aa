"""A report for people (rich), or as JSON lines for programs; and a bar that says how far the reading is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from contract.values import to_json
from query.verify.report import REASONS, Count, Example, Report


class Bar:
    """A Watch on a terminal: what is read, how far, and how fast."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", visible=False)

    def begin(self, what: str, total: int) -> None:
        """Something begins that takes about so many steps."""
        self._progress.update(self._task, visible=False)
        self._task = self._progress.add_task(escape(what), total=total)

    def step(self, n: int) -> None:
        """So many are done."""
        self._progress.update(self._task, advance=n)


class Rate(ProgressColumn):
    """Documents a second."""

    def render(self, task: Task) -> Text:
        """As text."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def bar(console: Console) -> Iterator[Bar]:
    """A bar on that console while it is a terminal; nothing elsewhere."""
    columns = (TextColumn("verify: {task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield Bar(progress)


def show(console: Console, report: Report) -> None:
    """A table of the views, examples, notes, and the one line that says it."""
    table = Table(box=SIMPLE_HEAD, header_style="dim")
    for name in ("view", "checked", "differ", "missing", "surplus", "unverifiable"):
        table.add_column(name, overflow="fold", justify="left" if name in ("view", "unverifiable") else "right")
    for view, count in report.views.items():
        why = ", ".join(f"{n:,} {reason}" for reason, n in count.unverifiable.most_common()) or "-"
        cells = (view, *(f"{n:,}" for n in (count.checked, count.differ, count.missing, count.surplus)), why)
        table.add_row(*map(escape, cells), style="bold red" if count.wrong else None)
    console.print(table)
    for example in report.examples:
        console.print(f"  differs: {example}", markup=False, highlight=False, soft_wrap=True)
    for reason in report.unverifiable:
        console.print(f"  {reason}: {REASONS[reason]}", markup=False, highlight=False, soft_wrap=True)
        for hint in (h for h in report.hints if h.verdict == reason):
            console.print(f"    e.g. {hint}", markup=False, highlight=False, soft_wrap=True)
    for note in report.notes:
        console.print(f"  note: {note}", markup=False, highlight=False, soft_wrap=True)
    console.print(report.last_line(), markup=False, highlight=False)


def json_lines(report: Report) -> list[str]:
    """`{"view", "checked", …}` of each view, `{"example"}` each, `{"note"}` each, and last the totals."""
    total = {"differ": report.differ, "checked": report.checked, "unverifiable": report.unverifiable.total()}
    found: list[Mapping[str, Any]] = [_view(name, count) for name, count in report.views.items()]
    found += [{"example": _example(example)} for example in (*report.examples, *report.hints)]
    found += [{"note": note} for note in report.notes]
    return [json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in (*found, {"verify": total})]


def _view(name: str, count: Count) -> Mapping[str, Any]:
    return {
        "view": name,
        "checked": count.checked,
        "differ": count.differ,
        "missing": count.missing,
        "surplus": count.surplus,
        "unverifiable": dict(count.unverifiable),
    }


def _example(example: Example) -> Mapping[str, Any]:
    document = {"view": example.view, "_id": example.id, "verdict": example.verdict, "field": example.wrong.field}
    wrong = {"stored": _plain(example.wrong.stored), "expected": _plain(example.wrong.expected)}
    result: Mapping[str, Any] = to_json({**document, **wrong})
    return result


def _plain(v: Any) -> Any:
    """What JSON can hold: typed values are tuples, and stay readable."""
    return list(v) if isinstance(v, tuple) else v
