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


class Requeued(TypedDict):
    """What became of a dead letter that was put into the stream again. outcome: its record's class: `counted` once and for ever,
    `repeat` where the same change had counted, else it may be put in again. event: the change's id, None where it has none; by: the
    place of that record."""

    outcome: str
    event: str | None
    by: dict[str, Any]


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
    requeued: NotRequired[Requeued]
    updated_at: datetime


class Spot(TypedDict):
    """A place in a shard: behind the record (sequence, sub), its sequence number as text, None before the first; the watermark."""

    sequence: str | None
    sub: int
    watermark: datetime | None


class SnapshotSpot(Spot):
    """Where the saved window states stand. behind: records from there to the cursor, which are read again after a crash. made_at:
    when the last one was done; None where this owner has made none yet."""

    behind: int
    made_at: datetime | None


class Lags(TypedDict):
    """How long the newest record of the newest commit was on each hop, ms: from `inserted` (its cluster time, whole seconds) to
    `arrived` at Kinesis, `processed`, `sent` to MongoDB; `visible`: what the commit before this one took, as this one cannot tell
    its own. of: which record that was: the newest change or, without one, a heartbeat. None: not known. Negative: clocks differ.
    """

    of: Literal["change", "heartbeat", "other"]
    inserted: datetime | None
    arrived: int | None
    processed: int | None
    sent: int
    visible: int | None


class Held(TypedDict):
    """What a shard has in memory: how many keys, and about how many bytes they take."""

    keys: int
    bytes: int


class Keeper(TypedDict):
    """Who keeps a shard: the id of its worker, the hash of its pipeline.toml, versions by name; and which owner in a row it is."""

    worker: str | None
    config: str | None
    versions: dict[str, str]
    epoch: int


class Health(TypedDict):
    """A shard's line, `_id` "stream/shard", written with every commit, and as of that commit, `updated_at`. Each record went into
    exactly one class, and the classes add up to `records`.

    hashes: the first and the last 128-bit hash of the keys that the shard holds, in decimal as Kinesis writes them. ended: there,
    and true, once a split or a merge has closed the shard and all of it was read, at `ended_at`; its line stays as it was then.
    since: of each window set, by its fingerprint (a view's `config`), the time from which on it has seen every event, None for all
    there are.
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
    ended: NotRequired[bool]
    ended_at: NotRequired[datetime]
    since: dict[str, datetime | None]
    cursor: Spot
    snapshot: SnapshotSpot
    hops: Lags | None
    memory: Held | None
    owner: Keeper | None
    updated_at: datetime
