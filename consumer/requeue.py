"""`python -m consumer requeue`: chosen dead letters go into the stream again, each whole and under its own partition key.

Nothing is written down here: that a letter counts once is the consumer's to know (consumer/step/requeued.py), which says so in the
letter. So this may be told twice, and may die in the middle: it is simply done again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import json_util

from config.moments import moment
from consumer.store.contract import Doc
from contract.errors import Misconfigured, Rejected
from contract.requeued import encode
from edge.patience import backoff, patiently

RECORDS, REQUEST = 500, 4 << 20  # records and bytes of a PutRecords request
OVER = ("counted", "repeat")  # what has become of letters that are done with
Put = Callable[[Sequence[tuple[str, bytes]]], Sequence[int]]  # (partition key, data) -> the places of those that were not taken


def parser() -> argparse.ArgumentParser:
    """What may be asked."""
    own = argparse.ArgumentParser(
        prog="python -m consumer requeue",
        description="puts dead letters into the stream again; each of them counts once, however often that is done",
        allow_abbrev=False,
    )
    own.add_argument("--config", type=Path, help="the configuration (default: EDDY_CONFIG, else pipeline.toml)")
    own.add_argument("--all", action="store_true", help="all of those below; without it say which")
    own.add_argument("--reason", action="append", metavar="R", help="those with this reason (may be given several times)")
    own.add_argument("--trigger", action="append", metavar="T", help="those of this trigger")
    own.add_argument("--sequence", action="append", metavar="N", help="the one with this sequence number")
    own.add_argument("--since", metavar="T", help="those written from that time on: ISO text, or a duration ago, as in 10m")
    own.add_argument("--until", metavar="T", help="those written before that time")
    own.add_argument("--dry-run", action="store_true", help="a line of Extended JSON for each that would go, and nothing is put")
    return own


def run(given: argparse.Namespace, letters: Callable[[Doc], Iterable[Doc]], limit: Callable[[], int], put: Put) -> int:
    """Do it; the exit status: 1 where some cannot go. limit: bytes of a record. Raises Misconfigured, as all of these do."""
    found = letters(chosen(given, datetime.now(UTC)))
    if given.dry_run:
        for letter in found:
            print(json_util.dumps({name: letter.get(name) for name in ("_id", "reason", "why", "trigger", "requeued")}))
        return 0
    refused: list[str] = []
    done = 0
    for some in requests(found, patiently("Kinesis", limit, time.sleep), refused):
        put_all(some, put, time.sleep)
        done += len(some)
        print(f"requeue: {done} put", file=sys.stderr, flush=True)
    for why in refused:
        print(f"requeue: {why}", file=sys.stderr)
    print(f"{done} dead letters put into the stream again; `requeued` in each says what became of it")
    return 1 if refused else 0


def chosen(given: argparse.Namespace, now: datetime) -> Doc:
    """The letters that are asked for, as a filter: of records, and not done with. Raises Misconfigured.

    >>> chosen(parser().parse_args(["--reason", "late"]), datetime(2026, 1, 1))["reason"]
    {'$in': ['late']}
    """
    since, until = moment(given.since, now), moment(given.until, now)
    asked: dict[str, Any] = {
        "reason": given.reason and {"$in": given.reason},
        "trigger": given.trigger and {"$in": given.trigger},
        "_id.sequence": given.sequence and {"$in": given.sequence},
        "updated_at": {name: at for name, at in (("$gte", since), ("$lt", until)) if at is not None},
    }
    wanted = {name: value for name, value in asked.items() if value}
    if not wanted and not given.all:
        raise Misconfigured("which dead letters? Choose by --reason, --trigger, --sequence, --since, --until; or say --all")
    wanted["_id.part"] = None  # a record that was kept in parts is no record any more
    kept = {"$or": [{"record": {"$type": "string"}}, {"binary": {"$type": "binData"}}], "partition_key": {"$type": "string"}}
    return {**wanted, **kept, "requeued.outcome": {"$nin": list(OVER)}}


def requests(letters: Iterable[Doc], limit: int, refused: list[str]) -> Iterator[list[tuple[str, bytes]]]:
    """As many at once as a request holds, in their order; why some cannot go goes to `refused`. limit: bytes of a record."""
    some: list[tuple[str, bytes]] = []
    size = 0
    for letter in letters:
        try:
            key, data = str(letter["partition_key"]), encode(letter["_id"], letter["record"], letter["binary"])
        except Rejected as error:
            refused.append(f"{json_util.dumps(letter['_id'])}: {error.why}")
            continue
        own = len(key.encode()) + len(data)
        if own > limit:
            refused.append(f"{json_util.dumps(letter['_id'])}: {own} bytes, and the stream takes {limit} a record")
            continue
        if len(some) == RECORDS or size + own > REQUEST:
            yield some
            some, size = [], 0
        some.append((key, data))
        size += own
    if some:
        yield some


def put_all(records: Sequence[tuple[str, bytes]], put: Put, wait: Callable[[float], None]) -> None:
    """Until all of them are taken."""
    rest, failures = list(records), 0
    while rest:
        places = patiently("Kinesis", lambda some=tuple(rest): put(some), wait)  # type: ignore[misc]
        rest = [rest[place] for place in places]
        if rest:
            failures += 1
            wait(backoff(failures, 0.5))
