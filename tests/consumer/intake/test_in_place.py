"""Records read in place and records read one by one make equal batches, whatever is in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.load import parse
from config.specs import Pipeline
from consumer.intake import batch as general
from consumer.intake.batch import NONE, Batch
from consumer.intake.in_place import Reader
from consumer.intake.records import Listed, Raw
from tests.consumer.stream import SPEC, TOML, S, beat, change
from tests.consumer.test_idle import BARE
from windows.engine import CHANGE

PAIRS = [("pay", "card"), ("carts", "cart")]
BOTH = "\n[[windows]]\nname = 'both'\ntrigger = 'stock'\nkey = 'sku'\nrolling = { size = '5s' }\nmeasures = { n = 'count()' }\n"
RETRACTS = parse(TOML.replace('settle = "2s"', 'settle = "2s"\nout_of_order = "1s"') + BOTH)
VALUES: list[Any] = [
    1, 2.5, -0.0, "x", "5", 5, True, None, "ü\\\"", {"$numberLong": "7"}, {"$numberDouble": "NaN"}, {"$numberDecimal": "2.50"},
    {"$date": "1970-01-01T00:00:05Z"}, {"$oid": "64b64b64b64b64b64b64b64b"}, {"$oid": "no"}, [1], {"a": 1}, {"$numberLong": "1_0"},
    {"$numberDouble": " 1"}, {"$numberInt": "\u0661"}, 10**400, 1 << 70,
]  # fmt: skip
TIMES = [0, S, 2 * S, 5_000 * S, None, -62_135_596_800_001, 253_402_300_800_000]
TRIGGERS = [("pay", "card"), ("pay", "shop"), ("carts", "cart"), ("stock", "sku"), ("pay", "nothing"), ("nobody", "card")]
PLAIN: list[Any] = [1, 2.5, 7, "x", "y"]
SPELLINGS: list[Callable[[bytes], bytes]] = [
    *[lambda data: data] * 40,
    lambda data: json.dumps(json.loads(data), indent=1).encode(),
    lambda data: json.dumps(dict(reversed(json.loads(data).items())), ensure_ascii=False).encode(),
    lambda data: data[:-3],
    lambda data: data + b" ",
    lambda data: data.replace(b'"v":1', b'"v":2'),
    lambda data: data.replace(b"a", b"\\u0061", 3),
    lambda data: data.replace(b"e", b"\xff", 2),
    lambda data: data.replace(b'":', b'":NaN,"n', 1),
    lambda data: data.replace(b'"document"', b'"other"'),
    lambda data: data.replace(b'"id":"', b'"id":"","other":"'),
]  # fmt: skip


def mostly(plain: Sequence[Any], strange: Sequence[Any]) -> st.SearchStrategy[Any]:
    """Nineteen plain ones to a strange one."""
    return st.sampled_from([*(list(plain) * (19 * len(strange) // len(plain) + 1)), *strange])


event = st.builds(
    lambda n, pair, key, at, op, old, doc, amount, fields: change(n, *pair, key, at, op, old, doc, S, amount=amount, **fields),
    st.integers(0, 30),
    mostly(TRIGGERS[:4], TRIGGERS[4:]),
    mostly(["a", "b", 5], [5.0, *VALUES]),
    mostly([0, S, 2 * S, 5_000 * S], TIMES),
    st.sampled_from(["insert", "insert", "insert", "update", "replace", "delete"]),
    mostly([None], [S]),
    mostly([None, "x"], VALUES),
    mostly([1, 2.5, 1e15, None], VALUES),
    st.dictionaries(st.sampled_from(["shop", "card", "n", "note"]), mostly(PLAIN, VALUES)),
)
deep = st.builds(
    lambda n, fields: change(n, "pay", "card", "a", S, "insert", None, None, S, **fields),
    st.integers(0, 30),
    st.dictionaries(st.sampled_from(["amount", "shop", "card", "at", "amount.x", "_id"]), st.sampled_from(VALUES)),
)
documents = st.builds(
    lambda card, at, more: {"card": card, "at": at, **more},
    mostly(["a", 5], VALUES),
    mostly([S, 2 * S, 5_000 * S], [*TIMES, *VALUES]),
    st.dictionaries(st.sampled_from(["card", "at", "_id", "amount"]), mostly([1, S, "a"], VALUES)),
).map(lambda d: json.dumps(d).encode())
others = st.sampled_from([b"", b"{", b"null", b"{}", b'{"kind":"strange"}', beat(S), beat(-5), b"\xff", b" ", b"\n", b'{"a":\n1}'])
raws = st.tuples(
    mostly([event], [deep, documents, others]).flatmap(lambda chosen: chosen),
    st.sampled_from(SPELLINGS),
    st.sampled_from([None, None, 0, S, 10**15]),
)
drawn = settings(max_examples=5_000 if "EDDY_SOAK" in os.environ else 100, suppress_health_check=list(HealthCheck))


def records(rows: Sequence[tuple[bytes, Callable[[bytes], bytes], int | None]]) -> list[Raw]:
    made = []
    for n, (data, spell, arrived) in enumerate(rows):
        try:
            text = spell(data)
        except (ValueError, AttributeError):
            text = data
        made.append(Raw(text, None if n % 3 else f"p{n}", 10 * n, n % 2, arrived))
    return made


def value_of(column: Any, row: int) -> Any:
    v = column[row]
    v = v.item() if isinstance(v, np.generic) else v
    return None if v != v else (type(v), v)


def row_of(batch: Batch, row: int, spec: Pipeline) -> Any:
    """All that shows of a row."""
    c = batch.columns
    shown: list[Any] = [batch.verdicts[row], int(c.kind[row]), int(c.cause[row]), int(c.mark[row])]
    if row in batch.rejected:
        shown += [batch.rejected[row].reason, batch.rejected[row].why]
    if batch.verdict[row] in (NONE, general.DEAD):
        shown.append(repr(batch.event(row)))
    if c.kind[row] == CHANGE:
        trigger, route = batch.pairs[batch.pair[row]]
        key = int(c.key[row])
        shown += [trigger, route, batch.tokens[row], int(c.stream[row]), c.keys[key], type(c.keys[key][1]), batch.hashes[key]]
        shown += [int(c.at[row]), int(c.old_at[row]), bool(c.put[row]), bool(c.take[row]), repr(batch.happenings.get(row))]
        sets = [s for s in spec.windows if (s.trigger, s.key) == (trigger, route)]
        shown.append(c.doc[row] if c.doc is not None and any(s.retract for s in sets) else None)
        for path, kinds in ((path, kinds) for s in sets for path, kinds in s.fields().items() if c.put[row]):
            shown += [(path, kind, value_of(getattr(c, kind)[path], row)) for kind in sorted(kinds)]
    return shown


def same(spec: Pipeline, modelled: Sequence[tuple[str, str]], given: Sequence[Raw]) -> None:
    reader, twin = Reader(spec, modelled), general.Reader(spec, modelled)
    for part in (given[: len(given) // 2], given[len(given) // 2 :]):  # tables of the scanner go on
        ours, theirs = reader.read(Listed(part)), twin.read(part)
        for row, raw in enumerate(part):
            assert row_of(ours, row, spec) == row_of(theirs, row, spec), raw
        assert set(ours.columns.keys) == set(theirs.columns.keys)
        assert len(ours.columns.keys) == len(theirs.columns.keys)
        assert sorted(ours.happenings) == sorted(theirs.happenings)
        assert sorted(ours.rejected) == sorted(theirs.rejected)


@drawn
@given(rows=st.lists(raws, max_size=24), modelled=st.booleans())
def test_records_read_in_place_are_those_read_one_by_one(rows: list[Any], modelled: bool) -> None:
    given = records(rows)
    same(SPEC, PAIRS if modelled else (), given)
    same(RETRACTS, (), given)


@drawn
@given(
    rows=st.lists(
        st.tuples(mostly([documents], [others]).flatmap(lambda chosen: chosen), raws.map(lambda r: r[1]), raws.map(lambda r: r[2])),
        max_size=24,
    )
)
def test_bare_documents_too(rows: list[Any]) -> None:
    same(BARE, (), records(rows))
    same(BARE, [("pay", "card")], records(rows))


def test_plain_records_are_read_in_place() -> None:
    lines = [change(n, "pay", "card", "abc"[n % 3], n * S, amount=2, shop="x") for n in range(50)] + [beat(9 * S)]
    reader = Reader(SPEC)
    reader.general.read = lambda raws: 1 / 0  # type: ignore[assignment, method-assign]
    found = reader.read([Raw(data, "p", n) for n, data in enumerate(lines)])
    assert found.verdicts == [None] * 50 + ["control"]
    assert found.events == {}
