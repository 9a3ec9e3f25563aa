"""What must be: each record that lies on the stream in one class, each that is poisoned a dead letter once, each view as the
definitions say. Read from the stream and from the source collections alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient

from config.specs import Pipeline
from consumer.store.contract import CLASSES
from contract.codec import decode
from contract.event import Heartbeat
from contract.keys import typed
from contract.times import date_ms
from sandbox.verify import Report as Report
from sandbox.verify import Row, Watermarks, rolling, signals, watermarks, windows
from tests.chaos.faults import hashes
from windows.law.spec import Rolling, WindowSet

Document = dict[str, Any]
REVISED, STRICT = "meters", "houses"  # what a late reading does to the windows of its two keys
Ranges = Mapping[str, tuple[int, int]]  # shard -> the hashes that it holds, both ends
Place = tuple[str, int]  # shard, sequence number


@dataclass(slots=True)
class Expected:
    """classes: of each shard; letters: place -> (reason, data)."""

    classes: dict[str, Counter[str]] = field(default_factory=dict)
    letters: dict[Place, tuple[str, bytes]] = field(default_factory=dict)


def lie(kinesis: Any, stream: str) -> Mapping[str, list[tuple[int, bytes]]]:
    """All that lies on each shard: (sequence number, data). Parents stand before their children: numbers grow."""
    shards = sorted(s["ShardId"] for s in kinesis.list_shards(StreamName=stream)["Shards"])
    return {shard: list(_records(kinesis, stream, shard)) for shard in shards}


def _records(kinesis: Any, stream: str, shard: str) -> Iterator[tuple[int, bytes]]:
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while iterator:
        got = kinesis.get_records(ShardIterator=iterator, Limit=10_000)
        yield from ((int(r["SequenceNumber"]), r["Data"]) for r in got["Records"])
        iterator = got.get("NextShardIterator") if got["Records"] else None


def expected(on_stream: Mapping[str, Sequence[tuple[int, bytes]]], unreadable: Mapping[bytes, str]) -> Expected:
    """What each record has to become. unreadable: data -> reason."""
    found, seen = Expected(), set[str]()
    for shard, records in on_stream.items():
        classes = found.classes[shard] = Counter(dict.fromkeys(CLASSES, 0))
        for sequence, data in records:
            verdict, reason = judged(data, unreadable, seen)
            classes[verdict] += 1
            if reason is not None:
                found.letters[shard, sequence] = reason, data
    return found


def judged(data: bytes, unreadable: Mapping[bytes, str], seen: set[str]) -> tuple[str, str | None]:
    """(class, why there is a letter). seen: events so far, by id; an event that comes again is a repeat."""
    if data in unreadable:
        return "dead_letter", unreadable[data]
    message = decode(data)
    if isinstance(message, Heartbeat):
        return "control", None
    document = message.document or {}
    if "poison" in document:
        return "dead_letter", document["poison"]
    if message.id in seen:
        return "repeat", None
    seen.add(message.id)
    strict = document.get("late") is True and message.route == "house_id"
    return ("late", "late") if strict else ("counted", None)


def check_classes(report: Report, spec: Pipeline, right: Expected, health: Iterable[Document], changes: int) -> None:
    """Every shard has counted what lies on it, each record in its class, and every change of the source is counted once."""
    prefix = f"{spec.stream.name}/"
    stored = {d["_id"].removeprefix(prefix): d for d in health if d["_id"].startswith(prefix)}
    for shard, classes in right.classes.items():
        document = stored.pop(shard, dict.fromkeys((*CLASSES, "records")))
        report.compare(f"health {shard} records", document["records"], sum(classes.values()))
        for name in CLASSES:
            report.compare(f"health {shard} {name}", document[name], classes[name])
        reasons = Counter(reason for (at, _), (reason, _) in right.letters.items() if at == shard)
        report.compare(f"health {shard} reasons", document.get("dead_letters_by_reason"), dict(reasons))
    for shard in stored:
        report.differs(f"health {shard}: is there, and nothing lies on that shard")
    taken = sum(classes["counted"] + classes["late"] for classes in right.classes.values())
    report.compare("changes on the stream", taken, changes)


def check_letters(report: Report, right: Expected, stored: Iterable[Document]) -> None:
    """Each poisoned record has one letter, whole and with its reason; there is no other one."""
    wanted = dict(right.letters)
    for letter in stored:
        place = letter["_id"].get("shard"), int(letter["_id"].get("sequence") or -1)
        found = wanted.pop(place, None)
        if found is None or "document" in letter["_id"]:
            report.differs(f"dead letter {place}: {letter['reason']}, {letter['why']}: is there, and nothing was poisoned there")
            continue
        reason, data = found
        kept = letter["binary"] if letter["binary"] is not None else letter["record"].encode()
        report.compare(f"dead letter {place} reason", letter["reason"], reason)
        report.compare(f"dead letter {place} whole", kept, data)
    for place, (reason, _) in wanted.items():
        report.differs(f"dead letter {place}: {reason}: is missing")


def check_views(client: MongoClient[Document], spec: Pipeline, ranges: Ranges, right: Expected) -> Mapping[str, Report]:
    """Every view, by its name. ranges: of the open shards."""
    marks = watermarks(client, spec, ranges)
    views = client[spec.views.database]
    rows = {t.name: good_rows(client, spec, t.name) for t in spec.triggers}
    found = {s.name: Report() for s in spec.windows}
    for s in spec.windows:
        check_windows(found[s.name], s, rows[s.trigger], list(views[s.name].find()), marks)
    if spec.fraud is not None:
        scores = {d["_id"]: d for d in views[spec.fraud.view].find()}
        report = found[spec.fraud.view] = Report()
        signals.check_scores(report, spec.fraud, rows[spec.fraud.trigger], scores)
        for s in spec.windows:
            if isinstance(s.kind, Rolling) and (s.trigger, s.key) == (spec.fraud.trigger, spec.fraud.key):
                rolling.check_features(report, s, rows[s.trigger], scores)
    if spec.abandonment is not None:
        report, trigger = Report(), spec.abandonment.trigger
        signals.check_carts(report, spec.abandonment, rows[trigger], views[spec.abandonment.view].find(), marks)
        found[spec.abandonment.view] = report
    found["health"], found["dead_letters"] = Report(), Report()
    changes = sum(len(rows[t.name]) * len(t.routes) for t in spec.triggers)
    check_classes(found["health"], spec, right, views["health"].find(), changes)
    check_letters(found["dead_letters"], right, views["dead_letters"].find())
    return found


def good_rows(client: MongoClient[Document], spec: Pipeline, trigger: str) -> list[Row]:
    """The source documents that are no poison."""
    found = spec.trigger(trigger)
    assert found is not None
    collection = client[found.database][found.collection].find({"poison": {"$exists": False}}).sort("n", 1)
    return [Row(date_ms(d["at"]), d["n"], d) for d in collection]


def check_windows(report: Report, s: WindowSet, rows: Sequence[Row], stored: Sequence[Document], marks: Watermarks) -> None:
    """One window set's view."""
    if isinstance(s.kind, Rolling):
        rolling.check_views(report, s, rows, stored, marks)
    elif s.name == STRICT:
        windows.check(report, s, [row for row in rows if not row.document["late"]], stored, marks)
    elif s.name == REVISED:
        check_revisions(report, s, rows, stored)
        windows.check(report, s, rows, [{**d, "revision": 0, "late": 0} for d in stored], marks)
    else:
        windows.check(report, s, rows, stored, marks)


def check_revisions(report: Report, s: WindowSet, rows: Sequence[Row], stored: Iterable[Document]) -> None:
    """Every late reading has revised its window once; one that made it has not."""
    right = windows.expected(s, rows)
    for document in stored:
        window = right.get((typed(document["_id"]["k"]), date_ms(document["_id"]["s"])))
        own = window.rows if window is not None else []
        late = sum(row.document["late"] for row in own)
        made = int(late == len(own))
        name = f"{s.name} {document['_id']}"
        report.compare(f"{name} late, revision", (document["late"], document["revision"]), (late, late - made))


def open_ranges(kinesis: Any, stream: str) -> Ranges:
    """The hashes of each open shard."""
    found = kinesis.list_shards(StreamName=stream)["Shards"]
    return {s["ShardId"]: hashes(s) for s in found if not s["SequenceNumberRange"].get("EndingSequenceNumber")}
