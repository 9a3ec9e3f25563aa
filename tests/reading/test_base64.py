"""Base64 read 32 letters at a time, at every length, and with any damage at any place."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.kcl.channel import FastIO, ParsedRecords
from tests.consumer.kcl.both import same
from tests.consumer.kcl.lines import line, record

EXAMPLES = int(os.environ.get("EDDY_EXAMPLES", "200"))


def fast(text: str) -> Any:
    """What the fast way reads of a line, None where it leaves it alone."""
    found = FastIO(None, None, None).load_action(text)  # type: ignore[arg-type]
    return [r.binary_data for r in found.records] if isinstance(found, ParsedRecords) else None


def last(fields: dict[str, Any]) -> dict[str, Any]:
    """A record with its data at the end, so that it lies close to the line's own."""
    return {**{k: v for k, v in fields.items() if k != "data"}, "data": fields["data"]}


@pytest.mark.parametrize("length", range(100))
def test_every_length(length: int) -> None:
    data = bytes((i * 37 + length) % 256 for i in range(length))
    records = [record(0, data), record(1, data[::-1])]
    assert fast(line(records)) == [data, data[::-1]]
    assert fast(line([last(r) for r in records])) in ([data, data[::-1]], None)
    same([line(records), line([last(r) for r in records])])


def test_every_letter() -> None:
    letters = base64.b64encode(bytes(i * 4 + j for i in range(64) for j in range(3) if i * 4 + j < 256)).decode()
    for i in range(64):
        turned = (letters[i:] + letters[:i]).replace("=", "A")
        turned = turned[: len(turned) // 4 * 4]
        text = line([{**record(0), "data": turned}])
        assert fast(text) == [base64.b64decode(turned)]


@settings(max_examples=EXAMPLES)
@given(
    st.binary(max_size=90),
    st.integers(0, 130),
    st.sampled_from(["=", "==", '"', "\\n", "-", "@", "[", "`", "{", ":", "é", ""]),
    st.integers(0, 2),
)
def test_any_damage_at_any_place(data: bytes, at: int, put: str, out: int) -> None:
    whole = base64.b64encode(data).decode()
    broken = whole[:at] + put + whole[at + out :]
    plain = line([record(0, b"first"), record(1, data)])
    same([plain.replace(f'"{whole}"', f'"{broken}"')])
    same([line([last(record(1, data))]).replace(f'"{whole}"', f'"{broken}"')])
