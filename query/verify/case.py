"""One key as a case: its events, its documents, and what speaks for a value that is not as it should be."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from config.specs import Pipeline, Trigger
from contract.keys import bare_partition_key, kinesis_hash
from query.verify.report import Tally, Wrong
from query.verify.rows import Document, Row
from query.verify.terms import NEVER, Evidence, Terms, counts_updates
from windows.law.spec import Measure, WindowSet

WHOLE = ""  # the field that stands for a whole document


@dataclass(slots=True)
class Key:
    """A key of a route. hash: of both. rows: its events in order of arrival; undated: whether some have no time;
    docs: its documents by view."""

    route: str
    value: Hashable
    hash: int
    rows: list[Row] = field(default_factory=list)
    undated: bool = False
    docs: dict[str, list[Document]] = field(default_factory=dict)


class Found(NamedTuple):
    """A document that is not as it should be. verdict: differs, missing or surplus; rows: what it should hold; at: its time."""

    view: str
    id: Any
    verdict: str
    wrong: Sequence[Wrong]
    rows: Sequence[Row]
    at: int


class Case:
    """low, high: between which times the shard's watermark lies. What one record closes may be in the views in part before `health`
    says so. An event younger than the watermark less `settle` may not be read yet."""

    def __init__(self, spec: Pipeline, trigger: Trigger, key: Key, terms: Terms, evidence: Evidence) -> None:
        self.spec, self.trigger, self.key, self.terms, self.evidence = spec, trigger, key, terms, evidence
        self.low, high = terms.marks.of(_place(spec, key))
        self.high = high if terms.strict else max(high, terms.now)
        self.young_from = self.low - spec.stream.settle if self.low > NEVER else NEVER
        self.dead = evidence.dead.get(key.route, frozenset())
        self.tally = Tally()

    def variants(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """Events that may be what was counted: all of them; and those that were read by now, and were no dead letters."""
        yield rows
        if self.terms.strict:
            return
        read = [row for row in rows if not self.young(row)]
        if len(read) < len(rows):
            yield read
        if self.dead:
            alive = [row for row in rows if row.id not in self.dead]
            if len(alive) < len(rows):
                yield alive
            if len(read) < len(rows):
                yield [row for row in read if row.id not in self.dead]

    def young(self, row: Row) -> bool:
        """Whether the shard may not have read it yet."""
        return row.at > self.young_from

    def gone(self, view: str, at: int) -> bool:
        """Whether the view keeps no document as old as that, or nobody asks for one."""
        ttl = self.spec.views.ttl.get(view)
        return at <= self.terms.span or (ttl is not None and at + ttl < self.terms.now + 120_000)

    def judge(self, found: Found, reason: str | None) -> None:
        """A document that is not as recomputed. reason: what speaks for it (report.REASONS)."""
        if reason is not None and not self.terms.strict:
            self.tally.wrong(found.view, found.id, reason, found.wrong)
            return
        self.tally.wrong(found.view, found.id, found.verdict, found.wrong)
        self.tally.ids += [row.document["_id"] for row in found.rows]
        before = [] if self.tally.earliest is None else [self.tally.earliest]
        self.tally.earliest = min([found.at, *(row.at for row in found.rows), *before])

    def began_late(self, s: WindowSet, document: Document | None, at: int) -> str | None:
        """Whether a window set's document is of another definition, or may miss events from before its set began."""
        if document is not None and document.get("complete") is False:
            return "incomplete"
        if document is not None and document.get("config") != s.fingerprint and self.terms.has_former(s):
            return "former"
        return "before" if at < self.terms.whole_from(s) else None

    def changed(self, rows: Sequence[Row], more: int | None) -> str | None:
        """Whether documents were changed since, or went. more: how many more events were counted than there are now; None where
        that cannot be told."""
        if self.key.undated:
            return "undated"
        known = self.evidence.changed
        times = [known[row.id] for row in rows if row.id in known] if known else []
        if times and not self.trigger.before:
            return "updated"
        if times and max(times) > self.young_from:
            return "young"
        if more is None or more > 0:
            most = more or 1
            if self.evidence.deleted >= most and not (self.trigger.before and self.trigger.deletes == "retract"):
                return "deleted"
            if self.evidence.moved >= most and not self.trigger.before:
                return "updated"
            if self.terms.thinned:
                return "expired"
        return "history" if counts_updates(self.trigger) else None

    def tied(self, fields: Sequence[str], measures: Sequence[Measure], rows: Sequence[Row]) -> str | None:
        """Whether nothing but first and last of events of one time is wrong."""
        by_order = {m.name for m in measures if m.fn in ("first", "last")}
        times = [row.at for row in rows]
        return "order" if not self.terms.order and set(fields) <= by_order and len(set(times)) < len(times) else None


def _place(spec: Pipeline, key: Key) -> int:
    """By which hash the key's shard is chosen. Senders of bare documents give the key as text, without its route and type."""
    bare = spec.stream.format == "document" and not (isinstance(key.value, tuple) and key.value[0] == "?")
    return kinesis_hash(bare_partition_key(key.value)) if bare else key.hash
