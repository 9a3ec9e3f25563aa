"""What an engine takes from a batch before its kernels run, against the same said plainly."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reading.spellings import Picked
from windows.columnar.codes import IDLE, OTHER, Beside, Codes, Interner, Told
from windows.columnar.inputs import Inputs
from windows.engine import CHANGE, NEVER, Columns
from windows.kernels.slots import ALIKE
from windows.plan.plan import Plan

TABLE = [("card", f"c{i}") for i in range(9)]


def inputs() -> Inputs:
    codes = Interner()
    return Inputs([], Plan([], codes.__getitem__), codes)


def batch(rows: list[tuple[int, int, int, int, bool, int]], keys: Any) -> Columns:
    """Rows of (kind, stream, key, at, put, mark)."""
    kind, stream, key, at, put, mark = zip(*rows, strict=True) if rows else ((), (), (), (), (), ())
    zero = np.zeros(len(rows), np.int64)
    return Columns(
        n=len(rows), kind=np.array(kind, np.int8), cause=zero.astype(np.int8), mark=np.array(mark, np.int64),
        stream=np.array(stream, np.int16), key=np.array(key, np.int32), keys=keys, at=np.array(at, np.int64), old_at=zero,
        put=np.array(put, np.bool_), take=zero.astype(np.bool_), doc=None, number={}, flag={}, value={},
    )  # fmt: skip


ROWS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-1, 1),
        st.integers(-1, 8),
        st.integers(-(1 << 50), 1 << 50),
        st.booleans(),
        st.sampled_from([NEVER, -5, 0, 7, 1 << 50, 1 << 62]),
    ),
    max_size=20,
)


@given(st.lists(ROWS, max_size=4), st.sampled_from([list, Codes, Picked]), st.data())
def test_slots_are_those_of_the_keys(batches: list[Any], form: Any, data: Any) -> None:
    given, known = inputs(), dict[Any, int]()

    def slot_of(key: Any) -> int:
        return known.setdefault(key, len(known))

    for rows in batches:
        order = data.draw(st.permutations(range(9)))
        picked = [TABLE[i] for i in order]
        keys = picked if form is list else form(np.array(order, np.int64), TABLE)
        begin = data.draw(st.integers(0, len(rows)))
        slots, keyed = given.slots(batch(rows, keys), begin, slot_of)
        assert keyed == np.count_nonzero(slots >= 0)
        for i, (kind, stream, key, *_) in enumerate(rows):
            read = i >= begin and kind == CHANGE and stream >= 0 and key >= 0
            assert slots[i] == (known[picked[key]] if read else -1)
        if known and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(list(known)))
            given.forget([known.pop(gone)])
            known.update({gone: 100 + len(known)})


def coded(interner: Interner, values: Sequence[Hashable]) -> list[int]:
    codes = np.empty(len(values), np.int64)
    interner.column(values, codes)
    return codes.tolist()


def test_values_get_codes_of_a_table_that_grows() -> None:
    interner, table = Interner(), ["a", None, "b"]
    assert coded(interner, Codes(np.array([2, -1, 0, 1]), table)) == [0, -1, 1, -1]
    table += ["c", "a"]
    a, c, b = coded(interner, Codes(np.array([4, 3, 2]), table))
    assert (a, b) == (1, 0)
    assert coded(interner, Codes(np.array([], np.int64), [])) == []
    assert coded(interner, ["c", None, "d"]) == [c, -1, interner["d"]]
    assert [interner.values_by_code[interner[value]] for value in "abcd"] == list("abcd")
    assert len(interner.values_by_code) == 4  # a code that was offered to a value which had one goes to the next


def test_a_table_with_a_value_that_cannot_be_hashed_changes_nothing() -> None:
    interner, table = Interner(), ["a", "b", ["c"], "d"]
    with pytest.raises(TypeError):
        coded(interner, Codes(np.arange(4), table))  # type: ignore[arg-type]
    assert interner == {None: -1}
    assert coded(interner, Codes(np.array([3, 1, 0]), table)) == [0, 1, 2]  # type: ignore[arg-type]
    assert interner.values_by_code == ["d", "b", "a"]


COMPARED = st.sampled_from(["x", "y", None, "other", 5, 5.0, Decimal("0.1"), ("d", 1), ("j", "x")])


@given(st.lists(st.tuples(st.lists(COMPARED, max_size=6), st.booleans()), max_size=8))
def test_which_of_a_few_texts_a_value_is(batches: list[tuple[list[Any], bool]]) -> None:
    told, table, expected = Told({"x": 4, "y": 9}), list[Any](), {None: -1, "x": 4, "y": 9}
    for values, listed in batches:
        out = np.empty(len(values), np.int64)
        places = np.arange(len(table), len(table) + len(values))
        table += values
        told.column(values if listed else Codes(places, table), out)
        assert out.tolist() == [expected.get(value, OTHER) for value in values]
        told.column(Codes(np.append(places[::-1], -1)[: len(values)], table), out)
        again = [expected.get(value, OTHER) for value in reversed(values)]
        assert out.tolist() == (again if len(places) else [])


@given(st.lists(st.tuples(st.lists(st.integers(-1, 30), max_size=12), st.sets(st.integers(0, 30), max_size=6)), max_size=12))
def test_codes_that_are_given_free_are_no_codes_of_what_is_still_used(batches: list[tuple[list[int], set[int]]]) -> None:
    interner, held = Interner(), dict[Any, int]()
    table: list[Any] = [
        f"t{i}" if i % 3 else [1, 1.0, Decimal("1.0"), Decimal("0.1"), 0.5, Decimal("1E+30")][i // 3 % 6] for i in range(31)
    ]
    interner["pinned"]
    interner.pin()
    for picks, gone in batches:
        for value, code in zip(
            [None if i < 0 else table[i] for i in picks], coded(interner, Codes(np.array(picks, np.int64), table)), strict=True
        ):
            assert (value is None and code == -1) or code & ALIKE == held.setdefault(value, code & ALIKE)
            assert repr(interner.value(code)) == repr(value)
        for i in gone:
            held.pop(table[i], None)
        used = np.zeros(len(interner.values_by_code), np.bool_)
        used[list(held.values())] = True
        interner.keep(used)
        assert len(set(held.values())) == len(held)
        assert {code & ALIKE for code in interner.others} <= set(held.values())
        assert interner["pinned"] == 0
        assert len(interner) == len(held) + 2


def test_decimals_of_one_hash_stand_apart() -> None:
    interner, alike = Interner(), [Decimal(7 + (2**61 - 1) * (10**12 + i)) for i in range(100)]
    assert len(set(map(hash, alike))) == 1
    assert [interner[d] for d in alike] == list(range(100))
    assert len({hash(name) for name in interner}) > 90
    assert [interner[Decimal(str(d) + ".00")] for d in alike] == list(range(100))
    assert interner[Decimal("5.50")] == interner[5.5]
    assert interner[Decimal("12.0")] == interner[12]


def test_a_table_that_is_not_used_any_more_is_forgotten() -> None:
    beside, old, new = Beside(), ["a"], ["b"]
    beside.of(old).numbers[0] = 5
    assert beside.of(old).numbers[0] == 5
    for _ in range(2 * IDLE + 2):
        beside.of(new)
    assert len(beside.numbers()) == 1
    assert beside.of(old).numbers[0] == -1
