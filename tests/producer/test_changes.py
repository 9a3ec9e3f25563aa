"""A change becomes one event per route, and what the consumer reads in it is what MongoDB said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from bson import Decimal128, Int64, ObjectId
from hypothesis import given

from contract.codec import decode, decode_document
from contract.errors import Rejected
from contract.event import Event
from contract.keys import partition_key, stray_partition_key, typed
from contract.values import bson_value, get
from producer.changes import Record, records
from tests.producer.shapes import AT_MS, CLUSTER, OID, PAYMENT, TOKEN, change, trigger


def events(made: list[Record]) -> list[Event]:
    found = [decode(r.data) for r in made]
    assert all(isinstance(e, Event) for e in found)
    return [e for e in found if isinstance(e, Event)]


def test_an_insert_is_one_event_per_route() -> None:
    made = records(trigger(), change(document=PAYMENT))
    assert [r.key for r in made] == ["card_id:t:c1", "terminal_id:n:7"]
    card, terminal = events(made)
    assert (card.id, card.trigger, card.route, card.op, card.key) == (f"{TOKEN}/card_id", "pay", "card_id", "insert", "c1")
    assert (card.at, card.cluster, card.doc_id, card.before) == (AT_MS, CLUSTER.time * 1000, {"$oid": str(OID)}, None)
    assert (terminal.route, terminal.key, terminal.document) == ("terminal_id", 7, card.document)
    assert card.document == {
        "_id": {"$oid": str(OID)}, "card_id": "c1", "terminal_id": 7, "amount": 12.5, "at": {"$date": "2023-11-14T22:13:19.123Z"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        ({"at": "2023-11-14T22:13:19.123Z"}, AT_MS),
        ({"at": AT_MS}, AT_MS),
        ({"at": None}, CLUSTER.time * 1000),
        ({}, CLUSTER.time * 1000),
        ({"at": "yesterday"}, None),
        ({"at": True}, None),
    ],
)
def test_event_time_is_the_field_else_the_cluster_time_and_none_where_unreadable(
    given_time: dict[str, Any], expected: int | None
) -> None:
    [event] = events(records(trigger(routes=("card_id",)), change(document={"_id": 1, "card_id": "c1", **given_time})))
    assert event.at == expected


def test_without_a_time_field_the_cluster_time_holds() -> None:
    [event] = events(records(trigger(routes=("card_id",), time=None), change(document=PAYMENT)))
    assert event.at == CLUSTER.time * 1000


@pytest.mark.parametrize("key", [None, [1], {"a": 1}, float("nan")])
def test_what_is_no_key_is_relayed_by_the_documents_id_for_the_consumer_to_reject(key: Any) -> None:
    document = {**PAYMENT, "card_id": key}
    [made] = records(trigger(routes=("card_id",)), change(document=document))
    assert made.key == stray_partition_key("card_id", OID)
    [event] = events([made])
    with pytest.raises(Rejected):
        typed(event.key)


def test_a_changed_route_value_is_out_on_the_old_key_and_then_in_on_the_new() -> None:
    new = {**PAYMENT, "card_id": "c2", "amount": 99, "at": datetime(2023, 11, 14, 23)}
    made = records(trigger(before=True), change("update", new, PAYMENT))
    assert [r.key for r in made] == ["card_id:t:c1", "card_id:t:c2", "terminal_id:n:7"]
    out, put, terminal = events(made)
    assert (out.key, out.document, out.at) == ("c1", None, AT_MS) and out.before is not None and out.before["amount"] == 12.5
    assert (put.key, put.before) == ("c2", None) and put.document is not None and put.document["amount"] == 99
    assert terminal.document == put.document and terminal.before == out.before and terminal.at == put.at != AT_MS
    assert out.op == put.op == "update" and out.id == put.id == f"{TOKEN}/card_id"


def test_a_number_that_only_changed_its_type_is_the_same_key() -> None:
    made = records(trigger(before=True, routes=("terminal_id",)), change("update", {**PAYMENT, "terminal_id": 7.0}, PAYMENT))
    assert [r.key for r in made] == ["terminal_id:n:7"]


def test_a_delete_with_its_old_document_goes_to_the_old_keys_at_the_old_time() -> None:
    made = records(trigger(before=True), change("delete", None, PAYMENT))
    assert [r.key for r in made] == ["card_id:t:c1", "terminal_id:n:7"]
    assert all(e.document is None and e.before is not None and e.at == AT_MS for e in events(made))


def test_a_delete_and_a_look_up_that_came_too_late_know_their_key_only_from_the_documents_key() -> None:
    for op in ("delete", "update"):
        found = change(op)
        found["documentKey"] = {"_id": OID, "card_id": "c1"}  # of a sharded collection: its shard key is there
        card, terminal = events(records(trigger(), found))
        assert (card.key, card.document, card.at) == ("c1", None, CLUSTER.time * 1000)
        assert terminal.key is None and terminal.doc_id == {"$oid": str(OID)}


def test_a_pre_image_is_left_out_where_the_trigger_does_not_ask_for_it() -> None:
    assert all(e.before is None for e in events(records(trigger(), change("update", PAYMENT, PAYMENT))))


def test_bare_documents_have_no_envelope_and_a_delete_leaves_none() -> None:
    bare = trigger(routes=("card_id",), envelope=False)
    [made] = records(bare, change(document=PAYMENT))
    assert made.key == "c1" and decode_document(made.data)["terminal_id"] == 7
    assert records(bare, change("delete")) == []


def test_a_record_counts_data_and_key_in_bytes() -> None:
    assert Record("ä:b", b"1234", "i", "t", "r", 1).size == 4 + 4
    assert Record("ab", b"1234", "i", "t", "r", 1).size == 6


KEYS = st.one_of(
    st.text(), st.integers(-(2**63), 2**63 - 1), st.integers(-9, 9).map(Int64), st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(), st.binary(min_size=12, max_size=12).map(ObjectId), st.uuids(),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda d: d.replace(microsecond=d.microsecond // 1000 * 1000)),
    st.decimals(-9999, 9999, places=2).map(Decimal128),
)  # fmt: skip


@given(KEYS)
def test_producer_and_consumer_name_a_key_alike(key: Any) -> None:
    """The producer sees BSON, the consumer JSON; both reach the same partition key, and the document's field says the same."""
    [made] = records(trigger(routes=("a.k",), time=None), change(document={"_id": 1, "a": {"k": key}}))
    [event] = events([made])
    assert event.document is not None
    assert made.key == partition_key("a.k", typed(event.key)) == partition_key("a.k", typed(get(event.document, "a.k")))
    assert typed(bson_value(event.key)) == typed(key)
