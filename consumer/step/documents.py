"""What the engine and the models found, as documents; the shapes are contract.views'."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from consumer.gaps import Gaps, Span, reach, torn
from consumer.step.rolling import Dates, RollingViews, measured
from consumer.store.contract import Doc
from contract.keys import untyped
from contract.times import date
from contract.values import value
from models.base import Signal
from windows.engine import NEVER, FeatureBlock, Key, StepResult, WindowBlock
from windows.law.spec import WindowSet

Way = Literal["put", "new", "unless_final"]


class Change(NamedTuple):
    """A document to put, None to remove it. How: new if it is thought not to be there yet; unless_final if it must not take the
    place of a final document of the set's former definition. early: a value that is not the last one, and may wait."""

    id: Any
    document: Doc | None
    how: Way = "put"
    early: bool = False


class Changes:
    """Documents to put and to remove, one of each (collection, id): what is said last of a document is what holds.

    since: of each window set's fingerprint the time from which on it has seen every event; what began before is not complete.
    gaps: nor is what overlaps one of these.
    """

    def __init__(self, since: Mapping[str, int] | None = None, gaps: Gaps | None = None) -> None:
        self._found: dict[tuple[str, Hashable], Change] = {}
        self._since, self._gaps = since or {}, gaps or {}

    def __len__(self) -> int:
        return len(self._found)

    def put(self, collection: str, document: Doc, name: Hashable | None = None, how: Way = "put", early: bool = False) -> None:
        """A document, whole. name: its `_id` as a hashable, where the caller has one at hand."""
        place = collection, value(document["_id"]) if name is None else name
        change = Change(document["_id"], document, how, early)
        before = self._found.get(place)
        self._found[place] = change if before is None else _after(before, change)

    def remove(self, collection: str, id: Any, name: Hashable | None = None) -> None:
        """No document of that id any more."""
        self._found[collection, value(id) if name is None else name] = Change(id, None)

    def then(self, later: Changes) -> None:
        """These changes, and then those."""
        for place in self._found.keys() & later._found.keys():
            later._found[place] = _after(self._found[place], later._found[place])
        self._found.update(later._found)

    def early(self) -> tuple[dict[Key, Changes], Changes]:
        """(those that may wait, by key; the others)."""
        early, rest = dict[Key, Changes](), Changes()
        for place, change in self._found.items():
            if change.early:
                key = _key_of(place[1])
                if key not in early:
                    early[key] = Changes()
                early[key]._found[place] = change
            else:
                rest._found[place] = change
        return early, rest

    @property
    def keys(self) -> set[Key]:
        """The keys that are named here; of a document that is no window's and no rolling value's it may be anything."""
        return {_key_of(name) for _, name in self._found}

    def give_to(self, later: Changes) -> None:
        """Of what is said again there no more is known here."""
        for place in self._found.keys() & later._found.keys():
            later._found[place] = _after(self._found.pop(place), later._found[place])

    def parts(self, most: int) -> Iterator[Changes]:
        """These changes, so many at once."""
        rest = iter(self._found.items())
        while some := dict(islice(rest, most)):
            part = Changes()
            part._found = some
            yield part

    def signals(self, made: Iterable[Signal]) -> None:
        """What watchers said, in their order."""
        for signal in made:
            if signal.document is None:
                self.remove(signal.collection, signal.id)
            else:
                self.put(signal.collection, signal.document)

    def windows(self, result: StepResult, rolling: RollingViews) -> None:
        """The views of a step, the engine's last: first what is gone, then what there is."""
        for spec, key, start in result.removed:
            self.remove(spec.name, _window_id(untyped(key[1]), start), (key, start))
        for windows in result.windows:
            self._windows(windows)
        for view, key, document in rolling.documents(result.rolling, self._whole_from, self._torn):
            self.put(view, document, key, early=True)

    def puts(self, how: Way = "put") -> list[tuple[str, Doc]]:
        """The documents to put in that way, in the order of first mention."""
        found = self._found.items()
        return [(name, change.document) for (name, _), change in found if change.document is not None and change.how == how]

    def removes(self) -> list[tuple[str, Any]]:
        """All ids to remove."""
        return [(name, change.id) for (name, _), change in self._found.items() if change.document is None]

    def _whole_from(self, spec: WindowSet) -> int:
        """The first start, or the first time of a rolling value, of which no event can be missing."""
        since = self._since.get(spec.fingerprint, NEVER)
        return since if since == NEVER else since + reach(spec.kind)

    def _torn(self, spec: WindowSet) -> Sequence[Span]:
        return torn(spec, self._gaps) if self._gaps else ()

    def _windows(self, block: WindowBlock) -> None:
        name, config = block.set.name, block.set.fingerprint
        names, columns = measured(block.set, block)
        dates = Dates()
        whole_from, missing = self._whole_from(block.set), self._torn(block.set)
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
            how: Way = "new" if events == 1 and not final and revision == 0 else "put"
            if start < whole_from:
                document["complete"], how = False, "unless_final"
            elif missing and any(start <= high and end > low for low, high in missing):
                document["complete"] = False
            self.put(name, document, (key, start), how, not final)


def _key_of(name: Any) -> Key:
    """Of a rolling value, which goes by its key, or a window, which goes by key and start."""
    found: Key = name[0] if isinstance(name, tuple) and name and isinstance(name[0], tuple) else name
    return found


def _after(before: Change, change: Change) -> Change:
    """What holds of both: whatever was there before the first of them."""
    if change.document is None or change.how == "unless_final":
        return change
    return change._replace(how="new" if before.how == "new" else "put")


def read(blocks: Iterable[FeatureBlock]) -> list[FeatureBlock]:
    """Blocks whose columns are lists: reading one by one from a column that makes its values is slow."""
    return [FeatureBlock(b.set, list(b.row), {name: list(column) for name, column in b.measures.items()}) for b in blocks]


def _window_id(key: Any, start: int) -> dict[str, Any]:
    return {"k": key, "s": date(start)}
