"""Drawn documents: every BSON type, nested."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from bson import Binary, DatetimeMS, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import strategies as st

INT64 = 1 << 63
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0$"), max_size=8)
dates = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(
    lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000, tzinfo=UTC)
)
uuids = st.uuids().map(Binary.from_uuid)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9).map(Decimal128)
oids = st.binary(min_size=12, max_size=12).map(ObjectId)
integers = st.integers(-INT64, INT64 - 1)
numbers = st.one_of(integers, integers.map(Int64), st.floats(allow_nan=False, allow_infinity=False), decimals)
odd = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([float("inf"), float("-inf"), MinKey(), MaxKey(), Regex("^a", "i"), Binary(uuid.UUID(int=3).bytes, 3)]),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.integers(253_402_300_800_000, 2**62).map(DatetimeMS),
)
scalars = st.one_of(texts, numbers, st.booleans(), st.none(), dates, uuids, oids, odd)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12)
documents = st.dictionaries(names, values, max_size=6)
