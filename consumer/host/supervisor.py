"""Keeps one KCL running: starts it, watches it, starts it again whatever it ended with, and ends it in order when asked to.

KCL ends with 1 for any child's failure, with 0 when it could not start after twenty attempts, and not at all when a shard hangs. So
its exit status decides nothing: any exit means another start, after a pause that grows while it keeps failing, except where a child
left word that a restart cannot mend (status.py), or where we were asked to end.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from consumer.host import reports
from consumer.host.board import Board, Seen
from consumer.host.jvm import leftovers
from consumer.host.stalls import Stalls
from contract.errors import HistoryLost, Misconfigured

SHORTLY = 0.1  # s between two looks at whether children have ended
OFTEN = 5  # failures in a row after which somebody should look
FINAL = (Misconfigured.status, HistoryLost.status)
Start = Callable[[str], subprocess.Popen[bytes]]
log = structlog.get_logger("supervisor")


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds. grace: for an orderly end; short_grace: for that of a KCL which lost a child, or hangs. stuck: for a shard
    that is behind and does not move; alarm: until somebody is told of that. good: a run as long as this counts as no failure.
    first, most: pauses before a restart, which grow from run to run, but for one that lasted as long as calm: nothing is spared by
    waiting after it. look: between two looks at the shards."""

    grace: float = 70.0
    short_grace: float = 5.0
    stuck: float = 300.0
    alarm: float = 60.0
    good: float = 300.0
    calm: float = 20.0
    first: float = 0.5
    most: float = 60.0
    look: float = 1.0


PATIENT = Patience()


class Asked:
    """SIGTERM and SIGINT: whether we were asked to end, and how often. Waiting wakes up for them."""

    def __init__(self) -> None:
        self.times = 0
        self._read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: object) -> None:
        self.times += 1

    def wait(self, seconds: float, process: int | None = None) -> None:
        """Until somebody asks, the process (a pidfd) ends, or the time is over."""
        ready, _, _ = select.select([self._read, *([process] if process is not None else [])], [], [], seconds)
        if self._read in ready:
            with suppress(BlockingIOError):
                os.read(self._read, 4096)


class Supervisor:
    """start(name) starts a KCL in the run directory and in a process group of its own; its children's words are read under that
    name, which no other start has. spared: pids that are no leftovers. board: where to show what is seen."""

    def __init__(
        self,
        start: Start,
        run: Path,
        asked: Asked,
        patience: Patience | None = None,
        spared: Callable[[], Collection[int]] = tuple[int, ...],
        board: Board | None = None,
    ) -> None:
        self._spared = spared
        self._start, self._run, self._asked = start, run, asked
        self._words = run
        self._patience = patience or Patience()
        self._board = board or Board("", self._patience.alarm)
        self._stalls = Stalls(self._patience.alarm)
        self._pause = self._patience.first
        self._failures = 0

    def run(self) -> int:
        """Until we are asked to end (0; 1 if it had to be killed) or a child says that there is no use (its status)."""
        while not self._asked.times:
            self._sweep()
            begun, name = time.monotonic(), uuid.uuid4().hex
            self._words = reports.place(self._run, name)
            process = self._start(name)
            self._board.started()
            log.info("KCL started; a shard's first lease takes 15-35 s, after a restart a few seconds", pid=process.pid)
            orderly = self._attend(process)
            self._kill(process)
            if self._asked.times:
                log.info("ended") if orderly else log.error("KCL did not end in time and was killed; nothing committed is lost")
                return 0 if orderly else 1
            last = reports.verdict(reports.read(self._words), FINAL)
            if last is not None:
                log.error("ending, as a restart would not help", shard=last.shard, status=last.status, why=last.what)
                return last.status
            self._again(process.returncode, time.monotonic() - begun)
        return 0

    def _attend(self, process: subprocess.Popen[bytes]) -> bool:
        """Until it has ended, by itself or by us. False if it had to be killed."""
        handle, reading = os.pidfd_open(process.pid), 0
        try:
            while process.poll() is None:
                if self._asked.times:
                    return self._end(process, handle, self._patience.grace)
                self._asked.wait(self._patience.look, handle)
                if process.poll() is not None:
                    break
                statuses = reports.read(self._words)
                reading = self._tell(statuses, reading)
                self._board.show(Seen("", True, statuses, self._stalls.look(statuses, time.monotonic())))
                if self._hopeless(statuses):
                    return self._end(process, handle, self._patience.short_grace, lambda: not self._at_work())
            return True
        finally:
            os.close(handle)

    def _hopeless(self, statuses: Sequence[reports.Status]) -> bool:
        """Whether this KCL is better ended. Of a child's end it knows itself, but it then takes all of its grace to end."""
        gone = reports.gone(statuses)
        if gone is not None:
            log.error("a child has ended, and KCL ends with it", shard=gone.shard, was=gone.state)
            return True
        stuck = reports.stuck(statuses, time.time_ns() // 1_000_000, int(self._patience.stuck * 1000))
        if stuck is not None:
            log.error("a shard does not move; starting KCL again", shard=stuck.shard, was=stuck.state, behind=stuck.behind)
        return stuck is not None

    def _tell(self, statuses: Iterable[reports.Status], before: int) -> int:
        reading = sum(s.state == "reading" for s in statuses)
        if reading != before:
            log.info("shards read here", shards=reading)
        return reading

    def _at_work(self) -> bool:
        return reports.at_work(reports.read(self._words))

    def _end(self, process: subprocess.Popen[bytes], handle: int, grace: float, enough: Callable[[], bool] | None = None) -> bool:
        """SIGTERM to the JVM alone: it ends its children in order. Asked once more, we do not wait. enough: whether that much of an
        end will do; a KCL that has lost a child takes all of its own grace for the rest."""
        asked, deadline = self._asked.times, time.monotonic() + grace
        log.info("ending KCL in order", pid=process.pid, within_s=grace)
        self._board.show(Seen("KCL is ended in order"))
        process.terminate()
        while process.poll() is None and time.monotonic() < deadline and self._asked.times == asked:
            if enough is not None and enough():
                break
            left = deadline - time.monotonic()
            self._asked.wait(left if enough is None else min(left, SHORTLY), handle)
        return process.poll() is not None

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """What is left of its process group."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _sweep(self) -> None:
        """Leftovers of an earlier supervisor must not write beside us; and what they said of themselves is no longer so."""
        reports.clear(self._run)
        spared = self._spared()
        for pid in leftovers(self._run):
            if pid in spared:
                continue
            log.warning("killing what an earlier consumer left behind", pid=pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _again(self, code: int, lived: float) -> None:
        if lived >= self._patience.calm:
            self._pause = self._patience.first
        if lived >= self._patience.good:
            self._failures = 0
        self._failures += 1
        why = [f"{s.shard}: {s.what}" for s in reports.read(self._words) if s.state == "failed"]
        tell = log.error if self._failures >= OFTEN else log.warning
        tell("KCL ended; starting it again", status=code, lived_s=round(lived, 1), in_s=self._pause, nth=self._failures, why=why)
        self._board.show(Seen(f"KCL has ended, and is started again within {self._pause:g} s"))
        deadline = time.monotonic() + self._pause
        while not self._asked.times and time.monotonic() < deadline:
            self._asked.wait(deadline - time.monotonic())
        self._pause = min(2 * self._pause, self._patience.most)
