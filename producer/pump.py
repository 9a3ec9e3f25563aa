"""The producer at work: readers fill the relay, a few threads put its batches, and one loop alone holds the state.

In this order, so that a crash anywhere repeats and never skips: (1) a change is read; (2) its records are put, and again until
each is acknowledged; (3) the group's position moves over it; (4) a heartbeat says so on every open shard; (5) the bookmark is
saved. (4) and (5) tell only what (3) has reached.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import structlog

from config.specs import Stream
from contract.codec import encode
from contract.errors import Fatal, Retryable
from contract.event import Heartbeat
from producer.board import Board, Shown
from producer.bookmark import Bookmark, Bookmarks
from producer.kinesis import Kinesis
from producer.reader import Broken, Read, Reader, Room
from producer.relay import Batch, Limits, Relay
from producer.source import Source

log = structlog.get_logger("producer")
SAVE_EVERY, TELL_EVERY = 1.0, 10.0  # seconds
ROOM = 32_000_000  # bytes between reading and acknowledgement
AT_ONCE = 2_000  # messages taken before batches are made again
END_WITHIN = 30.0  # seconds that an orderly end may take


@dataclass(frozen=True, slots=True)
class Answered:
    """A PutRecords request came back: the places that failed, or the error of the whole."""

    batch: Batch
    failed: Mapping[int, str]
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Done:
    """A heartbeat or a saving of bookmarks is over, with its error if it failed."""

    what: str
    error: BaseException | None


@dataclass(slots=True)
class Figures:
    """What is told: changes read per group, records refused by code, records kept as too large, heartbeats; when bookmarks were
    saved last, s since 1970."""

    captured: dict[str, int] = field(default_factory=dict)
    too_large: int = 0
    heartbeats: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    saved: float | None = None
    told: tuple[float, int] = (0.0, 0)


class Pump:
    """Runs until `stop` is set. Raises Fatal where there is nothing to wait for; what was acknowledged by then is saved."""

    def __init__(
        self,
        stream: Stream,
        sources: Sequence[Source],
        kinesis: Kinesis,
        bookmarks: Bookmarks,
        before: Mapping[str, Bookmark],
        stop: threading.Event,
        board: Board | None = None,
    ) -> None:
        self._board = board or Board(stream.name)
        self.stop, self.inbox = stop, SimpleQueue[Any]()
        self._stream, self._kinesis, self._bookmarks, self._before = stream, kinesis, bookmarks, before
        self._room, limits = Room(ROOM), Limits()
        self._relay = Relay([s.group.name for s in sources], limits)
        self._readers = [Reader(s, bookmarks, limits.record, self._room, self.inbox, self.stop) for s in sources]
        self._figures = Figures(captured={s.group.name: 0 for s in sources})
        self._puts = ThreadPoolExecutor(limits.flying, "put")
        self._side = ThreadPoolExecutor(2, "side")
        self._busy: set[str] = set()
        self._beat_at = self._save_at = self._tell_at = 0.0
        self._beaten: tuple[int, tuple[str, ...]] | None = None

    def run(self) -> None:
        """Relay until told to stop."""
        self._tell_at = time.monotonic() + TELL_EVERY
        self._figures.told = (time.monotonic(), 0)
        for reader in self._readers:
            self._relay.add(reader.name, [], self._before[reader.name].position)
            reader.thread.start()
        try:
            while not self.stop.is_set():
                self._receive()
                self._dispatch()
        finally:
            self._end()

    def _receive(self) -> None:
        """Wait for the next message or the next thing due, and take in what is there."""
        now = time.monotonic()
        wake = min(t for t in (self._beat_at, self._save_at, self._tell_at, self._relay.wake_at()) if t is not None)
        try:
            message = self.inbox.get(timeout=max(0.0, wake - now)) if wake > now else self.inbox.get_nowait()
            for _ in range(AT_ONCE):
                self._take(message)
                message = self.inbox.get_nowait()
            self._take(message)
        except Empty:
            return

    def _take(self, message: Read | Answered | Done | Broken) -> None:
        if isinstance(message, Read):
            self._figures.captured[message.group] += message.changes
            self._figures.too_large += message.too_large
            self._relay.add(message.group, message.records, message.position)
        elif isinstance(message, Answered):
            self._settle(message)
        elif isinstance(message, Broken):
            raise message.error
        else:
            self._busy.discard(message.what)
            if message.error is None and message.what == "bookmark":
                self._figures.saved = time.time()
            if isinstance(message.error, Retryable):
                log.warning("not done, again later", what=message.what, why=str(message.error))
            elif message.error is not None:
                raise message.error

    def _settle(self, answer: Answered) -> None:
        now, spread = time.monotonic(), random.random()
        if answer.error is None:
            self._room.leave(self._relay.answered(answer.batch, answer.failed, now, spread))
            if answer.failed:
                codes = sorted(set(answer.failed.values()))
                for code in answer.failed.values():
                    self._figures.refused[code] = self._figures.refused.get(code, 0) + 1
                log.warning("records refused, again later", records=len(answer.failed), of=len(answer.batch.items), codes=codes)
            return
        least = answer.error.after if isinstance(answer.error, Retryable) else None
        pause = self._relay.unanswered(answer.batch, now, least, spread)
        if not isinstance(answer.error, Retryable):
            raise answer.error
        log.warning("waiting", why=str(answer.error), seconds=round(pause, 2), records=len(answer.batch.items))

    def _dispatch(self) -> None:
        now = time.monotonic()
        while (batch := self._relay.take(now)) is not None:
            self._puts.submit(self._put, batch)
        if now >= self._beat_at:
            self._beat_at = now + self._stream.heartbeat / 1000
            self._heartbeat(now)
        if now >= self._save_at:
            self._save_at = now + SAVE_EVERY
            self._board.show(self._shown())
            marks = self._marks()
            self._aside("bookmark", lambda: self._bookmarks.save(marks))
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY
            self._tell("figures", now)

    def _put(self, batch: Batch) -> None:
        try:
            answer = Answered(batch, self._kinesis.put(batch.records), None)
        except BaseException as error:
            answer = Answered(batch, {}, error)
        self.inbox.put(answer)

    def _heartbeat(self, now: float) -> None:
        """Whole seconds, rounded down: changes of the second that is running may still come."""
        cluster = self._relay.cluster()
        if self._stream.format == "event" and cluster is not None:
            self._aside("heartbeat", lambda: self._beat(cluster[0] * 1000, now))

    def _beat(self, cluster: int, now: float) -> None:
        shards = tuple(self._kinesis.shards(now))
        if self._beaten != (cluster, shards):
            taken = self._kinesis.heartbeat(encode(Heartbeat(cluster)), now)
            self._figures.heartbeats += taken
            self._beaten = (cluster, shards) if taken == len(shards) else None

    def _aside(self, what: str, work: Callable[[], None]) -> None:
        """Do it on a thread beside, unless the one before is not over yet."""
        if what in self._busy:
            return
        self._busy.add(what)

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self.inbox.put(Done(what, error))
            else:
                self.inbox.put(Done(what, None))

        self._side.submit(run)

    def _marks(self) -> dict[str, Bookmark]:
        """What may be saved now."""
        marks = {}
        for name, before in self._before.items():
            position = self._relay.position(name)
            captured = before.captured + self._figures.captured[name]
            relayed = before.relayed + self._relay.acknowledged[name]
            marks[name] = Bookmark(position or before.position, captured, relayed)
        return marks

    def _shown(self) -> Shown:
        relay, figures = self._relay, self._figures
        cluster = relay.cluster()
        return Shown(
            captured=dict(figures.captured),
            acknowledged=sum(relay.acknowledged.values()),
            retries=relay.retries,
            refused=dict(figures.refused),
            too_large=figures.too_large,
            heartbeats=figures.heartbeats,
            waiting=relay.waiting,
            relayed=None if cluster is None else cluster[0],
            saved=figures.saved,
        )

    def _tell(self, event: str, now: float) -> None:
        relay, figures = self._relay, self._figures
        cluster, acknowledged = relay.cluster(), sum(relay.acknowledged.values())
        then, before = figures.told
        figures.told = (now, acknowledged)
        log.info(
            event, captured=sum(figures.captured.values()), relayed=acknowledged + relay.waiting, acknowledged=acknowledged,
            retries=relay.retries, waiting=relay.waiting, too_large=figures.too_large, heartbeats=figures.heartbeats,
            per_second=round((acknowledged - before) / max(now - then, 1e-3)),
            lag=None if cluster is None else max(0, round(time.time() - cluster[0])),
        )  # fmt: skip

    def _end(self) -> None:
        """No more is read or put; what is flying lands, and what it moved is saved."""
        self.stop.set()
        deadline = time.monotonic() + END_WITHIN
        while (self._relay.flying or self._busy) and time.monotonic() < deadline:
            try:
                self._take(self.inbox.get(timeout=0.2))
            except Empty:
                continue
            except BaseException as error:
                log.warning("while ending", why=str(error))
        try:
            self._bookmarks.save(self._marks())
        except (Exception, Fatal) as error:
            log.warning("bookmark not saved: the next start repeats what came since the last one", why=str(error))
        self._puts.shutdown(wait=False, cancel_futures=True)
        self._side.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.thread.join(max(0.5, deadline - time.monotonic()))
        self._tell("ended", time.monotonic())
