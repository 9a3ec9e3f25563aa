"""Windows that a former definition of a set has left open. Nobody counts in them any more; so who waits for `final` is told once
they would have closed, that they are not complete.

change   |  former: [=======a==]b   open, and no engine holds it
         |  at its end + the former lateness:   final: true, complete: false
         |  a window of the new definition, of the same key and start: takes its place, before that or after
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from config.specs import Pipeline
from consumer.store.contract import Closing, Cursor, Kept, LeftOpen
from windows.engine import NEVER
from windows.law.spec import Rolling


class Asked(Protocol):
    """What the store knows of them."""

    def left_ends(self, left: LeftOpen, behind: int) -> tuple[int, int] | None:
        """The first and the last end of those that end behind a time, None where there are none."""
        ...

    def left_open(self, left: LeftOpen, until: int, limit: int) -> Sequence[Any]:
        """The `_id`s of those of this shard's keys that end by a time."""
        ...


def taken_over(cursor: Cursor, spec: Pipeline, asked: Asked | None) -> Cursor:
    """A cursor as a configuration goes on with it: which window sets are kept from here on, and what others have left open.
    asked=None: nothing is, as nobody can be asked."""
    now = {s.fingerprint: Kept(s.name, s.key, s.lateness) for s in spec.windows if not isinstance(s.kind, Rolling)}
    former = {name: kept for name, kept in cursor.kept.items() if name not in now or name not in (cursor.since or {})}
    left = list(cursor.left_open)
    for config, kept in former.items() if asked is not None else ():
        after = cursor.watermark - kept.lateness if cursor.watermark > NEVER else NEVER
        found = LeftOpen(kept.name, kept.route, config, kept.lateness, after)
        ends = asked.left_ends(found, after) if asked is not None else None
        if ends is not None:
            left.append(replace(found, last=ends[1]))
    return replace(cursor, kept=now, left_open=tuple(left))


class Closer:
    """Says of them that they are closed, as time passes. limit: how many at once."""

    def __init__(self, asked: Asked, drain: Callable[[], object]) -> None:
        self._asked, self._drain = asked, drain
        self._next: dict[LeftOpen, int] = {}  # the first end that the store has told

    def parts(self, at: Callable[[], Cursor], limit: Callable[[], int]) -> Iterator[tuple[Cursor, Closing | None]]:
        """What is to be committed, one after the other; with the last part of each definition the cursor goes on. at: where the
        shard stands; limit: how many windows at once."""
        for left in at().left_open:
            until = min(at().watermark - left.lateness, left.last)
            if until <= left.after or until < self._next.get(left, NEVER):
                continue
            for ids in self._pages(left, until, limit):
                yield at(), Closing(left.name, left.config, until, ids)
            ends = self._asked.left_ends(left, until) if until < left.last else None
            rest = None if ends is None else replace(left, after=until)
            if rest is not None and ends is not None:
                self._next[rest] = ends[0]
            others = (rest if one == left else one for one in at().left_open)
            yield replace(at(), left_open=tuple(one for one in others if one is not None)), None

    def _pages(self, left: LeftOpen, until: int, limit: Callable[[], int]) -> Iterator[Sequence[Any]]:
        """Until there are no others. Those that the store does not take as closed stay, and are found again."""
        stay, page = 0, dict[str, Any]()
        while True:
            self._drain()
            found = {repr(id): id for id in self._asked.left_open(left, until, stay + limit())}
            again = found.keys() & page.keys()
            ids = [id for name, id in found.items() if name not in again]
            if len(again) == len(found):
                return
            stay, page = len(again), found
            yield ids
