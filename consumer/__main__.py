"""`python -m consumer`: the supervisor; `… shard`: a child of KCL; `… nursery`: where such children are born grown up;
`… requeue`: dead letters, once more; `… replay`: a file alone.

They load only what they need: a replay needs no boto3, a supervisor no numba.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import os
import platform
import sys
import tomllib
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from config.environment import Environment, environment
from config.load import load
from config.specs import Pipeline
from contract.errors import Fatal, Misconfigured

ROOT = Path(__file__).resolve().parents[1]
USAGE = """python -m consumer [--config FILE] [--slot N] [--again]   keep the views: KCL and its children, until SIGTERM or Ctrl-C
       python -m consumer requeue --help              dead letters into the stream again
       python -m consumer replay --help               the same pipeline on a file, without KCL and MongoDB"""
NO_MONGODB = (
    "MONGODB_URI: not set. Set it to the connection string of a replica set or an Atlas cluster; or use `make run-consumer`, "
    "which starts one on this machine"
)


def main(argv: Sequence[str]) -> int:
    """Dispatch; the exit status."""
    if argv[:1] == ["shard"]:
        shard()
    if argv[:1] == ["nursery"]:
        nursery()
    try:
        if argv[:1] == ["replay"]:
            from consumer.replay import replay

            seldom_garbage()
            return replay.main(argv[1:])
        if argv[:1] == ["requeue"]:
            return put_again(argv[1:])
        return supervise(argv)
    except Fatal as error:
        print(error, file=sys.stderr, flush=True)
        return error.status


def supervise(argv: Sequence[str]) -> int:
    """The consumer as a whole."""
    from consumer.host import jvm, start
    from consumer.store.mongo import MongoStore
    from edge import aws, logs
    from edge.mongo import connect

    parser = argparse.ArgumentParser(usage=USAGE, allow_abbrev=False)
    parser.add_argument("--config", type=Path, help="the configuration (default: EDDY_CONFIG, else pipeline.toml)")
    parser.add_argument("--slot", type=int, default=0, help="which of several consumers on this machine (default 0)")
    parser.add_argument("--again", action="store_true", help="go back to a configuration that was followed by a newer one")
    given = parser.parse_args(argv)
    logs.configure()
    specs: list[Pipeline] = []
    envs: list[Environment] = []
    config = given.config or Path(os.environ.get("EDDY_CONFIG") or "pipeline.toml")
    start.together(lambda: specs.append(load(config)), lambda: envs.append(_environment()), lambda: jvm.java(os.environ), jvm.jars)
    spec, env = specs[0], envs[0]
    services = start.Services(
        store=lambda: MongoStore(connect(_uri(env), "consumer"), spec),
        kinesis=partial(aws.kinesis, env),
        leases=partial(aws.dynamodb, env),
    )
    return start.main(start.Asking(spec, env, config, given.slot, given.again), services)


def put_again(argv: Sequence[str]) -> int:
    """Dead letters into the stream again."""
    from consumer import requeue
    from consumer.kinesis import put, record_limit
    from consumer.store.mongo import MongoStore
    from edge import aws, logs
    from edge.mongo import connect

    given = requeue.parser().parse_args(argv)
    logs.configure()
    env = _environment()
    spec = load(given.config or env.config)
    with closing(MongoStore(connect(_uri(env), "requeue"), spec)) as store:
        client = aws.kinesis(env)
        stream = spec.stream.name
        return requeue.run(given, store.dead_letters, lambda: record_limit(client, stream), lambda some: put(client, stream, some))


def shard(parent: int | None = None) -> NoReturn:
    """A child of KCL's. Whatever goes wrong, it leaves word for the supervisor. parent: a pidfd of the JVM, for a child that is not
    its own."""
    from consumer.host import reports
    from consumer.kcl import process
    from edge import logs

    logs.configure()
    run, start = os.environ.get(process.RUN), os.environ.get(process.START, "")

    def begin() -> tuple[process.Claim, int | None]:
        from consumer.figures import Owner
        from consumer.kcl.process import Claims
        from consumer.store.mongo import MongoStore
        from edge import aws
        from edge.mongo import connect

        env = _environment()
        spec = load(env.config)
        seldom_garbage()
        owner = Owner(os.environ.get(process.WORKER), digest(env.config), versions())
        claims = Claims(spec, aws.kinesis(env), lambda: MongoStore(connect(_uri(env), "consumer"), spec), owner)
        return claims.claim, claims.idle

    process.main(begin, reports.place(Path(run), start) if run else None, parent)


def nursery() -> NoReturn:
    """Where children are born."""
    from consumer.kcl import nursery, process
    from edge import logs

    logs.configure()

    def everything() -> None:
        for module in ("consumer.store.mongo", "edge.aws", "edge.mongo"):
            importlib.import_module(module)
        for module in ("consumer.intake.warm", "windows.columnar.warm"):
            importlib.import_module(module).warm()
        seldom_garbage()

    def be(start: str, parent: int) -> NoReturn:
        os.environ[process.START] = start
        shard(parent)

    nursery.main(Path(os.environ[process.RUN]), everything, be)


def digest(config: Path) -> str:
    """What tells one configuration file from another."""
    return hashlib.sha256(config.read_bytes()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """What runs here: Eddy as pyproject.toml names it, and what its results and its trouble may depend on."""
    eddy = str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
    libraries = ("amazon_kclpy", "numba", "numpy", "pymongo")
    return {"eddy": eddy, "python": platform.python_version(), **{name: metadata.version(name) for name in libraries}}


def seldom_garbage() -> None:
    """Has Python look seldom for garbage that holds itself, and never among what is there now. Documents and states are no such
    garbage; looking through them took a quarter of a shard's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


def _environment() -> Environment:
    env = environment()
    _uri(env)
    return env


def _uri(env: Environment) -> str:
    if env.mongodb_uri is None:
        raise Misconfigured(NO_MONGODB)
    return env.mongodb_uri


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
