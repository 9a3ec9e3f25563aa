"""A trigger's projection, against the server's own."""

from __future__ import annotations

import random
from typing import Any

import pytest

from config.load import parse
from producer.changes import records
from producer.projection import projected
from tests.conftest import Client
from tests.producer.shapes import AT, PAYMENT, change, trigger

NAMES = "abc"


def drawn(pick: random.Random, depth: int) -> Any:
    """A document with arrays of arrays of documents in it, of few names, so that paths meet them."""
    kind = pick.random()
    if depth == 0 or kind < 0.3:
        return pick.choice([1, "x", None])
    if kind < 0.65:
        return [drawn(pick, depth - 1) for _ in range(pick.randrange(4))]
    return {name: drawn(pick, depth - 1) for name in NAMES if pick.random() < 0.7}


def test_it_is_what_the_server_would_make_of_a_document(mongo: Client, database_name: str) -> None:
    pick = random.Random(4)
    documents = [{"_id": n, **{name: drawn(pick, 4) for name in NAMES}} for n in range(60)]
    mongo[database_name].any.insert_many(documents)
    differ = 0
    for paths in (("a",), ("a.b",), ("a", "b.c"), ("a.b.c", "a.c", "c"), ("a.b", "b.a.c", "missing.x"), ("_id", "b.b.b")):
        for kept in (True, False):
            wanted = {path: kept for path in paths if kept or path != "_id"}
            theirs = list(mongo[database_name].any.find({}, {path: int(kept) for path, kept in wanted.items()}).sort("_id"))
            ours = [projected(document, wanted) for document in documents]
            assert ours == theirs
            differ += sum(a != b for a, b in zip(ours, documents, strict=True))
    assert differ > 300


def test_a_projection_applies_to_both_documents_of_a_change_and_keeps_what_a_record_is_found_by() -> None:
    one = trigger(before=True, projection={"card_id": True, "terminal_id": True, "at": True})
    made = records(one, change("update", PAYMENT, PAYMENT | {"amount": 1}))
    assert len(made) == 2 and all(b"amount" not in record.data and b'"before"' in record.data for record in made)
    assert {record.key for record in made} == {"card_id:t:c1", "terminal_id:n:7"}
    assert records(trigger(projection={"amount": False}), change(document=PAYMENT))[0].data.count(b"12.5") == 0
    assert AT is PAYMENT["at"]


@pytest.mark.parametrize(
    "text", ['projection = { k = 1, "a.b" = 1 }', "projection = { k = true, a.b = true }", "projection = { k = 1, a = { b = 1 } }"]
)
def test_paths_may_be_written_as_tables(text: str) -> None:
    file = '[stream]\nname = "s"\n[[trigger]]\nname = "t"\ndatabase = "d"\ncollection = "c"\nroutes = ["k"]\n'
    assert parse(file + text).triggers[0].projection == {"k": True, "a.b": True}
