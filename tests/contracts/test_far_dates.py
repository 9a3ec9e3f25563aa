"""Dates for which Python has no datetime, from a record to a reader on a real mongod: no commit fails of them, all can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bson import DatetimeMS
from pymongo import MongoClient

from config.load import parse
from consumer.life import Limits
from consumer.runner import Runner
from consumer.store.contract import Doc
from consumer.store.mongo import MongoStore
from contract.times import MAX_MS, MIN_MS
from edge.mongo import connect
from query.__main__ import main
from tests.consumer.stream import SHARD, TOML, S, beat, change, raws

FARTHEST = 8_640_000_000_000_000  # 275760-09-13, the last day that JavaScript has; MongoDB holds any 64-bit number of ms
FAR = [MAX_MS + 1, MIN_MS - 1, FARTHEST, -(1 << 63), (1 << 63) - 1]
SLIDING = """
[[windows]]
name = "slow"
trigger = "pay"
key = "card"
sliding = { size = "30d", every = "1d" }
measures = { n = "count()", last = "last(until)" }
"""


def bson_date(ms: int) -> dict[str, Any]:
    return {"$date": {"$numberLong": str(ms)}}


@pytest.mark.parametrize("far", FAR)
def test_a_far_date_as_a_key_as_an_id_and_as_a_value_is_kept_and_read(
    database: tuple[str, str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], far: int
) -> None:
    uri, name = database
    toml = f"{TOML}{SLIDING}\n[views]\ndatabase = '{name}'\n"
    file = tmp_path / "pipeline.toml"
    file.write_text(toml)
    spec = parse(toml)
    lines = [
        change(3, "pay", "card", "first", MIN_MS, amount=2, until=bson_date(far)),  # its sliding windows begin before year 1
        change(1, "pay", "card", bson_date(far), S, "insert", None, bson_date(far), amount=1, until=bson_date(far)),
        change(2, "carts", "cart", bson_date(far), S, action="add", items=[bson_date(far)], n=1),
        beat(60 * S),
    ]
    store = MongoStore(connect(uri, "test"), spec)
    store.prepare()
    for record in raws(lines):  # each key is evicted and loaded between two records, and its state read again
        runner = Runner(spec, store, SHARD, limits=Limits(cap=0))
        runner.feed([record])
        runner.flush()
    cursor = Runner(spec, store, SHARD, limits=Limits(cap=0)).feed(raws([beat(120 * S)]))
    assert (cursor.counters.classes["counted"], cursor.counters.classes["dead_letter"]) == (3, 0)
    client: MongoClient[Doc]
    with MongoClient(uri, datetime_conversion="DATETIME_MS") as client:
        assert {d["_id"]["k"] for d in client[name]["minute"].find({"n": 1}) if d["key"] != "first"} == {DatetimeMS(far)}
        assert {d["_id"] for d in client[name]["fraud_scores"].find()} == {DatetimeMS(far), 3}
        starts = [d["start"] for d in client[name]["slow"].find({"key": "first"})]
        assert len(starts) == 30 and min(starts) < DatetimeMS(MIN_MS)
        assert client[name]["abandoned_carts"].find_one({"key": DatetimeMS(far)})["items"] == [DatetimeMS(far)]  # type: ignore[index]
    monkeypatch.setenv("MONGODB_URI", uri)
    monkeypatch.setenv("EDDY_CONFIG", str(file))
    for question in (["risks"], ["window", "minute"], ["abandoned"], ["health"], ["window", "slow"]):
        for format in ([], ["--json"]):
            assert main([*question, *format]) == 0, question
            out = capsys.readouterr().out
            assert "Traceback" not in out
            for line in out.splitlines() if format else ():
                json.loads(line)
    store.close()
