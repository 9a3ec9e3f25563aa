"""The wire format: golden bytes for each shape, round trips of any document, and what is said of bytes that are none of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bson import json_util
from hypothesis import given
from hypothesis import strategies as st

from contract.codec import decode, decode_document, encode, pack
from contract.errors import Rejected
from contract.event import Event, Gap, Heartbeat, Message
from contract.values import bson_value, to_json
from tests.contract.drawn import documents
from tests.contract.shapes import EVERY_TYPE, PAYMENT, SHAPES

GOLDEN = Path(__file__).parent.parent / "golden"


def plain(message: Message) -> Message:
    """The message as it comes off the wire: documents as plain JSON."""
    if isinstance(message, (Heartbeat, Gap)):
        return message
    as_json = {name: to_json(getattr(message, name)) for name in ("key", "doc_id", "document", "before")}
    return msgspec.structs.replace(message, **as_json)


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_golden_bytes(name: str) -> None:
    """A change here is a change of the wire format: it needs a new version, not new golden files."""
    golden = (GOLDEN / f"{name}.json").read_bytes()
    assert encode(SHAPES[name]) == golden
    assert decode(golden) == plain(SHAPES[name])


def test_every_golden_file_has_its_shape() -> None:
    assert {p.stem for p in GOLDEN.glob("*.json")} == set(SHAPES)


def test_the_version_is_always_on_the_wire() -> None:
    assert all(json.loads(encode(message))["v"] == 1 for message in SHAPES.values())


def test_every_bson_type_comes_back() -> None:
    event = decode(encode(SHAPES["every_type"]))
    assert isinstance(event, Event)
    back = bson_value(event.document)
    assert list(back) == list(EVERY_TYPE)
    for name, value in EVERY_TYPE.items():
        assert back[name] == value or (name == "nan" and back[name] != back[name]), name
        assert type(back[name]) is type(value) or name in ("long", "largest"), name  # relaxed: an Int64 comes back as an int


@given(documents)
def test_any_document_is_written_as_json_util_writes_it(document: dict[str, Any]) -> None:
    ours = json.loads(encode(Event("t/r", "t", "r", "insert", 1, 0, 0, 1, document)))["document"]
    theirs = json.loads(json_util.dumps(document, json_options=json_util.RELAXED_JSON_OPTIONS))
    assert json.dumps(ours) == json.dumps(theirs)


@given(documents, documents | st.none(), st.integers(-(2**60), 2**60) | st.none())
def test_any_message_comes_back(document: dict[str, Any], before: dict[str, Any] | None, at: int | None) -> None:
    event = Event("t/r", "t", "r", "update", "k", at, 5, 1, document, before)
    back = decode(encode(event))
    assert back == plain(event)
    assert encode(back) == encode(event)


def test_a_packed_document_gives_the_same_bytes() -> None:
    packed = pack(PAYMENT)
    for name in ("insert", "insert_other_route"):
        event = SHAPES[name]
        assert isinstance(event, Event)
        bare = msgspec.structs.replace(event, document=None)
        assert encode(bare, document=packed) == encode(event)
    before = SHAPES["delete_before"]
    assert isinstance(before, Event)
    assert encode(msgspec.structs.replace(before, before=None), before=packed) == encode(before)


def test_the_token_is_the_id_without_its_route() -> None:
    event = SHAPES["insert"]
    assert isinstance(event, Event)
    assert f"{event.token}/{event.route}" == event.id


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", b"\xff\xfe", b'{"kind":"heartbeat","cluster":', b'{"kind":"heartbeat","cluster":5} x', b"[" * 100_000,
     b"NaN", b"[}", b'{"kind":"change","id":"\xff"}', b'{"kind":"other","v":2,}'],
)  # fmt: skip
def test_what_is_no_json(data: bytes) -> None:
    for read in (decode, decode_document):
        with pytest.raises(Rejected) as caught:
            read(data)
        assert caught.value.reason == "json"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"kind":"change","v":2,"id":"x"}', "version 2"),
        (b'{"kind":"heartbeat","cluster":5,"v":7}', "version 7"),
        (b'{"kind":"new kind of thing","v":3}', "version 3"),
        (b'{"kind":"secret"}', "kind"),
        (b'{"card_id":"c","amount":5}', "kind"),
        (b'{"kind":"heartbeat"}', "cluster"),
        (b'{"kind":"heartbeat","cluster":"secret"}', "cluster"),
        (b"[]", "array"),
        (b"5", "int"),
    ],
)
def test_json_that_is_no_envelope(data: bytes, says: str) -> None:
    with pytest.raises(Rejected) as caught:
        decode(data)
    assert caught.value.reason == "envelope"
    assert says in caught.value.why
    assert "secret" not in caught.value.why


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_rejected(data: bytes) -> None:
    for read in (decode, decode_document):
        try:
            read(data)
        except Rejected as error:
            assert error.reason in ("json", "envelope", "not_finite")


@pytest.mark.parametrize("text", [b'{"a":1e400}', b'{"kind":"heartbeat","cluster":5,"x":-1e999}', b'{"kind":"change","key":1e400}'])
def test_a_number_larger_than_any_double(text: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode_document(text)
    assert caught.value.reason == "not_finite"


def test_unknown_fields_of_the_same_version_are_passed_over() -> None:
    assert decode(b'{"kind":"heartbeat","v":1,"cluster":5,"note":"x"}') == Heartbeat(5)


def test_a_bare_document_must_be_an_object() -> None:
    assert decode_document(b'{"a":{"$date":"2024-01-01T00:00:00Z"}}') == {"a": {"$date": "2024-01-01T00:00:00Z"}}
    with pytest.raises(Rejected) as caught:
        decode_document(b"[1]")
    assert caught.value.reason == "envelope"
