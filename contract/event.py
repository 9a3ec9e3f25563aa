"""The event: one change for one route, as it crosses from the producer to the consumer; beside it the heartbeat and the gap.

On the wire an event is one JSON object (contract/codec.py). Values inside `document`, `before`, `doc_id` and `key` are relaxed
Extended JSON, so that BSON's types survive the way.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

VERSION = 1
Op = Literal["insert", "update", "replace", "delete"]


class Event(msgspec.Struct, frozen=True, tag_field="kind", tag="change", omit_defaults=True):
    """One change of one document, for one route.

    id: `<resume token>/<route>`, unique, and growing within (trigger, route, key). key: the route field's value, None where the
    document has none. at: event time, ms since 1970 UTC, None where the time field is there but cannot be read as a time.
    cluster: the change's cluster time, ms; where origin is "backfill" a time that all the rest of the backfill lies behind, so
    that no watermark runs ahead of it. document: the value to put in, None where there is none (a delete; a look-up that
    came too late). before: the value to take out, only where the trigger has `before = true`. A changed route value is two
    events: one on the old key with `before` alone, one on the new key with `document` alone.
    """

    id: str
    trigger: str
    route: str
    op: Op
    key: Any
    at: int | None
    cluster: int
    doc_id: Any
    document: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    origin: Literal["stream", "backfill"] = "stream"
    v: int = VERSION

    @property
    def token(self) -> str:
        """The resume token's text: later changes have greater ones."""
        return self.id.rsplit("/", 1)[0]


class Heartbeat(msgspec.Struct, frozen=True, tag_field="kind", tag="heartbeat", omit_defaults=True):
    """Everything up to this cluster time (ms) is relayed to the shard that this lies on."""

    cluster: int
    v: int = VERSION


class Gap(msgspec.Struct, frozen=True, tag_field="kind", tag="gap", omit_defaults=True):
    """Changes that these triggers would have seen in this cluster time, ms, both ends included, may never come. It lies on every
    shard that was open, in front of whatever was changed later."""

    begin: int
    end: int
    triggers: tuple[str, ...]
    v: int = VERSION


Message = Event | Heartbeat | Gap
