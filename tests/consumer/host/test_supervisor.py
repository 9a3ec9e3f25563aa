"""The supervisor over real processes: shell scripts in KCL's place, which end, hang and leave word as KCL and its children do."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from consumer.host import jvm, reports
from consumer.host.reports import Status, stuck, verdict
from tests.conftest import free_port
from tests.consumer.conftest import eventually
from tests.consumer.kcl.daemon import ROOT
from tests.exposition import parse

MAIN = """
import json
import sys
from pathlib import Path
from consumer.host import jvm
from consumer.host.board import Board
from edge import logs
from edge.http import Serving
from consumer.host.supervisor import Asked, Patience, Supervisor
logs.configure()
run, script = Path(sys.argv[1]), sys.argv[2]
usual = dict(grace=2, stuck=60, short_grace=0.2, good=60, calm=60, first=0.05, most=0.1, look=0.05, alarm=60)
patience = Patience(**usual | json.loads(sys.argv[3]))
board = Board("shop", patience.alarm)
if int(sys.argv[4]):
    Serving("port", "127.0.0.1", int(sys.argv[4]), board.pages())
start = lambda name: jvm.start(["sh", "-c", "W=shards/$EDDY_START; mkdir -p $W; " + script], run, {"PATH": "/usr/bin:/bin"}, name)
sys.exit(Supervisor(start, run, Asked(), patience, board=board).run())
"""


class Running:
    """A supervisor of a script. The script may append to `said`."""

    def __init__(self, run: Path, script: str, port: int = 0, **patience: float) -> None:
        self.run, self.log = run, run / "log"
        with self.log.open("ab") as log:
            command = [sys.executable, "-c", MAIN, str(run), script, json.dumps(patience), str(port)]
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)

    def said(self) -> list[str]:
        return (self.run / "said").read_text().split() if (self.run / "said").exists() else []

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_for(self, word: str, times: int = 1) -> None:
        eventually(lambda: self.said().count(word) >= times)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(90)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a run"
    folder.mkdir()
    yield folder
    for pid in jvm.leftovers(folder):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("code", [0, 1])
def test_it_is_started_again_whatever_it_ended_with(run: Path, code: int) -> None:
    one = Running(run, f"echo start >> said; exit {code}")
    one.wait_for("start", times=6)
    assert one.stop() == 0
    again = [e for e in one.events() if "starting it again" in e["event"]]
    assert {e["status"] for e in again} == {code}
    assert [e["in_s"] for e in again[:3]] == [0.05, 0.1, 0.1], "the pause grows to its limit"
    assert [e["level"] for e in again[:5]] == ["warning"] * 4 + ["error"], "a loop is told louder"


def test_one_that_lived_for_a_while_is_not_waited_for_but_counted(run: Path) -> None:
    one = Running(run, "echo start >> said; sleep 0.6; exit 1", calm=0.5)
    one.wait_for("start", times=7)
    assert one.stop() in (0, 1)
    again = [e for e in one.events() if "starting it again" in e["event"]]
    assert {e["in_s"] for e in again} == {0.05}
    assert [e["level"] for e in again[:5]] == ["warning"] * 4 + ["error"]


def test_sigterm_goes_to_kcl_alone_and_its_children_are_left_to_it(run: Path) -> None:
    script = "(trap 'echo child >> said' TERM; echo up >> said; while :; do sleep 0.05; done) & "
    script += "trap 'echo jvm >> said; kill -9 $!; exit 143' TERM; while :; do sleep 0.05; done"
    one = Running(run, script)
    one.wait_for("up")
    assert one.stop() == 0
    assert one.said() == ["up", "jvm"]


def test_one_that_does_not_end_is_killed_with_its_children(run: Path) -> None:
    one = Running(run, "trap '' TERM; sleep 1000 & echo up >> said; while :; do sleep 0.05; done")
    one.wait_for("up")
    begun = time.monotonic()
    assert one.stop() == 1
    assert 2 <= time.monotonic() - begun < 10
    assert jvm.leftovers(run) == []


def test_asked_twice_it_does_not_wait(run: Path) -> None:
    one = Running(run, "trap 'echo asked >> said' TERM; echo up >> said; while :; do sleep 0.05; done")
    one.wait_for("up")
    one.process.send_signal(signal.SIGINT)
    one.wait_for("asked")
    begun = time.monotonic()
    assert one.stop() == 1 and time.monotonic() - begun < 1.5


def test_a_supervisor_that_is_killed_takes_kcl_with_it_and_the_next_clears_up(run: Path) -> None:
    #  first supervisor   [== kill -9        its KCL is asked to end, a child of that stays
    #  second supervisor           [== kills the child, starts KCL
    one = Running(run, "trap 'echo asked >> said; exit' TERM; setsid sleep 1000 & echo up >> said; while :; do sleep 0.05; done")
    one.wait_for("up")
    one.process.kill()
    one.process.wait()
    one.wait_for("asked")
    [orphan] = eventually(lambda: jvm.leftovers(run))
    two = Running(run, "echo second >> said; sleep 1000")
    two.wait_for("second")
    assert orphan not in jvm.leftovers(run)
    assert two.stop() == 0


@pytest.mark.parametrize("code", [76, 78])
def test_what_no_restart_can_mend_ends_it_with_the_childs_status_and_words(run: Path, code: int) -> None:
    word = Status("shardId-7", "failed", 1, 1, status=code, what="the reason")
    line = json.dumps({name: getattr(word, name) for name in word.__struct_fields__})
    one = Running(run, f"echo start >> said; echo '{line}' > $W/shardId-7.json; exit 1")
    assert one.process.wait(90) == code
    assert one.said() == ["start"]
    assert one.events()[-1]["why"] == "the reason"


def test_a_child_that_failed_otherwise_is_started_again_and_its_words_are_told(run: Path) -> None:
    reports.write(reports.place(run, "earlier"), Status("shardId-7", "failed", 1, 1, status=78, what="of an earlier run"))
    line = '{"shard":"shardId-1","state":"failed","at":1,"moved":1,"status":70,"what":"boom"}'
    one = Running(run, f"echo start >> said; echo '{line}' > $W/shardId-1.json; exit 1")
    one.wait_for("start", times=2)
    assert one.stop() == 0
    assert next(e for e in one.events() if "starting it again" in e["event"])["why"] == ["shardId-1: boom"]


def test_what_a_leftover_says_is_not_taken_for_the_word_of_its_successor(run: Path) -> None:
    #  first KCL    [== ends    its child lives on .... says, of its own end: failed, 78
    #  second KCL       [==================================== ends: for a reason of its own, and is started again
    word = '{"shard":"shardId-1","state":"failed","at":1,"moved":1,"status":78,"what":"an earlier one"}'
    until = "until {}; do sleep 0.02; done".format
    (run / "leftover.sh").write_text(
        f"""echo lives >> said; {until("[ $(grep -c start said) -ge 2 ]")}; echo speaks >> said
        while [ -e leftover.sh ]; do mkdir -p $1; echo '{word}' > $1/shardId-1.json; sleep 0.02; done"""
    )
    nameless = "env -i PATH=/usr/bin:/bin setsid sh leftover.sh $W"  # so that the next one's sweep does not find it
    first, second = f"{nameless} & {until('grep -q lives said')}", f"{until('grep -q speaks said')}; sleep 0.2"
    one = Running(run, f"echo start >> said; if [ -e left ]; then {second}; else touch left; {first}; fi; exit 1")
    try:
        one.wait_for("start", times=4)
        assert one.stop() == 0
        again = [e for e in one.events() if "starting it again" in e["event"]]
        assert {why for e in again for why in e["why"]} == set()
    finally:
        (run / "leftover.sh").unlink()


def test_a_shard_that_does_not_move_costs_a_restart(run: Path) -> None:
    line = f'{{"shard":"shardId-1","state":"reading","at":1,"moved":1,"behind":5,"pid":{os.getpid()}}}'
    one = Running(
        run,
        f"echo start >> said; echo '{line}' > $W/shardId-1.json; trap '' TERM; while :; do sleep 0.05; done",
        stuck=0.1,
    )
    one.wait_for("start", times=2)
    assert one.stop() == 1
    assert any("does not move" in e["event"] and e["shard"] == "shardId-1" for e in one.events())


def test_a_shard_that_stands_is_told_of_before_that_and_shown_over_http_until_it_moves(run: Path) -> None:
    #  the child says   opening   behind, does not move      moves
    #  /readyz          503       200 .... 503                200
    #  the log                            error               info
    port, pid = free_port(), os.getpid()
    speaking = f'printf \'{{"shard":"s","state":"%s","at":%s000,"moved":%s,"behind":9,"pid":{pid}}}\' "$STATE" $(date +%s) $MOVED'
    script = (
        f"STATE=opening; MOVED=$(date +%s)000; while :; do [ -e reading ] && STATE=reading; [ -e moved ] && MOVED=$((MOVED+1)); "
        f"{speaking} > $W/s.new; mv $W/s.new $W/s.json; sleep 0.05; done"
    )
    one = Running(run, script, stuck=600, alarm=1.5, port=port)
    eventually(lambda: ask(port, "/readyz") == (503, "s: is being opened\n"))
    assert ask(port, "/healthz") == (200, "alive\n")
    (run / "reading").touch()
    eventually(lambda: "has not moved for" in ask(port, "/readyz")[1])
    status, why = ask(port, "/readyz")
    assert status == 503 and why.startswith("s: is behind (reading)")
    found = parse(ask(port, "/metrics")[1])
    assert found["eddy_shard_stalled_seconds"].value(stream="shop", shard="s") >= 1.5
    assert found["eddy_kcl_starts_total"].value(stream="shop") == 1
    with ExitStack() as stack:  # who asks and does not read, or asks nothing, keeps it from nothing
        for _ in range(40):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with suppress(OSError):
                client.sendall(b"GET /metrics HTTP/1.0\r\n")
        (run / "moved").touch()
        eventually(lambda: any("moves again" in e["event"] for e in one.events()))
    eventually(lambda: ask(port, "/readyz") == (200, "ready\n"))
    alarms = [e for e in one.events() if e["event"] == "a shard is behind and does not move"]
    assert [(e["level"], e["shard"]) for e in alarms] == [("error", "s")], "once"
    one.stop()
    assert ask(port, "/healthz") == (0, "")


def ask(port: int, path: str) -> tuple[int, str]:
    """(0, "") where nobody answers."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with closing(client), suppress(OSError, http.client.HTTPException):
        client.request("GET", path)
        reply = client.getresponse()
        return reply.status, reply.read().decode()
    return 0, ""


def test_a_killed_child_costs_a_restart_at_once(run: Path) -> None:
    #  KCL waits out all of its grace when a child is gone, and does nothing in that time
    line = '{"shard":"shardId-1","state":"reading","at":9999999999999,"moved":9999999999999,"pid":\'$!\'}'
    one = Running(run, f"echo start >> said; sleep 0.2 & echo '{line}' > $W/shardId-1.json; trap '' TERM; sleep 1000")
    one.wait_for("start", times=2)
    one.stop()
    assert any("a child has ended" in e["event"] and e["shard"] == "shardId-1" for e in one.events())


def test_the_others_are_waited_for_when_a_child_is_gone_and_kcl_is_not(run: Path) -> None:
    #  child 1   [=== killed
    #  child 2   [========== SIGTERM, by KCL: ends in order
    #  KCL       [========== SIGTERM ... waits for child 1, and is not waited for
    word = '{"shard":"shardId-%s","state":"%s","at":9999999999999,"moved":9999999999999,"pid":%s}'
    reading = f"echo '{word % (2, 'reading', '$!')}'".replace("$!", "'$!'")
    other = f"trap 'sleep 0.3; echo saved >> said; echo {json.dumps(word % (2, 'ended', 1))} > $W/shardId-2.json; exit' TERM"
    script = f"""echo start >> said
    ({other}; while :; do sleep 0.05; done) & second=$!; {reading} > $W/shardId-2.json
    sleep 0.2 & echo '{word % (1, "reading", "'$!'")}' > $W/shardId-1.json
    trap 'kill -TERM $second' TERM; while :; do sleep 0.05; done"""
    one = Running(run, script, short_grace=600, grace=0.2)
    one.wait_for("start", times=3)
    one.stop()
    assert one.said()[:4] == ["start", "saved", "start", "saved"]


def at(state: reports.State, at: int, moved: int, behind: int | None = None, code: int = 0) -> Status:
    return Status("s", state, at, moved, "1", 0, behind, code, pid=2**30)


@pytest.mark.parametrize(
    ("one", "found"),
    [
        (at("reading", 990, 100, behind=0), False),  # nothing to read
        (at("reading", 990, 800, behind=9), False),  # behind, and moving
        (at("reading", 990, 100, behind=9), True),  # behind, and not moving
        (at("reading", 100, 100, behind=0), True),  # nobody speaks to it
        (at("waiting", 990, 100, behind=9), False),  # for a database that is away
        (at("waiting", 100, 100, behind=9), True),  # waits, and does not wake up
        (at("opening", 100, 100), True),
        (at("stopped", 100, 100), False),  # dies by itself
        (at("ended", 100, 100), False),
    ],
)
def test_what_is_stuck(one: Status, found: bool) -> None:
    assert (stuck([at("ended", 0, 0), one], now=1000, patience=500) is not None) is found


def test_who_is_gone() -> None:
    here = Status("s", "reading", 1, 1, pid=os.getpid())
    assert reports.gone([here, at("ended", 1, 1)]) is None
    for one in (at("failed", 1, 1), at("reading", 1, 1), at("opening", 1, 1)):
        assert reports.gone([here, one]) is one


def test_who_is_at_work() -> None:
    here = Status("s", "reading", 1, 1, pid=os.getpid())
    assert reports.at_work([here, at("ended", 1, 1)])
    assert reports.at_work([Status("s", "opening", 1, 1, pid=os.getpid())])
    assert not reports.at_work([at("reading", 1, 1), Status("s", "ended", 1, 1, pid=os.getpid())])
    assert not reports.at_work([Status("s", "failed", 1, 1, pid=os.getpid())])


def test_a_verdict_is_a_failure_of_a_final_kind() -> None:
    assert verdict([at("failed", 1, 1, code=70), at("ended", 1, 1, code=78)], (76, 78)) is None
    final = at("failed", 1, 1, code=78)
    assert verdict([at("failed", 1, 1, code=75), final], (76, 78)) is final
