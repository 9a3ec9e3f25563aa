"""The oracle sees what is wrong: a record in a wrong class, a letter too few, too many, or not whole, a shard that nobody read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from config.load import load
from contract.codec import encode
from contract.event import Event, Heartbeat
from tests.chaos.oracle import Expected, Report, check_classes, check_letters, expected
from tests.chaos.parts import pipeline

Document = dict[str, Any]
LEFT, RIGHT = "shardId-000000000000", "shardId-000000000001"
BAD = b"{not json"


def event(id: str, route: str = "card_id", **document: Any) -> bytes:
    return encode(Event(f"{id}/{route}", "t", route, "insert", "k", 1, 1, id, document))


STREAM = {
    LEFT: [
        (1, 0, event("a")),
        (2, 0, encode(Heartbeat(5))),
        (3, 0, event("a")),  # as a producer that was killed puts it again
        (4, 0, event("b", poison="type")),
        (4, 1, event("b", poison="type")),  # and so a letter each time
        (6, 0, event("c", "house_id", late=True)),
        (7, 0, event("c", "meter_id", late=True)),
    ],
    RIGHT: [(8, 0, BAD), (9, 0, event("a")), (9, 1, event("c", "house_id", late=True)), (9, 2, event("d"))],
}
CLASSES = {
    LEFT: {"counted": 2, "repeat": 1, "late": 1, "ignored": 0, "control": 1, "dead_letter": 2},
    RIGHT: {"counted": 1, "repeat": 2, "late": 0, "ignored": 0, "control": 0, "dead_letter": 1},
}
REASONS = {LEFT: {"type": 2, "late": 1}, RIGHT: {"json": 1}}


def right() -> Expected:
    return expected(STREAM, {BAD: "json"})


def test_each_record_is_in_one_class_and_each_poisoned_one_a_letter() -> None:
    found = right()
    assert found.classes == CLASSES
    assert {place: reason for place, (reason, _) in found.letters.items()} == {
        (LEFT, 4, 0): "type", (LEFT, 4, 1): "type", (LEFT, 6, 0): "late", (RIGHT, 8, 0): "json",
    }  # fmt: skip


def health() -> dict[str, Document]:
    return {
        shard: {"_id": f"everything/{shard}", "records": sum(c.values()), **c, "dead_letters_by_reason": dict(REASONS[shard])}
        for shard, c in CLASSES.items()
    }


def of_classes(stored: Mapping[str, Document], tmp_path: Any, changes: int = 4) -> Report:
    report = Report()
    check_classes(report, load(pipeline(tmp_path)), right(), stored.values(), changes)
    return report


def test_right_classes_do_not_differ(tmp_path: Any) -> None:
    assert of_classes(health(), tmp_path).examples == []


@pytest.mark.parametrize("name", ["records", *CLASSES[LEFT]])
def test_one_record_too_many_in_a_class_differs(tmp_path: Any, name: str) -> None:
    stored = health()
    stored[RIGHT][name] += 1
    assert of_classes(stored, tmp_path).differ == 1


def test_a_shard_that_nobody_read_and_a_change_that_is_not_on_the_stream_differ(tmp_path: Any) -> None:
    stored = health()
    del stored[RIGHT]
    assert of_classes(stored, tmp_path).differ > 0
    assert of_classes(health(), tmp_path, changes=5).differ == 1


def letters() -> list[Document]:
    found = ((dict(zip(("shard", "sequence", "sub"), at, strict=True)), *told) for at, told in right().letters.items())
    return [
        {"_id": {**id, "sequence": str(id["sequence"])}, "reason": reason, "why": "", "record": data.decode(), "binary": None}
        for id, reason, data in found
    ]


def of_letters(stored: Iterable[Document]) -> int:
    report = Report()
    check_letters(report, right(), stored)
    return report.differ


def change(stored: Document, **other: Any) -> Document:
    return {**stored, **other}


WRONG: Mapping[str, Callable[[list[Document]], list[Document]]] = {
    "too few": lambda stored: stored[1:],
    "twice": lambda stored: [*stored, stored[0]],
    "of a good record": lambda stored: [*stored, change(stored[0], _id={"shard": LEFT, "sequence": "1", "sub": 0})],
    "of another place in the aggregate": lambda stored: [*stored, change(stored[1], _id={**stored[1]["_id"], "sub": 2})],
    "of another reason": lambda stored: [change(stored[0], reason="time"), *stored[1:]],
    "not whole": lambda stored: [change(stored[0], record="{}"), *stored[1:]],
    "of a document": lambda stored: [*stored, change(stored[0], _id={"shard": LEFT, "sequence": "1", "sub": 0, "document": "x"})],
}


def test_right_letters_do_not_differ() -> None:
    assert of_letters(letters()) == 0


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_letters_differ(wrong: str) -> None:
    assert of_letters(WRONG[wrong](letters())) == 1
