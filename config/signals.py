"""[fraud] and [abandonment]: what is computed from the windows and from silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from config.names import path, view_name, word
from config.reasons import parts
from config.specs import Abandonment, Feature, Fraud, Lookup, Rule, Trigger
from config.table import Table, close_to
from config.windows import condition, route
from windows.law.expr import Expr, Tree, parse
from windows.law.shown import cut
from windows.law.spec import NUMERIC, Rolling, WindowSet

ALWAYS = parse("true")
GIVEN = ("first", "last")  # give a value of a field back, which may be no number
OF_THE_EVENT = ("at", "hour", "weekday")  # ms; UTC; Monday is 0
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
    if trigger is not None and table.given("features"):
        result = named(result, trigger, sets, _features(table.table("features"), key, trigger, sets))
    else:
        table.known.append("features")
    if table.right("review", "block") and result.review > result.block:
        table.problem("review", f"{result.review:g} is higher than block {result.block:g}")
    distinct(rules, "name")
    table.finish()
    return result


def named(fraud: Fraud, trigger: Trigger, sets: Sequence[WindowSet], features: Sequence[Feature]) -> Fraud:
    """With those features, and the look-ups that they need."""
    read = {name.partition(".")[0] for f in features for name in f.expr.fields if "." in name}
    away: dict[tuple[str, str], list[WindowSet]] = {}
    for s in sets:
        if s.name in read and s.key != fraud.key and isinstance(s.kind, Rolling):
            away.setdefault((s.shown_in, s.key), []).append(s)
    lookups = [
        Lookup(view, key, tuple(s.name for s in own), own[0].view is not None, max(_delay(s) for s in own))
        for (view, key), own in away.items()
    ]
    entities = tuple(name for name in trigger.routes if name != fraud.key)
    return replace(fraud, features=tuple(features), lookups=tuple(lookups), entities=entities)


def _delay(s: WindowSet) -> int:
    return s.kind.delay if isinstance(s.kind, Rolling) else 0


def _features(table: Table, key: str, trigger: Trigger, sets: Sequence[WindowSet]) -> list[Feature]:
    """[fraud.features]: a name and an expression each."""
    rolling = [s for s in sets if isinstance(s.kind, Rolling)]
    near: Features = {s.name: [m.name for m in s.measures] for s in rolling if s.key == key and s.trigger == trigger.name}
    far: Features = {s.name: [m.name for m in s.measures] for s in rolling if s.key != key and s.key in trigger.routes}
    known = {**near, **far, "event": OF_THE_EVENT}
    if "event" in near or "event" in far:
        table.problem("event", 'a window set is named "event"; features of an event have that name already')
    found = []
    for name in table.data:
        text = table.read(name, str, "0")
        if name in trigger.routes:
            table.problem(
                name, f'"{cut(name)}" is a route of trigger "{cut(trigger.name)}", whose value is given beside the features'
            )
        try:
            expr = number_or_flag(text)
        except ValueError as error:
            table.problem(name, str(error))
            continue
        for field in sorted(expr.fields):
            _known(table, name, field, known, {s.name for s in sets})
        found.append(Feature(name, expr))
    return found


def number_or_flag(text: str) -> Expr:
    """An expression that yields a number, or else a condition. Raises ValueError."""
    try:
        return parse(text, "number")
    except ValueError as first:
        try:
            return parse(text, "flag")
        except ValueError:
            raise first from None


def usual(fraud: Fraud, trigger: Trigger, sets: Sequence[WindowSet]) -> Fraud:
    """With the features that follow from the window sets alone, where none are named: the fields that are summed up, every number
    that a rolling set of the card or of another route's entity knows, an amount by what is usual for its key, and when it was.

    A field that only sets with a delay read is no feature: it may be a label.
    """
    if fraud.features:
        return fraud
    rolling = [s for s in sets if isinstance(s.kind, Rolling) and "." not in s.name]
    near = [s for s in rolling if s.key == fraud.key and s.trigger == fraud.trigger]
    far = [s for s in rolling if s.key != fraud.key and s.key in trigger.routes]
    own = dict.fromkeys(
        m.field
        for s in sets
        for m in s.measures
        if s.trigger == fraud.trigger and m.field is not None and m.fn in NUMERIC and not _delay(s)
    )
    found = [_is(field, _field(field)) for field in own]
    for s in (*near, *far):
        found += [_is(f"{s.name}.{m.name}", _field(f"{s.name}.{m.name}")) for m in s.measures if m.fn not in GIVEN]
    for s in near:
        if _delay(s) == 0:
            found += _ratios(s, own)
    found += _shares(fraud, far)
    found += [_is(f"event.{name}", _field(f"event.{name}")) for name in ("hour", "weekday")]
    return named(fraud, trigger, sets, found)


def _ratios(s: WindowSet, own: Mapping[str, None]) -> list[Feature]:
    """A field by what is usual for its key, and how many deviations it is away."""
    found = []
    for m in s.measures:
        if m.field is None or m.field not in own or m.fn not in ("mean", "quantile", "max"):
            continue
        here, usual = _field(m.field), _field(f"{s.name}.{m.name}")
        found.append(_is(f"{m.field} by {s.name}.{m.name}", ("chain", here, (("/", usual),))))
        for d in s.measures:
            if m.fn == "mean" and d.fn == "std" and d.field == m.field:
                away = ("chain", here, (("-", usual),))
                found.append(_is(f"{m.field} in {s.name}.{d.name}", ("chain", away, (("/", _field(f"{s.name}.{d.name}")),))))
    return found


def _shares(fraud: Fraud, far: Sequence[WindowSet]) -> list[Feature]:
    """Of another entity: how many labels there are for the events of the same window, smoothed."""
    found = []
    for s in far:
        of = next((o for o in far if o.trigger == fraud.trigger != s.trigger and (o.key, o.kind) == (s.key, s.kind)), None)
        labels = next((m.name for m in s.measures if m.fn == "count"), None)
        events = next((m.name for m in of.measures if m.fn == "count" and m.where is None), None) if of else None
        if of is not None and labels is not None and events is not None:
            above = ("chain", _field(f"{s.name}.{labels}"), (("+", ("const", 0.02)),))
            below = ("chain", _field(f"{of.name}.{events}"), (("+", ("const", 1.0)),))
            found.append(_is(f"{s.name} by {of.name}", ("chain", above, (("/", below),))))
    return found


def _field(path: str) -> Tree:
    return ("field", path, "number")


def _is(name: str, tree: Tree) -> Feature:
    return Feature(name, Expr(name, tree))


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
