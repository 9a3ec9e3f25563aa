"""Threads that take turns: of the simulator's one and those that make commits exactly one runs, and chance says when another does.

It stands in for `threading` in consumer.commits. Main runs until it waits, or lets go of a lock and chance will have it; then the
thread that commits runs until it waits, pauses, or ends. So a seed decides how far a commit is when the process is fed again, let
go or killed. Where main waits for a thread that waits as well, or is gone, the process would hang: Stuck.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Any

from tests.consumer.stream import Crash


class Stuck(Exception):
    """A process waits for what will never come."""


class Turns:
    """What consumer.commits takes for `threading`. owner: whose threads begin, as the world says before each call."""

    def __init__(self, random: Random) -> None:
        self.random, self.owner = random, None  # type: tuple[Random, Any]
        self.workers: list[Worker] = []
        self.holding: Lock | None = None
        self.running: Worker | None = None

    def Condition(self) -> Lock:  # noqa: N802
        return Lock(self)

    def Thread(self, target: Callable[[], None], name: str, daemon: bool) -> Worker:  # noqa: N802
        return Worker(self, target)

    def run(self, worker: Worker) -> None:
        """The worker goes on until it gives the turn back."""
        holding, self.holding, self.running = self.holding, None, worker
        worker.go.release()
        worker.back.acquire()
        self.holding, self.running = holding, None
        if not worker.alive:
            self.workers.remove(worker)

    def ready(self) -> list[Worker]:
        """Those that have something to do."""
        return [worker for worker in self.workers if worker.ready]

    def pause(self) -> None:
        """A worker lets the others go on, perhaps."""
        while self.running is not None and self.random.random() < 0.6:
            self.running.give_back()

    def kill(self, owner: Any) -> None:
        """All workers of a process end where they are."""
        for worker in [w for w in self.workers if w.owner is owner]:
            worker.killed = True
            self.run(worker)


class Worker:
    """A thread that runs when it is its turn."""

    def __init__(self, turns: Turns, target: Callable[[], None]) -> None:
        self.turns, self.owner, self.lock = turns, turns.owner, turns.holding
        self.go, self.back = threading.Semaphore(0), threading.Semaphore(0)
        self.alive, self.waiting, self.killed = True, False, False
        self._thread = threading.Thread(target=self._work, args=(target,), daemon=True)

    @property
    def ready(self) -> bool:
        return self.alive and not self.waiting

    def start(self) -> None:
        assert self.lock is not None
        self.lock.worker = self
        self.turns.workers.append(self)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """What is on its way gets there in time, or later."""
        while self.ready and self.turns.random.random() < 0.8:
            self.turns.run(self)

    def give_back(self) -> None:
        """Raises Crash if it is killed meanwhile."""
        self.back.release()
        self.go.acquire()
        if self.killed:
            raise Crash

    def _work(self, target: Callable[[], None]) -> None:
        self.go.acquire()
        try:
            if not self.killed:
                target()
        except Crash:
            pass
        finally:
            self.alive = False
            self.back.release()


class Lock:
    """A condition: only one of main and its worker runs anyway."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.worker: Worker | None = None

    def __enter__(self) -> None:
        self.turns.holding = self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.turns.holding = None
        if error is None and self.turns.running is None and self.turns.random.random() < 0.4:
            self._let()

    def notify_all(self) -> None:
        if self.turns.running is None and self.worker is not None:
            self.worker.waiting = False

    def wait(self) -> None:
        worker = self.turns.running
        if worker is not None:
            worker.waiting = True
            worker.give_back()
        elif not self._let():
            raise Stuck("waits for a commit that nobody makes")

    def _let(self) -> bool:
        if self.worker is None or not self.worker.ready:
            return False
        self.turns.run(self.worker)
        if self.worker.owner.doomed:
            raise Crash
        return True
