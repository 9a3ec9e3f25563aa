"""`python -m consumer replay`: the same pipeline on a file. No KCL, no MongoDB; the events are the clock, the store is memory.

    python -m consumer replay --config pipeline.toml --events FILE --out DIR [--trigger NAME] [--features]

FILE is JSON lines: events and heartbeats as relayed, or bare documents of one trigger. Which of both is never guessed where it is
said: with --trigger, or where the configuration's stream is one of bare documents, all lines are documents, whatever they look
like. Else the first line that is a JSON object decides. At the file's end every window is closed. All the file is one shard.
Everything written depends on the two files alone: two runs give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from config.load import load
from config.signals import usual
from config.specs import Pipeline, Trigger
from consumer.intake.batch import NO_LIMIT
from consumer.intake.files import documents, holds_envelopes, relayed
from consumer.intake.records import Raw
from consumer.life import Limits
from consumer.replay.outputs import summary, write, write_features, write_scored
from consumer.runner import Runner
from consumer.step.pipeline import Seen
from consumer.store.contract import Cursor, Effects, ShardId
from consumer.store.memory import MemoryStore
from contract.errors import Misconfigured
from contract.times import EPOCH, date

BATCH = 5_000  # records
FEW = 500  # where other entities are looked up, whose views are as of the batch before
FEATURES = ("features.jsonl", "scored.jsonl")
SHARD = "replay"
TRIGGER = (
    "all lines are bare documents of this trigger, whatever they look like; without it, and where stream.format is not "
    '"document", the first line that is a JSON object says whether the file holds bare documents, or events as relayed'
)


class EventTimeStore(MemoryStore):
    """The store in memory, with the watermark of a commit as its `updated_at`: no clock shows in what is written."""

    def __init__(self, spec: Pipeline) -> None:
        super().__init__(spec, clock=lambda: self._at)
        self._at = EPOCH

    def commit(self, effects: Effects) -> Cursor:
        """As in memory."""
        at = date(effects.cursor.watermark)
        self._at = at if isinstance(at, datetime) else EPOCH
        return super().commit(effects)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a replay; the exit code: 0, 2 for wrong arguments, 78 for a wrong configuration."""
    parser = _parser()
    given = parser.parse_args(argv)
    began = time.monotonic()
    try:
        spec = load(given.config)
        with given.events.open("rb") as file:
            envelopes, lines = holds_envelopes(file)
            trigger = _bare_trigger(parser, spec, envelopes, given)
            given.out.mkdir(parents=True, exist_ok=True)
            cursor = replay(spec, lines, given.out, trigger, given.features)
    except Misconfigured as error:
        print(error.what, file=sys.stderr)
        return error.status
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    print(summary(cursor, time.monotonic() - began), file=sys.stderr)
    return 0


def replay(spec: Pipeline, lines: Iterable[bytes], out: Path, trigger: Trigger | None, features: bool) -> Cursor:
    """Replays lines into a folder. trigger: whose bare documents the lines are; None: they are events as relayed."""
    with ExitStack() as open_files:
        files = [open_files.enter_context((out / name).open("wb")) for name in FEATURES] if features else []
        if features:
            spec = with_features(spec)

        def observed(seen: Sequence[Seen]) -> None:
            write_features(files[0], seen)
            write_scored(files[1], seen)

        size = FEW if features and spec.fraud is not None and spec.fraud.lookups else BATCH
        store = EventTimeStore(spec)
        runner = Runner(
            spec,
            store,
            ShardId(spec.stream.name, 0, SHARD),
            limits=Limits(budget=NO_LIMIT),
            durable=False,
            observe=observed if features else None,
        )
        for batch in relayed(lines, size) if trigger is None else _batches(documents(lines, trigger), size):
            runner.feed(batch)
        cursor = runner.finish()
    write(out, spec, store, cursor)
    return cursor


def with_features(spec: Pipeline) -> Pipeline:
    """With the features that follow from the window sets, where `[fraud.features]` names none."""
    trigger = None if spec.fraud is None else spec.trigger(spec.fraud.trigger)
    if spec.fraud is None or trigger is None:
        return spec
    return replace(spec, fraud=usual(spec.fraud, trigger, spec.windows))


def _batches(raws: Iterable[Raw], size: int) -> Iterator[list[Raw]]:
    rest = iter(raws)
    while batch := list(islice(rest, size)):
        yield batch


def _bare_trigger(
    parser: argparse.ArgumentParser, spec: Pipeline, relayed_lines: bool | None, given: argparse.Namespace
) -> Trigger | None:
    """Whose bare documents the lines are, None for events as relayed. Wrong arguments end the program. relayed_lines: what the
    first line looks like, which counts only where nobody has said what the lines are."""
    name, events = given.trigger, given.events
    told = f"--trigger {name}" if name is not None else 'stream.format = "document"' if spec.stream.format == "document" else None
    named = [t for t in spec.triggers if name in (None, t.name)]
    known = ", ".join(t.name for t in spec.triggers)
    if not named:
        parser.error(f"--trigger {name}: there is no such trigger; there is {known}")
    if told is not None and relayed_lines:
        print(f"{events}: begins like events as relayed; by {told} all its lines are bare documents", file=sys.stderr)
    if told is None and (relayed_lines or (relayed_lines is None and len(named) > 1)):
        return None
    if len(named) > 1:
        parser.error(f"the lines of {events} are bare documents: name their trigger with --trigger, one of {known}")
    if named[0].time is None:
        place = spec.triggers.index(named[0])
        raise Misconfigured(f"trigger[{place}].time: missing; bare documents have no other time: name the field that holds it")
    return named[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m consumer replay", description="The same pipeline on a file of events.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, required=True, help="pipeline.toml")
    parser.add_argument("--events", type=Path, required=True, help="JSON lines: events as relayed, or bare documents")
    parser.add_argument("--out", type=Path, required=True, help="the folder that gets the views, made if it is missing")
    parser.add_argument("--trigger", metavar="NAME", help=TRIGGER)
    parser.add_argument(
        "--features",
        action="store_true",
        help="write features.jsonl, the rolling values of each event, and scored.jsonl, what a model may use of each scored one",
    )
    return parser
