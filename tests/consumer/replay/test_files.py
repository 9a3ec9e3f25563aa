"""What a line of a replayed file may be."""

from __future__ import annotations

import pytest

from tests.consumer.replay.files import BARE, Replay, doc, health, rows
from tests.consumer.stream import TOML, S, beat, change


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
    bad: list[tuple[bytes, dict[int, str]]] = [  # a line, and why it is refused as record 0 (its card) and 1 (its shop)
        (b"{", {0: "json"}),
        (b"\xff\xfe\x00", {0: "json"}),
        (b'{"card":1,"at":5,"amount":NaN}', {0: "not_finite", 1: "key"}),
        (b'{"card":1,"at":5,"other":-Infinity}', {1: "key"}),
        (b'{"card":1,"at":5,"amount":1e999}', {0: "not_finite", 1: "key"}),
        (b"[1]", {0: "envelope"}),
        (b"NaN", {0: "not_finite"}),
        (b'"text"', {0: "envelope"}),
        (doc(card=1, shop="x", amount=2), {0: "time", 1: "time"}),
        (doc(card=1, shop="x", at=None), {0: "time", 1: "time"}),
        (doc(card=1, shop="x", at="soon"), {0: "time", 1: "time"}),
        (b"[" * 100_000, {0: "json"}),
    ]
    folder = replay([good, *(line for line, _ in bad), good])
    letters = [(d["_id"]["sequence"], d["_id"]["sub"], d["reason"]) for d in rows(folder / "dead_letters.jsonl")]
    assert letters == [(str(n), sub, reason) for n, (_, why) in enumerate(bad, 2) for sub, reason in why.items()]
    found = health(folder)
    assert (found["counted"], found["dead_letter"]) == (5, 17)


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
    assert health(replay([b"", b"{", beat(S), change(1, "pay", "card", "b", S, amount=2)], TOML))["counted"] == 1


LOOKS = [  # a document that is a heartbeat to the letter, and one that has all that an event has
    {"kind": "heartbeat", "v": 1, "cluster": 5},
    {
        "kind": "change",
        "id": "1/k",
        "trigger": "t",
        "route": "k",
        "op": "insert",
        "cluster": 5,
        "card": 1,
        "shop": "x",
        "at": 1_000,
    },
]


@pytest.mark.parametrize("first", LOOKS, ids=["heartbeat", "event"])
@pytest.mark.parametrize("said", ["--trigger", "format"])
def test_lines_are_documents_where_that_is_said_whatever_the_first_looks_like(
    replay: Replay, capsys: pytest.CaptureFixture[str], said: str, first: dict[str, object]
) -> None:
    bare = BARE.replace('name = "s"', 'name = "s"\nformat = "document"').replace('["card", "shop"]', '["card"]')
    toml, more = (BARE, ["--trigger", "pay"]) if said == "--trigger" else (bare[: bare.rindex("[[windows]]")], [])
    folder = replay([doc(**first), doc(card=1, shop="x", at=1_000)], toml, *more)
    routes, good = (2 if said == "--trigger" else 1), 1 + ("at" in first)
    assert (health(folder)["counted"], health(folder)["dead_letter"]) == (routes * good, routes * (2 - good))
    assert "begins like events as relayed" in capsys.readouterr().err
    assert [w["n"] for w in rows(folder / "minute.jsonl")] == [good]


def test_where_nothing_is_said_the_first_line_decides(replay: Replay) -> None:
    lines = [beat(S), change(1, "pay", "card", "b", S, amount=2), doc(card=1, shop="x", at=1_000)]
    found = health(replay(lines))
    assert (found["counted"], found["control"], found["dead_letter"]) == (1, 1, 1)


def test_a_trigger_is_named_where_there_are_several(replay: Replay) -> None:
    lines = [doc(_id=n, cart="k", at=n * S, action="add", items=["sku"]) for n in (1, 20)]
    folder = replay(lines, TOML, "--trigger", "carts")
    assert [(d["since"]["$date"][-3:], d["retracted_by"]) for d in rows(folder / "abandoned_carts.jsonl")] == [
        ("01Z", "activity"),
        ("20Z", None),
    ]
    assert [d["closed_by"] for d in rows(folder / "visits.jsonl")] == ["event", "end"]
