"""What a shard has in memory, from the snapshot on: records go in, parts come out, keys come and go.

1. Records that memory has passed are dropped.
2. The rest is read into a batch, and the saved states of its keys are loaded.
3. Keys that are due on the way are loaded, page by page; where they are too many for memory, the rows in front of them go first.
4. One part is stepped. Its effects and the cursor go to consumer.commits, and with them a chunk of a snapshot, if one is being
   made (consumer.snapshots). This is done until the batch is in.
5. Keys that were not used for long are forgotten, once their states are saved.

A life begins where the snapshot stands, and the stream brings the records from there. Those up to the cursor are put into the
windows in silence: their effects are in the views already, timers included. A key whose state was saved further on takes of them
only what it does not hold. So a crash between any two steps loses nothing and repeats nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from config.specs import Pipeline
from consumer.commits import Commits, Gathered, size_of
from consumer.dues import Dues
from consumer.halving import Halving
from consumer.intake.batch import Batch, Budget, Work
from consumer.intake.records import Listed, Records
from consumer.left_open import Asked, Closer, taken_over
from consumer.measure import Last
from consumer.snapshots import Snapshots
from consumer.step.documents import Changes
from consumer.step.early import Early
from consumer.step.pipeline import Part, ShardPipeline
from consumer.step.requeued import requeue
from consumer.store.contract import (
    BEFORE_ALL,
    EVERYTHING,
    Counters,
    Cursor,
    Doc,
    Due,
    HashRange,
    KeyState,
    Place,
    Position,
    Segments,
    ShardId,
)
from contract.errors import HistoryLost, Misconfigured, Rejected
from contract.keys import bare_partition_key
from windows.engine import BY_END, BY_HEARTBEAT, BY_IDLE, END, NEVER, Key, StateMismatch

MEMORY = 512_000_000  # bytes of keys in memory
A_KEY = 1_000  # bytes of a key beside its windows: what is known of it, and what watchers remember
PAGE = 5_000  # keys loaded at once because something of theirs is due
CHUNK, CHUNK_BYTES = 1_000, 4 << 20
AT_ONCE = 2_000  # documents that have waited, in one commit
FEW = 50  # keys whose states are made before it is asked how large they are
AS_BEFORE = "as before"  # why, of what is done in silence
LookUp = Callable[[str, Mapping[Hashable, Any]], Mapping[Hashable, Doc]]
INTERVAL = 60.0  # s between two snapshots: about as much is read again after a crash


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once. budget: of a part. memory: bytes of keys, and cap: their number. page: keys that are due loaded at once.
    interval: s between two snapshots; chunk: keys, and bytes, of one that are saved with a commit."""

    budget: Budget = field(default_factory=Budget)
    memory: int = MEMORY
    cap: int = 1 << 40
    page: int = PAGE
    interval: float = INTERVAL
    chunk: int = CHUNK
    chunk_bytes: int = CHUNK_BYTES


class Saved(Asked, Protocol):
    """What is in the store of the keys of a shard, which has these hashes; it is asked until it is there."""

    hashes: HashRange

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        """Their states."""
        ...

    def due(self, until: int, after: tuple[int, int]) -> Due:
        """Those that are due by a time."""
        ...

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """The dead letters of these `_id`s, and those that were counted as these events."""
        ...


def _nothing(view: str, ids: Mapping[Hashable, Any]) -> Mapping[Hashable, Doc]:
    return {}


class Life:
    """look_up: what the store says of other entities, `_id`s by their hashable form.

    saved=None: key states are neither loaded nor saved, and keys never forgotten, for a run that is not to be taken up again.
    now: a clock in s, of which only differences count."""

    def __init__(
        self,
        spec: Pipeline,
        pipeline: ShardPipeline,
        shard: ShardId,
        out: Commits,
        saved: Saved | None,
        halving: Halving,
        limits: Limits,
        now: Callable[[], float],
        look_up: LookUp = _nothing,
    ) -> None:
        self._pipeline, self._shard, self._out, self._saved, self._halving = pipeline, shard, out, saved, halving
        self._look_up = look_up
        self._limits, self._now, self._bare = limits, now, spec.stream.format == "document"
        self._used: dict[Key, None] = {}  # in order of use
        self._snapshots = Snapshots(limits.interval, now())
        self._dues = None if saved is None else Dues(self._due)
        self._early = Early(spec.views.refresh)
        self._closer = None if saved is None else Closer(saved, out.drain)
        cursor, snapshot = begun(out.cursor, spec, saved), out.cursor.snapshot
        self._law = cursor  # what of it is this configuration's
        pipeline.begin_at(snapshot.watermark)
        self._jumps = deque(sorted(cursor.jumps, key=lambda jump: jump.position))
        self._skips = dict(cursor.skips)
        self._silent = snapshot.position < cursor.place.position or bool(self._jumps)
        self.cursor = cursor  # where memory stands; while all is silent, as it was then
        if self._silent:
            before = Counters({"control": snapshot.records})
            self.cursor = cursor.moved(snapshot.sequence, snapshot.sub, snapshot.watermark, before)

    @property
    def silent(self) -> bool:
        """Whether records that the snapshot needs are still to come."""
        return self._silent

    @property
    def keys(self) -> Collection[Key]:
        """Those in memory."""
        return self._pipeline.book.known

    def take(self, records: Records) -> None:
        """Puts in those that memory has not passed, in the order of the stream. Raises HistoryLost."""
        cursor = self.cursor
        fresh = records if cursor.sequence is None else records.after(cursor.sequence, cursor.sub)
        if not len(fresh):
            return
        skips = self._skipped(fresh) if self._silent and self._skips else {}
        if "fault" in skips.values():
            fresh = _unseen(fresh, skips)
        batch = self._pipeline.reader.read(fresh)
        for row, reason in skips.items():
            if reason == "refused":
                batch.condemn(row, Rejected(reason, AS_BEFORE))
        self._load(self._own(batch, self._saved.hashes) if self._bare and self._saved is not None else batch.columns.keys)
        self._catch_up(fresh.position(0))
        silent, stops = self._silence(batch, fresh) if self._silent else (0, ())
        if batch.requeued:
            requeue(batch, silent, self._shard, self._letters)
        stops = sorted({*stops, *batch.gaps, *(row + 1 for row in batch.gaps)})  # such a row is a part of its own
        if silent < batch.n:
            self._halving.mark(batch, silent)
        work, begin = self._pipeline.begin(batch), 0
        if silent < batch.n:
            work.looked = {
                (view, name): document
                for view, ids in self._pipeline.wanted(batch).items()
                for name, document in self._look_up(view, ids).items()
            }
        while begin < batch.n:
            if begin in batch.gaps and begin >= silent:
                self._all_in()
            stop = next((stop for stop in stops if stop > begin), batch.n)
            end = self._reach(work, begin, stop)
            if end == begin:
                self._pass(int(work.watermarks[begin]), int(batch.columns.cause[begin]), batch.columns.keys)
                end = begin + 1  # what is due now is what only this row's time, once it is the shard's, makes forgotten
            while begin < end:
                part = self._pipeline.step(work, begin, end, self.cursor, self._budget)
                rows, begin = part.done - begin, part.done
                self._hand_on(part, rows)
            if begin == stop and self._silent:
                self._catch_up(fresh.position(begin) if begin < batch.n else None)
                self._pipeline.lift(work)
        self._forget(())

    def _all_in(self) -> None:
        """What comes now says of all that was written before that it is not complete: so it has to be there."""
        self._refresh()
        self._out.drain()

    def follow(self, watermark: int) -> None:
        """The wall clock moves time, where a stream of bare documents has nothing to read."""
        self._catch_up()
        if not self._silent and watermark > self.cursor.watermark:
            self._pass(watermark, BY_IDLE, (), lambda cursor: cursor.jumped(watermark))
            self._forget(())

    def end(self) -> None:
        """The end of a file: every window closes, every silence is judged. The watermark stays the last true one."""
        self._catch_up()
        self._pass(END, BY_END, ())
        self._refresh()

    def tend(self, crowded: bool) -> None:
        """Begins a snapshot, or goes on with it; sooner where the records since the last one are a crowd."""
        if self._silent or self._saved is None:
            return
        self._close()
        if not self._snapshots.begun:
            if not (crowded or self._full() or self._snapshots.wanted(self._now())):
                return
            if self.cursor.snapshot == self.cursor.place:
                return
            self._settle()
            self._snapshots.begin(self.cursor.place)
        self._save()

    def save(self) -> None:
        """A whole snapshot, where the shard stands. While records that the last one needs are still to come nothing is saved."""
        self._catch_up()
        if self._silent or self._saved is None:
            return
        self._close()
        while self._snapshots.begun:
            self._save()
        self._settle()
        if self._snapshots.changed or self.cursor.snapshot != self.cursor.place:
            self._snapshots.begin(self.cursor.place)
            while self._snapshots.begun:
                self._save()

    def ended(self, at: int) -> None:
        """The shard was read to its end, and all of it is saved. at: when, ms since 1970 UTC."""
        if self.cursor.ended is None:
            self.cursor = replace(self.cursor, ended=at)
            self._put(Gathered(self.cursor, Changes()))

    def _skipped(self, fresh: Records) -> dict[int, str]:
        """Which rows were dead letters though they can be read, and why."""
        rows = {fresh.passed(*position) - 1: reason for position, reason in self._skips.items()}
        return {row: reason for row, reason in rows.items() if row >= 0 and fresh.position(row) in self._skips}

    def _own(self, batch: Batch, hashes: HashRange) -> Sequence[Key]:
        """The keys of bare documents that lie on this shard; the records of all others are refused. Their senders chose where they
        lie, and two shards would keep windows of one key, neither knowing of the other."""
        keys = batch.columns.keys
        if hashes == EVERYTHING:
            return keys
        strange = [slot for slot in range(len(keys)) if not hashes.low <= batch.hashes[slot] <= hashes.high]
        for slot in strange:
            right = bare_partition_key(keys[slot][1])
            for row in (batch.columns.key == slot).nonzero()[0].tolist():
                given = batch.raws[row].partition_key
                why = f"the partition key is {given!r}; the value of its route as text, {right!r}, would lie on another shard"
                batch.refuse(row, Rejected("key", why))
        return [key for slot, key in enumerate(keys) if slot not in frozenset(strange)]

    @property
    def _budget(self) -> Budget:
        """How much one part may change."""
        return self._limits.budget if self._silent else self._halving.budget

    def _silence(self, batch: Batch, fresh: Records) -> tuple[int, Sequence[int]]:
        """Makes a batch ready whose first records are put in in silence: (how many, in front of which rows to stop).

        What a key's state holds already is not put in again, and the time of none is more than what it came to.
        """
        cursor = self._out.cursor
        end = fresh.passed(*cursor.place.position)
        columns, known, name = batch.columns, self._pipeline.book.known, self._shard.name
        columns.mark[:end] = columns.mark[:end].clip(max=cursor.watermark)
        for slot, key in enumerate(columns.keys):
            found = known.get(key)
            if found is not None and found.saved_by == name and found.saved_at > self.cursor.place.position:
                held = min(fresh.passed(*found.saved_at), end)
                for row in (columns.key[:held] == slot).nonzero()[0].tolist():
                    batch.passed(row)
        return end, sorted({*(fresh.passed(*jump.position) for jump in self._jumps), end})

    def _catch_up(self, following: Position | None = None) -> None:
        """While all is silent: what the wall clock did in front of the following record, None where it is not known; and if that
        lies behind the cursor, the silence is over. Raises HistoryLost where records have not come that must have."""
        while self._silent:
            here, there = self.cursor.place.position, self._out.cursor.place
            if self._jumps and (self._jumps[0].position <= here or (following or BEFORE_ALL) > self._jumps[0].position):
                self._pass_to(self._jumps.popleft().watermark, BY_IDLE)
                continue
            if max(here, following or BEFORE_ALL) < there.position or following == there.position:
                return
            if self.cursor.counters.records != there.records:
                raise HistoryLost(_missing(self._out.cursor, self.cursor.counters.records))
            self._pass_to(there.watermark, BY_IDLE if self._bare else BY_HEARTBEAT)
            law = self._law
            self.cursor = replace(self._out.cursor, since=law.since, kept=law.kept, left_open=law.left_open)
            self._silent = False
            if self._halving.begun:  # to begin from here, where something is not taken
                self.save()

    def _pass_to(self, watermark: int, cause: int) -> None:
        """In silence time goes on to what is known of it."""
        if watermark > self.cursor.watermark:
            self._pass(watermark, cause, self._used, lambda cursor: replace(cursor, watermark=watermark))

    def _reach(self, work: Work, begin: int, stop: int) -> int:
        """Up to which row everything that is due is in memory. Keys come by due time: those behind a full page are not there."""
        up_to = self._load_due(int(work.watermarks[stop - 1]))
        return stop if up_to is None else begin + int(work.watermarks[begin:stop].searchsorted(up_to))

    def _pass(
        self, watermark: int, cause: int, keep: Collection[Key], move: Callable[[Cursor], Cursor] = lambda same: same
    ) -> None:
        """Time alone, for all keys of the shard, a page of them after the other. `keep` stay in memory. move: what becomes of the
        cursor with the last part; where it stands by then is known only then, as snapshots may have moved on the way."""
        while True:
            up_to = self._load_due(watermark)
            done = 0
            while not done:
                to = move(self.cursor) if up_to is None else self.cursor
                part = self._pipeline.pass_time(watermark, cause, self.cursor, to, self._budget)
                done = part.done
                self._hand_on(part, 0)
            if up_to is None:
                return
            if watermark < END:  # behind which nothing is due, and nothing is saved
                self._forget(keep)

    def _load_due(self, watermark: int) -> int | None:
        """Loads keys that are due by a watermark: up to when they are all there, None if to the end."""
        if self._dues is None:
            return None
        keys, up_to = self._dues.page(watermark)
        if keys:
            self._load(keys)
            self._snapshots.touch(self._pipeline.book.moved_on(keys, watermark))
        return up_to

    def _letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        """What the store says, once it has what is on its way. A run that is not to be taken up again knows of no letters."""
        if self._saved is None:
            return ()
        self._out.drain()
        return self._saved.letters(ids, events)

    def _due(self, until: int, after: tuple[int, int]) -> Due:
        """What the store says, once it has what is on its way."""
        assert self._saved is not None
        if self._out.saving:
            self._out.drain()
        return self._saved.due(until, after)

    def _load(self, keys: Collection[Key]) -> None:
        missing = [key for key in keys if key not in self.keys]
        if missing and self._saved is not None:
            self._take_up(self._saved.load(missing))
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
        """A part's effects go out, and with them a chunk of the snapshot that is being made."""
        if self._saved is not None:
            self._snapshots.touch(part.touched)
        before, now = self.cursor, part.cursor
        if self._silent:
            self._early.unsaid(part.changes, before.watermark, now.watermark)
            self.cursor = now
            return
        alone = self._halving.begun
        if alone or self._early.over(before.watermark, now.watermark):
            self._refresh()
        changes = part.changes if alone else self._early.hold(part.changes, before.watermark, now.watermark)
        self.cursor = now
        if alone and self._saved is not None and not self._snapshots.begun:
            self._snapshots.begin(self.cursor.place)
        chunk = self._chunk(changes, before) if self._snapshots.begun else ({}, {})
        if changes or chunk[0] or self.cursor != before:
            last = Last(part.newest, part.change, self._now(), len(self.keys), self._size())
            self._put(Gathered(self.cursor, changes, *chunk, rows, list(part.seen), last, list(part.marks)))

    def _settle(self) -> None:
        """What a snapshot that begins here has to find: keys that are forgotten by now are known as such, and nothing waits."""
        while self._load_due(self.cursor.watermark) is not None:
            self._forget(())
        self._refresh()

    def _close(self) -> None:
        """Of what former definitions have left open is said that it is closed, once it would have been."""
        if self._closer is None or not self.cursor.left_open:
            return
        for cursor, closing in self._closer.parts(lambda: self.cursor, lambda: min(AT_ONCE, self._budget.windows)):
            self.cursor = cursor
            self._put(Gathered(cursor, Changes(), closings=[] if closing is None else [closing]))

    def _refresh(self) -> None:
        """What has waited is written, where the shard stands."""
        most = min(AT_ONCE, self._budget.windows)
        for changes in self._early.all().parts(most) if not self._silent else ():
            self._put(Gathered(self.cursor, changes))

    def _put(self, gathered: Gathered) -> None:
        self._out.put(gathered)
        self._halving.committed(gathered.rows)

    def _save(self) -> None:
        """A chunk of the snapshot, in a commit of its own."""
        chunk = self._chunk(changes := Changes(), self.cursor)
        self._put(Gathered(self.cursor, changes, *chunk))

    def _chunk(self, changes: Changes, before: Cursor) -> tuple[dict[Key, KeyState], Segments]:
        """The next states of the snapshot, and their segments; what waits of their keys goes to the changes that they are committed
        with. With the last of them the snapshot stands where it was begun. before: where the last commit is to leave the cursor."""
        states, segments = dict[Key, KeyState](), Segments()
        size, limits = 0, self._limits
        while len(states) < limits.chunk and size < limits.chunk_bytes:
            some, more = self._states(self._snapshots.next(min(FEW, limits.chunk - len(states))))
            if not some:
                break
            states |= some
            segments |= self._ahead(more, before)
            changes.then(self._early.of(some))
            size += sum(len(state.data) for state in some.values()) + size_of(more)
        place = self._snapshots.end(self._now())
        if place is not None:
            self.cursor = self.cursor.saved(place)
        return states, segments

    def _ahead(self, segments: Segments, before: Cursor) -> Segments:
        """Commits segments until few enough are left for the commit of the states that refer to them, which is the next one: no
        state that is saved refers to them yet. Those that go are left: a state that is saved may."""
        left = dict(segments)
        while size_of(left) > self._limits.chunk_bytes:
            size, some = 0, Segments()
            for of, data in left.items():
                if data is not None and size < self._limits.chunk_bytes:
                    some[of], size = data, size + len(data)
            left = {of: data for of, data in left.items() if of not in some}
            self._put(Gathered(before, Changes(), segments=some))
        return left

    def _states(self, keys: Collection[Key]) -> tuple[dict[Key, KeyState], Segments]:
        """The states of keys as they are here, and their segments, which are to be committed now."""
        at = self.cursor.place
        states, segments = self._pipeline.book.states(keys, self._shard.name, at.position, at.watermark)
        self._snapshots.saved(keys)
        if self._dues is not None:  # of all that is in memory nobody else looks at when a key is forgotten
            self._dues.gone(state.due for state in states if state.due == self._pipeline.book.ends(state.key))
        return {state.key: state for state in states}, segments

    def _size(self) -> int:
        return self._pipeline.size() + A_KEY * len(self.keys)

    def _full(self) -> bool:
        """Whether half of what may be in memory has to stay there until it is saved."""
        changed, all_keys, limits = len(self._snapshots.changed), len(self.keys), self._limits
        return changed > min(limits.cap, all_keys * limits.memory // max(self._size(), 1)) // 2

    def _surplus(self) -> int:
        """How many keys are too many, as large as they are on average."""
        size, all_keys, limits = self._size(), len(self.keys), self._limits
        return max(all_keys - limits.cap, all_keys - all_keys * limits.memory // max(size, limits.memory))

    def _forget(self, keep: Collection[Key]) -> None:
        """Down to the cap, those that were not used for longest first. What of them has changed is saved before, or they stay."""
        if self._dues is None or (surplus := self._surplus()) <= 0:
            return
        kept, changed, book = frozenset(keep), self._snapshots.changed, self._pipeline.book
        goes = [key for key in self._used if key not in kept and not (self._silent and key in changed)]
        goes = goes[: surplus + len(self.keys) // 10]
        self._snapshots.touch(book.moved_on(goes, self.cursor.watermark))
        if self._silent:
            goes = [key for key in goes if key not in changed]
        unsaved = [key for key in goes if key in changed]
        for begin in range(0, len(unsaved), FEW):
            some, segments = self._states(unsaved[begin : begin + FEW])
            self._put(Gathered(self.cursor, self._early.of(some), some, self._ahead(segments, self.cursor)))
        if self._out.saving:
            self._out.drain()
        self._dues.gone(book.known[key].due for key in goes)
        book.evict(goes)
        for key in goes:
            del self._used[key]


def _unseen(records: Records, skips: Mapping[int, str]) -> Records:
    """Records of which some are not to be looked into."""
    raws = records.some(0, len(records))
    for row in (row for row, reason in skips.items() if reason == "fault"):
        raws[row] = replace(raws[row], message=Rejected("fault", AS_BEFORE))
    return Listed(raws)


def begun(cursor: Cursor, spec: Pipeline, asked: Asked | None) -> Cursor:
    """A cursor as a configuration begins with it."""
    return replace(taken_over(cursor, spec, asked), since=known_since(cursor, spec))


def known_since(cursor: Cursor, spec: Pipeline) -> Mapping[str, int]:
    """Of each window set of a configuration the time from which on it has seen every event. One that the cursor does not know is
    new, or was changed, or comes back: it begins here, and an earlier record may be `out_of_order` ahead of the watermark."""
    if cursor.since is None:
        return {s.fingerprint: NEVER for s in spec.windows}
    here = cursor.watermark + spec.stream.out_of_order + 1 if cursor.watermark > NEVER else NEVER
    return {s.fingerprint: cursor.since.get(s.fingerprint, here) for s in spec.windows}


def _missing(cursor: Cursor, records: int) -> str:
    snapshot: Place = cursor.snapshot
    return (
        f"{cursor.shard.shard}: of the records between the snapshot of the window states at {snapshot.sequence} and the views at "
        f"{cursor.sequence}, {cursor.counters.records - records:,} have not come again: the stream has lost them"
    )
