"""Reads the views: only what contract/views.py promises, with the indexes that are there for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.database import Database

from config.specs import Pipeline
from config.table import close_to
from contract.errors import Misconfigured
from windows.law.shown import cut
from windows.law.spec import Rolling, WindowSet

Doc = dict[str, Any]
HEALTH, DEAD_LETTERS, BOOKMARKS = "health", "dead_letters", "_bookmarks"
STANDING = timedelta(seconds=60)  # as the supervisor's alarm
NONE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Found:
    """A document of a view. stale: of a rolling value, whether silence alone has changed it since; None for other views. behind:
    for how long it is stale; of a shard, how far its watermark is behind what is relayed. stands: of a shard, whether it is far
    behind and has not committed for long, while the producer went on."""

    view: str
    document: Doc
    stale: bool | None = None
    behind: timedelta | None = None
    stands: bool | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """Where event time stands: the watermark that every shard should have by now, by what the producer has relayed and by what some
    shard has; None where nobody knows. pulse: when the producer said so last."""

    time: datetime | None
    pulse: datetime | None


@dataclass(frozen=True, slots=True)
class Span:
    """Event times from (inclusive) to (exclusive); None: no bound."""

    begin: datetime | None = None
    end: datetime | None = None


class Reader:
    """The answers. A value is stale, and a shard behind, by what the producer has relayed and not by a clock: where nothing
    happens, or nothing is relayed any more, what is there is as new as can be. now: only where bare documents come, whose consumer
    follows the clock. Raises pymongo's errors as they come."""

    def __init__(self, db: Database[Doc], pipeline: Pipeline, now: datetime) -> None:
        self._db, self._pipeline, self._now = db, pipeline, now
        self._known: Reached | None = None

    def risks(self, limit: int, since: datetime | None = None) -> Sequence[Found]:
        """The highest scores, the newest of equal ones first."""
        view = self._fraud_view()
        wanted: Doc = {"at": {"$gte": since}} if since else {}
        return self._found(view, wanted, [("score", -1), ("at", -1)], limit)

    def card(self, keys: Sequence[Any], limit: int) -> Sequence[Found]:
        """All about one key of the fraud scorer: its scores, its rolling values, its latest windows."""
        view = self._fraud_view()
        fraud = self._pipeline.fraud
        assert fraud is not None
        return [
            *self._found(view, {"key": {"$in": keys}}, [("at", -1)], limit),
            *self._of_key(fraud.trigger, fraud.key, keys, limit),
        ]

    def cart(self, keys: Sequence[Any], limit: int) -> Sequence[Found]:
        """All about one cart: its signals, its rolling values, its latest windows."""
        view = self._carts_view()
        carts = self._pipeline.abandonment
        assert carts is not None
        return [
            *self._found(view, {"key": {"$in": keys}}, [("since", -1)], limit),
            *self._of_key(carts.trigger, carts.key, keys, limit),
        ]

    def abandoned(self, limit: int, retracted: bool = False) -> Sequence[Found]:
        """Carts that were left and neither bought nor taken up again since; with retracted, those too."""
        wanted: Doc = {} if retracted else {"status": "raised"}
        return self._found(self._carts_view(), wanted, [("raised_at", -1)], limit)

    def window(self, view: str, keys: Sequence[Any] | None, span: Span, limit: int) -> Sequence[Found]:
        """A window set's documents, newest first: windows that lie at least in part in the span, rolling values as of it. Of a view
        that several sets share all of them by its own name, and one by that set's."""
        spec = self.window_set(view)
        others = () if view == spec.shown_in else (s.name for s in self._pipeline.windows if s.view == spec.view and s != spec)
        wanted: Doc = {} if keys is None else {("_id" if isinstance(spec.kind, Rolling) else "key"): {"$in": keys}}
        if isinstance(spec.kind, Rolling):
            _bound(wanted, "as_of", "$gte", span.begin)
            _bound(wanted, "as_of", "$lt", span.end)
            return self._found(spec.shown_in, wanted, [("as_of", -1)], limit, dict.fromkeys(others, False))
        _bound(wanted, "end", "$gt", span.begin)
        _bound(wanted, "start", "$lt", span.end)
        return self._found(view, wanted, [("start", -1)] if keys else [("end", -1)], limit)

    def health(self) -> Sequence[Found]:
        """A document a shard, one for each group of the producer's triggers, and the newest dead letters."""
        shards = [self._shard(f.document) for f in self._found(HEALTH, {}, [("_id", 1)], 0)]
        relayed = [Found(BOOKMARKS, self._relay(document)) for document in self._bookmarks()]
        return [*shards, *relayed, *self._found(DEAD_LETTERS, {}, [("updated_at", -1)], 5)]

    def _reached(self) -> Reached:
        """Asked for once."""
        if self._known is None:
            stream, marks = self._pipeline.stream, self._bookmarks()
            times = [document["watermark"] for document in self._db[HEALTH].find(self._own(), {"watermark": 1})]
            if marks:
                times.append(min(_at(mark) for mark in marks) - timedelta(milliseconds=stream.settle))
            if stream.format == "document":
                times.append(self._now - timedelta(milliseconds=stream.settle + stream.idle))
            pulse = min((mark["updated_at"] for mark in marks), default=None)
            self._known = Reached(max((at for at in times if isinstance(at, datetime)), default=None), pulse)
        return self._known

    def _own(self) -> Doc:
        """Those of this stream."""
        return {"_id": {"$regex": f"^{re.escape(self._pipeline.stream.name)}/"}}

    def _bookmarks(self) -> Sequence[Doc]:
        wanted = {"stream": self._pipeline.stream.name, "cluster": {"$ne": None}}
        return list(self._db[BOOKMARKS].find(wanted, {"token": 0}).sort("_id", 1))

    def _relay(self, mark: Doc) -> Doc:
        """A bookmark for readers."""
        return {**{name: mark.get(name) for name in ("_id", "captured", "relayed", "updated_at")}, "up_to": _at(mark)}

    def _shard(self, document: Doc) -> Found:
        reached, watermark, committed = self._reached(), document.get("watermark"), document.get("updated_at")
        if reached.time is None or not isinstance(watermark, datetime) or document.get("ended"):
            return Found(HEALTH, document)
        behind = max(reached.time - watermark, NONE)
        quiet = reached.pulse - committed if reached.pulse is not None and isinstance(committed, datetime) else NONE
        return Found(HEALTH, document, behind=behind, stands=behind >= STANDING and quiet >= STANDING)

    def window_set(self, name: str) -> WindowSet:
        """The window set of that name, or the first one of the view of that name. Raises Misconfigured."""
        for spec in self._pipeline.windows:
            if name in (spec.name, spec.shown_in):
                return spec
        known = [name for s in self._pipeline.windows for name in (s.name, s.shown_in)]
        raise Misconfigured(f'there is no window set "{cut(name)}"{close_to(name, known)}')

    def _fraud_view(self) -> str:
        if self._pipeline.fraud is None:
            raise Misconfigured("pipeline.toml has no [fraud]: nothing is scored")
        return self._pipeline.fraud.view

    def _carts_view(self) -> str:
        if self._pipeline.abandonment is None:
            raise Misconfigured("pipeline.toml has no [abandonment]: no cart is watched")
        return self._pipeline.abandonment.view

    def _of_key(self, trigger: str, route: str, keys: Sequence[Any], limit: int) -> Iterable[Found]:
        own = [s for s in self._pipeline.windows if (s.trigger, s.key) == (trigger, route)]
        ordered = sorted(own, key=lambda s: not isinstance(s.kind, Rolling))
        for view in dict.fromkeys(s.shown_in for s in ordered):
            yield from self.window(view, keys, Span(), limit)

    def _found(
        self,
        view: str,
        wanted: Mapping[str, Any],
        order: Sequence[tuple[str, int]],
        limit: int,
        without: Mapping[str, bool] | None = None,
    ) -> Sequence[Found]:
        cursor = self._db[view].find(wanted, without or None).sort(list(order)).limit(limit)
        rolling = any(s.shown_in == view and isinstance(s.kind, Rolling) for s in self._pipeline.windows)
        return [self._rolling(view, document) if rolling else Found(view, document) for document in cursor]

    def _rolling(self, view: str, document: Doc) -> Found:
        expires, reached = document.get("expires_at"), self._reached().time
        if not isinstance(expires, datetime) or reached is None or expires > reached:
            return Found(view, document, stale=False)
        return Found(view, document, stale=True, behind=reached - expires)


def _at(mark: Doc) -> datetime:
    """The cluster time up to which a group's changes are relayed."""
    return datetime.fromtimestamp(mark["cluster"].time, UTC)


def _bound(wanted: Doc, field: str, operator: str, value: datetime | None) -> None:
    if value is not None:
        wanted.setdefault(field, {})[operator] = value
