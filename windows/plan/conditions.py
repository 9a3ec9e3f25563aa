"""Trees of windows/law/expr.py to operations of the machine in kernels/conditions.py: once, when the engine is made."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from windows.kernels import conditions as k
from windows.law.expr import Expr, FieldKind, Tree

COMPARISONS = {"==": 0, "!=": 1, "<": 2, "<=": 3, ">": 4, ">=": 5}
ARITHMETIC = {"+": 0, "-": 1, "*": 2, "/": 3, "%": 4}


class Columns:
    """The columns that an engine reads of a batch, numbered: numbers, flags (and expressions for Python to judge), values.

    known: the texts that a column of values is compared with. kept: the columns whose values are kept or compared with each other;
    of any other one it only matters which of those texts a value is, if any.
    """

    def __init__(self, intern: Callable[[Hashable], int]) -> None:
        self.numbers: dict[str, int] = {}
        self.flags: dict[str | Expr, int] = {}
        self.values: dict[str, int] = {}
        self.known: dict[str, dict[str, int]] = {}
        self.kept: set[str] = set()
        self.intern = intern

    def number(self, path: str) -> int:
        """Number of a column of numbers."""
        return self.numbers.setdefault(path, len(self.numbers))

    def flag(self, what: str | Expr) -> int:
        """Number of a column of flags."""
        return self.flags.setdefault(what, len(self.flags))

    def value(self, path: str) -> int:
        """Number of a column of values."""
        return self.values.setdefault(path, len(self.values))

    def keep(self, path: str) -> int:
        """The same, of one whose values are kept."""
        self.kept.add(path)
        return self.value(path)

    def know(self, sides: Sequence[Tree]) -> None:
        """Values are compared with each other: fields and texts."""
        paths = [side[1] for side in sides if side[0] == "field"]
        texts = {side[1]: self.intern(side[1]) for side in sides if side[0] == "const"}
        for path in paths:
            self.known[path] = self.known.get(path, {}) | texts
        if len(paths) > 1:
            self.kept.update(paths)


class Machine:
    """The operations of one stream. Equal parts of expressions are done once."""

    def __init__(self, columns: Columns, constants: list[float], lists: Callable[[list[float | int]], int]) -> None:
        self.code: list[int] = []
        self.registers = 0
        self._columns, self._constants, self._lists = columns, constants, lists
        self._known: dict[tuple[Tree, FieldKind], int] = {}
        self.sources: dict[int, str] = {}  # register -> the expression whose flag it holds, as text

    def add(self, expr: Expr) -> int:
        """The register that holds the expression's flag."""
        place: tuple[Tree, FieldKind] = (expr.tree, "flag")
        if place not in self._known and ordered_values(expr.tree):
            self._known[place] = self._op(k.O_FLAG, self._columns.flag(expr))
        register = self._tree(*place)
        self.sources.setdefault(register, said(expr.tree))
        return register

    def _tree(self, tree: Tree, want: FieldKind) -> int:
        place = (tree, want)
        if place not in self._known:
            self._known[place] = self._made(tree, want)
        return self._known[place]

    def _made(self, tree: Tree, want: FieldKind) -> int:
        head = tree[0]
        if head == "field":
            return self._field(tree[1], tree[2])
        if head == "const":
            return self._const(tree[1])
        if head == "null":
            return self._op(k.O_IS_NULL, self._field(tree[1], "value"))
        if head in ("and", "or"):
            parts = [self._tree(part, "flag") for part in tree[1]]
            return self._fold(k.O_AND if head == "and" else k.O_OR, parts)
        if head == "cmp":
            return self._compare(tree)
        if head == "in":
            return self._in(tree)
        if head == "chain":
            so_far = self._tree(tree[1], "number")
            for sign, part in tree[2]:
                so_far = self._op(k.O_ARITH + ARITHMETIC[sign], so_far, self._tree(part, "number"))
            return so_far
        inner = self._tree(tree[1], "flag" if head == "not" else "number")
        return self._op({"not": k.O_NOT, "neg": k.O_NEG, "abs": k.O_ABS}[head], inner)

    def _compare(self, tree: Tree) -> int:
        kind = kind_of(tree[2]) or kind_of(tree[3]) or "number"
        a, b = self._tree(tree[2], kind), self._tree(tree[3], kind)
        if kind == "number":
            return self._op(k.O_CMP + COMPARISONS[tree[1]], a, b)
        if kind == "value":
            self._columns.know(tree[2:])
        return self._op(k.O_SAME + COMPARISONS[tree[1]], a, b)

    def _in(self, tree: Tree) -> int:
        if kind_of(tree[1]) == "value":
            self._columns.know([tree[1], *(("const", v) for v in tree[2])])
            return self._op(k.O_IN_CODES, self._tree(tree[1], "value"), self._lists([self._columns.intern(v) for v in tree[2]]))
        return self._op(k.O_IN_NUMBERS, self._tree(tree[1], "number"), self._lists([float(v) for v in tree[2]]))

    def _field(self, path: str, kind: FieldKind) -> int:
        if kind == "number":
            return self._op(k.O_NUMBER, self._columns.number(path))
        if kind == "flag":
            return self._op(k.O_FLAG, self._columns.flag(path))
        return self._op(k.O_CODE, self._columns.value(path))

    def _const(self, value: Any) -> int:
        if isinstance(value, bool):
            return self._op(k.O_CONST_FLAG, int(value))
        if isinstance(value, str):
            return self._op(k.O_CONST_CODE, self._columns.intern(value))
        self._constants.append(value)
        return self._op(k.O_CONST, len(self._constants) - 1)  # moved to its place in PX when the plan is laid

    def _fold(self, op: int, parts: list[int]) -> int:
        first, *rest = parts
        for part in rest:
            first = self._op(op, first, part)
        return first

    def _op(self, op: int, a: int, b: int = 0) -> int:
        self.code += [op, self.registers, a, b]
        self.registers += 1
        return self.registers - 1


def said(tree: Any) -> str:
    """A tree as saved states name it: its repr, with each chain of operators as the pairs that it stands for."""
    if not isinstance(tree, tuple):
        return repr(tree)
    if tree[:1] == ("chain",):
        text = said(tree[1])
        for sign, part in tree[2]:
            text = f"('arith', {sign!r}, {text}, {said(part)})"
        return text
    return f"({', '.join(map(said, tree))}{',' if len(tree) == 1 else ''})"


def kind_of(tree: Tree) -> FieldKind | None:
    """What a side of a comparison is."""
    if tree[0] == "field":
        kind: FieldKind = tree[2]
        return kind
    if tree[0] == "const":
        return "flag" if isinstance(tree[1], bool) else "value" if isinstance(tree[1], str) else "number"
    return "number" if tree[0] in ("chain", "neg", "abs") else "flag"


def ordered_values(tree: Tree) -> bool:
    """Whether texts are asked for their order somewhere: codes have none, so Python judges such an expression."""
    if tree[0] == "cmp" and tree[1] not in ("==", "!=") and "value" in (kind_of(tree[2]), kind_of(tree[3])):
        return True
    if tree[0] in ("and", "or"):
        return any(map(ordered_values, tree[1]))
    return tree[0] == "not" and ordered_values(tree[1])  # nothing else holds a condition
