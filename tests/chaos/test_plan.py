"""The plan of faults is drawn from the seed alone, and has every kind in it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.plan import EVERY, KILLS, KINDS, PUTS, RESHARDS, drawn

SEEDS = st.integers(0, 1 << 64)
SECONDS = st.floats(5, 4_000)
SOME = st.lists(st.sampled_from(KINDS), unique=True, min_size=1)


@given(SEEDS, SECONDS, SOME)
def test_the_same_seed_gives_the_same_plan(seed: int, seconds: float, kinds: list[str]) -> None:
    assert drawn(seed, seconds, kinds) == drawn(seed, seconds, kinds)


@given(SEEDS, SECONDS)
def test_another_seed_gives_another_plan(seed: int, seconds: float) -> None:
    assert drawn(seed, seconds) != drawn(seed + 1, seconds)


@given(SEEDS, SECONDS, SOME)
def test_all_faults_lie_in_the_time_given_in_order(seed: int, seconds: float, kinds: list[str]) -> None:
    times = [fault.at for fault in drawn(seed, seconds, kinds)]
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < seconds
    assert max(b - a for a, b in zip([0.0, *times], [*times, seconds], strict=True)) < 2.9 * EVERY


@given(SEEDS, SECONDS, SOME)
def test_every_kind_comes_and_none_much_more_often_than_another(seed: int, seconds: float, kinds: list[str]) -> None:
    counts = Counter(fault.kind for fault in drawn(seed, seconds, kinds))
    assert set(counts) == set(kinds)
    assert max(counts.values()) - min(counts.values()) <= 1


@given(SEEDS, SECONDS)
def test_what_heals_lasts_and_what_does_not_does_not(seed: int, seconds: float) -> None:
    for fault in drawn(seed, seconds):
        assert 0 <= fault.aim < 1
        assert (fault.lasts == 0) == (fault.kind in (*KILLS, *RESHARDS))
        assert fault.lasts > 3 or fault.kind not in ("pause child", "pause worker", "pause producer")
        assert fault.lasts < 5.1 or fault.kind not in PUTS
