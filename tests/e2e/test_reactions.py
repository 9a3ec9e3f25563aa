"""What producer and consumer do when something around them is wrong: each as its error's reaction says, on real parts.

what never gets right by waiting    the start ends, with every mistake at once and a status that says so (78)
what is only away                   is waited for, with a line that says what is awaited; SIGTERM still ends it in order
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest
from pymongo import MongoClient

from contract.errors import Misconfigured
from sandbox import aws, mongod, stack, state
from sandbox.processes import Known, leash, stop
from tests.e2e.conftest import ROOT

PARTS = ["producer", "consumer"]
EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"
WITHIN = 60.0
PASSWORD = "4-secret-word"


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stack.Running]:
    """mongod and ministack, without the stream."""
    home = tmp_path_factory.mktemp("parts")
    yield stack.up(home, leashed=True)
    stack.down(home, say=False)


@pytest.fixture
def started() -> Iterator[list[Known]]:
    """What a test starts beside that."""
    processes: list[Known] = []
    yield processes
    for process in processes:
        stop(process, 10)


def ran(part: str, environment: Mapping[str, str], says: str | None = None, config: Path = EVERYTHING) -> tuple[int, str]:
    """Run a part until it ends, or until it says what is expected and is then told to end: (exit status, all that it said)."""
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("AWS_ENDPOINT")}, **environment, "EDDY_CONFIG": str(config)}
    process = subprocess.Popen(
        [sys.executable, "-m", part], cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=leash(os.getpid()),  # noqa: PLW1509
    )  # fmt: skip
    too_long = threading.Timer(WITHIN, process.kill)
    too_long.start()
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if says is not None and re.search(says, line):
            process.terminate()
            says = None
    too_long.cancel()
    return process.wait(), "".join(said)


def environment(parts: stack.Running, tmp_path: Path, **other: str) -> dict[str, str]:
    return {**parts.environment(), "EDDY_SANDBOX": str(tmp_path), **other}


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_configuration_is_told_whole(part: str, parts: stack.Running, tmp_path: Path) -> None:
    text = (
        EVERYTHING.read_text()
        .replace('size = "7s"', 'size = "0s"')
        .replace("weight = 0.7", "weight = 7")
        .replace("shards", "shard")
    )
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace("shards", "shard"))
    status, said = ran(part, environment(parts, tmp_path), config=wrong)
    assert status == Misconfigured.status
    for place in ("windows[0].tumbling.size", "fraud.rules[1].weight", "stream.shard"):
        assert place in said


@pytest.mark.parametrize("part", PARTS)
def test_an_unreachable_mongodb_is_waited_for(part: str, parts: stack.Running, tmp_path: Path) -> None:
    aws.make_stream(parts.aws_port, "everything", 2)
    nobody = f"mongodb://127.0.0.1:{state.free_port()}/?serverSelectionTimeoutMS=500"
    status, said = ran(part, environment(parts, tmp_path, MONGODB_URI=nobody), says="ServerSelectionTimeoutError")
    assert status == 0, said


@pytest.mark.parametrize("part", PARTS)
def test_an_unreachable_kinesis_is_waited_for(part: str, parts: stack.Running, tmp_path: Path) -> None:
    nobody = {"AWS_ENDPOINT_URL_KINESIS": aws.url(state.free_port())}
    status, said = ran(part, environment(parts, tmp_path, **nobody), says="no answer|cannot be reached")
    assert status == 0, said


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_stream_ends_the_start(part: str, parts: stack.Running, tmp_path: Path) -> None:
    config = tmp_path / "pipeline.toml"
    config.write_text(EVERYTHING.read_text().replace('name = "everything"', 'name = "nowhere"'))
    status, said = ran(part, environment(parts, tmp_path), config=config)
    assert status == Misconfigured.status
    assert "nowhere" in said
    assert "create-stream" in said


@pytest.mark.parametrize("part", PARTS)
def test_a_standalone_mongod_ends_the_start(part: str, parts: stack.Running, started: list[Known], tmp_path: Path) -> None:
    aws.make_stream(parts.aws_port, "everything", 2)
    alone = mongod.start(tmp_path, state.free_port(), leashed=True, replica_set=False)
    started.append(alone)
    mongod.ready(alone, tmp_path, replica_set=False)
    status, said = ran(part, environment(parts, tmp_path, MONGODB_URI=mongod.uri(alone.port)))
    assert status == Misconfigured.status
    assert "replica set" in said


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a replica set that asks for a password: `good` may do all, `poor` nothing."""
    home = tmp_path_factory.mktemp("guarded")
    key = home / "key"
    key.write_text("c2VjcmV0" * 8)
    key.chmod(0o600)
    who = mongod.start(home, state.free_port(), leashed=True, more=["--auth", "--keyFile", str(key)])
    mongod.ready(who, home)
    with MongoClient[dict[str, object]](mongod.uri(who.port)) as client:
        client.admin.command("createUser", "good", pwd=PASSWORD, roles=["root"])
        with MongoClient[dict[str, object]](mongod.uri(who.port), username="good", password=PASSWORD) as admin:
            admin.admin.command("createUser", "poor", pwd=PASSWORD, roles=[])
    yield who.port
    stop(who, 20)


@pytest.mark.parametrize("user", ["good:wrong", f"poor:{PASSWORD}", ""])
@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_mongodb_credential_ends_the_start(
    part: str, user: str, parts: stack.Running, guarded: int, tmp_path: Path
) -> None:
    aws.make_stream(parts.aws_port, "everything", 2)
    uri = f"mongodb://{user + '@' if user else ''}127.0.0.1:{guarded}/?directConnection=true"
    status, said = ran(part, environment(parts, tmp_path, MONGODB_URI=uri))
    assert status == Misconfigured.status
    assert re.search("credential|Authentication|Unauthorized", said)
    assert "good:wrong" not in said
    assert PASSWORD not in said


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_aws_credential_ends_the_start(part: str, parts: stack.Running, started: list[Known], tmp_path: Path) -> None:
    strict = aws.start(tmp_path, state.free_port(), leashed=True, more={"AUTH": "true"})
    started.append(strict)
    aws.ready(strict, tmp_path)
    wrong = {**aws.settings(strict.port), "AWS_ACCESS_KEY_ID": "AKIANOBODY", "AWS_SECRET_ACCESS_KEY": PASSWORD}
    status, said = ran(part, environment(parts, tmp_path, **wrong))
    assert status == Misconfigured.status
    assert "UnrecognizedClientException" in said
    assert PASSWORD not in said


def test_nothing_is_left_running() -> None:
    """Each of the above has ended, with all that it had started."""
    children = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
    assert [p.cmdline() for p in children if "producer" in p.cmdline() or "consumer" in p.cmdline()] == []
