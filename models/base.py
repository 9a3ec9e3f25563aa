"""What a model is to the pipeline: pure, given all it reads, without a clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Features = Mapping[str, Mapping[str, Any]]  # window set -> measure -> value, of one event
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as a model sees it. at in ms; document and doc_id with BSON's types."""

    trigger: str
    route: str
    key: Any
    at: int
    token: str
    doc_id: Any
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signal:
    """A document to put into (or, with document None, take out of) a view."""

    collection: str
    id: Any
    document: Doc | None


class Scorer(Protocol):
    """Scores an event from its features."""

    trigger: str
    route: str
    view: str

    def score(self, happening: Happening, features: Features) -> Doc:
        """The view's document, `_id` and all but updated_at."""
        ...


State = TypeVar("State")


class Watcher(Protocol[State]):
    """A signal raised by silence: a small state machine with a deadline, one state a key. All times in ms."""

    trigger: str
    route: str
    view: str

    def on_event(self, state: State | None, happening: Happening, watermark: int) -> tuple[State | None, Sequence[Signal]]:
        """The state after an event that arrived at this watermark, and what it changed. What is due then is judged right after."""
        ...

    def on_time(self, state: State, watermark: int) -> tuple[State | None, Sequence[Signal]]:
        """The state once the watermark has reached its due time, and what that changed. None: nothing to remember."""
        ...

    def due(self, state: State) -> int | None:
        """The watermark at which on_time has something to do."""
        ...

    def dump(self, state: State) -> bytes:
        """Versioned bytes."""
        ...

    def load(self, data: bytes) -> State:
        """Inverse of dump. Raises ValueError for bytes of another version."""
        ...
