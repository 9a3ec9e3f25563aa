"""Changes over 16 MB: read in pieces from a server that cannot take them apart, put together from one that can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contract.errors import Retryable
from producer.fragments import Fragments
from tests.conftest import Client
from tests.producer.conftest import Start, Stream, pipeline, soon
from tests.producer.test_producer import relayed

BIG = 9_000_000


def test_an_update_with_two_large_images_is_a_dead_letter_and_the_stream_goes_on_behind_it(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    running = start(pipeline(stream.name, database_name, trigger="before = true")).ready()
    large_updates(mongo, database_name)
    soon(lambda: relayed(mongo, database_name) == 5, 60)
    assert running.end() == 0 and running.said("change over 16 MB, read in pieces")
    told = [(event.op, (event.document or {}).get("n"), (event.before or {}).get("n")) for _, event in stream.events()]
    assert told == [
        ("insert", 0, None),
        ("update", 1, 0),
        ("update", 2, 1),
        ("update", 6, 5),
        ("delete", None, 6),
    ]
    letters = list(mongo[database_name].dead_letters.find({}, {"record": 1}))
    whole = [sum(len(one["record"]) for one in part) for part in by_event(letters)]
    assert sorted(size > 2 * BIG for size in whole) == [False, False, True], (
        "to a large one, from one to another, back to a small one"
    )


def test_what_is_too_large_for_the_server_is_trimmed_where_the_trigger_says_so(
    start: Start, stream: Stream, mongo: Client, database_name: str
) -> None:
    trigger = 'before = true\noversize = "trim"\ntrim = ["pad"]'
    running = start(pipeline(stream.name, database_name, trigger=trigger)).ready()
    large_updates(mongo, database_name)
    soon(lambda: relayed(mongo, database_name) == 8, 60)
    assert running.end() == 0
    numbers = [(event.document or {}).get("n") for _, event in stream.events()]
    assert numbers == [0, 1, 2, 3, 4, 5, 6, None]
    [both] = [event for _, event in stream.events() if event.op == "update" and (event.document or {}).get("n") == 4]
    assert both.document == {"_id": 1, "card": "c", "n": 4, "_trimmed": ["pad"]} and (both.before or {})["_trimmed"] == ["pad"]


def large_updates(mongo: Client, database_name: str) -> None:
    payments = mongo[database_name].payments
    payments.insert_one({"_id": 1, "card": "c", "n": 0})
    pads = ["", "", "x" * BIG, "y" * BIG, "", ""]
    for n, pad in enumerate(pads, 1):
        payments.update_one({"_id": 1}, {"$set": {"n": n, "pad": pad}})
    payments.delete_one({"_id": 1})


def by_event(letters: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for letter in letters:
        found.setdefault(letter["_id"]["event"], []).append(letter)
    return list(found.values())


# as MongoDB's manual shows them, and as a 7.0 server sends them: the fields of a change are dealt out, and each has its token
FRAGMENTS: list[dict[str, Any]] = [
    {
        "_id": {"_data": "82650B72CF000000012B042C0100296E5A10040000"}, "splitEvent": {"fragment": 1, "of": 3},
        "wallTime": 0, "clusterTime": 1, "operationType": "update", "documentKey": {"_id": 1}, "ns": {"db": "d", "coll": "c"},
        "fullDocument": {"_id": 1, "n": 2},
    },
    {
        "_id": {"_data": "82650B72CF000000012B042C0100296E5A10040001"}, "splitEvent": {"fragment": 2, "of": 3},
        "updateDescription": {},
    },
    {
        "_id": {"_data": "82650B72CF000000012B042C0100296E5A10040002"}, "splitEvent": {"fragment": 3, "of": 3},
        "fullDocumentBeforeChange": {"_id": 1, "n": 1},
    },
]  # fmt: skip


def test_fragments_are_one_change_with_the_token_of_the_last() -> None:
    fragments = Fragments()
    assert [fragments.add(part) for part in FRAGMENTS[:2]] == [None, None] and fragments.begun
    whole = fragments.add(FRAGMENTS[2])
    assert whole is not None and not fragments.begun
    assert whole["_id"] == FRAGMENTS[2]["_id"] and "splitEvent" not in whole
    assert (whole["fullDocument"]["n"], whole["fullDocumentBeforeChange"]["n"], whole["operationType"]) == (2, 1, "update")
    small = {"_id": {"_data": "83"}, "operationType": "insert"}
    assert fragments.add(small) == small and not fragments.begun


Cut = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.mark.parametrize("cut", [lambda f: f[1:], lambda f: [f[0], f[2]], lambda f: [f[0], {"_id": 1}], lambda f: [f[0], f[0]]])
def test_a_fragment_that_is_missing_asks_to_read_again_from_in_front_of_the_change(cut: Cut) -> None:
    fragments = Fragments()
    with pytest.raises(Retryable):
        for part in cut(FRAGMENTS):
            fragments.add(part)
    assert not fragments.begun
