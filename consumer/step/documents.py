"""What the engine and the models found, as documents; the shapes are contract.views'."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import repeat
from typing import Any, NamedTuple

from consumer.store.contract import Doc
from contract.keys import untyped
from contract.times import date
from contract.values import value
from models.base import Signal
from models.features import as_documents
from windows.engine import FeatureBlock, RollingBlock, StepResult, WindowBlock
from windows.law.spec import WindowSet


class Dates(dict[int, Any]):
    """Times as dates, each made once."""

    def __missing__(self, at: int) -> Any:
        found = self[at] = date(at)
        return found


class Change(NamedTuple):
    """A document to put, None to remove it. new: it is thought not to be there yet."""

    id: Any
    document: Doc | None
    new: bool = False


class Changes:
    """Documents to put and to remove, one of each (collection, id): what is said last of a document is what holds."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Hashable], Change] = {}

    def __len__(self) -> int:
        return len(self._found)

    def put(self, collection: str, document: Doc, name: Hashable | None = None, new: bool = False) -> None:
        """A document, whole. name: its `_id` as a hashable, where the caller has one at hand. new: nobody has put it before."""
        place = collection, value(document["_id"]) if name is None else name
        before = self._found.get(place)
        self._found[place] = Change(document["_id"], document, new if before is None else before.new)

    def remove(self, collection: str, id: Any, name: Hashable | None = None) -> None:
        """No document of that id any more."""
        self._found[collection, value(id) if name is None else name] = Change(id, None)

    def then(self, later: Changes) -> None:
        """These changes, and then those."""
        for place in self._found.keys() & later._found.keys():
            if self._found[place].new and later._found[place].document is not None:
                later._found[place] = later._found[place]._replace(new=True)
            elif later._found[place].new:
                later._found[place] = later._found[place]._replace(new=False)
        self._found.update(later._found)

    def signals(self, made: Iterable[Signal]) -> None:
        """What watchers said, in their order."""
        for signal in made:
            if signal.document is None:
                self.remove(signal.collection, signal.id)
            else:
                self.put(signal.collection, signal.document)

    def windows(self, result: StepResult) -> None:
        """The views of a step: first what is gone, then what there is."""
        for spec, key, start in result.removed:
            self.remove(spec.name, _window_id(untyped(key[1]), start), (key, start))
        for windows in result.windows:
            self._windows(windows)
        for rolling in result.rolling:
            self._rolling(rolling)

    def puts(self, new: bool = False) -> list[tuple[str, Doc]]:
        """The documents to put that may be there already, or those that are new, in the order of first mention."""
        found = self._found.items()
        return [(name, change.document) for (name, _), change in found if change.document is not None and change.new is new]

    def removes(self) -> list[tuple[str, Any]]:
        """All ids to remove."""
        return [(name, change.id) for (name, _), change in self._found.items() if change.document is None]

    def _windows(self, block: WindowBlock) -> None:
        name, config = block.set.name, block.set.fingerprint
        names, columns = _measures(block.set, block)
        dates = Dates()
        rest = zip(block.events, block.revision, block.final, block.closed_by, block.late, strict=True)
        for key, start, end, measures, (events, revision, final, closed_by, late) in zip(
            block.key, block.start, block.end, columns, rest, strict=True
        ):
            id = {"k": untyped(key[1]), "s": dates[start]}
            document: Doc = {
                "_id": id,
                "key": id["k"],
                "start": id["s"],
                "end": dates[end],
                **dict(zip(names, measures, strict=True)),
            }
            document["events"] = events
            document["revision"] = revision
            document["final"] = final
            document["closed_by"] = closed_by
            document["late"] = late
            document["config"] = config
            self.put(name, document, (key, start), new=events == 1 and not final and revision == 0)

    def _rolling(self, block: RollingBlock) -> None:
        name, config = block.set.name, block.set.fingerprint
        names, columns = _measures(block.set, block)
        dates = Dates()
        for key, as_of, expires, measures in zip(block.key, block.as_of, block.expires_at, columns, strict=True):
            id = untyped(key[1])
            document: Doc = {"_id": id, "key": id, "as_of": dates[as_of], **dict(zip(names, measures, strict=True))}
            document["expires_at"] = None if expires is None else dates[expires]
            document["config"] = config
            self.put(name, document, key)


def read(blocks: Iterable[FeatureBlock]) -> list[FeatureBlock]:
    """Blocks whose columns are lists: reading one by one from a column that makes its values is slow."""
    return [FeatureBlock(b.set, list(b.row), {name: list(column) for name, column in b.measures.items()}) for b in blocks]


def _measures(spec: WindowSet, block: WindowBlock | RollingBlock) -> tuple[list[str], Iterable[tuple[Any, ...]]]:
    """(the measures' names, their values by row)."""
    columns = [list(as_documents(m.fn, block.measures[m.name])) for m in spec.measures]
    rows: Iterable[tuple[Any, ...]] = zip(*columns, strict=True) if columns else repeat(())
    return [m.name for m in spec.measures], rows


def _window_id(key: Any, start: int) -> dict[str, Any]:
    return {"k": key, "s": date(start)}
