"""One run: a stream, leases, a store, processes, and one seed that decides what goes wrong, and when.

    stream    r r r | r r split r | r r merge r | ...           all of it by the seed
    leases    s0: A ----- X B ------ ended, s1: C ...           stolen, lost, given back, set back
    A         1..4  5..7 X                                      dies at a point that the seed names
    zombie            stolen  ... one batch more ... lease lost
    late              leased  ..... initialize (puts the owner out) ... lease lost
    wire                   a dead process' commit ....... lands, or finds another's epoch

At the end nothing goes wrong any more, all is read, and everything is compared (tests/sim/oracle.py).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from config.load import parse
from consumer import commits
from consumer.intake.batch import Budget
from consumer.life import Limits
from consumer.store.contract import BEFORE_ALL, Cursor, Doc, Effects, Position, ShardId
from consumer.store.memory import MemoryStore
from contract.errors import Fenced
from tests.consumer.stream import SMALL, TOML, Crash, sharing
from tests.sim import oracle
from tests.sim.leases import Lease, batch
from tests.sim.points import ON_ITS_WAY, POINTS
from tests.sim.process import GaveUp, Process
from tests.sim.records import FIRST_NUMBER, Stream
from tests.sim.turns import Turns
from tests.windows.build import small_segments

MINUTE, LOAD, RECENT = 'lateness = "1s"\nretain = "20s"', 'late = "drop"\nlateness = "1s"', 'rolling = { size = "10s" }'
OTHERS = {
    "minute": (MINUTE, 'lateness = "2s"\nretain = "20s"'),
    "load": (LOAD, 'late = "drop"\nlateness = "2s"'),
    "recent": (RECENT, 'rolling = { size = "15s" }'),
}
EXCUSED = ("Fenced: ", "Fatal: the shard's end could not be stored")  # how a process may end by itself


class Wrong(AssertionError):
    """Something that must hold does not."""


@dataclass(frozen=True)
class Way:
    """How a run is: options of the product, and how often things go wrong. most: documents that the store takes at once."""

    limits: Limits
    kept: int
    overlap: bool
    batch: int
    away: float
    most: int
    hurry: int


class World:
    """deaths: points where a process dies, each at its n-th passing from the death before on."""

    def __init__(self, seed: int) -> None:
        self.seed, r = seed, Random(f"faults {seed}")
        random.seed(seed)  # how long patience waits
        self.random, self.clock, self.callback, self.story = r, 0, "", []  # type: Random, int, str, list[tuple[int, str, str]]
        self.turns = Turns(Random(f"turns {seed}"))
        self.way = Way(
            Limits(
                r.choice((SMALL, Budget(1, 1, 1), Budget())),
                cap=r.choice((0, 2, 5, 50_000)),
                page=r.choice((1, 2, 5_000)),
                interval=r.choice((0.0, 10.0, 60.0)),
                chunk=r.choice((1, 2, 1_000)),
                chunk_bytes=Random(f"segments {seed}").choice((1, 60, 4 << 20)),
            ),
            kept=r.choice((1_000, 64 << 20)),
            overlap=r.random() < 0.6,
            batch=r.choice((1, 4, 12, 40)),
            away=r.choice((0.0, 0.0, 0.03, 0.1)),
            most=r.choice((1 << 40, 1 << 40, 1 << 40, 9)),
            hurry=r.choice((500, 2_000, 6_000)),
        )
        changes = r.random() < 0.35
        self.stream = Stream(Random(f"stream {seed}"), ahead=not changes, tears=Random(f"gaps {seed}"))
        names = tuple(r.sample(sorted(OTHERS), r.choice((1, 1, 2)))) if changes else ()
        shares = Random(f"views {seed}").random() < 0.5  # by a dice of its own: whether rolling sets share a view
        first = toml = sharing() if shares else TOML
        for name in names:
            assert OTHERS[name][0] in toml
            toml = toml.replace(*OTHERS[name])
        spec = parse(first)
        self.specs = [spec, parse(toml), spec][: 1 + (r.choice((1, 1, 2)) if changes else 0)]
        self.changed, self.config = names, 0
        poison = [p.n for p in self.stream.tidy if r.random() < 0.15] if not changes and r.random() < 0.4 else []
        self.poison, self.closing = frozenset(poison), not changes and r.random() < 0.15
        if not changes and not self.closing:  # where these are the view keeps what it had, and the oracle writes all of it
            seldom = Random(f"refresh {seed}").choice((0, 3_000, 10_000, 3_600_000))
            self.specs = [replace(spec, views=replace(spec.views, refresh=seldom)) for spec in self.specs]
        points = [POINTS[seed % len(POINTS)], *r.sample(POINTS, 3)]  # in any row of so many seeds each is wanted
        self.deaths = [(point, r.choice((1, 1, 2, 5))) for point in points]
        self.hits: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.store = MemoryStore(spec, lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.clock))
        self.leases: dict[str, Lease] = {name: Lease(name) for name in self.stream.parts}
        self.zombies: list[tuple[Process, int]] = []
        self.late: list[tuple[Process, Position | None, int]] = []
        self.wire: list[tuple[Process, Effects]] = []
        self.owners: dict[str, Process] = {}
        self.turned: dict[str, list[oracle.Turn]] = {}
        self.half: dict[str, bool] = {}
        self.arrived, self.born, self.calm = 0, 0, False

    # what processes ask of it

    def chance(self, p: float) -> bool:
        return not self.calm and p > 0 and self.random.random() < p

    def tell(self, process: Process | None, what: str, shard: str = "") -> None:
        self.story.append((self.clock, process.part.name if process else shard, f"{process.name} {what}" if process else what))

    def short(self, position: Position) -> str:
        """A position that can be read."""
        if position == BEFORE_ALL:
            return "the beginning"
        return f"{(position[0] - FIRST_NUMBER) // 10}" + (f".{position[1]}" if position[1] else "")

    def refuses(self, name: str, document: Doc) -> bool:
        if name == "fraud_scores":
            return document["_id"] in self.poison
        return self.closing and name == "minute" and document["key"] == "t3" and bool(document["final"])

    def point(self, process: Process, name: str) -> None:
        """Something has left the process, or got there. Raises Crash if it is to die of it."""
        if process.doomed:
            raise Crash
        if self.calm or not self.deaths:
            return
        target, left = self.deaths[0]
        on_its_way = target in ON_ITS_WAY and name == "on its way"
        if target != name and not on_its_way:
            return
        self.deaths[0] = target, left - 1
        if left > 1:
            return
        self.deaths.pop(0)
        if not on_its_way:
            self.hits[name] += 1
        self.tell(process, f"DIES at {name}")
        process.doomed = True
        raise Crash

    def claimed(self, process: Process, cursor: Cursor, parents: Sequence[ShardId]) -> None:
        """The store has taken a claim."""
        self.owners[process.part.name] = process
        for parent in parents:
            self.owners[parent.shard] = process
        place = f"the views at {self.short(cursor.place.position)}, the snapshot at {self.short(cursor.snapshot.position)}"
        self.tell(process, f"claims, epoch {cursor.epoch}: {place}")

    def written(self, process: Process, effects: Effects, step: str) -> None:
        """The store has taken a commit. Raises Wrong where it is not the owner's."""
        name, moved = process.part.name, effects.cursor.place != effects.expected.place
        if self.owners[name] is not process:
            raise Wrong(f"{process.name} has written to {name}, which {self.owners[name].name} has claimed")
        turns = self.turned.setdefault(name, [])
        if not turns or turns[-1].spec is not process.spec:
            turns.append(oracle.Turn(effects.expected.place.position, process.spec, self.half.get(name, False)))
        # where commits gather one that moves on may hold a part of the record behind it: nobody can tell
        self.half[name] = self.way.overlap or (
            not moved and (self.half.get(name, False) or bool([*effects.documents, *effects.removes]))
        )
        snapshot = self.short(effects.cursor.snapshot.position) if effects.cursor.snapshot != effects.expected.snapshot else ""
        documents, states = len([*effects.documents]), len(effects.states)
        detail = (
            f"{documents} documents" + (f", {states} states" if states else "") + (f", snapshot {snapshot}" if snapshot else "")
        )
        self.tell(process, f"{step} {self.short(effects.cursor.place.position)}: {detail}")

    def left_behind(self, process: Process, effects: Effects) -> None:
        """A process died while a commit was on its way: it is lost, or lands later."""
        if self.random.random() < 0.35:
            self.hits["on its way: lost"] += 1
        else:
            self.wire.append((process, effects))

    # what happens

    def run(self) -> None:
        """Raises Wrong, with what differs."""
        with self._turns():
            for _ in range(600):
                if self.arrived == self.stream.arrivals and all(self._finished(name) for name in self.leases):
                    break
                self._tick()
            self._quiet()
        self._compare()

    @contextmanager
    def _turns(self) -> Iterator[None]:
        real, commits.threading = commits.threading, self.turns  # type: ignore[assignment]
        try:
            with small_segments():
                yield
        finally:
            commits.threading = real
            for worker in list(self.turns.workers):
                self.turns.kill(worker.owner)

    def _tick(self) -> None:
        r = self.random
        self.clock += r.randint(0, self.way.hurry)
        self._lease()
        what = r.choices(
            ("arrive", "feed", "zombie", "late", "wire", "loose", "steal", "freeze", "shutdown", "kill", "back", "deploy"),
            (4, 9, 2, 1, 1, 2, 0.4, 0.4, 0.4, 0.2, 0.2, 0.3),
        )[0]
        holders = [lease.owner for lease in self.leases.values() if lease.owner is not None]
        owner = r.choice(holders) if holders else None
        if what == "arrive":
            self.arrived = min(self.stream.arrivals, self.arrived + r.randint(1, 8))
        elif what == "zombie" and self.zombies:
            self._zombie(r.randrange(len(self.zombies)))
        elif what == "late" and self.late:
            self._come_to(r.randrange(len(self.late)))
        elif what == "wire" and self.wire:
            self._land(self.wire.pop(r.randrange(len(self.wire))))
        elif what == "loose":
            self._loose()
        elif owner is not None:
            self._to(owner, what)

    def _to(self, owner: Process, what: str) -> None:
        r = self.random
        if what == "feed":
            self._feed(owner)
        elif what == "steal":
            self.faults["zombie"] += 1
            self._take_away(owner)
            self.tell(owner, "has lost its lease, and does not know")
            self.zombies.append((owner, r.choice((0, 1, 1, 2))))
        elif what == "freeze":  # the lease was given to a process that has not come to it yet
            self.faults["late"] += 1
            frozen = self._born(owner.part.name)
            self.tell(frozen, "has had the lease for a moment; it will initialize late")
            self.late.append((frozen, owner.lease.checkpoint, r.choice((0, 1, 1))))
        elif what == "shutdown":
            self._shutdown(owner)
        elif what == "kill":
            self.faults["kill"] += 1
            self.tell(owner, "is KILLED")
            self._died(owner)
        elif what == "back":
            self.faults["set back"] += 1
            self.tell(owner, "is KILLED, and the lease set back")
            self._died(owner)
            owner.lease.checkpoint = r.choice(owner.lease.former)
        elif what == "deploy" and self.config + 1 < len(self.specs):
            self.config += 1
            self.faults["changed set"] += 1
            self.tell(None, f"another configuration from here on: {', '.join(self.changed)}")

    def _lease(self) -> None:
        """Leases without an owner get one, and processes of an old configuration make room."""
        for name, lease in self.leases.items():
            if lease.owner is not None and lease.owner.spec is not self._spec() and (self.calm or self.random.random() < 0.1):
                self._shutdown(lease.owner)
            if lease.owner is None and self._may(name) and (self.calm or self.random.random() < 0.6):
                lease.owner = process = self._born(name)
                self._initialize(process, lease.checkpoint)

    def _may(self, name: str) -> bool:
        part = self.stream.parts[name]
        if self.leases[name].ended or not (part.opened <= self.arrived):
            return False
        return all(self.leases[parent].ended for parent in part.parents)

    def _spec(self) -> Any:
        return self.specs[self.config]

    def _born(self, name: str) -> Process:
        self.born += 1
        return Process(self, f"p{self.born}", self.stream.parts[name], self._spec())

    def _initialize(self, process: Process, checkpoint: Position | None) -> None:
        raws, place = process.part.raws, BEFORE_ALL if checkpoint is None else checkpoint
        process.at = sum((raw.sequence, raw.sub) <= place for raw in raws)
        process.delivered = place
        self.tell(process, f"initialize from {self.short(place)}")
        self._call(process, "initialize", process.lease.begin(checkpoint))

    def _feed(self, process: Process) -> None:
        """The next batch, none if there is nothing, the shard's end behind it."""
        there = process.part.there(self.arrived)
        raws = there[process.at : process.at + self.random.randint(1, self.way.batch)]
        if not raws and process.part.over(self.arrived):
            self.tell(process, "shard ended")
            self._call(process, "shard_ended", batch((), 0, process))
            if process.alive and process.lease.owner is process:
                if not process.lease.ended:
                    raise Wrong(f"{process.name} has answered shard_ended, and the end is not stored")
                process.lease.owner = None
            return
        process.at += len(raws)
        if raws:
            process.delivered = raws[-1].sequence, raws[-1].sub
            self.tell(process, f"is fed {len(raws)} to {self.short(process.delivered)}")
        behind = 0 if process.at == len(there) else 1_000
        self._call(process, "process_records", batch(raws, behind, process))

    def _shutdown(self, owner: Process) -> None:
        self.faults["shutdown"] += 1
        self.tell(owner, "shutdown requested")
        self._call(owner, "shutdown_requested", batch((), 0, owner))
        if owner.alive:
            self._take_away(owner)
            self._call(owner, "lease_lost", None)

    def _take_away(self, owner: Process) -> None:
        if owner.lease.owner is owner:
            owner.lease.owner = None

    def _zombie(self, i: int) -> None:
        zombie, left = self.zombies.pop(i)
        if not zombie.alive:
            return
        if left and zombie.at < len(zombie.part.there(self.arrived)):
            self.zombies.append((zombie, left - 1))
            self.tell(zombie, "(zombie) is fed all the same")
            self._feed(zombie)
        else:
            self.tell(zombie, "(zombie) lease lost")
            self._call(zombie, "lease_lost", None)

    def _come_to(self, i: int) -> None:
        process, checkpoint, left = self.late.pop(i)
        self.tell(process, "(late) comes to")
        self._initialize(process, checkpoint)
        self.zombies.append((process, left))

    def _land(self, left: tuple[Process, Effects]) -> None:
        process, effects = left
        try:
            self.store.commit(effects)
            self.hits["on its way: lands"] += 1
            self.tell(process, "(dead) has a commit that lands")
            self.written(process, effects, "commit of the dead")
        except Fenced:
            self.hits["on its way: too late"] += 1
            self.tell(process, "(dead) has a commit that comes too late")

    def _loose(self) -> None:
        """A commit gets on while nobody is fed."""
        ready = self.turns.ready()
        if ready:
            worker = self.random.choice(ready)
            self.turns.owner = worker.owner
            self.turns.run(worker)
            if worker.owner.doomed:
                self._died(worker.owner)

    def _call(self, process: Process, callback: str, given: Any) -> None:
        """KCL calls a process, which answers, dies, or gives up."""
        if not process.alive:
            return
        self.callback, self.turns.owner, process.refused = callback, process, False
        try:
            getattr(process.shard, callback)(given)
            self.point(process, f"answer: {callback}")
            if callback in ("lease_lost", "shard_ended"):
                self.tell(process, "ends")
        except Crash:
            self._died(process)
        except GaveUp as ended:
            self.tell(process, f"gives up: {ended}")
            if not str(ended).startswith(EXCUSED):
                raise Wrong(f"{process.name} gave up: {ended}") from ended.__cause__
            self._died(process)

    def _died(self, process: Process) -> None:
        process.doomed, process.alive = True, False
        self.turns.kill(process)
        self._take_away(process)

    def _finished(self, name: str) -> bool:
        """Whether the shard was read to its end, for good, and by who owns it now: what waited when the one before was let go is
        written once all between snapshot and cursor is read."""
        part, lease = self.stream.parts[name], self.leases[name]
        if part.closed is not None:
            return lease.ended
        owner = lease.owner
        if owner is None or owner.runner is None or owner.at < len(part.there(self.arrived)):
            return False
        return self._cursor(name).counters.records == len(part.raws)

    def _cursor(self, name: str) -> Cursor:
        return self.store._cursors.get(self.stream.parts[name].id) or Cursor(self.stream.parts[name].id, 0)

    def _quiet(self) -> None:
        """Nothing goes wrong any more, and all is read."""
        self.tell(None, "nothing goes wrong from here on")
        while self.late:
            self._come_to(0)
        while self.zombies:
            self._zombie(0)
        while self.wire:
            self._land(self.wire.pop())
        self.calm, self.arrived, self.config = True, self.stream.arrivals, len(self.specs) - 1
        for _ in range(9):
            self._read_all()
            for lease in self.leases.values():
                if lease.owner is not None:
                    self._shutdown(lease.owner)
            if all(self._saved(name) for name in self.leases):
                return
        raise Wrong("however often it is let go in order, not all is saved")

    def _read_all(self) -> None:
        for _ in range(400):
            self.clock += 5_000
            self._lease()
            for lease in self.leases.values():
                if lease.owner is not None:
                    self._feed(lease.owner)
            if all(self._finished(name) for name in self.leases):
                return
        raise Wrong("it never comes to its end")

    def _saved(self, name: str) -> bool:
        """Whether whoever was let go last has saved all. One that had seen another owner has not, and the next one does it."""
        cursor = self._cursor(name)
        return self.leases[name].ended or cursor.snapshot == cursor.place

    def _compare(self) -> None:
        last = self.specs[-1]
        twin = oracle.Twin(self.stream, self.turned, self.specs[0], self.refuses)
        found = oracle.views(self.store)
        wrong = list(oracle.differences(found, twin, self.changed, last, self.refuses))
        wrong += oracle.miscounted(found, self.stream, self.poison, bool(self.changed), self.refuses)
        wrong += oracle.unsaid(found, self.stream) if not self.changed else ()
        wrong += oracle.left_open(found, self.refuses)
        for name, part in self.stream.parts.items():
            cursor = self._cursor(name)
            if sum(cursor.counters.classes.values()) != len(part.raws):
                wrong.append(f"{name}: {len(part.raws)} records, and the classes are {cursor.counters.classes}")
            if oracle.of_cursor(cursor) != oracle.of_cursor(twin.cursors[name]):
                wrong.append(
                    f"{name}:\n    is       {oracle.of_cursor(cursor)}\n    must be  {oracle.of_cursor(twin.cursors[name])}"
                )
        if wrong:
            raise Wrong("\n".join(wrong))
