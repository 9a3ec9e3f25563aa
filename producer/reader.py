"""A thread for each change stream: reads, turns changes into records, and hands them over while there is room for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Protocol

import structlog

from config.specs import Trigger
from contract.errors import Retryable
from edge.patience import patiently
from producer.changes import Change, Record, records
from producer.oversize import trimmed
from producer.relay import Position, cost
from producer.source import Captured, Group

log = structlog.get_logger("producer")
SOON = 5.0  # s between two looks at a stream at most: views wait for it
AT_ONCE, BYTES = 200, 1_000_000  # changes and bytes that are handed over together at most


class Stopped(Exception):
    """Told to stop before the work was done; it was not done."""


class Reading(Protocol):
    """What is read: a change stream, or what was there before it."""

    group: Group
    position: Position

    def next(self) -> Captured:
        """As `Source.next`."""

    def more(self) -> bool:
        """As `Source.more`."""

    def close(self) -> None:
        """As `Source.close`."""


class Letters(Protocol):
    """Who keeps what is too large."""

    def too_large(self, record: Record, limit: int) -> None:
        """As `Bookmarks.too_large`."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one look at a stream brought: the records of some changes, in order, or only how far the stream came. size: the bytes
    that they take until they are acknowledged."""

    group: str
    changes: int
    records: list[Record]
    size: int
    too_large: int
    position: Position


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread has met what it cannot go on from."""

    error: BaseException


class Room:
    """How many bytes of one stream may wait between reading and acknowledgement; what is read together is always let in alone.

    Each stream has its own: the one that all others wait for must be able to go on, however much of theirs waits.
    """

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._changed = threading.Condition()
        self._since: float | None = None

    def enter(self, size: int, stop: threading.Event, now: Callable[[], float] = time.monotonic) -> None:
        """Wait until there is room, or until the end."""
        with self._changed:
            while self._held and self._held + size > self._most and not stop.is_set():
                self._since = self._since if self._since is not None else now()
                self._changed.wait(0.2)
            self._since = None
            self._held += size

    def leave(self, size: int) -> None:
        """So many bytes are acknowledged."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()

    @property
    def held(self) -> int:
        """Bytes that wait."""
        return self._held

    @property
    def full_since(self) -> float | None:
        """Since when reading stands still for want of room; None while it does not."""
        return self._since


class Reader:
    """Reads one source until told to stop. MongoDB away: it waits, says so, and goes on where it was."""

    def __init__(
        self, source: Reading, letters: Letters, limit: int, room: Room, inbox: SimpleQueue[Any], stop: threading.Event
    ) -> None:
        self.name = source.group.name
        self._source, self._letters, self._limit, self._room, self._inbox, self._stop = source, letters, limit, room, inbox, stop
        self._wait = waiting(stop)
        self.thread = threading.Thread(target=self._run, name=f"reader-{self.name}", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                read = patiently("MongoDB", self._read, self._wait, longest=SOON)
                self._room.enter(read.size, self._stop)
                self._inbox.put(read)
        except Stopped:
            pass
        except BaseException as error:  # a Fatal is a SystemExit, which a thread would swallow
            self._inbox.put(Broken(error))
        finally:
            self._source.close()

    def _read(self) -> Read:
        """What is here already goes together: a message for each change would cost more than the change."""
        made: list[Record] = []
        changes = size = too_large = 0
        position = self._source.position
        while True:
            try:
                captured = self._source.next()
            except Retryable:
                if not changes:
                    raise
                return Read(self.name, changes, made, size, too_large, position)
            position = captured.position
            if captured.change is not None:
                changes += 1
                for trigger in captured.triggers:
                    for record in self._records(trigger, captured.change):
                        if record.size > self._limit:
                            self._keep(record)
                            too_large += 1
                        else:
                            made.append(record)
                            size += cost(record)
            if captured.change is None or changes >= AT_ONCE or size >= BYTES or not self._source.more():
                return Read(self.name, changes, made, size, too_large, position)

    def _records(self, trigger: Trigger, change: Change) -> list[Record]:
        """Trimmed where one is too large and the trigger says so; what is too large all the same is for `_keep`."""
        made = records(trigger, change)
        largest = max((record.size for record in made), default=0)
        if largest <= self._limit or trigger.oversize != "trim":
            return made
        made = records(trigger, trimmed(change, trigger.trim))
        for record in made:
            log.warning(
                "change too large for Kinesis, trimmed", id=record.id, trigger=trigger.name, bytes=largest, left=record.size
            )
        return made

    def _keep(self, record: Record) -> None:
        """Before the position moves over it. If the process ends first, the change is read again."""
        patiently("MongoDB", lambda: self._letters.too_large(record, self._limit), self._wait, longest=SOON)
        log.error("change too large for Kinesis, kept in dead_letters", id=record.id, trigger=record.trigger, bytes=record.size)


def waiting(stop: threading.Event) -> Callable[[float], None]:
    """How to wait between two tries. Raises Stopped when told to stop before the time is over."""

    def wait(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    return wait
