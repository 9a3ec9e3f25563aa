"""What pipeline.toml means: frozen specs, all times in ms. Built by config/load.py, which checks the whole file first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from contract.event import Op
from windows.law.expr import Expr
from windows.law.spec import WindowSet

ALL = "*"  # for a database or a collection: every one of them


@dataclass(frozen=True, slots=True)
class Stream:
    """The Kinesis stream and the law on its time. format "document": bare documents, no envelope, no heartbeats. aggregate: what
    waits for a busy key may go as one record in KPL's format, which KCL takes apart."""

    name: str
    format: Literal["event", "document"] = "event"
    shards: int = 2
    out_of_order: int = 0
    settle: int = 5_000
    max_future: int = 300_000
    idle: int = 60_000
    heartbeat: int = 1_000
    aggregate: bool = True


@dataclass(frozen=True, slots=True)
class Trigger:
    """A named watch on a collection, a database (collection "*") or all of them (both "*"). before: stored pre- and post-images
    are used, so values can be taken out again. projection: the fields that are relayed (True), or those that are not (False).
    oversize: what becomes of a change that no record takes; "trim" leaves the fields `trim` out first. apart: the database that a
    watch of all leaves out, the views'. enabled: whether it is watched."""

    name: str
    database: str
    collection: str
    routes: tuple[str, ...]
    time: str | None = None
    operations: tuple[Op, ...] = ("insert", "update", "replace", "delete")
    full_document: bool = True
    match: Mapping[str, Any] = field(default_factory=dict)
    before: bool = False
    updates: Literal["ignore", "new_event"] = "ignore"
    deletes: Literal["retract", "ignore"] = "retract"
    envelope: bool = True
    oversize: Literal["dead_letter", "trim"] = "dead_letter"
    trim: tuple[str, ...] = ()
    projection: Mapping[str, bool] = field(default_factory=dict)
    enabled: bool = True
    apart: str | None = None

    def watches(self, database: str, collection: str) -> bool:
        """Whether changes there are its own."""
        there = self.database in (database, ALL) and self.collection in (collection, ALL)
        return there and (self.apart is None or database != self.apart)

    @property
    def named(self) -> str:
        """Where it watches, for people."""
        return f"{self.database}.{self.collection}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Adds `weight` (0..1) to an event's score where `when` holds. when reads event fields and features (`card_recent.n`);
    reason is a text with {names} of the same."""

    name: str
    when: Expr
    weight: float
    reason: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A number, by name, that a model may use: an expression over the event's fields, rolling values and time (`event.hour`)."""

    name: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rolling sets of another entity, which is named by the event's field `key`: read from the view that shows them. delay: of the
    sets, the longest."""

    view: str
    key: str
    sets: tuple[str, ...]
    shared: bool
    delay: int = 0


@dataclass(frozen=True, slots=True)
class Fraud:
    """Scores each event of a trigger's route. score = 1 - product of (1 - weight); at `review`, at `block` the decision changes.
    features: what a model may use, and lookups: where those of other entities lie. entities: fields of the event that name such."""

    trigger: str
    key: str
    rules: tuple[Rule, ...]
    view: str = "fraud_scores"
    review: float = 0.5
    block: float = 0.8
    features: tuple[Feature, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    entities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Abandonment:
    """A cart left for `gap` with something in it and no purchase raises one signal; a purchase or new activity retracts it.

    items and value are paths in the document; purchase is a condition on it. keep: how long a raised cart is remembered so that
    a purchase can retract it.
    """

    trigger: str
    key: str
    gap: int
    purchase: Expr
    items: str = "items"
    value: str = "value"
    lateness: int = 3_000
    keep: int = 86_400_000
    view: str = "abandoned_carts"


@dataclass(frozen=True, slots=True)
class Views:
    """Where the results lie. ttl: view -> ms after which its documents may go (from `end`, or `as_of`, or `at`). refresh: rolling
    values, and those of open windows, are written at most so often a key, in ms of event time; 0: with every commit."""

    database: str = "eddy"
    ttl: Mapping[str, int] = field(default_factory=dict)
    refresh: int = 0


@dataclass(frozen=True, slots=True)
class Consumer:
    """How the consumer works; nothing here changes a result. snapshot: time between two savings of what windows hold; about that
    much of the stream is read again after a crash. memory: bytes that the keys of one shard may take; those not used for longest
    are left to the store. heap: bytes of the JVM's heap. port and address: where metrics are served; port 0: nowhere."""

    snapshot: int = 60_000
    memory: int = 512_000_000
    heap: int = 512_000_000
    port: int = 0
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Producer:
    """How the producer works. port and address: where metrics are served; port 0: nowhere. lease: how long the stream is a
    producer's that does not say that it lives; after that one that stands by relays. on_history_lost: what to do where MongoDB
    no longer has the next changes. headroom: ms of history that the oplog should have in front of us; with less it is said."""

    port: int = 0
    address: str = "127.0.0.1"
    lease: int = 5_000
    on_history_lost: Literal["stop", "gap_and_continue"] = "stop"
    headroom: int = 21_600_000


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The whole file."""

    stream: Stream
    triggers: tuple[Trigger, ...]
    windows: tuple[WindowSet, ...]
    fraud: Fraud | None = None
    abandonment: Abandonment | None = None
    views: Views = field(default_factory=Views)
    consumer: Consumer = field(default_factory=Consumer)
    producer: Producer = field(default_factory=Producer)

    @property
    def fingerprint(self) -> str:
        """Names all that results follow from. How results are brought about, and where they are shown, is no part of it."""
        stream = replace(self.stream, shards=0, heartbeat=0, aggregate=True)
        triggers = tuple(replace(t, enabled=True) for t in self.triggers)
        said = (stream, triggers, [s.fingerprint for s in self.windows], self.fraud, self.abandonment)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:12]

    def trigger(self, name: str) -> Trigger | None:
        """The trigger of that name."""
        return next((t for t in self.triggers if t.name == name), None)
