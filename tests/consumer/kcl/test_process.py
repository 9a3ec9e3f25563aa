"""A shard's child, driven line by line as KCL drives it, on a real mongod and a real ministack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumer.host import reports
from consumer.host.reports import Status
from consumer.store.contract import Doc
from contract.keys import kinesis_hash
from tests.conftest import free_port, initiate, start_mongod, stop, until
from tests.consumer.conftest import NOW, Place, eventually, heartbeat, make_place
from tests.consumer.kcl.daemon import ROOT, Kcl, payments, watches

SHARD = "shardId-000000000000"
New = Callable[[], Kcl]


@pytest.fixture
def new(place: Place, tmp_path: Path) -> Iterator[New]:
    """Starts children of one run directory."""
    started: list[Kcl] = []

    def start() -> Kcl:
        started.append(Kcl({**place.env, "EDDY_RUN": str(tmp_path)}, tmp_path / f"child{len(started)}.log"))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def kcl(new: New) -> Kcl:
    """A child that reads the shard."""
    one = new()
    assert one.initialize(SHARD), one.logged()
    return one


def last(folder: Path) -> Status:
    [one] = reports.read(reports.place(folder, ""))
    return one


def at(number: int) -> tuple[str, int]:
    return f"{number:030d}", 0


def test_a_life(kcl: Kcl, place: Place, tmp_path: Path) -> None:
    assert kcl.records(payments(0, 100), behind=7)
    eventually(lambda: place.counted() == 100, 10)  # there is more to read, so nobody has waited for the commit
    assert kcl.records([]) and kcl.checkpoints == [at(99)], "KCL's own text of the last record, zeros and all"
    assert (last(tmp_path).state, last(tmp_path).sequence, last(tmp_path).behind) == ("reading", "99", 0)
    assert kcl.records([]) and len(kcl.checkpoints) == 1, "nothing read, nothing to checkpoint"
    assert kcl.say("shutdownRequested") and len(kcl.checkpoints) == 1
    assert kcl.say("leaseLost")
    assert kcl.ended() == 0
    assert last(tmp_path).state == "ended"


def test_a_heartbeat_closes_windows(kcl: Kcl, place: Place) -> None:
    assert kcl.records([*payments(0, 10), (10, heartbeat(NOW + 600_000), 0)])
    assert {d["closed_by"] for d in place.database.spend.find()} == {"heartbeat"}


def test_records_that_come_again_are_not_counted_again(new: New, place: Place) -> None:
    #  records       0........50........100
    #  first child   [=========] commit, and it is killed before the checkpoint
    #  second child  [=========|=========]      cut otherwise
    first = new()
    assert first.initialize(SHARD) and first.records(payments(0, 50))
    first.close()
    second = new()
    assert second.initialize(SHARD)
    assert second.records(payments(0, 30))
    assert second.checkpoints == [at(29)], "the snapshot is ahead, but KCL takes nothing that it has not delivered"
    assert second.records(payments(30, 70))
    assert second.checkpoints[-1] == at(99)
    assert place.counted() == 100
    assert [d["records"] for d in place.database.health.find()] == [100]


def test_the_checkpoint_follows_the_snapshot_and_what_lies_between_is_read_again_in_silence(
    ministack: int, mongod: str, tmp_path: Path
) -> None:
    #  records    0..........50..........100
    #  snapshot   |                       |  shutdown
    #  cursor                |            |
    #  first      [==========] killed
    #  second     [ silence  |===========]  says where it stands
    with contextmanager(make_place)(ministack, mongod, tmp_path, snapshot="1h") as place:
        first, second = (Kcl({**place.env, "EDDY_RUN": str(tmp_path)}, tmp_path / f"log{n}") for n in "12")
        assert first.initialize(SHARD) and first.records(payments(0, 50)) and first.records([])
        assert place.counted() == 50 and first.checkpoints == []
        first.close()
        views = list(place.database.spend.find().sort("_id"))
        assert second.initialize(SHARD) and second.records(payments(0, 30)) and second.records(payments(30, 19))
        assert list(place.database.spend.find().sort("_id")) == views, "not even written again"
        assert second.records(payments(49, 51)) and place.counted() == 100 and second.checkpoints == []
        assert [d["records"] for d in place.database.health.find()] == [100]
        assert second.say("shutdownRequested") and second.checkpoints == [at(99)]
        second.close()


def test_records_that_the_stream_has_lost_end_the_child(ministack: int, mongod: str, tmp_path: Path) -> None:
    with contextmanager(make_place)(ministack, mongod, tmp_path, snapshot="1h") as place:
        first, second = (Kcl({**place.env, "EDDY_RUN": str(tmp_path)}, tmp_path / f"log{n}") for n in "12")
        assert first.initialize(SHARD) and first.records(payments(0, 50))
        first.close()
        assert second.initialize(SHARD) and not second.records(payments(20, 60))
        assert second.child.wait(10) == 76 and "20 have not come again" in last(tmp_path).what
        second.close()


def test_records_of_one_sequence_number_are_told_apart(kcl: Kcl, place: Place) -> None:
    whole = payments(0, 3)
    assert kcl.records([(7, data, sub) for sub, (_, data, _) in enumerate(whole)])
    assert place.counted() == 3
    assert kcl.checkpoints == [(f"{7:030d}", 2)]


def test_a_zombie_writes_nothing_more_and_waits_for_its_end(new: New, place: Place, tmp_path: Path) -> None:
    zombie, owner = new(), new()
    assert zombie.initialize(SHARD) and zombie.records(payments(0, 10))
    assert owner.initialize(SHARD, at(9)[0])
    assert zombie.records(payments(10, 10)), "it answers, so that KCL does not take down the other shards"
    assert place.counted() == 10 and len(zombie.checkpoints) == 1
    assert zombie.say("leaseLost") and zombie.ended() == 0
    assert owner.records(payments(10, 10)) and place.counted() == 20


def test_a_checkpoint_that_may_succeed_is_tried_again(kcl: Kcl) -> None:
    kcl.errors = ["ThrottlingException", "KinesisClientLibDependencyException", None]
    assert kcl.records(payments(0, 10)) and kcl.checkpoints == [at(9)]


def test_a_checkpoint_that_shows_another_owner_stops_the_work(kcl: Kcl, place: Place, tmp_path: Path) -> None:
    kcl.errors = ["ShutdownException"]
    assert kcl.records(payments(0, 10))
    assert last(tmp_path).state == "stopped"
    assert kcl.records(payments(10, 10)) and place.counted() == 10 and kcl.checkpoints == []
    assert kcl.say("leaseLost") and kcl.ended() == 0


def test_a_checkpoint_that_cannot_be_right_ends_the_child(kcl: Kcl, tmp_path: Path) -> None:
    kcl.errors = ["IllegalArgumentException"]
    assert not kcl.records(payments(0, 10))
    assert kcl.child.wait(10) == 70
    assert (last(tmp_path).state, last(tmp_path).status) == ("failed", 70) and "IllegalArgumentException" in last(tmp_path).what


def test_the_end_of_a_shard_is_stored_without_a_position(kcl: Kcl) -> None:
    assert kcl.records(payments(0, 10))
    assert kcl.say("shardEnded") and kcl.checkpoints == [at(9), (None, None)]
    assert kcl.ended() == 0


@pytest.mark.parametrize("error", ["ShutdownException", "InvalidStateException"])
def test_an_end_that_cannot_be_stored_ends_the_child(kcl: Kcl, error: str) -> None:
    kcl.errors = [error]
    assert not kcl.say("shardEnded")
    assert kcl.child.wait(10) == 70


def test_kcl_going_away_in_a_checkpoint_ends_the_child(kcl: Kcl) -> None:
    kcl._checkpoint = lambda asked: kcl.child.stdin.close()  # type: ignore[method-assign, union-attr]
    assert not kcl.records(payments(0, 10))
    assert kcl.child.wait(10) == 70


def test_a_checkpoint_ahead_of_the_views_is_lost_history(new: New, place: Place, tmp_path: Path) -> None:
    first = new()
    assert first.initialize(SHARD) and first.records(payments(0, 10))
    place.database.client.drop_database(place.database.name)
    second = new()
    assert not second.initialize(SHARD, at(9)[0])
    assert second.child.wait(10) == 76
    assert last(tmp_path).status == 76 and "lease table" in last(tmp_path).what


def test_a_shard_that_the_stream_does_not_have_is_misconfigured(new: New, tmp_path: Path) -> None:
    one = new()
    assert not one.initialize("shardId-000000000077")
    assert one.child.wait(10) == 78 and "shardId-000000000077" in last(tmp_path).what


def test_what_is_printed_by_accident_does_not_reach_kcl(kcl: Kcl) -> None:
    stdout = os.readlink(f"/proc/{kcl.child.pid}/fd/1")
    assert stdout == str(kcl.log)


def test_signals_are_the_jvms_to_act_on(kcl: Kcl) -> None:
    kcl.child.send_signal(signal.SIGTERM)
    kcl.child.send_signal(signal.SIGINT)
    assert kcl.records(payments(0, 10)) and kcl.checkpoints == [at(9)]


def test_a_child_does_not_outlive_its_parent(place: Place) -> None:
    #  test -> parent -> child: the parent is killed, and the child's channel stays open
    read, write = os.pipe()
    script = f"p = subprocess.Popen({[sys.executable, '-m', 'consumer', 'shard']}, stdin={read}, stdout=2)"
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess; {script}; print(p.pid, flush=True); p.wait()"],
        env=place.env, pass_fds=[read], stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert parent.stdout is not None
    child = Path("/proc") / parent.stdout.readline().decode().strip()
    try:
        eventually(lambda: watches(child), 20)
        parent.kill()
        parent.wait()
        eventually(lambda: not child.exists() or " Z " in (child / "stat").read_text(), 5)
    finally:
        parent.kill()
        for end in (read, write, parent.stdout.fileno()):  # at the end of its channel the child ends too
            os.close(end)


def test_a_shard_that_continues_two_starts_where_the_slower_one_was(new: New, place: Place) -> None:
    #  0  [== records to 10 s ==|  shard ends
    #  1  [== records to 99 s ==|             shard ends
    #  2                                                 [== from 10 s on
    for shard, n in ((SHARD, 10), ("shardId-000000000001", 99)):
        kcl = new()
        assert kcl.initialize(shard) and kcl.records(payments(0, n)) and kcl.say("shardEnded")
    place.kinesis.merge_shards(StreamName=place.stream, ShardToMerge=SHARD, AdjacentShardToMerge="shardId-000000000001")
    kcl = new()
    assert kcl.initialize("shardId-000000000002"), kcl.logged()
    cursors = {c["_id"]["shard"][-1]: c for c in place.database["_cursors"].find()}
    assert cursors["2"]["watermark"] == cursors["0"]["watermark"] < cursors["1"]["watermark"]
    assert [cursors[n]["epoch"] for n in "012"] == [2, 2, 1]


def test_a_database_that_goes_away_is_waited_for(ministack: int, tmp_path: Path) -> None:
    #  records   0....50              50....100
    #  mongod    [===== stopped   [=======
    #  child     reading  waiting ..... reading
    port = free_port()
    process = start_mongod(tmp_path / "db", port)
    uri, run = initiate(port) + "&serverSelectionTimeoutMS=500", tmp_path / "run"
    with contextmanager(make_place)(ministack, uri, tmp_path) as place:
        kcl = Kcl({**place.env, "EDDY_RUN": str(run)}, tmp_path / "log")
        assert kcl.initialize(SHARD) and kcl.records(payments(0, 50))
        stop(process)
        with ThreadPoolExecutor() as pool:
            done = pool.submit(kcl.records, payments(50, 50))
            eventually(lambda: last(run).state == "waiting", 20)
            process = start_mongod(tmp_path / "db", port)
            assert done.result(60)
        assert until(place.counted) == 100 and last(run).state == "reading"  # our own client waits for a primary too
        kcl.close()
    stop(process)


@pytest.fixture
def bare(ministack: int, mongod: str, tmp_path: Path) -> Iterator[Place]:
    """A stream of bare documents whose shards are quiet after a millisecond."""
    yield from make_place(ministack, mongod, tmp_path, 'format = "document"\nidle = "1ms"\nsettle = "0s"')


def test_a_quiet_stream_of_bare_documents_follows_the_clock(bare: Place, tmp_path: Path) -> None:
    kcl = Kcl(bare.env, tmp_path / "log")

    def window() -> Doc:
        return bare.database.spend.find_one() or {}

    assert kcl.initialize(SHARD), kcl.logged()
    card = next(name for name in map(str, range(100)) if kinesis_hash(name) < 1 << 127)  # lies on this shard
    assert kcl.records([(1, b'{"_id": 1, "card": "%s", "amount": 2, "at": 1700000000000}' % card.encode(), 0)])
    assert kcl.records([], behind=5) and kcl.records([], behind=5)
    assert window()["final"] is False, "it is behind: there is something to read"
    eventually(lambda: kcl.records([]) and window()["closed_by"] == "idle", 10)
    kcl.close()
