"""What the engine and the models found, as documents; the shapes are contract.views'."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from consumer.store import Doc
from contract.keys import untyped
from contract.times import date
from contract.values import value
from models.base import Signal
from models.features import as_documents
from windows.engine import RollingBlock, StepResult, WindowBlock
from windows.spec import WindowSet


class Changes:
    """Documents to put and to remove, one of each (collection, id): what is said last of a document is what holds."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Hashable], tuple[Any, Doc | None]] = {}

    def __len__(self) -> int:
        return len(self._found)

    def put(self, collection: str, document: Doc, name: Hashable | None = None) -> None:
        """A document, whole. name: its `_id` as a hashable, where the caller has one at hand."""
        self._found[collection, value(document["_id"]) if name is None else name] = (document["_id"], document)

    def remove(self, collection: str, id: Any, name: Hashable | None = None) -> None:
        """No document of that id any more."""
        self._found[collection, value(id) if name is None else name] = (id, None)

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

    def puts(self) -> list[tuple[str, Doc]]:
        """All documents to put, in the order of first mention."""
        return [(name, document) for (name, _), (_, document) in self._found.items() if document is not None]

    def removes(self) -> list[tuple[str, Any]]:
        """All ids to remove."""
        return [(name, id) for (name, _), (id, document) in self._found.items() if document is None]

    def _windows(self, block: WindowBlock) -> None:
        name, config, columns = block.set.name, block.set.fingerprint, _measures(block.set, block)
        for i, key in enumerate(block.key):
            start = block.start[i]
            id = _window_id(untyped(key[1]), start)
            document: Doc = {"_id": id, "key": id["k"], "start": id["s"], "end": date(block.end[i])}
            for measure, column in columns:
                document[measure] = column[i]
            document["events"] = block.events[i]
            document["revision"] = block.revision[i]
            document["final"] = block.final[i]
            document["closed_by"] = block.closed_by[i]
            document["late"] = block.late[i]
            document["config"] = config
            self.put(name, document, (key, start))

    def _rolling(self, block: RollingBlock) -> None:
        name, config, columns = block.set.name, block.set.fingerprint, _measures(block.set, block)
        for i, key in enumerate(block.key):
            id, expires = untyped(key[1]), block.expires_at[i]
            document: Doc = {"_id": id, "key": id, "as_of": date(block.as_of[i])}
            for measure, column in columns:
                document[measure] = column[i]
            document["expires_at"] = None if expires is None else date(expires)
            document["config"] = config
            self.put(name, document, key)


def _measures(spec: WindowSet, block: WindowBlock | RollingBlock) -> list[tuple[str, Sequence[Any]]]:
    return [(m.name, as_documents(m.fn, block.measures[m.name])) for m in spec.measures]


def _window_id(key: Any, start: int) -> dict[str, Any]:
    return {"k": key, "s": date(start)}
