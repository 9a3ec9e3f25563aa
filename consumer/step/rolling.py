"""The documents of rolling sets: one a key. Sets of one key that share a view are shown in one document, always whole.

Such a document is as of the latest time that the view of any of its sets stands at. Of a set that did not change with the others
the value is asked of the engine, and so is that of a set whose own view stands at an earlier time, where silence has changed it by
then. So what a document says follows from the records up to the last one that changed it, and not from how they were cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from consumer.gaps import Span
from consumer.store.contract import Doc
from contract.keys import untyped
from contract.times import date
from models.features import as_documents
from windows.engine import NEVER, Engine, Key, RollingBlock, WindowBlock
from windows.law.spec import WindowSet

WholeFrom = Callable[[WindowSet], int]  # the first time of a value of a set of which no event can be missing
Torn = Callable[[WindowSet], Sequence[Span]]  # for what times values of a set are not complete


class Dates(dict[int, Any]):
    """Times as dates, each made once."""

    def __missing__(self, at: int) -> Any:
        found = self[at] = date(at)
        return found


class Value(NamedTuple):
    """What a set says of a key as of a time; expires_at None: silence changes nothing."""

    as_of: int
    expires_at: int | None
    measures: Doc


class RollingViews:
    """The views of a pipeline's rolling sets, and their documents."""

    def __init__(self, sets: Iterable[WindowSet], engine: Engine) -> None:
        self._engine = engine
        self._sharing: dict[str, list[WindowSet]] = {}
        for spec in sets:
            if spec.view is not None:
                self._sharing.setdefault(spec.view, []).append(spec)

    def documents(self, blocks: Iterable[RollingBlock], whole_from: WholeFrom, torn: Torn) -> Iterator[tuple[str, Key, Doc]]:
        """(view, key, document) of all keys in these blocks, which must be those of the engine's last step."""
        shared: dict[str, dict[str, RollingBlock]] = {}
        for block in blocks:
            if block.set.view is None:
                yield from _alone(block, whole_from(block.set), torn(block.set))
            else:
                shared.setdefault(block.set.view, {})[block.set.name] = block
        for view, changed in shared.items():
            sets = self._sharing[view]
            first, missing = [whole_from(spec) for spec in sets], [span for spec in sets for span in torn(spec)]
            dates = Dates()
            for key, values in self._together(sets, changed).items():
                yield view, key, _document(key, sets, values, first, missing, dates)

    def _together(self, sets: Sequence[WindowSet], changed: dict[str, RollingBlock]) -> dict[Key, list[Value]]:
        """Of each key that has changed the values of all sets, as of one time."""
        told = [dict(_values(changed[spec.name])) if spec.name in changed else {} for spec in sets]
        as_of: dict[Key, int] = {}
        for own in told:
            for key, value in own.items():
                as_of[key] = max(value.as_of, as_of.get(key, NEVER))
        for spec, own in zip(sets, told, strict=True):
            self._ask(spec, own, as_of, [key for key in as_of if key not in own])
        for own in told:
            for key, value in own.items():
                as_of[key] = max(value.as_of, as_of[key])
        for spec, own in zip(sets, told, strict=True):
            self._ask(spec, own, as_of, [key for key, at in as_of.items() if _changes(own[key], at)])
        return {key: [own[key] for own in told] for key in as_of}

    def _ask(self, spec: WindowSet, own: dict[Key, Value], as_of: dict[Key, int], keys: Sequence[Key]) -> None:
        """Values of keys as of these times, or of the later ones that their views stand at."""
        if keys:
            own.update(_values(self._engine.views(spec, keys, [as_of[key] for key in keys])))


def measured(spec: WindowSet, block: WindowBlock | RollingBlock) -> tuple[list[str], Iterable[tuple[Any, ...]]]:
    """(the measures' names, their values by row)."""
    columns = [list(as_documents(m.fn, block.measures[m.name])) for m in spec.measures]
    rows: Iterable[tuple[Any, ...]] = zip(*columns, strict=True) if columns else repeat(())
    return [m.name for m in spec.measures], rows


def _changes(value: Value, at: int) -> bool:
    """Whether silence has changed it by then."""
    return value.as_of < at and value.expires_at is not None and value.expires_at <= at


def _values(block: RollingBlock) -> Iterator[tuple[Key, Value]]:
    names, columns = measured(block.set, block)
    for key, as_of, expires, measures in zip(block.key, block.as_of, block.expires_at, columns, strict=True):
        yield key, Value(as_of, expires, dict(zip(names, measures, strict=True)))


def _alone(block: RollingBlock, whole_from: int, missing: Sequence[Span]) -> Iterator[tuple[str, Key, Doc]]:
    """The documents of a set that has a view of its own."""
    names, columns = measured(block.set, block)
    config, dates = block.set.fingerprint, Dates()
    for key, as_of, expires, measures in zip(block.key, block.as_of, block.expires_at, columns, strict=True):
        id = untyped(key[1])
        document: Doc = {"_id": id, "key": id, "as_of": dates[as_of], **dict(zip(names, measures, strict=True))}
        document["expires_at"] = None if expires is None else dates[expires]
        document["config"] = config
        if as_of < whole_from or any(low <= as_of <= high for low, high in missing):
            document["complete"] = False
        yield block.set.name, key, document


def _document(
    key: Key, sets: Sequence[WindowSet], values: Sequence[Value], whole_from: Sequence[int], missing: Sequence[Span], dates: Dates
) -> Doc:
    """One document of several sets. It expires with the first of them, and is complete if all are."""
    id, as_of = untyped(key[1]), max(value.as_of for value in values)
    expires = min((value.expires_at for value in values if value.expires_at is not None), default=None)
    document: Doc = {"_id": id, "key": id, "as_of": dates[as_of], "expires_at": None if expires is None else dates[expires]}
    for spec, value in zip(sets, values, strict=True):
        document[spec.name] = {**value.measures, "config": spec.fingerprint}
    if any(as_of < first for first in whole_from) or any(low <= as_of <= high for low, high in missing):
        document["complete"] = False
    return document
