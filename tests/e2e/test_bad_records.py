"""Records that cannot be used, on the real stack: each becomes a dead letter with its reason, and its shard goes on.

And MongoDB away for a while in the middle of it: producer, KCL and its children wait, and nothing is lost.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId, json_util
from pymongo import MongoClient

from contract import requeued
from contract.errors import Misconfigured
from sandbox import aws, stack, state
from sandbox.processes import find, stop
from sandbox.stage import Stage
from sandbox.tap import hash_ranges
from tests.e2e.conftest import ROOT, SetUp, until

Document = dict[str, Any]
EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"
CARDS = [f"card-{i}" for i in range(20)]  # on both shards


def payment(**other: Any) -> Document:
    """One that is good unless `other` says otherwise; None takes a field away."""
    document = {
        "_id": ObjectId(),
        "card_id": "card-1",
        "terminal_id": "term-1",
        "amount": 5.0,
        "declined": False,
        "at": now(),
        **other,
    }
    return {name: v for name, v in document.items() if v is not None}


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.timeout(400)
def test_bad_records_are_kept_and_the_shards_go_on(set_stage: SetUp) -> None:
    stage = set_stage(EVERYTHING)
    stage.start("producer", "producer")
    stage.start("consumer", "consumer")
    with MongoClient[Document](stage.running.uri, tz_aware=True) as client:
        views = client[stage.spec.views.database]
        not_json(stage)
        client["shop"]["transactions"].insert_many(
            [
                payment(card_id=None),
                payment(terminal_id={"a": 1}),
                payment(at="soon"),
                payment(amount="12"),
                payment(amount=float("nan")),
                payment(at=now() + timedelta(hours=1)),
                *(payment(card_id=card) for card in CARDS),
            ]
        )
        wanted = {"json": 2, "key": 2, "time": 2, "type": 2, "not_finite": 2, "future": 2}
        until("dead letters and scores", lambda: reasons(views) == wanted and scored(views) >= len(CARDS), 200, stage)
        assert {d["_id"] for d in views["recent"].find()} >= set(CARDS)
        letter = views["dead_letters"].find_one({"reason": "json", "binary": {"$ne": None}})
        assert letter is not None
        assert letter["binary"] == b"\xff\x00 no text"
        text = views["dead_letters"].find_one({"reason": "time"})
        assert text is not None
        assert '"soon"' in text["record"]
        refused_and_requeued(stage, client, views)
        wanted["refused"] = 1
        mongodb_goes_away(stage)
        more = [f"more-{i}" for i in range(20)]
        client["shop"]["transactions"].insert_many([payment(card_id=card) for card in more])
        until("what came after MongoDB was back", lambda: set(more) <= {d["_id"] for d in views["recent"].find()}, 100, stage)
        stage.stop("producer")
        stage.stop("consumer")
        health = list(views["health"].find())
        assert sum(d["dead_letter"] for d in health) == sum(wanted.values())
        assert sum(d["repeat"] + d["counted"] + d["dead_letter"] + d["control"] for d in health) == sum(
            d["records"] for d in health
        )


def refused_and_requeued(stage: Stage, client: MongoClient[Document], views: Any) -> None:
    """A validator keeps one card out of a view; once it is gone the letter is put in again, twice, and counts once."""
    views.command("collMod", "recent", validator={"_id": {"$ne": "kept out"}})
    client["shop"]["transactions"].insert_one(payment(card_id="kept out"))
    until("a letter", lambda: views["dead_letters"].count_documents({"reason": "refused"}) == 1, 100, stage)
    views.command("collMod", "recent", validator={})
    assert requeue(stage).returncode == Misconfigured.status
    dry = requeue(stage, "--reason", "refused", "--dry-run")
    assert [json_util.loads(line)["reason"] for line in dry.stdout.splitlines()] == ["refused"]
    assert requeue(stage, "--reason", "refused", "--since", "1h").stdout.startswith("1 dead letters put")
    counted = {"reason": "refused", "requeued.outcome": "counted"}
    until("the letter to count", lambda: views["dead_letters"].count_documents(counted) == 1, 100, stage)
    letter = views["dead_letters"].find_one(counted)
    again = requeued.encode(letter["_id"], letter["record"], letter["binary"])  # as if it had been told twice at once
    kinesis = aws.kinesis(stage.running.aws_port)
    kinesis.put_record(StreamName=stage.spec.stream.name, Data=again, PartitionKey=letter["partition_key"])
    until("its repeat", lambda: sum(d["repeat"] for d in views["health"].find()) == 1, 100, stage)
    shown = views["recent"].find_one({"_id": "kept out"})
    assert shown is not None
    assert requeue(stage, "--reason", "refused").stdout.startswith("0 dead letters put")


def requeue(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consumer", "requeue", *arguments]
    return subprocess.run(command, env=stage.environment(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def not_json(stage: Stage) -> None:
    """One text and one that is no text, straight onto the stream, on different shards."""
    kinesis, name = aws.kinesis(stage.running.aws_port), stage.spec.stream.name
    for data, (low, _) in zip((b"{not json", b"\xff\x00 no text"), hash_ranges(kinesis, name).values(), strict=True):
        kinesis.put_record(StreamName=name, Data=data, PartitionKey="x", ExplicitHashKey=str(low))


def reasons(views: Any) -> dict[str, int]:
    """How many dead letters there are for each reason."""
    return {d["_id"]: d["n"] for d in views["dead_letters"].aggregate([{"$group": {"_id": "$reason", "n": {"$sum": 1}}}])}


def scored(views: Any) -> int:
    """How many payments have a score."""
    return int(views["fraud_scores"].count_documents({}))


def mongodb_goes_away(stage: Stage) -> None:
    """Ended in the middle of everything, and started again on its port and data."""
    now_running = state.read(stage.home)
    assert now_running.mongod is not None
    stop(now_running.mongod, 30)
    assert find(now_running.mongod) is None
    stack.up(stage.home, leashed=True)
