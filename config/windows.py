"""[[windows]]: window sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config.measures import measure
from config.names import is_word, view_name
from config.specs import Trigger
from config.table import Table, close_to, shown, spoken
from windows.law.expr import Expr, parse
from windows.law.shown import cut
from windows.law.spec import DAY, RESERVED, Kind, Measure, Rolling, Session, Sliding, Tumbling, WindowSet, check

SIZE = 'a length, as in size = "1m"'
FEATURE_FIELDS = ("id", "trigger", "key", "at")
ROLLING_FIELDS = ("_id", "key", "as_of", "expires_at", "config", "updated_at", "complete")


def window_set(table: Table, triggers: Sequence[Trigger]) -> WindowSet:
    """One window set; what is wrong is noted in the table's problems."""
    before = len(table.problems.lines)
    name = view_name(table, "name", "windows", 'a name, as in name = "card_spend"; it is the view\'s collection too')
    trigger, key = route(table, triggers)
    kind = _kind(table)
    result = WindowSet(
        name=name,
        trigger=trigger.name if trigger else "",
        key=key,
        kind=kind,
        measures=_measures(table),
        where=condition(table, "where"),
        lateness=table.duration("lateness", 3_000),
        late=table.choice("late", ("update", "dead_letter", "drop"), "update"),
        retain=table.duration("retain", 3_600_000),
        retract=trigger.before if trigger else False,
        view=_view(table, name, kind),
    )
    if isinstance(result.kind, Rolling) and name in FEATURE_FIELDS:
        table.problem("name", f'"{name}" is taken: features.jsonl has a field of that name in each line, beside the sets')
    try:
        if len(table.problems.lines) == before:  # else it may only follow from another mistake
            check(result)
    except ValueError as error:
        table.problems.add(table.path, str(error))
    table.finish()
    return result


def route(table: Table, triggers: Sequence[Trigger]) -> tuple[Trigger | None, str]:
    """The trigger and the route that `trigger` and `key` name. What only follows from another mistake is not told again."""
    names = [t.name for t in triggers]
    name = table.read("trigger", str, "", "the name of a [[trigger]]")
    trigger = next((t for t in triggers if t.name == name), None)
    if table.right("trigger") and trigger is None and "" not in names:
        table.problem("trigger", f'there is no trigger "{cut(name)}"{close_to(name, names)}')
    key = table.read("key", str, "", "one of the trigger's routes")
    if table.right("key") and trigger is not None and trigger.routes and key not in trigger.routes:
        table.problem("key", f'"{cut(key)}" is not a route of trigger "{cut(trigger.name)}"{close_to(key, trigger.routes)}')
    return trigger, key


def one_key_a_view(tables: Sequence[Table], sets: Sequence[WindowSet]) -> None:
    """A document of a view is one key's: the sets that share it have the same key."""
    first: dict[str, tuple[str, str]] = {}
    for table, s in zip(tables, sets, strict=True):
        if s.view is None or not table.right("view", "key"):
            continue
        path, key = first.setdefault(s.view, (table.path, s.key))
        if key != s.key:
            why = f'"{s.view}" has a document for each {key}, as {path} says; sets of key "{s.key}" need another view'
            table.problem("view", why)


def _view(table: Table, name: str, kind: Kind) -> str | None:
    """The view that a rolling set shares with others."""
    if not table.given("view"):
        table.known.append("view")
        return None
    view = view_name(table, "view", "")
    if not table.right("view", *KINDS):
        return None
    if not isinstance(kind, Rolling):
        table.problem("view", "only rolling sets may share a view; leave it out, and the view has the set's name")
        return None
    if name in ROLLING_FIELDS:
        table.problem("name", f'"{name}" is a field that every document of "{view}" has already; take another')
    elif "." in name:
        table.problem("name", f'"{name}" is to be a field in "{view}", so it must have no dot')
    return view


def condition(table: Table, name: str, need: str = "") -> Expr | None:
    """An expression that is true or false."""
    text = table.read(name, str, "", need)
    if not table.right(name) or not table.given(name):
        return None
    try:
        return parse(text, "flag")
    except ValueError as error:
        table.problem(name, str(error))
        return None


def _kind(table: Table) -> Kind:
    chosen = [name for name in KINDS if table.given(name)]
    table.known.extend(KINDS)
    if len(chosen) != 1:
        said = f"has {' and '.join(chosen)}" if chosen else "has no kind"
        table.problems.add(table.path, f"{said}; exactly one of {', '.join(KINDS)} must be there")
    kinds = [_one_kind(table, name) for name in chosen]
    return kinds[0] if kinds else Tumbling(1)


def _one_kind(table: Table, name: str) -> Kind:
    inner = table.table(name)
    if not table.right(name):
        return Tumbling(1)
    kind = KINDS[name](inner)
    inner.finish()
    return kind


def _tumbling(table: Table) -> Tumbling:
    size = table.duration("size", 1, positive=True, need=SIZE)
    return Tumbling(size, table.duration("offset", 0), _zone(table, {"size": size}))


def _sliding(table: Table) -> Sliding:
    size = table.duration("size", 1, positive=True, need=SIZE)
    every = table.duration("every", 1, positive=True, need='how often one begins, as in every = "10s"')
    if table.right("size", "every") and every > size:
        table.problem("every", f"{spoken(every)} is longer than size {spoken(size)}")
    return Sliding(size, every, table.duration("offset", 0), _zone(table, {"size": size, "every": every}))


def _rolling(table: Table) -> Rolling:
    return Rolling(
        table.duration("size", 1, positive=True, need=SIZE),
        table.choice("closed", ("right", "both"), "right"),
        table.read("current", bool, True),
        table.duration("delay", 0),
    )


def _session(table: Table) -> Session:
    gap = table.duration("gap", 1, positive=True, need='the silence that ends a session, as in gap = "20m"')
    longest = table.duration("max", 1, positive=True) if table.given("max") else None
    table.known.append("max")
    if longest is not None and table.right("gap", "max") and longest < gap:
        table.problem("max", f"{spoken(longest)} is shorter than gap {spoken(gap)}")
        longest = None
    return Session(gap, longest)


KINDS: Mapping[str, Callable[[Table], Kind]] = {
    "tumbling": _tumbling,
    "sliding": _sliding,
    "hopping": _sliding,
    "rolling": _rolling,
    "session": _session,
}


def _zone(table: Table, steps: Mapping[str, int]) -> str | None:
    zone = table.read("zone", str, "")
    if not table.given("zone") or not table.right("zone"):
        return None
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        table.problem("zone", f'"{cut(zone)}" is not a time zone; write one as in "Europe/Berlin"')
    for name, ms in steps.items():
        if table.right(name) and ms % DAY:
            table.problem(name, f"{spoken(ms)} is not whole days; with a zone it must be, as in 1d")
    return zone


def _measures(table: Table) -> tuple[Measure, ...]:
    inner = table.table("measures")
    if table.right("measures") and not inner.data:
        table.problem("measures", 'needs at least one, as in measures = { n = "count()" }')
    return tuple(_measure(inner, name, text) for name, text in inner.data.items())


def _measure(table: Table, name: str, text: object) -> Measure:
    if name in RESERVED:
        table.problem(name, "is a name that every view has already; take another")
    elif not is_word(name):
        table.problem(name, "is not a name; use letters, digits and _, beginning with a letter")
    if not isinstance(text, str):
        table.problem(name, f'{shown(text)} is not a measure; write one as in "sum(amount)"')
        return Measure(name, "count")
    try:
        return measure(name, text)
    except ValueError as error:
        table.problem(name, str(error))
        return Measure(name, "count")
