"""`make demo`: the whole way on real parts, one live page, and in the end every result checked against the source.

1 a fresh sandbox in .sandbox/demo     2 producer, consumer, traffic     3 the page, for DEMO_SECONDS
4 traffic stops; all is consumed, carts are judged     5 producer and consumer stop     6 every view is recomputed
7 everything that was started is stopped, whatever happened
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.live import Live

from config.load import load
from config.specs import Pipeline
from contract.errors import Fatal
from contract.times import date_ms
from edge.mongo import connect
from query.verify import Question, Verification
from sandbox import aws, stack, state
from sandbox.observe import Observer, Seen
from sandbox.page import Phase, line, page
from sandbox.processes import tail
from sandbox.stage import Stage
from sandbox.tap import Tap
from windows.law.spec import Rolling, Session

Document = dict[str, Any]
LIVE_AT_LEAST = 45.0  # seconds of results to look at, however long KCL took for its first lease
WAIT_FOR_WINDOWS = 40_000  # ms: longer windows are left open at the end, and compared as they stand
DRAIN_AT_MOST = 240.0
LOOK_EVERY, LINE_EVERY = 0.5, 5.0
LEASE_NOTE = "KCL takes its first lease, which lasts 15-35 s; until then the changes wait in the stream"


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM."""


@dataclass(slots=True)
class Asked:
    """The signal handler. Where a demo runs until Ctrl-C the first one only asks for the end; any other interrupts."""

    may_ask: bool
    yes: bool = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if not self.may_ask or self.yes:
            raise Interrupted
        self.yes = True


def main() -> int:
    """Exit status 0 only if nothing differs; 130 after Ctrl-C."""
    seconds = float(os.environ.get("DEMO_SECONDS") or 90)
    spec = load(Path(os.environ.get("EDDY_CONFIG") or "pipeline.toml"))
    home = state.directory() / "demo"
    asked = Asked(may_ask=seconds == 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    with _alone(home):
        say("demo: starting mongod, Kinesis and DynamoDB")
        shutil.rmtree(home, ignore_errors=True)
        try:
            return _run(home, spec, seconds, asked)
        except Interrupted:
            say("demo: interrupted; everything that it started is stopped")
            return 130


def _run(home: Path, spec: Pipeline, seconds: float, asked: Asked) -> int:
    stage: Stage | None = None
    try:
        stage = Stage.set(home, spec)
        stage.start("producer", "producer")
        stage.start("consumer", "consumer")
        stage.start("traffic", "sandbox", "traffic", *_gap(spec))
        good = perform(stage, seconds, asked)
        if good:
            stage.end()
            shutil.rmtree(home / "mongod", ignore_errors=True)
        return 0 if good else 1
    finally:
        if stage is not None:
            _undisturbed(stage.end)
        else:
            _undisturbed(partial(stack.down, home, say=False))


def perform(stage: Stage, seconds: float, asked: Asked) -> bool:
    """Steps 3 to 6. True if nothing differs."""
    with connect(stage.running.uri, "demo") as client:
        kinesis = aws.kinesis(stage.running.aws_port)
        observer = Observer(client, stage.spec, Tap(kinesis, stage.spec.stream.name).begin())
        with screen() as show:
            _live(stage, observer, seconds, asked, show)
            stage.stop("traffic")
            _drain(stage, observer, show)
        stage.stop("producer")
        stage.stop("consumer")
        # nothing writes any more, and the shop numbers its documents in the order in which it writes them: nothing is excused
        proof = Verification(client, stage.spec, Question(order="n", strict=True), whole=True)
        report = proof.run()
    say(f"demo: recomputed from {proof.read} source documents")
    for example in report.examples:
        say(f"  differs: {example}")
    say(report.line())
    if not report.good:
        say(f"demo: NOT as it should be; logs and data are in {stage.home}")
    return report.good


Show = Callable[[Seen, Phase], None]


def _live(stage: Stage, observer: Observer, seconds: float, asked: Asked, show: Show) -> None:
    """Until DEMO_SECONDS are over and results were to be seen for a while; for ever with 0, until Ctrl-C."""
    first: float | None = None
    least = min(LIVE_AT_LEAST, seconds / 2)
    while not asked.yes:
        stage.must_live()
        seen, now = observer.look(), time.monotonic()
        first = now if first is None and seen.watermark is not None else first
        show(
            seen,
            Phase(
                "live" if seconds else "live, until Ctrl-C", now - stage.begun, seconds or None, LEASE_NOTE if first is None else ""
            ),
        )
        if seconds and now - stage.begun > seconds and first is not None and now - first > least:
            return
        if seconds and now - stage.begun > seconds + DRAIN_AT_MOST:
            raise Fatal(f"nothing was processed within {seconds + DRAIN_AT_MOST:.0f} s; the consumer's log ends:\n"
                        + tail(stage.home / "consumer.log"))  # fmt: skip
        time.sleep(LOOK_EVERY)


def _drain(stage: Stage, observer: Observer, show: Show) -> None:
    """Until all that was written is in the views and what can close soon is closed. Ends after a while in any case."""
    target = _last(observer, stage.spec) + _settles(stage.spec)
    deadline = time.monotonic() + DRAIN_AT_MOST
    while time.monotonic() < deadline:
        stage.must_live()
        seen = observer.look()
        left = target - (date_ms(seen.watermark) if seen.watermark else 0)
        note = f"traffic has stopped; the watermark has {max(0, left) / 1000:.0f} s to go until the last carts are judged"
        show(seen, Phase("draining", time.monotonic() - stage.begun, None, note))
        if left < 0 and seen.counts["processed"] >= seen.counts["relayed"]:
            return
        time.sleep(LOOK_EVERY)


def _last(observer: Observer, spec: Pipeline) -> int:
    """The last event time of all."""
    times = []
    for trigger in spec.triggers:
        field_name = trigger.time or "at"
        found = observer.client[trigger.database][trigger.collection].find_one(sort=[(field_name, -1)])
        times.append(date_ms(found[field_name]) if found else 0)
    return max(times)


def _settles(spec: Pipeline) -> int:
    """ms after the last event until every window that is not too long to wait for has closed, and every cart is judged."""
    kinds = [(s.kind, s.lateness) for s in spec.windows]
    waits = [
        3_000,
        *(
            (kind.gap if isinstance(kind, Session) else kind.size) + lateness
            for kind, lateness in kinds
            if not isinstance(kind, Rolling)
        ),
    ]
    if spec.abandonment is not None:
        waits.append(spec.abandonment.gap + spec.abandonment.lateness)
    return max(wait for wait in waits if wait <= WAIT_FOR_WINDOWS)


def _gap(spec: Pipeline) -> Sequence[str]:
    """Carts that are left should be left for long enough."""
    return ("--gap", str(spec.abandonment.gap / 1_000)) if spec.abandonment is not None else ()


@contextmanager
def screen() -> Iterator[Show]:
    """One live page on a terminal; a line every few seconds elsewhere."""
    console = Console()
    if not console.is_terminal:
        yield _lines()
        return
    with Live(console=console, refresh_per_second=4, vertical_overflow="crop") as live:
        yield lambda seen, phase: live.update(page(seen, phase), refresh=True)


def _lines() -> Show:
    said: dict[str, float] = {}  # phase -> when

    def show(seen: Seen, phase: Phase) -> None:
        if time.monotonic() - said.get(phase.title, 0.0) > LINE_EVERY:
            said[phase.title] = time.monotonic()
            say(line(seen, phase))

    return show


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One demo at a time in a checkout."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_suffix(".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fatal("another `make demo` runs in this checkout; wait for it, or stop it with Ctrl-C there") from None
        yield


def _undisturbed(clean_up: Callable[[], object]) -> None:
    """Clean up to the end: a second Ctrl-C must leave nothing behind either."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: say("demo: still stopping what was started"))
    clean_up()


def say(text: str) -> None:
    """One line."""
    print(text, flush=True)
