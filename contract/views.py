"""Documents that readers rely on: the shapes of every view, as they lie in MongoDB (dates are BSON dates).

The measures of a window set stand beside the fixed fields, under their own names.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict


class WindowId(TypedDict):
    """Key and start; of a session, key and its first event's time."""

    k: Any
    s: datetime


class WindowDoc(TypedDict):
    """Tumbling, sliding and session windows. `revision` is 0 at the first final value and counts the changes after it. `complete`
    is there, and false, where events may be missing: the window began before its set did."""

    _id: WindowId
    key: Any
    start: datetime
    end: datetime
    events: int
    revision: int
    final: bool
    closed_by: Literal["event", "heartbeat", "idle", "end"] | None
    late: int
    config: str
    updated_at: datetime
    complete: NotRequired[bool]


class RollingDoc(TypedDict):
    """A key's current rolling values. Past `expires_at` a reader must not believe them; None: silence changes nothing."""

    _id: Any
    key: Any
    as_of: datetime
    expires_at: datetime | None
    config: str
    updated_at: datetime
    complete: NotRequired[bool]


class SharedRollingDoc(TypedDict):
    """A key's current rolling values of all sets that share a view, as of one time: beside these fields stand the sets' names, each
    with its measures and its `config`. `expires_at` is the earliest of the sets'; `complete` is there, and false, if one of them is
    not complete."""

    _id: Any
    key: Any
    as_of: datetime
    expires_at: datetime | None
    updated_at: datetime
    complete: NotRequired[bool]


class Reason(TypedDict):
    """Why a rule fired: its name, a text for people, and what it added."""

    rule: str
    text: str
    weight: float


class ScoreDoc(TypedDict):
    """One scored event; `_id` is the scored document's id. The features it was scored on are kept: a score can be made again."""

    _id: Any
    key: Any
    at: datetime
    score: float
    decision: Literal["approve", "review", "block"]
    reasons: list[Reason]
    features: dict[str, dict[str, float | None]]
    model: str
    updated_at: datetime


class SignalDoc(TypedDict):
    """A cart that was left: `since` is its last event's time, `_id` the cart and `since`."""

    _id: WindowId
    key: Any
    since: datetime
    raised_at: datetime
    items: list[Any]
    value: float | None
    status: Literal["raised", "retracted"]
    retracted_by: Literal["purchase", "activity"] | None
    retracted_at: datetime | None
    config: str
    updated_at: datetime


class DeadLetterDoc(TypedDict):
    """A record that could not be used, whole (`record`: its text; `binary`: its bytes where they are no text), and why."""

    _id: dict[str, Any]
    reason: str
    why: str
    trigger: str | None
    route: str | None
    record: str | None
    binary: bytes | None
    partition_key: str | None
    arrived_at: datetime | None
    updated_at: datetime


class Health(TypedDict):
    """A shard's line, `_id` "stream/shard". Each record went into exactly one class, and the classes add up to `records`.

    hashes: the first and the last 128-bit hash of the keys that the shard holds, in decimal as Kinesis writes them. since: of each
    window set, by its fingerprint (a view's `config`), the time from which on it has seen every event, None for all there are.
    """

    _id: str
    records: int
    counted: int
    repeat: int
    late: int
    ignored: int
    control: int
    dead_letter: int
    late_by_set: dict[str, int]
    dead_letters_by_reason: dict[str, int]
    watermark: datetime | None
    hashes: NotRequired[list[str]]
    since: dict[str, datetime | None]
    updated_at: datetime
