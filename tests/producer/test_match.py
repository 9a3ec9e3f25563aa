"""A trigger's filter, moved to where a change stream has the document."""

from __future__ import annotations

import pytest

from contract.errors import Misconfigured
from producer.match import stages, under, unsure
from tests.producer.shapes import trigger


def test_lists_are_gone_through_and_operators_are_left_alone() -> None:
    match = {"$nor": [{"$and": [{"a": {"$in": [1]}}, {"b.c": None}]}], "d": {"$elemMatch": {"x": 1}, "$not": {"$eq": 2}}}
    assert under("p", match) == {
        "$nor": [{"$and": [{"p.a": {"$in": [1]}}, {"p.b.c": None}]}], "p.d": {"$elemMatch": {"x": 1}, "$not": {"$eq": 2}},
    }  # fmt: skip


def test_what_cannot_be_moved_is_refused() -> None:
    with pytest.raises(Misconfigured) as refused:
        under("p", {"$where": "1"})
    assert "$where" in str(refused.value)


def test_without_a_match_the_operations_alone_are_asked() -> None:
    [stage] = stages([trigger(operations=("insert", "delete"))])
    assert stage["$match"]["$or"][0] == {
        "ns.db": "shop", "ns.coll": "payments", "operationType": {"$in": ["insert", "delete"]},
    }  # fmt: skip


def test_deletes_pass_the_match_unless_they_are_not_asked_for() -> None:
    def ways(**more: object) -> list[object]:
        found = stages([trigger(match={"a": 1}, **more)])[0]["$match"]["$or"][0]["$or"]
        assert isinstance(found, list)
        return found

    asked = {"$and": [{"operationType": {"$in": ["insert", "update", "replace"]}}, {"fullDocument.a": 1}]}
    assert ways() == [asked, {"operationType": "delete"}]
    assert ways(operations=("insert", "update", "replace")) == [asked]


def test_the_server_is_asked_again_only_where_two_triggers_share_a_collection() -> None:
    matched, other, elsewhere = trigger(match={"a": 1}), trigger(), trigger()
    assert not unsure(matched, [matched], "insert")
    assert unsure(matched, [matched, other], "insert")
    assert not unsure(matched, [matched, other], "delete")
    assert not unsure(elsewhere, [matched, elsewhere], "insert")
