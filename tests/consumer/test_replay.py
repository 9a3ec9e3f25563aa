"""The replay of a file, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, ObjectId

from consumer.outputs import order
from consumer.replay import main
from contract.times import date
from contract.values import to_json
from tests.consumer.stream import TOML, S, beat, change, whole

VIEWS = ("minute", "load", "recent", "habit", "visits", "moves", "fraud_scores", "abandoned_carts")
BARE = """
[stream]
name = "s"

[[trigger]]
name = "pay"
database = "shop"
collection = "pay"
routes = ["card", "shop"]
time = "at"

[[windows]]
name = "minute"
trigger = "pay"
key = "card"
tumbling = { size = "10s" }
measures = { n = "count()", spend = "sum(amount)" }

[[windows]]
name = "recent"
trigger = "pay"
key = "card"
rolling = { size = "10s" }
measures = { n = "count()", top = "max(amount)" }

[[windows]]
name = "busy"
trigger = "pay"
key = "shop"
rolling = { size = "5s" }
measures = { n = "count()" }
"""
Replay = Callable[..., Path]


@pytest.fixture
def replay(tmp_path: Path) -> Replay:
    """Replays lines under a configuration and gives the folder of results."""

    def run(lines: list[bytes], toml: str = BARE, *more: str, out: str = "out", status: int = 0) -> Path:
        (tmp_path / "pipeline.toml").write_text(toml)
        (tmp_path / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        folder = tmp_path / "made" / out
        given = ["--config", str(tmp_path / "pipeline.toml"), "--events", str(tmp_path / "events.jsonl"), "--out", str(folder)]
        assert main([*given, *more]) == status
        return folder

    return run


def rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def health(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "health.json").read_bytes())
    assert found["records"] == sum(found[c] for c in ("counted", "repeat", "late", "ignored", "control", "dead_letter"))
    return found


def doc(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


EVENTS = [
    change(1, "pay", "card", "b", 1 * S, amount=2, shop="x"),
    change(1, "pay", "shop", "x", 1 * S, amount=2, card="b"),
    b"",
    change(2, "pay", "card", "a", 2 * S, amount=4, shop="x"),
    b"   ",
    change(2, "pay", "card", "a", 2 * S, amount=4, shop="x"),
    b"{nonsense",
    change(3, "carts", "cart", "k", 3 * S, action="add", items=["sku"], n=1),
    change(4, "carts", "cart", "k", 3 * S, "update", action="add"),
    beat(30 * S),
    change(5, "pay", "card", "a", 31 * S, amount=1, shop="y"),
]


def test_events_as_relayed_give_the_views_that_a_shard_gives(replay: Replay) -> None:
    folder = replay(EVENTS, TOML)
    expected = whole([line for line in EVENTS if line.strip()])
    for name in VIEWS:
        found = [{k: v for k, v in d.items() if k != "updated_at"} for d in rows(folder / f"{name}.jsonl")]
        assert found == [to_json(d) for d in sorted(expected.documents[name], key=lambda d: order(d["_id"]))], name
    assert sorted(p.name for p in folder.iterdir()) == sorted([*(f"{v}.jsonl" for v in VIEWS), "dead_letters.jsonl", "health.json"])
    counts = health(folder)
    assert [counts[c] for c in ("records", "counted", "repeat", "ignored", "control", "dead_letter")] == [9, 5, 1, 1, 1, 1]
    assert counts["watermark"] == {"$date": "1970-01-01T00:00:31Z"}
    assert counts["dead_letters_by_reason"] == {"json": 1}
    assert [d["record"] for d in rows(folder / "dead_letters.jsonl")] == ["{nonsense"]


def test_two_runs_give_the_same_bytes(replay: Replay) -> None:
    first, second = replay(EVENTS, TOML, "--features", out="one"), replay(EVENTS, TOML, "--features", out="two")
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}


def test_features_are_a_line_for_each_event_and_route_in_input_order(replay: Replay) -> None:
    late = change(6, "pay", "card", "a", 1 * S, amount=1, shop="y")
    found = rows(replay([*EVENTS, late], TOML, "--features") / "features.jsonl")
    assert [(f["id"], f["trigger"], f["key"], f["at"]) for f in found] == [
        ("000001/card", "pay", "b", 1000),
        ("000001/shop", "pay", "x", 1000),
        ("000002/card", "pay", "a", 2000),
        ("000003/cart", "carts", "k", 3000),
        ("000005/card", "pay", "a", 31000),
        ("000006/card", "pay", "a", 1000),
    ]
    assert found[0] == {
        "id": "000001/card",
        "trigger": "pay",
        "key": "b",
        "at": 1000,
        "recent": {"n": 1, "spend": 2.0},
        "habit": {"n": 0, "mean": None},
    }
    assert found[1].keys() == {"id", "trigger", "key", "at"}
    assert found[-1]["recent"] == {"n": None, "spend": None}


def test_bare_documents_are_a_record_for_each_route(replay: Replay) -> None:
    folder = replay(
        [
            doc(_id=7, card=1, shop="x", at=1_000, amount=2),
            doc(card=1, shop="x", at="1970-01-01T00:00:02Z", amount=3),
            doc(
                _id={"$oid": "64b64b64b64b64b64b64b64b"}, card={"$numberLong": "1"}, shop="y", at={"$date": {"$numberLong": "9999"}}
            ),
            doc(card=1, shop="y", at="1970-01-01T00:00:10", amount={"$numberDecimal": "1.5"}),
        ],
        BARE,
        "--features",
    )
    assert [(f["id"], f["key"], f["at"]) for f in rows(folder / "features.jsonl")] == [
        (7, 1, 1000), (7, "x", 1000),
        (2, 1, 2000), (2, "x", 2000),
        ({"$oid": "64b64b64b64b64b64b64b64b"}, 1, 9999), ({"$oid": "64b64b64b64b64b64b64b64b"}, "y", 9999),
        (4, 1, 10000), (4, "y", 10000),
    ]  # fmt: skip
    assert rows(folder / "features.jsonl")[3] == {"id": 2, "trigger": "pay", "key": "x", "at": 2000, "busy": {"n": 2}}
    windows = rows(folder / "minute.jsonl")
    assert [(w["_id"], w["n"], w["spend"], w["final"], w["closed_by"]) for w in windows] == [
        ({"k": 1, "s": {"$date": "1970-01-01T00:00:00Z"}}, 3, 5.0, True, "end"),
        ({"k": 1, "s": {"$date": "1970-01-01T00:00:10Z"}}, 1, 1.5, True, "end"),
    ]
    assert [r["as_of"] for r in rows(folder / "recent.jsonl")] == [{"$date": "1970-01-01T00:00:10Z"}]
    assert health(folder)["records"] == 8


def test_bad_lines_are_dead_letters_and_never_a_crash(replay: Replay) -> None:
    good = doc(card=1, shop="x", at=1_000, amount=2)
    bad = [
        (b"{", "json"),
        (b"\xff\xfe\x00", "json"),
        (b'{"card":1,"at":5,"amount":NaN}', "not_finite"),
        (b'{"card":1,"at":5,"other":-Infinity}', "not_finite"),
        (b'{"card":1,"at":5,"amount":1e999}', "not_finite"),
        (b"[1]", "envelope"),
        (b"NaN", "not_finite"),
        (b'"text"', "envelope"),
        (doc(card=1, shop="x", amount=2), "time"),
        (doc(card=1, shop="x", at=None), "time"),
        (doc(card=1, shop="x", at="soon"), "time"),
        (b"[" * 100_000, "json"),
    ]
    folder = replay([good, *(line for line, _ in bad), good])
    letters = rows(folder / "dead_letters.jsonl")
    assert [(d["_id"]["sequence"], d["_id"]["sub"]) for d in letters] == [(str(n), sub) for n in range(2, 14) for sub in (0, 1)]
    assert [d["reason"] for d in letters[::2]] == [reason for _, reason in bad]
    found = health(folder)
    assert (found["counted"], found["dead_letter"]) == (4, 24)


def test_a_line_may_be_bad_for_one_route_only(replay: Replay) -> None:
    folder = replay([doc(_id=1, card=1, at=1_000, amount="much"), doc(_id=2, card=None, shop="x", at=1_000)], BARE, "--features")
    assert [d["reason"] for d in rows(folder / "dead_letters.jsonl")] == ["type", "key", "key"]
    assert [(f["id"], f["key"]) for f in rows(folder / "features.jsonl")] == [(2, "x")]


def test_a_byte_order_mark_and_windows_line_ends(replay: Replay) -> None:
    line = doc(card=1, shop="x", at=1_000)
    assert health(replay([b"\xef\xbb\xbf" + line + b"\r", b"\r", line + b"\r"]))["counted"] == 4


@pytest.mark.parametrize(("lines", "toml"), [([], BARE), ([b"", b"  "], TOML), ([b"{"], TOML)])
def test_a_file_without_an_event_gives_empty_views(replay: Replay, lines: list[bytes], toml: str) -> None:
    folder = replay(lines, toml)
    assert (folder / "minute.jsonl").read_bytes() == b""
    assert health(folder)["watermark"] is None


def test_the_first_event_may_come_after_lines_that_are_nothing(replay: Replay) -> None:
    assert health(replay([b"", b"{", beat(S), *EVENTS[:1]], TOML))["counted"] == 1


def test_a_trigger_is_named_where_there_are_several(replay: Replay) -> None:
    lines = [doc(_id=n, cart="k", at=n * S, action="add", items=["sku"]) for n in (1, 20)]
    folder = replay(lines, TOML, "--trigger", "carts")
    assert [(d["since"]["$date"][-3:], d["retracted_by"]) for d in rows(folder / "abandoned_carts.jsonl")] == [
        ("01Z", "activity"),
        ("20Z", None),
    ]
    assert [d["closed_by"] for d in rows(folder / "visits.jsonl")] == ["event", "end"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--trigger", "nobody"], "there is no such trigger; there is pay, carts, stock"),
        ([], "name their trigger with --trigger, one of pay, carts, stock"),
        (["--strange"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments(replay: Replay, capsys: pytest.CaptureFixture[str], more: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as ended:
        replay([doc(card=1)], TOML, *more)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.toml").write_text(BARE)
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(tmp_path / "p.toml"), "--events", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "none: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        (BARE.replace('size = "10s"', 'size = "ten"', 1), "windows[0].tumbling.size"),
        (BARE.replace('time = "at"\n', ""), "trigger[0].time: missing"),
    ],
)
def test_a_wrong_configuration_says_where(replay: Replay, capsys: pytest.CaptureFixture[str], toml: str, says: str) -> None:
    replay([doc(card=1)], toml, status=78)
    assert says in capsys.readouterr().err


def test_a_line_for_people_at_the_end(replay: Replay, capsys: pytest.CaptureFixture[str]) -> None:
    replay(EVENTS, TOML)
    err = capsys.readouterr().err
    assert err.startswith("9 records in ")
    assert err.endswith("5 counted, 1 repeat, 1 ignored, 1 control, 1 dead letter\n")


def test_it_is_a_command(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(TOML)
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(EVENTS))
    given = ["--config", str(tmp_path / "p.toml"), "--events", str(tmp_path / "e.jsonl"), "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-m", "consumer", "replay", *given], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, b"")
    assert health(tmp_path / "out")["counted"] == 5
    (tmp_path / "p.toml").write_text("[strange]")
    done = subprocess.run([sys.executable, "-m", "consumer", "replay", *given], capture_output=True, timeout=60, check=False)
    assert done.returncode == 78
    assert b"strange" in done.stderr


def test_ids_of_any_types_have_an_order() -> None:
    uuid = Binary(bytes(16), 4)
    inf, nan = float("inf"), float("nan")
    ordered: list[Any] = [None, nan, -inf, -5, 2.5, 10, inf, "Z", "a", "ä", {"k": 1, "s": date(5)}, {"k": 2, "s": date(1)}, [1]]
    ordered += [uuid, ObjectId("0" * 24), False, True, date(-1), date(1), b"other"]
    mixed = [*ordered[::3], *ordered[1::3], *ordered[2::3]]
    assert repr(sorted(mixed, key=order)) == repr(ordered)
