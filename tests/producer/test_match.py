"""A trigger's filter, moved to where a change stream has the document."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.errors import Misconfigured
from producer.match import in_doubt, stages, under
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


def test_triggers_are_in_doubt_only_where_they_share_changes_and_match_differently() -> None:
    matched, other, elsewhere = trigger(match={"a": 1}), trigger(), replace(trigger(match={"b": 1}), collection="carts")
    assert in_doubt(matched, other) and in_doubt(other, matched)
    assert in_doubt(matched, replace(other, collection="*")) and in_doubt(matched, replace(other, database="*", collection="*"))
    assert not in_doubt(matched, elsewhere) and not in_doubt(matched, trigger(match={"a": 1}))
    assert not in_doubt(trigger(match={"a": 1}, operations=("insert", "delete")), trigger(operations=("update", "delete")))


def test_a_watch_of_all_leaves_the_views_out() -> None:
    [wanted, *told] = stages([replace(trigger(), database="*", collection="*", apart="eddy")])[0]["$match"]["$or"]
    assert wanted["ns.db"] == {"$ne": "eddy"} and "ns.coll" not in wanted
    assert all(one.get("ns.db", one.get("to.db")) == {"$ne": "eddy"} for one in told[:-1])
