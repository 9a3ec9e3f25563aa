"""A sandbox of one's own with producer, consumer and traffic on it, for the demo and for tests: it ends with who set it up."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from config.specs import Pipeline
from contract.errors import Fatal
from sandbox import stack
from sandbox.processes import Known, find, known, spawn, stop, tail
from sandbox.rewind import make_stream

GRACE = {"traffic": 15.0, "producer": 30.0, "consumer": 90.0}


@dataclass(slots=True)
class Stage:
    """All that one demo has started. settings: of the environment, in place of the sandbox's or beside them."""

    home: Path
    spec: Pipeline
    running: stack.Running
    children: dict[str, Known] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def set(cls, home: Path, spec: Pipeline) -> Stage:
        """A running sandbox with the stream; what it starts ends when this process does."""
        stage = cls(home, spec, stack.up(home, leashed=True))
        make_stream(stage.running, spec)
        return stage

    def environment(self) -> dict[str, str]:
        """For commands on this stage."""
        own = {"EDDY_SANDBOX": str(self.home), "PYTHONUNBUFFERED": "1"}
        return {**os.environ, **self.running.environment(), **self.settings, **own}

    def start(self, name: str, *command: str) -> None:
        """A child in its own session, which ends when we do. name: traffic, producer or consumer; of several, with a number
        behind it (consumer-1)."""
        process = spawn([sys.executable, "-m", *command], self.home / f"{name}.log", self.environment(), leashed=True)
        self.children[name] = known(process.pid, name=name)

    def stop(self, name: str) -> None:
        """End a child in an orderly way. Raises Fatal if it had to be killed."""
        who = self.children.pop(name, None)
        if who is not None and not stop(who, grace(name)):
            raise Fatal(f"the {name} did not stop within {grace(name):.0f} s; its log ends:\n{tail(self.home / f'{name}.log')}")

    def kill(self, name: str) -> None:
        """End a child, and all that it has started, with SIGKILL."""
        process = find(self.children.pop(name, None))
        if process is not None:
            all_of_it = [process, *process.children(recursive=True)]
            for one in all_of_it:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
            psutil.wait_procs(all_of_it, grace(name))

    def must_live(self) -> None:
        """Raises Fatal with the end of its log for a child that died."""
        for name, who in self.children.items():
            if find(who) is None:
                raise Fatal(f"the {name} died; {self.home / f'{name}.log'} ends:\n{tail(self.home / f'{name}.log')}")

    def end(self) -> None:
        """Stop all that still runs: who feeds first."""
        for name in sorted(self.children, key=lambda name: list(GRACE).index(kind(name))):
            stop(self.children.pop(name), grace(name))
        stack.down(self.home, say=False)


def kind(name: str) -> str:
    """What a child is: its name without a number."""
    return name.partition("-")[0]


def grace(name: str) -> float:
    """Seconds that it has for an orderly end."""
    return GRACE[kind(name)]
