"""pipeline.toml -> a Pipeline, checked whole: every mistake is told at once, each with its path and what would be right."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from config.names import MAX_NAMESPACE, database_name
from config.projection import reads
from config.signals import abandonment, distinct, fraud
from config.specs import ALL, Abandonment, Consumer, Fraud, Pipeline, Producer, Stream, Trigger, Views
from config.table import Problems, Table, close_to
from config.triggers import stream, trigger
from config.windows import one_key_a_view, window_set
from contract.errors import Misconfigured
from windows.law.shown import cut
from windows.law.spec import WindowSet

LEAST_LEASE = 1_000  # ms
MOST_PORT = 65_000  # the next ones are for further consumers of a machine
OURS = ("dead_letters", "health")  # collections that are always there
FILES = ("features", "scored")  # files of a replay that are no view's
TOO_DEEP = "its tables are nested too deeply to be read; nothing here asks for more than a few levels"
LONG = re.compile(r"[0-9][0-9_]{4299,}")  # longer than Python reads
TOO_LONG = "holds a whole number of thousands of digits; no number here has more than 64 bits"


def load(file: str | Path) -> Pipeline:
    """The pipeline in a file. Raises Misconfigured, with a line for each mistake."""
    try:
        text = Path(file).read_bytes().decode("utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError:
        raise Misconfigured(f"{file}: there is no such file; EDDY_CONFIG or --config names another") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{file}: is not UTF-8 text") from None
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read: {error.strerror}") from None
    return parse(text, str(file))


def parse(text: str, name: str = "pipeline.toml") -> Pipeline:
    """The pipeline in a text; name is what messages call it where the text is no TOML at all."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        raise Misconfigured(f"{name}: {where.rstrip(')')}: {cut(what)}" if what else f"{name}: {cut(str(error))}") from None
    except ValueError:
        raise Misconfigured(f"{name}: {TOO_LONG}{_line_of(LONG.search(text))}") from None
    except RecursionError:
        raise Misconfigured(f"{name}: {TOO_DEEP}") from None
    return build(data, name)


def _line_of(found: re.Match[str] | None) -> str:
    return "" if found is None else f" (line {found.string.count(chr(10), 0, found.start()) + 1})"


def build(data: Mapping[str, Any], name: str = "pipeline.toml") -> Pipeline:
    """The pipeline in parsed TOML. Raises Misconfigured."""
    problems = Problems()
    try:
        pipeline = _pipeline(Table(problems, "", data))
    except RecursionError:
        raise Misconfigured(f"{name}: {TOO_DEEP}") from None
    if problems.lines:
        raise Misconfigured("\n".join(problems.lines))
    return pipeline


def _pipeline(root: Table) -> Pipeline:
    if not root.given("stream"):
        root.problem("stream", 'missing; write [stream] and name = "..."')
    stream_table = root.table("stream")
    into = stream(stream_table) if root.right("stream") else Stream("")
    trigger_tables = root.tables("trigger")
    if not trigger_tables and root.right("trigger"):
        root.problem("trigger", "missing; at least one [[trigger]] must be there")
    if into.format == "document" and len(trigger_tables) > 1:
        stream_table.problem("format", f'"document" needs exactly one [[trigger]]; there are {len(trigger_tables)}')
    triggers = [trigger(table, into) for table in trigger_tables]
    distinct(trigger_tables, "name")
    if triggers and not any(t.enabled for t in triggers):
        trigger_tables[0].problem("enabled", "is false, and so it is in all the others; at least one trigger must be watched")
    set_tables = root.tables("windows")
    sets = [window_set(table, triggers) for table in set_tables]
    by_name = {t.name: (table, t) for table, t in zip(trigger_tables, triggers, strict=True)}
    for set_table, one in zip(set_tables, sets, strict=True):
        if one.trigger in by_name:
            reads(*by_name[one.trigger], set_table.path, one.fields())
    one_key_a_view(set_tables, sets)
    scores, carts = _signals(root, triggers, sets)
    views = _views(root.table("views"), [*(s.shown_in for s in sets), *(m.view for m in (scores, carts) if m is not None)])
    triggers = [replace(t, apart=views.database) if t.database == ALL else t for t in triggers]
    for table, t in zip(trigger_tables, triggers, strict=True):
        if t.collection == ALL and t.database == views.database:
            table.problem("collection", f'"*" would watch the views, which lie in database "{views.database}"')
    _clashes(root, set_tables, views.database)
    consumer, producer = _consumer(root.table("consumer")), _producer(root.table("producer"), into)
    root.finish()
    return Pipeline(into, tuple(triggers), tuple(sets), scores, carts, views, consumer, producer)


def _signals(root: Table, triggers: Sequence[Trigger], sets: Sequence[WindowSet]) -> tuple[Fraud | None, Abandonment | None]:
    scores = root.table("fraud")
    carts = root.table("abandonment")
    return (
        fraud(scores, triggers, sets) if root.given("fraud") and root.right("fraud") else None,
        abandonment(carts, triggers) if root.given("abandonment") and root.right("abandonment") else None,
    )


def _views(table: Table, names: Sequence[str]) -> Views:
    database = database_name(table, "database", "eddy")
    ttl = table.table("ttl")
    lengths: dict[str, int] = {}
    for name in ttl.data:
        lengths[name] = ttl.duration(name, 0, positive=True)
        if name not in names:
            ttl.problem(name, f"there is no such view{close_to(name, names)}")
    refresh = table.duration("refresh", 0)
    table.finish()
    return Views(database, lengths, refresh)


def _consumer(table: Table) -> Consumer:
    result = Consumer(
        snapshot=table.duration("snapshot", 60_000, positive=True),
        memory=table.size("memory", 512_000_000, 16_000_000),
        heap=table.size("heap", 512_000_000, 64_000_000),
        port=_port(table),
        address=_address(table),
    )
    table.finish()
    return result


def _producer(table: Table, into: Stream) -> Producer:
    result = Producer(
        port=_port(table),
        address=_address(table),
        lease=table.duration("lease", 5_000),
        on_history_lost=table.choice("on_history_lost", ("stop", "gap_and_continue"), "stop"),
        headroom=table.duration("headroom", 21_600_000),
    )
    if into.format == "document" and result.on_history_lost != "stop":
        table.problem("on_history_lost", 'must be "stop" with [stream] format = "document": bare documents have no record of a gap')
    if table.right("lease") and result.lease < LEAST_LEASE:
        table.problem("lease", "is shorter than 1s: a lease must outlast a slow answer of MongoDB")
    table.finish()
    return result


def _port(table: Table) -> int:
    port = table.read("port", int, 0)
    if not 0 <= port <= MOST_PORT:
        table.problem("port", f"{port} is no port; write one from 1 to {MOST_PORT}, or 0 for none")
        return 0
    return port


def _address(table: Table) -> str:
    address = table.read("address", str, "127.0.0.1")
    try:
        ip_address(address)
    except ValueError:
        table.problem("address", f'"{address}" is no IP address of this machine; write "127.0.0.1", or "0.0.0.0" for all of them')
    return address


def _clashes(root: Table, set_tables: Sequence[Table], database: str) -> None:
    """No two views in one collection, none over a collection of ours, and none over one that is watched."""
    taken = dict.fromkeys(OURS, "a collection of ours") | dict.fromkeys(FILES, "a file that a replay writes")
    for table in root.data.get("trigger", ()) if root.right("trigger") else ():
        if table.get("database") == database and isinstance(table.get("collection"), str):
            taken.setdefault(table["collection"], f'a watched collection of database "{database}"')
    _watched(root, database)
    sharing = [table.path for table in set_tables if table.given("view")]
    for path, name, value in _named(root, set_tables):
        if value in taken:
            root.problems.add(f"{path}.{name}", f'"{cut(value)}" is taken already: it is {taken[value]}')
        taken.setdefault(value, f"the {'name' if path in sharing else 'view'} of {path}")
        if len(f"{database}.{value}".encode()) > MAX_NAMESPACE:
            root.problems.add(f"{path}.{name}", f"with its database it is longer than {MAX_NAMESPACE} bytes")
    for table in set_tables:
        view = table.data.get("view")
        if isinstance(view, str) and view in taken and table.right("view"):
            table.problem("view", f'"{view}" is taken already: it is {taken[view]}')


def _watched(root: Table, database: str) -> None:
    """No trigger sees what Eddy itself writes: each of its changes would bring forth others, for ever. Of a view the view says so,
    and a watch of everything leaves the views' database out."""
    for place, table in enumerate(root.data.get("trigger", ()) if root.right("trigger") else ()):
        where, name = table.get("database"), table.get("collection")
        if where == database and isinstance(name, str) and (name in OURS or name.startswith("_")):
            what = f'"{cut(name)}" of database "{database}" is written by Eddy itself; it cannot be watched'
            root.problems.add(f"trigger[{place}].collection", what)


def _named(root: Table, set_tables: Sequence[Table]) -> list[tuple[str, str, str]]:
    """(path, key, view name) of every view that the file names, or leaves to its default."""
    named: list[tuple[str, str, Any]] = [(t.path, "name", t.data.get("name")) for t in set_tables]
    for section, view in (("fraud", "fraud_scores"), ("abandonment", "abandoned_carts")):
        if isinstance(root.data.get(section), dict):
            named.append((section, "view", root.data[section].get("view", view)))
    return [(path, name, value) for path, name, value in named if isinstance(value, str)]
