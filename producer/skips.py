"""What the producer did not relay, and how it is said: a gap record on each open shard, in front of all that comes behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from config.specs import Stream
from contract.codec import encode
from contract.errors import Retryable
from contract.event import Gap
from contract.times import date, spelled
from edge.patience import patiently
from producer.bookmark import Bookmark
from producer.kinesis import Kinesis
from producer.reader import SOON
from producer.relay import Position
from producer.source import Group

log = structlog.get_logger("producer")


def without(lost: Mapping[str, str], groups: Iterable[Group], marks: dict[str, Bookmark], to: Callable[[], Position]) -> None:
    """Groups that cannot go on begin anew at another position, behind a gap. lost: why, by group."""
    for group in groups:
        if (why := lost.get(group.name)) is not None:
            names = [trigger.name for trigger in group.triggers]
            marks[group.name] = marks[group.name].skipping(to(), names)
            log.error("history lost, going on behind it", group=group.name, why=why, **told(marks[group.name].gap))


def tell(gaps: Iterable[Gap], stream: Stream, target: Kinesis, wait: Callable[[float], None]) -> None:
    """Put them, until every open shard has each. Nothing else may be on its way."""
    for gap in gaps:
        if stream.format != "event":
            log.warning("skipped, and a stream of bare documents cannot say so", **told(gap))
            continue
        done: set[str] = set()
        data = encode(gap)

        def put(data: bytes = data, done: set[str] = done) -> None:
            if not target.everywhere(data, done) and not target.everywhere(data, done):
                raise Retryable("not every shard has taken the record of a gap")

        patiently("Kinesis", put, wait, longest=SOON)
        log.warning("gap told: windows of that time say complete: false", shards=len(done), **told(gap))


def open_gaps(marks: Iterable[Bookmark]) -> list[Gap]:
    """Those that are to be told."""
    return [mark.gap for mark in marks if mark.gap is not None]


def closed(marks: Mapping[str, Bookmark]) -> dict[str, Bookmark]:
    """The bookmarks once all gaps are told."""
    return {name: replace(mark, gap=None) for name, mark in marks.items()}


def told(gap: Gap | None) -> dict[str, object]:
    """A gap for a log."""
    return (
        {} if gap is None else {"since": spelled(date(gap.begin)), "until": spelled(date(gap.end)), "triggers": list(gap.triggers)}
    )
