"""A child process of KCL's: the real Shard and Runner, and every way in which they touch the world, where chance may step in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

from amazon_kclpy.checkpoint_error import CheckpointError

from config.specs import Pipeline
from consumer.host.reports import State
from consumer.kcl.lifecycle import Shard
from consumer.runner import Runner
from consumer.store.contract import BEFORE_ALL, Cursor, Doc, Due, Effects, HashRange, KeyState, LeftOpen, Position, ShardId
from contract.errors import Retryable, Unstorable
from tests.consumer.stream import Crash
from tests.sim.leases import Lease
from tests.sim.points import ASKED, IN, REFUSED, kind
from tests.sim.records import Part
from windows.engine import Key

ENDS = {"shard_ended": "end", "shutdown_requested": "shutdown"}  # which checkpoint a callback makes


class GaveUp(Exception):
    """The process has ended by its own decision; its cause says why."""


class Process:
    """Implements consumer.kcl.lifecycle.Surroundings. at: how many records were delivered to it. doomed: it has to die now."""

    def __init__(self, world: Any, name: str, part: Part, spec: Pipeline) -> None:
        self.world, self.name, self.part, self.spec = world, name, part, spec
        self.shard = Shard(self)
        self.runner: Runner | None = None
        self.at, self.delivered = 0, BEFORE_ALL
        self.opened = self.refused = self.doomed = False
        self.alive = True

    @property
    def lease(self) -> Lease:
        found: Lease = self.world.leases[self.part.name]
        return found

    def claim(self, shard: str) -> Runner:
        assert shard == self.part.name
        w, part = self.world, self.part
        parents = [w.stream.parts[name].id for name in part.parents]
        self.runner = Runner(
            self.spec,
            Connection(self),
            part.id,
            part.hashes,
            parents,
            limits=w.way.limits,
            kept=w.way.kept,
            wait=self.wait,
            now=lambda: w.clock / 1000,
            overlap=w.way.overlap,
        )
        return self.runner

    def let_go(self) -> None:
        if self.runner is not None:
            self.runner.close()

    def now(self) -> int:
        return int(self.world.clock)

    def wait(self, seconds: float) -> None:
        self.world.clock += int(seconds * 1000)

    def report(self, shard: str, state: State, cursor: Cursor | None, behind: int | None) -> None:
        if state == "stopped":
            self.world.tell(self, "stops: another owner was seen")

    def give_up(self, shard: str, error: BaseException) -> NoReturn:
        if isinstance(error, Crash):
            raise error
        raise GaveUp(f"{type(error).__name__}: {error}") from error

    def checkpoint(self, *position: Any) -> None:
        """Be KCL's checkpointer. Raises CheckpointError."""
        world, lease = self.world, self.lease
        step = f"checkpoint {ENDS.get(world.callback, 'batch')}"
        world.point(self, f"{step}: {ASKED}")
        if world.chance(world.way.away):
            raise CheckpointError("ThrottlingException")
        if lease.owner is not self:
            raise CheckpointError("ShutdownException")
        if position:
            wanted: Position = (int(position[0]), position[1])
            if not lease.place <= wanted <= self.delivered:
                raise CheckpointError("IllegalArgumentException")
            lease.set(wanted)
            world.tell(self, f"checkpoint {world.short(wanted)}")
        else:
            assert world.callback == "shard_ended"
            lease.ended = True
            world.tell(self, "checkpoint SHARD_END")
        world.point(self, f"{step}: {IN}")
        if world.chance(world.way.away):
            raise CheckpointError("KinesisClientLibDependencyException")


class Connection:
    """A process' own way to the store, which may be away, lose an answer, refuse a document, or be the last thing it does."""

    def __init__(self, process: Process) -> None:
        self.process, self.world, self.inner = process, process.world, process.world.store

    def _point(self, name: str) -> None:
        self.world.point(self.process, name)

    def _away(self, what: str) -> None:
        if self.world.chance(self.world.way.away):
            self.world.tell(self.process, what)
            raise Retryable(what)

    def open(self, shard: ShardId, parents: Any = ()) -> Cursor:
        again = "open again" if self.process.opened else "open"
        self._point(f"{again}: {ASKED}")
        self._away("the store is away")
        cursor: Cursor = self.inner.open(shard, parents)
        self.world.claimed(self.process, cursor, parents)
        self._point(f"{again}: {IN}")
        self._away("the answer to a claim is lost")
        self.process.opened = True
        return cursor

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        self._point(f"load: {ASKED}")
        self._away("the store is away")
        found: Mapping[Key, KeyState] = self.inner.load(keys)
        self._point(f"load: {IN}")
        return found

    def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
        self._point(f"due: {ASKED}")
        self._away("the store is away")
        found: Due = self.inner.due(hashes, until, limit, after)
        self._point(f"due: {IN}")
        return found

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        self._away("the store is away")
        found: Sequence[Doc] = self.inner.letters(ids, events)
        return found

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        self._away("the store is away")
        ends: tuple[int, int] | None = self.inner.left_ends(left, behind)
        return ends

    def left_open(self, left: LeftOpen, until: int, hashes: HashRange, limit: int) -> Sequence[Any]:
        self._away("the store is away")
        found: Sequence[Any] = self.inner.left_open(left, until, hashes, limit)
        return found

    def commit(self, effects: Effects) -> Cursor:
        step = kind(effects, self.process.refused)
        self._point(f"{step}: {ASKED}")
        self._away("the store is away")
        try:
            self._point("on its way")
            self.world.turns.pause()
        except Crash:
            self.world.left_behind(self.process, effects)
            raise
        self._refuse(effects)
        cursor: Cursor = self.inner.commit(effects)
        self.world.written(self.process, effects, step)
        self._point(f"{step}: {IN}")
        self.world.turns.pause()
        self._away("the answer to a commit is lost")
        return cursor

    def _refuse(self, effects: Effects) -> None:
        for name, document in effects.documents:
            if self.world.refuses(name, document):
                self.process.refused = True
                self.world.tell(self.process, f"the store refuses {name} {document['_id']}")
                self._point(REFUSED)
                raise Unstorable("code 121", (name, document["_id"]))
        if len(list(effects.documents)) > self.world.way.most:
            self.process.refused = True
            self.world.tell(self.process, "the store refuses so many documents at once")
            self._point(REFUSED)
            raise Unstorable("code 388")

    def close(self) -> None:
        pass
