"""The producer as a process, from a real mongod to a real Kinesis emulator: complete, in order, and told how far."""

from __future__ import annotations

import random

import pytest

from contract.event import Event, Heartbeat
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.gate import Gate, lost, passes, refused, some_fail


def orders(events: list[tuple[str, Event]]) -> dict[str, list[int]]:
    """For each partition key the documents' `n`, in the order in which they first came (repeats have the same token)."""
    seen: dict[str, dict[str, int]] = {}
    for key, event in events:
        assert event.document is not None
        seen.setdefault(key, {}).setdefault(event.token, event.document["n"])
    return {key: list(found.values()) for key, found in seen.items()}


def write(mongo: Client, database: str, first: int, count: int, keys: int = 7) -> dict[str, list[int]]:
    """Payments numbered from `first` on, over some cards; what `orders` must be."""
    pick = random.Random(first)
    cards = {n: f"c{pick.randrange(keys)}" for n in range(first, first + count)}
    mongo[database].payments.insert_many([{"_id": n, "n": n, "card": card} for n, card in cards.items()])
    wanted: dict[str, list[int]] = {}
    for n, card in cards.items():
        wanted.setdefault(f"card:t:{card}", []).append(n)
    return wanted


def joined(*parts: dict[str, list[int]]) -> dict[str, list[int]]:
    keys = {key for part in parts for key in part}
    return {key: [n for part in parts for n in part.get(key, [])] for key in keys}


def relayed(mongo: Client, database: str) -> int:
    """What the bookmark says is acknowledged."""
    return sum(int(d["relayed"]) for d in mongo[database]["_bookmarks"].find())


def test_from_the_first_start_on_every_change_arrives_once_and_sigterm_ends_it_in_order(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    write(mongo, database_name, -50, 50)  # before the first start: not ours
    running = start().ready()
    first = write(mongo, database_name, 0, 300)
    soon(lambda: relayed(mongo, database_name) == 300)
    assert running.end() == 0
    assert (said := running.said("ended")) and said["captured"] == said["acknowledged"] == 300 and said["waiting"] == 0
    meanwhile = write(mongo, database_name, 300, 100)
    running = start().ready()
    after = write(mongo, database_name, 400, 100)
    soon(lambda: relayed(mongo, database_name) == 500)
    assert running.end() == 0
    events = stream.events()
    assert orders(events) == joined(first, meanwhile, after) and len(events) == 500
    assert not any(line["level"] in ("warning", "error") for line in running.lines)


def test_kinesis_that_throttles_refuses_and_loses_answers_costs_neither_records_nor_order(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    running = start(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
    pick = random.Random(5)
    gate.faults["PutRecords"] = [
        pick.choice([some_fail([0, 2]), some_fail(range(1, 500)), refused("InternalFailure", 500), lost, passes]) for _ in range(12)
    ]
    wanted = joined(*(write(mongo, database_name, n, 100) for n in (0, 100)))
    soon(lambda: relayed(mongo, database_name) == 200, 40)
    assert running.end() == 0
    assert orders(stream.events()) == wanted
    assert running.said("waiting") and running.said("records refused, again later")
    for asked in gate.asked:
        keys = [r["PartitionKey"] for r in asked["Records"] if "ExplicitHashKey" not in r]
        assert len(keys) == len(set(keys)) <= 500


def test_killed_in_the_middle_it_repeats_but_skips_nothing_and_keeps_the_order(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    wanted = []
    for turn in range(3):
        running = start(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
        seen = len(gate.asked)
        gate.faults["PutRecords"] = [some_fail([turn]), lost]
        wanted.append(write(mongo, database_name, turn * 1_000, 1_000, keys=40))
        soon(lambda seen=seen: len(gate.asked) > seen + 8)  # type: ignore[misc]
        assert running.end(9) == -9
    gate.faults.clear()
    running = start().ready()
    wanted.append(write(mongo, database_name, 3_000, 10))
    soon(lambda: orders(stream.events()) == joined(*wanted), 40)
    assert running.end() == 0


def test_a_heartbeat_vouches_for_all_before_it_on_every_shard(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    running = start(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
    for n in range(5):
        gate.faults["PutRecords"] = [some_fail([0]), some_fail([1])]
        write(mongo, database_name, n * 40, 40)
        soon(lambda n=n: relayed(mongo, database_name) == n * 40 + 40)  # type: ignore[misc]
    end = mongo.admin.command("ping")["operationTime"].time * 1000
    soon(lambda: len(told := stream.heartbeats()) == 2 and all(times[-1] >= end for times in told.values()))
    assert running.end() == 0
    vouched: dict[str, int] = {}
    known: set[str] = set()
    for shard, _, message in stream.messages():
        if isinstance(message, Heartbeat):
            assert message.cluster >= vouched.get(shard, 0)
            vouched[shard] = message.cluster
        elif message.id not in known:
            known.add(message.id)
            assert message.cluster >= vouched.get(shard, 0)
    assert len(vouched) == 2 and len(known) == 200


def test_a_change_too_large_for_kinesis_is_a_dead_letter_and_its_key_goes_on(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    running = start().ready()
    big = "x" * (1 << 20)
    mongo[database_name].payments.insert_many([{"_id": n, "n": n, "card": "c", "pad": big if n == 1 else ""} for n in range(3)])
    soon(lambda: relayed(mongo, database_name) == 2)
    assert running.end() == 0
    assert orders(stream.events()) == {"card:t:c": [0, 2]}
    [letter] = mongo[database_name].dead_letters.find()
    assert (letter["reason"], letter["trigger"], letter["route"], letter["partition_key"]) == ("size", "pay", "card", "card:t:c")
    assert big in letter["record"]
    assert (said := running.said("ended")) and said["too_large"] == 1


def test_groups_have_their_own_bookmarks_and_one_heartbeat_for_all(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    second = f"""
[[trigger]]
name = "carts"
database = "{database_name}"
collection = "carts"
routes = ["cart", "owner"]
before = true
"""
    running = start(pipeline(stream.name, database_name, second)).ready()
    carts = mongo[database_name].carts
    carts.insert_one({"_id": 1, "cart": 5, "owner": "a"})
    carts.update_one({"_id": 1}, {"$set": {"owner": "b"}})
    mongo[database_name].payments.insert_one({"_id": 1, "card": "c"})
    soon(lambda: relayed(mongo, database_name) == 6)
    told = soon(stream.heartbeats)
    assert running.end() == 0
    assert {d["_id"] for d in mongo[database_name]["_bookmarks"].find()} == {f"{stream.name}/images", f"{stream.name}/lookup"}
    halves = [(key, e.op, e.before is not None, e.document is not None) for key, e in stream.events() if e.trigger == "carts"]
    assert sorted(halves) == [
        ("cart:n:5", "insert", False, True), ("cart:n:5", "update", True, True),
        ("owner:t:a", "insert", False, True), ("owner:t:a", "update", True, False), ("owner:t:b", "update", False, True),
    ]  # fmt: skip
    assert told and running.said("pre- and post-images switched on", namespace=f"{database_name}.carts")


def test_bare_documents_go_without_envelope_and_without_heartbeats(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    toml = pipeline(stream.name, database_name, trigger='time = "at"').replace("[views]", 'format = "document"\n[views]')
    running = start(toml).ready()
    mongo[database_name].payments.insert_one({"_id": 1, "card": "c", "at": 5})
    soon(lambda: relayed(mongo, database_name) == 1)
    assert running.end() == 0
    with pytest.raises(Exception, match="envelope"):
        stream.messages()
    assert (said := running.said("ended")) and said["heartbeats"] == 0
