"""The producer at work: readers fill the relay, a few threads put its requests, and one loop alone holds the state.

In this order, so that a crash anywhere repeats and never skips: (1) a change is read; (2) its records are put, and again until
each is acknowledged; (3) the group's position moves over it, and what the shard is promised; (4) a heartbeat says so there; (5) the
bookmark is saved. (4) and (5) tell only what (3) has reached.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import structlog

from config.specs import Stream
from contract.codec import encode
from contract.errors import Fatal, Retryable
from contract.event import Heartbeat
from producer.board import Board, Shown
from producer.bookmark import Bookmark
from producer.kinesis import Kinesis, Shards
from producer.reader import Broken, Letters, Read, Reader, Reading, Room
from producer.relay import Limits, Relay, Request

log = structlog.get_logger("producer")
SAVE_EVERY, TELL_EVERY, LIST_EVERY = 1.0, 10.0, 10.0  # seconds
LOOK_EVERY = 30.0  # seconds between two looks at how far back the oplog reaches
LIST_AGAIN = 0.5  # seconds between two askings for shards, where an answer names one that is not known
ROOM = 64_000_000  # bytes between reading and acknowledgement, of all streams together
FULL_FOR = 1.0  # seconds that reading may stand still before it is told
BEHIND = 2  # seconds between shards from which on one counts as behind
AT_ONCE = 2_000  # messages taken before requests are made again
UNHELD = 0.1  # s between two looks whether we may put something again
UNSURE = "the lease has run out, and is not renewed yet"
END_WITHIN = 2.5  # seconds for what is flying to land when told to stop; all of it takes five, as nothing then is lost but time
SAVE_WITHIN = 1.0  # seconds for the last bookmark


@dataclass(frozen=True, slots=True)
class Answered:
    """A PutRecords request came back: the places that failed and the shards that took the rest, or the error of the whole."""

    request: Request
    failed: Mapping[int, str]
    shards: frozenset[str]
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Done:
    """What was done beside is over: saving bookmarks, heartbeats, looking at the shards. shards: those there are, where somebody
    looked. told: what shards were promised. strange: shards that answered and are not known. oldest: see Pump."""

    what: str
    error: BaseException | None = None
    shards: Shards | None = None
    told: Mapping[str, int] = field(default_factory=dict)
    strange: bool = False
    oldest: int | None = None


@dataclass(slots=True)
class Figures:
    """What is told: changes read per group, records refused by code, records kept as too large, heartbeats; when bookmarks were
    saved last, s since 1970."""

    captured: dict[str, int] = field(default_factory=dict)
    too_large: int = 0
    heartbeats: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    saved: float | None = None
    oldest: int | None = None
    told: tuple[float, int] = (0.0, 0)


class Keeping(Letters, Protocol):
    """Who keeps how far everything is."""

    def save(self, bookmarks: Mapping[str, Bookmark]) -> None:
        """As `Bookmarks.save`."""


class Pump:
    """Runs until `stop` is set. Raises Fatal where there is nothing to wait for; what was acknowledged by then is saved.

    held: whether the stream is ours to put something on, which is asked before each request. beats: whether shards are promised
    anything. until: a cluster time up to which to relay, None for ever. oldest: how far back the oplog reaches, s; headroom: s that
    it should reach behind us.
    """

    def __init__(
        self,
        stream: Stream,
        sources: Sequence[Reading],
        kinesis: Kinesis,
        bookmarks: Keeping,
        before: Mapping[str, Bookmark],
        shards: Shards,
        stop: threading.Event,
        limits: Limits | None = None,
        board: Board | None = None,
        held: Callable[[], bool] = lambda: True,
        beats: bool = True,
        until: tuple[int, int] | None = None,
        oldest: Callable[[], int | None] = lambda: None,
        headroom: float = 0.0,
    ) -> None:
        self._beats = beats and stream.format == "event"
        self._board, self._held, self._until = board or Board(stream.name), held, until
        self._oldest, self._wanted, self._short = oldest, headroom, False
        self.stop, self.inbox = stop, SimpleQueue[Any]()
        self._over = threading.Event()  # for the readers: also where we end by ourselves
        self._stream, self._kinesis, self._bookmarks, self._before = stream, kinesis, bookmarks, before
        limits = limits or Limits()
        self._relay = Relay([s.group.name for s in sources], limits, stream.aggregate and stream.format == "event")
        self._relay.reshard(shards)
        self._shards = dict(shards)
        self._rooms = {s.group.name: Room(ROOM // len(sources)) for s in sources}
        self._readers = [Reader(s, bookmarks, limits.record, self._rooms[s.group.name], self.inbox, self._over) for s in sources]
        self._figures = Figures(captured={s.group.name: 0 for s in sources})
        self._puts = ThreadPoolExecutor(limits.flying, "put")
        self._side = ThreadPoolExecutor(4, "side")
        self._busy: set[str] = set()
        self._beat_at = self._save_at = self._tell_at = self._list_at = self._look_at = 0.0
        self._listed = float("-inf")
        self._told: dict[str, int] = {}
        self._full: set[str] = set()
        self._beat_again = False

    def run(self) -> None:
        """Relay until told to stop."""
        self._tell_at = time.monotonic() + TELL_EVERY
        self._list_at = time.monotonic() + LIST_EVERY
        self._figures.told = (time.monotonic(), 0)
        for reader in self._readers:
            self._relay.add(reader.name, [], self._before[reader.name].position)
            reader.thread.start()
        try:
            while not self.stop.is_set() and not self._reached():
                self._receive()
                self._dispatch()
        finally:
            self._end()

    def _reached(self) -> bool:
        """Whether all up to `until` is acknowledged."""
        if self._until is None:
            return False
        return all((at := self._relay.position(name)) is not None and at.cluster >= self._until for name in self._rooms)

    def _receive(self) -> None:
        """Wait for the next message or the next thing due, and take in what is there."""
        now = time.monotonic()
        relay = self._relay.wake_at() if self._held() else now + UNHELD
        dues = (self._beat_at, self._save_at, self._tell_at, self._list_at, relay)
        wake = min(t for t in dues if t is not None)
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
            self._beside_done(message)

    def _beside_done(self, done: Done) -> None:
        self._busy.discard(done.what)
        if done.what == "heartbeat" and self._beat_again:
            self._beat_at, self._beat_again = 0.0, False
        if done.shards is not None and done.shards != self._shards:
            self._reshard(done.shards)
        self._told.update({shard: second for shard, second in done.told.items() if shard in self._shards})
        self._figures.heartbeats += len(done.told)
        if done.error is None and done.what == "bookmark":
            self._figures.saved = time.time()
        if done.error is None and done.what == "oplog":
            self._figures.oldest = done.oldest
            self._watch_headroom()
        if done.strange:
            self._look_at_shards()
        if isinstance(done.error, Retryable):
            log.warning("not done, again later", what=done.what, why=str(done.error))
        elif done.error is not None:
            raise done.error

    def _reshard(self, shards: Shards) -> None:
        """What waits goes to where it lies now, and each new shard hears at once how far it is."""
        log.info(
            "shards changed", gone=sorted(self._shards.keys() - shards.keys()), new=sorted(shards.keys() - self._shards.keys())
        )
        self._relay.reshard(shards)
        self._shards = dict(shards)
        self._told = {shard: second for shard, second in self._told.items() if shard in shards}
        self._beat_at, self._beat_again = 0.0, "heartbeat" in self._busy

    def _settle(self, answer: Answered) -> None:
        now, spread = time.monotonic(), random.random()
        if answer.error is None:
            for group, size in self._relay.answered(answer.request, answer.failed, now, spread).items():
                self._rooms[group].leave(size)
            if not answer.shards <= self._shards.keys():
                self._look_at_shards()
            if answer.failed:
                codes = sorted(set(answer.failed.values()))
                for code in answer.failed.values():
                    self._figures.refused[code] = self._figures.refused.get(code, 0) + 1
                log.warning("records refused, again later", records=len(answer.failed), of=len(answer.request.entries), codes=codes)
            return
        least = answer.error.after if isinstance(answer.error, Retryable) else None
        pause = self._relay.unanswered(answer.request, now, least, spread)
        if not isinstance(answer.error, Retryable):
            raise answer.error
        log.warning("waiting", why=str(answer.error), seconds=round(pause, 2), records=answer.request.records)

    def _look_at_shards(self) -> None:
        """A shard that nobody knew took something: look soon, but not for every answer that names it."""
        self._list_at = min(self._list_at, self._listed + LIST_AGAIN)

    def _dispatch(self) -> None:
        now = time.monotonic()
        while self._held() and (request := self._relay.take(now)) is not None:
            self._puts.submit(self._put, request)
        if now >= self._list_at:
            self._list_at, self._listed = now + LIST_EVERY, now
            self._aside("shards", lambda: Done("shards", shards=self._kinesis.shards()))
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._aside("oplog", lambda: Done("oplog", oldest=self._oldest()))
        if now >= self._beat_at:
            self._beat_at = now + self._stream.heartbeat / 1000
            self._heartbeat()
        if now >= self._save_at:
            self._save_at = now + SAVE_EVERY
            self._board.show(self._shown())
            marks = self._marks()
            self._aside("bookmark", lambda: self._save(marks))
            self._watch_rooms(now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_EVERY
            self._tell("figures", now)

    def _put(self, request: Request) -> None:
        try:
            if not self._held():  # it waited for its thread, or the process was paused
                raise Retryable(UNSURE)
            done = self._kinesis.put([(entry.key.name, entry.data) for entry in request.entries])
            answer = Answered(request, done.failed, done.shards, None)
        except BaseException as error:
            answer = Answered(request, {}, frozenset(), error)
        self.inbox.put(answer)

    def _heartbeat(self) -> None:
        """Whole seconds, rounded down: changes of the second that is running may still come."""
        if not self._beats or not self._held():
            return
        promises = self._relay.promises()
        news = {shard: second for shard, second in promises.items() if self._told.get(shard) != second}
        if news:
            uneven = max(promises.values()) - min(promises.values()) >= BEHIND
            shards = self._shards
            self._aside("heartbeat", lambda: self._beat(news, shards, uneven))

    def _beat(self, news: Mapping[str, int], shards: Shards, uneven: bool) -> Done:
        """A promise goes to a hash, and after a merge another shard has it, which the one that is behind is part of now. So where
        one is behind the shards are looked at first, and nothing is promised if they are others than we thought."""
        if uneven and (now := self._kinesis.shards()) != shards:
            return Done("heartbeat", shards=now)
        if not self._held():
            raise Retryable(UNSURE)
        data = {second: encode(Heartbeat(second * 1000)) for second in set(news.values())}
        taken, found = self._kinesis.heartbeats({shard: (shards[shard][0], data[second]) for shard, second in news.items()})
        return Done("heartbeat", told={shard: news[shard] for shard in taken}, strange=not found <= shards.keys())

    def _save(self, marks: Mapping[str, Bookmark]) -> Done:
        self._bookmarks.save(marks)
        return Done("bookmark")

    def _aside(self, what: str, work: Callable[[], Done]) -> None:
        """Do it on a thread beside, unless the one before is not over yet."""
        if what in self._busy:
            return
        self._busy.add(what)

        def run() -> None:
            try:
                done = work()
            except BaseException as error:
                done = Done(what, error, strange=what == "heartbeat" and isinstance(error, Retryable))
            self.inbox.put(done)

        self._side.submit(run)

    def _headroom(self) -> int | None:
        """Seconds by which the oplog reaches back behind what is relayed; None: nothing was cut off, or nobody can say."""
        oldest, marks = self._figures.oldest, self._marks().values()
        return None if oldest is None else min(mark.position.cluster[0] for mark in marks) - oldest

    def _watch_headroom(self) -> None:
        """Say when the oplog comes near to losing what is not relayed yet, and when it does no more."""
        left = self._headroom()
        short = left is not None and left < self._wanted
        if short != self._short:
            hours = None if left is None else round(left / 3600, 1)
            (log.warning if short else log.info)("oplog headroom", short=short, hours=hours, limit=round(self._wanted / 3600, 1))
        self._short = short

    def _watch_rooms(self, now: float) -> None:
        """Say when reading stands still because too much waits, and when it goes on."""
        full = self._stopped(now)
        for group in sorted(full - self._full):
            log.warning("reading stands still", group=group, bytes=self._rooms[group].held, behind=self._behind())
        for group in sorted(self._full - full):
            log.info("reading goes on", group=group)
        self._full = full

    def _stopped(self, now: float) -> set[str]:
        since = {group: room.full_since for group, room in self._rooms.items()}
        return {group for group, at in since.items() if at is not None and now - at >= FULL_FOR}

    def _behind(self) -> dict[str, dict[str, int]]:
        """The shards that are behind the foremost one: by how many seconds, and with how many records."""
        promises = self._relay.promises()
        first = max(promises.values(), default=0)
        waiting = {lane.shard: lane.waiting for lane in self._relay.lanes}
        return {
            shard: {"seconds": first - second, "waiting": waiting[shard]}
            for shard, second in promises.items()
            if first - second >= BEHIND
        }

    @property
    def acknowledged(self) -> int:
        """Records, since the start."""
        return sum(self._relay.acknowledged.values())

    def health(self, now: float) -> dict[str, Any]:
        """How the relay is: what it did, what waits, which shards are behind, and which streams are not read for want of room."""
        relay, figures = self._relay, self._figures
        acknowledged = self.acknowledged
        slowest = min(relay.promises().values(), default=None) if self._beats or self._stream.format != "event" else None
        return {
            "captured": sum(figures.captured.values()), "relayed": acknowledged + relay.waiting, "acknowledged": acknowledged,
            "retries": relay.retries, "waiting": relay.waiting, "bytes": sum(room.held for room in self._rooms.values()),
            "too_large": figures.too_large, "heartbeats": figures.heartbeats, "throttled": sum(n.throttled for n in relay.lanes),
            "behind": self._behind(), "standing_still": sorted(self._stopped(now)),
            "headroom": self._headroom(), "lag": None if slowest is None else max(0, round(time.time() - slowest)),
        }  # fmt: skip

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
        return Shown(
            captured=dict(figures.captured),
            acknowledged=sum(relay.acknowledged.values()),
            retries=relay.retries,
            refused=dict(figures.refused),
            too_large=figures.too_large,
            heartbeats=figures.heartbeats,
            waiting=relay.waiting,
            relayed=min(relay.promises().values(), default=None),
            saved=figures.saved,
            headroom=self._headroom(),
        )

    def _tell(self, event: str, now: float) -> None:
        health = self.health(now)
        then, before = self._figures.told
        self._figures.told = (now, health["acknowledged"])
        log.info(event, **health, per_second=round((health["acknowledged"] - before) / max(now - then, 1e-3)))

    def _end(self) -> None:
        """No more is read or put; what is flying lands, and what it moved is saved."""
        self._over.set()
        deadline = time.monotonic() + END_WITHIN
        while (self._relay.flying or self._busy) and time.monotonic() < deadline:
            try:
                self._take(self.inbox.get(timeout=0.2))
            except Empty:
                continue
            except BaseException as error:
                log.warning("while ending", why=str(error))
        try:
            if "bookmark" in self._busy:  # an older one that hangs: it must not come after a newer one
                raise Retryable("the saving before it is not over")
            self._side.submit(self._bookmarks.save, self._marks()).result(SAVE_WITHIN)
        except (Exception, Fatal) as error:
            log.warning(
                "bookmark not saved: the next start repeats what came since the last one",
                why=str(error) or "MongoDB does not answer",
            )
        self._puts.shutdown(wait=False, cancel_futures=True)
        self._side.shutdown(wait=False, cancel_futures=True)
        for reader in self._readers:
            reader.thread.join(max(0.1, deadline - time.monotonic()))
        self._tell("ended", time.monotonic())
