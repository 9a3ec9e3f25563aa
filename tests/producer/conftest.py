"""What the producer's tests run on: a real Kinesis emulator with a gate before it, and the producer as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from contract.aggregated import user_records
from contract.codec import decode
from contract.event import Event, Heartbeat, Message
from sandbox import aws
from sandbox.processes import stop
from tests.conftest import die_with_parent, free_port, until
from tests.producer.gate import Gate

ROOT = Path(__file__).parents[2]
Line = dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """A stream of the test's own."""

    name: str
    port: int
    url: str

    def messages(self) -> list[tuple[str, str, Message]]:
        """(shard, partition key, message) of all records, in each shard's order."""
        found = []
        client = aws.kinesis(self.port)
        for shard in client.list_shards(StreamName=self.name)["Shards"]:
            name = shard["ShardId"]
            start = client.get_shard_iterator(StreamName=self.name, ShardId=name, ShardIteratorType="TRIM_HORIZON")
            iterator = start["ShardIterator"]
            while True:
                answer = client.get_records(ShardIterator=iterator, Limit=10_000)
                parts = [part for r in answer["Records"] for part in user_records(r["PartitionKey"], r["Data"])]
                found += [(name, part.key, decode(part.data)) for part in parts]
                if not answer["Records"]:
                    break
                iterator = answer["NextShardIterator"]
        return found

    def events(self) -> list[tuple[str, Event]]:
        """Partition key and event."""
        return [(key, m) for _, key, m in self.messages() if isinstance(m, Event)]

    def heartbeats(self) -> dict[str, list[int]]:
        """The times told on each shard."""
        told: dict[str, list[int]] = {}
        for shard, _, message in self.messages():
            if isinstance(message, Heartbeat):
                told.setdefault(shard, []).append(message.cluster)
        return told


@pytest.fixture(scope="session")
def kinesis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    home, port = tmp_path_factory.mktemp("ministack"), free_port()
    process = aws.start(home, port)
    try:
        aws.ready(process, home)
        yield port
    finally:
        stop(process, 5.0)


@pytest.fixture
def stream(kinesis_port: int) -> Stream:
    """Two shards, empty."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    aws.make_stream(kinesis_port, name, 2)
    return Stream(name, kinesis_port, aws.url(kinesis_port))


@pytest.fixture
def gate(kinesis_port: int) -> Iterator[Gate]:
    gate = Gate(aws.url(kinesis_port))
    yield gate
    gate.close()


def client(url: str) -> Any:
    """A client of the emulator's address, for what the sandbox does not offer."""
    return boto3.client("kinesis", endpoint_url=url, region_name="us-east-1", aws_access_key_id="t", aws_secret_access_key="t")


@dataclass
class Running:
    """`python -m producer` as a process; its log lines as they come."""

    process: subprocess.Popen[str]
    lines: list[Line] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self.raw.append(text)
            if text.startswith("{"):
                self.lines.append(json.loads(text))

    def said(self, event: str, **more: Any) -> Line | None:
        """The first line of that event with these fields."""
        return next((n for n in list(self.lines) if n["event"] == event and all(n.get(k) == v for k, v in more.items())), None)

    def ready(self) -> Running:
        """Wait until it says that it is; fail with its log if it ends before that."""
        until(lambda: self.said("ready") or self.process.poll() is not None)
        assert self.said("ready"), "".join(self.raw)
        return self

    def end(self, with_signal: int | None = signal.SIGTERM) -> int:
        """Its exit status, all its lines read."""
        if with_signal is not None:
            self.process.send_signal(with_signal)
        status = self.process.wait(60)
        self.reader.join(10)
        return status


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path, mongod: str, stream: Stream, database_name: str) -> Iterator[Start]:
    """start(toml, *words, command=(), **environment) runs the producer on that pipeline, its views beside what it watches. command:
    words in front of --config; words: behind it, and then its output is to be had."""
    started: list[Running] = []

    def run(toml: str | None = None, *words: str, command: tuple[str, ...] = (), **environment: str) -> Running:
        file = tmp_path / "pipeline.toml"
        file.write_text(toml if toml is not None else pipeline(stream.name, database_name))
        env: Mapping[str, str] = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MONGODB_", "EDDY_"))},
            **aws.settings(stream.port), "MONGODB_URI": mongod, **environment,
        }  # fmt: skip
        line = [sys.executable, "-m", "producer", *command, "--config", str(file), *words]
        pipes = {"stdout": subprocess.PIPE if words else None, "stderr": subprocess.PIPE}
        process = subprocess.Popen(line, cwd=ROOT, env=env, text=True, preexec_fn=die_with_parent, **pipes)  # noqa: PLW1509
        started.append(Running(process))
        return started[-1]

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


def pipeline(stream: str, database: str, more: str = "", trigger: str = "") -> str:
    """A pipeline of one trigger, on `<database>.payments`; more: further tables; trigger: further lines of the trigger."""
    return f"""
[stream]
name = "{stream}"
heartbeat = "200ms"
[views]
database = "{database}"
[[trigger]]
name = "pay"
database = "{database}"
collection = "payments"
routes = ["card"]
{trigger}
{more}
"""


def soon(answer: Callable[[], Any], within: float = 20.0) -> Any:
    """Ask until the answer is true, and give it."""
    end = time.monotonic() + within
    while not (result := answer()):
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.05)
    return result
