"""Rules: conditions over an event and its features, each with a weight and a reason for people."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from math import prod
from typing import Any
from uuid import UUID

from config.reasons import parts
from config.specs import Fraud, Rule
from contract.times import date, spelled
from contract.values import value
from contract.views import Reason
from models.features import Named
from windows.law.shown import cut

LONGEST = 400  # characters of one value in a reason; the largest double has 309 digits
LEAST, SHORT = Decimal("0.1"), Decimal(10**15)  # from here to there a number is written out
SAID: Mapping[str, Callable[[Any], str]] = {  # by the letters of contract.values.value
    "b": lambda flag: "true" if flag else "false",
    "d": lambda ms: spelled(date(ms)),
    "f": str,
    "j": lambda text: cut(text, LONGEST),
    "o": str,
    "u": lambda digits: str(UUID(hex=digits)),
}


def fired(rules: Sequence[Rule], named: Named) -> list[Reason]:
    """The reasons of the rules that hold, in their order. A rule whose condition is null does not fire."""
    return [
        {"rule": rule.name, "text": reason(rule.reason, named), "weight": rule.weight}
        for rule in rules
        if rule.when.holds(named.get)
    ]


def combined(reasons: Sequence[Reason]) -> float:
    """1 - product of (1 - weight): independent grounds add up and never pass 1.

    >>> combined([{"rule": "a", "text": "", "weight": 0.5}, {"rule": "b", "text": "", "weight": 0.5}])
    0.75
    """
    return 1.0 - prod(1.0 - r["weight"] for r in reasons)


def reason(template: str, named: Named) -> str:
    """The template with each {name} replaced by what it names; {name:.3f} formats a number as Python would."""
    said = []
    for text, name, spec in parts(template):
        said.append(text)
        if name is not None:
            said.append(formatted(named.raw(name), spec))
    return "".join(said)


def formatted(given: Any, spec: str) -> str:
    """A value by its format; as `readable` gives it where there is no format, none that fits the value, or none of that length."""
    plain = given.to_decimal() if hasattr(given, "to_decimal") else given
    if spec and isinstance(plain, (int, float, Decimal, str)) and not isinstance(plain, bool):  # others have none, or not these
        try:
            said = format(plain, spec)
        except (ValueError, OverflowError):
            return readable(given)
        return said if len(said) <= LONGEST else readable(given)
    return readable(given)


def readable(given: Any) -> str:
    """A value for people: whole numbers without decimals, others with two, small ones with three digits that count; documents,
    arrays and what else is no scalar as JSON.

    >>> readable(3.0), readable(1234.5678), readable(0.012345), readable(None), readable(True), readable(["a", True])
    ('3', '1,234.57', '0.0123', 'unknown', 'true', '["a",true]')
    """
    if type(given) is int and abs(given) >= 1 << 64:
        return "a number beyond all counting"
    plain = value(given)
    if plain is None:
        return "unknown"
    if isinstance(plain, tuple):
        return SAID[plain[0]](plain[1])
    if not isinstance(plain, (int, float, Decimal)):
        return str(plain)
    size: Any = abs(plain)
    if size < SHORT and plain == int(plain):
        return f"{int(plain):,}"
    return f"{plain:,.2f}" if LEAST <= size < SHORT else f"{plain:.3g}"


def version(fraud: Fraud) -> str:
    """The name of this very set of rules, for score documents.

    It changes with any rule or threshold, and with nothing else.
    """
    rules = [(r.name, r.when.source, r.weight, r.reason) for r in fraud.rules]
    said = repr((fraud.trigger, fraud.key, rules, fraud.review, fraud.block))
    return f"rules-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
