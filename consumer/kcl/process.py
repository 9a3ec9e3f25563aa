"""The process that KCL starts for a shard: its channel, its signals, its parent, its end.

1. Keep stdout for the protocol alone: a stray print would be read as an answer, so file descriptor 1 then points at stderr.
2. Ignore SIGINT and SIGTERM: the JVM ends its children in order, and a Ctrl-C reaches the whole terminal.
3. Watch the JVM: without it this process would go on writing as an orphan. (Not by PR_SET_PDEATHSIG: that fires when the *thread*
   that started us ends, and KCL's threads come and go.)
4. Answer KCL line by line until it closes the channel.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, NoReturn

import structlog

from config.specs import Pipeline
from consumer import kinesis
from consumer.figures import Figures, Owner
from consumer.host import reports
from consumer.host.jvm import RUN as RUN
from consumer.host.jvm import START as START
from consumer.host.jvm import WORKER as WORKER
from consumer.host.reports import Progress, State, Status
from consumer.kcl.channel import FastProcess, Lines
from consumer.kcl.lifecycle import Feedable, Shard
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Cursor, Store
from contract.errors import Fatal
from edge.aws import KinesisClient
from edge.patience import patiently
from windows.engine import NEVER

UNHANDLED = 70
ORPHANED = 71

# (shard, how to wait, whom to tell of each commit) -> (its runner, what lets go of it)
Told = Callable[[Cursor, Figures], None]
Claim = Callable[[str, Callable[[float], None], Told], tuple[Feedable, Callable[[], None]]]
OFTEN = 1_000  # ms between two words on commits
log = structlog.get_logger("child")


class Process:
    """The Surroundings of a Shard. `how` to claim one is set once the configuration is read."""

    how: Claim

    def __init__(self, words: Path | None) -> None:
        self._words = words
        self._release: Callable[[], None] = _nothing
        self._last = Status("start", "opening", 0, 0)
        self._behind: int | None = None
        self._progress: Progress | None = None
        self._figures: Figures | None = None
        self._speaking = threading.Lock()  # commits are made, and waited for, in a thread of their own

    def claim(self, shard: str) -> Feedable:
        """Own the shard."""
        runner, self._release = self.how(shard, self.wait, self.committed)
        return runner

    def let_go(self) -> None:
        """Close what was opened."""
        self._release()
        self._release = _nothing

    def end(self) -> None:
        """KCL has closed the channel."""
        self._say("ended", self._last.sequence, self._last.sub)
        self.let_go()

    def now(self) -> int:
        """The wall clock, in ms."""
        return time.time_ns() // 1_000_000

    def wait(self, seconds: float) -> None:
        """Sleep, and be seen waiting rather than stuck."""
        self._say("waiting", self._last.sequence, self._last.sub)
        time.sleep(seconds)

    def committed(self, cursor: Cursor, figures: Figures) -> None:
        """Be seen at work: one record may take many commits, in front of which the cursor stands."""
        self._progress, self._figures = _progress(cursor), figures
        if self.now() - self._last.moved > OFTEN:
            self._say("reading", str(cursor.sequence), cursor.sub, moved=True)

    def report(self, shard: str, state: State, cursor: Cursor | None, behind: int | None) -> None:
        """Leave a word for the supervisor."""
        sequence, sub = self._last.sequence, self._last.sub
        if cursor is not None and cursor.sequence is not None:
            sequence, sub = str(cursor.sequence), cursor.sub
        if cursor is not None and self._progress is None:
            self._progress = _progress(cursor)
        self._behind = behind
        self._say(state, sequence, sub, shard)

    def give_up(self, shard: str, error: BaseException) -> NoReturn:
        """Say why, leave it for the supervisor, and end, whatever threads there are."""
        code = error.status if isinstance(error, Fatal) else UNHANDLED
        what = str(error) if isinstance(error, Fatal) else f"{type(error).__name__}: {error}"
        log.error("the child gives up", shard=shard, status=code, why=what, exc_info=None if isinstance(error, Fatal) else error)
        self._say("failed", self._last.sequence, self._last.sub, shard, code, what)
        _exit(code)

    def _say(
        self,
        state: State,
        sequence: str | None,
        sub: int,
        shard: str | None = None,
        code: int = 0,
        what: str = "",
        moved: bool = False,
    ) -> None:
        now = self.now()
        with self._speaking:
            last = self._last
            same = not moved and (sequence, sub) == (last.sequence, last.sub) and last.moved > 0
            since = last.moved if same else now
            self._last = Status(
                shard or last.shard, state, now, since, sequence, sub, self._behind, code, what, os.getpid(),
                self._progress, self._figures,
            )  # fmt: skip
            if self._words is not None:
                reports.write(self._words, self._last)


def main(begin: Callable[[], tuple[Claim, int | None]], words: Path | None, parent: int | None = None) -> NoReturn:
    """Be the child. begin() reads the configuration: (claim, idle); what it raises ends the process as anything else does. words:
    the folder for its words to the supervisor. parent: a pidfd of the JVM, where that is not the parent."""
    channel = _channel()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    _watch(parent)
    process = Process(words)
    try:
        process.how, idle = begin()
        FastProcess(Shard(process, idle), Lines(0), channel, sys.stderr).run()
        process.end()
    except BaseException as error:
        process.give_up("start", error)
    _exit(0)


def _channel() -> IO[str]:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _watch(process: int | None) -> None:
    if process is None:
        parent = os.getppid()
        process = os.pidfd_open(parent)
        if os.getppid() != parent:  # it ended before we looked
            os._exit(ORPHANED)
    threading.Thread(target=_outlive, args=(process,), daemon=True, name="parent").start()


def _outlive(process: int) -> None:
    select.select([process], [], [])
    os._exit(ORPHANED)


def _exit(code: int) -> NoReturn:
    for file in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            file.flush()
    os._exit(code)


def _nothing() -> None:
    pass


def _progress(cursor: Cursor) -> Progress:
    counters, saved = cursor.counters, cursor.snapshot
    return Progress(
        epoch=cursor.epoch,
        watermark=_known(cursor.watermark),
        classes={name: int(n) for name, n in counters.classes.items()},
        dead_by_reason={name: int(n) for name, n in counters.dead_by_reason.items()},
        snapshot_watermark=_known(saved.watermark),
        unsaved=counters.records - saved.records,
    )


def _known(watermark: int) -> int | None:
    return int(watermark) if watermark > NEVER else None


class Claims:
    """How a child comes to own a shard: Kinesis says where it lies, the store opens it, a runner takes it up.

    new_store: a store with a connection of its own. owner: what `health` says of who keeps the shard.
    """

    def __init__(self, spec: Pipeline, client: KinesisClient, new_store: Callable[[], Store], owner: Owner) -> None:
        self._spec, self._client, self._new_store, self._owner = spec, client, new_store, owner

    @property
    def idle(self) -> int | None:
        """After how many ms of silence time follows the clock: only where there are no heartbeats."""
        return self._spec.stream.idle if self._spec.stream.format == "document" else None

    def claim(self, shard: str, wait: Callable[[float], None], told: Told) -> tuple[Runner, Callable[[], None]]:
        """The runner of a shard, and what lets go of it. Raises Misconfigured, Fatal; waits where something is away."""
        name = self._spec.stream.name
        info = patiently("Kinesis", partial(kinesis.describe, self._client, name), wait)
        place = patiently("Kinesis", partial(kinesis.find, self._client, info, shard), wait)
        store = self._new_store()
        patiently("the views database", store.admit, wait)
        own = self._spec.consumer
        limits = Limits(interval=own.snapshot / 1000, memory=own.memory)
        at = place.shard, place.hashes, place.parents
        runner = Runner(self._spec, store, *at, wait=wait, told=told, overlap=True, limits=limits, owner=self._owner)

        def let_go() -> None:
            runner.close()
            store.close()

        return runner, let_go
