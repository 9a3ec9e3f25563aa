"""The wire format of a record that comes again: golden bytes, any record comes back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import Rejected
from contract.requeued import BEGINS, decode, encode

LETTER = {"stream": "arn:s", "created": 1, "shard": "shardId-0", "sequence": "49", "sub": 2}
GOLDEN = b'{"$requeued":{"v":1,"letter":{"stream":"arn:s","created":1,"shard":"shardId-0","sequence":"49","sub":2},"text":"{\\"a"}}'


def test_golden_bytes() -> None:
    """A change here is a change of the wire format: it needs a new version."""
    assert encode(LETTER, '{"a', None) == GOLDEN
    assert decode(GOLDEN).letter == LETTER
    assert list(decode(GOLDEN).letter) == list(LETTER)  # MongoDB compares documents field by field, in their order


@given(st.one_of(st.text(), st.binary()))
def test_any_record_comes_back(record: str | bytes) -> None:
    text, binary = (record, None) if isinstance(record, str) else (None, record)
    data = encode(LETTER, text, binary)
    assert data.startswith(BEGINS)
    assert decode(data).record == (record.encode() if isinstance(record, str) else record)


@pytest.mark.parametrize(
    "letter", [{"$gt": ""}, {"a": {"$gt": ""}}, {"a": 1 << 63}, {"a": None}, {"a": 0.5}, {"a.b": 1}, {"document": ["x"]}], ids=str
)
def test_no_letter_is_asked_for_that_a_query_would_take_for_more(letter: dict[str, object]) -> None:
    with pytest.raises(Rejected, match="no dead letter of a record"):
        encode(letter, "", None)
