"""The proxy does to PutRecords what it says, and nothing to anything else: with the producer's own client, on a real emulator."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.environment import environment
from config.specs import Stream
from contract.errors import Retryable
from edge import aws as edge_aws
from producer import kinesis
from sandbox import aws, state
from sandbox.processes import stop
from tests.chaos.plan import PUTS
from tests.chaos.proxy import FAILED, THROTTLED, Act, Proxy, act_of, mended, without

NAME = "proxied"


@given(st.sampled_from(PUTS), st.integers(1, 500), st.integers())
def test_every_kind_troubles_a_request_in_its_own_way(kind: str, records: int, seed: int) -> None:
    act = act_of(kind, records, random.Random(seed))
    failed = set((act.failed or {}).values())
    assert act.drop == (kind == "drop")
    assert (act.delay > 0) == (kind == "delay")
    assert act.whole is None or (kind == "throttle" and act.whole in THROTTLED)
    assert failed == ({FAILED} if kind == "fail part" else {THROTTLED[0]} if kind == "throttle" and act.whole is None else set())
    assert set(act.failed or ()) <= set(range(records))


@given(st.integers(1, 20).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_an_answer_to_a_part_is_mended_to_one_to_the_whole(asked: tuple[int, set[int]]) -> None:
    n, places = asked
    failed = dict.fromkeys(places, FAILED)
    handed_on = without({"StreamName": "s", "Records": [{"Data": str(i)} for i in range(n)]}, failed)
    assert [r["Data"] for r in handed_on["Records"]] == [str(i) for i in range(n) if i not in places]
    records = [{"SequenceNumber": r["Data"]} for r in handed_on["Records"]]
    answer = mended({"FailedRecordCount": 0, "Records": records}, failed)
    assert answer["FailedRecordCount"] == len(places)
    assert [r.get("SequenceNumber") for r in answer["Records"]] == [None if i in places else str(i) for i in range(n)]
    assert {i for i, r in enumerate(answer["Records"]) if r.get("ErrorCode") == FAILED} == places


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Kinesis with the stream."""
    home = tmp_path_factory.mktemp("aws")
    who = aws.start(home, state.free_port(), leashed=True)
    try:
        aws.ready(who, home)
        aws.make_stream(who.port, NAME, 1)
        yield who.port
    finally:
        stop(who, 5)


class Once(Proxy):
    """Does one given thing to every PutRecords; delays are shortened to nothing, and remembered."""

    act = Act()

    def decide(self, records: int) -> Act:
        return self.act

    def wait(self, seconds: float) -> None:
        self.waited = seconds


@pytest.fixture
def proxy(upstream: int) -> Iterator[Once]:
    running = Once(upstream, 1)
    running.begin()
    yield running
    running.end()


def producers(proxy: Proxy) -> kinesis.Kinesis:
    """The producer's way to Kinesis, through the proxy."""
    env = environment({**aws.settings(proxy.port), "AWS_ENDPOINT_URL_KINESIS": aws.url(proxy.port)})
    return kinesis.Kinesis(edge_aws.kinesis(env, kinesis.ONE_TRY), Stream(NAME), env)


def lies_there(port: int, mark: str) -> list[int]:
    """Which of the records with that mark are on the stream, in order."""
    client: Any = aws.kinesis(port)
    [shard] = client.list_shards(StreamName=NAME)["Shards"]
    got = client.get_shard_iterator(StreamName=NAME, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    found = [r["Data"].decode() for r in client.get_records(ShardIterator=got["ShardIterator"])["Records"]]
    return [int(text.partition(" ")[2]) for text in found if text.startswith(f"{mark} ")]


def records(mark: str, n: int = 4) -> list[tuple[str, bytes]]:
    return [(f"key-{i}", f"{mark} {i}".encode()) for i in range(n)]


def test_what_is_not_troubled_passes(proxy: Once, upstream: int) -> None:
    there = producers(proxy)
    assert len(there.shards()) == 1
    assert there.put(records("whole")).failed == {}
    assert lies_there(upstream, "whole") == [0, 1, 2, 3]


@pytest.mark.parametrize(("before", "lie"), [(True, []), (False, [0, 1, 2, 3])])
def test_a_dropped_connection_is_no_answer(proxy: Once, upstream: int, before: bool, lie: list[int]) -> None:
    proxy.act = Act(drop=True, before=before)
    with pytest.raises(Retryable):
        producers(proxy).put(records(f"dropped-{before}"))
    assert lies_there(upstream, f"dropped-{before}") == lie


@pytest.mark.parametrize("code", THROTTLED)
def test_a_request_is_throttled_whole(proxy: Once, upstream: int, code: str) -> None:
    proxy.act = Act(whole=code)
    with pytest.raises(Retryable, match=code):
        producers(proxy).put(records(code))
    assert lies_there(upstream, code) == []


@pytest.mark.parametrize("failed", [{1: FAILED, 2: THROTTLED[0]}, {0: FAILED, 1: FAILED, 2: FAILED, 3: FAILED}])
def test_records_that_fail_are_not_there_and_the_others_are(proxy: Once, upstream: int, failed: Mapping[int, str]) -> None:
    proxy.act = Act(failed=failed)
    mark = f"part-{len(failed)}"
    assert producers(proxy).put(records(mark)).failed == failed
    assert lies_there(upstream, mark) == [i for i in range(4) if i not in failed]


def test_a_delay_comes_before_or_after(proxy: Once, upstream: int) -> None:
    for before in (True, False):
        proxy.act = Act(delay=2.5, before=before)
        assert producers(proxy).put(records(f"late-{before}")).failed == {}
        assert proxy.waited == 2.5
        assert lies_there(upstream, f"late-{before}") == [0, 1, 2, 3]


def test_trouble_lasts_until_it_is_healed() -> None:
    proxy = Proxy(1, 7)
    heal = proxy.trouble("drop")
    assert any(proxy.decide(3).drop for _ in range(50))
    heal()
    assert [proxy.decide(3) for _ in range(50)] == [Act()] * 50
    assert 0 < proxy.done["drop"] < 51
    proxy._server.server_close()
