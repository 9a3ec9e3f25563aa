"""`python -m producer [--config pipeline.toml]`: relay what the triggers see from MongoDB into Kinesis, until told to stop.
`python -m producer restart --from now|TIME|TOKEN`: have the next start go on from another place.
`python -m producer backfill --trigger NAME`: relay what was there before (see `backfill.py`).

Ends with 0 on SIGTERM and SIGINT, with contract.errors' status where there is nothing to wait for.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import structlog
from rich.console import Console

from config.environment import Environment, environment
from config.load import load
from config.specs import Pipeline
from contract.errors import Fatal, Fenced, HistoryLost, Misconfigured, Retryable
from contract.event import Gap
from edge import aws, logs
from edge.http import Serving
from edge.mongo import Client
from edge.patience import patiently
from producer import backfill, dry, filters, images, kinesis, lease, mongo, oplog, restart, skips
from producer.board import Board
from producer.bookmark import Bookmark, Bookmarks, first_positions
from producer.ledger import Known, Ledger
from producer.progress import Progress
from producer.pump import Pump
from producer.reader import SOON, Stopped, waiting
from producer.relay import Limits
from producer.source import Lost, Source, groups, now

log = structlog.get_logger("producer")
OLD_REQUEST = 5_000_000  # bytes
MOST_SHARDS = 10_000
GIVE_UP_WITHIN = 1.0  # s for the lease to be given up; after that it runs out


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit status."""
    logs.configure()
    parser = argparse.ArgumentParser(
        prog="python -m producer", description="Relays MongoDB changes into Kinesis.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, help="the pipeline (default: EDDY_CONFIG, else pipeline.toml)")
    commands = parser.add_subparsers(dest="command")
    again = commands.add_parser("restart", help="go on from another place, at the next start", allow_abbrev=False)
    again.add_argument("--config", type=Path, default=argparse.SUPPRESS, help="the pipeline")
    again.add_argument("--from", dest="place", required=True, metavar="now|TIME|TOKEN", help=restart.FORMS)
    parser.add_argument("--once", action="store_true", help="relay up to MongoDB's present time, then end")
    parser.add_argument("--dry-run", action="store_true", help="print what would be sent; nothing is put, no bookmark moves")
    parser.add_argument(
        "--create-stream", action="store_true", help="make the stream if there is none: on demand, or with --shards"
    )
    parser.add_argument("--shards", type=int, metavar="N", help="with --create-stream: provisioned, with so many shards")
    words = sys.argv[1:] if argv is None else argv
    filling = words[:1] == ["backfill"]
    given = backfill.parser().parse_args(words[1:]) if filling else parser.parse_args(words)
    if not filling and given.shards is not None and not (given.create_stream and 1 <= given.shards <= MOST_SHARDS):
        parser.error(f"--shards: from 1 to {MOST_SHARDS}, and only with --create-stream")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        env = environment()
        spec = load(given.config or env.config)
        if filling:
            return fill(spec, env, stop, given)
        if given.command == "restart":
            move(spec, env, given.place, waiting(stop))
        else:
            run(spec, env, stop, Options(given.once, given.dry_run, given.create_stream, given.shards))
    except Stopped:
        log.info("ended", why="told to stop before the start was over")
    except Fatal as error:
        kind = HistoryLost if isinstance(error, HistoryLost) else type(error)
        log.error("stopped", error=kind.__name__, what=str(error), status=error.status)
        if sys.stderr.isatty():
            print(error, file=sys.stderr)
        return error.status
    return 0


class Options(NamedTuple):
    """What the command line says."""

    once: bool = False
    dry_run: bool = False
    create_stream: bool = False
    shards: int | None = None


USUAL = Options()


def run(spec: Pipeline, env: Environment, stop: threading.Event, options: Options = USUAL) -> None:
    """Connect, find out where to begin, save it, say so, and relay. Raises Fatal, and Stopped if stopped before it began."""
    if env.mongodb_uri is None:
        raise Misconfigured("MONGODB_URI: not set; set it to the replica set to watch, or use `make run-producer` for the sandbox")
    board, own = Board(spec.stream.name), spec.producer
    serving = Serving("[producer] port", own.address, own.port, board.pages()) if own.port else None
    client = mongo.connect(env.mongodb_uri)
    target = kinesis.Kinesis(aws.kinesis(env, kinesis.ONE_TRY), spec.stream, env)
    name, term = spec.stream.name, own.lease / 1000
    held = lease.Lease(client, spec.views.database, name, lease.law(spec), lease.ourselves(env.worker), term)
    try:
        wait = _shown(waiting(stop), board)
        until = patiently("MongoDB", lambda: present(client), wait, longest=SOON) if options.once else None
        if options.dry_run:
            patiently("MongoDB", lambda: filters.check(client, spec.triggers), wait, longest=SOON)
            dry_run(spec, client, until, stop, wait)
            return
        if options.create_stream and patiently("Kinesis", lambda: target.make(options.shards), wait, longest=SOON):
            log.info("stream made", stream=name, shards=options.shards or "on demand")
        shards = patiently("Kinesis", target.shards, wait, longest=SOON)
        most = patiently("Kinesis", lambda: limits(target), wait, longest=SOON)
        patiently("MongoDB", lambda: filters.check(client, spec.triggers), wait, longest=SOON)
        alone(held, board, waiting(stop), wait)
        held.keep(stop.set)
        bookmarks = Bookmarks(client, spec.views.database, name, held.epoch)
        lost: dict[str, str] = {}

        def oldest() -> int | None:
            return oplog.first(client)

        while True:
            marks, sources = ready(spec, env, client, target, bookmarks, lost, wait)
            try:
                Pump(
                    spec.stream,
                    sources,
                    target,
                    bookmarks,
                    marks,
                    shards,
                    stop,
                    most,
                    board,
                    held=held.held,
                    until=until,
                    oldest=oldest,
                    headroom=own.headroom / 1000,
                ).run()
                break
            except Lost as error:
                if own.on_history_lost == "stop" or stop.is_set():
                    raise
                lost = {error.group: str(error)}
                shards = patiently("Kinesis", target.shards, wait, longest=SOON)
    except Stopped:
        if held.lost is None:
            raise
    except Fenced:
        held.renew()  # says who has it
        raise
    finally:
        give_up(held)
        client.close()
        if serving is not None:
            serving.close()
    if held.lost is not None:
        raise held.lost


def move(spec: Pipeline, env: Environment, text: str, wait: Callable[[float], None]) -> None:
    """The bookmarks to where the operator says. Raises Misconfigured while a producer holds the lease."""
    if env.mongodb_uri is None:
        raise Misconfigured("MONGODB_URI: not set; set it to the replica set that is watched")
    client = mongo.connect(env.mongodb_uri)
    held = lease.Lease(
        client, spec.views.database, spec.stream.name, lease.law(spec), lease.ourselves(env.worker), spec.producer.lease / 1000
    )
    try:
        to = restart.place(text, patiently("MongoDB", lambda: now(client), wait, longest=SOON))
        if (holder := patiently("MongoDB", held.holder, wait, longest=SOON) or held.take()) is not None:
            raise Misconfigured(f"restart: {holder} relays this stream; stop that producer first, and those that stand by")
        restart.restart(held, Bookmarks(client, spec.views.database, spec.stream.name, held.epoch), groups(spec.triggers), to)
    finally:
        give_up(held)
        client.close()


def ready(
    spec: Pipeline,
    env: Environment,
    client: Client,
    target: kinesis.Kinesis,
    bookmarks: Bookmarks,
    lost: dict[str, str],
    wait: Callable[[float], None],
) -> tuple[dict[str, Bookmark], list[Source]]:
    """The streams, open where the bookmarks stand. Groups that are lost, and why, begin anew; what was skipped is told before."""
    patiently("MongoDB", lambda: images.ensure(client, spec.triggers), wait, longest=SOON)
    begun, sources, gaps = patiently("MongoDB", lambda: begin(spec, client, bookmarks, lost), wait, longest=SOON)
    skips.tell(gaps, spec.stream, target, wait)
    marks = skips.closed(begun)
    patiently("MongoDB", lambda: settle(bookmarks, marks), wait, longest=SOON)
    log.info(
        "ready", stream=spec.stream.name, mongodb=env.mongodb, kinesis=env.kinesis_endpoint or env.region,
        watching={s.group.name: [f"{db}.{name}" for db, name in s.group.namespaces] for s in sources},
        since={name: moment(mark.position.cluster[0]) for name, mark in marks.items()},
    )  # fmt: skip
    return marks, sources


def settle(bookmarks: Bookmarks, marks: Mapping[str, Bookmark]) -> None:
    """Gaps are told; groups that no trigger is in any more are forgotten: a stale bookmark would bring back long-gone changes."""
    bookmarks.save(marks)
    bookmarks.drop([name for name in bookmarks.load() if name not in marks])


def present(client: Client) -> tuple[int, int]:
    """The cluster time of the last thing that the server has done."""
    seconds, next_one = now(client).cluster
    return seconds, next_one - 1


def dry_run(
    spec: Pipeline, client: Client, until: tuple[int, int] | None, stop: threading.Event, wait: Callable[[float], None]
) -> None:
    """Print what would be sent, from where the bookmarks stand."""
    watched = groups(spec.triggers)
    found = patiently("MongoDB", Bookmarks(client, spec.views.database, spec.stream.name).load, wait, longest=SOON)
    marks = first_positions(found, [g.name for g in watched], lambda: now(client))
    sources = [Source(client, group, marks[group.name].position) for group in watched]
    try:
        patiently("MongoDB", lambda: dry.show(sources, until, stop, sys.stdout), wait, longest=SOON)
    finally:
        for source in sources:
            source.close()


def alone(held: lease.Lease, board: Board, pause: Callable[[float], None], wait: Callable[[float], None]) -> None:
    """Stand by for as long as another one relays. Raises Misconfigured where that one has other triggers."""
    before: lease.Owner | None = None
    while (holder := patiently("MongoDB", held.take, wait, longest=SOON)) is not None:
        board.standing_by(str(holder))
        if holder != before:
            log.info("standing by", holder=str(holder))
            before = holder
        pause(lease.LOOKS)
    board.standing_by(None)
    log.info("lease taken", epoch=held.epoch, owner=str(held.me), **({} if before is None else {"after": str(before)}))


def give_up(held: lease.Lease) -> None:
    """The lease, where it is ours; one that cannot be given up now runs out."""
    if held.epoch and held.lost is None:
        giving = threading.Thread(target=_release, args=(held,), daemon=True)
        giving.start()
        giving.join(GIVE_UP_WITHIN)


def _release(held: lease.Lease) -> None:
    try:
        held.release()
    except (Retryable, Fatal) as error:
        log.warning("lease not given up: it runs out", why=str(error))


def fill(spec: Pipeline, env: Environment, stop: threading.Event, given: argparse.Namespace) -> int:
    """Backfill triggers: the exit status, 0 once all of it is relayed, 1 where it was told to stop before that. Raises Fatal."""
    if env.mongodb_uri is None:
        raise Misconfigured("MONGODB_URI: not set; set it to the replica set to read from")
    triggers, since = backfill.asked(spec, given.trigger, given.since)
    client = mongo.connect(env.mongodb_uri)
    name, term = spec.stream.name, spec.producer.lease / 1000
    held = lease.Lease(client, spec.views.database, name, lease.law(spec), lease.ourselves(env.worker), term)
    ledger = Ledger(client, spec.views.database, name)
    wait = waiting(stop)
    try:
        if (holder := patiently("MongoDB", held.take, wait, longest=SOON)) is not None:
            raise Misconfigured(f"backfill: {holder} relays this stream; stop that producer first, and those that stand by")
        held.keep(stop.set)
        bookmarks = Bookmarks(client, spec.views.database, name, held.epoch)
        if given.give_up:
            patiently("MongoDB", lambda: backfill.give_up(ledger, triggers), wait, longest=SOON)
            return 0
        target = kinesis.Kinesis(aws.kinesis(env, kinesis.ONE_TRY), spec.stream, env)
        shards = patiently("Kinesis", target.shards, wait, longest=SOON)
        most = patiently("Kinesis", lambda: limits(target), wait, longest=SOON)
        patiently("MongoDB", lambda: filters.check(client, triggers), wait, longest=SOON)
        found = patiently(
            "MongoDB",
            lambda: backfill.places(client, spec, ledger, bookmarks, triggers, since, given.late),
            wait,
            longest=SOON,
        )
        sources = backfill.snapshots(client, spec, triggers, found)
        totals = {t.name: p.total for t, p in zip(triggers, found, strict=True)}
        done = {t.name: p.n for t, p in zip(triggers, found, strict=True)}
        with Progress(totals, done, Console(stderr=True)) as shown:
            places = backfill.Places(ledger, bookmarks, list(totals), stop, shown)
            often = replace(most, eager=most.flying)  # what is sparse in time comes in small requests
            marks = backfill.before(sources)
            Pump(spec.stream, sources, target, places, marks, shards, stop, often, held=held.held, beats=False).run()
    finally:
        give_up(held)
        client.close()
    if held.lost is not None:
        raise held.lost
    return 0 if places.done else 1


def _shown(wait: Callable[[float], None], board: Board) -> Callable[[float], None]:
    """The same wait, which lets the board know that somebody lives."""

    def waits(seconds: float) -> None:
        board.alive_still()
        wait(seconds)

    return waits


def limits(target: kinesis.Kinesis) -> Limits:
    """What the stream takes. A service that does not say so knows records of 1 MiB and requests of 5 MB, as Kinesis once did."""
    try:
        record = target.record_limit()
    except Misconfigured as error:
        log.warning("not asked how large a record may be: 1 MiB", why=str(error))
        record = None
    return Limits(request=OLD_REQUEST) if record is None else Limits(record=record)


def begin(
    spec: Pipeline, client: Client, bookmarks: Bookmarks, lost: dict[str, str]
) -> tuple[dict[str, Bookmark], list[Source], list[Gap]]:
    """Open the streams where the bookmarks stand, the first time from now on, and save at once where that is; and what is to be
    told as skipped. lost: why a group cannot go on, which is found out here, too, where that is no reason to stop."""
    bookmarks.claim()
    found = bookmarks.load()
    watched = groups(spec.triggers)
    ledger = Ledger(client, spec.views.database, spec.stream.name)
    known = ledger.load()
    at_its_end(known)
    earlier = known.from_earlier(watched, {name: mark.position.cluster for name, mark in found.items()})
    marks = first_positions(found, [g.name for g in watched], lambda: now(client), earlier)
    for group in watched:
        if group.asks == "images" and group.name not in found and group.name not in earlier and found:
            oldest = min(found.values(), key=lambda mark: mark.position.cluster)
            names = [trigger.name for trigger in group.triggers]
            marks[group.name] = Bookmark(oldest.position).skipping(marks[group.name].position, names)
            log.warning("triggers are new to before = true: what they saw before is not told", **skips.told(marks[group.name].gap))
    skips.without(lost, watched, marks, lambda: now(client))
    begun = {name: mark.position.cluster for name, mark in marks.items()}
    sources = [Source(client, group, marks[group.name].position, known.since(group)) for group in watched]
    for source in sources:
        try:
            position = source.open()
        except Lost as error:
            if spec.producer.on_history_lost == "stop" or error.group in lost:
                raise
            lost[error.group] = str(error)
            return begin(spec, client, bookmarks, lost)
        marks[source.group.name] = replace(marks[source.group.name], position=position)
    bookmarks.begin(marks)
    ledger.live({g.name: [t.name for t in g.triggers] for g in watched}, begun)
    for trigger in (t for t in spec.triggers if not t.enabled):
        log.info("trigger not enabled", trigger=trigger.name, what="what changes while it is not is relayed never")
    for name in [name for name in marks if name not in found]:
        log.info("no bookmark yet", group=name, since=moment(marks[name].position.cluster[0]))
    gone = [mark for name, mark in found.items() if name not in marks]
    return marks, sources, skips.open_gaps([*marks.values(), *gone])


def at_its_end(known: Known) -> None:
    """Live changes come behind a backfill, so none may be on its way. Raises Misconfigured."""
    for name in (name for name, entry in known.entries.items() if entry.unfinished):
        raise Misconfigured(
            f"the backfill of trigger {name} is not at its end, and live changes would come in front of what it has still to tell."
            f" Go on with it:\npython -m producer backfill --trigger {name}\nor, where its documents are not wanted, give it up:"
            f"\npython -m producer backfill --trigger {name} --give-up"
        )


def moment(seconds: int) -> str:
    """A cluster time for people."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a request that hangs in a thread would hold the process for as long as it waits
