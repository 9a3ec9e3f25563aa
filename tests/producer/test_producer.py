"""The producer as a process, from a real mongod to a real Kinesis emulator: complete, in order, and told how far."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection

import pytest

from contract.event import Event, Heartbeat
from contract.keys import kinesis_hash
from edge.http import Answer
from producer.board import Board, Shown
from sandbox.tap import hash_ranges
from tests.conftest import Client, free_port
from tests.exposition import Parsed, parse
from tests.producer.conftest import Start, Stream, client, pipeline, soon
from tests.producer.gate import Answer as Reply
from tests.producer.gate import Fault, Gate, Json, lost, on_changes, passes, refused, some_fail


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
    faults = [some_fail([0, 2]), refused("InternalFailure", 500), lost, some_fail(range(1, 500)), lost, passes, some_fail([1])]
    gate.faults["PutRecords"] = [on_changes(fault) for fault in faults]
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


def test_a_change_too_large_is_trimmed_where_the_trigger_says_so_and_what_is_too_large_then_is_a_dead_letter(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    running = start(pipeline(stream.name, database_name, trigger='oversize = "trim"\ntrim = ["photo", "shop.logo"]')).ready()
    big = "x" * (1 << 20)
    mongo[database_name].payments.insert_many(
        [
            {"_id": 0, "n": 0, "card": "c", "photo": "small"},
            {"_id": 1, "n": 1, "card": "c", "photo": big, "shop": {"logo": big, "name": "s"}},
            {"_id": 2, "n": 2, "card": "c", "text": big, "photo": "small"},
        ]
    )
    soon(lambda: relayed(mongo, database_name) == 2, 60)
    assert running.end() == 0
    assert [event.document for _, event in stream.events()] == [
        {"_id": 0, "n": 0, "card": "c", "photo": "small"},
        {"_id": 1, "n": 1, "card": "c", "shop": {"name": "s"}, "_trimmed": ["photo", "shop.logo"]},
    ]
    [letter] = mongo[database_name].dead_letters.find()
    assert letter["reason"] == "size" and big in letter["record"] and '"_trimmed":["photo"]' in letter["record"]
    assert running.said("change too large for Kinesis, trimmed", trigger="pay")


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


def test_it_serves_how_far_it_is_and_whether_it_relays(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    port = free_port()
    toml = pipeline(stream.name, database_name) + f"\n[producer]\nport = {port}\n"
    running = start(toml, AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
    gate.faults["PutRecords"] = [of_changes(some_fail([0]))]
    write(mongo, database_name, 0, 50)
    soon(lambda: relayed(mongo, database_name) == 50, 60)
    soon(lambda: ask(port, "/readyz") == (200, "ready\n"), 60)
    assert ask(port, "/healthz") == (200, "alive\n")

    def told() -> Mapping[str, Parsed] | None:
        found = parse(ask(port, "/metrics")[1])
        return found if found["eddy_producer_records_total"].value(stream=stream.name) == 50 else None

    found = soon(told, 60)
    for name in ("captured_total", "records_total"):
        assert found[f"eddy_producer_{name}"].value(stream=stream.name) == 50
    assert found["eddy_producer_retries_total"].value(stream=stream.name) >= 1, "one record may hold several of a busy key"
    [((_, labels), many)] = found["eddy_producer_refused_total"].samples.items()
    assert dict(labels)["stream"] == stream.name and set(dict(labels)) == {"stream", "reason"} and many == 1
    assert found["eddy_producer_waiting_records"].value(stream=stream.name) == 0
    marks = list(mongo[database_name]["_bookmarks"].find())
    assert found["eddy_producer_relayed_timestamp_seconds"].value(stream=stream.name) <= min(m["cluster"].time for m in marks)
    assert found["eddy_producer_bookmark_timestamp_seconds"].value(stream=stream.name) > 1.7e9
    assert running.end() == 0


def of_changes(fault: Fault) -> Fault:
    """For the next request that is no heartbeat's."""

    def own(gate: Gate, asked: Json) -> Reply | None:
        if "ExplicitHashKey" not in asked["Records"][0]:
            return fault(gate, asked)
        gate.faults["PutRecords"].append(own)
        return passes(gate, asked)

    return own


def ask(port: int, path: str) -> tuple[int, str]:
    client = HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(client):
        client.request("GET", path)
        reply = client.getresponse()
        return reply.status, reply.read().decode()


def test_a_port_that_is_taken_is_told_at_the_start(start: Start, stream: Stream, database_name: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        running = start(pipeline(stream.name, database_name) + f"\n[producer]\nport = {port}\n")
        assert running.process.wait(90) == 78
        said = soon(lambda: running.said("stopped"))
        assert f"[producer] port: port {port} of 127.0.0.1 is in use already" in said["what"]


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_when_the_producer_is_neither_alive_nor_ready() -> None:
    clock = Clock()
    board = Board("shop", clock, clock)
    assert board.ready() == Answer(503, "the producer is starting\n") and board.metrics().text == ""
    board.show(Shown())
    assert board.ready() == Answer(503, "nothing is relayed yet\n")
    board.show(Shown(relayed=5))
    assert board.ready() == Answer(503, "no bookmark saved yet\n")
    board.show(Shown(relayed=5, saved=1_000.0))
    assert board.ready() == Answer(200, "ready\n")
    clock.now += 61
    assert board.ready() == Answer(503, "no bookmark saved for 61 s\n")
    assert board.alive() == Answer(503, "the producer has stood still for 61 s\n")
    board.alive_still()
    assert board.alive() == Answer(200, "alive\n")


def test_what_waits_for_a_busy_key_goes_out_together_and_where_it_is_switched_off_it_does_not(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    counts = {}
    for first, more in ((0, ""), (1_000, "aggregate = false\n")):
        toml = pipeline(stream.name, database_name).replace("[views]", f"{more}[views]")
        running = start(toml, AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
        before, wanted = len(gate.asked), relayed(mongo, database_name) + 60
        write(mongo, database_name, first, 60, keys=1)
        soon(lambda wanted=wanted: relayed(mongo, database_name) == wanted, 60)  # type: ignore[misc]
        assert running.end() == 0
        counts[more] = sum("ExplicitHashKey" not in record for asked in gate.asked[before:] for record in asked["Records"])
    assert counts[""] <= 10 and counts["aggregate = false\n"] == 60
    assert orders(stream.events()) == {"card:t:c0": [*range(60), *range(1_000, 1_060)]}


def test_a_shard_that_takes_nothing_holds_back_neither_the_other_nor_what_it_is_promised(
    start: Start, stream: Stream, gate: Gate, mongo: Client, database_name: str
) -> None:
    first, second = sorted(hash_ranges(client(stream.url), stream.name).items(), key=lambda one: one[1])

    def throttled(gate: Gate, asked: Json) -> Reply:
        gate.faults["PutRecords"].insert(0, throttled)
        hashes = [int(r.get("ExplicitHashKey") or kinesis_hash(r["PartitionKey"])) for r in asked["Records"]]
        return some_fail([place for place, hash_ in enumerate(hashes) if hash_ <= first[1][1]])(gate, asked)  # type: ignore[return-value]

    running = start(AWS_ENDPOINT_URL=gate.url, AWS_ENDPOINT_URL_KINESIS=gate.url).ready()
    gate.faults["PutRecords"] = [throttled]
    wanted = write(mongo, database_name, 0, 200, keys=40)
    there = {key: ns for key, ns in wanted.items() if kinesis_hash(key) >= second[1][0]}
    soon(lambda: orders(stream.events()) == there, 40)
    end = mongo.admin.command("ping")["operationTime"].time * 1000
    soon(lambda: stream.heartbeats().get(second[0], [0])[-1] > end)
    assert max(stream.heartbeats().get(first[0], [0])) <= end and 0 < len(there) < len(wanted)
    [saved] = mongo[database_name]["_bookmarks"].find()
    assert saved["cluster"].time * 1000 <= end
    gate.faults.clear()
    soon(lambda: orders(stream.events()) == wanted, 40)
    soon(lambda: relayed(mongo, database_name) == 200)
    assert running.end() == 0


def test_a_new_half_of_a_shard_hears_at_once_how_far_it_is(start: Start, stream: Stream, mongo: Client, database_name: str) -> None:
    toml = pipeline(stream.name, database_name).replace('heartbeat = "200ms"', 'heartbeat = "1h"')
    running = start(toml).ready()
    soon(lambda: len(stream.heartbeats()) == 2)
    [first, second] = sorted(stream.heartbeats())
    api = client(stream.url)
    api.split_shard(StreamName=stream.name, ShardToSplit=first, NewStartingHashKey=str(1 << 126))
    wanted = write(mongo, database_name, 0, 100, keys=40)  # whose answers name shards that nobody knew
    soon(lambda: len(stream.heartbeats().keys() - {first, second}) == 2)
    soon(lambda: relayed(mongo, database_name) == 100)
    assert running.said("shards changed", gone=[first])
    assert running.end() == 0
    assert len(orders(stream.events())) == len(wanted)
