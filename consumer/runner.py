"""One shard, from records to views: owns it, and sees to it that whatever happens its memory and its store tell the same.

Records go into a life (consumer.life), which begins at the snapshot; what comes of them goes to the store (consumer.commits). Where
the store will not take a document, memory is ahead of what is committed: the records since the snapshot, which are kept for this,
are put into a new life, and smaller parts are tried (consumer.halving). Where another owner's claim has turned out to be nobody's,
they are put into a new life under a new claim.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

import structlog

from config.specs import Pipeline
from consumer.commits import Commits
from consumer.figures import Figures, Owner
from consumer.halving import Halving
from consumer.intake.records import Listed, Raw, Records
from consumer.life import Life, Limits
from consumer.measure import Last, Measure
from consumer.step.pipeline import Seen, ShardPipeline
from consumer.store.contract import EVERYTHING, Cursor, Doc, Due, Effects, HashRange, KeyState, LeftOpen, Position, ShardId, Store
from contract.errors import HistoryLost, Retryable, Unstorable
from contract.values import value
from edge.patience import patiently
from windows.columnar.engine import ColumnarEngine
from windows.engine import Engine, Key

T = TypeVar("T")
Observer = Callable[[Sequence[Seen]], None]
log = structlog.get_logger("shard")
KEPT = 64 << 20  # bytes of records since the snapshot; with more a snapshot is made sooner
USUAL = Limits()
UNKNOWN = Owner()


def columnar(spec: Pipeline) -> Engine:
    """The engine of a pipeline's window sets. Of the values in a batch it knows all but Decimals by itself."""
    return ColumnarEngine(spec.windows, pack=lambda v: str(v).encode(), unpack=lambda data: Decimal(data.decode()))


def wall_ms() -> int:
    """ms since 1970 UTC."""
    return time.time_ns() // 1_000_000


def nobody(*told: object) -> None:
    """Who is told nothing."""


class Runner:
    """Owns a shard from its first claim on. After any error it is of no more use: make a new one.

    Beside the shard there are only options here, each by name and with a default, so that a test can turn one of them.
    observe: called after each commit with the events that went in, and their features; told: with the cursor and what was
    measured, as owner's. wall: the clock of what is measured, ms; no result depends on it. durable=False: for a
    run that is not to be taken up again. overlap: `feed` does not wait for the commits it makes; what they raise is raised by a
    later call.
    """

    def __init__(
        self,
        spec: Pipeline,
        store: Store,
        shard: ShardId,
        hashes: HashRange = EVERYTHING,
        parents: Sequence[ShardId] = (),
        *,
        engine: Callable[[Pipeline], Engine] = columnar,
        limits: Limits = USUAL,
        kept: int = KEPT,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        durable: bool = True,
        overlap: bool = False,
        observe: Observer | None = None,
        told: Callable[[Cursor, Figures], None] = nobody,
        owner: Owner = UNKNOWN,
        wall: Callable[[], int] = wall_ms,
    ) -> None:
        self._spec, self._store, self._shard, self._parents, self._hashes = spec, store, shard, parents, hashes
        self._engine, self._limits, self._now, self._most = engine, limits, now, kept
        self._saved = _Saved(store, hashes, limits.page, self._patiently) if durable else None
        self._wait, self._wall, self._told, self._observed = wait, wall, told, observe is not None
        self._halving = Halving(limits.budget)
        self._measure = Measure(owner, wall, now, spec.stream.format == "document")
        self._usable, self._trying = True, 0
        self._fed: deque[tuple[Position, Records]] = deque()  # since the snapshot, each with its last position
        self._commits = Commits(self._commit, self._claim(), lambda: overlap and not self._halving.begun, observe or nobody)
        self._life = self._new_life()

    @property
    def cursor(self) -> Cursor:
        """How far the views are."""
        return self._commits.cursor

    @property
    def keys(self) -> Collection[Key]:
        """Those in memory."""
        return self._life.keys

    def feed(self, raws: Sequence[Raw]) -> Cursor:
        """Takes records in the order of the stream. The cursor: behind them, all of it committed; with overlap somewhere before
        it. Raises Fenced; HistoryLost where records are missing that the snapshot needs."""
        records = raws if isinstance(raws, Records) else Listed(raws)
        self.keep(records)
        return self._whole(lambda: self._take(records))

    def keep(self, records: Records) -> None:
        """Records that are fed, or to be fed once the shard is claimed again."""
        if len(records) and self._saved is not None:
            self._fed.append((records.position(len(records) - 1), records))

    def rest(self) -> Cursor:
        """There is nothing to read: time for a snapshot, perhaps."""
        return self._whole(self._tend)

    def drain(self) -> Cursor:
        """Everything that was fed is committed."""
        return self._whole(lambda: None, wait=True)

    def flush(self) -> Cursor:
        """Everything committed, and the snapshot where the shard stands."""
        return self._whole(self._save, wait=True)

    def complete(self) -> Cursor:
        """The shard's last record has been fed: as flush, and the cursor says so. Raises HistoryLost where records that the
        snapshot needs did not come."""
        cursor = self.flush()
        if self._life.silent:
            raise HistoryLost(
                f"{self._shard.shard}: the shard has ended, and of the records between the snapshot of its window states, at "
                f"{cursor.snapshot.sequence}, and its views, at {cursor.sequence}, not all have come again"
            )
        return self._whole(lambda: self._life.ended(self._wall()), wait=True)

    def idle(self, now_ms: int) -> Cursor:
        """A stream of bare documents has nothing to read: time follows the wall clock, less `settle`. A stream with heartbeats
        needs no clock, and is left alone."""
        stream = self._spec.stream

        def work() -> None:
            if stream.format == "document":
                self._life.follow(now_ms - stream.settle)
            self._tend()

        return self._whole(work, wait=True)

    def finish(self) -> Cursor:
        """The end of a file: every window closes, every silence is judged. The watermark stays the last true one."""
        return self._whole(self._end, wait=True)

    def reclaim(self) -> Cursor:
        """Own the shard again, though another owner was seen: it is not fed. What was kept since the snapshot goes in again.
        Raises HistoryLost where that is not enough."""
        self._commits.again(self._claim())
        self._life = self._new_life()
        self._usable = True
        return self._whole(self._all_again, wait=True)

    def close(self) -> None:
        """Write no more."""
        self._usable = False
        self._commits.close()

    def _take(self, records: Records) -> None:
        self._put(records)
        self._tend()

    def _put(self, records: Records) -> None:
        """Into the life: all at once, or where something was not taken, few by few what is not committed yet."""
        self._trying = len(records)
        if not self._halving.begun:
            self._life.take(records)
            return
        done = records.passed(*self.cursor.place.position)
        if done:
            self._life.take(Listed(records.some(0, done)))
        while done < len(records):
            some = self._halving.unseen(records.some(done, done + self._halving.budget.rows))
            self._trying = len(some)
            self._life.take(Listed(some))
            done += len(some)

    def _tend(self) -> None:
        """Whatever is not to be done at every batch."""
        self._commits.check()
        while self._fed and self._fed[0][0] <= self.cursor.snapshot.position:
            self._fed.popleft()
        self._life.tend(sum(len(records.data) for _, records in self._fed) > self._most)

    def _save(self) -> None:
        self._life.save()

    def _end(self) -> None:
        self._life.end()

    def _all_again(self) -> None:
        for _, records in self._fed:
            self._put(records)

    def _whole(self, work: Callable[[], None], wait: bool = False) -> Cursor:
        """Done to its end, and the cursor then; or this Runner is done for, as memory and store may differ. wait: until all of it
        is committed. Where the store will not take a document all since the snapshot is put into a new life, with fewer rows at
        once and each part committed before the next, or without the document."""
        if not self._usable:
            raise RuntimeError("this Runner has failed before; make a new one, which takes up what is committed")
        self._usable, self._trying = False, 0
        while not self._done(work, wait):
            self._commits.again(self.cursor)
            self._life = self._new_life()
        self._halving.over()
        self._usable = True
        return self.cursor

    def _done(self, work: Callable[[], None], wait: bool) -> bool:
        """Whether it was done, and nothing was refused."""
        try:
            if self._halving.begun:
                self._all_again()
            work()
            if wait or self._halving.begun:
                self._commits.drain()
            return True
        except Unstorable as error:
            self._halving.failed(error, self._commits.tried)
        except Retryable:
            raise
        except Exception as error:
            if self._commits.failed(error) or self._saved is None or not self._trying:
                raise
            log.error("a record breaks code", shard=self._shard.shard, among=self._trying, why=repr(error), at=_where(error))
            self._halving.broke(error, self._trying)
        return False

    def _commit(self, effects: Effects, last: Last | None) -> Cursor:
        sent = self._measure.begin(last)
        whole = replace(self._halving.without(effects), figures=sent, hashes=self._hashes)
        cursor = self._patiently(lambda: self._store.commit(whole))
        self._told(cursor, self._measure.end(sent, last is not None and last.raw is not None, cursor))
        return cursor

    def _claim(self) -> Cursor:
        return self._patiently(lambda: self._store.open(self._shard, self._parents))

    def _new_life(self) -> Life:
        pipeline = ShardPipeline(self._spec, self._engine(self._spec), self._observed)
        out, saved, halving = self._commits, self._saved, self._halving
        return Life(self._spec, pipeline, self._shard, out, saved, halving, self._limits, self._now, self._look_up)

    def _look_up(self, view: str, ids: Mapping[Hashable, Any]) -> Mapping[Hashable, Doc]:
        """What a view says of other entities, by the hashable form of their `_id`."""
        found: Sequence[Doc] = self._patiently(lambda: self._store.look_up(view, list(ids.values())))
        return {value(document["_id"]): document for document in found}

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What the store says, once it is there."""
        return patiently(f"{self._shard.shard}: the store", ask, self._wait)


def _where(error: Exception) -> str:
    """The innermost line of ours or of a library's that an error came from."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno} in {frame.name}"


class _Saved:
    """What the store has of a shard's keys, asked patiently."""

    def __init__(self, store: Store, hashes: HashRange, page: int, patiently: Callable[[Callable[[], Any]], Any]) -> None:
        self.hashes = hashes
        self._store, self._page, self._patiently = store, page, patiently

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """Their states."""
        states: Mapping[Key, KeyState] = self._patiently(lambda: self._store.load(keys))
        return states

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """Dead letters by `_id`, and by the event that they were counted as."""
        found: Sequence[Doc] = self._patiently(lambda: self._store.letters(ids, events))
        return found

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        """The first and the last end of what a former definition has left open."""
        ends: tuple[int, int] | None = self._patiently(lambda: self._store.left_ends(left, behind))
        return ends

    def left_open(self, left: LeftOpen, until: int, limit: int) -> Sequence[Any]:
        """Some of it, of this shard's keys."""
        ids: Sequence[Any] = self._patiently(lambda: self._store.left_open(left, until, self.hashes, limit))
        return ids

    def due(self, until: int, after: tuple[int, int]) -> Due:
        """A page of those that are due."""
        due: Due = self._patiently(lambda: self._store.due(self.hashes, until, self._page, after))
        return due
