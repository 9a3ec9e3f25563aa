"""A worker's seat on this machine: its name, that it sits there alone, and its directory.

KCL leases shards to a name. A process that is started again under its old name finds leases in that name and takes them back at
once; under a new one it waits until the old name's leases, and its lock as a leader, have run out: about two minutes. Two processes
of one name would both think that they hold the leases, and take shards from one another for as long as both live.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from consumer.host.kcl_files import Worker
from contract.errors import Misconfigured

LOCK = "lock"
ANOTHER = "for one more beside it give --slot 1, or the next number that is free"


def worker_id(name: str | None, slot: int) -> str:
    """The name that is given, else the host's; and the slot. The same after every restart, as long as both are."""
    return f"{re.sub('[^A-Za-z0-9.-]', '-', name or socket.gethostname())}-{slot}"


def home(given: Path | None, env: Mapping[str, str]) -> Path:
    """Where run directories lie: what is given (EDDY_STATE), else where the user's programs keep their state, else, for a user
    without a home, a folder of the user's among the temporary files."""
    if given is not None:
        return given
    if os.path.isabs(env.get("XDG_STATE_HOME", "")):  # by its specification others are to be ignored
        return Path(env["XDG_STATE_HOME"]) / "eddy"
    own = Path(env.get("HOME") or "/")
    if own != Path("/") and os.access(own, os.W_OK):
        return own / ".local" / "state" / "eddy"
    return Path(tempfile.gettempdir()) / f"eddy-{os.getuid()}"


def run_directory(where: Path, worker: Worker) -> Path:
    """KCL's own directory: its files, its log, its children's words. Raises Misconfigured where there can be none."""
    run = (where / f"run-{worker.id}" / worker.application).resolve()
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(_unwritable(run, error)) from error
    if run.stat().st_uid != os.getuid():
        raise Misconfigured(f"{run} is another user's; EDDY_STATE names a place that is this user's")
    return run


@contextmanager
def held(worker: Worker, run: Path) -> Iterator[None]:
    """Be the only one of that name on this machine, and the only one in that directory. The kernel frees both when this process
    ends, however it ends. Raises Misconfigured.

    The name alone would do on one machine. But containers that share a directory do not see one another's names, and users that
    do not share one do.
    """
    with closing(_name(worker)), closing(_lock(worker, run)):
        yield


def _name(worker: Worker) -> socket.socket:
    name = hashlib.sha256(f"{worker.application}/{worker.id}/{worker.dynamodb}".encode()).hexdigest()[:32]
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0eddy-{name}")  # an abstract name: no file to be left behind
    except OSError as error:
        lock.close()
        raise Misconfigured(f"worker {worker.id} of {worker.application} runs on this machine already; {ANOTHER}") from error
    return lock


def _lock(worker: Worker, run: Path) -> IO[str]:
    try:
        file = (run / LOCK).open("a+")
    except OSError as error:
        raise Misconfigured(_unwritable(run, error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise Misconfigured(f"worker {worker.id} of {worker.application} runs already, in {run}; {ANOTHER}") from error
    return file


def _unwritable(run: Path, error: OSError) -> str:
    return f"{run}: {error.strerror}; KCL needs a directory that can be written: EDDY_STATE names another place for it"
