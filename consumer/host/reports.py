"""What each shard's child last said about itself: one small file a shard in a folder, which the supervisor reads.

KCL's own exit status says nothing (it is 1 for every failure of a child, and 0 for some of its own), so a child that gives up
leaves its reason here; and only from here can be seen that a shard is behind and does not move.

Each KCL that is started has a folder of its own, named after its start: a child of an earlier one may live on for a moment, and
what it then says of its end, or of a shard that it has lost, must not be taken for the word of the child that follows it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from consumer.figures import Figures

FOLDER = "shards"
State = Literal["opening", "reading", "waiting", "stopped", "ended", "failed"]


class Progress(msgspec.Struct, frozen=True):
    """What the cursor says beside its position. Watermarks in ms, None before the first record; unsaved: records behind the
    snapshot."""

    epoch: int
    watermark: int | None
    classes: dict[str, int]
    dead_by_reason: dict[str, int]
    snapshot_watermark: int | None
    unsaved: int


class Status(msgspec.Struct, frozen=True):
    """opening: claims the shard. reading: is fed. waiting: for MongoDB or Kinesis to come back. stopped: another owner has the
    shard. ended: let go of it, or read it to its end. failed: with exit status `status`, because of `what`.

    sequence and sub: the cursor. behind: KCL's millisBehindLatest. at: when this was said; moved: when the cursor last moved; ms.
    pid: who said it. progress, figures: of the last commit.
    """

    shard: str
    state: State
    at: int
    moved: int
    sequence: str | None = None
    sub: int = 0
    behind: int | None = None
    status: int = 0
    what: str = ""
    pid: int = 0
    progress: Progress | None = None
    figures: Figures | None = None


def place(run: Path, start: str) -> Path:
    """The folder for one start of KCL."""
    return run / FOLDER / start


def write(folder: Path, status: Status) -> None:
    """Replace the shard's file in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{status.shard}.new"
    fresh.write_bytes(msgspec.json.encode(status))
    fresh.replace(folder / f"{status.shard}.json")


def read(folder: Path) -> list[Status]:
    """All shards' last words, by shard."""
    files = sorted(folder.glob("*.json"))
    return [msgspec.json.decode(file.read_bytes(), type=Status) for file in files]


def clear(run: Path) -> None:
    """Forget what the children of earlier JVMs said. Who still speaks meanwhile is not read."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def stuck(statuses: Iterable[Status], now: int, patience: int) -> Status | None:
    """A shard that is behind and has not moved for `patience` ms, or that nobody has spoken to for as long. KCL speaks to each
    shard that it holds about once a second, also where there is nothing to read."""
    for s in statuses:
        silent = now - s.at > patience
        behind = s.state == "reading" and bool(s.behind) and now - s.moved > patience
        if s.state in ("opening", "reading", "waiting") and (silent or behind):
            return s
    return None


def at_work(statuses: Iterable[Status]) -> bool:
    """Whether any child still is: it lives, and has not come to its end."""
    return any(s.state not in ("ended", "failed") and _lives(s) for s in statuses)


def gone(statuses: Iterable[Status]) -> Status | None:
    """A child that failed, or was killed: its process is no more, and it did not end in order."""
    return next((s for s in statuses if s.state == "failed" or (s.state != "ended" and not _lives(s))), None)


def verdict(statuses: Iterable[Status], final: Iterable[int]) -> Status | None:
    """A child's failure that a restart cannot mend."""
    statuses_that_stay = frozenset(final)
    return next((s for s in statuses if s.state == "failed" and s.status in statuses_that_stay), None)


def _lives(status: Status) -> bool:
    return Path(f"/proc/{status.pid}").exists()
