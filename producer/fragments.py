"""Fragments of a change over 16 MB, as `$changeStreamSplitLargeEvent` sends them, put together again. Pure.

    {_id: t1, splitEvent: {fragment: 1, of: 2}, operationType, fullDocumentBeforeChange}
    {_id: t2, splitEvent: {fragment: 2, of: 2}, fullDocument}                             -> one change, of the last one's token

Each has a token of its own. The last one's is the change's: who goes on from there goes on behind all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contract.errors import Retryable

Change = dict[str, Any]


class Fragments:
    """Those of one change, as they come."""

    def __init__(self) -> None:
        self._parts: list[Mapping[str, Any]] = []

    @property
    def begun(self) -> bool:
        """Whether more of a change is to come: where the stream stands now is no place to go on from."""
        return bool(self._parts)

    def add(self, change: Mapping[str, Any]) -> Change | None:
        """The change, if it is whole now. Raises Retryable where a fragment is missing: the stream must be read again."""
        split = change.get("splitEvent")
        expected = len(self._parts) + 1
        if split is None and expected == 1:
            return dict(change)
        if split is None or split["fragment"] != expected:
            self._parts = []
            raise Retryable(f"fragment {expected} of a change is missing")
        self._parts.append(change)
        if split["fragment"] < split["of"]:
            return None
        whole = {name: value for part in self._parts for name, value in part.items() if name != "splitEvent"}
        self._parts = []
        return whole
