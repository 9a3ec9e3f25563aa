"""All views of one key against its events; and a whole set of documents in memory, key by key."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from config.specs import Abandonment, Fraud, Pipeline, Trigger
from contract.errors import Rejected
from contract.keys import kinesis_hash, partition_key, typed
from contract.values import get
from query.verify import rolling, signals, windows
from query.verify.case import Case, Key
from query.verify.report import Report, Tally, Wrong
from query.verify.rows import Document, Row, as_key
from query.verify.terms import NOTHING, Evidence, Terms, Watermarks
from windows.law.expr import FieldKind, merge_fields
from windows.law.spec import Rolling, WindowSet

Part = TypeVar("Part", Fraud, Abandonment)
CLASSES = ("counted", "repeat", "late", "ignored", "control", "dead_letter")
HEALTH = "health"


class Laws:
    """What is kept of one trigger's route: window sets, scores, signals. views: those that somebody asks for, None for all."""

    def __init__(self, spec: Pipeline, trigger: Trigger, route: str, views: frozenset[str] | None = None) -> None:
        self.spec, self.trigger, self.route = spec, trigger, route
        every = [s for s in spec.windows if (s.trigger, s.key) == (trigger.name, route)]
        self.sets = [s for s in every if views is None or views & {s.name, s.shown_in}]
        self.rolling = [s for s in every if isinstance(s.kind, Rolling)]  # scores hang on all of them
        self.fraud = self._own(spec.fraud, views)
        self.carts = self._own(spec.abandonment, views)
        fields = merge_fields(s.fields() for s in every)
        self.fields: Sequence[tuple[str, FieldKind]] = [(path, kind) for path, kinds in fields.items() for kind in sorted(kinds)]

    def _own(self, part: Part | None, views: frozenset[str] | None) -> Part | None:
        if part is None or (part.trigger, part.key) != (self.trigger.name, self.route):
            return None
        return part if views is None or part.view in views else None

    @property
    def views(self) -> Mapping[str, Callable[[Document], Any]]:
        """Each view with where its documents have their key."""
        found: dict[str, Callable[[Document], Any]] = {
            s.shown_in: _id if isinstance(s.kind, Rolling) else _id_key for s in self.sets
        }
        if self.fraud is not None:
            found[self.fraud.view] = _key
        if self.carts is not None:
            found[self.carts.view] = _id_key
        return found

    def check(self, key: Key, terms: Terms, evidence: Evidence = NOTHING) -> Tally:
        """Everything of one key. What the product cannot have read of its events (a text where a number must be) is in no view."""
        key.rows = [row for row in key.rows if row.sound(self.fields)]
        case = Case(self.spec, self.trigger, key, terms, evidence)
        for s in self.sets:
            if isinstance(s.kind, Rolling):
                rolling.check(case, s)
            else:
                windows.check(case, s)
        if self.fraud is not None:
            signals.check_scores(case, self.fraud, self.rolling)
        if self.carts is not None:
            signals.check_carts(case, self.carts)
        return case.tally


def place(route: str, key: Hashable) -> int:
    """The hash by which a key's shard is chosen. What can be no key has none, and lies where its text would."""
    if isinstance(key, tuple) and key[0] == "?":
        return kinesis_hash(f"{route}:?:{key[1]}")
    return kinesis_hash(partition_key(route, key))


def check(
    spec: Pipeline, rows: Mapping[str, Sequence[Row]], view: Callable[[str], Iterable[Document]], terms: Terms, whole: bool = True
) -> Report:
    """Compare everything, in memory. rows: by trigger, in order of arrival; view: a view's documents by its name. whole: the stream
    holds every change since the first, so its counts must say so too."""
    report = Report()
    for trigger in spec.triggers:
        for route in trigger.routes:
            laws, keys = Laws(spec, trigger, route), dict[Hashable, Key]()
            for row in rows[trigger.name]:
                try:
                    _of(keys, route, typed(get(row.document, route))).rows.append(row)
                except Rejected:
                    continue  # a dead letter: it is nobody's
            for name, key_of in laws.views.items():
                for document in view(name):
                    _of(keys, route, as_key(key_of(document))).docs.setdefault(name, []).append(document)
            for key in keys.values():
                report.add(laws.check(key, terms))
    check_health(report, spec, list(view(HEALTH)), {name: len(own) for name, own in rows.items()} if whole else None)
    return report


def check_health(report: Tally, spec: Pipeline, health: Sequence[Document], changes: Mapping[str, int] | None = None) -> None:
    """Every record in one class. changes: by trigger, for a stream that holds every change since the first: each of them is
    counted, once for each of its routes; none is late, none is rejected."""
    own = [d for d in health if d["_id"].startswith(f"{spec.stream.name}/")]
    for document in own:
        records = sum(document[c] for c in CLASSES)
        if records == document["records"]:
            report.right(HEALTH)
        else:
            report.wrong(HEALTH, document["_id"], "differs", [Wrong("sum of classes", records, document["records"])])
    if changes is None:
        return
    all_of_them = sum(changes[t.name] * len(t.routes) for t in spec.triggers)
    for name, right in (("counted", all_of_them), ("late", 0), ("ignored", 0), ("dead_letter", 0)):
        there = sum(d[name] for d in own)
        if there != right:
            report.wrong(HEALTH, spec.stream.name, "differs", [Wrong(name, there, right)])


def _of(keys: dict[Hashable, Key], route: str, key: Hashable) -> Key:
    found = keys.get(key)
    if found is None:
        found = keys[key] = Key(route, key, place(route, key))
    return found


def _id(document: Document) -> Any:
    return document["_id"]


def _id_key(document: Document) -> Any:
    return document["_id"]["k"]


def _key(document: Document) -> Any:
    return document["key"]


__all__ = ["HEALTH", "Laws", "Terms", "Watermarks", "WindowSet", "check", "check_health", "place"]
