"""What runs in a sandbox: a directory with a lock, the pids and ports in state.json, and everything else that it keeps."""

from __future__ import annotations

import fcntl
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sandbox.processes import Known

DIRECTORY = ".sandbox"
PORTS = range(15_000, 30_000)


class State(msgspec.Struct, frozen=True):
    """mongod and ministack as they were started; streams: name -> shards, as made in this ministack; joined: commands of other
    terminals that run on this sandbox."""

    mongod: Known | None = None
    ministack: Known | None = None
    streams: dict[str, int] = {}
    joined: list[Known] = []


def directory() -> Path:
    """Where the sandbox of this checkout lives: EDDY_SANDBOX, else `.sandbox` in the current directory."""
    return Path(os.environ.get("EDDY_SANDBOX") or DIRECTORY).resolve()


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One at a time may start, stop or join; the kernel frees the lock of whoever dies."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read(home: Path) -> State:
    """The state as last written; an empty one where there is none or it was cut off in writing."""
    try:
        return msgspec.json.decode((home / "state.json").read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return State()


def write(home: Path, state: State) -> None:
    """Replace state.json in one step."""
    fresh = home / "state.json.new"
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2))
    fresh.replace(home / "state.json")


def free_port(wanted: int = 0, avoid: int = 0) -> int:
    """A port on 127.0.0.1 that nobody listens on: `wanted` if it is free, never `avoid`.

    Below the range that the kernel takes ports for outgoing connections from: somebody's connection would be in the way when
    mongod starts again on its port.
    """
    for port in (wanted, *random.sample(PORTS, 200)):
        if port in (0, avoid):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError("no free port on 127.0.0.1")
