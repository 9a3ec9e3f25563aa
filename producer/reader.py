"""A thread for each change stream: reads, turns changes into records, and hands them over while there is room for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import structlog

from edge.patience import patiently
from producer.bookmark import Bookmarks
from producer.changes import Record, records
from producer.relay import Position
from producer.source import Source

log = structlog.get_logger("producer")
SOON = 5.0  # s between two looks at a stream at most: views wait for it


class Stopped(Exception):
    """Told to stop before the work was done; it was not done."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one look at a stream brought: a change's records (changes = 1), or only how far the stream came."""

    group: str
    changes: int
    records: list[Record]
    too_large: int
    position: Position


@dataclass(frozen=True, slots=True)
class Broken:
    """A thread has met what it cannot go on from."""

    error: BaseException


class Room:
    """How many bytes may wait between reading and acknowledgement; one change alone is always let in."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._changed = threading.Condition()

    def enter(self, size: int, stop: threading.Event) -> None:
        """Wait until there is room, or until the end."""
        with self._changed:
            while self._held and self._held + size > self._most and not stop.is_set():
                self._changed.wait(0.2)
            self._held += size

    def leave(self, size: int) -> None:
        """So many bytes are acknowledged."""
        with self._changed:
            self._held -= size
            self._changed.notify_all()


class Reader:
    """Reads one source until told to stop. MongoDB away: it waits, says so, and goes on where it was."""

    def __init__(
        self, source: Source, letters: Bookmarks, limit: int, room: Room, inbox: SimpleQueue[Any], stop: threading.Event
    ) -> None:
        self.name = source.group.name
        self._source, self._letters, self._limit, self._room, self._inbox, self._stop = source, letters, limit, room, inbox, stop
        self._wait = waiting(stop)
        self.thread = threading.Thread(target=self._run, name=f"reader-{self.name}", daemon=True)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                read = patiently("MongoDB", self._read, self._wait, longest=SOON)
                self._room.enter(sum(r.size for r in read.records), self._stop)
                self._inbox.put(read)
        except Stopped:
            pass
        except BaseException as error:  # a Fatal is a SystemExit, which a thread would swallow
            self._inbox.put(Broken(error))
        finally:
            self._source.close()

    def _read(self) -> Read:
        captured = self._source.next()
        if captured.change is None:
            return Read(self.name, 0, [], 0, captured.position)
        made = [record for trigger in captured.triggers for record in records(trigger, captured.change)]
        fitting = [record for record in made if record.size <= self._limit]
        for record in made if len(fitting) < len(made) else ():
            if record.size > self._limit:
                self._keep(record)
        return Read(self.name, 1, fitting, len(made) - len(fitting), captured.position)

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
