"""When a shard stands, by what its child says and a clock that is turned by hand; and what is shown of it over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import structlog
from msgspec.structs import replace

from consumer.figures import Figures, Histogram, Hops
from consumer.host.board import Board, Seen
from consumer.host.reports import Progress, State, Status
from consumer.host.stalls import Stalls
from edge.http import Answer
from tests.exposition import parse

Word = tuple[State, int | None]  # state, behind
BEHIND: Word = ("reading", 9)
WAITS: Word = ("waiting", 0)
OPENS: Word = ("opening", None)
FINE: Word = ("reading", 0)


class Watching:
    """Looks at one shard every few seconds, whose child speaks each time."""

    def __init__(self) -> None:
        self.stalls, self.now, self.standing = Stalls(60.0), 1_000.0, 0.0

    def look(self, seconds: float, state: State, behind: int | None, moved: int, pid: int = 1, speaks: bool = True) -> list[str]:
        """Time goes on; the events that are told at the end of it."""
        begun = self.now
        with structlog.testing.capture_logs() as logs:
            while self.now < begun + seconds:
                self.now += 1
                at = int(self.now) if speaks else int(begun)
                standing = self.stalls.look([Status("s", state, at, moved, "7", 0, behind, pid=pid)], self.now)
                self.standing = standing.get("s", 0.0)
        return [f"{e['log_level']} {e['event']}" for e in logs]


ALARM, OVER = "error a shard is behind and does not move", "info the shard moves again"


@pytest.mark.parametrize("how", [BEHIND, WAITS, OPENS])
def test_a_shard_that_stands_is_told_of_once_and_once_more_when_it_moves(how: Word) -> None:
    #  moves   stands ......60 s.........120 s   moves
    #                        error               info
    one = Watching()
    assert one.look(5, *FINE, 1) == []
    assert one.look(60, *how, 1) == []
    assert one.look(60, *how, 1) == [ALARM]
    assert 119 <= one.standing <= 121
    assert one.look(3, *BEHIND, 2) == [OVER]
    assert one.look(55, *BEHIND, 2) == []
    assert one.look(9, *BEHIND, 2) == [ALARM], "the next time it is told again"


def test_one_that_is_behind_and_moves_is_well_and_so_is_one_with_nothing_to_read() -> None:
    one = Watching()
    for moved in range(20):
        assert one.look(30, *BEHIND, moved) == []
    assert one.look(900, *FINE, 20) == [] and one.standing == 0.0
    assert one.look(30, *BEHIND, 20) == [], "counted from when it was behind, not from when it moved last"
    assert 28 <= one.standing <= 30


def test_one_that_nobody_speaks_of_stands() -> None:
    one = Watching()
    assert one.look(5, *FINE, 1) == []
    assert one.look(9, *FINE, 1, speaks=False) == [] and one.standing == 0.0
    assert one.look(65, *FINE, 1, speaks=False) == [ALARM]


def test_a_new_child_is_no_move_until_it_moves() -> None:
    one = Watching()
    assert one.look(70, *BEHIND, 1) == [ALARM]
    with structlog.testing.capture_logs() as logs:
        one.stalls.look([], one.now)  # KCL was started again
    assert logs == []
    assert one.look(70, *OPENS, 5, pid=2) == [], "told of already"
    assert one.look(2, *BEHIND, 6, pid=2) == [OVER]


def test_of_a_shard_that_went_to_another_nothing_more_is_told() -> None:
    one = Watching()
    assert one.look(70, *BEHIND, 1) == [ALARM]
    assert one.look(5, "ended", None, 1) == [] and one.standing == 0.0
    assert one.look(70, *BEHIND, 3, pid=2) == [ALARM], "it is ours again, and stands"


PROGRESS = Progress(3, 1_700_000_000_500, {"counted": 5, "late": 1}, {"json": 2}, 1_700_000_000_000, 4)
HOPS = Hops("change", 1_700_000_000_000, 1_500, 20, 3, None)
FIGURES = Figures(hops=HOPS, keys=7, bytes=7_000, commits=Histogram().add(0.02).add(7.0), freshness=Histogram().add(1.5))
WHOLE = Status("shard-1", "reading", 5_000, 4_000, "7", 0, 250, pid=1, progress=PROGRESS, figures=FIGURES)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def shown(*statuses: Status, running: bool = True, **standing: float) -> Board:
    board = Board("shop", 60.0, Clock())
    held = {s.shard: 0.0 for s in statuses if s.state in ("opening", "reading", "waiting")}
    board.show(Seen("KCL is away", running, statuses, {**held, **{name.replace("_", "-"): s for name, s in standing.items()}}))
    return board


def test_metrics() -> None:
    board = shown(
        WHOLE, Status("shard-2", "opening", 1_000, 1_000), Status("shard-3", "ended", 1, 1, progress=PROGRESS), shard_1=2.5
    )
    board.started()
    answer = board.metrics()
    assert (answer.status, answer.type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = parse(answer.text)
    of = {"stream": "shop", "shard": "shard-1"}
    assert found["eddy_kcl_running"].value(stream="shop") == found["eddy_kcl_starts_total"].value(stream="shop") == 1
    assert found["eddy_records_total"].value(**of, **{"class": "counted"}) == 5
    assert found["eddy_dead_letters_total"].value(**of, reason="json") == 2
    assert found["eddy_watermark_timestamp_seconds"].value(**of) == 1_700_000_000.5
    assert found["eddy_shard_behind_seconds"].value(**of) == 0.25
    assert found["eddy_shard_stalled_seconds"].value(**of) == 2.5
    assert found["eddy_hop_seconds"].value(**of, hop="arrived") == 1.5
    assert len(found["eddy_hop_seconds"].samples) == 3, "of a hop that is not known nothing is said"
    assert found["eddy_commit_seconds"].samples["eddy_commit_seconds_count", frozenset(of.items())] == 2
    assert found["eddy_commit_seconds"].samples["eddy_commit_seconds_bucket", frozenset({**of, "le": "5"}.items())] == 1
    assert found["eddy_freshness_seconds"].samples["eddy_freshness_seconds_sum", frozenset(of.items())] == 1.5
    assert (found["eddy_keys"].value(**of), found["eddy_state_bytes"].value(**of)) == (7, 7_000)
    assert [found["eddy_shard_reading"].value(stream="shop", shard=f"shard-{n}") for n in (1, 2)] == [1, 0]
    labels = {name for one in found.values() for _, own in one.samples for name, _ in own}
    assert labels == {"stream", "shard", "class", "reason", "hop", "le"}
    shards = {dict(own).get("shard") for one in found.values() for _, own in one.samples}
    assert shards == {None, "shard-1", "shard-2"}, "another tells of one that has ended here"


@pytest.mark.parametrize(
    ("board", "why"),
    [
        (Board("shop", 60.0, Clock()), "the consumer is starting"),
        (shown(running=False), "KCL is away"),
        (shown(), "no shard is held here"),
        (shown(Status("a", "ended", 1, 1)), "no shard is held here"),
        (shown(WHOLE, Status("a", "opening", 1, 1)), "a: is being opened"),
        (shown(WHOLE, Status("a", "failed", 1, 1)), "a: is failed"),
        (shown(WHOLE, Status("a", "stopped", 1, 1)), "a: is stopped"),
        (shown(WHOLE, replace(WHOLE, shard="a"), a=60.0), "a: is behind (reading) and has not moved for 60 s"),
        (shown(WHOLE, Status("a", "waiting", 1, 1), a=61.0), "a: is behind (waiting) and has not moved for 61 s"),
    ],
)
def test_what_is_not_ready(board: Board, why: str) -> None:
    assert board.ready() == Answer(503, f"{why}\n")
    assert board.alive().status == 200


@pytest.mark.parametrize("statuses", [[WHOLE], [WHOLE, Status("a", "ended", 1, 1)], [replace(WHOLE, state="waiting")]])
def test_what_is_ready(statuses: Sequence[Status]) -> None:
    assert shown(*statuses, shard_1=59.0).ready() == Answer(200, "ready\n")


def test_a_supervisor_that_does_not_look_any_more_is_not_alive() -> None:
    clock = Clock()
    board = Board("shop", 60.0, clock)
    clock.now += 301
    assert board.alive().status == 503
    board.show(Seen())
    assert board.alive() == Answer(200, "alive\n")
