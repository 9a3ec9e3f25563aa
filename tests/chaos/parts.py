"""The real parts that chaos is made with, and who starts them again when they end, as systemd would.

    load ─► mongod ─► producer ─► proxy ─► Kinesis ─► two consumers (a supervisor, a JVM, children) ─► mongod
Kinesis is kinesis-local, which can split and merge, where there is Node.js; else ministack. DynamoDB is ministack.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from config.load import load
from config.specs import Pipeline
from consumer.host import reports
from consumer.host.jvm import leftovers
from contract.errors import Fatal
from sandbox import aws, kinesis_local, stack, state
from sandbox.processes import Known, find, gone, known, spawn, stop
from sandbox.rewind import make_stream
from tests.chaos.proxy import Proxy

ROOT = Path(__file__).parents[2]
EVERYTHING, MORE = ROOT / "tests" / "sandbox" / "everything.toml", Path(__file__).with_name("chaos.toml")
SHARDS = 4
PRODUCER, CONSUMERS = "producer", ("consumer-0", "consumer-1")
AGAIN_AFTER = 1.0  # s
GRACE = 240.0  # s for an orderly end: on a machine that is busy with other things it takes long


def pipeline(folder: Path) -> Path:
    """The configuration, written to the folder."""
    file = folder / "pipeline.toml"
    file.write_text(EVERYTHING.read_text().replace("shards = 2", f"shards = {SHARDS}") + MORE.read_text())
    return file


def runs(pid: int) -> bool:
    """Whether it is there, and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(slots=True)
class Part:
    """One process that is kept running. killed: that it ends is what we did; ends: when it ended without that, and how."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    who: Known | None = None
    killed: bool = False
    again_at: float = 0.0
    ends: list[str] = field(default_factory=list)


class Parts:
    """All of them. To be used from one thread, the main one: what is started ends with the thread that started it."""

    def __init__(self, home: Path, seed: int) -> None:
        self.home = home
        self.config = pipeline(home)
        self.spec: Pipeline = load(self.config)
        self.running = stack.up(home, leashed=True)
        self.lacks: str | None = None  # what this machine lacks for a Kinesis that can split and merge
        self._kinesis = self._splits()
        self.kinesis_port = self._kinesis.port if self._kinesis else self.running.aws_port
        self.kinesis: Any = aws.kinesis(self.kinesis_port)
        make_stream(self.running, self.spec)
        aws.make_stream(self.kinesis_port, self.spec.stream.name, SHARDS)
        self.proxy = Proxy(self.kinesis_port, seed).begin()
        self.parts = {
            PRODUCER: Part(PRODUCER, ("producer",)),
            **{name: Part(name, ("consumer", "--slot", str(slot))) for slot, name in enumerate(CONSUMERS)},
        }
        self._start(self.parts[PRODUCER])
        self._start(self.parts[CONSUMERS[0]])

    def _splits(self) -> Known | None:
        """kinesis-local, where it can be had; else `lacks` says why not."""
        self.lacks = kinesis_local.lacks()
        if self.lacks is not None:
            return None
        try:
            package = kinesis_local.fetch(self.home.parent / "npm")
        except Fatal as error:
            self.lacks = str(error)
            return None
        port = state.free_port()
        who = kinesis_local.start(package, self.home, port, state.free_port(avoid=port), leashed=True)
        kinesis_local.ready(who, self.home)
        return who

    def _start(self, part: Part) -> None:
        kinesis = aws.url(self.proxy.port if part.name == PRODUCER else self.kinesis_port)
        own = {"EDDY_SANDBOX": str(self.home), "EDDY_CONFIG": str(self.config), "PYTHONUNBUFFERED": "1"}
        env = {**os.environ, **self.running.environment(), **own, "AWS_ENDPOINT_URL_KINESIS": kinesis}
        command = [sys.executable, "-m", *part.command]
        part.process = spawn(command, self.home / f"{part.name}.log", env, leashed=True)
        part.who, part.killed = known(part.process.pid, name=part.name), False

    def second(self) -> None:
        """Start the second consumer, beside the first one. It is there to take over: both at once, with nothing to do yet, cost a
        slow machine minutes."""
        self._start(self.parts[CONSUMERS[1]])

    def tend(self) -> None:
        """Start again what has ended."""
        for part in self.parts.values():
            if part.process is None:
                if part.who is not None and time.monotonic() >= part.again_at:
                    self._start(part)
            elif (status := part.process.poll()) is not None:
                if not part.killed:
                    part.ends.append(f"{part.name} ended by itself with status {status} at {time.strftime('%H:%M:%S')}")
                part.process, part.again_at = None, time.monotonic() + AGAIN_AFTER

    def ends(self) -> list[str]:
        """What ended without having been killed: nothing that was done here asks for that."""
        return [end for part in self.parts.values() for end in part.ends]

    def part(self, name: str) -> psutil.Process | None:
        """It, while it runs."""
        return find(self.parts[name].who)

    def kill(self, name: str) -> None:
        """With SIGKILL, alone: what it has started is left to itself."""
        process = self.part(name)
        if process is not None:
            self.parts[name].killed = True
            process.kill()

    def jvms(self) -> list[psutil.Process]:
        """Of the consumers that have one now."""
        found = []
        for name in CONSUMERS:
            process = self.part(name)
            with suppress(psutil.NoSuchProcess):
                found += [p for p in process.children() if p.name() == "java"] if process is not None else []
        return found

    def children(self) -> Mapping[str, int]:
        """Shard -> pid of the child that reads it."""
        words = self.words()
        return {w.shard: w.pid for w in words if w.state == "reading" and runs(w.pid)}

    def words(self) -> list[reports.Status]:
        """What the children last said of themselves."""
        starts = sorted(self.home.glob("run-*/*/shards/*"))  # a folder for each start of a KCL
        return [word for start in starts for word in reports.read(start)]

    def _runs(self) -> list[Path]:
        return sorted(self.home.glob("run-*/*"))

    def kill_mongod(self) -> None:
        """With SIGKILL; and start it again on its data and port, and wait until it takes writes."""
        who = state.read(self.home).mongod
        process = find(who)
        if process is not None:
            process.kill()
            gone(who, 10)
        self.running = stack.up(self.home, leashed=True)

    def stop(self, name: str) -> None:
        """In order. Raises Fatal where that does not do."""
        part = self.parts.pop(name)
        if not stop(part.who, GRACE):
            raise Fatal(f"the {name} did not stop within {GRACE:.0f} s")

    def end(self) -> None:
        """Everything, however it stands."""
        for part in self.parts.values():
            stop(part.who, 30)
        for run in self._runs():
            for pid in leftovers(run):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.proxy.end()
        stop(self._kinesis, 5)
        stack.down(self.home, say=False)
