"""What must have come out: the twin's views, and a count that shares nothing with it.

The twin is the naive engine, fed each shard whole, at once and with nothing going wrong, parents before their children. Each shard
has its own watermark, which the twin keeps too; so all views, letters, counters and watermarks must be equal, and only this is left
out:

* `updated_at`, and `health`, which repeats the cursor (the counters are compared at the cursors);
* where a window set was changed: what says `complete: false`, and what its former definition had left open. The law says only that
  they say so and take no final document's place. What of the records between snapshot and cursor gets into them depends on where
  the crash was. The change itself the twin makes where the first commit under the new configuration was made; if that was in front
  of a record of which time had already brought a part, documents of the former definition may be as they were behind that record;
* scores' features, where the rolling set that they come from was changed;
* documents that the store refuses when time closes their window: they stay as they were before, and a letter names each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from config.specs import Pipeline
from consumer.intake.batch import NO_LIMIT
from consumer.life import Limits, begun
from consumer.runner import Runner
from consumer.store.contract import CLASSES, Cursor, Doc, Effects, HashRange, LeftOpen, Position, ShardId
from consumer.store.memory import MemoryStore, hashable
from contract.errors import Unstorable
from tests.consumer.stream import S
from tests.sim.records import Part, Stream
from windows.naive.engine import NaiveEngine

Refuses = Callable[[str, Doc], bool]
Views = dict[str, dict[Any, Doc]]
NOTHING: Doc = {}


class Picky(MemoryStore):
    """Takes no document that it refuses."""

    def __init__(self, spec: Pipeline, refuses: Refuses) -> None:
        super().__init__(spec)
        self._refuses = refuses

    def commit(self, effects: Effects) -> Cursor:
        for name, document in effects.documents:
            if self._refuses(name, document):
                raise Unstorable("code 121", (name, document["_id"]))
        return super().commit(effects)


class Asked:
    """A store, asked for one shard."""

    def __init__(self, store: MemoryStore, hashes: HashRange) -> None:
        self._store, self._hashes = store, hashes

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        return self._store.left_ends(left, behind)

    def left_open(self, left: LeftOpen, until: int, limit: int) -> Sequence[Any]:
        return self._store.left_open(left, until, self._hashes, limit)


class Turn:
    """From which position on a shard was under a configuration; half: a record in front of it was half done."""

    def __init__(self, at: Position, spec: Pipeline, half: bool) -> None:
        self.at, self.spec, self.half = at, spec, half


def naive(spec: Pipeline) -> NaiveEngine:
    return NaiveEngine(spec.windows, lambda v: str(v).encode(), lambda data: Decimal(data.decode()))


class Twin:
    """views; cursors of all shards; half: documents as they were behind records that were half done at a change."""

    def __init__(self, stream: Stream, turns: Mapping[str, Sequence[Turn]], spec: Pipeline, refuses: Refuses) -> None:
        self._store = Picky(spec, refuses)
        self._stream = stream
        self.half: list[Views] = []
        self.cursors: dict[str, Cursor] = {}
        for part in stream.parts.values():  # parents come first
            self._read(part, turns.get(part.name, ()))
        self.views = views(self._store)

    def _read(self, part: Part, turns: Sequence[Turn]) -> None:
        self.cursors[part.name] = self._store.open(part.id, self._parents(part))
        for i, turn in enumerate(turns):
            end = turns[i + 1].at if i + 1 < len(turns) else (1 << 300, 0)
            raws = [raw for raw in part.raws if turn.at < (raw.sequence, raw.sub) <= end]
            self._begin(part, turn.spec)
            runner = self._runner(part, turn.spec)
            if raws:
                runner.feed(raws)
            self.cursors[part.name] = runner.flush()
            if i + 1 < len(turns) and turns[i + 1].half:
                self.half.append(self._one_further(part, turn.spec, end))

    def _begin(self, part: Part, spec: Pipeline) -> None:
        """The first commit under a configuration: it says which window sets are kept, since when, and what others left open."""
        cursor = self._store.open(part.id, self._parents(part))
        self._store.commit(Effects(cursor, begun(cursor, spec, Asked(self._store, part.hashes))))

    def _parents(self, part: Part) -> list[ShardId]:
        return [self._stream.parts[name].id for name in part.parents]

    def _runner(self, part: Part, spec: Pipeline) -> Runner:
        limits = Limits(NO_LIMIT, interval=1e18)
        return Runner(spec, self._store, part.id, part.hashes, self._parents(part), engine=naive, limits=limits)

    def _one_further(self, part: Part, spec: Pipeline, at: Position) -> Views:
        kept, self._store = self._store, copied(self._store)
        runner = self._runner(part, spec)
        runner.feed([raw for raw in part.raws if (raw.sequence, raw.sub) > at][:1])
        found, self._store = views(self._store), kept
        return found


def copied(store: Picky) -> Picky:
    """A store of the same content."""
    other = Picky(store._spec, store._refuses)
    other.collections = {name: dict(documents) for name, documents in store.collections.items()}
    other._cursors, other._states = dict(store._cursors), dict(store._states)
    other._segments = {key: dict(segments) for key, segments in store._segments.items()}
    return other


def views(store: MemoryStore) -> Views:
    """All documents as readers see them, by collection and `_id`."""
    return {
        name: {id: {k: v for k, v in d.items() if k != "updated_at"} for id, d in documents.items()}
        for name, documents in store.collections.items()
        if name != "health"
    }


def differences(found: Views, twin: Twin, changed: Sequence[str], last: Pipeline, refuses: Refuses) -> Iterator[str]:
    """What differs and may not. changed: window sets with more than one definition."""
    configs = {s.name: s.fingerprint for s in last.windows}
    features = bool({"recent", "habit"} & {*changed})
    for name in sorted({*found, *twin.views}):
        ours, theirs = found.get(name, {}), twin.views.get(name, {})
        for id in [*ours, *(id for id in theirs if id not in ours)]:
            one, two = ours.get(id, NOTHING), theirs.get(id, NOTHING)
            if name == "dead_letters" and "document" in (one or two)["_id"]:
                continue
            if name == "fraud_scores" and features:
                one, two = ({k: d.get(k) for k in ("_id", "key", "at")} for d in (one, two))
            if one == two or (name == "minute" and _kept(two or one, one, refuses)):
                continue
            if name == "cards" and "recent" in changed:
                half = [_part(half.get(name, {}).get(id) or NOTHING, "recent") for half in twin.half]
                if _others_same(one, two) and _left_open(_part(one, "recent"), _part(two, "recent"), configs["recent"], half):
                    continue
            if name in changed and _left_open(one, two, configs[name], [half.get(name, {}).get(id) for half in twin.half]):
                continue
            yield f"{name} {id}:\n    is       {one}\n    must be  {two}"


def left_open(found: Views, refuses: Refuses) -> Iterator[str]:
    """Windows that nobody has closed, though all time has passed."""
    for name in ("minute", "load", "visits", "moves"):
        for document in found[name].values():
            if document["final"] is not True and not refuses(name, {**document, "final": True}):
                yield f"{name}: left open for ever: {document}"


def _part(document: Doc, name: str) -> Doc:
    """What a document of a shared view says of one set, as that set's own view would say it."""
    return {**{field: value for field, value in document.items() if not isinstance(value, dict)}, **document.get(name, {})}


def _others_same(one: Doc, two: Doc) -> bool:
    """Whether two documents of a shared view say the same of the sets that were not changed, if they are as of one time."""
    return one.get("as_of") != two.get("as_of") or all(one.get(name) == two.get(name) for name in ("habit", "large"))


def _kept(like: Doc, one: Doc, refuses: Refuses) -> bool:
    """Whether the store refuses the document, and what is there was there before."""
    return refuses("minute", {**like, "final": True}) and one.get("final") is False


def _left_open(one: Doc, two: Doc, config: str, half: Sequence[Doc | None]) -> bool:
    """Whether the law leaves open which of two documents of a changed set is there."""
    if one.get("complete", True) is False and not two.get("final"):
        return True  # it says so, and has taken no final document's place: a definition between two that are alike, perhaps
    if one in half:
        return not (two.get("final") and two["closed_by"] and two["config"] != config)
    if one.get("complete") is True or two.get("complete") is True:
        return False
    rolling = "as_of" in {**one, **two}
    ends = rolling and not one.get("n") and one.get("complete", True)  # what was put in in silence has left
    if ends and two.get("config") != one.get("config"):
        return True
    if ends and (expires := two.get("expires_at")) is not None and expires <= one["as_of"]:
        return True  # a definition that came back has kept the key's state, as nobody has saved it meanwhile: its value has decayed
    return (ends or _open(one, config)) and _open(two, config)


def _open(document: Doc, config: str) -> bool:
    """Nothing, not complete, or left open by a former definition."""
    return document.get("complete", True) is False or (document.get("config") != config and not document.get("final"))


def recount(stream: Stream, poison: frozenset[int]) -> Views:
    """The tidy cards' windows of 10 s, counted from what was sent, and the ids of their scores."""
    windows: dict[tuple[str, int], list[Any]] = {}
    for p in stream.tidy:
        if p.n not in poison:
            windows.setdefault((p.card, p.at // (10 * S)), []).append(p)
    minute = {
        window: {
            "n": len(own),
            "spend": sum(p.amount for p in own),
            "last": own[-1].shop,
            "events": len(own),
            "revision": 0,
            "late": 0,
        }
        for window, own in windows.items()
    }
    scores = {p.n: {"key": p.card} for p in stream.tidy if p.n not in poison}
    return {"minute": minute, "fraud_scores": scores}


def miscounted(found: Views, stream: Stream, poison: frozenset[int], changed: bool, refuses: Refuses) -> Iterator[str]:
    """Where the views of the tidy cards are not what was sent. changed: whether windows had more than one definition."""
    expected = recount(stream, poison)
    shown = {(d["key"], int(d["start"].timestamp()) // 10): d for d in found["minute"].values()}
    tidy = {p.card for p in stream.tidy}
    if not changed:
        for window, right in expected["minute"].items():
            d = shown.get(window, NOTHING)
            if {k: d.get(k) for k in right} != right or (d["final"] is not True and not refuses("minute", {**d, "final": True})):
                yield f"minute {window}: is {d}, counted {right}"
        for window in shown.keys() - expected["minute"].keys():
            if window[0] in tidy:
                yield f"minute {window}: nobody sent any of it"
    for n, right in expected["fraud_scores"].items():
        d = found["fraud_scores"].get(n, NOTHING)
        if d.get("key") != right["key"]:
            yield f"fraud_scores {n}: is {d}"


# trigger, and how far in front of its start (its time) a window (a value) of each view looks, s; of shared views that of each set
LOOKS: dict[str, tuple[str, tuple[int, ...]]] = {
    "minute": ("pay", (0,)), "load": ("pay", (0,)), "visits": ("carts", (6,)), "moves": ("stock", (0,)),
    "recent": ("pay", (10,)), "habit": ("pay", (20,)), "cards": ("pay", (10, 20, 6)),
}  # fmt: skip


def unsaid(found: Views, stream: Stream) -> Iterator[str]:
    """Which documents do not say, or say without reason, that the relay has lost history in their time."""
    for name, (trigger, reaches) in LOOKS.items():
        gaps = [(gap.begin - 2 * S, gap.end) for gap in stream.gaps if trigger in gap.triggers]
        for id, d in found.get(name, {}).items():
            last = _ms(d["as_of"]) + 1 if "as_of" in d else _ms(d["end"])
            first = last - 1 if "as_of" in d else _ms(d["start"])
            torn = any(first - reach * S <= high and last > low for low, high in gaps for reach in reaches)
            if (d.get("complete", True) is False) != torn:
                yield f"{name} {id}: {'does not say' if torn else 'says'} that it is not complete: {d}"


def _ms(at: Any) -> int:
    return round(at.timestamp() * 1000)


def of_cursor(cursor: Cursor) -> Cursor:
    """What of a cursor must be equal."""
    counters = cursor.counters
    late = {k: v for k, v in counters.late_by_set.items() if v}
    classes = {name: counters.classes.get(name, 0) for name in CLASSES}
    return Cursor(
        cursor.shard,
        0,
        cursor.sequence,
        cursor.sub,
        cursor.watermark,
        replace(counters, classes=classes, late_by_set=late),
        since=cursor.since,
        gaps=cursor.gaps,
    )


__all__ = ["Turn", "Twin", "differences", "hashable", "miscounted", "of_cursor", "unsaid", "views"]
