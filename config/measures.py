"""The text of a measure: `count()`, `sum(amount)`, `quantile(amount, 0.9)`, `share(declined)`, each with ` if <condition>`."""

from __future__ import annotations

import re

from config.table import close_to
from windows.law.expr import Expr, parse
from windows.law.grammar import NUMBER, path
from windows.law.shown import cut
from windows.law.spec import NUMERIC, VALUED, Measure

Q = re.compile(rf"[+-]?{NUMBER}")
FUNCTIONS = frozenset({"count", "share"}) | NUMERIC | VALUED


def measure(name: str, text: str) -> Measure:
    """The measure that a text means. Raises ValueError saying what is wrong and what would be right.

    >>> measure("big", "sum(amount) if amount > 10").fn
    'sum'
    """
    fn, inner, condition = _parts(text)
    if fn not in FUNCTIONS:
        raise ValueError(f'"{cut(fn)}" is not a measure{close_to(fn, FUNCTIONS)}')
    where = _expression(condition) if condition else None
    if fn == "count":
        if inner:
            raise ValueError(f"count takes nothing; to count where {cut(inner)} is there: count() if {cut(inner)} is not None")
        return Measure(name, fn, where=where)
    if fn == "share":
        if not inner:
            raise ValueError("share needs a condition, as in share(declined)")
        return Measure(name, fn, expr=_expression(inner), where=where)
    q: float | None = None
    if fn == "quantile":
        inner, q = _quantile(inner)
    try:
        return Measure(name, fn, path(inner), q=q, where=where)
    except ValueError as error:
        raise ValueError(f"{fn} takes one field: {error}") from None


def _parts(text: str) -> tuple[str, str, str]:
    """Function, what stands between its parentheses, and the condition after `if`."""
    fn, opened, rest = text.strip().partition("(")
    end = _closing(rest)
    if not opened or end is None:
        raise ValueError(f'"{cut(text)}" is not a measure; write one as in sum(amount) or count() if amount > 10')
    tail = rest[end + 1 :].strip()
    if tail and not re.match(r"if\b", tail):
        raise ValueError(f'"{cut(tail)}" is not understood after {cut(fn.strip())}(...); only `if <condition>` may stand there')
    if tail and not tail[2:].strip():
        raise ValueError("a condition must follow `if`")
    return fn.strip(), rest[:end].strip(), tail[2:].strip()


def _closing(rest: str) -> int | None:
    """Where the parenthesis that was opened before `rest` closes."""
    depth, quote, escaped = 1, "", False
    for i, letter in enumerate(rest):
        if escaped:
            escaped = False
        elif quote:
            quote = "" if letter == quote else quote
            escaped = letter == "\\" and quote in ("'", '"')  # between backticks a backslash is a letter
        elif letter in "\"'`":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            if depth == 0:
                return i
    return None


def _quantile(inner: str) -> tuple[str, float]:
    field, comma, text = inner.rpartition(",")
    q = float(text) if Q.fullmatch(text.strip()) else -1.0
    if not comma or not 0 <= q <= 1:
        raise ValueError(
            f'quantile needs a field and a number from 0 to 1, as in quantile(amount, 0.9); "{cut(inner)}" is not that'
        )
    return field.strip(), q


def _expression(text: str) -> Expr:
    return parse(text, "flag")
