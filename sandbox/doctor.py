"""`make doctor`: checks everything that can be wrong, and says for each thing what to do. Starts nothing, shows no secret.

With MONGODB_URI (and AWS settings) set it looks there, else at the sandbox if that runs. Exit status 0: nothing is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from botocore.config import Config

from config.environment import environment, shape
from config.load import load
from config.specs import Pipeline
from contract.errors import Misconfigured
from edge import aws
from edge.mongo import connect
from sandbox import check_aws, check_machine, check_mongo, stack, state
from sandbox.finding import Finding, run, skipped, wrong
from sandbox.run import has_aws

WAIT = 5_000  # ms for MongoDB to answer
QUICK = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
NOT_RUNNING = "the sandbox does not run; `make sandbox-start` starts it, `make run-producer` too"


def main() -> int:
    """Print every finding; 1 if anything is wrong."""
    bad = 0
    for finding in examine():
        print(finding.text(), flush=True)
        bad += finding.state == "wrong"
    print(f"\n{bad} things are wrong" if bad > 1 else "\none thing is wrong" if bad else "\nnothing is wrong")
    return 1 if bad else 0


def examine() -> Iterator[Finding]:
    """All findings, from the machine outwards."""
    env = dict(os.environ)
    config = Path(env.get("EDDY_CONFIG") or "pipeline.toml")
    yield from run(check_machine.checks(config, env))
    running = stack.running(state.directory())
    sandboxed = running.environment() if running is not None else {}
    yield from of_mongo(env.get("MONGODB_URI") or sandboxed.get("MONGODB_URI"), configured(config))
    if has_aws(env) or running is not None:
        yield from of_aws(env if has_aws(env) else {**env, **sandboxed}, configured(config))
    else:
        yield skipped("Kinesis, DynamoDB", NOT_RUNNING)


def configured(config: Path) -> Pipeline | None:
    """The pipeline; None where it is wrong, which is another finding."""
    try:
        return load(config)
    except Misconfigured:
        return None


def of_mongo(uri: str | None, spec: Pipeline | None) -> Iterator[Finding]:
    """Everything about MongoDB; only the first thing where it does not answer or does not let us in."""
    if uri is None:
        yield skipped("MongoDB", NOT_RUNNING)
        return
    try:
        client = connect(uri, "doctor", serverSelectionTimeoutMS=WAIT, connectTimeoutMS=WAIT)
    except Misconfigured as error:
        yield wrong("MongoDB", f"{shape(uri)}: {error}", check_mongo.ADDRESS)
        return
    with client:
        for finding in run(check_mongo.checks(client, uri, spec)):
            yield finding
            if finding.state == "wrong" and finding.name in ("MongoDB", "MongoDB login"):
                return


def of_aws(env: Mapping[str, str], spec: Pipeline | None) -> Iterator[Finding]:
    """Everything about AWS."""
    if spec is None:
        yield skipped("Kinesis, DynamoDB", "pipeline.toml has mistakes")
        return
    try:
        where = environment(env)
    except Misconfigured:
        return  # a finding already
    kinesis, dynamodb = aws.kinesis(where, QUICK), aws.dynamodb(where, QUICK)
    yield from run(check_aws.checks(aws.session(where), kinesis, dynamodb, spec))
