"""What is known beside the documents: how far each shard is, where sets began, what was refused, what was changed since."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from config.specs import Pipeline, Trigger
from windows.law.spec import Rolling, Session, WindowSet

NEVER = -(1 << 62)  # before all time


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far each shard is. ranges: shard -> (low, high) of its hashes, as far as they are told; at: shard -> watermark in ms."""

    ranges: Mapping[str, tuple[int, int]]
    at: Mapping[str, int]

    def of(self, place: int) -> tuple[int, int]:
        """Between which times the watermark lies for a key of that hash: one time where the shards tell their hashes. Of a shard
        and the parents that it came from the highest: what was closed stays closed."""
        if len(self.ranges) < len(self.at):
            return min(self.at.values()), max(self.at.values())
        found = max((self.at[shard] for shard, (low, high) in self.ranges.items() if low <= place <= high), default=NEVER)
        return found, found


@dataclass(frozen=True, slots=True)
class Terms:
    """What the check of one trigger's views goes by; times in ms.

    now: the server's time. strict: nothing is excused, for a source that is known to hold all that there was, in order and in
    time. order: whether the order of arrival is known, and not only taken to be that of the records in the collection. span: what
    ends at it or before is not looked at; read_from: what is older was not read. begun: the first change that was relayed. since:
    by fingerprint, from when on a set has seen all; None where nobody tells. refused: by set, how many events came too late for
    it. thinned: the collection is capped, or has a TTL. configs: by view, the definition that its newest document is of.
    """

    marks: Watermarks
    now: int
    strict: bool = False
    order: bool = True
    span: int = NEVER
    read_from: int = NEVER
    begun: int = NEVER
    since: Mapping[str, int] | None = None
    refused: Mapping[str, int] = field(default_factory=dict)
    thinned: bool = False
    configs: Mapping[str, str] = field(default_factory=dict)

    def whole_from(self, s: WindowSet) -> int:
        """The first start, or the first time of a rolling value, of which no event can be missing."""
        begun = max(self.begun, (self.since or {}).get(s.fingerprint, NEVER))
        return begun if begun == NEVER else begun + reach(s)

    def has_former(self, s: WindowSet) -> bool:
        """Whether the view may hold documents of another definition."""
        return self.since is None or self.since.get(s.fingerprint, 0) > NEVER


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of changes since: by id, when a document was changed last; how many changes may have moved a document to
    another key or time, how many deletes; and which ids are dead letters, by route."""

    changed: Mapping[Hashable, int] = field(default_factory=dict)
    moved: int = 0
    deleted: int = 0
    dead: Mapping[str, frozenset[Hashable]] = field(default_factory=dict)


NOTHING = Evidence()


def reach(s: WindowSet) -> int:
    """How far before its start an event may lie that a window's bounds, or a rolling value, hang on."""
    if isinstance(s.kind, Session):
        return s.kind.gap
    return s.kind.size + s.kind.delay if isinstance(s.kind, Rolling) else 0


def counts_updates(trigger: Trigger) -> bool:
    """Whether one document may be several events, of which the collection holds the last."""
    changes = bool({"update", "replace"} & set(trigger.operations))
    return changes and not trigger.before and trigger.updates == "new_event"


def back(spec: Pipeline, trigger: Trigger) -> int:
    """How far before a time the events lie that anything which ends after it can hold, ms."""
    found = [0]
    for s in (s for s in spec.windows if s.trigger == trigger.name):
        if isinstance(s.kind, Session):
            found.append(10 * max(s.kind.max or 0, s.kind.gap))
        else:
            found.append(s.kind.size + (s.kind.delay if isinstance(s.kind, Rolling) else 0) + 1)
    if spec.abandonment is not None and spec.abandonment.trigger == trigger.name:
        found.append(spec.abandonment.gap)
    return max(found)
