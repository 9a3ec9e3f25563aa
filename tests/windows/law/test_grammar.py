"""Expressions: what Python means where Python knows it too, names letter by letter, and no depth that ends a process."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windows.law.expr import parse
from windows.law.grammar import DEEPEST, path

FIELDS = {"a": 2.0, "b": -3.5, "c": 0.25, "µg": 5.0, "t": True, "f": False}
numbers = st.sampled_from(["a", "b", "c", "µg", "1", "2.5", "-4", ".5", "1e3"])


def _arithmetic(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, st.sampled_from("+-*"), inner).map(" ".join)
    return pair | inner.map("({})".format) | inner.map("-{}".format) | inner.map("abs({})".format)


arithmetic = st.recursive(numbers, _arithmetic, max_leaves=8)
comparisons = st.tuples(arithmetic, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), arithmetic).map(" ".join)
chained = st.tuples(comparisons, st.sampled_from(["<", ">="]), arithmetic).map(" ".join)
members = st.tuples(numbers, st.sampled_from(["in", "not in"]), st.just("[1, -4, 2.5]")).map(" ".join)


def _logic(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
    return pair | inner.map("({})".format) | inner.map("not {}".format)


conditions = st.recursive(comparisons | chained | members | st.sampled_from(["t", "f", "True"]), _logic, max_leaves=6)


def value(text: str, fields: dict[str, Any] = FIELDS) -> Any:
    return parse(text).value(lambda name, kind: fields.get(name))


@given(conditions)
def test_a_condition_means_what_python_means(text: str) -> None:
    plain = text.replace("µg", "micro")  # Python would fold the name
    assert value(text) == bool(eval(plain, {"abs": abs, "micro": FIELDS["µg"], **FIELDS}))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("µg > 1", {"\u00b5g": 5.0}),  # MICRO SIGN
        ("`user-age` > 5", {"user-age": 6.0}),
        ("customer.`from` == 'DE'", {"customer.from": "DE"}),
        ("`in` is not None and is_new", {"in": "x", "is_new": True}),
        ('name == "caf\\u00e9 \\"x\\""', {"name": 'café "x"'}),
        ("items.`0` > 1", {"items.0": 2.0}),
    ],
)
def test_names_mean_themselves(text: str, fields: dict[str, Any]) -> None:
    assert parse(text).holds(lambda name, kind: fields[name])


def test_a_long_chain_is_one_level() -> None:
    assert value("+".join(["a"] * 900) + " == 1800") is True
    assert value("-".join(["a"] * 900) + " == -1796") is True
    assert value(" or ".join(["f"] * 300)) is False
    assert math.isclose(parse("*".join(["a"] * 900), "number").value(lambda name, kind: 1.001), 1.001**900)


@pytest.mark.parametrize(("before", "after"), [("(", ")"), ("not ", ""), ("abs(", ")")])
def test_what_is_nested_too_deeply_is_refused(before: str, after: str) -> None:
    flag = before != "abs("
    text = before * DEEPEST + ("t" if flag else "a") + after * DEEPEST
    parse(text, "flag" if flag else "number")
    with pytest.raises(ValueError, match="nested deeper"):
        parse(before + text + after, "flag" if flag else "number")


@given(st.text(max_size=30))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for want in ("flag", "number"):
        try:
            parse(text, want)  # type: ignore[arg-type]
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize("text", ["a b", "a..b", "", "a.", "`a", "a*b", "`a.b`", "a.0"])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        path(text)


@pytest.mark.parametrize(
    "text", ['a == "\\ud800"', 'a in ["x", "\\udfff"]', 'a == "\\ud83d\\ude00"', 'a == "\ud800"', "`\udc00` > 1"]
)
def test_half_a_character_is_no_text(text: str) -> None:
    with pytest.raises(ValueError, match="half a character"):
        parse(text)
    assert parse('a == "\\U0001f600" or a == "\\\\ud800"').holds(lambda name, kind: "\\ud800")
