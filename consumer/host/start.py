"""The consumer as a whole: checks everything that can be wrong, all at once where it can, then runs KCL until it is told to end.

1. The configuration, the environment, Java and KCL's jars: whatever is wrong is said together, and nothing is started. From then
   on whoever asks over HTTP is answered, where the configuration has a port for that.
2. MongoDB, Kinesis, DynamoDB: waited for where they are away; complained of together where they will not have us.
3. The views' collections and indexes.
4. Meanwhile, kernels: compiled where that is not yet done.
5. The worker's seat: its name, its run directory, KCL's files in it.
6. The nursery, where children come from, and the supervisor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from config.environment import Environment
from config.specs import Pipeline
from consumer import kinesis
from consumer.host import jvm, kernels, seat
from consumer.host.board import Board, Seen
from consumer.host.kcl_files import LAUNCHER, LOGBACK, PROPERTIES, Worker, launcher, logback, properties
from consumer.host.nursery import Nursery
from consumer.host.supervisor import PATIENT, Asked, Supervisor
from consumer.store.mongo import MongoStore
from contract.errors import Misconfigured
from edge.aws import DynamoDBClient, KinesisClient
from edge.http import Serving
from edge.patience import patiently

EMULATED = {"CBOR_ENABLED": "false"}  # for the AWS SDK: ministack's times in CBOR are seconds where milliseconds are meant
ROOT = Path(__file__).resolve().parents[2]
log = structlog.get_logger("consumer")


@dataclass(frozen=True, slots=True)
class Services:
    """How to reach what we need; each call makes a client and may raise Misconfigured."""

    store: Callable[[], MongoStore]
    kinesis: Callable[[], KinesisClient]
    leases: Callable[[], DynamoDBClient]


@dataclass(frozen=True, slots=True)
class Asking:
    """What `python -m consumer` was asked for. slot: 0 for the only consumer on a machine, 1 for a second one beside it. again: the
    configuration may be one that a newer one has followed."""

    spec: Pipeline
    env: Environment
    config: Path
    slot: int = 0
    again: bool = False


class Ended(Exception):
    """We were asked to end before anything ran."""


def together(*checks: Callable[[], object]) -> None:
    """Run all checks. Raises one Misconfigured with what all of them found."""
    wrong: list[str] = []
    for one in checks:
        try:
            one()
        except Misconfigured as error:
            wrong.append(str(error))
    if wrong:
        raise Misconfigured("\n".join(wrong))


def main(asking: Asking, services: Services) -> int:
    """Run until told to end: the exit status. Raises Misconfigured."""
    asked = Asked()
    try:
        return _run(asking, services, asked)
    except Ended:
        return 0


def _run(asking: Asking, services: Services, asked: Asked) -> int:
    board = Board(asking.spec.stream.name, PATIENT.alarm)

    def wait(seconds: float) -> None:
        board.show(Seen())
        asked.wait(seconds)
        if asked.times:
            raise Ended

    with serving(asking, board):
        with kernels.compiling(wait, stamp=kernels.stamp_of(os.environ)) as compiled:
            info = _ready(asking, services, wait)
            compiled()
        env, name = asking.env, seat.worker_id(asking.env.worker, asking.slot)
        worker = Worker(name, info, env.region, env.kinesis_endpoint, env.dynamodb_endpoint)
        run = seat.run_directory(seat.home(env.state, os.environ), worker)
        with seat.held(worker, run):
            return _supervise(asking, worker, run, asked, board)


def _supervise(asking: Asking, worker: Worker, run: Path, asked: Asked, board: Board) -> int:
    write_files(run, worker)
    argv = jvm.command(os.environ, asking.spec.consumer.heap)
    own = {"EDDY_CONFIG": str(asking.config.resolve()), jvm.WORKER: worker.id}
    settings = {**os.environ, **(EMULATED if worker.emulated else {}), **own}
    log.info(
        "consumer",
        stream=asking.spec.stream.name,
        leases=worker.application,
        worker=worker.id,
        views=asking.spec.views.database,
        run=str(run),
    )
    with closing(Nursery(run, settings)) as nursery:

        def begin(name: str) -> subprocess.Popen[bytes]:
            nursery.ready()
            return jvm.start(argv, run, settings, name)

        return Supervisor(begin, run, asked, spared=lambda: nursery.pids, board=board).run()


def serving(asking: Asking, board: Board) -> AbstractContextManager[object]:
    """The board's pages, where there is a port for them; a second consumer on a machine has the next one. Raises Misconfigured."""
    own = asking.spec.consumer
    if not own.port:
        return nullcontext()
    port = own.port + asking.slot
    log.info("metrics", at=f"http://{own.address}:{port}/metrics")
    return closing(Serving("[consumer] port", own.address, port, board.pages()))


def _ready(asking: Asking, services: Services, wait: Callable[[float], None]) -> kinesis.StreamInfo:
    """Wait for all services, and complain of all of them at once."""
    name, found = asking.spec.stream.name, list[kinesis.StreamInfo]()

    def mongodb() -> None:
        with closing(services.store()) as store:
            patiently(f"MongoDB ({asking.env.mongodb})", store.check, wait)
            patiently("the views database", store.prepare, wait)
            patiently("the views database", partial(store.admit, asking.again), wait)

    def stream() -> None:
        found.append(patiently("Kinesis", partial(kinesis.describe, services.kinesis(), name), wait))

    def leases() -> None:
        patiently("DynamoDB", partial(kinesis.reachable, services.leases(), f"eddy-{name}"), wait)

    together(mongodb, stream, leases)
    return found[0]


def write_files(run: Path, worker: Worker) -> None:
    """What KCL reads."""
    (run / PROPERTIES).write_text(properties(worker), encoding="utf-8")
    (run / LOGBACK).write_text(logback(), encoding="utf-8")
    (run / LAUNCHER).write_text(launcher(sys.executable, ROOT), encoding="utf-8")
