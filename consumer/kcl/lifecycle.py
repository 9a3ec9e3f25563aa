"""The life of one shard under KCL: amazon_kclpy's callbacks, wrapped so that nothing is lost in silence.

1. initialize: ask Kinesis where the shard lies; claim it in the store (older owners are fenced from here on); make sure that KCL
   does not begin behind a gap.
2. process_records: feed the runner, whose commits may still be on their way when KCL is answered. KCL's checkpoint follows the
   snapshot of the window states, once that is in: from there on KCL delivers again after a crash.
3. shutdown_requested: commit everything, make a snapshot, checkpoint it.
4. shard_ended: the same; checkpoint() without a position, which alone stores the end, so that KCL starts the shards that continue
   this one, and find every key's state. If that fails the process dies: KCL would wait for ever.
5. lease_lost: stop writing.

amazon_kclpy swallows what a callback raises and reports success: the next checkpoint would then skip the failed batch. So every
callback is guarded, and an error that nobody handles ends the process. Once another owner is seen (Fenced, or KCL's
ShutdownException) the shard is stopped: it answers, writes nothing, and waits for lease_lost. Where KCL says that the lease is
another's and lease_lost does not come, the process dies. Where only the store said so, and KCL goes on feeding us for longer than
it takes to lose a lease, the other one was late: a process that lost the shard before we had it, and claimed it once more when it
came to. The shard is claimed again then, and what was fed meanwhile, which is kept, goes in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NoReturn, Protocol, TypeVar

import structlog
from amazon_kclpy.checkpoint_error import CheckpointError
from amazon_kclpy.messages import (
    InitializeInput,
    LeaseLostInput,
    ProcessRecordsInput,
    ShardEndedInput,
    ShutdownRequestedInput,
)
from amazon_kclpy.v3 import processor

from consumer.host.reports import State
from consumer.intake.records import Listed, Raw, Records
from consumer.kcl.channel import Line, ParsedRecords
from consumer.store.contract import Cursor
from contract.errors import Fatal, Fenced, HistoryLost
from reading.lines import SEQUENCE

AGAIN = ("ThrottlingException", "KinesisClientLibDependencyException")  # DynamoDB is busy, or away
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # s between attempts to checkpoint
LEASE_LOST_WITHIN = 60_000  # ms; KCL renews a lease every few seconds, and then knows
RECLAIMED_AFTER = 12_000  # ms; a lease that is not renewed is lost after ten seconds (KCL's default), and its shard is not fed
log = structlog.get_logger("shard")
Position = tuple[str, int]  # sequence number, sub sequence number
T = TypeVar("T")
S = TypeVar("S", bound="Shard")


class Feedable(Protocol):
    """What a shard needs of a Runner."""

    @property
    def cursor(self) -> Cursor:
        """How far the views are."""
        ...

    def feed(self, raws: Sequence[Raw]) -> Cursor:
        """Take records."""
        ...

    def keep(self, records: Records) -> None:
        """Take records that are to be fed once the shard is claimed again."""
        ...

    def reclaim(self) -> Cursor:
        """Claim the shard again, and feed what was kept."""
        ...

    def rest(self) -> Cursor:
        """There is nothing to read just now."""
        ...

    def idle(self, now_ms: int) -> Cursor:
        """There has been nothing to read for long."""
        ...

    def drain(self) -> Cursor:
        """Have everything committed."""
        ...

    def flush(self) -> Cursor:
        """Have everything in the store, the snapshot too."""
        ...

    def complete(self) -> Cursor:
        """The same, where the shard has ended."""
        ...


class Surroundings(Protocol):
    """The process around a shard: what is not pure of it."""

    def claim(self, shard: str) -> Feedable:
        """Own the shard."""
        ...

    def let_go(self) -> None:
        """Own it no more."""
        ...

    def now(self) -> int:
        """ms since 1970 UTC."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait, and say so."""
        ...

    def report(self, shard: str, state: State, cursor: Cursor | None, behind: int | None) -> None:
        """Say how it is."""
        ...

    def give_up(self, shard: str, error: BaseException) -> NoReturn:
        """Say why, and end the process."""
        ...


def guarded(callback: Callable[[S, T], None]) -> Callable[[S, T], None]:
    """Whatever a callback raises, Fatal too, ends the process."""

    @wraps(callback)
    def whole(self: S, given: T) -> None:
        try:
            callback(self, given)
        except BaseException as error:
            self.around.give_up(self.name, error)

    return whole


class Shard(processor.RecordProcessorBase):  # type: ignore[misc]
    """One shard's processor. idle: ms of silence after which a caught-up stream of bare documents follows the clock, else None."""

    def __init__(self, around: Surroundings, idle: int | None = None) -> None:
        self.around = around
        self.name = "start"
        self._idle = idle
        self._runner: Feedable | None = None
        self._delivered: deque[Position] = deque()  # the last of each batch that the checkpoint has not passed, in KCL's own text
        self._quiet_since: int | None = None
        self._stopped_at: int | None = None
        self._lost = False  # by what KCL says

    @guarded
    def initialize(self, initialize_input: InitializeInput) -> None:
        """Claim the shard. Raises HistoryLost where KCL would begin further on than the views are."""
        self.name = initialize_input.shard_id
        self.around.report(self.name, "opening", None, None)
        self._runner = self.around.claim(self.name)
        _no_gap(initialize_input, self._runner.cursor)
        self.around.report(self.name, "reading", self._runner.cursor, None)
        log.info("reading", **_where(self._runner.cursor))

    @guarded
    def process_records(self, process_records_input: ProcessRecordsInput) -> None:
        """Feed, commit, checkpoint."""
        if self._stopped_at is not None and not self._over(process_records_input, self._stopped_at):
            return None
        try:
            cursor = self._take(process_records_input) if self._stopped_at is None else self._claim_again()
        except Fenced as fenced:
            return self._stop(str(fenced))
        if not self._follow(process_records_input.checkpointer, cursor):
            self._lost = True
            return self._stop("KCL says that the lease is another's")
        self.around.report(self.name, "reading", cursor, process_records_input.millis_behind_latest)
        return None

    @guarded
    def lease_lost(self, lease_lost_input: LeaseLostInput) -> None:
        """Write no more."""
        self._end("lease lost")

    @guarded
    def shard_ended(self, shard_ended_input: ShardEndedInput) -> None:
        """Save everything and store the end. Raises Fatal if that cannot be done."""
        if self._stopped_at is None and self._runner is not None:
            self._runner.complete()
        if self._stopped_at is not None or not self._checkpoint(shard_ended_input.checkpointer, ()):
            raise Fatal("the shard's end could not be stored: the lease is another's")
        self._end("shard ended")

    @guarded
    def shutdown_requested(self, shutdown_requested_input: ShutdownRequestedInput) -> None:
        """Save everything and checkpoint it."""
        if self._stopped_at is None and self._runner is not None:
            try:
                self._follow(shutdown_requested_input.checkpointer, self._runner.flush())
            except Fenced as fenced:
                self._stop(str(fenced))
        log.info("shutdown requested", shard=self.name)

    def _take(self, given: ProcessRecordsInput) -> Cursor:
        runner, caught_up = self._owned(), given.millis_behind_latest == 0
        if _some(given):
            self._quiet_since = None
            runner.feed(self._received(given))
        elif self._quiet(caught_up):
            runner.idle(self.around.now())
        else:
            runner.rest()
        return runner.drain() if caught_up else runner.cursor  # where there is nothing more to read, there is time to wait

    def _received(self, given: ProcessRecordsInput) -> Records:
        records, last = _records(given)
        self._delivered.append(last)
        return records

    def _quiet(self, caught_up: bool) -> bool:
        """Whether there has been nothing to read for long, and time follows the clock. Asked where there is nothing."""
        if self._idle is None or not caught_up:
            self._quiet_since = None
            return False
        now = self.around.now()
        self._quiet_since = self._quiet_since or now
        return now - self._quiet_since >= self._idle

    def _follow(self, checkpointer: Any, cursor: Cursor) -> bool:
        """Moves KCL's checkpoint to the last end of a batch that the snapshot has passed; False if the lease is another's. It is
        given in KCL's own text: leading zeros count where numbers are compared as text."""
        passed: Position | None = None
        while self._delivered and cursor.snapshot.passed(int(self._delivered[0][0]), self._delivered[0][1]):
            passed = self._delivered.popleft()
        return passed is None or self._checkpoint(checkpointer, passed)

    def _checkpoint(self, checkpointer: Any, position: Position | tuple[()]) -> bool:
        """False if the lease is another's. No position: the shard's end."""
        for pause in (*PAUSES, None):
            try:
                checkpointer.checkpoint(*position)
                return True
            except CheckpointError as error:
                if error.value == "ShutdownException":
                    return False
                if error.value not in AGAIN or pause is None:
                    raise
                log.warning("checkpoint put off", shard=self.name, why=error.value, seconds=pause)
                self.around.wait(pause)
        return False

    def _stop(self, why: str) -> None:
        self._stopped_at = self.around.now()
        log.warning("stopped", shard=self.name, why=why)
        self.around.report(self.name, "stopped", None, None)

    def _over(self, given: ProcessRecordsInput, since: int) -> bool:
        """While stopped: whether the shard is ours after all. What we are fed is kept until then."""
        stopped = self.around.now() - since
        if self._lost:
            if stopped > LEASE_LOST_WITHIN:
                raise Fenced(f"{self.name}: another owner has the shard, and KCL still gives it to us")
            return False
        if _some(given):
            self._owned().keep(self._received(given))
        return stopped > RECLAIMED_AFTER

    def _claim_again(self) -> Cursor:
        log.warning("claiming the shard again: KCL goes on feeding it, so whoever claimed it was late", shard=self.name)
        cursor = self._owned().reclaim()
        self._stopped_at = None
        return cursor

    def _end(self, why: str) -> None:
        self.around.report(self.name, "ended", self._runner.cursor if self._runner else None, None)
        log.info(why, **(_where(self._runner.cursor) if self._runner else {"shard": self.name}))
        self._runner = None
        self.around.let_go()

    def _owned(self) -> Feedable:
        if self._runner is None:
            raise Fatal("records came without a claim on the shard")
        return self._runner


def _some(given: ProcessRecordsInput) -> bool:
    return len(given.batch) > 0 if isinstance(given, ParsedRecords) else bool(given.records)


def _records(given: ProcessRecordsInput) -> tuple[Records, Position]:
    """(the records, the position of the last one in KCL's own text)."""
    if isinstance(given, ParsedRecords):
        line, last = Line(given.batch), len(given.batch) - 1
        return line, (given.batch.text(SEQUENCE, last), line.raw(last).sub)
    raws = [
        Raw(r.binary_data, r.partition_key, int(r.sequence_number), r.sub_sequence_number or 0, r.timestamp_millis)
        for r in given.records
    ]
    return Listed(raws), (given.records[-1].sequence_number, raws[-1].sub)


def _no_gap(given: InitializeInput, cursor: Cursor) -> None:
    """KCL's checkpoint never passes the snapshot. If it has, the views were lost, and what lies between will not come again."""
    start = str(given.sequence_number or "")
    if not start.isdigit():
        return  # TRIM_HORIZON: from the oldest record on
    if not cursor.snapshot.passed(int(start), given.sub_sequence_number or 0):
        raise HistoryLost(
            f"{cursor.shard.shard}: KCL begins behind {start}, but the window states stand at {cursor.snapshot.sequence}: the "
            "database was lost, or is another one. Restore it; or delete KCL's lease table, and the stream is read again from its "
            "oldest record"
        )


def _where(cursor: Cursor) -> dict[str, Any]:
    sequence = None if cursor.sequence is None else str(cursor.sequence)
    where = {"shard": cursor.shard.shard, "sequence": sequence, "sub": cursor.sub, "epoch": cursor.epoch}
    behind = cursor.place.records - cursor.snapshot.records
    return {**where, "records": cursor.place.records, "to_be_read_again": behind}
