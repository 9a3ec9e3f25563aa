"""The sandbox as a whole: real parts on this machine, started or joined by whoever needs them, stopped in order.

mongod keeps its data under the sandbox's directory, and its port when that is free. ministack keeps nothing, so a ministack that
is started again always gets another port: a producer or consumer left over from before cannot mistake the new stream for its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from sandbox import aws, mongod, state
from sandbox.processes import Known, find, stop

ORDER = ("traffic", "producer", "query", "consumer")  # who of the joined ends first: nothing may be fed when nobody reads
PATIENCE = {"consumer": 75.0}  # KCL's orderly end takes a few seconds, at most a minute
MONGOD_GRACE, MINISTACK_GRACE, JOINED_GRACE = 30.0, 3.0, 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that answers. fresh: its ministack was started just now."""

    home: Path
    mongod_port: int
    aws_port: int
    fresh: bool

    @property
    def uri(self) -> str:
        """MONGODB_URI for its MongoDB."""
        return mongod.uri(self.mongod_port)

    def environment(self) -> dict[str, str]:
        """What a command needs to run on it."""
        return {"MONGODB_URI": self.uri, "EDDY_STATE": str(self.home), **aws.settings(self.aws_port)}


def up(home: Path, leashed: bool = False) -> Running:
    """Start what does not run, wait until it answers. Raises Fatal or Misconfigured saying what to do."""
    with state.locked(home):
        now = state.read(home)
        database, fresh = find(now.mongod) is None, find(now.ministack) is None
        if database:
            port = state.free_port(now.mongod.port if now.mongod else 0)
            now = _keep(home, msgspec.structs.replace(now, mongod=mongod.start(home, port, leashed)))
        if fresh:
            port = state.free_port(avoid=now.ministack.port if now.ministack else 0)
            now = _keep(home, msgspec.structs.replace(now, ministack=aws.start(home, port, leashed), streams={}))
        assert now.mongod is not None and now.ministack is not None
        mongod.ready(now.mongod, home)
        aws.ready(now.ministack, home)
        return Running(home, now.mongod.port, now.ministack.port, fresh)


def running(home: Path) -> Running | None:
    """The sandbox if both parts run; starts nothing."""
    now = state.read(home)
    if find(now.mongod) is None or find(now.ministack) is None or now.mongod is None or now.ministack is None:
        return None
    return Running(home, now.mongod.port, now.ministack.port, fresh=False)


def join(home: Path, who: Known) -> None:
    """Remember a command that runs on this sandbox, so that an orderly stop can end it first."""
    with state.locked(home):
        now = state.read(home)
        alive = [other for other in now.joined if find(other) is not None and other.pid != who.pid]
        _keep(home, msgspec.structs.replace(now, joined=[*alive, who]))


def down(home: Path, say: bool = True, before: Callable[[Running], object] | None = None) -> bool:
    """Stop the joined commands (who feeds before who reads), then ministack, then mongod. False if nothing ran.

    before: called when only the two parts still run, both of them.
    """
    with state.locked(home):
        now = state.read(home)
        joined = [who for who in now.joined if find(who) is not None]
        ran = bool(joined) or any(find(who) is not None for who in (now.ministack, now.mongod))
        for who in sorted(joined, key=lambda w: ORDER.index(w.name) if w.name in ORDER else 0):
            _end(who, PATIENCE.get(who.name, JOINED_GRACE), say)
        both = running(home)
        if both is not None and before is not None:
            before(both)
        _end(now.ministack, MINISTACK_GRACE, say=False)
        _end(now.mongod, MONGOD_GRACE, say=False)
        _keep(home, msgspec.structs.replace(now, joined=[], streams={}))
        return ran


def clean(home: Path) -> None:
    """Stop everything and forget everything."""
    if home.exists():
        down(home)
        shutil.rmtree(home, ignore_errors=True)


def _end(who: Known | None, grace: float, say: bool) -> None:
    if who is None or find(who) is None:
        return
    if say:
        print(f"sandbox: stopping the {who.name} (pid {who.pid})", flush=True)
    stop(who, grace)


def _keep(home: Path, now: state.State) -> state.State:
    state.write(home, now)
    return now
