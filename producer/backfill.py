"""`python -m producer backfill --trigger NAME [--trigger NAME …] [--since TIME]`: what is there already, as events.

Done before the trigger is relayed live for the first time, while no producer runs on the stream: live changes come behind it, from
right behind the moment that it was read as of. In these steps, so that a crash anywhere repeats and never skips: (1) the moment
is taken, and the ledger says that live changes begin there; (2) documents are read as of it and put, in the order of their event
times; (3) the place moves over what is acknowledged, once a second; (4) at the end the ledger says so, and the producer may start.

What an event of it vouches for (`cluster`) is never above what is still to come, so no watermark runs ahead of it, and there are no
heartbeats. More than one trigger go together, in the order of their times, as one stream has one watermark a shard.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import structlog
from bson import Timestamp

from config.specs import ALL, Pipeline, Trigger
from config.table import duration
from contract.errors import Misconfigured, Rejected
from contract.times import date, time_ms
from edge.mongo import Client
from producer import images
from producer.bookmark import Bookmark, Bookmarks
from producer.ledger import Entry, Known, Ledger
from producer.progress import Progress
from producer.snapshot import Place, Snapshot, begin, least, place
from producer.source import now

log = structlog.get_logger("producer")
SPAN = 120_000  # ms of event time that may be on their way together at most


def parser() -> argparse.ArgumentParser:
    """What may be said behind `backfill`."""
    made = argparse.ArgumentParser(
        prog="python -m producer backfill",
        description="Relays the documents that are in a trigger's collection already, before its changes are relayed.",
        allow_abbrev=False,
    )
    made.add_argument("--config", type=Path, help="the pipeline (default: EDDY_CONFIG, else pipeline.toml)")
    made.add_argument("--trigger", action="append", required=True, help="which; several go together, in the order of their times")
    made.add_argument("--since", help="leave out what happened before: a time (2026-11-01T00:00:00Z), or how long ago (30d)")
    made.add_argument("--late", action="store_true", help="although the stream is in use, so that windows have closed already")
    made.add_argument("--give-up", action="store_true", help="leave an unfinished one as it is; what was relayed stays counted")
    return made


class Places:
    """Where the pump saves how far it is: in the ledger, and at the end it is told to stop. Else as the bookmarks."""

    def __init__(self, ledger: Ledger, letters: Bookmarks, names: Sequence[str], stop: threading.Event, shown: Progress) -> None:
        self._ledger, self._letters, self._stop, self._shown = ledger, letters, stop, shown
        self._open = set(names)
        self.too_large = letters.too_large

    def save(self, bookmarks: Mapping[str, Bookmark]) -> None:
        """The places of all of them."""
        for name, mark in bookmarks.items():
            trigger, token = name.partition("/")[2], mark.position.token
            if trigger not in self._open or token is None:
                continue
            self._ledger.backfill(trigger, token["begun"], token)
            self._shown.at(trigger, token["n"])
            if token["done"]:
                self._open.discard(trigger)
                log.info("backfilled", trigger=trigger, documents=token["n"])
        if not self._open:
            self._stop.set()

    @property
    def done(self) -> bool:
        """Whether all are at their end."""
        return not self._open


def asked(
    spec: Pipeline, names: Sequence[str], since: str | None, at: Callable[[], float] = time.time
) -> tuple[list[Trigger], int | None]:
    """The triggers and the time, ms. Raises Misconfigured with every mistake at once."""
    wrong: list[str] = []
    found: list[Trigger] = []
    known = ", ".join(t.name for t in spec.triggers)
    moment = _since(since, at()) if since is not None else None
    if since is not None and moment is None:
        wrong.append(f"--since {since}: is no time; write one as 2026-11-01T00:00:00Z, or how long ago, as 30d")
    for name in dict.fromkeys(names):
        trigger = spec.trigger(name)
        if trigger is None:
            wrong.append(f"--trigger {name}: there is no such trigger; there are {known}")
            continue
        if ALL in (trigger.database, trigger.collection):
            wrong.append(
                f"--trigger {name}: watches more than one collection; give each that is to be backfilled a trigger of its own"
            )
        if "insert" not in trigger.operations:
            wrong.append(f'--trigger {name}: has no "insert" among its operations, and that is what a backfill is made of')
        if since is not None and trigger.time is None:
            wrong.append(f"--since: trigger {name} has no `time`, so nothing says when its documents happened")
        found.append(trigger)
    if wrong:
        raise Misconfigured("\n".join(wrong))
    return found, moment


def _since(text: str, at: float) -> int | None:
    try:
        return round(at * 1000) - duration(text)
    except ValueError:
        pass
    try:
        return time_ms(text)
    except Rejected:
        return None


def places(
    client: Client, spec: Pipeline, ledger: Ledger, bookmarks: Bookmarks, triggers: Sequence[Trigger], since: int | None, late: bool
) -> list[Place]:
    """Where to begin, or to go on; the ledger has it then. Raises Misconfigured where documents would count twice, or too late."""
    known = ledger.load()
    marks = bookmarks.load()
    others = [name for name, e in known.entries.items() if e.unfinished and name not in [t.name for t in triggers]]
    wrong = [why for t in triggers if (why := _refused(t, known, bool(marks)))]
    if others:
        wrong.append(f"the backfill of {', '.join(others)} is not at its end; go on with that first, or name them all")
    if wrong:
        raise Misconfigured("\n".join(wrong))
    entries = {t.name: known.entries.get(t.name) for t in triggers}
    going_on = all(e is not None and e.unfinished for e in entries.values())
    used = bool(marks) or any(e.backfill is not None and e.backfill["done"] for e in known.entries.values())
    if used and not late and not going_on:
        raise Misconfigured(
            f'the stream "{spec.stream.name}" is in use, so its windows are ahead of what would be backfilled: sets with'
            ' late = "update" would take it in as far as they `retain`, and all else would be dead letters. Backfill several'
            " triggers with one command, before anything is relayed; or give this one a stream and views of its own; or say --late"
            " if that is what you want"
        )
    images.ensure(client, triggers)
    moment = _moment(client)
    return [_place(client, ledger, t, entries[t.name], moment, since) for t in triggers]


def _moment(client: Client) -> Timestamp:
    """The last thing that the server has done."""
    seconds, increment = now(client).cluster
    return Timestamp(seconds, increment - 1)


def _refused(trigger: Trigger, known: Known, relayed: bool) -> str | None:
    entry = known.entries.get(trigger.name)
    instead = (
        "Its documents would count twice. To have them in views, give the trigger another name (and its windows too), with which"
        " nothing has been relayed yet"
    )
    if entry is None:
        if relayed and not known.entries:
            return (
                f"trigger {trigger.name}: an older producer has relayed this stream, and did not note which triggers. Start the"
                " producer once with `enabled = false` on this one if it is new, and stop it; then come again"
            )
        return None
    if entry.live:
        then = datetime.fromtimestamp(entry.begun.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"trigger {trigger.name}: is relayed live since {then}, and what was written since is relayed already. {instead}"
    if not entry.unfinished:
        return f"trigger {trigger.name}: was backfilled already. {instead}"
    return None


def _place(client: Client, ledger: Ledger, t: Trigger, entry: Entry | None, moment: Timestamp, since: int | None) -> Place:
    if entry is not None and entry.backfill is not None:
        found = place(entry.backfill)
        if since is not None:
            log.warning("--since is what it was when the backfill began", trigger=t.name, since=found.since)
        log.info("backfill goes on", trigger=t.name, documents=found.n, of=found.total)
        return found
    made = begin(client, t, moment, since)
    if not made.by_time and t.time is not None:
        log.warning(
            "no index serves the order of events, so it is that of _id", trigger=t.name, time=t.time,
            what="no window closes before the end, and rolling values are as of the order in which documents come; an index on"
            f" {t.time} (ascending, neither sparse nor partial) lets them come as they happened",
        )  # fmt: skip
    ledger.backfill(t.name, made.begun, made.document())
    oldest = None if made.least is None else str(date(made.least))
    log.info("backfill begins", trigger=t.name, documents=made.total, order=list(made.index), oldest=oldest)
    return made


def give_up(ledger: Ledger, triggers: Sequence[Trigger]) -> None:
    """What is unfinished counts as done; live changes begin where it was read as of. Raises Misconfigured where nothing is."""
    known = ledger.load()
    for trigger in triggers:
        entry = known.entries.get(trigger.name)
        if entry is None or not entry.unfinished or entry.backfill is None:
            raise Misconfigured(f"--give-up: there is no unfinished backfill of trigger {trigger.name}")
        ledger.backfill(trigger.name, entry.begun, {**entry.backfill, "done": True, "given_up": True})
        log.warning("backfill given up", trigger=trigger.name, documents=entry.backfill["n"], of=entry.backfill["total"])


def snapshots(client: Client, spec: Pipeline, triggers: Sequence[Trigger], found: Sequence[Place]) -> list[Snapshot]:
    """What is to be read, one for each trigger."""
    span = max(1_000, min(SPAN, spec.stream.max_future * 2 // 5))
    floor = least(found)
    return [Snapshot(client, t, p, span, floor) for t, p in zip(triggers, found, strict=True)]


def before(sources: Sequence[Snapshot]) -> dict[str, Bookmark]:
    """Where each of them stands, for the pump."""
    return {s.group.name: Bookmark(s.position) for s in sources}
