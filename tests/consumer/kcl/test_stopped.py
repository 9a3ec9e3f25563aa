"""A shard that sees another owner: whether it waits for its end, or claims the shard again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from consumer.host.reports import State
from consumer.kcl.lifecycle import LEASE_LOST_WITHIN, RECLAIMED_AFTER, Shard
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Cursor
from consumer.store.memory import MemoryStore
from contract.errors import Fenced
from tests.consumer.stream import SHARD, SPEC, S, change, raws, result, whole

PAYMENTS = [change(n, "pay", "card", "a", n * S, amount=2, shop="x") for n in range(1, 10)]


class Ended(Exception):
    """The process has given up."""


@dataclass
class Around:
    """A process, and its clock."""

    store: MemoryStore
    at: int = 0
    said: list[State] = field(default_factory=list)
    runner: Runner | None = None

    def claim(self, shard: str) -> Runner:
        self.runner = Runner(SPEC, self.store, SHARD, limits=Limits(interval=0.0), overlap=True)
        return self.runner

    def let_go(self) -> None:
        if self.runner is not None:
            self.runner.close()

    def now(self) -> int:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += int(seconds * 1_000)

    def report(self, shard: str, state: State, cursor: Cursor | None, behind: int | None) -> None:
        self.said.append(state)

    def give_up(self, shard: str, error: BaseException) -> NoReturn:
        raise Ended from error


class Checkpoints:
    """KCL's side of checkpoints. lost: the lease is another's."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def checkpoint(self, sequence: str, sub: int) -> None:
        self.made.append(sequence)


@pytest.fixture
def around() -> Around:
    return Around(MemoryStore(SPEC))


@pytest.fixture
def shard(around: Around) -> Shard:
    one = Shard(around)
    one.initialize(SimpleNamespace(shard_id="shard-0", sequence_number="TRIM_HORIZON", sub_sequence_number=0))
    return one


def feed(shard: Shard, lines: Sequence[bytes], first: int, checkpoints: Checkpoints) -> None:
    records = [
        SimpleNamespace(
            binary_data=raw.data, partition_key="p", sequence_number=str(raw.sequence), sub_sequence_number=0, timestamp_millis=None
        )
        for raw in raws(lines)[first:]
    ]
    shard.process_records(SimpleNamespace(records=records, millis_behind_latest=0, checkpointer=checkpoints))


def test_a_claim_that_came_late_is_taken_back_and_what_was_fed_meanwhile_goes_in(around: Around, shard: Shard) -> None:
    #  owner   1 2 3      | 4 5  6 7         8 9
    #  zombie         claims            .        commits -> Fenced
    #  clock              stopped  ...  12 s: claims again
    kcl = Checkpoints()
    feed(shard, PAYMENTS[:3], 0, kcl)
    zombie = Runner(SPEC, around.store, SHARD)
    feed(shard, PAYMENTS[:5], 3, kcl)
    assert around.said[-1] == "stopped" and kcl.made == ["30"]
    around.at += RECLAIMED_AFTER - 1
    feed(shard, PAYMENTS[:7], 5, kcl)
    assert zombie.cursor.sequence == 30 and len(kcl.made) == 1, "it may still be that we have lost it"
    around.at += 2
    feed(shard, PAYMENTS[:9], 7, kcl)
    assert around.said[-1] == "reading" and around.runner is not None
    assert result(around.store, around.runner.finish()) == whole(PAYMENTS)
    with pytest.raises(Fenced):
        zombie.feed(raws(PAYMENTS))


def test_an_empty_line_is_enough_to_see_that_we_are_still_fed(around: Around, shard: Shard) -> None:
    kcl = Checkpoints()
    Runner(SPEC, around.store, SHARD)
    feed(shard, PAYMENTS, 0, kcl)
    around.at += RECLAIMED_AFTER + 1
    for _ in range(2):
        feed(shard, PAYMENTS, len(PAYMENTS), kcl)
    assert kcl.made == ["90"] and around.runner is not None
    assert result(around.store, around.runner.finish()) == whole(PAYMENTS)


def test_an_owner_that_was_fed_is_not_disturbed(around: Around, shard: Shard) -> None:
    kcl = Checkpoints()
    feed(shard, PAYMENTS[:3], 0, kcl)
    owner = Runner(SPEC, around.store, SHARD)
    feed(shard, PAYMENTS[:5], 3, kcl)
    owner.feed(raws(PAYMENTS))
    shard.lease_lost(SimpleNamespace())
    assert result(around.store, owner.finish()) == whole(PAYMENTS)


def test_a_lease_that_kcl_calls_anothers_is_never_claimed_again(around: Around, shard: Shard) -> None:
    from amazon_kclpy.checkpoint_error import CheckpointError

    kcl: Any = SimpleNamespace(checkpoint=_lost(CheckpointError("ShutdownException")))
    feed(shard, PAYMENTS[:3], 0, kcl)
    assert around.said[-1] == "stopped"
    around.at += RECLAIMED_AFTER + 1
    feed(shard, PAYMENTS[:5], 3, kcl)
    assert around.runner is not None and around.runner.cursor.sequence == 30
    around.at += LEASE_LOST_WITHIN
    with pytest.raises(Ended):
        feed(shard, PAYMENTS[:6], 5, kcl)


def _lost(error: Exception) -> Any:
    def checkpoint(sequence: str, sub: int) -> None:
        raise error

    return checkpoint
