"""Rules: conditions over an event and its features, each with a weight and a reason for people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import isfinite, prod
from typing import Any

from config.reasons import parts
from config.specs import Fraud, Rule
from contract.times import DATES, spelled
from contract.views import Reason
from models.features import Named


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


def formatted(value: Any, spec: str) -> str:
    """A value by its format; as `readable` gives it where there is no format, or none that fits the value."""
    if spec and value is not None and not isinstance(value, DATES):  # whose formats are not these
        try:
            return format(value.to_decimal() if hasattr(value, "to_decimal") else value, spec)
        except (TypeError, ValueError, OverflowError):
            return readable(value)
    return readable(value)


def readable(value: Any) -> str:
    """A value for people: whole numbers without decimals, others with two, small ones with three digits that count.

    >>> readable(3.0), readable(1234.5678), readable(0.012345), readable(None), readable(True)
    ('3', '1,234.57', '0.0123', 'unknown', 'true')
    """
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a number beyond all counting"
    if isinstance(value, DATES):
        return spelled(value)
    if not isinstance(value, (int, float)) or not isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.2f}" if 0.1 <= abs(value) < 1e15 else f"{value:.3g}"


def version(fraud: Fraud) -> str:
    """The name of this very set of rules, for score documents.

    It changes with any rule or threshold, and with nothing else.
    """
    rules = [(r.name, r.when.source, r.weight, r.reason) for r in fraud.rules]
    said = repr((fraud.trigger, fraud.key, rules, fraud.review, fraud.block))
    return f"rules-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
