"""One run of chaos, from the first part to the last comparison."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from contract.errors import Fatal
from contract.times import date_ms
from sandbox.processes import tail
from tests.chaos import oracle
from tests.chaos.faults import FAULTS, Heal, NoTarget
from tests.chaos.load import Load
from tests.chaos.oracle import Ranges, Record, Report
from tests.chaos.parts import CONSUMERS, PRODUCER, Parts
from tests.chaos.plan import KINDS, PUTS, RESHARDS, Planned, drawn

Document = dict[str, Any]
TICK = 0.05  # s
APART = 1.0  # s between two faults at least
PATIENT = 400.0  # s that faults wait for something to hit: where KCL's leader was killed nobody reads for 134 s
FIRST_WITHIN, DRAINED_WITHIN, COUNTED_WITHIN = 600.0, 900.0, 300.0  # s
CLOSED_AFTER = 16_000  # ms behind the last event every window is closed, and every cart judged
SHOWN = 10
WITHOUT = "without splits and merges"


@dataclass(frozen=True, slots=True)
class Lasting:
    """A fault that is there until it is healed. done: how many requests had met its kind before it."""

    until: float
    kind: str
    heal: Heal
    done: int


class Chaos:
    """run() once, then end(), whatever happened; line() says what came of it."""

    def __init__(self, home: Path, seed: int, seconds: float) -> None:
        self.home, self.seed, self.seconds = home, seed, seconds
        self.survived, self.missed = Counter[str](), Counter[str]()
        self.reports: Mapping[str, Report] = {}
        self.parts: Parts | None = None
        self.load: Load | None = None
        self.good = False
        self._heals: list[Lasting] = []
        self._begun = time.monotonic()

    def run(self) -> bool:
        """Whether all is as it must be. Raises Fatal where it does not get that far."""
        self.say(f"chaos: seed {self.seed}, {self.seconds:g} s of faults")
        parts = self.parts = Parts(self.home, self.seed)
        kinds = [kind for kind in KINDS if parts.lacks is None or kind not in RESHARDS]
        if parts.lacks is not None:
            self.say(f"chaos: {WITHOUT}: {parts.lacks}")
        with MongoClient[Document](parts.running.uri, tz_aware=True, serverSelectionTimeoutMS=5_000) as client:
            self._until("every shard is read", lambda: self._read(client), FIRST_WITHIN)  # its heartbeats, that is
            parts.second()
            load = self.load = Load(parts.running.uri, parts.kinesis, parts.spec.stream.name, self.seed).begin()
            self._faults(drawn(self.seed, self.seconds, kinds))
            load.end()
            self._heal_all()
            self.say("faults and load have ended; one consumer stops, the other has to take over and read all of it")
            # with two of them leases wander on a machine that is short of breath, since an emulator's last 3 s only
            parts.stop(CONSUMERS[1])
            self._until("all that was written is read and closed", lambda: self._closed(client), DRAINED_WITHIN)
            parts.stop(PRODUCER)
            on_stream = oracle.lie(parts.kinesis, parts.spec.stream.name)
            lengths = {shard: len(records) for shard, records in on_stream.items()}
            self._until("every record that lies on the stream is counted", lambda: self._counted(client, lengths), COUNTED_WITHIN)
            parts.stop(CONSUMERS[0])
            self.say("producer and consumers have stopped in order; comparing")
            self._check(client, on_stream)
        return self._told()

    def end(self) -> None:
        """Everything that was started is stopped."""
        self._heal_all()
        if self.load is not None:
            self.load.abandon()
        if self.parts is not None:
            self.parts.end()

    def line(self) -> str:
        """How many faults of each kind were survived, and how many views differ."""
        each = ", ".join(f"{kind} {self.survived[kind]}" for kind in KINDS if self.survived[kind])
        differ = sum(report.differ > 0 for report in self.reports.values())
        views = f"{differ} of {len(self.reports)} views differ" if self.reports else "the views were not compared"
        verb = "survived" if self.good else "injected"
        return f"chaos: {sum(self.survived.values())} faults {verb} ({each}); {views}"

    def say(self, text: str) -> None:
        """A line, with the time since the beginning."""
        print(f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._begun:7.1f}  {text}", flush=True)

    # --- the faults

    def _faults(self, plan: list[Planned]) -> None:
        begun, waiting, last = time.monotonic(), list(plan), -APART
        while (now := time.monotonic() - begun) < self.seconds + (PATIENT if waiting or self._unmet() else 0.0):
            # what had to wait for something that it can hit does not come all at once
            hit = next((f for f in waiting if f.at <= now and now - last >= APART and self._inject(f)), None)
            if hit is not None:
                waiting.remove(hit)
                last = now
            self._tick()
        self.missed.update(fault.kind for fault in waiting)

    def _inject(self, fault: Planned) -> bool:
        """False if there is nothing that it could hit just now."""
        try:
            what, heal = FAULTS[fault.kind](self._parts(), fault)
        except NoTarget:
            return False
        self.say(f"{fault.kind}: {what}")
        self._heals.append(Lasting(time.monotonic() + fault.lasts, fault.kind, heal, self._parts().proxy.done[fault.kind]))
        self.survived[fault.kind] += 1
        return True

    def _tick(self) -> None:
        unmet = self._unmet()
        for due in [lasting for lasting in self._heals if lasting.until <= time.monotonic() and lasting not in unmet]:
            self._heals.remove(due)
            due.heal()
        self._parts().tend()
        if self.load is not None:
            self.load.check()
        time.sleep(TICK)

    def _unmet(self) -> list[Lasting]:
        """Troubles that no request has met yet: the producer is away, or has nothing to say. They last until one does."""
        return [h for h in self._heals if h.kind in PUTS and self._parts().proxy.done[h.kind] == h.done]

    def _heal_all(self) -> None:
        for lasting in self._heals:
            lasting.heal()
        self._heals.clear()

    # --- how far it is

    def _until(self, what: str, true: Callable[[], bool], within: float) -> None:
        deadline = time.monotonic() + within
        asked = 0.0
        while True:
            self._tick()
            if time.monotonic() - asked < 0.5:
                continue
            asked = time.monotonic()
            try:
                if true():
                    self.say(what)
                    return
            except PyMongoError as error:
                self.say(f"MongoDB does not answer: {type(error).__name__}")
            if time.monotonic() > deadline:
                raise Fatal(f"not within {within:.0f} s: {what}\n{self._standstill()}")

    def _read(self, client: MongoClient[Document]) -> bool:
        marks = self._marks(client)
        return all(marks.get(shard) is not None for shard in self._open())

    def _closed(self, client: MongoClient[Document]) -> bool:
        last = max(self._last(client, t.database, t.collection) for t in self._parts().spec.triggers)
        marks = self._marks(client)
        return all((mark := marks.get(shard)) is not None and mark > last + CLOSED_AFTER for shard in self._open())

    def _counted(self, client: MongoClient[Document], lengths: Mapping[str, int]) -> bool:
        health = self._health(client)
        return all(shard in health and health[shard]["records"] >= n for shard, n in lengths.items())

    @staticmethod
    def _last(client: MongoClient[Document], database: str, collection: str) -> int:
        found = client[database][collection].find_one({"poison": {"$exists": False}}, sort=[("at", -1)])
        return date_ms(found["at"]) if found else 0

    def _open(self) -> Ranges:
        return oracle.open_ranges(self._parts().kinesis, self._parts().spec.stream.name)

    def _health(self, client: MongoClient[Document]) -> Mapping[str, Document]:
        return {d["_id"].partition("/")[2]: d for d in client[self._parts().spec.views.database]["health"].find()}

    def _marks(self, client: MongoClient[Document]) -> Mapping[str, int | None]:
        return {shard: None if d["watermark"] is None else date_ms(d["watermark"]) for shard, d in self._health(client).items()}

    def _standstill(self) -> str:
        """What did not move, and the logs' ends."""
        parts = self._parts()
        lines = []
        with MongoClient[Document](parts.running.uri, tz_aware=True, serverSelectionTimeoutMS=5_000) as client:
            health, last = self._health(client), oracle.lie(parts.kinesis, parts.spec.stream.name)
            for shard, records in last.items():
                own = health.get(shard, {})
                state = "open" if shard in self._open() else "ended"
                lines.append(f"{shard} ({state}): {own.get('records')} of {len(records)} read, watermark {own.get('watermark')}")
        lines += [f"last word: {word}" for word in parts.words()]
        lines += [f"--- {log.name}\n{tail(log)}" for log in sorted(self.home.glob("*.log"))]
        return "\n".join(lines)

    # --- what came of it

    def _check(self, client: MongoClient[Document], on_stream: Mapping[str, list[Record]]) -> None:
        spec = self._parts().spec
        right = oracle.expected(on_stream, self._load().unreadable)
        self.reports = oracle.check_views(client, spec, self._open(), right)
        classes = sum(right.classes.values(), Counter[str]())
        self.say(f"records on {len(on_stream)} shards: " + ", ".join(f"{name} {n}" for name, n in classes.items()))
        reasons = Counter(reason for reason, _ in right.letters.values())
        self.say("dead letters: " + ", ".join(f"{reason} {n}" for reason, n in sorted(reasons.items())))
        self.say(f"put again by the load: {self._load().duplicates}; requests troubled: {dict(self._parts().proxy.done)}")

    def _told(self) -> bool:
        for name, report in self.reports.items():
            compared = f"{report.windows + report.still_open} windows, {report.rolling} rolling values, {report.carts} carts"
            self.say(f"{name}: {report.differ} of {report.checked} documents differ; {compared}, {report.scores} scores")
            for example in report.examples[:SHOWN]:
                self.say(f"  differs: {example}")
        ends, done = self._parts().ends(), self._parts().proxy.done
        for end in ends:
            self.say(end)
        for kind, n in self.missed.items():
            self.say(f"not injected, as there was nothing to hit: {kind}, {n} times")
        untroubled = [kind for kind in PUTS if self.survived[kind] and not done[kind]]
        if untroubled:
            self.say(f"no request came while there was: {', '.join(untroubled)}")
        empty = [name for name, report in self.reports.items() if not report.checked]
        if empty:
            self.say(f"there was nothing to compare: {', '.join(empty)}")
        self.good = not ends and not untroubled and not empty and all(report.differ == 0 for report in self.reports.values())
        return self.good

    def _parts(self) -> Parts:
        assert self.parts is not None
        return self.parts

    def _load(self) -> Load:
        assert self.load is not None
        return self.load
