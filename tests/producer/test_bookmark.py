"""What the producer keeps in the views database."""

from __future__ import annotations

import pytest
from bson import Timestamp

from contract.codec import encode
from contract.event import Gap
from producer import bookmark
from producer.bookmark import Bookmark, Bookmarks, first_positions
from producer.changes import Record
from producer.mongo import connect
from producer.relay import Position
from tests.conftest import Client

GAP = Gap(1_000, 2_999, ("pay", "carts"))
EARLY, LATE = Bookmark(Position({"_data": "81"}, (10, 1)), 3, 6), Bookmark(Position(None, (20, 2)))
TORN = Bookmark(Position(None, (20, 2)), gap=GAP)


def test_bookmarks_come_back_as_they_were_saved_and_each_stream_has_its_own(mongod: str, database_name: str) -> None:
    with connect(mongod) as client:
        marks, other = Bookmarks(client, database_name, "eddy"), Bookmarks(client, database_name, "eddy2")
        assert marks.load() == {}
        marks.save({"lookup": EARLY, "images": LATE})
        other.save({"lookup": TORN})
        assert marks.load() == {"lookup": EARLY, "images": LATE}
        marks.save({"lookup": TORN})
        marks.drop(["images"])
        assert marks.load() == {"lookup": TORN} == other.load()
        assert encode(marks.load()["lookup"].gap or GAP) == encode(GAP)


def test_the_first_bookmark_says_for_good_where_all_began(mongod: str, mongo: Client, database_name: str) -> None:
    with connect(mongod) as client:
        marks = Bookmarks(client, database_name, "eddy")
        marks.save({"lookup": EARLY})
        marks.save({"lookup": LATE})
    [found] = mongo[database_name]["_bookmarks"].find()
    assert (found["begun"], found["cluster"]) == (Timestamp(10, 1), Timestamp(20, 2))


def test_a_record_too_large_is_kept_whole_and_once(
    mongod: str, mongo: Client, database_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookmark, "PART", 4)
    with connect(mongod) as client:
        for data in ("0123456789", "äöü"):
            for _ in range(2):  # as after a crash
                Bookmarks(client, database_name, "eddy").too_large(Record("k", data.encode(), f"{data}/r", "t", "r", 1), 5)
    letters = list(mongo[database_name].dead_letters.find().sort("_id"))
    assert [(d["record"], d["_id"].get("part"), d["_id"].get("parts")) for d in letters] == [
        ("0123", 1, 3), ("4567", 2, 3), ("89", 3, 3), ("äöü", None, None),
    ]  # fmt: skip
    assert {(d["reason"], d["trigger"], d["route"], d["partition_key"]) for d in letters} == {("size", "t", "r", "k")}


def test_what_is_skipped_is_a_gap_and_grows_until_it_is_told() -> None:
    back = TORN.skipping(Position(None, (15, 0)), ["pay"])
    assert back == Bookmark(Position(None, (15, 0)), gap=GAP)
    once = EARLY.skipping(Position(None, (12, 3)), ["pay"])
    assert once.gap == Gap(10_000, 12_999, ("pay",)) and once.position == Position(None, (12, 3))
    assert once.skipping(Position(None, (30, 1)), ["carts"]).gap == Gap(10_000, 30_999, ("pay", "carts"))


def test_at_the_first_start_all_begins_now() -> None:
    assert first_positions({}, ["images", "lookup"], lambda: LATE.position) == {"images": LATE, "lookup": LATE}


def test_a_new_group_begins_where_the_others_stand_but_images_begin_now() -> None:
    """A trigger that changes its group with the configuration misses nothing; images may not reach back."""
    old = {"lookup": EARLY, "gone": Bookmark(Position({"_data": "9"}, (5, 1)))}
    assert first_positions(old, ["images", "lookup", "plain"], lambda: LATE.position) == {
        "images": LATE, "lookup": EARLY, "plain": Bookmark(Position(None, (5, 1))),
    }  # fmt: skip
