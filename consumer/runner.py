"""One shard, from records to commits: loads what is needed, steps the pipeline, and hands on what it brings.

1. Records that memory has passed are dropped.
2. The rest is read into a batch, and the saved states of its keys are loaded.
3. Keys that are due on the way are loaded, page by page; where they are too many for memory, the rows in front of them go first.
4. One part is stepped. Its effects and the cursor go to consumer.commits, and with them a chunk of a snapshot, if one is being
   made (consumer.snapshots). This is done until the batch is in.
5. Keys that were not used for long are forgotten, once their states are saved.

State is not saved with each commit. A new Runner begins where the snapshot stands, and the stream brings the records from there:
those up to the cursor are put into the windows in silence, since their effects are in the views already. A key whose state was
saved further on takes of them only what it does not hold. So a crash between any two steps loses nothing and repeats nothing.

Where the store will not take a document, memory is ahead of what is committed: the records since the snapshot, which are kept for
it, are put in once more from there, and smaller parts are tried (consumer.halving).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from config.specs import Pipeline
from consumer.commits import Commits, Gathered
from consumer.dues import Dues
from consumer.halving import Halving
from consumer.intake.batch import Batch, Budget, Work
from consumer.intake.records import Listed, Raw, Records
from consumer.snapshots import CHUNK, Snapshots
from consumer.step.documents import Changes
from consumer.step.pipeline import Part, Seen, ShardPipeline
from consumer.store.contract import BEFORE_ALL, Counters, Cursor, Due, Effects, HashRange, KeyState, Position, ShardId, Store
from contract.errors import HistoryLost, Misconfigured, Unstorable
from edge.patience import patiently
from windows.columnar.engine import ColumnarEngine
from windows.engine import BY_END, BY_HEARTBEAT, BY_IDLE, END, Engine, Key, StateMismatch

T = TypeVar("T")
Observer = Callable[[Sequence[Seen]], None]
CAP = 50_000  # keys in memory
PAGE = 5_000  # keys loaded at once because something of theirs is due
INTERVAL = 60.0  # s between two snapshots: what is read again after a crash, at worst, and twice that
KEPT = 64 << 20  # bytes of records since the snapshot; with more a snapshot is made sooner
EVERYTHING = HashRange()
A_FEW_THOUSAND = Budget()


def columnar(spec: Pipeline) -> Engine:
    """The engine of a pipeline's window sets. Of the values in a batch it knows all but Decimals by itself."""
    return ColumnarEngine(spec.windows, pack=lambda v: str(v).encode(), unpack=lambda data: Decimal(data.decode()))


class Runner:
    """Owns a shard from its first claim on. After any error it is of no more use: make a new one.

    Beside the shard there are only options here, each by name and with a default, so that a test can turn one of them.
    observe: called after each commit with the events that went in, and their features. durable=False never saves key states and
    never forgets keys, for a run that is not to be taken up again. overlap: `feed` does not wait for the commits it makes; what
    they raise is raised by a later call. interval: s between two snapshots, by the clock `now`; chunk: keys of one saved with one
    commit.
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
        budget: Budget = A_FEW_THOUSAND,
        cap: int = CAP,
        page: int = PAGE,
        interval: float = INTERVAL,
        chunk: int = CHUNK,
        kept: int = KEPT,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        durable: bool = True,
        overlap: bool = False,
        observe: Observer | None = None,
    ) -> None:
        self._store, self._hashes, self._shard = store, hashes, shard
        self._cap, self._page, self._chunk, self._wait, self._now = cap, page, chunk, wait, now
        self._durable, self._observe, self._interval, self._most = durable, observe, interval, kept
        self._bare, self._settle = spec.stream.format == "document", spec.stream.settle
        self._spec, self._engine, self._budget = spec, engine, budget
        self._overlap, self._halving = overlap, Halving(budget)
        self._usable = True
        self._fed: deque[tuple[Position, int, Records]] = deque()  # since the snapshot: up to where, bytes
        cursor = self._patiently(lambda: store.open(shard, parents))
        self._commits = self._new_commits(cursor)
        self._start_over()

    @property
    def cursor(self) -> Cursor:
        """How far the views are."""
        return self._commits.cursor

    def _new_commits(self, cursor: Cursor) -> Commits:
        def commit(effects: Effects) -> Cursor:
            return self._patiently(lambda: self._store.commit(self._halving.without(effects)))

        return Commits(commit, cursor, self._overlap and not self._halving.begun, self._observe or (lambda seen: None))

    def _start_over(self) -> None:
        """Nothing is in memory but where the snapshot stands."""
        self._used: dict[Key, None] = {}  # in order of use
        cursor, snapshot = self.cursor, self.cursor.snapshot
        engine = self._engine(self._spec)
        engine.watermark = snapshot.watermark
        self._pipeline = ShardPipeline(self._spec, engine, self._observe is not None)
        self._dues = Dues(self._ask_due)
        self._snapshots = Snapshots(self._interval, self._now(), self._chunk)
        self._jumps = deque(sorted(cursor.jumps, key=lambda jump: jump.position))
        self._silent = snapshot.position < cursor.place.position or bool(self._jumps)
        self._memory = cursor  # where memory stands, and while all is silent only that of it is true
        if self._silent:
            before = Counters({"control": snapshot.records})
            self._memory = cursor.moved(snapshot.sequence, snapshot.sub, snapshot.watermark, before)

    def feed(self, raws: Sequence[Raw]) -> Cursor:
        """Takes records in the order of the stream. The cursor: behind them, all of it committed; with overlap somewhere before
        it. Raises Fenced; HistoryLost where records are missing that the snapshot needs."""
        records = raws if isinstance(raws, Records) else Listed(raws)

        def work() -> None:
            self._take(records)
            self._tend()

        self._whole(work, records)
        return self.cursor

    def rest(self) -> Cursor:
        """There is nothing to read: time for a snapshot, perhaps."""
        self._whole(self._tend)
        return self.cursor

    def drain(self) -> Cursor:
        """Everything that was fed is committed."""
        self._whole(self._wait_for_commits)
        return self.cursor

    def flush(self) -> Cursor:
        """Everything committed, and the snapshot where the shard stands. Where records that the snapshot needs are still to come
        nothing is to be saved."""

        def work() -> None:
            self._catch_up()
            if not self._silent and self._durable:
                self._save_all()
            self._wait_for_commits()

        self._whole(work)
        return self.cursor

    def idle(self, now_ms: int) -> Cursor:
        """A stream of bare documents has nothing to read: time follows the wall clock, less `settle`. A stream with heartbeats
        needs no clock, and is left alone."""
        watermark = now_ms - self._settle

        def work() -> None:
            self._catch_up()
            if self._bare and not self._silent and watermark > self._memory.watermark:
                self._pass(watermark, BY_IDLE, self._memory.jumped(watermark), ())
                self._forget(())
            self._tend()
            self._wait_for_commits()

        self._whole(work)
        return self.cursor

    def finish(self) -> Cursor:
        """The end of a file: every window closes, every silence is judged. The watermark stays the last true one."""

        def work() -> None:
            self._catch_up()
            self._pass(END, BY_END, self._memory, ())
            self._wait_for_commits()

        self._whole(work)
        return self.cursor

    def close(self) -> None:
        """Write no more."""
        self._usable = False
        self._commits.close()

    def _wait_for_commits(self) -> None:
        self._commits.drain()

    def _take(self, records: Records) -> None:
        """Puts those in that memory has not passed."""
        memory = self._memory
        fresh = records if memory.sequence is None else records.after(memory.sequence, memory.sub)
        if not len(fresh):
            return
        batch = self._pipeline.reader.read(fresh)
        self._load(batch.columns.keys)
        self._catch_up(fresh.position(0))
        silent, stops = self._silence(batch, fresh) if self._silent else (0, ())
        if silent < batch.n:
            self._halving.mark(batch, silent)
        work, begin = self._pipeline.begin(batch), 0
        while begin < batch.n:
            stop = next((stop for stop in stops if stop > begin), batch.n)
            end = self._reach(work, begin, stop)
            if end == begin:
                self._pass(int(work.watermarks[begin]), int(batch.columns.cause[begin]), self._memory, batch.columns.keys)
            while begin < end:
                part = self._pipeline.step(work, begin, end, self._memory, self._part_of)
                rows, begin = part.done - begin, part.done
                self._hand_on(part, rows)
            if begin == stop and self._silent:
                self._catch_up(fresh.position(begin) if begin < batch.n else None)
                self._pipeline.lift(work)
        self._forget(())

    def _silence(self, batch: Batch, fresh: Records) -> tuple[int, Sequence[int]]:
        """Makes a batch ready whose first records are put in in silence: (how many, in front of which rows to stop).

        What a key's state holds already is not put in again, and the time of none is more than what it came to.
        """
        end = fresh.passed(*self.cursor.place.position)
        columns, known, name = batch.columns, self._pipeline.book.known, self._shard.name
        columns.mark[:end] = columns.mark[:end].clip(max=self.cursor.watermark)
        for slot, key in enumerate(columns.keys):
            saved = known.get(key)
            if saved is not None and saved.saved_by == name and saved.saved_at > self._memory.place.position:
                held = min(fresh.passed(*saved.saved_at), end)
                for row in (columns.key[:held] == slot).nonzero()[0].tolist():
                    batch.passed(row)
        return end, sorted({*(fresh.passed(*jump.position) for jump in self._jumps), end})

    @property
    def _part_of(self) -> Budget:
        """How much one part may change."""
        return self._budget if self._silent else self._halving.budget

    def _catch_up(self, following: Position | None = None) -> None:
        """While all is silent: what the wall clock did in front of the following record, None where it is not known; and if that
        lies behind the cursor, the silence is over. Raises HistoryLost where records have not come that must have."""
        while self._silent:
            here, cursor = self._memory.place.position, self.cursor
            if self._jumps and (self._jumps[0].position <= here or (following or BEFORE_ALL) > self._jumps[0].position):
                watermark = self._jumps.popleft().watermark
                if watermark > self._memory.watermark:
                    self._pass(watermark, BY_IDLE, replace(self._memory, watermark=watermark), self._used)
                continue
            if max(here, following or BEFORE_ALL) < cursor.place.position or following == cursor.place.position:
                return
            if self._memory.counters.records != cursor.counters.records:
                missing = cursor.counters.records - self._memory.counters.records
                raise HistoryLost(
                    f"{self._shard.shard}: of the records between the snapshot of the window states at {cursor.snapshot.sequence} "
                    f"and the views at {cursor.sequence}, {missing:,} have not come again: the stream has lost them"
                )
            if cursor.watermark > self._memory.watermark:
                cause = BY_IDLE if self._bare else BY_HEARTBEAT
                self._pass(cursor.watermark, cause, replace(self._memory, watermark=cursor.watermark), self._used)
            self._silent, self._memory = False, cursor
            if self._halving.begun:  # to begin from here, where something is not taken
                self._save_all()

    def _reach(self, work: Work, begin: int, stop: int) -> int:
        """Up to which row everything that is due is in memory. Keys come by due time: those behind a full page are not there."""
        up_to = self._load_due(int(work.watermarks[stop - 1]))
        return stop if up_to is None else begin + int(work.watermarks[begin:stop].searchsorted(up_to))

    def _pass(self, watermark: int, cause: int, moved: Cursor, keep: Collection[Key]) -> None:
        """Time alone, for all keys of the shard, a page of them after the other. `keep` stay in memory."""
        while True:
            up_to = self._load_due(watermark)
            done = 0
            while not done:
                to = moved if up_to is None else self._memory
                part = self._pipeline.pass_time(watermark, cause, self._memory, to, self._part_of)
                done = part.done
                self._hand_on(part, 0)
            if up_to is None:
                return
            if watermark < END:  # behind which nothing is due, and nothing is saved
                self._forget(keep)

    def _ask_due(self, until: int, after: tuple[int, int]) -> Due:
        return self._patiently(lambda: self._store.due(self._hashes, until, self._page, after))

    def _load_due(self, watermark: int) -> int | None:
        """Loads keys that are due by a watermark: up to when they are all there, None if to the end."""
        if not self._durable:
            return None
        keys, up_to = self._dues.page(watermark)
        if keys:
            self._load(keys)
            self._snapshots.touch(self._pipeline.book.moved_on(keys))
        return up_to

    def _load(self, keys: Collection[Key]) -> None:
        known = self._pipeline.book.known
        missing = [key for key in keys if key not in known]
        if missing and self._durable:
            self._take_up(self._patiently(lambda: self._store.load(missing)))
        for key in keys:
            self._used.pop(key, None)
            self._used[key] = None

    def _take_up(self, states: Mapping[Key, KeyState]) -> None:
        try:
            self._pipeline.book.load(states)
        except StateMismatch as error:
            raise Misconfigured(
                f"saved key states: {error}. Run the version of Eddy that wrote them; or drop the views database and delete KCL's "
                "tables, and the stream is read again from its oldest record"
            ) from error

    def _hand_on(self, part: Part, rows: int) -> None:
        """A part's effects to the commits, and with them a chunk of the snapshot that is being made."""
        if self._durable:
            self._snapshots.touch(part.touched)
        before, self._memory = self._memory, part.cursor
        if not self._silent:
            if self._halving.begun and self._durable and not self._snapshots.begun:
                self._snapshots.begin(self._memory.place)
            states = self._some_states() if self._snapshots.begun else ()
            if part.changes or states or self._memory != before:
                self._put(Gathered(self._memory, part.changes, {s.key: s for s in states}, rows, list(part.seen)))

    def _put(self, gathered: Gathered) -> None:
        self._commits.put(gathered)
        self._halving.committed(gathered.rows)

    def _some_states(self) -> Sequence[KeyState]:
        """The next states of the snapshot. With the last of them it stands where it was begun."""
        states = self._states(self._snapshots.chunk())
        place = self._snapshots.end(self._now())
        if place is not None:
            self._memory = self._memory.saved(place)
        return states

    def _states(self, keys: Collection[Key]) -> Sequence[KeyState]:
        """The states of keys as they are here, which are to be committed now."""
        states = self._pipeline.book.states(keys, self._shard.name, self._memory.place.position)
        self._snapshots.saved(keys)
        return states

    def _tend(self) -> None:
        """Whatever is not to be done at every batch: begins a snapshot, or goes on with it."""
        self._commits.check()
        while self._fed and self._fed[0][0] <= self.cursor.snapshot.position:
            self._fed.popleft()
        if self._silent or not self._durable:
            return
        if not self._snapshots.begun:
            crowded = len(self._snapshots.changed) > self._cap // 2 or sum(size for _, size, _ in self._fed) > self._most
            if not (crowded or self._snapshots.wanted(self._now())) or self._memory.snapshot == self._memory.place:
                return
            self._snapshots.begin(self._memory.place)
        self._save()

    def _save(self) -> None:
        """A chunk of the snapshot, in a commit of its own."""
        states = self._some_states()
        self._put(Gathered(self._memory, Changes(), {s.key: s for s in states}))

    def _save_all(self) -> None:
        if self._snapshots.begun or self._snapshots.changed or self._memory.snapshot != self._memory.place:
            while self._snapshots.begun:
                self._save()
            self._snapshots.begin(self._memory.place)
            while self._snapshots.begun:
                self._save()

    def _forget(self, keep: Collection[Key]) -> None:
        """Down to the cap, those that were not used for longest first. What of them has changed is saved before."""
        book = self._pipeline.book
        surplus = len(book.known) - self._cap
        if surplus <= 0 or not self._durable:
            return
        kept = frozenset(keep)
        goes = [key for key in self._used if key not in kept and not (self._silent and key in self._snapshots.changed)]
        goes = goes[: surplus + self._cap // 10]
        self._snapshots.touch(book.moved_on(goes))
        unsaved = [key for key in goes if key in self._snapshots.changed]
        if self._silent:
            goes = [key for key in goes if key not in self._snapshots.changed]
        else:
            for begin in range(0, len(unsaved), self._chunk):
                some = self._states(unsaved[begin : begin + self._chunk])
                self._put(Gathered(self._memory, Changes(), {s.key: s for s in some}))
        if self._commits.saving:
            self._commits.drain()
        self._dues.gone(book.known[key].due for key in goes)
        book.evict(goes)
        for key in goes:
            del self._used[key]

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What the store says, once it is there."""
        return patiently(f"{self._shard.shard}: the store", ask, self._wait)

    def _whole(self, work: Callable[[], None], records: Records | None = None) -> None:
        """Done to its end, or this Runner is done for: memory and store may differ then. Where the store will not take a document,
        all since the snapshot is put in once more, with fewer rows at once or without the document."""
        if not self._usable:
            raise RuntimeError("this Runner has failed before; make a new one, which takes up what is committed")
        self._usable = False
        if records is not None and len(records) and self._durable:
            self._fed.append((records.position(len(records) - 1), len(records.data), records))
        try:
            work()
        except Unstorable as error:
            self._retry(error, work)
        self._usable = True

    def _retry(self, error: Unstorable, work: Callable[[], None]) -> None:
        """Step by step, each committed before the next, until all that was fed is in."""
        self._halving.failed(error, self._commits.tried)
        while True:
            self._commits.close()
            self._commits = self._new_commits(self.cursor)
            self._start_over()
            try:
                for _, _, records in self._fed:
                    self._take(records)
                work()
                break
            except Unstorable as again:
                self._halving.failed(again, self._commits.tried)
        self._halving = Halving(self._budget)
        self._commits = self._new_commits(self.cursor)
