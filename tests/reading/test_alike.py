"""What a scanner remembers of earlier records, the layout of objects and the spelling of values, never shows in what it reads."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reading.scanner import Scanner
from reading.spellings import Picked
from tests.reading.general import Needs, agree, scanned
from tests.reading.test_scanner import AS, BARE, PAIRS, bare, event

EXAMPLES = int(os.environ.get("EDDY_EXAMPLES", "300"))
FIELDS = {"_id": '"x"', "card_id": '"c1"', "amount": "1.5", "merchant": '"m1"', "ok": "true", "ts": "1700000000123", "other": "[1]"}
GAPS = st.sampled_from(["", " ", "   ", " " * 40])
NAMES = st.sampled_from(["other", "am\\u006funt", "x" * 31, "y" * 40, "é", "amoun", "amount2", ""])


@st.composite
def documents(draw: Any) -> bytes:
    """A document whose members come in any order, with any spaces, some of them twice, missing or beside the point."""
    names = draw(st.permutations([n for n in FIELDS if draw(st.integers(0, 9))]))
    names += draw(st.lists(st.one_of(NAMES, st.sampled_from(list(FIELDS))), max_size=1))
    if draw(st.integers(0, 3)):
        names = [n for n in FIELDS if n in names]
    gap = draw(GAPS)
    members = [f'{gap}"{n}":{gap}{FIELDS.get(n, "1")}' for n in names]
    return ("{" + ",".join(members) + gap + draw(st.sampled_from(["}", "}", "}", ",}", "", "}}"])) + "").encode()


@settings(max_examples=EXAMPLES)
@given(st.lists(documents(), min_size=1, max_size=8))
def test_any_order_of_members_after_any_other(rows: list[bytes]) -> None:
    assert agree(rows * 2, BARE, AS) == [*rows_alone(rows, BARE), *rows_alone(rows, BARE)]


def rows_alone(rows: list[bytes], needs: Needs) -> list[Any]:
    """Each read by a scanner that has seen nothing."""
    fresh = Scanner(needs, AS)
    found = []
    for row in rows:
        fresh._plan._layouts.fill(0)
        found += scanned([row], needs, AS, fresh)
    return found


@pytest.mark.parametrize("gap", [*range(14, 34)])
def test_spaces_up_to_what_a_layout_remembers(gap: int) -> None:
    rows = [bare().replace(b',"amount"', b"," + b" " * n + b'"amount"') for n in (gap, gap, gap + 1, gap)]
    assert "odd" not in agree(rows, BARE, AS)


def test_more_members_than_a_layout_remembers() -> None:
    many = "".join(f'"f{i}":{i},' for i in range(50)).encode()
    rows = [b"{" + many + bare()[1:], bare()[:-1] + b"," + many[:-1] + b"}"]
    assert "odd" not in agree(rows * 2, BARE, AS)
    assert agree([b"{" + many + rows[1][1:]] * 2, BARE, AS) == agree(rows[1:] * 2, BARE, AS)
    assert agree([rows[1][:-1] + b',"amount":2}'] * 2, BARE, AS) == ["odd", "odd"]


@pytest.mark.parametrize("length", range(30))
def test_spellings_about_the_length_that_stands_in_an_entry(length: int) -> None:
    texts = ["a" * length, "a" * length + "b", "b" * length, "a" * max(length - 1, 0), "x" + "a" * length, "a\0" * length]
    rows = [bare(card_id=json.dumps(t), merchant=json.dumps(t + t)) for t in (*texts, *texts)]
    read = agree(rows, BARE, AS)
    assert read[: len(texts)] == read[len(texts) :]


@settings(max_examples=EXAMPLES)
@given(st.lists(st.text('ab/\n\\é"', max_size=3), min_size=1, max_size=12), st.data())
def test_texts_spelled_with_escapes_and_without(texts: list[str], data: Any) -> None:
    rows = []
    for text in texts:
        raw = json.dumps(text, ensure_ascii=False)
        raw = raw.replace("/", "\\/") if data.draw(st.booleans()) else raw
        rows.append(event({"country": "DE"}).replace(b'"key":"c1"', f'"key":{raw}'.encode()))
    cut = data.draw(st.integers(0, len(rows)))
    scanner = Scanner(PAIRS)
    read = agree(rows[:cut], PAIRS, None, scanner) + agree(rows[cut:], PAIRS, None, scanner)
    assert [row[5] for row in read if row != "odd"] == [("card_id", t) for t, row in zip(texts, read, strict=True) if row != "odd"]


def test_equal_keys_are_one_after_a_table_has_grown() -> None:
    scanner = Scanner(BARE, AS)
    agree([bare(card_id="5"), bare(card_id="5.0")], BARE, AS, scanner)
    agree([bare(card_id=f'"c{i}"') for i in range(6_000)], BARE, AS, scanner)
    read = agree([bare(card_id=raw) for raw in ("5.0", "5", "7.0", "7")], BARE, AS, scanner)
    assert [row[5][1] for row in read] == [5, 5, 7, 7]


def test_one_spelling_on_two_routes_is_two_keys() -> None:
    routes = [("transactions", "card_id"), ("transactions", "terminal_id")]
    read = agree([event({"n": 1}, 5, pair) for pair in routes * 2], PAIRS)
    assert [row[5] for row in read] == [("card_id", 5), ("terminal_id", 5)] * 2


def test_what_was_read_stays_when_more_is_read() -> None:
    scanner = Scanner(BARE, AS)
    rows = [bare(card_id=f'"c{i}"', merchant=f'"m{i}"') for i in range(9)]
    data = b"\n".join(rows) + b"\n"
    places = [0]
    for row in rows:
        places.append(places[-1] + len(row) + 1)
    first = scanner.read(data, np.array(places))
    before = [list(first.keys), first.value["merchant"].tolist(), first.number["amount"].tolist(), first.at.tolist()]
    agree([bare(card_id=f'"d{i}"', merchant=f'"n{i}"', amount="7") for i in range(6_000)], BARE, AS, scanner)
    assert before == [list(first.keys), first.value["merchant"].tolist(), first.number["amount"].tolist(), first.at.tolist()]
    assert isinstance(first.keys, Picked) and first.keys[1:3][0] == ("card_id", "c1")
