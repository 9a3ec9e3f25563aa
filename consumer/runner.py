"""One shard, from records to commits: loads what is needed, steps the pipeline, commits each part before the next.

1. Records that the cursor has passed are dropped.
2. The rest is read into a batch, and the saved states of its keys are loaded.
3. Keys that are due on the way are loaded, page by page; where they are too many for memory, the rows in front of them go first.
4. One part is stepped, and committed with the changed key states and the cursor. This is done until the batch is in. Where the
   store will not take a document, memory becomes what is committed, and smaller parts are tried: consumer.halving.
5. Keys that were not used for long are forgotten; their states are saved.

A crash between any two of these loses nothing and repeats nothing: a new Runner takes cursor and states up where the last commit
left them, and the records behind the cursor come again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import TypeVar

from config.specs import Pipeline
from consumer.halving import Halving
from consumer.intake.batch import Budget, Work
from consumer.intake.records import Listed, Raw, Records
from consumer.step.pipeline import Part, Seen, ShardPipeline
from consumer.store.contract import Cursor, HashRange, KeyState, ShardId, Store
from contract.errors import Misconfigured, Unstorable
from edge.patience import patiently
from windows.columnar.engine import ColumnarEngine
from windows.engine import BY_END, BY_IDLE, END, Engine, Key, StateMismatch

T = TypeVar("T")
Observer = Callable[[Sequence[Seen]], None]
CAP = 50_000  # keys in memory
PAGE = 5_000  # keys loaded at once because something of theirs is due
EVERYTHING = HashRange()
A_FEW_THOUSAND = Budget()


def columnar(spec: Pipeline) -> Engine:
    """The engine of a pipeline's window sets. Of the values in a batch it knows all but Decimals by itself."""
    return ColumnarEngine(spec.windows, pack=lambda v: str(v).encode(), unpack=lambda data: Decimal(data.decode()))


class Runner:
    """Owns a shard from its first claim on. After any error it is of no more use: make a new one.

    Beside the shard there are only options here, each by name and with a default, so that a test can turn one of them.
    observe: called after each commit with the events that went in, and their features. durable=False never saves key states and
    never forgets keys, for a run that is not to be taken up again.
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
        wait: Callable[[float], None] = time.sleep,
        durable: bool = True,
        observe: Observer | None = None,
    ) -> None:
        self._store, self._hashes, self._shard = store, hashes, shard.shard
        self._cap, self._page, self._wait = cap, page, wait
        self._durable, self._observe = durable, observe
        self._bare, self._settle = spec.stream.format == "document", spec.stream.settle
        self._spec, self._engine, self._budget = spec, engine, budget
        self._usable = True
        self.cursor = self._patiently(lambda: store.open(shard, parents))
        self._start_over()

    def _start_over(self) -> None:
        """Nothing is in memory but where the shard stands."""
        self._used: dict[Key, None] = {}  # in order of use
        engine = self._engine(self._spec)
        engine.watermark = self.cursor.watermark
        self._pipeline = ShardPipeline(self._spec, engine, self._durable, self._observe is not None)

    def feed(self, raws: Sequence[Raw]) -> Cursor:
        """Takes records in the order of the stream; the cursor behind them, all of it committed. Raises Fenced."""
        records = raws if isinstance(raws, Records) else Listed(raws)
        self._whole(lambda: self._take(records))
        return self.cursor

    def _take(self, records: Records) -> None:
        """Takes those whose effects are not in the views yet."""
        fresh = records if self.cursor.sequence is None else records.after(self.cursor.sequence, self.cursor.sub)
        if not len(fresh):
            return
        batch = self._pipeline.reader.read(fresh)
        self._halving.mark(batch)
        self._load(batch.columns.keys)
        work, begin = self._pipeline.begin(batch), 0
        while begin < batch.n:
            end = self._reach(work, begin)
            if end == begin:
                self._pass(int(work.watermarks[begin]), int(batch.columns.cause[begin]), self.cursor, batch.columns.keys)
            while begin < end:
                part = self._pipeline.step(work, begin, end, self.cursor, self._halving.budget)
                self._halving.trying(part.done - begin)
                begin = self._commit(part)
        self._forget(())

    def idle(self, now_ms: int) -> Cursor:
        """A stream of bare documents has nothing to read: time follows the wall clock, less `settle`. A stream with heartbeats
        needs no clock, and is left alone."""
        watermark = now_ms - self._settle
        if self._bare and watermark > self.cursor.watermark:
            moved = self.cursor.moved(self.cursor.sequence, self.cursor.sub, watermark, self.cursor.counters)

            def work() -> None:
                self._pass(watermark, BY_IDLE, moved, ())
                self._forget(())

            self._whole(work)
        return self.cursor

    def finish(self) -> Cursor:
        """The end of a file: every window closes, every silence is judged. The watermark stays the last true one."""
        self._whole(lambda: self._pass(END, BY_END, self.cursor, ()))
        return self.cursor

    def _reach(self, work: Work, begin: int) -> int:
        """Up to which row everything that is due is in memory. Keys come by due time: those behind a full page are not there."""
        _, last = self._load_due(int(work.watermarks[-1]))
        if last is None:
            return work.batch.n
        return begin + int(work.watermarks[begin:].searchsorted(last))

    def _pass(self, watermark: int, cause: int, moved: Cursor, keep: Collection[Key]) -> None:
        """Time alone, for all keys of the shard, a page of them after the other. `keep` stay in memory."""
        before: Collection[Key] = ()
        while True:
            page, last = self._load_due(watermark)
            if last is not None and page == before:
                raise RuntimeError("what was due has been done, and is still due: an engine's fault")
            self._halving.trying(0)
            done = 0
            while not done:
                to = moved if last is None else self.cursor
                done = self._commit(self._pipeline.pass_time(watermark, cause, self.cursor, to, self._halving.budget))
            if last is None:
                return
            self._forget(keep)
            before = page

    def _load_due(self, until: int) -> tuple[Collection[Key], int | None]:
        """Loads the first page of keys that are due by a watermark: (keys, the last one's due time; None: that is all of them)."""
        if not self._durable:
            return (), None
        keys = self._patiently(lambda: self._store.due(self._hashes, until, self._page))
        self._load(keys)
        if len(keys) < self._page:
            return keys, None
        return keys, max(due for due in self._pipeline.book.dues(keys).values() if due is not None)

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

    def _commit(self, part: Part) -> int:
        """Makes a part last, and gives its `done`."""
        effects = self._halving.without(part.effects)
        if effects.cursor != effects.expected or effects.puts or effects.removes or effects.states:
            self.cursor = self._patiently(lambda: self._store.commit(effects))
        self._halving.committed()
        if self._observe is not None and part.seen:
            self._observe(part.seen)
        return part.done

    def _forget(self, keep: Collection[Key]) -> None:
        """Down to the cap, those that were not used for longest first. All are clean: a commit has saved what changed."""
        surplus = len(self._pipeline.book.known) - self._cap
        if surplus <= 0 or not self._durable:
            return
        kept = frozenset(keep)
        goes = [key for key in self._used if key not in kept][:surplus]
        self._pipeline.book.evict(goes)
        for key in goes:
            del self._used[key]

    def _patiently(self, ask: Callable[[], T]) -> T:
        """What the store says, once it is there."""
        return patiently(f"{self._shard}: the store", ask, self._wait)

    def _whole(self, work: Callable[[], None]) -> None:
        """Done to its end, or this Runner is done for: memory and store may differ then. Where the store will not take a document,
        it is begun again from what is committed, with fewer rows at once or without the document."""
        if not self._usable:
            raise RuntimeError("this Runner has failed before; make a new one, which takes up what is committed")
        self._usable = False
        self._halving = Halving(self._budget)
        while True:
            try:
                work()
                break
            except Unstorable as error:
                self._halving.failed(error)
                self._start_over()
        self._usable = True
