"""Processes that we start: known by pid and start time, ended by pid, and never left behind.

A pid alone is not enough to end a process by: it may have been given to another one since. The start time beside it tells.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Known(msgspec.Struct, frozen=True):
    """A process as it was when we started it. started: seconds since 1970, as the kernel tells; port: where it listens, or 0."""

    pid: int
    started: float
    port: int = 0
    name: str = ""


def known(pid: int, port: int = 0, name: str = "") -> Known:
    """What to remember of a live process."""
    return Known(pid, psutil.Process(pid).create_time(), port, name)


def find(who: Known | None) -> psutil.Process | None:
    """The process if it still is the same one and runs. A zombie does not run, once its other threads have ended too: until then
    it holds its ports."""
    if who is None:
        return None
    try:
        process = psutil.Process(who.pid)
        same = abs(process.create_time() - who.started) < 0.05
        runs = process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
    except psutil.NoSuchProcess:
        return None
    return process if same and runs else None


def spawn(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, leashed: bool = False
) -> subprocess.Popen[bytes]:
    """Start a command in its own session, its output appended to `log`.

    leashed: the kernel ends it (SIGTERM) when the thread that started it dies, however that happens.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, start_new_session=True,
            preexec_fn=leash(os.getpid()) if leashed else None,  # noqa: PLW1509  it calls nothing but prctl
        )  # fmt: skip


def leash(parent: int, with_signal: int = signal.SIGTERM) -> Callable[[], None]:
    """Runs in the child between fork and exec: die with the parent, also if it died in between."""

    def set_leash() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, int(with_signal), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_leash


def stop(who: Known | None, grace: float) -> bool:
    """SIGTERM, and SIGKILL after `grace` seconds. True if it ended by itself (or was gone), False if it had to be killed."""
    process = find(who)
    if process is None:
        return True
    process.terminate()
    orderly = gone(who, grace)
    if not orderly:
        process.kill()
        gone(who, 10)
    with suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        process.wait(0)  # if it was our child
    return orderly


def gone(who: Known | None, within: float) -> bool:
    """Wait until it runs no more. A zombie does not run, whoever should have waited for it."""
    deadline = time.monotonic() + within
    while find(who) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for a message about a process that died."""
    if not log.exists():
        return f"({log} does not exist)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 32_768))
        text = file.read().decode(errors="replace")
    return "\n".join(line[:600] for line in text.splitlines()[-lines:])
