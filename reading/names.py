"""What a scanner looks for in records, laid out in memory as reading/fields.py and reading/envelope.py read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reading import envelope, fields
from reading.kernels import address

Pair = tuple[str, str]  # (trigger, route)
MOST_NAMES = 60  # of one document: a bit each
PADDING = 8
Cells = Mapping[tuple[str, str], int]  # by kind and path


@dataclass(slots=True)
class _Name:
    """A name in a document: the cells it goes to by kind, -1 for none, and its other uses."""

    cells: dict[str, int] = field(default_factory=lambda: {"number": -1, "flag": -1, "value": -1})
    roles: int = 0


class Plan:
    """fits: False where some document has more names than can be looked for; then nothing is read in place.

    names: the table of names; entries: the (trigger, route) pairs, each tagged with its place among `routes`; layout: where the
    layout of envelopes is remembered (see fields.member).
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        needs: Mapping[Pair, Sequence[tuple[str, str]]],
        paths: Mapping[str, Sequence[str]],
        bare_time: tuple[int, str] | None,
    ) -> None:
        self._texts: list[bytes] = []
        rows: list[list[int]] = [self._row(name, _Name()) for name in (*envelope.ENVELOPE, *envelope.WORDS)]
        entries, self.fits = [], True
        routes = self.routes = list(dict.fromkeys(route for _, route in pairs))
        cells = cells_of(paths)
        for i, pair in enumerate(pairs):
            time = bare_time[1] if bare_time is not None and bare_time[0] == i else None
            names = _names(pair[1], needs[pair], cells, time)
            first = len(rows)
            rows += [self._row(name.encode(), found) for name, found in names.items()]
            trigger, route = (self._text(text.encode()) for text in pair)
            entries.append([*trigger, *route, first, len(rows), routes.index(pair[1]), 0])
            self.fits = self.fits and len(names) <= MOST_NAMES
        self._blob = np.frombuffer(b"".join(self._texts) + bytes(PADDING), np.uint8)
        self.names = np.array(rows, np.int64)
        self.entries = np.array(entries, np.int64).reshape(len(pairs), fields.P_SIZE)
        self._layouts = np.zeros((len(pairs) + 1, fields.STEPS * fields.S_SIZE), np.int64)
        self.layout = address(self._layouts[len(pairs) :])
        base = address(self._blob)
        self.names[:, fields.PLACE] += base
        self.entries[:, [fields.P_TRIGGER, fields.P_ROUTE]] += base
        self.entries[:, fields.P_LAYOUT] = [address(layout) for layout in self._layouts[: len(pairs)]]

    def _text(self, text: bytes) -> tuple[int, int]:
        at = sum(map(len, self._texts))
        self._texts.append(text)
        return at, len(text)

    def _row(self, text: bytes, name: _Name) -> list[int]:
        at, length = self._text(text)
        return [length, at, *name.cells.values(), name.roles]


def cells_of(paths: Mapping[str, Sequence[str]]) -> Cells:
    """Which cell of a row each field goes to."""
    every = [(kind, path) for kind in ("number", "flag", "value") for path in paths[kind]]
    return {need: fields.FIXED + i for i, need in enumerate(every)}


def _names(route: str, needs: Sequence[tuple[str, str]], cells: Cells, time: str | None) -> dict[str, _Name]:
    """The names of a document's own fields that matter. time: of a bare document, whose key and id are in it too."""
    names: dict[str, _Name] = {}

    def of(path: str) -> _Name:
        head, _, rest = path.partition(".")
        name = names.setdefault(head, _Name())
        name.roles |= fields.IS_DEEP if rest or "." in path else 0
        return name

    for path, kind in needs:
        of(path).cells[kind] = cells[kind, path]
    if time is not None:
        of(route).roles |= fields.IS_KEY
        of(time).roles |= fields.IS_TIME
        of("_id").roles |= fields.IS_ID
    return names
