"""[fraud] and [abandonment]: what is computed from the windows and from silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config.names import path, view_name, word
from config.reasons import parts
from config.specs import Abandonment, Fraud, Rule, Trigger
from config.table import Table, close_to
from config.windows import condition, route
from windows.law.expr import parse
from windows.law.shown import cut
from windows.law.spec import Rolling, WindowSet

ALWAYS = parse("true")
Features = Mapping[str, Sequence[str]]  # rolling set -> its measures


def fraud(table: Table, triggers: Sequence[Trigger], sets: Sequence[WindowSet]) -> Fraud:
    """[fraud] with its [[fraud.rules]]."""
    trigger, key = route(table, triggers)
    name = trigger.name if trigger else ""
    features: Features | None = {s.name: [m.name for m in s.measures] for s in sets if _is_feature(s, name, key)}
    if trigger is None or not table.right("key"):
        features = None
    rules = table.tables("rules")
    if not rules and table.right("rules"):
        table.problem("rules", "missing; at least one [[fraud.rules]] must be there")
    result = Fraud(
        trigger=name,
        key=key,
        rules=tuple(_rule(rule, features, {s.name for s in sets}) for rule in rules),
        view=view_name(table, "view", "fraud_scores"),
        review=table.fraction("review", 0.5),
        block=table.fraction("block", 0.8),
    )
    if table.right("review", "block") and result.review > result.block:
        table.problem("review", f"{result.review:g} is higher than block {result.block:g}")
    distinct(rules, "name")
    table.finish()
    return result


def abandonment(table: Table, triggers: Sequence[Trigger]) -> Abandonment:
    """[abandonment]."""
    trigger, key = route(table, triggers)
    result = Abandonment(
        trigger=trigger.name if trigger else "",
        key=key,
        gap=table.duration("gap", 1, positive=True, need='the silence after which a cart is abandoned, as in gap = "30m"'),
        purchase=condition(table, "purchase", "a condition that is true for a purchase, as in purchase = \"action == 'purchase'\"")
        or ALWAYS,
        items=path(table, "items", "items"),
        value=path(table, "value", "value"),
        lateness=table.duration("lateness", 3_000),
        keep=table.duration("keep", 86_400_000, positive=True),
        view=view_name(table, "view", "abandoned_carts"),
    )
    table.finish()
    return result


def distinct(tables: Sequence[Table], name: str) -> None:
    """Each of several tables has a value of its own under this name."""
    seen: dict[object, str] = {}
    for table in tables:
        value = table.data.get(name)
        if not isinstance(value, str):
            continue
        if value in seen:
            table.problem(name, f'"{cut(value)}" is taken already by {seen[value]}')
        seen.setdefault(value, table.path)


def _is_feature(s: WindowSet, trigger: str, key: str) -> bool:
    return isinstance(s.kind, Rolling) and s.trigger == trigger and s.key == key


def _rule(table: Table, features: Features | None, sets: set[str]) -> Rule:
    """One rule; with features None (the trigger is wrong already) its names are not looked at."""
    when = condition(table, "when", 'a condition, as in when = "card_recent.n > 5"')
    for name in sorted(when.fields) if when else ():
        _known(table, "when", name, features, sets)
    reason = table.read("reason", str, "", 'a text for people, as in reason = "{card_recent.n} payments in a short time"')
    for name in _placeholders(table, reason):
        _known(table, "reason", name, features, sets)
    result = Rule(
        name=word(table, "name", 'a name, as in name = "velocity"'),
        when=when or ALWAYS,
        weight=table.fraction("weight", 0.0, "how much it adds, from 0 to 1"),
        reason=reason,
    )
    table.finish()
    return result


def _known(table: Table, place: str, name: str, features: Features | None, sets: set[str]) -> None:
    """A bare name is a field of the event; a dotted one is a measure of a rolling set of the same trigger and key."""
    first, dot, measure = name.partition(".")
    if not dot or features is None:
        return
    if first not in features:
        why = "is not a rolling window set of this trigger and key" if first in sets else "is not a window set"
        table.problem(place, f'{cut(name)}: "{cut(first)}" {why}{close_to(first, features)}')
    elif measure not in features[first]:
        table.problem(place, f'{cut(name)}: "{cut(first)}" has no measure "{cut(measure)}"{close_to(measure, features[first])}')


def _placeholders(table: Table, reason: str) -> list[str]:
    """The paths that a reason names."""
    try:
        return [name for _, name, _ in parts(reason) if name is not None]
    except ValueError as error:
        table.problem("reason", str(error))
        return []
