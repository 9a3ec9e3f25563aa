"""Equal numbers are one value, and what was there is given back: 1, 1.0 and the decimal 1.00, against the naive twin."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from tests.windows.build import Factory, beat, columns, drive, window_set
from tests.windows.law.test_properties import plain
from windows.columnar import codes
from windows.columnar.codes import Codes, Interner, normal, spelling
from windows.columnar.engine import ColumnarEngine
from windows.columnar.state import unseal
from windows.engine import Columns, StateMismatch, StepResult
from windows.kernels.slots import ALIKE, SPELLED, SPELLINGS
from windows.law.spec import Kind, Rolling, Session, Sliding, Tumbling, WindowSet
from windows.naive.engine import NaiveEngine

WAYS: list[list[Hashable]] = [
    [1, 1.0, Decimal(1), Decimal("1.0"), Decimal("1.00")],
    [10, 10.0, Decimal(10), Decimal("1E+1"), Decimal("10.0")],
    [0, 0.0, -0.0, Decimal(0), Decimal("-0"), Decimal("0.00"), Decimal("0E+3")],
    [0.5, Decimal("0.5"), Decimal("0.500")],
    [Decimal("0.1"), Decimal("0.10")],  # which is not the float
    [0.1],
    [-(1 << 63), -9.223372036854775808e18, Decimal(-(1 << 63))],
    [1e30, Decimal(10**30 + 19884624838656), Decimal("1000000000000000019884624838656.00")],
    [Decimal(1234567890123456789012345678901234)],
    [("d", 5)],
    ["1"],
    [None],
]
ALL = [value for ways in WAYS for value in ways]
VALUES = st.sampled_from(WAYS[:5] + WAYS[-2:]).flatmap(st.sampled_from)
MEASURES = {
    "n": "count()", "f": "first(v)", "l": "last(v)", "d": "distinct(v)", "ff": "first(v) if v == u", "lu": "last(u) if v != '1'",
    "same": "count() if v == u", "r": "share(v != u)", "du": "distinct(u) if v != u",
}  # fmt: skip
ONLY_EQUAL = {"d": "distinct(v)", "same": "count() if v == u", "du": "distinct(u) if v != u"}
KINDS: list[tuple[Kind, dict[str, Any]]] = [
    (Tumbling(8), {"retain": 20}),
    (Sliding(9, 3), {"retain": 30, "lateness": 2}),
    (Rolling(12), {}),
    (Rolling(40, "both", False), {"lateness": 3}),
    (Session(4, 9), {"retain": 15}),
    (Tumbling(10), {"retract": True, "retain": 30}),
    (Session(5), {"retract": True, "retain": 30}),
    (Rolling(15), {"retract": True}),
]


def pack(value: Hashable) -> bytes:
    return str(value).encode()


def unpack(data: bytes) -> Hashable:
    return Decimal(data.decode())


def naive(sets: Sequence[WindowSet]) -> NaiveEngine:
    return NaiveEngine(sets, pack, unpack)


def listed(sets: Sequence[WindowSet]) -> ColumnarEngine:
    return ColumnarEngine(sets, pack, unpack)


class Read(ColumnarEngine):
    """An engine whose columns come as codes into one table that grows, as a reader of bytes has it: an entry for each spelling."""

    def __init__(self, sets: Sequence[WindowSet]) -> None:
        super().__init__(sets, pack, unpack)
        self.table: list[Hashable] = []
        self.places: dict[str, int] = {}

    def step(self, batch: Columns, begin: int = 0, budget: int | None = None) -> StepResult:
        value = {path: Codes(np.array(list(map(self.place, column)), np.int64), self.table) for path, column in batch.value.items()}
        return super().step(structs.replace(batch, value=value), begin, budget)

    def place(self, value: Hashable) -> int:
        """The place of a value's spelling in the table."""
        if value is None:
            return -1
        if repr(value) not in self.places:
            self.places[repr(value)] = len(self.table)
            self.table.append(value)
        return self.places[repr(value)]


def texts(found: Any) -> Any:
    """The same with every value as what it says of itself: 1 is not 1.0 here."""
    return {name: texts(value) for name, value in found.items()} if isinstance(found, dict) else repr(found)


@pytest.fixture(autouse=True, scope="module")
def always_forgetting() -> Iterator[None]:
    """Codes that nothing holds are given to other values before every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "CROWD", -(1 << 40))
        yield


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[WindowSet], list[dict[str, Any]]]:
    """Sets of some kinds, and rows whose values and documents' ids are a few numbers, each in several spellings."""
    chosen = draw(st.lists(st.sampled_from(range(len(KINDS))), min_size=1, max_size=3, unique=True))
    measures = draw(st.sampled_from([MEASURES, MEASURES, ONLY_EQUAL]))
    sets = [window_set(f"w{i}", KINDS[i][0], measures=measures, **KINDS[i][1]) for i in chosen]
    rows: list[dict[str, Any]] = []
    now = 0
    for _ in range(draw(st.integers(1, 40))):
        now += draw(st.sampled_from([0, 0, 1, 1, 2, 5]))
        if draw(st.integers(0, 12)) == 0:
            rows.append(beat(now + 4))
            continue
        at = now - draw(st.sampled_from([0, 0, 0, 1, 4, 9]))
        row = {"at": at, "mark": now, "key": draw(st.sampled_from("aab")), "doc": draw(st.sampled_from(ALL[:10]))}
        row["fields"] = {"v": draw(VALUES), "u": draw(VALUES)}
        rows.append(row | draw(st.sampled_from([{}, {}, {"take": True, "put": True}, {"take": True, "put": False}])))
    return sets, rows


@pytest.mark.parametrize("engine", [listed, Read])
@given(stories(), st.lists(st.integers(0, 40)), st.sampled_from([None, 1, 3]), st.integers(0, 2**32))
def test_spellings_are_those_of_the_events_wherever_keys_have_been_meanwhile(
    engine: Factory, story: tuple[list[WindowSet], list[dict[str, Any]]], cuts: list[int], budget: int | None, seed: int
) -> None:
    sets, rows = story
    expected = texts(plain(drive(naive, sets, rows)))
    assert texts(plain(drive(engine, sets, rows))) == expected
    assert texts(plain(drive(engine, sets, rows, cuts, budget, Random(seed)))) == expected
    assert texts(plain(drive(engine, sets, rows, range(len(rows)), budget, Random(seed)))) == expected


@pytest.mark.parametrize("engine", [listed, Read])
@pytest.mark.parametrize("seed", range(4))
def test_long_histories(engine: Factory, seed: int) -> None:
    #  so many events that histories are trees, counts move along with their windows, and sets of values have blocks
    random = Random(seed)
    kinds: list[Kind] = [Rolling(900), Tumbling(400), Session(3, 500)]
    sets = [window_set(f"w{i}", kind, measures=MEASURES, retain=10**6) for i, kind in enumerate(kinds)]

    def value() -> Hashable:
        return random.choice(random.choice([*WAYS, [random.randrange(40)], [random.randrange(40) / 1.0]]))

    rows = [
        {"at": i - random.choice([0, 0, 0, 7, 90]), "mark": i, "key": random.choice("aab"), "fields": {"v": value(), "u": value()}}
        for i in range(900)
    ]
    expected = texts(plain(drive(naive, sets, rows)))
    assert texts(plain(drive(engine, sets, rows, range(0, 900, 97), None, Random(seed)))) == expected


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_where_only_equality_counts_equal_states_give_equal_bytes(kind: Kind, options: Mapping[str, Any]) -> None:
    sets = [window_set("w", kind, measures=ONLY_EQUAL, **options)]
    dumps = set()
    for turn in range(3):
        engine = listed(sets)
        engine.step(columns(sets, [{"at": 1, "key": "first", "fields": {"v": ways[-turn % len(ways)]}} for ways in WAYS]))
        rows = [
            {"at": 1, "doc": ways[(turn + n) % len(ways)], "fields": {"v": ways[(turn + n) % len(ways)], "u": ways[0]}}
            for n, ways in enumerate(WAYS)
        ]
        engine.step(columns(sets, rows))
        dumps.add(engine.dump([("k", "a")])[("k", "a")])
    assert len(dumps) == 1


def test_a_dump_that_names_values_in_the_spellings_of_another_process_is_read() -> None:
    #  as engines wrote them that kept one spelling for all that are equal, whichever they had met first
    sets = [window_set("w", Tumbling(10), measures=MEASURES), window_set("r", Rolling(10), measures=MEASURES)]
    engine, anew = listed(sets), listed(sets)
    engine.step(columns(sets, [{"at": t, "fields": {"v": v, "u": v}} for t, v in enumerate([1, 2.5, "x", Decimal("0.10")])]))
    before = engine.dump([("k", "a")])[("k", "a")]
    saved = unseal(before)
    other = {1: 1.0, 2.5: [2, b"2.50"]}
    values = [other.get(v, v) if type(v) in (int, float) else v for v in saved.values]
    body = msgspec.msgpack.encode(structs.replace(saved, values=values))
    anew.watermark = engine.watermark
    anew.load({("k", "a"): before[:1] + zlib.crc32(body).to_bytes(4, "big") + body})
    more = [{"at": 5, "fields": {"v": w, "u": w}} for w in (Decimal("1.0"), 2.5, Decimal("2.5"), "x", Decimal("0.1"))]
    [window] = anew.step(columns(sets, more)).windows
    assert [list(window.measures[name]) for name in ("d", "same", "du")] == [[4], [9], [0]]
    assert repr(window.measures["f"][0]) == "1.0"


def test_more_spellings_than_a_code_tells_apart_are_an_error_and_never_another_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes, "SPELLINGS", 4)
    sets = [window_set("w", Rolling(100), measures=MEASURES)]
    ones = [Decimal("1." + "0" * n) for n in range(1, 6)]
    for engine in (listed(sets), Read(sets)):
        engine.step(columns(sets, [{"at": n, "fields": {"v": v}} for n, v in enumerate(ones[:4])]))
        state = engine.dump([("k", "a")])
        for column in ([ones[4]], ["new", ones[4], "x"]):
            with pytest.raises(OverflowError, match="spellings"):
                engine.step(columns(sets, [{"at": 9, "fields": {"v": v}} for v in column]))
        assert engine.dump([("k", "a")]) == state
        [block] = engine.step(columns(sets, [{"at": 9, "fields": {"v": v}} for v in (ones[0], "new", ones[3])])).features
        assert [repr(v) for v in block.measures["l"]] == [repr(ones[0]), "'new'", repr(ones[3])]
        full = engine.dump([("k", "a")])
        crowded = listed(sets)
        crowded.step(columns(sets, [{"at": 0, "key": "b", "fields": {"v": v}} for v in (1, 1.0, Decimal(1), ones[4])]))
        with pytest.raises(StateMismatch, match="spellings"):
            crowded.load(full)


def test_all_zeros_that_mongodb_holds_are_far_fewer() -> None:
    interner, zeros = Interner(), [0, 0.0, -0.0, *(Decimal((sign, (0,), e)) for sign in (0, 1) for e in range(-6176, 6112))]
    spelled = interner.all_spelled(zeros)
    assert len(set(spelled)) == len(zeros) < SPELLINGS / 40
    assert {code & ALIKE for code in spelled} == {interner[0]}
    assert list(map(repr, map(interner.value, spelled))) == list(map(repr, zeros))
    assert all(int(float(code)) == code for code in spelled)


def test_spellings_go_with_their_value() -> None:
    interner = Interner()
    spelled = interner.all_spelled(ALL)
    used = np.zeros(len(interner.values_by_code), np.bool_)
    used[interner[0]] = True
    interner.keep(used)
    assert {code & ALIKE for code in interner.others} == {interner[0]}
    assert all(code not in interner.others for v, code in zip(ALL, spelled, strict=True) if code >= SPELLED and v != 0)
    again = interner.all_spelled(ALL[::-1])
    assert [repr(interner.value(code)) for code in again] == [repr(v) for v in ALL[::-1]]


def test_a_value_has_one_normal_form_and_each_spelling_its_own_name() -> None:
    for ways in WAYS:
        assert len({repr(normal(way)) for way in ways}) == 1
        assert all(normal(way) == way for way in ways)
        assert len({spelling(way) for way in ways}) == len(ways) == len(set(map(repr, ways)))
        assert len({repr(normal(("a", (way,)))) for way in ways}) == 1
        assert len({spelling(("a", (way,))) for way in ways}) == len(ways)
    for odd in (float("inf"), float("nan"), Decimal("NaN"), 1 << 2_000, 10**30 + 1, b"x"):
        assert normal(odd) is odd
    assert repr(normal(True)) == "1"
    assert spelling(object()) == spelling(object())
