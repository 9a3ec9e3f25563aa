"""The grammar of expressions: a text to nodes. A closed list of what Python also knows, read by our own hand.

    or  <  and  <  not  <  == != < <= > >= in is  <  + -  <  * / %  <  a sign

Names mean themselves, letter by letter (Python's own parser folds the micro sign into a Greek letter). What no plain name can be,
a keyword or `user-age`, stands between backticks: `` `user-age` > 5 and customer.`from` == "DE" ``. No recursion goes deeper than
DEEPEST, however long the text: chains of one operator are one node.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from windows.law.shown import cut

MAX_SOURCE = 2_000  # characters
DEEPEST = 50  # levels of parentheses, signs and `not`
CONSTANTS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
KEYWORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", *CONSTANTS})
SUMS, PRODUCTS = ("+", "-"), ("*", "/", "%")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
PART = r"(?:[^\W\d]\w*|`[^`]+`)"
NAME = rf"{PART}(?:\.(?:\w+|`[^`]+`))*"
NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
TOKEN = re.compile(
    rf"""\s*(?:
      (?P<name>{NAME})
    | (?P<number>{NUMBER}(?!\w))
    | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<sign>==|!=|<=|>=|\*\*|//|[<>+\-*/%()\[\]{{}},])
    | (?P<end>$)
    )""",
    re.VERBOSE,
)
BETWEEN = re.compile(r"\.(?=(?:[^`]*`[^`]*`)*[^`]*$)")  # a dot that is in no quoted name


@dataclass(frozen=True, slots=True)
class Node:
    """kind: name (value: its path), const (value), or, and, not, compare (value: operators), in, chain (value: operators), sign,
    abs, list. text: what it was made of, for messages."""

    kind: str
    text: str
    value: Any = None
    parts: tuple[Node, ...] = ()


class _Reader:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth, self.last = text, 0, 0, 0
        self.kind, self.token, self.begin = "", "", 0
        self.next()

    def next(self) -> str:
        """The token that is at hand; the one behind it is at hand then."""
        token, self.last = self.token, self.at
        found = TOKEN.match(self.text, self.at)
        if found is None:
            rest = self.text[self.at :].strip()
            raise ValueError(f"not an expression: {cut(self.text)!r}; {rest[:20]!r} is not understood")
        self.kind, self.token, self.begin = found.lastgroup or "", found[found.lastgroup or 0], found.start(found.lastgroup or 0)
        self.at = found.end()
        return token

    def takes(self, *tokens: str) -> bool:
        """Whether one of these words or signs is at hand; then it is taken."""
        here = self.kind in ("sign", "name") and self.token in tokens
        if here:
            self.next()
        return here

    def needs(self, token: str) -> None:
        """This sign must be at hand."""
        if not self.takes(token):
            raise self.wrong(f"{token!r} is missing")

    def wrong(self, why: str) -> ValueError:
        """What is said of a text that breaks off, or goes on where it should not."""
        where = f" before {cut(self.token)!r}" if self.token else " at the end"
        return ValueError(f"not an expression: {cut(self.text)!r}; {why}{where}")

    def node(self, begin: int, kind: str, value: Any = None, *parts: Node) -> Node:
        """A node made of the text from `begin` up to the token at hand."""
        return Node(kind, self.text[begin : self.last].strip(), value, parts)

    def inner(self, read: Callable[[], Node]) -> Node:
        """One level deeper."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST} levels")
        node = read()
        self.depth -= 1
        return node

    def either(self) -> Node:
        return self._joined("or", self._both)

    def _both(self) -> Node:
        return self._joined("and", self._negated)

    def _joined(self, word: str, read: Callable[[], Node]) -> Node:
        begin, parts = self.begin, [read()]
        while self.takes(word):
            parts.append(read())
        return parts[0] if len(parts) == 1 else self.node(begin, word, None, *parts)

    def _negated(self) -> Node:
        begin = self.begin
        if self.takes("not"):
            return self.node(begin, "not", None, self.inner(self._negated))
        return self._compared()

    def _compared(self) -> Node:
        begin, parts, operators = self.begin, [self._chain(SUMS, self._product)], []
        while (operator := self._operator()) is not None:
            operators.append(operator)
            parts.append(self._chain(SUMS, self._product))
        return self.node(begin, "compare", tuple(operators), *parts) if operators else parts[0]

    def _operator(self) -> str | None:
        if self.kind == "sign" and self.token in COMPARISONS:
            return self.next()
        if self.takes("is"):
            return "is not" if self.takes("not") else "is"
        if self.takes("in"):
            return "in"
        if self.kind == "name" and self.token == "not":
            self.next()
            if not self.takes("in"):
                raise self.wrong("'in' is missing")
            return "not in"
        return None

    def _product(self) -> Node:
        return self._chain(PRODUCTS, self._signed)

    def _chain(self, signs: tuple[str, ...], read: Callable[[], Node]) -> Node:
        begin, parts, operators = self.begin, [read()], []
        while self.kind == "sign" and self.token in signs:
            operators.append(self.next())
            parts.append(read())
        if self.kind == "sign" and self.token in ("**", "//"):
            raise self.wrong("only + - * / % are known")
        return self.node(begin, "chain", tuple(operators), *parts) if operators else parts[0]

    def _signed(self) -> Node:
        begin = self.begin
        if self.kind == "sign" and self.token in SUMS:
            sign = self.next()
            part = self.inner(self._signed)
            if part.kind == "const" and type(part.value) is float:
                return self.node(begin, "const", -part.value if sign == "-" else part.value)
            return self.node(begin, "sign", sign, part)
        return self._one()

    def _one(self) -> Node:
        begin = self.begin
        if self.takes("("):
            node = self.inner(self.either)
            self.needs(")")
            return node
        for opening, closing in (("[", "]"), ("{", "}")):
            if self.takes(opening):
                return self._list(begin, closing)
        if self.kind == "number":
            return self.node(begin, "const", number(self.next()))
        if self.kind == "text":
            return self.node(begin, "const", _text(self.next()))
        if self.kind != "name":
            raise self.wrong("a field or a constant is missing")
        name = self.next()
        if name in CONSTANTS:
            return self.node(begin, "const", CONSTANTS[name])
        if name in KEYWORDS:
            raise ValueError(
                f"not an expression: {cut(self.text)!r}; {name!r} cannot stand there; a field of that name is `{name}`"
            )
        if self.takes("("):
            if name != "abs":
                raise ValueError(f"{cut(name)!r}: the only function here is abs(x)")
            part = self.inner(self.either)
            self.needs(")")
            return self.node(begin, "abs", None, part)
        return self.node(begin, "name", path(name))

    def _list(self, begin: int, closing: str) -> Node:
        parts: list[Node] = []
        while not self.takes(closing):
            parts.append(self._signed())
            if not self.takes(","):
                self.needs(closing)
                break
        return self.node(begin, "list", None, *parts)


def read(text: str) -> Node:
    """The nodes of a text. Raises ValueError saying what is not understood."""
    if len(text) > MAX_SOURCE:
        raise ValueError(f"longer than {MAX_SOURCE} characters")
    if not _is_unicode(text):
        raise ValueError("holds half a character, which no text in MongoDB has")
    reader = _Reader(text.strip())
    if reader.kind == "end":
        raise ValueError("is empty; an expression must stand there")
    node = reader.either()
    if reader.kind != "end":
        raise reader.wrong("it should end")
    return node


def path(text: str) -> str:
    """The path that a name means, its parts joined by dots. Raises ValueError for what cannot be one.

    >>> path("customer.`user-age`")
    'customer.user-age'
    """
    text = text.strip()
    if re.fullmatch(NAME, text) is None:
        raise ValueError(f"{cut(text)!r} is no field; write a name or a dotted path, `backticks` around what is no plain name")
    parts = BETWEEN.split(text)
    for part in parts:
        if part.startswith("`") and ("." in part or "\0" in part):
            raise ValueError(f"{cut(part)}: the name of a field that is read can hold no dot")
        if part.isdecimal():
            raise ValueError(
                f"{cut(text)!r}: no path goes into an array, as {cut(part)} would; a field of that name is `{cut(part)}`"
            )
    return ".".join(part.strip("`") for part in parts)


def number(text: str) -> float:
    """The double that a number's text means. Raises ValueError for a whole number that no double holds, or one too large."""
    value = float(text)
    if value == float("inf"):
        raise ValueError(f"{cut(text)} is larger than any number here can be (about 1.8e308)")
    if value == 0.0:
        return value
    exact = Decimal(text)
    if exact == exact.to_integral_value() and Decimal(value) != exact:
        raise ValueError(
            f"{cut(text)}: numbers are doubles, and none is this one; the nearest is {cut(format(Decimal(value), 'f'))}"
        )
    return value


def _text(token: str) -> str:
    try:
        text: str = ast.literal_eval(token)
    except (SyntaxError, ValueError):
        raise ValueError(f"{cut(token)} is no text; a backslash stands before what it cannot stand before") from None
    if not _is_unicode(text):
        raise ValueError(f"{cut(token)} holds half a character, which no text in MongoDB has; write it whole, as in \\U0001f600")
    return text


def _is_unicode(text: str) -> bool:
    """No half of a character stands alone in it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
