"""Small files of which a view once told less than the truth, each an example of its kind."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from consumer.replay.replay import main
from tests.consumer.replay.files import Replay, health, rows

HEAD = """
[stream]
name = "s"

[[trigger]]
name = "t"
database = "d"
collection = "ts"
routes = ["k"]
time = "at"
"""


def tumbling(name: str = "w", more: str = "", **measures: str) -> str:
    listed = "\n".join(f"{measure} = {json.dumps(said)}" for measure, said in measures.items())
    opened = f'[[windows]]\nname = "{name}"\ntrigger = "t"\nkey = "k"\ntumbling = {{ size = "1m" }}'
    return f"{opened}\n{more}\n[windows.measures]\n{listed}\n"


ROLLING = '[[windows]]\nname = "r"\ntrigger = "t"\nkey = "k"\nrolling = { size = "1m" }\n[windows.measures]\nn = "count()"\n'
FRAUD = '[fraud]\ntrigger = "t"\nkey = "k"\n[[fraud.rules]]\nname = "a"\nwhen = "amount > 1"\nweight = 0.5\nreason = "%s"\n'


def line(**fields: Any) -> bytes:
    return json.dumps({"k": "a", "at": 0} | fields).encode()


def only(folder: Path, view: str = "w") -> dict[str, Any]:
    (found,) = rows(folder / f"{view}.jsonl")
    return found


@pytest.mark.parametrize("condition", ["acct == 9007199254740993", "acct in [9007199254740993]", "acct > -9007199254740993"])
def test_a_condition_on_a_number_that_no_double_holds_is_refused(
    replay: Replay, capsys: pytest.CaptureFixture[str], condition: str
) -> None:
    replay([line(acct=1)], HEAD + tumbling(more=f'where = "{condition}"', n="count()"), status=78)
    said = capsys.readouterr().err
    assert said.startswith("windows[0].where: ")


def test_keys_that_no_double_holds_stay_apart(replay: Replay) -> None:
    keys = [{"$numberDecimal": f"1234567890123456789{last}"} for last in (0, 1)]
    folder = replay([line(k=key) for key in keys], HEAD + tumbling(n="count()"))
    assert [view["n"] for view in rows(folder / "w.jsonl")] == [1, 1]


def test_equal_numbers_of_any_type_are_one_key(replay: Replay) -> None:
    keys = [5, 5.0, {"$numberLong": "5"}, {"$numberDecimal": "5"}, {"$numberDecimal": "5.00"}, {"$numberDouble": "5.0"}]
    folder = replay([line(k=key) for key in keys], HEAD + tumbling(n="count()"))
    assert only(folder)["n"] == len(keys)


@pytest.mark.parametrize("terms", [50, 700, 20_000])
def test_a_condition_of_any_length_is_read_or_refused_at_its_place(
    replay: Replay, capsys: pytest.CaptureFixture[str], terms: int
) -> None:
    toml = HEAD + tumbling(more=f'where = "{"+".join(["x"] * terms)} > 0"', n="count()")
    try:
        folder = replay([line(x=1)], toml)
    except AssertionError:  # another status
        replay([line(x=1)], toml, status=78)
        assert "windows" in capsys.readouterr().err
    else:
        assert only(folder)["n"] == 1


def test_a_document_that_looks_like_a_type_comes_back_as_it_was(replay: Replay) -> None:
    whole = [
        line(amount=5, meta={"$oid": "order-17"}), line(amount=5, meta={"$date": "soon"}),
        line(amount=5, meta={"$numberDecimal": "x", "more": 1}), line(amount=5),
    ]  # fmt: skip
    folder = replay(whole, HEAD + ROLLING + FRAUD % "x", "--features")
    assert health(folder)["counted"] == len(whole)
    assert not rows(folder / "dead_letters.jsonl")
    assert len(rows(folder / "features.jsonl")) == len(whole)


@pytest.mark.parametrize("measure", ["sum(price*qty)", "sum(price * qty)", "sum(-price)", "max(price+1)"])
def test_a_measure_of_an_expression_is_refused(replay: Replay, capsys: pytest.CaptureFixture[str], measure: str) -> None:
    replay([line(price=5, qty=3)], HEAD + tumbling(a=measure), status=78)
    assert "measures" in capsys.readouterr().err


def test_a_field_is_named_as_it_is_written(replay: Replay) -> None:
    micro, mu = "\N{MICRO SIGN}g", "\N{GREEK SMALL LETTER MU}g"
    folder = replay([line(**{micro: 5, mu: 7})], HEAD + tumbling(s=f"sum({micro})", t=f"sum({mu})", c=f"count() if {micro} < 6"))
    found = only(folder)
    assert (found["s"], found["t"], found["c"]) == (5, 7, 1)


@pytest.mark.parametrize("reason", ["paid {amount!}", "paid {", "paid {amount.__class__}", "paid {0}", "paid {amount:>9z}"])
def test_a_reason_that_cannot_be_filled_in_is_refused_at_load(
    replay: Replay, capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    replay([line(amount=5)], HEAD + ROLLING + FRAUD % reason, status=78)
    assert "reason" in capsys.readouterr().err


@pytest.mark.parametrize(
    "at", ["1764121530123", "1764", "2025", "2025-W48-3", "20251126T100000Z", "2025-11-26T10", "2025-11-26T10:00:00+00:99", ""]
)
def test_what_is_no_time_is_a_dead_letter(replay: Replay, at: str) -> None:
    folder = replay([line(at=at), line()], HEAD + tumbling(n="count()"))
    assert [letter["reason"] for letter in rows(folder / "dead_letters.jsonl")] == ["time"]
    assert only(folder)["n"] == 1


@pytest.mark.parametrize("name", ["features", "scored", "health", "dead_letters"])
def test_a_view_does_not_take_the_name_of_another_output(replay: Replay, capsys: pytest.CaptureFixture[str], name: str) -> None:
    replay([line()], HEAD + tumbling(name, n="count()") + ROLLING, status=78)
    assert name in capsys.readouterr().err


def test_sets_that_share_a_view_are_one_file(replay: Replay) -> None:
    second = ROLLING.replace('"r"', '"q"').replace("1m", "1h")
    both = (ROLLING + second).replace('key = "k"\n', 'key = "k"\nview = "cards"\n')
    folder = replay([line(), line()], HEAD + both + FRAUD % "{r.n} of {q.n}", "--features")
    [document] = rows(folder / "cards.jsonl")
    assert (document["r"]["n"], document["q"]["n"]) == (2, 2)
    assert not {"r.jsonl", "q.jsonl"} & {file.name for file in folder.iterdir()}
    assert [(d["r"]["n"], d["q"]["n"]) for d in rows(folder / "features.jsonl")] == [(1, 1), (2, 2)]


def test_events_may_come_through_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text(HEAD + tumbling(n="count()"))
    pipe, out = tmp_path / "events", tmp_path / "out"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"\n".join([line(_id=n) for n in range(3)]) + b"\n",))
    writer.start()
    try:
        assert main(["--config", str(tmp_path / "pipeline.toml"), "--events", str(pipe), "--out", str(out)]) == 0
    finally:
        writer.join()
    assert only(out)["n"] == 3


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff\\ud800"])
@pytest.mark.parametrize("more", ["", ',"v":NaN'])
@pytest.mark.parametrize("name", ["k", "_id", "other"])
def test_half_a_character_is_no_text(replay: Replay, name: str, more: str, half: str) -> None:
    fields = {"_id": "1", "k": '"a"', "at": "0"} | {name: f'"{half}"'}
    bad = "{" + ",".join(f'"{n}":{v}' for n, v in fields.items()) + more + "}"
    folder = replay([bad.encode(), line()], HEAD + tumbling(n="count()"))
    [letter] = rows(folder / "dead_letters.jsonl")
    assert (letter["reason"], letter["why"]) == ("json", "a text that is no Unicode")
    assert only(folder)["n"] == 1


@pytest.mark.parametrize(
    "cut", [rb'{"k":"\ud83d\ude00","at":', rb'{"k":"\ud83d\ude', rb'{"k":"\ud83d', rb'{"k":"a","o":"\\ud800', rb'{"k":"\\\\ud']
)
def test_a_line_that_is_cut_off_is_told_as_that(replay: Replay, cut: bytes) -> None:
    [letter] = rows(replay([cut, line()], HEAD + tumbling(n="count()")) / "dead_letters.jsonl")
    assert (letter["reason"], letter["why"]) == ("json", "Input data was truncated")


@pytest.mark.parametrize("number", ["1", "NaN", "1e999"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-8-sig"])
def test_a_line_that_is_no_plain_utf_8_is_refused_whatever_is_in_it(replay: Replay, encoding: str, number: str) -> None:
    bad = f'{{"k":"a","at":0,"v":{number}}}'.encode(encoding)
    folder = replay([line(), bad], HEAD + tumbling(n="count()"))
    assert [letter["reason"] for letter in rows(folder / "dead_letters.jsonl")] == ["json"]
    assert only(folder)["n"] == 1


@pytest.mark.parametrize("cluster", ["17", '"eu-1"'])
def test_a_document_that_only_looks_like_a_heartbeat_is_a_document(replay: Replay, cluster: str) -> None:
    looks = f'{{"kind":"heartbeat","v":1,"cluster":{cluster},"_id":1,"k":"a","at":0}}'.encode()
    assert only(replay([looks, looks], HEAD + tumbling(n="count()")))["n"] == 2


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        ('{"$date": "2026-01-31T12:00:00Z"}', ":.2f", "2026-01-31 12:00:00"),
        ('{"$date": {"$numberLong": "8640000000000000"}}', "", "275760-09-13 00:00:00"),
        ('{"$numberDecimal": "12345678901234567890.567"}', ":.2f", "12345678901234567890.57"),
        ('"text"', ":.2f", "text"),
    ],
)
def test_a_reason_shows_values_of_any_type(replay: Replay, value: str, spec: str, text: str) -> None:
    event = line(amount=5).replace(b'"amount": 5', b'"amount": 5, "shown": ' + value.encode())
    folder = replay([event], HEAD + ROLLING + FRAUD % f"it is {{shown{spec}}}")
    assert [r["text"] for d in rows(folder / "fraud_scores.jsonl") for r in d["reasons"]] == [f"it is {text}"]
