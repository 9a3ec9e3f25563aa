"""Expressions of the user's (`where`, rules): a closed list of Python's syntax, checked once at load, never `eval`ed.

    amount > 0 and (status == "declined" or country not in ["DE", "AT"])

Fields are names or dotted paths. A missing or null field makes what depends on it null, as in SQL: `and`, `or`, `not` are
three-valued, an expression holds only where it is true. `x is None` (or `x == null`) asks for it. Division by zero is null.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

FieldKind = Literal["number", "flag", "value"]
Get = Callable[[str, FieldKind], Any]  # a field's value as number (float), flag (bool) or value (hashable); None: missing
Tree = tuple[Any, ...]

COMPARE: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
ARITH: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%"}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": operator.mod,
}  # fmt: skip
SINGLE: dict[str, Callable[[Any], Any]] = {"not": operator.not_, "neg": operator.neg, "abs": abs}
WORDS = {"true": True, "false": False, "null": None}
MAX_SOURCE = 2_000


@dataclass(frozen=True, slots=True)
class Expr:
    """A checked expression. `tree` is nested tuples, for an engine to compile:

    ("const", v) ("field", path, kind) ("null", path) ("cmp", op, a, b) ("in", a, (v, ...)) ("and", (a, ...)) ("or", (a, ...))
    ("not", a) ("arith", op, a, b) ("neg", a) ("abs", a)
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
    if len(text) > MAX_SOURCE:
        raise ValueError(f"longer than {MAX_SOURCE} characters")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"not an expression: {text!r}") from error
    return Expr(text.strip(), _build(node, want))


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
    elif head in ("cmp", "arith"):
        yield from _reads(tree[2])
        yield from _reads(tree[3])
    elif head != "const":
        yield from _reads(tree[1])


def _build(node: ast.expr, want: FieldKind) -> Tree:
    if isinstance(node, ast.BoolOp):
        _must(want == "flag", node, "a condition cannot stand where a number must be")
        word = "and" if isinstance(node.op, ast.And) else "or"
        return (word, tuple(_build(v, "flag") for v in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _must(want == "flag", node, "a condition cannot stand where a number must be")
        return ("not", _build(node.operand, "flag"))
    if isinstance(node, ast.Compare):
        _must(want == "flag", node, "a comparison cannot stand where a number must be")
        return _comparison(node)
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.Call)):
        _must(want == "number", node, "arithmetic cannot stand where a condition must be")
        return _arithmetic(node)
    if isinstance(node, (ast.Name, ast.Attribute)) and not _is_const(node):
        return ("field", _path(node), want)
    value = _const(node)
    _must(_fits(value, want), node, f"{value!r} cannot stand where a {want} must be")
    return ("const", value)


def _arithmetic(node: ast.BinOp | ast.UnaryOp | ast.Call) -> Tree:
    if isinstance(node, ast.BinOp):
        op = ARITH.get(type(node.op))
        _must(op is not None, node, "only + - * / % are known")
        return ("arith", op, _build(node.left, "number"), _build(node.right, "number"))
    if isinstance(node, ast.UnaryOp):
        _must(isinstance(node.op, (ast.USub, ast.UAdd)), node, "this operator is not known")
        inner = _build(node.operand, "number")
        return ("neg", inner) if isinstance(node.op, ast.USub) else inner
    known = isinstance(node.func, ast.Name) and node.func.id == "abs" and len(node.args) == 1 and not node.keywords
    _must(known, node, "the only function here is abs(x)")
    return ("abs", _build(node.args[0], "number"))


def _comparison(node: ast.Compare) -> Tree:
    sides = [node.left, *node.comparators]
    links = [_link(a, op, b) for a, op, b in zip(sides, node.ops, sides[1:], strict=False)]
    return links[0] if len(links) == 1 else ("and", tuple(links))


def _link(a: ast.expr, op: ast.cmpop, b: ast.expr) -> Tree:
    if isinstance(op, (ast.In, ast.NotIn)):
        return _negate(_membership(a, b), isinstance(op, ast.NotIn))
    null = next((other for one, other in ((a, b), (b, a)) if _is_const(one) and _const(one) is None), None)
    if null is not None or isinstance(op, (ast.Is, ast.IsNot)):
        _must(null is not None, a, "`is` is only for None")
        _must(isinstance(op, (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)), a, "null can only be asked for with ==, != or is")
        return _negate(("null", _path(null or a)), isinstance(op, (ast.IsNot, ast.NotEq)))
    kind = _kind_of(a, op, b)
    _must(kind != "flag" or isinstance(op, (ast.Eq, ast.NotEq)), a, "true and false have no order")
    return ("cmp", COMPARE[type(op)], _build(a, kind), _build(b, kind))


def _membership(a: ast.expr, b: ast.expr) -> Tree:
    _must(isinstance(b, (ast.List, ast.Tuple, ast.Set)) and bool(b.elts), b, "`in` needs a list of constants")
    values = tuple(_const(e) for e in b.elts)  # type: ignore[attr-defined]
    numbers = all(_fits(v, "number") for v in values)
    _must(numbers or all(isinstance(v, str) for v in values), b, "a list must be all numbers or all texts")
    return ("in", _build(a, "number" if numbers else "value"), values)


def _kind_of(a: ast.expr, op: ast.cmpop, b: ast.expr) -> FieldKind:
    """What a comparison compares: a constant or arithmetic on one side says it; two fields in order are numbers."""
    for side in (a, b):
        if _is_const(side):
            value = _const(side)
            return "flag" if isinstance(value, bool) else "value" if isinstance(value, str) else "number"
        if isinstance(side, (ast.BinOp, ast.UnaryOp, ast.Call)):
            return "number"
    return "value" if isinstance(op, (ast.Eq, ast.NotEq)) else "number"


def _negate(tree: Tree, yes: bool) -> Tree:
    return ("not", tree) if yes else tree


def _is_const(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return isinstance(node.operand, ast.Constant)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in WORDS)


def _const(node: ast.expr) -> Any:
    if isinstance(node, ast.Name) and node.id in WORDS:
        return WORDS[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _const(node.operand)
        _must(_fits(value, "number"), node, "only a number can be negative")
        return -value
    _must(isinstance(node, ast.Constant), node, "this is not known here")
    value = node.value  # type: ignore[attr-defined]
    _must(value is None or isinstance(value, (bool, int, float, str)), node, "constants are numbers, texts, true, false, null")
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _fits(value: Any, kind: FieldKind) -> bool:
    if kind == "flag":
        return isinstance(value, bool)
    return isinstance(value, str) if kind == "value" else isinstance(value, float)


def _path(node: ast.expr) -> str:
    if isinstance(node, ast.Name) and node.id not in WORDS:
        return node.id
    _must(isinstance(node, ast.Attribute), node, "a field is a name or a dotted path")
    return f"{_path(node.value)}.{node.attr}"  # type: ignore[attr-defined]


def _must(true: bool, node: ast.expr, why: str) -> None:
    if not true:
        raise ValueError(f"{ast.unparse(node)!r}: {why}")


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
    a = _evaluate(tree[2] if head in ("cmp", "arith") else tree[1], get)
    if a is None:
        return None
    if head in ("cmp", "arith"):
        return _binary(tree[1], a, _evaluate(tree[3], get))
    if head == "in":
        return a in tree[2]
    return SINGLE[head](a)


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
