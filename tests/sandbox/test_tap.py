"""What reads the raw stream takes aggregated records apart, as KCL does."""

from __future__ import annotations

from typing import Any

import pytest

from contract.aggregated import aggregate
from contract.codec import encode
from contract.event import Event, Heartbeat
from sandbox.rewind import _nothing_behind
from sandbox.tap import Tap, hash_ranges
from tests.producer.conftest import Stream, client, kinesis_port, stream

__all__ = ["kinesis_port", "stream"]


def change(n: int) -> bytes:
    return encode(Event(f"{n}/card", "pay", "card", "insert", "c", 0, 0, n))


@pytest.fixture
def filled(stream: Stream) -> tuple[Any, str, int]:
    """An aggregate of three changes with two heartbeats behind it: the client, its shard, its sequence number."""
    api = client(stream.url)
    put = api.put_record(StreamName=stream.name, PartitionKey="card:t:c", Data=aggregate("card:t:c", [change(n) for n in range(3)]))
    for _, low in sorted(hash_ranges(api, stream.name).values(), reverse=True):
        beat = {"PartitionKey": "heartbeat", "ExplicitHashKey": str(low), "Data": encode(Heartbeat(9_000))}
        api.put_record(StreamName=stream.name, **beat)
    return api, put["ShardId"], int(put["SequenceNumber"])


def test_the_tap_counts_changes_and_gives_each_its_place(stream: Stream, filled: tuple[Any, str, int]) -> None:
    api, shard, sequence = filled
    tap = Tap(api, stream.name).begin()
    told = [(s, int(r["SequenceNumber"]), r["SubSequenceNumber"], r["Data"]) for s, r in tap.read()]
    assert [one for one in told if one[3] != encode(Heartbeat(9_000))] == [(shard, sequence, n, change(n)) for n in range(3)]
    assert (tap.changes, tap.captured, tap.heartbeat) == (3, 3, 9_000)


def test_a_snapshot_in_the_middle_of_an_aggregate_has_changes_behind_it(stream: Stream, filled: tuple[Any, str, int]) -> None:
    api, shard, sequence = filled
    behind = {place: not _nothing_behind(api, stream.name, shard, place) for place in (None, (sequence, 1), (sequence, 2))}
    assert behind == {None: True, (sequence, 1): True, (sequence, 2): False}
