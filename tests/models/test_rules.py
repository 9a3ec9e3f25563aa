"""Rules, their reasons and the score; what an event's names mean."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Binary, Decimal128, Int64, MinKey, ObjectId

from config.specs import Fraud, Rule
from contract.times import MIN_MS, date
from models.base import Happening
from models.features import Named, by_row
from models.fraud import RuleScorer
from models.rules import reason, version
from windows.law.expr import parse
from windows.law.spec import Measure, Rolling, WindowSet

RECENT = WindowSet("recent", "pay", "card", Rolling(10), (Measure("n", "count"), Measure("spend", "sum", "amount")))
LAST = WindowSet("seen", "pay", "card", Rolling(10), (Measure("where", "last", "shop"),))
FEATURES: dict[str, dict[str, Any]] = {"recent": {"n": 4, "spend": 1234.5}, "seen": {"where": None}}


@dataclass
class Block:
    """The face of a FeatureBlock."""

    set: WindowSet
    row: list[int]
    measures: dict[str, list[Any]]


def rule(when: str, weight: float = 0.5, reason: str = "because", name: str = "r") -> Rule:
    return Rule(name, parse(when), weight, reason)


def scored(*rules: Rule, document: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    scorer = RuleScorer(Fraud("pay", "card", rules, **options))
    return scorer.score(Happening("pay", "card", "c", 5, "", "doc1", document or {"amount": 50.0}), FEATURES)


def test_a_score_document_is_whole() -> None:
    document = scored(rule("recent.n > 3 and amount < 100", 0.5, "{recent.n} payments", "often"), rule("amount > 100"))
    assert document == {
        "_id": "doc1",
        "key": "c",
        "at": date(5),
        "score": 0.5,
        "decision": "review",
        "reasons": [{"rule": "often", "text": "4 payments", "weight": 0.5}],
        "features": FEATURES,
        "model": document["model"],
    }
    assert document["model"].startswith("rules-")


@pytest.mark.parametrize(
    ("weights", "score", "decision"),
    [((), 0.0, "approve"), ((0.4,), 0.4, "approve"), ((0.5,), 0.5, "review"), ((0.5, 0.5), 0.75, "review"), ((0.8,), 0.8, "block")],
)
def test_weights_combine_and_a_threshold_that_is_reached_counts(weights: tuple[float, ...], score: float, decision: str) -> None:
    document = scored(*(rule("amount > 1", w) for w in weights))
    assert (document["score"], document["decision"]) == (pytest.approx(score, rel=1e-12), decision)


@pytest.mark.parametrize(
    "when",
    [
        "seen.where == 'x'",  # a feature that is null
        "nothing > 1",  # a field that is missing
        "shop > 1",  # a text where a number must be
        "recent.unknown > 0",  # no such measure
        "not (nothing > 1)",  # null stays null
        "amount / 0 > 1",
    ],
)
def test_a_rule_that_reads_what_is_unknown_does_not_fire(when: str) -> None:
    assert scored(rule(when), document={"amount": 5.0, "shop": "s"})["reasons"] == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{amount} paid", "50 paid"),
        ("{recent.spend}", "1,234.50"),
        ("{recent.spend:.0f} of {recent.n}", "1234 of 4"),
        ("{seen.where} and {missing}", "unknown and unknown"),
        ("{seen.where:.2f}", "unknown"),
        ("{shop:.2f}", "s1"),
        ("{ok} {{as it is}}", "true {as it is}"),
        ("{share}", "0.0123"),
        ("{big}", "7"),
        ("{huge}", "1e+20"),
    ],
)
def test_reasons_are_for_people(template: str, text: str) -> None:
    document = {"amount": 50.0, "shop": "s1", "ok": True, "share": 0.01234, "big": Int64(7), "huge": 1e20}
    assert reason(template, Named(document, FEATURES)) == text


ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
VALUES: list[tuple[Any, str, str]] = [
    (Decimal128("1234.5678"), "", "1,234.57"), (Decimal128("1234.5678"), ":.2f", "1234.57"), (Decimal128("0.012345"), "", "0.0123"),
    (Decimal128("3.00"), "", "3"), (Decimal128("12345678901234567890.567"), ":,.2f", "12,345,678,901,234,567,890.57"),
    (Decimal128("NaN"), ":.2f", "NaN"), (Decimal128("-Infinity"), "", "-inf"), (Decimal128("sNaN"), "", "nan"),
    (Decimal128("1E+6144"), ":.2f", "1.00e+6144"), (Decimal128("1E-6176"), "", "1e-6176"), (Decimal128("7"), ":d", "7"),
    (True, "", "true"), (True, ":.2f", "true"), (False, ":d", "false"), (True, ":>6", "true"),
    ({"b": 1, "a": [1.5, None, True]}, "", '{"b":1,"a":[1.5,null,true]}'), ({"b": 1}, ":.2f", '{"b":1}'), ([], ":>9", "[]"),
    (["ü", Int64(5), date(0)], "", '["ü",5,{"$date":"1970-01-01T00:00:00Z"}]'), ([float("nan")], "", '[{"$numberDouble":"NaN"}]'),
    ([Decimal128("2.5")], "", '[{"$numberDecimal":"2.5"}]'), ([1] * 1_000, "", "[" + "1," * 199 + "…"),
    (b"\x00", ":.2f", '{"$binary":{"base64":"AA==","subType":"00"}}'), (Binary.from_uuid(ID), "", str(ID)),
    (ObjectId("64b64b64b64b64b64b64b64b"), ":.2f", "64b64b64b64b64b64b64b64b"), (MinKey(), "", '{"$minKey":1}'),
    (date(MIN_MS), "", "0001-01-01 00:00:00"), (date(MIN_MS), ":.2f", "0001-01-01 00:00:00"),
    (datetime(987, 6, 5, tzinfo=UTC), ":>40", "0987-06-05 00:00:00"), (date(MIN_MS - 1), "", "0000-12-31 23:59:59.999"),
    (date(MIN_MS - 86_400_000 * 366 - 1), "", "-0001-12-31 23:59:59.999"),
    (1e308, ":.0f", format(1e308, ".0f")), ("ab", ":>4", "  ab"), ("ab", ":.2f", "ab"), (0.1, "", "0.10"), (-0.25, "", "-0.25"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "spec", "text"), VALUES)
def test_a_reason_shows_a_value_of_any_type(value: Any, spec: str, text: str) -> None:
    assert reason(f"is {{x{spec}}}.", Named({"x": value}, {})) == f"is {text}."


def test_a_version_changes_with_the_rules() -> None:
    one = Fraud("pay", "card", (rule("amount > 1"),))
    assert version(one) == version(Fraud("pay", "card", (rule("amount > 1"),)))
    others = [
        Fraud("pay", "card", (rule("amount > 2"),)),
        Fraud("pay", "card", (rule("amount > 1", 0.4),)),
        Fraud("pay", "card", ()),
    ]
    assert len({version(f) for f in [one, *others]}) == 4


def test_features_by_row() -> None:
    blocks = [Block(RECENT, [0, 2], {"n": [1, None], "spend": [2.0, None]}), Block(LAST, [2], {"where": [("d", 5)]})]
    assert by_row(blocks, {0, 2}) == {
        0: {"recent": {"n": 1, "spend": 2.0}},
        2: {"recent": {"n": None, "spend": None}, "seen": {"where": date(5)}},
    }
    assert by_row(blocks, {1}) == {}


def test_names_are_features_first_and_fields_else() -> None:
    named = Named({"recent": {"n": 9}, "deep": {"er": 2}}, FEATURES)
    assert (named.raw("recent.n"), named.raw("deep.er"), named.raw("recent")) == (4, 2, {"n": 9})
    assert Named({"recent": {"n": 9}}, {}).get("recent.n", "number") == 9.0
