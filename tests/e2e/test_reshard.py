"""A split and a merge under load, on a Kinesis that can do both: every key goes on where it was, every view is as the oracle says.

hashes   0 ............ 1/4 ............ 1/2 ............................ 1
at first [            left             ][              right             ]
split    [     low     ][     high     ][              right             ]
merge    [     low     ][                     merged                     ]
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient

from consumer import kinesis as streams
from consumer.runner import columnar
from consumer.step.keys import unpack
from consumer.store.contract import HashRange, KeyState, ShardId
from consumer.store.layout import CURSORS, shard_key
from consumer.store.mongo import MongoStore
from contract.codec import decode
from contract.event import Event
from contract.keys import kinesis_hash, partition_key
from contract.times import date_ms
from query.verify import Question, Verification
from sandbox import aws, kinesis_local, state
from sandbox.processes import Known, stop
from sandbox.stage import Stage
from sandbox.tap import taken_apart
from tests.e2e.conftest import ROOT, SetUp, until

Document = dict[str, Any]
EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"
JUDGED_AFTER = 6_000  # ms behind the last event every cart that was left is judged
WITHIN = 180  # s for each step, on a machine that is busy with other things; where it is not a shard stands still for 5-10 s
RIGHT_AWAY = 10  # s from a payment to its score, where nothing is behind
RATE = "40"  # changes a second: kinesis-local takes 2 ms of a processor for a record, and 14 ms for a request


@pytest.fixture(scope="module")
def resharding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    """kinesis-local, which ends with the module."""
    if "EDDY_SOAK" not in os.environ:
        pytest.skip("one of the longer tests: make soak")
    lacks = kinesis_local.lacks()
    if lacks is not None:
        pytest.skip(lacks)
    home = tmp_path_factory.mktemp("kinesis")
    port = state.free_port()
    who = kinesis_local.start(kinesis_local.fetch(home / "npm"), home, port, state.free_port(avoid=port), leashed=True)
    try:
        kinesis_local.ready(who, home)
        yield who
    finally:
        stop(who, 5)


def config(folder: Path) -> Path:
    """Every kind of window, with snapshots on the way; one rolling set is long enough to hold the whole run."""
    text = EVERYTHING.read_text().replace('rolling = { size = "20s"', 'rolling = { size = "10m"')
    (folder / "pipeline.toml").write_text(f'{text}\n[consumer]\nsnapshot = "5s"\n')
    return folder / "pipeline.toml"


@dataclass(frozen=True)
class Shard:
    """One as Kinesis tells of it now."""

    id: ShardId
    hashes: HashRange
    parents: tuple[ShardId, ...]
    open: bool


class Around:
    """What is asked around the stack: the stream, the views, the leases."""

    def __init__(self, stage: Stage, port: int, client: MongoClient[Document]) -> None:
        self.stage, self.spec, self.client = stage, stage.spec, client
        self.kinesis: Any = aws.kinesis(port)
        self.leases: Any = aws.dynamodb(stage.running.aws_port)
        self.views = client[stage.spec.views.database]
        self.info = streams.describe(self.kinesis, stage.spec.stream.name)

    def shards(self) -> list[Shard]:
        """All there ever were, in the order of their hashes, the parents first."""
        found = []
        for one in self.kinesis.list_shards(StreamName=self.info.name)["Shards"]:
            place = streams.find(self.kinesis, self.info, one["ShardId"])
            is_open = not one["SequenceNumberRange"].get("EndingSequenceNumber")
            found.append(Shard(place.shard, place.hashes, place.parents, is_open))
        return sorted(found, key=lambda shard: (shard.hashes.low, shard.id.shard))

    def open_shards(self, n: int) -> list[Shard]:
        """As many as there must be now, once Kinesis has them."""
        until(f"{n} open shards", lambda: sum(shard.open for shard in self.shards()) == n, WITHIN, self.stage)
        return [shard for shard in self.shards() if shard.open]

    def split(self, shard: Shard) -> None:
        """In the middle."""
        middle = (shard.hashes.low + shard.hashes.high + 1) // 2
        self.kinesis.split_shard(StreamName=self.info.name, ShardToSplit=shard.id.shard, NewStartingHashKey=str(middle))

    def merge(self, low: Shard, high: Shard) -> None:
        """Two that lie side by side."""
        self.kinesis.merge_shards(StreamName=self.info.name, ShardToMerge=low.id.shard, AdjacentShardToMerge=high.id.shard)

    def cursors(self, shards: Sequence[Shard]) -> list[Document]:
        """Those that there are."""
        return list(self.views[CURSORS].find({"_id": {"$in": [shard_key(shard.id) for shard in shards]}}))

    def read(self, *shards: Shard) -> bool:
        """Whether all of them are read."""
        return sum(records(cursor) > 0 for cursor in self.cursors(shards)) == len(shards)

    def on_the_way(self, *shards: Shard) -> bool:
        """Whether all of them are read, have come further than a snapshot that holds records, and are not behind."""
        further = [0 < cursor["snapshot"]["records"] < records(cursor) for cursor in self.cursors(shards)]
        return self.fresh() and sum(further) == len(shards)

    def fresh(self) -> bool:
        """Whether the last payments have their scores."""
        latest = self.views["fraud_scores"].find_one(sort=[("_id", -1)])
        written = self.client["shop"]["transactions"].find_one({"_id": latest["_id"]}) if latest else None
        return written is not None and (datetime.now(UTC) - written["written_at"]).total_seconds() < RIGHT_AWAY

    def ended(self) -> set[str]:
        """The shards whose end KCL has stored."""
        found = self.leases.scan(TableName=f"eddy-{self.info.name}-{self.info.created}", ConsistentRead=True)["Items"]
        return {lease["leaseKey"]["S"] for lease in found if lease.get("checkpoint", {}).get("S") == "SHARD_END"}

    def changes(self, shard: Shard) -> int:
        """How many lie on a shard, heartbeats left out."""
        got = self.kinesis.get_shard_iterator(StreamName=self.info.name, ShardId=shard.id.shard, ShardIteratorType="TRIM_HORIZON")
        iterator, found = got["ShardIterator"], 0
        while iterator:
            got = self.kinesis.get_records(ShardIterator=iterator, Limit=10_000)
            records = (one for whole in got["Records"] for one in taken_apart(whole))
            found += sum(isinstance(decode(record["Data"]), Event) for record in records)
            iterator = got.get("NextShardIterator") if got["Records"] else None
        return found


def records(cursor: Mapping[str, Any]) -> int:
    return sum(cursor["counters"]["classes"].values())


def test_it_listens_here_alone(resharding: Known) -> None:
    listening = [c.laddr for c in psutil.Process(resharding.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert resharding.port in {address.port for address in listening}
    assert {address.ip for address in listening} == {"127.0.0.1"}


@pytest.mark.timeout(5 * WITHIN)
def test_a_split_and_a_merge_under_load(resharding: Known, set_stage: SetUp, tmp_path: Path) -> None:
    stage = set_stage(config(tmp_path))
    stage.settings["AWS_ENDPOINT_URL_KINESIS"] = aws.url(resharding.port)
    aws.make_stream(resharding.port, stage.spec.stream.name, 2)
    stage.start("consumer", "consumer")
    stage.start("producer", "producer")
    with MongoClient[Document](stage.running.uri, tz_aware=True) as client:
        around = Around(stage, resharding.port, client)
        left, right = around.open_shards(2)
        until("KCL has its first leases", lambda: around.read(left, right), WITHIN, stage)
        stage.start("traffic", "sandbox", "traffic", "--rate", RATE, "--gap", "2", "--cards", "200")
        until("both shards are read", lambda: around.on_the_way(left, right), WITHIN, stage)
        begun = datetime.now(UTC)
        around.split(left)
        low, high, right = around.open_shards(3)
        until("both halves of the split shard are read", lambda: around.on_the_way(low, high, right), WITHIN, stage)
        assert around.ended() == {left.id.shard}
        around.merge(high, right)
        low, merged = around.open_shards(2)
        until("the merged shard is read", lambda: around.on_the_way(low, merged), WITHIN, stage)
        assert around.ended() == {left.id.shard, high.id.shard, right.id.shard}
        assert (low.parents, merged.parents) == ((left.id,), (high.id, right.id))
        stage.stop("traffic")
        all_is_saved(around, low, merged)
        stage.stop("producer")
        stage.kill("consumer")  # what is looked at now is what was committed on the way, and no last words
        every_shard_was_read_whole(around)
        every_key_came_over(around)
        nobody_waited_for_long(around, begun)
        the_views_are_right(around)


def all_is_saved(around: Around, *shards: Shard) -> None:
    """All that was written lies before a snapshot, and so does the time at which the last carts are judged."""
    found = [around.client["shop"][t.collection].find_one(sort=[("at", -1)]) for t in around.spec.triggers]
    until_then = max(date_ms(document["at"]) for document in found if document is not None) + JUDGED_AFTER

    def passed() -> bool:
        return all(cursor["snapshot"]["watermark"] > until_then for cursor in around.cursors(shards))

    until("everything read and saved", passed, WITHIN, around.stage)


def every_shard_was_read_whole(around: Around) -> None:
    """What lies on a shard is what was counted there, on those that have ended too."""
    health = {d["_id"].partition("/")[2]: d for d in around.views["health"].find()}
    lie = {shard.id.shard: around.changes(shard) for shard in around.shards()}
    assert len(lie) == 5
    assert {name: health[name]["counted"] for name in lie} == lie
    assert min(lie.values()) > 0
    assert {name for name, line in health.items() if line.get("ended")} == {s.id.shard for s in around.shards() if not s.open}
    print("changes on each shard:", lie, "records:", {name: health[name]["records"] for name in lie})


def every_key_came_over(around: Around) -> None:
    """The state of each card lies where its shard finds it, saved by that shard or by one before it, and holds all its payments."""
    paid = Counter(d["card_id"] for d in around.client["shop"]["transactions"].find({"declined": False}, {"card_id": 1}))
    store = MongoStore(around.client, around.spec)
    states = store.load([("card_id", card) for card in paid])
    assert {key[1] for key in states} == set(paid)
    shards = {shard.id.name: shard for shard in around.shards()}
    for key, saved in states.items():
        hashes = shards[saved.shard].hashes
        assert saved.hash == kinesis_hash(partition_key(*key))
        assert hashes.low <= saved.hash <= hashes.high
    saved_by = Counter(shards[saved.shard].id.shard for saved in states.values())
    assert {shard.id.shard for shard in shards.values() if shard.open} <= set(saved_by)
    assert held(around, states) == paid
    print("states of cards by the shard that saved them:", dict(saved_by))


def held(around: Around, states: Mapping[Any, KeyState]) -> Mapping[Any, int]:
    """How many payments the longest window holds of each card."""
    engine, as_of = columnar(around.spec), max(date_ms(d["watermark"]) for d in around.views["health"].find())
    windows = {key: own for key, saved in states.items() if (own := unpack(saved.data).windows) is not None}
    engine.load(windows, {key: states[key].segments for key in windows})
    blocks = ((key[1], block) for key in states for block in engine.current(key, as_of))
    return {card: block.measures["n"][0] for card, block in blocks if block.set.name == "before_this"}


def nobody_waited_for_long(around: Around, since: datetime) -> None:
    """From a payment to its score, over the split and the merge: how long its shard stood still."""
    written = {d["_id"]: d["written_at"] for d in around.client["shop"]["transactions"].find({"written_at": {"$gte": since}})}
    scored = around.views["fraud_scores"].find({"_id": {"$in": list(written)}}, {"updated_at": 1})
    waited = sorted((d["updated_at"] - written[d["_id"]]).total_seconds() for d in scored)
    assert len(waited) == len(written)
    assert waited[-1] < WITHIN
    print(f"from payment to score: {waited[len(waited) // 2]:.2f} s in the median of {len(waited)}, {waited[-1]:.2f} s at most")


def the_views_are_right(around: Around) -> None:
    """Each of them, by the definitions alone."""
    report = Verification(around.client, around.spec, Question(order="n", strict=True), whole=True).run()
    assert (report.examples, report.differ) == ([], 0)
    assert report.good
    print(report.line())
