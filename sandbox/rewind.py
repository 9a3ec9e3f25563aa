"""A new ministack knows nothing of the old stream: makes the stream anew, and puts the producer's bookmarks to where that is right.

    stream 1   a b c d e            the consumer had come to c when ministack ended; d and e are gone with it
    stream 2   a b c d e f g        so the producer begins again where stream 1 began: the views, which know
                                    a, b and c by their tokens, drop these as repeats and take d and e

So nothing is lost and nothing counts twice, however the old sandbox ended. Leases die with ministack too, and the consumer's
cursors are those of another stream (they hold its creation time): stream, leases and cursors are made anew together, while the
states of the keys, which belong to no stream, go on. After an orderly stop at which all was consumed nothing needs to be repeated.
"""

from __future__ import annotations

from typing import Any

from bson import Timestamp
from pymongo import MongoClient

from config.specs import Pipeline
from consumer.store.layout import CURSORS
from contract.codec import decode
from contract.errors import Rejected
from contract.event import Heartbeat
from edge.aws import Missing, in_our_words
from producer.bookmark import BOOKMARKS, Bookmark, Bookmarks
from producer.relay import Position
from producer.source import groups, now
from sandbox import aws, state
from sandbox.stack import Running
from sandbox.tap import taken_apart

Document = dict[str, Any]
KEPT = "_bookmarks_when_made"  # beside the bookmarks: how they stood when the present stream was made


def make_stream(running: Running, spec: Pipeline, uri: str | None = None) -> bool:
    """Make the stream of pipeline.toml if this ministack has none. True if it was made now. uri: where the views are, if not in
    the sandbox."""
    with state.locked(running.home), MongoClient[Document](uri or running.uri, serverSelectionTimeoutMS=10_000) as client:
        if not aws.make_stream(running.aws_port, spec.stream.name, spec.stream.shards):
            return False
        restore(client, spec)
        remember(client, spec)
        return True


def restore(client: MongoClient[Document], spec: Pipeline) -> None:
    """Put every bookmark to where it stood when the stream before was made; a stream's first one stands at its making."""
    stream, bookmarks = spec.stream.name, Bookmarks(client, spec.views.database, spec.stream.name)
    kept = {d["_id"]: d for d in client[spec.views.database][KEPT].find({"stream": stream})}
    begin = kept.pop(stream, None)
    for name, document in kept.items():
        client[spec.views.database][BOOKMARKS].replace_one({"_id": name}, document, upsert=True)
    position = now(client)
    if begin is not None:  # of a trigger that was added since: its first record is on the stream that is gone
        position = Position(None, (begin["cluster"].time, begin["cluster"].inc))
    known = {name.removeprefix(f"{stream}/") for name in kept}
    fresh: dict[str, Bookmark] = {group.name: Bookmark(position) for group in groups(spec.triggers) if group.name not in known}
    if fresh:
        bookmarks.save(fresh)


def remember(client: MongoClient[Document], spec: Pipeline) -> None:
    """Keep the bookmarks as they stand now, and the time."""
    stream, kept = spec.stream.name, client[spec.views.database][KEPT]
    there = list(client[spec.views.database][BOOKMARKS].find({"stream": stream}))
    kept.delete_many({"stream": stream})
    kept.insert_many([*there, {"_id": stream, "stream": stream, "cluster": Timestamp(*now(client).cluster)}])


def settle(running: Running, spec: Pipeline) -> bool:
    """Before ministack ends, when producer and consumer have: if all changes on the stream are in the views, the next stream need
    not repeat them. True if so."""
    with MongoClient[Document](running.uri) as client:
        if not consumed(running, client, spec):
            return False
        remember(client, spec)
        return True


def consumed(running: Running, client: MongoClient[Document], spec: Pipeline) -> bool:
    """Whether no shard has a change behind the snapshot of its window states: what lies behind it a new stream must bring again."""
    kinesis, stream = aws.kinesis(running.aws_port), spec.stream.name
    try:
        with in_our_words(f"stream {stream}"):
            summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    except Missing:
        return False
    created = round(summary["StreamCreationTimestamp"].timestamp() * 1_000)
    of_stream = {"_id.stream": summary["StreamARN"], "_id.created": created}
    found = client[spec.views.database][CURSORS].find(of_stream)
    places = {d["_id"]["shard"]: d.get("snapshot", d) for d in found}
    snapshots = {shard: (int(d["sequence"]), int(d.get("sub", 0))) for shard, d in places.items() if d.get("sequence") is not None}
    return all(
        _nothing_behind(kinesis, stream, shard["ShardId"], snapshots.get(shard["ShardId"]))
        for shard in kinesis.list_shards(StreamName=stream)["Shards"]
    )


def _nothing_behind(kinesis: Any, stream: str, shard: str, place: tuple[int, int] | None) -> bool:
    """place: sequence and sub number; a snapshot may stand in the middle of an aggregated record."""
    where = {"ShardIteratorType": "TRIM_HORIZON"}
    if place is not None:
        where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": f"{place[0]:030d}"}
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, **where)["ShardIterator"]
    while True:
        got = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        for record in (one for whole in got["Records"] for one in taken_apart(whole)):
            beyond = place is None or (int(record["SequenceNumber"]), record["SubSequenceNumber"]) > place
            if beyond and not _heartbeat(record["Data"]):
                return False
        if not got["Records"]:
            return True
        iterator = got["NextShardIterator"]


def _heartbeat(data: bytes) -> bool:
    try:
        return isinstance(decode(data), Heartbeat)
    except Rejected:
        return False
