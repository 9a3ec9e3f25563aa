"""What lies in the views database: which collections, with which indexes. Plain data; mongo.py makes it so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import asdict

from config.specs import Pipeline
from consumer.figures import Figures, Hops
from consumer.store.contract import Cursor, Doc, HashRange, Place, ShardId
from contract.keys import bare_partition_key, kinesis_hash, partition_key, typed
from contract.times import MAX_MS, MIN_MS, date
from windows.law.spec import Rolling, WindowSet

CURSORS = "_cursors"
CONFIGURATIONS = "_configurations"
KEYS = "_keys"
SEGMENTS = "_segments"
HEALTH = "health"
DEAD_LETTERS = "dead_letters"
PREFIX = "eddy_"  # of the names of our indexes: those under other names are somebody else's


@dataclass(frozen=True, slots=True)
class Index:
    """An index by its fields (name, 1 or -1). ttl: ms after which a document may go. only_if: a field it must have to be in."""

    fields: tuple[tuple[str, int], ...]
    ttl: int | None = None
    only_if: str | None = None

    @property
    def name(self) -> str:
        """Says what it is on."""
        return PREFIX + "_".join(f"{field}{'' if way == 1 else '_desc'}" for field, way in self.fields)


def _index(*fields: str, only_if: str | None = None) -> Index:
    return Index(tuple((f.removeprefix("-"), -1 if f.startswith("-") else 1) for f in fields), only_if=only_if)


def views(spec: Pipeline) -> Mapping[str, tuple[Index, ...]]:
    """Collections that readers rely on, in the order of the file, each with the indexes its readers need."""
    found = {s.shown_in: _of_windows(s) for s in spec.windows}
    expires = {s.shown_in: "as_of" if isinstance(s.kind, Rolling) else "end" for s in spec.windows}
    if spec.fraud is not None:
        found[spec.fraud.view] = (_index("-score", "-at"), _index("-at"), _index("key", "-at"))
        expires[spec.fraud.view] = "at"
    if spec.abandonment is not None:
        found[spec.abandonment.view] = (_index("status", "-raised_at"), _index("key", "-since"))
        expires[spec.abandonment.view] = "raised_at"
    found[DEAD_LETTERS] = (_index("reason", "-updated_at"), _index("requeued.event", only_if="requeued.event"))
    expires[DEAD_LETTERS] = "updated_at"
    found[HEALTH] = ()
    return {name: _with_ttl(own, expires.get(name), spec.views.ttl.get(name)) for name, own in found.items()}


def internals() -> Mapping[str, tuple[Index, ...]]:
    """Collections that are ours alone. Only keys that wait for something are in the index by due time."""
    return {CONFIGURATIONS: (), CURSORS: (), SEGMENTS: (), KEYS: (_index("due", "hash", only_if="due"),)}


def _of_windows(s: WindowSet) -> tuple[Index, ...]:
    if isinstance(s.kind, Rolling):
        return (_index("expires_at"), _index("-as_of"))
    return (_index("key", "start"), _index("end"))


def _with_ttl(own: tuple[Index, ...], field: str | None, ttl: int | None) -> tuple[Index, ...]:
    """One index on the field that the age is counted from, with the age on it: MongoDB takes no second one on the same field."""
    if ttl is None or field is None:
        return own
    return (*(i for i in own if [name for name, _ in i.fields] != [field]), Index(((field, 1),), ttl))


def health_doc(spec: Pipeline, cursor: Cursor, figures: Figures | None = None, hashes: HashRange | None = None) -> Doc:
    """A shard's line in `health`, from its cursor, and from what was measured and is known beside it."""
    counters, snapshot = cursor.counters, cursor.snapshot
    made = None if figures is None else _date(figures.snapshot_at)
    return {
        "_id": f"{spec.stream.name}/{cursor.shard.shard}",
        "records": counters.records,
        **{name: int(n) for name, n in counters.classes.items()},
        "late_by_set": {name: int(n) for name, n in counters.late_by_set.items()},
        "dead_letters_by_reason": {name: int(n) for name, n in counters.dead_by_reason.items()},
        "watermark": _date(cursor.watermark),
        **({} if hashes is None else {"hashes": [str(hashes.low), str(hashes.high)]}),
        **({} if cursor.ended is None else {"ended": True, "ended_at": _date(cursor.ended)}),
        "since": {name: _date(at) for name, at in (cursor.since or {}).items()},
        "cursor": _position(cursor.place),
        "snapshot": {**_position(snapshot), "behind": counters.records - snapshot.records, "made_at": made},
        "hops": None if figures is None or figures.hops is None else _hops(figures.hops),
        "memory": None if figures is None else {"keys": figures.keys, "bytes": int(figures.bytes)},
        "owner": None if figures is None else {**asdict(figures.owner), "epoch": cursor.epoch},
    }


def _position(place: Place) -> Doc:
    """Sequence numbers have up to 56 digits: text."""
    sequence = None if place.sequence is None else str(place.sequence)
    return {"sequence": sequence, "sub": place.sub, "watermark": _date(place.watermark)}


def _hops(hops: Hops) -> Doc:
    return {**asdict(hops), "inserted": _date(hops.inserted)}


def _date(ms: int | None) -> Any:
    """As MongoDB holds it; None before the first record."""
    return date(ms) if ms is not None and MIN_MS <= ms <= MAX_MS else None


def hash_of(spec: Pipeline, route: str, value: Any) -> int:
    """Where the key of a view's document lies, by the partition key of its records."""
    key = typed(value)
    return kinesis_hash(bare_partition_key(key) if spec.stream.format == "document" else partition_key(route, key))


def shard_key(shard: ShardId) -> dict[str, Any]:
    """`_id` of a shard's cursor."""
    return {"stream": shard.stream, "created": shard.created, "shard": shard.shard}
