"""100,000 changes at full speed: all arrive, on the stack and in a replay of the same events, and the two make the same views."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from pymongo import MongoClient

from config.specs import Pipeline
from consumer.runner import columnar
from consumer.step.keys import unpack
from consumer.store.mongo import MongoStore
from contract.codec import decode, encode
from contract.event import Event, Heartbeat
from contract.keys import typed
from contract.times import date_ms
from contract.values import value
from query.verify import Question, Verification
from sandbox import aws
from sandbox.stage import Stage
from sandbox.tap import Tap
from tests.e2e.conftest import ROOT, SetUp, until
from windows.law.spec import Rolling

Document = dict[str, Any]
SOAK = bool(os.environ.get("EDDY_SOAK"))
COUNT = 500_000 if SOAK else 100_000
SPAN = 5  # seconds: faster than anything can insert them, so that event times are those of the insertion
LATENESS = "10s"  # so that nothing is late on a machine that is short of breath either
EVERYTHING = ROOT / "tests" / "sandbox" / "everything.toml"
WITHIN = 3_000 if SOAK else 600
CLASSES = ("counted", "repeat", "late", "ignored", "dead_letter")
NOT_COMPARED = ("updated_at", "closed_by")


def config(folder: Path) -> Path:
    """Every kind of window, patient enough for full speed; one rolling set is long enough to hold the whole run."""
    text = EVERYTHING.read_text()
    text = text.replace("[windows.measures]", f'lateness = "{LATENESS}"\n[windows.measures]')
    text = text.replace('gap = "2s"\npurchase', f'gap = "2s"\nlateness = "{LATENESS}"\npurchase')
    text = text.replace('rolling = { size = "20s"', 'rolling = { size = "10m"')
    (folder / "pipeline.toml").write_text(text)
    return folder / "pipeline.toml"


@pytest.mark.timeout(WITHIN + 600)
def test_full_speed_is_complete_and_replay_makes_the_same_views(set_stage: SetUp, tmp_path: Path) -> None:
    stage = set_stage(config(tmp_path))
    spec = stage.spec
    stage.start("consumer", "consumer")
    stage.start("producer", "producer")
    write_all(stage)
    with MongoClient[Document](stage.running.uri, tz_aware=True) as client:
        watermark = consumed(stage, client)
        events = recorded(stage, tmp_path / "events.jsonl", watermark + spec.stream.settle)
        rows = sum(client["shop"][t.collection].count_documents({}) * len(t.routes) for t in spec.triggers)
        assert events == rows
        with subprocess.Popen(replay(tmp_path), cwd=ROOT, stderr=subprocess.PIPE, text=True) as running:
            said = running.stderr.read() if running.stderr else ""
        assert running.returncode == 0, said
        the_classes_add_up(client, tmp_path / "out", spec, rows)
        the_views_are_the_same(client, tmp_path / "out", spec)
        the_rolling_values_are_the_same(client, tmp_path / "out", spec, watermark)
        if SOAK:
            report = Verification(client, spec, Question(order="n", strict=True), whole=True).run()
            assert (report.examples, report.differ) == ([], 0)


def write_all(stage: Stage) -> None:
    """The shop at full speed."""
    options = ["--count", str(COUNT), "--span", str(SPAN), "--gap", "2", "--cards", "2000"]
    subprocess.run([sys.executable, "-m", "sandbox", "traffic", *options], env=stage.environment(), check=True, cwd=ROOT)


def consumed(stage: Stage, client: MongoClient[Document]) -> int:
    """Wait until the watermark has passed all that can close; stop producer and consumer; the watermark then."""
    names = {t.collection: client["shop"][t.collection].find_one(sort=[("at", -1)]) for t in stage.spec.triggers}
    last = max(date_ms(found["at"]) for found in names.values() if found is not None)
    health = client[stage.spec.views.database]["health"]

    def passed() -> bool:
        marks = [d["watermark"] for d in health.find()]
        return len(marks) == stage.spec.stream.shards and all(m is not None and date_ms(m) > last + 25_000 for m in marks)

    until("everything consumed and closed", passed, WITHIN, stage)
    stage.stop("producer")
    stage.stop("consumer")
    return max(date_ms(d["watermark"]) for d in health.find())


def recorded(stage: Stage, file: Path, end: int) -> int:
    """Write the changes of the stream, in the order in which they were put, and one last heartbeat. How many changes."""
    tap = Tap(aws.kinesis(stage.running.aws_port), stage.spec.stream.name).begin()
    records = sorted((int(record["SequenceNumber"]), record["SubSequenceNumber"], record["Data"]) for _, record in tap.read())
    changes = [data for *_, data in records if isinstance(decode(data), Event)]
    file.write_bytes(b"".join(data + b"\n" for data in (*changes, encode(Heartbeat(end)))))
    return len(changes)


def replay(folder: Path) -> Sequence[str]:
    """The command."""
    files = {"--config": "pipeline.toml", "--events": "events.jsonl", "--out": "out"}
    return [sys.executable, "-m", "consumer", "replay", *(word for k, v in files.items() for word in (k, str(folder / v)))]


def the_classes_add_up(client: MongoClient[Document], out: Path, spec: Pipeline, changes: int) -> None:
    """Every change of the source is counted, once for each of its routes, and nothing is anywhere else."""
    shards = list(client[spec.views.database]["health"].find())
    assert len(shards) == spec.stream.shards
    stack = {name: sum(d[name] for d in shards) for name in (*CLASSES, "control", "records")}
    assert stack["records"] == sum(stack[name] for name in (*CLASSES, "control"))
    assert {name: stack[name] for name in CLASSES} == {"counted": changes, "repeat": 0, "late": 0, "ignored": 0, "dead_letter": 0}
    assert not any(d["late_by_set"] for d in shards)
    replayed = json_util.loads((out / "health.json").read_text())
    assert {name: replayed[name] for name in CLASSES} == {name: stack[name] for name in CLASSES}


def the_views_are_the_same(client: MongoClient[Document], out: Path, spec: Pipeline) -> None:
    """Windows, scores, signals, dead letters: the same documents apart from when and by what."""
    names = [s.name for s in spec.windows if not isinstance(s.kind, Rolling)]
    for name in [*names, "fraud_scores", "abandoned_carts", "dead_letters"]:
        stack = by_id(client[spec.views.database][name].find())
        replayed = by_id(lines(out / f"{name}.jsonl"))
        assert stack.keys() == replayed.keys(), name
        different = [f"{id}: {said}" for id in stack if (said := difference(stack[id], replayed[id]))]
        assert not different, f"{len(different)} of {name} differ: " + "; ".join(different[:3])
        assert stack or name == "dead_letters"


def difference(a: Document, b: Document) -> str:
    """The fields in which two documents differ."""
    fields = {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}
    return repr(fields) if fields else ""


def by_id(documents: Iterator[Document] | Any) -> Mapping[str, Document]:
    """Documents without what is not compared."""
    return {repr(value(d["_id"])): {k: v for k, v in d.items() if k not in NOT_COMPARED} for d in documents}


def lines(file: Path) -> Iterator[Document]:
    """Documents of a view's file."""
    options = json_util.JSONOptions(tz_aware=True)
    with file.open() as text:
        for line in text:
            yield json_util.loads(line, json_options=options)


def the_rolling_values_are_the_same(client: MongoClient[Document], out: Path, spec: Pipeline, as_of: int) -> None:
    """The states that the stack saved, asked for their values as of the end of the replay."""
    store, engine = MongoStore(client, spec), columnar(spec)
    replayed = {s.name: by_id(lines(out / f"{s.name}.jsonl")) for s in spec.windows if isinstance(s.kind, Rolling)}
    keys = {("card_id", typed(d["key"])) for view in replayed.values() for d in view.values()}
    states = store.load(keys)
    windows = {key: own for key, state in states.items() if (own := unpack(state.data).windows) is not None}
    engine.load(windows, {key: states[key].segments for key in windows})
    held = 0
    for key in keys:
        for block in engine.current(key, as_of):
            document = replayed[block.set.name].get(repr(key[1]))
            if document is None:  # nothing ever entered
                assert block.measures["n"] == [0]
                continue
            expires = document["expires_at"]
            assert date_ms(document["as_of"]) <= as_of
            assert expires is None or date_ms(expires) > as_of  # so its values are those as of then
            for name, column in block.measures.items():
                assert column[0] == document[name], (key, block.set.name, name, column[0], document[name])
            held += bool(block.measures["n"][0])
    assert held >= len(replayed["before_this"]) > 1_000  # the long set holds everything
