"""Expressions of the user's (`where`, rules): what they mean, checked once at load (the syntax is grammar.py's), never `eval`ed.

    amount > 0 and (status == "declined" or country not in ["DE", "AT"])

Fields are names or dotted paths. Numbers are doubles. A missing or null field makes what depends on it null, as in SQL: `and`,
`or`, `not` are three-valued, an expression holds only where it is true. `x is None` (or `x == null`) asks for it. Division by zero
is null."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from windows.law.grammar import Node, read
from windows.law.shown import cut

FieldKind = Literal["number", "flag", "value"]
Get = Callable[[str, FieldKind], Any]  # a field's value as number (float), flag (bool) or value (hashable); None: missing
Tree = tuple[Any, ...]

ARITHMETIC = ("chain", "sign", "abs")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
}  # fmt: skip
SINGLE: dict[str, Callable[[Any], Any]] = {"not": operator.not_, "neg": operator.neg, "abs": abs}


@dataclass(frozen=True, slots=True)
class Expr:
    """A checked expression. `tree` is nested tuples, for an engine to compile:

    ("const", v) ("field", path, kind) ("null", path) ("cmp", op, a, b) ("in", a, (v, ...)) ("and", (a, ...)) ("or", (a, ...))
    ("not", a) ("chain", first, ((op, a), ...)) ("neg", a) ("abs", a); a chain of + and -, or of * / %, goes from left to right
    """

    source: str
    tree: Tree

    @property
    def fields(self) -> Mapping[str, frozenset[FieldKind]]:
        """Field paths read, and as what."""
        return merge_fields({path: frozenset({kind})} for path, kind in _reads(self.tree))

    def value(self, get: Get) -> Any:
        """The value over one record, None for null."""
        return _evaluate(self.tree, get)

    def holds(self, get: Get) -> bool:
        """True only where the expression is true; null and false do not hold."""
        return _evaluate(self.tree, get) is True


def parse(text: str, want: FieldKind = "flag") -> Expr:
    """An expression that yields a flag (a condition) or a number. Raises ValueError saying what is not understood.

    >>> e = parse("amount > 10 and not declined")
    >>> sorted(e.fields), e.holds(lambda path, kind: {"amount": 12.0, "declined": False}[path])
    (['amount', 'declined'], True)
    """
    return Expr(text.strip(), _build(read(text), want))


def merge_fields(parts: Iterable[Mapping[str, frozenset[FieldKind]]]) -> dict[str, frozenset[FieldKind]]:
    """The union of what several readers read."""
    merged: dict[str, frozenset[FieldKind]] = {}
    for part in parts:
        for path, kinds in part.items():
            merged[path] = merged.get(path, frozenset()) | kinds
    return merged


def _reads(tree: Tree) -> Iterable[tuple[str, FieldKind]]:
    head = tree[0]
    if head == "field":
        yield tree[1], tree[2]
    elif head == "null":
        yield tree[1], "value"
    elif head in ("and", "or"):
        for part in tree[1]:
            yield from _reads(part)
    elif head == "cmp":
        yield from _reads(tree[2])
        yield from _reads(tree[3])
    elif head == "chain":
        yield from _reads(tree[1])
        for _, part in tree[2]:
            yield from _reads(part)
    elif head != "const":
        yield from _reads(tree[1])


def _build(node: Node, want: FieldKind) -> Tree:
    if node.kind in ("and", "or"):
        _must(want == "flag", node, "a condition cannot stand where a number must be")
        return (node.kind, tuple(_build(part, "flag") for part in node.parts))
    if node.kind == "not":
        _must(want == "flag", node, "a condition cannot stand where a number must be")
        return ("not", _build(node.parts[0], "flag"))
    if node.kind == "compare":
        _must(want == "flag", node, "a comparison cannot stand where a number must be")
        sides = zip(node.parts, node.value, node.parts[1:], strict=False)
        links = tuple(_link(a, operator, b) for a, operator, b in sides)
        return links[0] if len(links) == 1 else ("and", links)
    if node.kind in ARITHMETIC:
        _must(want == "number", node, "arithmetic cannot stand where a condition must be")
        return _arithmetic(node)
    if node.kind == "name":
        return ("field", node.value, want)
    _must(node.kind == "const" and _fits(node.value, want), node, f"cannot stand where a {want} must be")
    return ("const", node.value)


def _arithmetic(node: Node) -> Tree:
    first, *rest = (_build(part, "number") for part in node.parts)
    if node.kind == "chain":
        return ("chain", first, tuple(zip(node.value, rest, strict=True)))
    return ("abs", first) if node.kind == "abs" else ("neg", first) if node.value == "-" else first


def _link(a: Node, operator: str, b: Node) -> Tree:
    if operator in ("in", "not in"):
        return _negate(_membership(a, b), operator == "not in")
    null = next((other for one, other in ((a, b), (b, a)) if one.kind == "const" and one.value is None), None)
    if null is not None or operator in ("is", "is not"):
        _must(null is not None, a, "`is` is only for None")
        _must(operator in ("is", "is not", "==", "!="), a, "null can only be asked for with ==, != or is")
        _must(null is not None and null.kind == "name", a, "only a field can be null")
        return _negate(("null", (null or a).value), operator in ("is not", "!="))
    kind = _kind_of(a, operator, b)
    _must(kind != "flag" or operator in ("==", "!="), a, "true and false have no order")
    return ("cmp", operator, _build(a, kind), _build(b, kind))


def _membership(a: Node, b: Node) -> Tree:
    _must(b.kind == "list" and bool(b.parts), b, "`in` needs a list of constants")
    _must(all(part.kind == "const" for part in b.parts), b, "a list holds constants only")
    values = tuple(part.value for part in b.parts)
    numbers = all(_fits(v, "number") for v in values)
    _must(numbers or all(isinstance(v, str) for v in values), b, "a list must be all numbers or all texts")
    return ("in", _build(a, "number" if numbers else "value"), values)


def _kind_of(a: Node, operator: str, b: Node) -> FieldKind:
    """What a comparison compares: a constant or arithmetic on one side says it; two fields in order are numbers."""
    for side in (a, b):
        if side.kind == "const":
            return "flag" if isinstance(side.value, bool) else "value" if isinstance(side.value, str) else "number"
        if side.kind in ARITHMETIC:
            return "number"
    return "value" if operator in ("==", "!=") else "number"


def _negate(tree: Tree, yes: bool) -> Tree:
    return ("not", tree) if yes else tree


def _fits(value: Any, kind: FieldKind) -> bool:
    if kind == "flag":
        return isinstance(value, bool)
    return isinstance(value, str) if kind == "value" else isinstance(value, float)


def _must(true: bool, node: Node, why: str) -> None:
    if not true:
        raise ValueError(f"{cut(node.text)!r}: {why}")


def _evaluate(tree: Tree, get: Get) -> Any:
    head = tree[0]
    if head == "field":
        return get(tree[1], tree[2])
    if head == "const":
        return tree[1]
    if head in ("and", "or"):
        return _logic(head == "or", tree[1], get)
    if head == "null":
        return get(tree[1], "value") is None
    if head == "cmp":
        a, b = _evaluate(tree[2], get), _evaluate(tree[3], get)
        return None if a is None else _binary(tree[1], a, b)
    a = _evaluate(tree[1], get)
    if head == "chain":
        for op, part in tree[2]:
            a = None if a is None else _binary(op, a, _evaluate(part, get))
        return a
    if a is None:
        return None
    return a in tree[2] if head == "in" else SINGLE[head](a)


def _logic(decides: bool, parts: Iterable[Tree], get: Get) -> bool | None:
    unknown = False
    for part in parts:
        value = _evaluate(part, get)
        if value is None:
            unknown = True
        elif bool(value) is decides:
            return decides
    return None if unknown else not decides


def _binary(op: str, a: Any, b: Any) -> Any:
    if b is None or (op in "/%" and b == 0):
        return None
    if op in ("<", "<=", ">", ">=") and isinstance(a, str) is not isinstance(b, str):
        return None  # a text and a number have no order
    return OPERATORS[op](a, b)
