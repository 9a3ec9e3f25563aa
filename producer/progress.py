"""How far a backfill is: a bar on a terminal, a line in the log elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import TracebackType

import structlog
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

log = structlog.get_logger("producer")
EVERY = 10.0  # s between two lines


class Rate(ProgressColumn):
    """Documents a second."""

    def render(self, task: Task) -> Text:
        """As text."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


class Progress:
    """Of several triggers. totals: about how many documents each has; done: how many are through already."""

    def __init__(
        self, totals: Mapping[str, int], done: Mapping[str, int], console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        columns = (TextColumn("backfill: {task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
        self._bars = Bars(*columns, console=console, disable=not console.is_terminal)
        self._tasks = {name: self._bars.add_task(escape(name), total=total, completed=done[name]) for name, total in totals.items()}
        self._totals, self._clock = totals, clock
        self._last = {name: (clock(), n) for name, n in done.items()}
        self._quiet = not console.is_terminal

    def at(self, trigger: str, n: int) -> None:
        """So many of its documents are through."""
        self._bars.update(self._tasks[trigger], completed=n, total=max(n, self._totals[trigger]))
        now = self._clock()
        then, before = self._last[trigger]
        if now - then >= EVERY and self._quiet:
            rate = round((n - before) / (now - then))
            log.info("backfilling", trigger=trigger, documents=n, of=self._totals[trigger], per_second=rate)
            self._last[trigger] = (now, n)

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()
