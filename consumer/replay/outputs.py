"""What a replay leaves behind: a file for each view, sorted, in relaxed Extended JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec

from config.specs import Pipeline
from consumer.step.pipeline import Seen
from consumer.store.contract import Cursor, Doc
from consumer.store.layout import DEAD_LETTERS, HEALTH, health_doc, views
from consumer.store.memory import MemoryStore
from contract.values import to_json, value

NULL, NUMBER, TEXT, DOCUMENT, ARRAY = range(5)
LETTERS = {"u": 5, "o": 6, "b": 7, "d": 8, "j": 9}  # of contract.values.value
json_line = msgspec.json.Encoder().encode


def write(folder: Path, spec: Pipeline, store: MemoryStore, cursor: Cursor) -> None:
    """`<view>.jsonl` for each view, also one without documents, dead_letters.jsonl, and health.json."""
    for name in views(spec):
        if name != HEALTH:
            found = store.collections[name].values()
            ordered = sorted(found, key=_position if name == DEAD_LETTERS else _order_of_id)
            (folder / f"{name}.jsonl").write_bytes(b"".join(map(_line, ordered)))
    health = {name: v for name, v in health_doc(spec, cursor).items() if name != "_id"}
    (folder / "health.json").write_bytes(msgspec.json.format(json_line(to_json(health)), indent=2) + b"\n")


def write_features(file: BinaryIO, seen: Sequence[Seen]) -> None:
    """A line for each event and route: {"id", "trigger", "key", "at", "<window set>": {"<measure>": value}}."""
    for s in seen:
        features: Mapping[str, Any] = s.features
        file.write(_line({"id": s.id, "trigger": s.trigger, "key": s.key, "at": s.at, **features}))


def write_scored(file: BinaryIO, seen: Sequence[Seen]) -> None:
    """A line for each scored event: {"id", "key", "at", "features": {name: value}}, with all that a model may use."""
    for s in seen:
        if s.inputs is not None:
            file.write(_line({"id": s.doc_id, "key": s.key, "at": s.at, "features": s.inputs}))


def order(id: Any) -> tuple[Any, ...]:
    """Where an `_id` of any type stands: by type as BSON sorts them (null, numbers, texts, documents, arrays, UUIDs, ObjectIds,
    booleans, dates, all else), then by value; documents field by field.

    >>> sorted(["b", 10, {"k": 2}, 9.5, None, "a", True], key=order)
    [None, 9.5, 10, 'a', 'b', {'k': 2}, True]
    """
    if isinstance(id, Mapping):
        return DOCUMENT, tuple((name, order(v)) for name, v in id.items())
    if isinstance(id, list):
        return ARRAY, tuple(map(order, id))
    plain = value(id)
    if plain is None:
        return (NULL,)
    if isinstance(plain, (int, float, Decimal)):
        return NUMBER, 1, plain
    if isinstance(plain, str):
        return TEXT, plain.encode(errors="surrogatepass")
    letter, data = cast("tuple[str, Any]", plain)
    if letter == "f":  # NaN before all numbers
        return NUMBER, {"nan": 0, "-inf": 0.5, "inf": 2}[data], 0
    return LETTERS[letter], data


def _order_of_id(document: Doc) -> tuple[Any, ...]:
    return order(document["_id"])


def _position(letter: Doc) -> tuple[int, int]:
    """Dead letters stand in the order of their records."""
    return int(letter["_id"]["sequence"]), letter["_id"]["sub"]


def _line(document: Doc) -> bytes:
    return json_line(to_json(document)) + b"\n"


def summary(cursor: Cursor, seconds: float) -> str:
    """One line for people."""
    counters = cursor.counters
    parts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in counters.classes.items() if n)
    rate = f"{counters.records / seconds:,.0f}/s" if seconds else "at once"
    return f"{counters.records:,} records in {seconds:.1f} s ({rate}): {parts or 'nothing to count'}"
