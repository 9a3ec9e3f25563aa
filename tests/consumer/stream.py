"""Helpers: a pipeline that has one of everything, records for it, and a shard that is fed, cut and killed as it is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple

from config.load import parse
from config.specs import Pipeline
from consumer.intake.batch import NO_LIMIT, Budget, Raw
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Counters, Cursor, Doc, Due, Effects, HashRange, KeyState, LeftOpen, ShardId
from consumer.store.memory import MemoryStore
from contract.codec import encode
from contract.event import Event, Heartbeat, Op
from windows.engine import Key

SHARD = ShardId("stream", 1, "shard-0")
S = 1_000

TOML = """
[stream]
name = "s"
settle = "2s"
max_future = "1h"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card", "shop"]
time = "at"
updates = "new_event"

[[trigger]]
name = "carts"
database = "shop"
collection = "carts"
routes = ["cart"]
time = "at"

[[trigger]]
name = "stock"
database = "shop"
collection = "stock"
routes = ["sku"]
time = "at"
before = true

[[windows]]
name = "minute"
trigger = "pay"
key = "card"
tumbling = { size = "10s" }
lateness = "1s"
retain = "20s"
measures = { n = "count()", spend = "sum(amount)", last = "last(shop)" }

[[windows]]
name = "load"
trigger = "pay"
key = "shop"
sliding = { size = "10s", every = "5s" }
late = "drop"
lateness = "1s"
where = "amount > 1"
measures = { n = "count()", cards = "distinct(card)", top = "max(amount)" }

[[windows]]
name = "recent"
trigger = "pay"
key = "card"
rolling = { size = "10s" }
measures = { n = "count()", spend = "sum(amount)" }

[[windows]]
name = "habit"
trigger = "pay"
key = "card"
rolling = { size = "20s", current = false }
measures = { n = "count()", mean = "mean(amount)" }

[[windows]]
name = "visits"
trigger = "carts"
key = "cart"
session = { gap = "6s", max = "20s" }
lateness = "1s"
retain = "10s"
measures = { n = "count()", items = "last(n)" }

[[windows]]
name = "moves"
trigger = "stock"
key = "sku"
tumbling = { size = "10s" }
lateness = "1s"
late = "dead_letter"
measures = { n = "count()", sum = "sum(amount)" }

[fraud]
trigger = "pay"
key = "card"

[[fraud.rules]]
name = "fast"
when = "recent.n >= 2"
weight = 0.5
reason = "{recent.n} payments of {amount}, usually {habit.mean}"

[abandonment]
trigger = "carts"
key = "cart"
gap = "8s"
lateness = "1s"
keep = "30s"
purchase = "action == 'purchase'"
"""
SPEC = parse(TOML)
LARGE = """
[[windows]]
name = "large"
trigger = "pay"
key = "card"
rolling = { size = "6s" }
where = "amount > 1"
measures = { n = "count()", top = "max(amount)" }
"""


def sharing(toml: str = TOML) -> str:
    """The same pipeline, whose rolling sets share a view with one more, which only some events concern."""
    toml = toml.replace("\n[fraud]\n", f"{LARGE}\n[fraud]\n")
    for name in ("recent", "habit", "large"):
        toml = toml.replace(f'\nname = "{name}"\n', f'\nname = "{name}"\nview = "cards"\n')
    return toml


SHARED = parse(sharing())
assert [s.name for s in SHARED.windows if s.view == "cards"] == ["recent", "habit", "large"]


def change(
    n: int,
    trigger: str,
    route: str,
    key: Any,
    at: int | None,
    op: Op = "insert",
    old: int | None = None,
    doc: Any = None,
    cluster: int | None = None,
    /,
    **fields: Any,
) -> bytes:
    """A change's bytes; n orders the tokens. An insert or update has a document of `fields`, a pre-image has the time `old`."""
    cluster = cluster if cluster is not None else 0 if at is None else at
    doc_id = n if doc is None else doc
    document = None if op == "delete" else {"_id": doc_id, route: key, "at": at, **fields}
    before = None if old is None else {"_id": doc_id, route: key, "at": old}
    return encode(Event(f"{n:06x}/{route}", trigger, route, op, key, at, cluster, doc_id, document, before))


def beat(at: int) -> bytes:
    """A heartbeat that vouches for `at`, less the settle time of 2 s."""
    return encode(Heartbeat(at + 2 * S))


def raws(lines: Iterable[bytes]) -> list[Raw]:
    """Records in the order of a shard, with gaps between their sequence numbers."""
    return [Raw(data, "partition", 10 * place, 0, None) for place, data in enumerate(lines, start=1)]


class Crash(BaseException):
    """The process dies."""


class Watched:
    """A store that dies at its n-th call, before or after the call does its work, and remembers what was committed."""

    def __init__(self, inner: MemoryStore, dies_at: int | None = None, after: bool = False) -> None:
        self.inner, self.dies_at, self.after = inner, dies_at, after
        self.calls = 0
        self.commits: list[Effects] = []

    def _call(self, work: Callable[[], Any]) -> Any:
        self.calls += 1
        dies = self.calls - 1 == self.dies_at
        if dies and not self.after:
            raise Crash
        result = work()
        if dies:
            raise Crash
        return result

    def open(self, shard: ShardId, parents: Sequence[ShardId] = ()) -> Cursor:
        return self._call(lambda: self.inner.open(shard, parents))  # type: ignore[no-any-return]

    def load(self, keys: Collection[Key]) -> Mapping[Key, KeyState]:
        return self._call(lambda: self.inner.load(keys))  # type: ignore[no-any-return]

    def due(self, hashes: HashRange, until: int, limit: int, after: tuple[int, int]) -> Due:
        return self._call(lambda: self.inner.due(hashes, until, limit, after))  # type: ignore[no-any-return]

    def letters(self, ids: Sequence[Doc], events: Sequence[str]) -> Sequence[Doc]:
        return self._call(lambda: self.inner.letters(ids, events))  # type: ignore[no-any-return]

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        return self._call(lambda: self.inner.left_ends(left, behind))  # type: ignore[no-any-return]

    def left_open(self, left: LeftOpen, until: int, hashes: HashRange, limit: int) -> Sequence[Any]:
        return self._call(lambda: self.inner.left_open(left, until, hashes, limit))  # type: ignore[no-any-return]

    def commit(self, effects: Effects) -> Cursor:
        self.commits.append(effects)
        assert effects.cursor.snapshot.position >= effects.expected.snapshot.position, "KCL's checkpoint may be there already"
        return self._call(lambda: self.inner.commit(effects))  # type: ignore[no-any-return]

    def close(self) -> None:
        self.inner.close()


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    documents: Mapping[str, Sequence[Doc]]
    counters: Counters
    watermark: int


SMALL = Budget(rows=3, windows=2, judged=1)
LIMITS = {field.name for field in fields(Limits)}


def limited(**options: Any) -> dict[str, Any]:
    """The Runner's options, with those that are limits in one."""
    limits = Limits(**{name: value for name, value in options.items() if name in LIMITS})
    return {"limits": limits, **{name: value for name, value in options.items() if name not in LIMITS}}


def result(store: MemoryStore, cursor: Cursor) -> Result:
    """Every document without `updated_at`, in an order of its own. Health repeats the cursor and is left out."""
    found = {
        name: sorted(({k: v for k, v in d.items() if k != "updated_at"} for d in documents.values()), key=lambda d: repr(d["_id"]))
        for name, documents in store.collections.items()
        if name != "health"
    }
    counters = replace(cursor.counters, late_by_set={k: v for k, v in cursor.counters.late_by_set.items() if v})
    return Result(found, counters, cursor.watermark)


def run(lines: Sequence[bytes], cuts: Sequence[int] = (), spec: Pipeline = SPEC, end: bool = True, **options: Any) -> Result:
    """Feeds all records, cut at these places; `options` are the Runner's and its limits."""
    store = MemoryStore(spec)
    runner = Runner(spec, store, SHARD, **limited(**options))
    feed(runner, raws(lines), cuts)
    found = result(store, runner.finish() if end else runner.drain())
    runner.close()
    return found


def whole(lines: Sequence[bytes], spec: Pipeline = SPEC, end: bool = True) -> Result:
    """All records at once, without limits: what every other way has to come to."""
    return run(lines, (), spec, end, budget=NO_LIMIT, durable=False)


def feed(runner: Runner, records: Sequence[Raw], cuts: Sequence[int] = ()) -> None:
    """Feeds records in batches that end at the cuts."""
    places = [0, *sorted(c for c in cuts if c < len(records)), len(records)]
    for begin, end in pairwise(places):
        runner.feed(records[begin:end])


class Death(NamedTuple):
    """At the n-th call of the store, before or after the call does its work. back: how many records in front of the snapshot come
    again afterwards."""

    at: int
    after: bool
    back: int


class Survived(NamedTuple):
    """died: whether anybody did, or there were fewer calls."""

    died: bool
    store: MemoryStore
    result: Result


def survived(
    lines: Sequence[bytes],
    way: Mapping[str, Any],
    death: Death,
    spec: Pipeline = SPEC,
    end: Callable[[Runner], Cursor] = Runner.finish,
) -> Survived:
    """The first life dies; the second gets all records again from somewhere before the snapshot, and comes to the same end. way:
    `cuts`, and the Runner's options and its limits."""
    options = limited(**{name: value for name, value in way.items() if name != "cuts"})
    store, all_raws = MemoryStore(spec), raws(lines)

    def live(inner: Any, records: Callable[[Cursor], Sequence[Raw]]) -> Result:
        runner = Runner(spec, inner, SHARD, **options)
        with closing(runner):  # what is on its way gets there, or does not
            feed(runner, records(runner.cursor), way["cuts"])
            return result(store, end(runner))

    def again(cursor: Cursor) -> Sequence[Raw]:
        passed = sum(cursor.snapshot.passed(raw.sequence, raw.sub) for raw in all_raws)
        return all_raws[max(0, passed - death.back) :]

    try:
        return Survived(False, store, live(Watched(store, death.at, death.after), lambda cursor: all_raws))
    except Crash:
        return Survived(True, store, live(store, again))
