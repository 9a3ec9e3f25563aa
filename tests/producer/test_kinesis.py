"""The edge to Kinesis, over the real emulator; what it never does (throttle, refuse, lose an answer) the gate does."""

from __future__ import annotations

import pytest

from config.environment import Environment, environment
from config.specs import Stream as Spec
from contract.codec import encode
from contract.errors import Fatal, Misconfigured, Retryable
from contract.event import Event, Heartbeat
from contract.keys import kinesis_hash
from edge import aws
from producer.__main__ import limits
from producer.kinesis import ONE_TRY, Kinesis
from producer.relay import Limits
from sandbox.aws import settings
from tests.conftest import free_port
from tests.producer.conftest import Stream, client, soon
from tests.producer.gate import Fault, Gate, lost, refused, some_fail


def at(url: str) -> Environment:
    return environment({"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, kinesis_port: int) -> None:
    for name, value in settings(kinesis_port).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def target(gate: Gate, stream: Stream) -> Kinesis:
    return Kinesis(aws.kinesis(at(gate.url), ONE_TRY), Spec(stream.name), at(gate.url))


def records(*keys: str) -> list[tuple[str, bytes]]:
    made = [Event(f"{n}/r", "pay", "r", "insert", key, 0, 0, n) for n, key in enumerate(keys)]
    return [(str(e.key), encode(e)) for e in made]


def beat(target: Kinesis, second: int) -> set[str]:
    """On every shard that there is; those that took it."""
    data = encode(Heartbeat(second))
    return target.heartbeats({shard: (low, data) for shard, (low, _) in target.shards().items()})[0]


def test_records_arrive_with_their_keys(target: Kinesis, stream: Stream) -> None:
    answer = target.put(records("a", "b", "ä"))
    assert answer.failed == {} and answer.shards <= target.shards().keys()
    assert sorted((key, e.key) for key, e in stream.events()) == [("a", "a"), ("b", "b"), ("ä", "ä")]


def test_a_part_that_fails_is_told_by_place_and_code(target: Kinesis, gate: Gate, stream: Stream) -> None:
    gate.faults["PutRecords"] = [some_fail([1])]
    assert target.put(records("a", "b", "c")).failed == {1: "ProvisionedThroughputExceededException"}
    assert sorted(key for key, _ in stream.events()) == ["a", "c"]


@pytest.mark.parametrize(
    ("fault", "reaction"),
    [
        (refused("ProvisionedThroughputExceededException"), Retryable),
        (refused("InternalFailure", 500), Retryable),
        (refused("SomethingNew", 503), Retryable),
        (lost, Retryable),
        (lambda _gate, _asked: (200, {"Records": 5}), Retryable),
        (lambda _gate, _asked: (200, {}), Retryable),
        (refused("UnrecognizedClientException"), Misconfigured),
        (refused("AccessDeniedException"), Misconfigured),
        (refused("ExpiredTokenException"), Misconfigured),
        (some_fail([0], "KMSAccessDeniedException"), Misconfigured),
        (refused("ResourceNotFoundException"), Misconfigured),
        (refused("ValidationException"), Fatal),
    ],
)
def test_each_error_asks_for_its_reaction(gate: Gate, fault: Fault, reaction: type[BaseException]) -> None:
    target = Kinesis(aws.kinesis(at(gate.url), ONE_TRY), Spec("any"), at(gate.url))
    gate.faults["PutRecords"] = [fault]
    with pytest.raises(reaction) as raised:
        target.put(records("a"))
    assert type(raised.value) is reaction


def test_nobody_at_the_address_is_retryable() -> None:
    nobody = at(f"http://127.0.0.1:{free_port()}")
    target = Kinesis(aws.kinesis(nobody, ONE_TRY), Spec("any"), nobody)
    with pytest.raises(Retryable):
        target.shards()


def test_a_missing_stream_is_told_with_the_command_that_makes_it(gate: Gate) -> None:
    target = Kinesis(aws.kinesis(at(gate.url), ONE_TRY), Spec("nowhere", shards=3), at(gate.url))
    with pytest.raises(Misconfigured) as raised:
        target.shards()
    assert f"aws kinesis create-stream --stream-name nowhere --shard-count 3 --region us-east-1 --endpoint-url {gate.url}" in str(
        raised.value
    )


def test_a_profile_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(Misconfigured, match="nobody"):
        aws.kinesis(environment({"AWS_PROFILE": "nobody"}))


def test_a_heartbeat_reaches_every_open_shard_also_after_a_split(target: Kinesis, stream: Stream) -> None:
    #  shard 0 |--5--|            closed by the split: hears no more
    #  shard 1 |--5--------9--    stays
    #  2 and 3       |-----9--    its children
    assert len(beat(target, 5)) == 2
    (first, (low, _)), (second, _) = sorted(target.shards().items())
    api = client(stream.url)
    api.split_shard(StreamName=stream.name, ShardToSplit=first, NewStartingHashKey=str(1 << 126))
    soon(lambda: api.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE")
    children = target.shards().keys() - {second}
    assert len(children) == 2 and first not in children
    taken, found = target.heartbeats({first: (low, encode(Heartbeat(7)))})  # by one who does not know of it yet
    assert taken == {first} and len(found) == 1 and found < children
    assert beat(target, 9) == {second, *children}
    told = stream.heartbeats()
    assert told[second] == [5, 9] and all(told[child][-1] == 9 for child in children)


def test_shards_have_the_hashes_that_the_service_says(target: Kinesis) -> None:
    (low, middle), (next_, high) = sorted(target.shards().values())
    assert (low, next_, high) == (0, middle + 1, (1 << 128) - 1)


def test_a_heartbeat_that_a_shard_does_not_take_is_told(target: Kinesis, gate: Gate) -> None:
    first, second = target.shards()
    gate.faults = {"PutRecords": [some_fail([0])]}
    assert beat(target, 1) == {second}
    gate.faults = {"PutRecords": [refused("ThrottlingException")]}
    with pytest.raises(Retryable):
        beat(target, 2)
    assert beat(target, 3) == {first, second}


def test_a_stream_without_an_open_shard_is_one_to_wait_for(target: Kinesis, gate: Gate) -> None:
    gate.faults["ListShards"] = [lambda _gate, _asked: (200, {"Shards": []})]
    with pytest.raises(Retryable):
        target.shards()
    assert len(target.shards()) == 2


@pytest.mark.parametrize(
    ("said", "limit", "request_"), [({}, None, 5_000_000), ({"MaxRecordSizeInKiB": 10_240}, 10 << 20, 10 << 20)]
)
def test_a_stream_says_how_large_a_record_may_be(
    target: Kinesis, gate: Gate, said: dict[str, int], limit: int | None, request_: int
) -> None:
    def answer(_: Gate, asked: dict[str, object]) -> tuple[int, dict[str, object]]:
        status, told = gate.forward("DescribeStreamSummary", asked)
        told["StreamDescriptionSummary"].pop("MaxRecordSizeInKiB", None)
        return status, {"StreamDescriptionSummary": {**told["StreamDescriptionSummary"], **said}}

    gate.faults["DescribeStreamSummary"] = [answer, answer, refused("AccessDeniedException")]
    assert target.record_limit() == limit
    assert limits(target) == Limits(record=limit or 1 << 20, request=request_)
    assert limits(target) == Limits(request=5_000_000)  # we may not ask


def test_the_emulator_places_keys_as_contract_keys_says(target: Kinesis, stream: Stream) -> None:
    target.put(records(*"abcdefghij"))
    lows = {name: low for name, (low, _) in target.shards().items()}
    placed = {key: shard for shard, key, _ in stream.messages()}
    assert placed == {key: max(lows, key=lambda n: (lows[n] <= kinesis_hash(key), lows[n])) for key in "abcdefghij"}
    assert len(set(placed.values())) == 2
