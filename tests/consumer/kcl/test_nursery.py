"""Children out of the nursery: their pipes are KCL's, their end is KCL's to see, and nobody outlives whom it cannot be without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import pytest

from consumer.host import jvm
from consumer.host.nursery import ROOT, Nursery
from consumer.host.relay import FAILED
from tests.consumer.conftest import eventually

# A nursery whose children say who they are and what they were given, then echo lines until they are told a status.
NURSERY = """
import os, sys
from pathlib import Path
from consumer.kcl import nursery

def be(name, parent):
    told = next(line for line in open(f"/proc/self/fdinfo/{parent}") if line.startswith("Pid:")).split()[1]
    print(os.getpid(), name, told, len(loaded), len(os.listdir("/proc/self/fd")), flush=True)
    print("on stderr", file=sys.stderr, flush=True)
    for line in sys.stdin:
        if line.startswith("raise"):
            raise ValueError("as told")
        if line.startswith("exit"):
            os._exit(int(line.split()[1]))
        print("heard", line, end="", flush=True)
    os._exit(0)

loaded = []
nursery.main(Path(os.environ["EDDY_RUN"]), lambda: loaded.append(1), be)
"""


class Relay:
    """What KCL starts, and the child behind it."""

    def __init__(self, run: Path, name: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(ROOT / "consumer" / "host" / "relay.py"), "/nowhere"], cwd=run,
            env={"EDDY_START": name}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        pid, self.start, jvm_pid, loaded, handles = self.line().split()
        self.child, self.jvm, self.loaded, self.handles = psutil.Process(int(pid)), int(jvm_pid), int(loaded), int(handles)

    def say(self, text: str) -> None:
        self._pipe(self.process.stdin).write(f"{text}\n")
        self._pipe(self.process.stdin).flush()

    def line(self) -> str:
        return str(self._pipe(self.process.stdout).readline())

    def ends(self) -> int:
        """Its status, once its pipe is closed from the child's side too."""
        assert self._pipe(self.process.stdout).read() == ""
        return self.process.wait(20)

    def _pipe(self, pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / ("a run as long as paths are on a machine where somebody took care to name " + "each folder " * 5)
    folder.mkdir()
    yield folder
    for pid in jvm.leftovers(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def nursery(run: Path) -> Iterator[Nursery]:
    one = Nursery(run, os.environ, (sys.executable, "-c", NURSERY))
    one.ready()
    eventually((run / "nursery").exists, 20)
    yield one
    one.close()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_child_has_kcls_pipes_and_its_status_is_kcls_to_see(run: Path, nursery: Nursery) -> None:
    one, two = Relay(run, "first"), Relay(run, "second")
    assert (one.start, two.start, one.loaded, two.loaded) == ("first", "second", 1, 1)
    assert one.jvm == two.jvm == os.getpid()
    assert one.handles == two.handles, "nothing of the first child's is open in the second"
    assert {one.child.ppid(), two.child.ppid()} == set(nursery.pids)
    for word in ("a", "ü"):
        two.say(word)
        assert two.line() == f"heard {word}\n"
    two.say("exit 75")
    assert two.ends() == 75
    one.say("still here")
    assert one.line() == "heard still here\n"
    assert one.process.stdin is not None
    one.process.stdin.close()
    assert one.ends() == 0
    assert one.process.stderr is not None
    assert one.process.stderr.read() == "on stderr\n"


def test_a_child_that_raises_ends_alone(run: Path, nursery: Nursery) -> None:
    before = nursery.pids
    one = Relay(run, "s")
    one.say("raise")
    assert one.ends() == FAILED
    assert one.process.stderr is not None
    assert "ValueError: as told" in one.process.stderr.read()
    two = Relay(run, "s")
    two.say("exit 0")
    assert two.ends() == 0
    assert nursery.pids == before


def test_a_killed_child_takes_its_relay_with_it_and_a_killed_relay_its_child(run: Path, nursery: Nursery) -> None:
    one, two, three = (Relay(run, "s") for _ in range(3))
    one.child.kill()
    assert one.ends() == 128 + signal.SIGKILL
    eventually(lambda: not psutil.pid_exists(one.child.pid), 20)
    two.process.kill()
    assert two.ends() == -signal.SIGKILL
    eventually(lambda: gone(two.child), 20)
    three.say("unharmed")
    assert three.line() == "heard unharmed\n"
    three.say("exit 0")
    assert three.ends() == 0


def test_a_killed_nursery_takes_its_children_with_it_and_is_started_again(run: Path, nursery: Nursery) -> None:
    one = Relay(run, "s")
    [pid] = nursery.pids
    os.kill(pid, signal.SIGKILL)
    assert one.ends() == FAILED
    eventually(lambda: gone(one.child), 20)
    eventually(lambda: not nursery.pids, 20)
    (run / "nursery").unlink()
    nursery.ready()
    eventually((run / "nursery").exists, 20)
    two = Relay(run, "s")
    assert {two.child.ppid()} == set(nursery.pids) != {pid}
    nursery.close()
    assert two.ends() == FAILED
    assert nursery.pids == frozenset()
