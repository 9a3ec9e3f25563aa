"""A processor written for amazon_kclpy cannot tell our protocol from amazon_kclpy's own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from amazon_kclpy import kcl, messages
from amazon_kclpy.v2.processor import RecordProcessorBase as SecondProcessor
from hypothesis import given, settings

from consumer.kcl.channel import FastIO, FastProcess, ParsedRecords
from tests.consumer.kcl.both import Recorder, record_face, run, same
from tests.consumer.kcl.lines import FIRST, SPACINGS, drawn_lines, line, record

# What KCL 3.1.3 itself writes, made by calling its message classes: keys with escapes, é, U+2028 and an emoji among them.
KCL_LINES = Path(__file__).with_name("kcl_3_1_3.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
ERROR = '{"action":"checkpoint","sequenceNumber":null,"subSequenceNumber":null,"error":"%s"}'
DONE = '{"action":"checkpoint","sequenceNumber":"1","subSequenceNumber":0,"error":null}'


def reader() -> FastIO:
    return FastIO(None, None, None)  # type: ignore[arg-type]


def fast(text: str) -> bool:
    """Whether a line goes the fast way."""
    return isinstance(reader().load_action(text), ParsedRecords)


def test_every_kind_of_line_that_kcl_writes() -> None:
    outcome = same(KCL_LINES)
    assert [call[0] for call in outcome.calls] == ["records", "records", "lease lost", "ended", "shutdown requested", "initialize"][
        : len(outcome.calls)
    ]


def test_kcls_own_lines_of_records_go_the_fast_way() -> None:
    assert fast(KCL_LINES[0])
    batch = reader().load_action(KCL_LINES[0])
    assert [r.partition_key for r in batch.records] == ["card_id:s:c00001", 'café "x" \\ / \t \u2028', "😀"]
    assert isinstance(batch, messages.ProcessRecordsInput)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_any_layout_goes_the_fast_way_as_long_as_records_agree_in_it(spacing: tuple[str, str], ascii_only: bool) -> None:
    text = line([record(i, b"x" * i, f'k{i}"é') for i in range(20)], 5, spacing, ascii_only)
    assert fast(text)
    same([text])


def test_records_with_newlines_of_their_own() -> None:
    text = line([record(0, b"a\nb"), record(1, b""), record(2, b"\n"), record(3, bytes(range(256)))])
    assert fast(text)
    same([text])


def test_one_reader_takes_up_a_new_layout() -> None:
    io = reader()
    for spacing in (*SPACINGS, *SPACINGS):
        for records in ([record(0)], [record(0), record(1)], []):
            got = io.load_action(line(records, 3, spacing))
            assert len(got.records) == len(records)
            assert isinstance(got, ParsedRecords) == bool(records)


def changed(old: str, new: str) -> str:
    return line([record(0)]).replace(old, new)


# A line of each kind that is not as KCL writes it: nothing of it may be guessed.
RECORDS = json.dumps([record(0)])
ODD = [
    "", "null", "[]", "7", "{}", "{", '{"action":"processRecords"}', '{"action":"nobody"}', '{"records":[],"millisBehindLatest":1}',
    line([]), line([], None), line([record(0)], "5"), line([record(0)], 1.5), line([record(0)], {"action": "record"}),
    line([record(0)])[:-1], line([record(0)]) + "}", line([record(0)]) + "  ", "\ufeff" + line([record(0)]),
    line([record(0), 5]), line([record(0), {"a": 1}]), line([record(0), [record(1)]]),
    changed('"records"', '"records":[],"records"'),
    changed("]", '],"more":1'), changed("]", '],"records":null'), changed("]", ",]"), changed('"data"', '"data":"QQ==","data"'),
    changed('"data"', '"d\\u0061ta"'), changed('"record"', '"checkpoint"'), changed('"record"', '"nobody"'),
    changed('"record"', "null"),
    f'{{"millisBehindLatest":0,"records":{RECORDS},"action":"processRecords"}}',
    f'{{"records":{RECORDS},"action":"processRecords","millisBehindLatest":0}}',
]  # fmt: skip
FIELD = ["data", "partitionKey", "sequenceNumber", "subSequenceNumber", "approximateArrivalTimestamp", "action"]


@pytest.mark.parametrize("text", ODD)
def test_lines_that_kcl_does_not_write(text: str) -> None:
    same([text])
    same([KCL_LINES[0], text])


@pytest.mark.parametrize("name", FIELD)
@pytest.mark.parametrize("place", [0, 1])
def test_a_field_is_missing(name: str, place: int) -> None:
    records = [record(0), record(1), record(2)]
    del records[place][name]
    outcome = same([line(records)])
    assert outcome.ended is not None
    assert outcome.ended[0].__name__ in ("KeyError", "MalformedAction")


@pytest.mark.parametrize("name", FIELD)
@pytest.mark.parametrize("value", [None, 1, -1, 1.5, True, "x", "", [], 10**18, 10**30, 253_402_300_800_000, -1e15, "17"])
def test_a_field_has_another_value(name: str, value: Any) -> None:
    same([line([record(0), {**record(1), name: value}])])
    same([line([{**record(0), name: value}, record(1)])])


def digits(text: str, new: str) -> str:
    return text.replace('"subSequenceNumber":0', f'"subSequenceNumber":{new}')


NUMBERS = ["00", "01", "-0", "0.0", "0e0", "+1", "1 ", " 1", "9" * 18, "1" * 19, "nul", "null", "nullx", "NaN"]
BASE64 = "QQ== QR== QUI= QUJ= QQ QQ= Q=== ==== QQ==QQ== QQ\\n== \\u0051Q== Q_-= é".split()


@pytest.mark.parametrize("new", NUMBERS)
def test_a_number_is_spelled_oddly(new: str) -> None:
    same([digits(line([record(0), record(1)]), new)])


@pytest.mark.parametrize("data", [*BASE64, "Q Q="])
@pytest.mark.parametrize("lead", ["", "QUJD", "QUJDQUJD", "QUJDQUJDQUJD"])
def test_base64_of_every_length_and_of_no_length(data: str, lead: str) -> None:
    same([line([record(0)]).replace(record(0)["data"], lead + data)])


def test_invalid_utf8_is_refused_as_amazon_kclpy_refuses_it() -> None:
    good = line([record(0, key="é"), record(1)]).encode()
    for raw in (
        good.replace("é".encode(), b"\xc3"),
        good.replace("é".encode(), b"\xed\xa0\x80"),
        good.replace("é".encode(), b"\xff"),
    ):
        ends: list[Any] = []
        for io in (kcl._IOHandler(None, None, None), reader()):
            try:
                ends.append([record_face(r) for r in io.load_action(raw).records])
            except Exception as error:
                ends.append((type(error), str(error)))
        assert ends[0] == ends[1]


def checkpointing(*positions: tuple[Any, ...]) -> Any:
    """Makes processors that checkpoint at these positions in each batch, and note what came of it."""

    def act(self: Recorder, batch: Any) -> None:
        for position in positions:
            try:
                batch.checkpointer.checkpoint(*position)
                self.calls.append("kept")
            except kcl.CheckpointError as error:
                self.calls.append(("refused", error.value, str(error)))

    return lambda: Recorder(act)


def test_checkpoints_and_their_errors() -> None:
    lines = [
        line([record(0)]),
        DONE,
        ERROR % "ThrottlingException",
        ERROR % "ShutdownException",
        '{"action":"shutdownRequested"}',
        DONE,
        DONE,
        DONE,
    ]
    outcome = same(lines, checkpointing((), (str(FIRST), 3), ("1",)))
    assert ("refused", "ThrottlingException", "'ThrottlingException'") in outcome.calls
    assert outcome.stdout.count('"checkpoint"') == 6
    assert outcome.stdout.count('"status"') == 2


def test_a_checkpoint_answered_by_records_is_an_invalid_state() -> None:
    outcome = same([line([record(0)]), line([record(1)]), line([record(2)]), DONE], checkpointing(()))
    assert ("refused", "InvalidStateException", "'InvalidStateException'") in outcome.calls


def test_input_ends_in_a_checkpoint() -> None:
    outcome = same([line([record(0)])], checkpointing(()))
    assert any("JSONDecodeError" in told for told in outcome.stderr)
    assert '"responseFor": "processRecords"' in outcome.stdout


def test_a_processor_that_fails_is_reported_and_passed_over() -> None:
    def fail(self: Recorder, batch: Any) -> None:
        raise ValueError("no")

    outcome = same([line([record(0)]), line([record(1)])], lambda: Recorder(fail))
    assert len(outcome.calls) == 2
    assert any("ValueError: no" in told for told in outcome.stderr)


def test_an_exit_goes_through() -> None:
    def leave(self: Recorder, batch: Any) -> None:
        raise SystemExit(7)

    assert same([line([record(0)]), line([record(1)])], lambda: Recorder(leave)).ended == (SystemExit, "7")


class Old(SecondProcessor):  # type: ignore[misc]
    """A processor of the second interface: one shutdown for all reasons."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def initialize(self, given: Any) -> None:
        self.calls.append(given.shard_id)

    def process_records(self, given: Any) -> None:
        self.calls.append([record_face(r) for r in reversed(given.records)][1:3])

    def shutdown(self, given: Any) -> None:
        self.calls.append((given.reason, given.action))
        if given.reason == "TERMINATE":
            given.checkpointer.checkpoint()


def test_a_processor_of_an_older_interface() -> None:
    same([KCL_LINES[-1], KCL_LINES[0], '{"action":"leaseLost"}'], Old)
    same([KCL_LINES[-1], KCL_LINES[0], '{"action":"shardEnded"}', DONE], Old)


@settings(max_examples=int(os.environ.get("EDDY_EXAMPLES", "400")))
@given(drawn_lines())
def test_any_line(text: str) -> None:
    same([text])


def test_columns_say_the_same_as_records() -> None:
    records = [record(i // 3, b"%d" % i, subSequenceNumber=i % 3) for i in range(30)]
    batch = reader().load_action(line(records)).batch
    assert batch.datas() == [b"%d" % i for i in range(30)]
    assert batch.arrived.tolist() == [1767225600000 + i // 3 for i in range(30)]
    assert [batch.position(i) for i in range(30)] == [(FIRST + i // 3, i % 3) for i in range(30)]
    assert [batch.after(FIRST + i // 3, i % 3) for i in range(30)] == list(range(1, 31))
    assert batch.after(FIRST - 1, 9) == 0
    assert batch.after(FIRST + 3, 99) == 12
    assert bytes(batch.data).split(b"\n")[:-1] == batch.datas()


def test_a_process_that_reads_nothing_ends() -> None:
    assert run(FastProcess, [], Recorder()) == run(kcl.KCLProcess, [], Recorder())
