"""Lines as a MultiLangDaemon writes them, and lines that nobody should."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st

FIRST = 49590338271490256608559692538361571095921575989136588898
SPACINGS = [(",", ":"), (", ", ": "), (" ,\t", " : ")]


def record(i: int, data: bytes = b'{"n": 1}', key: str = "card_id:s:c1", **other: Any) -> dict[str, Any]:
    """A record, its fields in KCL's order."""
    return {
        "data": base64.b64encode(data).decode(),
        "partitionKey": key,
        "sequenceNumber": str(FIRST + i),
        "approximateArrivalTimestamp": 1767225600000 + i,
        "subSequenceNumber": 0,
        "action": "record",
        **other,
    }


def line(records: list[Any], millis: Any = 0, spacing: tuple[str, str] = SPACINGS[0], ascii_only: bool = False) -> str:
    """A line of records, as KCL (or json.dumps) writes it."""
    message = {"action": "processRecords", "records": records, "millisBehindLatest": millis}
    return json.dumps(message, separators=spacing, ensure_ascii=ascii_only)


KEYS = st.one_of(st.text(max_size=30), st.sampled_from(["c1", 'a"b\\c/\t\u2028', "é" * 9, "😀", "x" * 256]))
NUMBERS = st.one_of(st.integers(-5, 5), st.sampled_from([10**17, 10**18, 2**63, 2**64, 1.5, 1e3, True, None, "7", 1767225600000]))
ODD_BASE64 = ["QQ=", "Q===", "QQ==\n", "Q-Q=", "QR==", "QQ==QQ==", "", "===="]


@st.composite
def drawn_records(draw: Any) -> dict[str, Any]:
    """Mostly a good record; its fields in any order, now and then one that is wrong, missing or too much."""
    made = record(draw(st.integers(0, 99)), draw(st.binary(max_size=40)), draw(KEYS))
    made["subSequenceNumber"] = draw(st.sampled_from([0, 1, 123456, None]))
    odd = draw(st.integers(0, 30))
    if odd < 6:
        name = draw(st.sampled_from(sorted(made)))
        made[name] = draw(
            st.one_of(NUMBERS, KEYS, st.sampled_from(["QQ=", "Q===", "QQ==\n", "Q-Q=", "QR==", "QQ==QQ==", "", "===="]))
        )
    elif odd == 6:
        del made[draw(st.sampled_from(sorted(made)))]
    elif odd == 7:
        made["extra"] = draw(st.sampled_from([1, {"a": 1}, "x"]))
    return made


@st.composite
def drawn_lines(draw: Any) -> str:
    """A line of one to five records of one field order, with any spacing and spelling; one in four is damaged at one place."""
    records = draw(st.lists(drawn_records(), max_size=5))
    if draw(st.booleans()):
        order = draw(st.permutations(sorted(record(0))))
        records = [{name: r[name] for name in [*(n for n in order if n in r), *(n for n in r if n not in order)]} for r in records]
    text = line(records, draw(NUMBERS), draw(st.sampled_from(SPACINGS)), draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(text)))
        put = draw(st.sampled_from(["", "x", '"', "\\", ",", "0", "}", "]", " ", "\x01", "é", "\ud800", text[at : at + 9] * 2]))
        text = text[:at] + put + text[at + draw(st.integers(0, 3)) :]
    return text.replace("\n", "").replace("\r", "")
