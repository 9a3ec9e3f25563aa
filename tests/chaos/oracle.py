"""What must be: each record that lies on the stream in one class, each that is poisoned a dead letter once, each view as the
definitions say. Read from the stream and from the source collections alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient

from config.specs import Pipeline
from consumer.store.contract import CLASSES
from contract.codec import decode
from contract.event import Gap, Heartbeat
from contract.keys import typed
from contract.times import date_ms
from contract.values import get
from query.verify import Report as Report
from query.verify import Row, Terms, Watermarks, windows
from query.verify.case import WHOLE, Key
from query.verify.check import HEALTH, Laws, place
from query.verify.report import Wrong
from query.verify.rows import as_key
from sandbox.tap import taken_apart
from tests.chaos.faults import hashes
from windows.law.spec import WindowSet

Document = dict[str, Any]
View = Callable[[str], Iterable[Document]]  # a view's documents by its name
REVISED, STRICT = "meters", "houses"  # what a late reading does to the windows of its two keys
DEAD_LETTERS = "dead_letters"
Ranges = Mapping[str, tuple[int, int]]  # shard -> the hashes that it holds, both ends
Place = tuple[str, int, int]  # shard, sequence number, place in its aggregate
Record = tuple[int, int, bytes]  # sequence number, place in its aggregate, data


@dataclass(slots=True)
class Expected:
    """classes: of each shard; letters: place -> (reason, data)."""

    classes: dict[str, Counter[str]] = field(default_factory=dict)
    letters: dict[Place, tuple[str, bytes]] = field(default_factory=dict)


def lie(kinesis: Any, stream: str) -> Mapping[str, list[Record]]:
    """All that lies on each shard, as KCL takes it apart. Parents stand before their children: numbers grow."""
    shards = sorted(s["ShardId"] for s in kinesis.list_shards(StreamName=stream)["Shards"])
    return {shard: list(_records(kinesis, stream, shard)) for shard in shards}


def _records(kinesis: Any, stream: str, shard: str) -> Iterator[Record]:
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while iterator:
        got = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        for record in (one for whole in got["Records"] for one in taken_apart(whole)):
            yield int(record["SequenceNumber"]), record["SubSequenceNumber"], record["Data"]
        iterator = got.get("NextShardIterator") if got["Records"] else None


def expected(on_stream: Mapping[str, Sequence[Record]], unreadable: Mapping[bytes, str]) -> Expected:
    """What each record has to become. unreadable: data -> reason."""
    found, seen = Expected(), set[str]()
    for shard, records in on_stream.items():
        classes = found.classes[shard] = Counter(dict.fromkeys(CLASSES, 0))
        for sequence, sub, data in records:
            verdict, reason = judged(data, unreadable, seen)
            classes[verdict] += 1
            if reason is not None:
                found.letters[shard, sequence, sub] = reason, data
    return found


def judged(data: bytes, unreadable: Mapping[bytes, str], seen: set[str]) -> tuple[str, str | None]:
    """(class, why there is a letter). seen: events so far, by id; an event that comes again is a repeat."""
    if data in unreadable:
        return "dead_letter", unreadable[data]
    message = decode(data)
    if isinstance(message, (Heartbeat, Gap)):
        return "control", None
    document = message.document or {}
    if "poison" in document:
        return "dead_letter", document["poison"]
    if message.id in seen:
        return "repeat", None
    seen.add(message.id)
    strict = document.get("late") is True and message.route == "house_id"
    return ("late", "late") if strict else ("counted", None)


def tell(report: Report, view: str, id: Any, known: Iterable[tuple[str, Any, Any]]) -> None:
    """One document. known: what it says, is, and should be."""
    wrong = [Wrong(*one) for one in known if one[1] != one[2]]
    if wrong:
        report.wrong(view, id, "differs", wrong)
    else:
        report.right(view)


def check_classes(report: Report, spec: Pipeline, right: Expected, health: Iterable[Document], changes: int) -> None:
    """Every shard has counted what lies on it, each record in its class, and every change of the source is counted once."""
    prefix = f"{spec.stream.name}/"
    stored = {d["_id"].removeprefix(prefix): d for d in health if d["_id"].startswith(prefix)}
    for shard, classes in right.classes.items():
        document = stored.pop(shard, None)
        if document is None:
            report.wrong(HEALTH, shard, "missing", [Wrong(WHOLE, None, f"{sum(classes.values())} records")])
            continue
        reasons = Counter(reason for (at, *_), (reason, _) in right.letters.items() if at == shard)
        known = [("records", document["records"], sum(classes.values()))]
        known += [(name, document[name], classes[name]) for name in CLASSES]
        tell(report, HEALTH, shard, [*known, ("reasons", document.get("dead_letters_by_reason"), dict(reasons))])
    for shard in stored:  # nothing lies there
        report.wrong(HEALTH, shard, "surplus", [Wrong(WHOLE, "a shard", None)])
    taken = sum(classes["counted"] + classes["late"] for classes in right.classes.values())
    tell(report, HEALTH, spec.stream.name, [("changes on the stream", taken, changes)])


def check_letters(report: Report, right: Expected, stored: Iterable[Document]) -> None:
    """Each poisoned record has one letter, whole and with its reason; there is no other one."""
    wanted = dict(right.letters)
    for letter in stored:
        id = letter["_id"]
        at = id.get("shard"), int(id.get("sequence") or -1), id.get("sub")
        found = None if "document" in id else wanted.pop(at, None)
        if found is None:  # nothing was poisoned there
            report.wrong(DEAD_LETTERS, (*at, letter["reason"], letter["why"]), "surplus", [Wrong(WHOLE, "a letter", None)])
            continue
        reason, data = found
        kept = letter["binary"] if letter["binary"] is not None else letter["record"].encode()
        tell(report, DEAD_LETTERS, at, [("reason", letter["reason"], reason), ("record", kept, data)])
    for at, (reason, _) in wanted.items():
        report.wrong(DEAD_LETTERS, at, "missing", [Wrong(WHOLE, None, reason)])


def check_views(client: MongoClient[Document], spec: Pipeline, ranges: Ranges, right: Expected) -> Mapping[str, Report]:
    """Every view of the database, by its name. ranges: of the open shards."""
    views = client[spec.views.database]
    rows = {t.name: good_rows(client, spec, t.name) for t in spec.triggers}
    return check(spec, rows, lambda name: views[name].find(), ranges, right)


def check(spec: Pipeline, rows: Mapping[str, Sequence[Row]], view: View, ranges: Ranges, right: Expected) -> Mapping[str, Report]:
    """Every view, by its name. rows: by trigger, without poison, in order of arrival."""
    health = list(view(HEALTH))
    marks = watermarks(spec, ranges, health)
    terms = Terms(marks, now=max(marks.at.values()), strict=True)  # nothing is excused
    found: dict[str, Report] = {}
    for trigger in spec.triggers:
        for route in trigger.routes:
            for name in Laws(spec, trigger, route).views:
                laws = Laws(spec, trigger, route, frozenset({name}))
                check_view(found.setdefault(name, Report()), laws, name, rows[trigger.name], view(name), terms)
    found[HEALTH], found[DEAD_LETTERS] = Report(), Report()
    changes = sum(len(rows[t.name]) * len(t.routes) for t in spec.triggers)
    check_classes(found[HEALTH], spec, right, health, changes)
    check_letters(found[DEAD_LETTERS], right, view(DEAD_LETTERS))
    return found


def watermarks(spec: Pipeline, ranges: Ranges, health: Iterable[Document]) -> Watermarks:
    """How far the open shards say that they are. Which hashes those hold Kinesis says, and not they. Raises LookupError for one
    that has committed nothing yet."""
    told = {d["_id"]: d["watermark"] for d in health}
    at = {shard: when for shard in ranges if (when := told.get(f"{spec.stream.name}/{shard}")) is not None}
    if silent := sorted(ranges.keys() - at.keys()):
        raise LookupError(f"no watermark yet: {', '.join(silent)}")
    return Watermarks(ranges, {shard: date_ms(when) for shard, when in at.items()})


def good_rows(client: MongoClient[Document], spec: Pipeline, trigger: str) -> list[Row]:
    """The source documents that are no poison."""
    found = spec.trigger(trigger)
    assert found is not None
    collection = client[found.database][found.collection].find({"poison": {"$exists": False}}).sort("n", 1)
    return [Row(date_ms(d["at"]), d["n"], d) for d in collection]


def check_view(report: Report, laws: Laws, name: str, rows: Iterable[Row], stored: Iterable[Document], terms: Terms) -> None:
    """One view, key by key. laws: of it alone."""
    route, key_of = laws.route, laws.views[name]
    keys: dict[Hashable, Key] = {}

    def of(key: Hashable) -> Key:
        return keys.setdefault(key, Key(route, key, place(route, key)))

    for row in rows:
        if name != STRICT or not row.document["late"]:
            of(typed(get(row.document, route))).rows.append(row)
    for document in stored:
        of(as_key(key_of(document))).docs.setdefault(name, []).append(document)
    for key in keys.values():
        if name == REVISED:
            check_revisions(report, laws.sets[0], key)
            key.docs = {name: [{**d, "revision": 0, "late": 0} for d in key.docs.get(name, ())]}
        report.add(laws.check(key, terms))


def check_revisions(report: Report, s: WindowSet, key: Key) -> None:
    """Every late reading has revised its window once; one that made it has not. What is right is counted with the values."""
    right = windows.expected(s, key.rows)
    for document in key.docs.get(s.name, ()):
        window = right.get(date_ms(document["_id"]["s"]))
        if window is None:
            continue  # one too many
        late = sum(row.document["late"] for row in window.rows)
        made = int(late == len(window.rows))
        said, wanted = (document["late"], document["revision"]), (late, late - made)
        if said != wanted:
            report.wrong(s.name, document["_id"], "differs", [Wrong("late, revision", said, wanted)])


def open_ranges(kinesis: Any, stream: str) -> Ranges:
    """The hashes of each open shard."""
    found = kinesis.list_shards(StreamName=stream)["Shards"]
    return {s["ShardId"]: hashes(s) for s in found if not s["SequenceNumberRange"].get("EndingSequenceNumber")}
