"""How much may wait between reading and acknowledgement, and what is left out of a change that is too large."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from producer.oversize import trimmed
from producer.reader import Room


def test_a_room_that_is_full_is_waited_for_and_says_since_when() -> None:
    #  held   60 ........ 120 waits for room, since 7 ........ 60 leave: 60 in
    room, stop = Room(100), threading.Event()
    room.enter(60, stop)
    clock: Iterator[float] = iter((7.0, 8.0, 9.0))
    asked = threading.Event()

    def now() -> float:
        asked.set()
        return next(clock)

    waiting = threading.Thread(target=room.enter, args=(60, stop, now))
    waiting.start()
    assert asked.wait(30)
    assert room.held == 60
    room.leave(60)
    waiting.join(30)
    assert not waiting.is_alive()
    assert (room.held, room.full_since) == (60, None)


def test_what_is_larger_than_the_room_goes_in_alone_and_an_end_is_not_waited_for() -> None:
    room, stop = Room(100), threading.Event()
    room.enter(500, stop)
    assert room.held == 500
    stop.set()
    room.enter(1, stop)
    assert room.held == 501


def test_trimming_leaves_a_change_alone_that_has_nothing_to_leave_out() -> None:
    change = {"operationType": "delete", "fullDocument": None, "fullDocumentBeforeChange": {"_id": 1, "a": [{"photo": 1}]}}
    assert trimmed(change, ["photo", "a.photo", "b.c"]) == change


def test_trimming_changes_both_documents_each_by_what_it_has_and_not_the_original() -> None:
    change = {"fullDocument": {"a": {"b": 1, "c": 2}}, "fullDocumentBeforeChange": {"a": {"c": 2}, "x": 3}}
    assert trimmed(change, ["a.b", "x"]) == {
        "fullDocument": {"a": {"c": 2}, "_trimmed": ["a.b"]}, "fullDocumentBeforeChange": {"a": {"c": 2}, "_trimmed": ["x"]},
    }  # fmt: skip
    assert change == {"fullDocument": {"a": {"b": 1, "c": 2}}, "fullDocumentBeforeChange": {"a": {"c": 2}, "x": 3}}
