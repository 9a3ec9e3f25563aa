"""The replay of a file, as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bson import Binary, ObjectId

from consumer.replay.outputs import order
from consumer.replay.replay import main
from contract.times import date
from contract.values import to_json
from tests.consumer.replay.files import BARE, Replay, doc, health, rows
from tests.consumer.stream import TOML, S, beat, change, whole

VIEWS = ("minute", "load", "recent", "habit", "visits", "moves", "fraud_scores", "abandoned_carts")
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


def test_nan_is_refused_by_the_routes_that_read_it(replay: Replay) -> None:
    """card reads the amount, shop does not: as with a document that comes from MongoDB."""
    lines = [
        doc(_id=1, card="a", shop="x", amount=float("nan"), at=1000),
        b'{"card": "a", "shop": "x", "amount": 1e999, "at": 1000}',
    ]
    found = health(replay([*lines, b"{not json"], BARE))
    assert (found["records"], found["counted"], found["dead_letter"]) == (5, 2, 3)
    assert found["dead_letters_by_reason"] == {"not_finite": 2, "json": 1}
