"""From a kill -9 to records that flow again: `python -m benchmarks.recovery [--kills N] [--only KIND] [--rate N]`.

All parts are real: mongod, ministack, the producer, the shop at 60 changes a second, the consumer with its JVM and a child for each
of two shards. Killed is, in turns,

    jvm           KCL alone: its children end when they see it gone, the supervisor starts the next one
    child         one of the two: KCL ends with it, and so does the other one
    supervisor    the keeper alone; another one is started at once, as systemd does
    transaction   a child that is stopped (SIGSTOP) while MongoDB says that its transaction is open, then killed

The clock runs from the kill until the cursor of every shard has moved under a new epoch: a claim that moves nothing does not count,
nor does what a leftover writes. Exits 1 where that takes longer than 10 s. Beside the seconds stands how many of a processor's the
consumer took for it (supervisor, JVM, children), and how many processes of the machine waited for a processor on average: where
others want it too, the seconds are longer, and the processor's are not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from pymongo import MongoClient

from config.load import load
from consumer.host import reports
from consumer.store.layout import CURSORS
from sandbox.processes import find, tail
from sandbox.stage import Stage

ROOT = Path(__file__).parents[1]
KINDS = ("jvm", "child", "supervisor", "transaction")
WITHIN = 10.0  # s, which is asked for
AT_MOST = 180.0  # s; what takes longer does not come back
CALM = 25.0  # s of flowing before the next kill: KCL is through with its own start, and the supervisor counts it as one that lived
STILL = 8.0  # s without a move after which a shard does not flow
FIRST = 600.0  # s for the first lease, or for a machine to come to rest
STEP = 0.02
Document = dict[str, Any]


@dataclass(frozen=True)
class Kill:
    """One of them: how long until the first shard and until the last one was read again, the consumer's seconds of a processor for
    it, and the machine's load."""

    kind: str
    first: float
    last: float
    cpu: float
    load: float


class Around:
    """What is seen of the stack from outside."""

    def __init__(self, stage: Stage, client: MongoClient[Document]) -> None:
        self.stage, self.client = stage, client
        self.table = client[stage.spec.views.database][CURSORS]

    def cursors(self) -> dict[str, Document]:
        """By shard."""
        return {str(doc["_id"]): doc for doc in self.table.find({}, {"epoch": 1, "sequence": 1, "sub": 1, "session": 1})}

    def supervisor(self) -> psutil.Process:
        """The consumer."""
        return self._must(find(self.stage.children["consumer"]))

    def jvm(self) -> psutil.Process:
        """Its KCL."""
        return self._must(next((p for p in self.supervisor().children() if "MultiLangDaemon" in " ".join(p.cmdline())), None))

    def cpu(self) -> dict[int, float]:
        """Seconds of a processor that each process of the consumer's has taken so far."""
        found = {}
        for process in (self.supervisor(), *self.supervisor().children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                found[process.pid] = times.user + times.system
        return found

    def children(self) -> dict[str, psutil.Process]:
        """The shards' processes, by shard."""
        [words] = self.stage.home.glob("run-*/*/shards/*")
        return {status.shard: psutil.Process(status.pid) for status in reports.read(words)}

    def flows(self, seconds: float) -> None:
        """Wait until every shard's cursor has moved, again and again, for so long."""
        deadline, begun = time.monotonic() + FIRST, time.monotonic()
        last, moved = self.cursors(), dict[str, float]()
        while time.monotonic() - begun < seconds:
            self.stage.must_live()
            if time.monotonic() > deadline:
                raise RuntimeError(f"records do not flow; the consumer's log ends:\n{tail(self.stage.home / 'consumer.log')}")
            time.sleep(0.2)
            now = self.cursors()
            moved |= {shard: time.monotonic() for shard, doc in now.items() if _position(doc) != _position(last.get(shard))}
            last = now
            if len(now) < self.stage.spec.stream.shards or min(moved.get(s, 0.0) for s in now) < time.monotonic() - STILL:
                begun = time.monotonic()

    def open_transaction(self, cursor: Document) -> bool:
        """Whether the owner of a shard has one open, by MongoDB's word."""
        wanted = {"lsid.id": cursor["session"]["id"], "transaction.parameters.txnNumber": {"$exists": True}}
        asked = [{"$currentOp": {"allUsers": True, "idleSessions": True}}, {"$match": wanted}]
        return bool(list(self.client.admin.aggregate(asked)))

    def _must(self, process: psutil.Process | None) -> psutil.Process:
        if process is None:
            raise RuntimeError(f"it does not run; the consumer's log ends:\n{tail(self.stage.home / 'consumer.log')}")
        return process


def _position(doc: Document | None) -> tuple[Any, Any]:
    return (doc["sequence"], doc["sub"]) if doc is not None else (None, None)


def kill_jvm(around: Around) -> None:
    """KCL."""
    around.jvm().kill()


def kill_child(around: Around) -> None:
    """The first shard's."""
    next(iter(around.children().values())).kill()


def kill_supervisor(around: Around) -> None:
    """And another one at once."""
    around.supervisor().kill()
    around.stage.start("consumer", "consumer")


def kill_in_transaction(around: Around) -> None:
    """A child whose transaction MongoDB holds open."""
    shard, child = next(iter(around.children().items()))
    cursor = next(doc for key, doc in around.cursors().items() if shard in key)
    deadline = time.monotonic() + AT_MOST
    while time.monotonic() < deadline:
        if not around.open_transaction(cursor):
            continue
        child.send_signal(signal.SIGSTOP)
        time.sleep(STEP)  # what it had on the way to MongoDB has arrived
        if around.open_transaction(cursor):
            child.kill()
            return
        child.send_signal(signal.SIGCONT)
    raise RuntimeError("no transaction was ever seen open")


KILLS: dict[str, Callable[[Around], None]] = dict(
    zip(KINDS, (kill_jvm, kill_child, kill_supervisor, kill_in_transaction), strict=True)
)


def killed(around: Around, kind: str) -> Kill:
    """Do it, and wait for every shard."""
    spent = around.cpu()
    KILLS[kind](around)
    begun, before = time.monotonic(), around.cursors()
    back = dict[str, float]()
    while len(back) < len(before):
        took = time.monotonic() - begun
        if took > AT_MOST:
            break
        for shard, doc in around.cursors().items():
            if shard in before and doc["epoch"] == before[shard]["epoch"]:
                before[shard] = doc
            elif shard not in back and _position(doc) != _position(before.get(shard)):
                back[shard] = took
        time.sleep(STEP)
    late = AT_MOST if len(back) < len(before) else max(back.values())
    cpu = sum(took - spent.get(pid, 0.0) for pid, took in around.cpu().items())
    return Kill(kind, min(back.values(), default=AT_MOST), late, cpu, os.getloadavg()[0])


@contextmanager
def staged(config: Path, rate: float) -> Iterator[Around]:
    """Everything, with records flowing; all of it ends with this, whatever happens."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EDDY_CONFIG"] = str(config.resolve())
        stage = Stage.set(Path(folder) / "stage", load(config))
        try:
            stage.start("producer", "producer")
            stage.start("consumer", "consumer")
            stage.start("traffic", "sandbox", "traffic", "--rate", str(rate))
            with MongoClient[Document](stage.running.uri) as client:
                yield Around(stage, client)
        except BaseException:
            print(tail(stage.home / "consumer.log", 40), file=sys.stderr)
            raise
        finally:
            stage.end()


def main() -> int:
    """The table."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--rate", type=float, default=60.0)
    parser.add_argument("--config", type=Path, default=ROOT / "pipeline.toml")
    given = parser.parse_args()
    kinds = [given.only] * given.kills if given.only else [KINDS[n % len(KINDS)] for n in range(given.kills)]
    found: list[Kill] = []
    with staged(given.config, given.rate) as around:
        for kind in kinds:
            around.flows(CALM)
            found.append(killed(around, kind))
            print(f"{kind}: {found[-1].last:.1f} s (the first shard {found[-1].first:.1f} s)", file=sys.stderr, flush=True)
    print("| killed with -9 | asked | times | median | slowest | of a processor | load | met |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in KINDS:
        own = [one for one in found if one.kind == kind]
        if own:
            slowest, cpu, load = max(one.last for one in own), median(one.cpu for one in own), median(one.load for one in own)
            line = f"{median(one.last for one in own):.1f} s | {slowest:.1f} s | {cpu:.1f} s | {load:.1f}"
            print(f"| {kind} | <= {WITHIN:.0f} s | {len(own)} | {line} | {'yes' if slowest <= WITHIN else '**no**'} |")
    return int(any(one.last > WITHIN for one in found))


if __name__ == "__main__":
    sys.exit(main())
