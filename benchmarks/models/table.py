"""A part of `make bench-models`: its table, and what must hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """A figure that must be at least so much."""

    what: str
    found: float
    least: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.found >= self.least

    def __str__(self) -> str:
        return f"{'met' if self.met else 'NOT MET'}: {self.what} {self.found:.4f} (at least {self.least:g})"


class Part(NamedTuple):
    """What one benchmark says: Markdown, and its lines."""

    title: str
    table: Sequence[str]
    lines: Sequence[Line]
