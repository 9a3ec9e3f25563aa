"""`python -m query` against a real mongod: each subcommand, for people and for programs, and what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId, Timestamp

from query.__main__ import main
from tests.conftest import Client, free_port

ROOT = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)
OID = ObjectId("65a1b2c3d4e5f60718293a4b")
Run = Callable[..., tuple[int, str, str]]


def ago(**much: float) -> datetime:
    return NOW - timedelta(**much)


def score(id: Any, key: Any, value: float, at: datetime) -> dict[str, Any]:
    decision = "block" if value >= 0.8 else "approve"
    reasons = [{"rule": "velocity", "text": f"{key} was quick [here]", "weight": value}]
    return {"_id": id, "key": key, "at": at, "score": value, "decision": decision, "reasons": reasons, "features": {}, "model": "m"}


def window(key: Any, start: datetime, **measures: Any) -> dict[str, Any]:
    end = start + timedelta(minutes=1)
    return {"_id": {"k": key, "s": start}, "key": key, "start": start, "end": end, **measures, "events": 3, "revision": 0,
            "final": True, "closed_by": "event", "late": 0, "config": "abc"}  # fmt: skip


def rolling(key: Any, as_of: datetime, expires: datetime | None, **measures: Any) -> dict[str, Any]:
    return {"_id": key, "key": key, "as_of": as_of, **measures, "expires_at": expires, "config": "abc"}


def signal(key: str, since: datetime, status: str) -> dict[str, Any]:
    return {
        "_id": {"k": key, "s": since},
        "key": key,
        "since": since,
        "raised_at": since + timedelta(seconds=23),
        "items": [{"sku": "sku-1", "qty": 2}],
        "value": 12.5,
        "status": status,
        "retracted_by": None,
        "retracted_at": None,
        "config": "abc",
    }


def fill(client: Client, name: str) -> None:
    """A small shop's views."""
    db = client[name]
    db.fraud_scores.insert_many(
        [score(1, "c1", 0.9, ago(minutes=5)), score(2, "c2", 0.4, ago(minutes=3)), score(3, 17, 0.6, ago(days=2)),
         score(4, "17", 0.1, ago(days=2)), score(5, OID, 0.2, ago(days=2))]
    )  # fmt: skip
    db.card_spend.insert_many(
        [window("c1", ago(minutes=m), n=m, spend=m * 1.5) for m in (3, 2, 1)] + [window("c2", ago(hours=5), n=1)]
    )
    db.card_recent.insert_one(rolling("c1", ago(seconds=50), ago(seconds=20), n=5, spend=9.5))
    db.card_habit.insert_one(rolling("c1", ago(seconds=50), NOW + timedelta(hours=1), n=7, mean=2.25))
    db.card_seen.insert_one(rolling("c1", ago(seconds=50), None, n=0))
    db.abandoned_carts.insert_many([signal("a", ago(minutes=9), "raised"), signal("b", ago(minutes=8), "retracted")])
    db.cart_visits.insert_one(window("a", ago(minutes=9), steps=4))
    classes = {"counted": 5, "repeat": 1, "late": 0, "ignored": 0, "control": 9, "dead_letter": 1}
    more = {"late_by_set": {"card_spend": 2}, "dead_letters_by_reason": {"json": 1}}
    db.health.insert_one({"_id": "eddy/shard-0", "records": 16, **classes, **more, "watermark": ago(seconds=6)})
    db.health.insert_one({"_id": "eddy/shard-1", "records": 17, **classes, **more, "watermark": None})
    db.dead_letters.insert_one({"_id": {"n": 1}, "reason": "json", "why": "not UTF-8", "record": "secret", "updated_at": NOW})


@pytest.fixture
def run(mongod: str, mongo: Client, database_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> Run:  # fmt: skip
    """Run a command line on the repository's own pipeline.toml, with a database of this test's."""
    fill(mongo, database_name)
    text = (ROOT / "pipeline.toml").read_text()
    assert 'database = "eddy"' in text
    (tmp_path / "pipeline.toml").write_text(text.replace('database = "eddy"', f'database = "{database_name}"'))
    monkeypatch.setenv("MONGODB_URI", mongod)
    monkeypatch.setenv("EDDY_CONFIG", str(tmp_path / "pipeline.toml"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*argv: str) -> tuple[int, str, str]:
        status = main(argv)
        out, err = capsys.readouterr()
        return status, out, err

    return call


def lines(run: Run, *argv: str) -> list[dict[str, Any]]:
    status, out, err = run(*argv, "--json")
    assert (status, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def ids(found: list[dict[str, Any]]) -> list[Any]:
    return [f["document"]["_id"] for f in found]


def test_risks_are_the_highest_first(run: Run) -> None:
    assert ids(lines(run, "risks")) == [1, 3, 2, 5, 4]
    assert ids(lines(run, "risks", "--limit", "2")) == [1, 3]
    assert ids(lines(run, "risks", "--since", "1h")) == [1, 2]
    assert ids(lines(run, "risks", "--since", ago(minutes=4).isoformat())) == [2]


def test_risks_for_people(run: Run) -> None:
    status, out, _ = run("risks")
    assert status == 0
    assert "fraud_scores" in out
    assert "c1 was quick [here]" in out, "text is shown as it is, brackets too"
    assert "block" in out


def test_a_card_with_its_scores_values_and_windows(run: Run) -> None:
    found = lines(run, "card", "c1")
    assert [f["view"] for f in found] == ["fraud_scores", "card_recent", "card_habit", "card_seen", *["card_spend"] * 3]
    stale = {f["view"]: f.get("stale") for f in found}
    assert stale == {"fraud_scores": None, "card_recent": True, "card_habit": False, "card_seen": False, "card_spend": None}
    assert [f["document"]["n"] for f in found if f["view"] == "card_spend"] == [1, 2, 3], "the newest first"
    _, out, _ = run("card", "c1")
    [row] = [line for line in out.splitlines() if "9.5" in line]
    assert "for " in row, "since it expired"


def test_sets_that_share_a_view(run: Run, mongo: Client, database_name: str, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.toml"
    for name in ("card_recent", "card_habit"):
        file.write_text(file.read_text().replace(f'\nname = "{name}"\n', f'\nname = "{name}"\nview = "cards"\n'))
    recent, habit = {"n": 5, "spend": 9.5, "config": "abc"}, {"n": 7, "mean": 2.25, "config": "def"}
    document = rolling("c1", ago(seconds=50), ago(seconds=20), card_recent=recent, card_habit=habit)
    mongo[database_name].cards.insert_many([document, {**document, "_id": {"a": 1}, "key": {"a": 1}}])
    found = lines(run, "card", "c1")
    assert [f["view"] for f in found] == ["fraud_scores", "cards", "card_seen", *["card_spend"] * 3]
    assert [f.get("stale") for f in found][:3] == [None, True, False]
    assert (found[1]["document"]["card_recent"], found[1]["document"]["card_habit"]) == (recent, habit)
    assert len(lines(run, "window", "cards")) == 2
    [one] = lines(run, "window", "card_habit", "--key", "c1")
    assert one["view"] == "cards"
    assert one["document"]["card_habit"] == habit
    assert "card_recent" not in one["document"]
    rows = [line.split() for line in run("window", "cards", "--key", "c1")[1].splitlines() if "c1" in line]
    assert [[cell for cell in row if cell in {"card_recent", "card_habit", "5", "7", "9.5", "2.25"}] for row in rows] == [
        ["card_recent", "5", "9.5"],
        ["card_habit", "7", "2.25"],
    ]
    assert "for " in run("window", "card_recent")[1], "since it expired"
    assert run("window", "carts")[2] == ('there is no window set "carts"; did you mean "cards"?\n')


def test_a_key_may_be_a_text_a_number_or_an_id(run: Run) -> None:
    assert ids(lines(run, "card", "17")) == [3, 4]
    assert ids(lines(run, "card", '"17"')) == [4]
    assert ids(lines(run, "card", str(OID))) == [5]
    assert ids(lines(run, "card", f'{{"$oid": "{OID}"}}')) == [5]
    assert run("card", "nobody")[1] == "nothing is known of this card\n"


def test_a_cart(run: Run) -> None:
    assert [f["view"] for f in lines(run, "cart", "a")] == ["abandoned_carts", "cart_visits"]
    assert "sku-1 2" in run("cart", "a")[1]


def test_abandoned_carts(run: Run) -> None:
    assert [i["k"] for i in ids(lines(run, "abandoned"))] == ["a"]
    assert [i["k"] for i in ids(lines(run, "abandoned", "--all"))] == ["b", "a"]


def test_windows_by_key_and_time(run: Run) -> None:
    """c2: 5 h ago; c1:  |--3--|--2--|--1--|now   a span takes the windows that lie in it at least in part."""
    assert [f["document"]["n"] for f in lines(run, "window", "card_spend")] == [1, 2, 3, 1]
    assert [f["document"]["n"] for f in lines(run, "window", "card_spend", "--key", "c1")] == [1, 2, 3]
    begin, end = ago(seconds=150).isoformat(), ago(seconds=90).isoformat()
    assert [f["document"]["n"] for f in lines(run, "window", "card_spend", "--from", begin, "--to", end)] == [2, 3]
    assert [f["document"]["n"] for f in lines(run, "window", "card_spend", "--from", begin, "--to", begin)] == [3]
    assert [f["document"]["n"] for f in lines(run, "window", "card_spend", "--to", "1h")] == [1]
    assert [f["stale"] for f in lines(run, "window", "card_recent", "--key", "c1")] == [True]
    assert lines(run, "window", "card_recent", "--from", "10s") == []
    assert run("window", "card_spend", "--key", "nobody")[1] == "no window there\n"


def relayed(mongo: Client, name: str, up_to: datetime, said: datetime, group: str = "changes") -> None:
    """The producer's bookmark, as it saves it."""
    mark = {"stream": "eddy", "group": group, "token": {"_data": "82"}, "cluster": Timestamp(up_to, 1), "updated_at": said}
    mongo[name]["_bookmarks"].replace_one({"_id": f"eddy/{group}"}, {**mark, "captured": 7, "relayed": 9}, upsert=True)


def stale(run: Run, *argv: str) -> list[bool]:
    return [f["stale"] for f in lines(run, *argv)]


def test_a_silent_shop_is_not_stale_and_one_that_is_behind_is(run: Run, mongo: Client, database_name: str) -> None:
    #  expires_at     -20 s, and +1 h      settle 5 s: what is relayed up to T should be in the views up to T - 5 s
    #  shards stand at -600 s
    mongo[database_name].health.update_many({}, {"$set": {"watermark": ago(seconds=600), "updated_at": ago(seconds=600)}})
    value = ("window", "card_recent", "--key", "c1")
    assert stale(run, *value) == [False], "nobody says that time went on"
    relayed(mongo, database_name, ago(seconds=580), said=NOW)
    assert stale(run, *value) == [False], "the shop is silent, however late it is by the clock"
    relayed(mongo, database_name, ago(seconds=16), said=NOW)
    assert stale(run, *value) == [False], "of the last seconds it may not yet be known that nothing was missed"
    relayed(mongo, database_name, ago(seconds=15), said=NOW)
    assert stale(run, *value) == [True]
    relayed(mongo, database_name, ago(seconds=580), said=NOW, group="images")
    assert stale(run, *value) == [False], "everything is relayed only up to the group that is furthest behind"
    mongo[database_name]["_bookmarks"].update_many({}, {"$set": {"stream": "another"}})
    assert stale(run, *value) == [False], "another stream's time is not ours"


def test_health_tells_how_far_a_shard_is_behind_what_is_relayed_and_whether_it_stands(
    run: Run, mongo: Client, database_name: str
) -> None:
    health = mongo[database_name].health
    health.update_one({"_id": "eddy/shard-0"}, {"$set": {"watermark": ago(seconds=65), "updated_at": ago(seconds=60)}})
    health.update_one({"_id": "eddy/shard-1"}, {"$set": {"watermark": ago(seconds=65), "updated_at": ago(seconds=59)}})
    relayed(mongo, database_name, NOW, said=NOW)
    one, two, mark, _ = lines(run, "health")
    assert [(f["behind_seconds"], f["stands"]) for f in (one, two)] == [(60.0, True), (60.0, False)]
    assert (mark["view"], mark["document"]["relayed"], "token" in mark["document"]) == ("_bookmarks", 9, False)
    _, out, _ = run("health")
    assert out.count("and stands") == 1
    relayed(mongo, database_name, NOW, said=ago(minutes=5))
    assert [f["stands"] for f in lines(run, "health")[:2]] == [False, False], "the producer itself says nothing any more"


def test_a_shard_that_has_ended_is_not_behind(run: Run, mongo: Client, database_name: str) -> None:
    health = mongo[database_name].health
    long_ago = {"watermark": ago(hours=9), "updated_at": ago(hours=9)}
    health.update_one({"_id": "eddy/shard-0"}, {"$set": {**long_ago, "ended": True, "ended_at": ago(hours=9)}})
    health.update_one({"_id": "eddy/shard-1"}, {"$set": long_ago})
    relayed(mongo, database_name, NOW, said=NOW)
    one, two, *_ = lines(run, "health")
    assert "stands" not in one and "behind_seconds" not in one
    assert one["document"]["ended"] is True and "ended_at" in one["document"]
    assert two["stands"] is True
    _, out, _ = run("health")
    [row] = [line for line in out.splitlines() if "shard-0" in line and "16" in line]
    assert " ended " in row
    assert out.count("and stands") == 1


def test_health_shows_the_hops(run: Run, mongo: Client, database_name: str) -> None:
    hops = {"of": "change", "inserted": ago(seconds=9), "arrived": 1500, "processed": 20, "sent": 0, "visible": None}
    more = {
        "hops": hops, "memory": {"keys": 12, "bytes": 3_400_000}, "owner": {"worker": "host-0", "config": "c0ffee", "epoch": 3},
        "snapshot": {"sequence": "5", "sub": 0, "watermark": ago(seconds=9), "behind": 77, "made_at": None},
    }  # fmt: skip
    mongo[database_name].health.update_one({"_id": "eddy/shard-0"}, {"$set": more})
    _, out, _ = run("health")
    [row] = [line for line in out.splitlines() if "host-0" in line]
    assert "arrived 1.5 s > processed 20 ms > sent 0 ms" in " ".join(row.split())
    assert "3.4" in row and "77" in row and "c0ffee" in row
    assert lines(run, "health")[0]["document"]["hops"]["arrived"] == 1500


def test_health(run: Run) -> None:
    found = lines(run, "health")
    assert ids(found) == ["eddy/shard-0", "eddy/shard-1", {"n": 1}]
    _, out, _ = run("health")
    assert "17 (classes add up to 16)" in out
    assert "card_spend 2" in out
    assert "not UTF-8" in out
    assert "secret" not in out, "a dead letter's record is not for a table"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("window", "card_spent"), 'did you mean "card_spend"?'),
        (("window", "card_spend", "--from", "soon"), '"soon" is no time'),
        (("window", "card_spend" * 500), "there is no window set"),
        (("risks", "--since", "9" * 5_000), '9…" is no time'),
        (("risks", "--since", "\u0661" * 9), "is no time"),
        (("window", "card_spend", "--to", "9" * 20), "is no time"),
        (("card", '{"$oid": "x"}'), "malformed"),
        (("card", '{"$numberLong": "9223372036854775808"}'), "no value of BSON"),
        (("cart", "[" * 100_000), "nested too deeply"),
        (("card", "[" * 200 + "]" * 200), "nested deeper"),
        (("card", "a\udcff"), r"a\udcff: no value of BSON"),  # bytes of a terminal that are no UTF-8
        (("window", "card_spend", "--key", '"\\ud800"'), "no value of BSON"),
        (("risks", "--config", "nowhere.toml"), "nowhere.toml: there is no such file"),
    ],
)
def test_what_cannot_be_answered(run: Run, argv: tuple[str, ...], says: str) -> None:
    status, out, err = run(*argv)
    assert (status, out) == (78, "")
    assert says in err
    assert len(err.splitlines()) == 1 and len(err) < 300


@pytest.mark.parametrize(
    "key", ["9" * 5_000, "1e999", "NaN", "[1]", "null", '{"$regex": "c"}', "0" * 23, "", " ", "1_000", "\u0661"]
)
def test_a_key_may_be_anything(run: Run, key: str) -> None:
    assert run("card", key) == (0, "nothing is known of this card\n", "")


@pytest.mark.parametrize("limit", ["0", "-1", "5" * 5_000, "9" * 20, "1_0", "\u0661", "x"])
def test_a_limit_that_is_none(run: Run, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run("risks", "--limit=" + limit)
    assert ended.value.code == 2
    assert "is no whole number from 1" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [("risks", "--sinc", "1h"), ("risks", "--lim", "2"), ("window", "card_spend", "--k", "c1")])
def test_an_option_is_written_out(run: Run, capsys: pytest.CaptureFixture[str], argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*argv)
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_the_last_configuration_counts(run: Run, tmp_path: Path) -> None:
    given = ("--config", "nowhere.toml", "--config", str(tmp_path / "pipeline.toml"))
    assert ids(lines(run, "risks", "--limit", "1", *given)) == [1]


def test_a_pipeline_without_fraud_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_text(
        '[stream]\nname = "s"\n[[trigger]]\nname = "t"\ndatabase = "d"\ncollection = "c"\nroutes = ["k"]\n'
    )
    for command in (("risks",), ("card", "c1"), ("abandoned",), ("cart", "a")):
        status, _, err = run(*command, "--config", str(tmp_path / "small.toml"))
        assert status == 78
        assert "pipeline.toml has no [" in err


def test_an_unreachable_mongodb_is_one_clear_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", f"mongodb://me:s3cret@127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=200")
    status, out, err = run("health")
    assert (status, out) == (69, "")
    assert len(err.splitlines()) == 1
    assert "cannot be reached" in err
    assert "s3cret" not in err


def test_no_address_and_no_good_address(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://h:port")
    assert run("health")[0] == 78
    monkeypatch.delenv("MONGODB_URI")
    status, _, err = run("health")
    assert status == 78
    assert err.startswith("MONGODB_URI: is not set")


def test_as_a_process(run: Run) -> None:
    """Standard output holds the lines and nothing else."""
    command = [sys.executable, "-m", "query", "health", "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=60)
    assert (result.returncode, result.stderr) == (0, b"")
    assert [json.loads(line)["view"] for line in result.stdout.splitlines()] == ["health", "health", "dead_letters"]
