"""Change streams: the triggers in groups by what they ask of the server, each group one stream that goes on where it was.

The level is the narrowest that holds the group: a collection, a database, or the cluster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from bson import Timestamp
from pymongo.change_stream import ChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from config.specs import Trigger
from contract.errors import Fatal, HistoryLost, Misconfigured, Retryable
from edge.mongo import NO_RIGHTS, STANDALONE, Client
from producer.changes import Change
from producer.match import stages, under, unsure
from producer.mongo import GO_ON, HISTORY_LOST, Document, in_our_words, reaction
from producer.relay import Position

log = structlog.get_logger("producer")
AWAIT_MS = 200  # how long one look for changes waits for some: until then an idle stream's time stands still
BATCH = 1_000
DATA = ("insert", "update", "replace", "delete")
NO_CHANGE_STREAMS = 40573  # of a standalone
FATAL_STREAM = 280  # ChangeStreamFatalError: also where the event of the resume token is not in the stream any more
BAD_FILTER = frozenset({2, 9})


@dataclass(frozen=True, slots=True)
class Group:
    """Triggers that one change stream serves. name: "images", "lookup" or "plain", by what they ask."""

    name: str
    triggers: tuple[Trigger, ...]

    @property
    def options(self) -> dict[str, str]:
        """Which documents the server adds: stored pre- and post-images, the current document of an update, or none."""
        if self.name == "images":
            return {"full_document": "required", "full_document_before_change": "required"}
        return {"full_document": "updateLookup"} if self.name == "lookup" else {}

    @property
    def namespaces(self) -> list[tuple[str, str]]:
        """Databases and collections, without repeats."""
        return sorted({(t.database, t.collection) for t in self.triggers})


class Lost(HistoryLost):
    """A group's stream cannot go on where it was."""

    def __init__(self, what: str, group: str) -> None:
        super().__init__(what)
        self.group = group


class Captured(NamedTuple):
    """One look at a stream: a change and whom it concerns, or None; and where the stream then stands."""

    change: Change | None
    triggers: Sequence[Trigger]
    position: Position


def groups(triggers: Sequence[Trigger]) -> list[Group]:
    """The triggers by what they ask; a trigger is in one group only, so its changes keep their order."""
    images = tuple(t for t in triggers if t.before)
    lookup = tuple(t for t in triggers if not t.before and t.full_document)
    plain = tuple(t for t in triggers if not t.before and not t.full_document)
    return [g for g in (Group("images", images), Group("lookup", lookup), Group("plain", plain)) if g.triggers]


def cluster_of(token: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """The cluster time (seconds, increment) in a resume token; None where this is no form that we know.

    A token is a KeyString in hex that begins with a timestamp: type byte 0x82, then two 32-bit numbers, big end first.

    >>> cluster_of({"_data": "826B046CF5000000022B0229296E04"})
    (1795452149, 2)
    """
    data = token.get("_data") if token is not None else None
    if not isinstance(data, str) or not data.startswith("82") or len(data) < 18:
        return None
    try:
        return int(data[2:10], 16), int(data[10:18], 16)
    except ValueError:
        return None


def now(client: Client) -> Position:
    """Where a stream starts that has no bookmark: right after the last thing that the server has done."""
    with in_our_words("asking for the cluster time"):
        time = client.admin.command("ping").get("operationTime")
    if not isinstance(time, Timestamp):
        raise reaction(OperationFailure("no cluster time", NO_CHANGE_STREAMS), "asking for the cluster time")
    return Position(None, (time.time, time.inc + 1))


class Source:
    """One group's change stream. `next` may be called again after Retryable: the stream is opened anew where it was."""

    def __init__(self, client: Client, group: Group, position: Position) -> None:
        self.group, self.position = group, position
        self._client = client
        self._stream: ChangeStream[Document] | None = None
        self._stages = stages(group.triggers)
        self._without_token: tuple[int, int] | None = None
        self._watchers: dict[tuple[str, str], list[Trigger]] = {
            ns: [t for t in group.triggers if (t.database, t.collection) == ns] for ns in group.namespaces
        }
        self._alone = {(*ns, op): ts for ns, ts in self._watchers.items() if len(ts) == 1 for op in ts[0].operations}

    def open(self) -> Position:
        """Open the stream at its position. Raises Retryable, Misconfigured (standalone, rights, a bad match), HistoryLost."""
        doing = f"watching {self._named()}"
        try:
            self._stream = self._watch(start_after=self.position.token) if self.position.token else self._watch_at()
        except OperationFailure as error:
            told = self._reaction(error, doing)
            if isinstance(told, Retryable) or error.code in (HISTORY_LOST, *STANDALONE, *NO_RIGHTS):
                raise told from error
            if self.position.token is None:
                raise self._filter_refused(error) if error.code in BAD_FILTER else told from error
            self._drop_token(error)
            return self.open()
        except PyMongoError as error:
            raise self._reaction(error, doing) from error
        self._move(self._stream.resume_token, None)
        return self.position

    def next(self) -> Captured:
        """The next change, or where the stream stands if there is none just now. Waits AWAIT_MS at most. Raises as `open` does."""
        if self._stream is None:
            self.open()
        stream = self._stream
        assert stream is not None
        try:
            change = stream.try_next()
            if change is None:
                self._move(stream.resume_token, None)
                return Captured(None, (), self.position)
            concerned = self._concerned(change)
        except PyMongoError as error:
            self.close()
            if isinstance(error, OperationFailure) and error.code == FATAL_STREAM and self.position.token is not None:
                self._drop_token(error)
                return Captured(None, (), self.position)
            raise self._reaction(error, f"reading changes of {self._named()}") from error
        self._move(change["_id"], change.get("clusterTime"))
        if change["operationType"] in DATA:
            return Captured(change, concerned, self.position)
        log.warning("namespace changed", operation=change["operationType"], namespace=change.get("ns"))
        if change["operationType"] == "invalidate":
            self.close()
        return Captured(None, (), self.position)

    def more(self) -> bool:
        """Whether the next change is here already, so that `next` will not ask the server. The driver has no public word for it."""
        return self._stream is not None and bool(getattr(self._stream._cursor, "_data", ()))

    def close(self) -> None:
        """Let the server's cursor go."""
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                stream.close()
        except PyMongoError:
            pass  # the server is away, and its cursor times out

    def _reaction(self, error: PyMongoError, doing: str) -> Retryable | Fatal:
        told = reaction(error, doing)
        return Lost(str(told), self.group.name) if isinstance(told, HistoryLost) else told

    def _watch_at(self) -> ChangeStream[Document]:
        return self._watch(start_at_operation_time=Timestamp(*self.position.cluster))

    def _watch(self, **where: Any) -> ChangeStream[Document]:
        namespaces = self.group.namespaces
        database = self._client[namespaces[0][0]]
        if len(namespaces) == 1:
            target: Any = database[namespaces[0][1]]
        else:
            target = database if len({name for name, _ in namespaces}) == 1 else self._client
        stream: ChangeStream[Document] = target.watch(
            self._stages, max_await_time_ms=AWAIT_MS, batch_size=BATCH, **self.group.options, **where
        )
        return stream

    def _concerned(self, change: Change) -> Sequence[Trigger]:
        """The triggers that this change is for. Where two watch one collection, the server's match says only: for one of them."""
        op, ns = change["operationType"], change.get("ns", {})
        alone = self._alone.get((ns.get("db", ""), ns.get("coll", ""), op))
        if alone is not None:
            return alone
        watching = self._watchers.get((ns.get("db", ""), ns.get("coll", "")), [])
        wanted = [t for t in watching if op in t.operations]
        if len(watching) == 1:
            return wanted
        return [t for t in wanted if not unsure(t, watching, op) or self._matches(t, change)]

    def _matches(self, trigger: Trigger, change: Change) -> bool:
        """Ask the server itself, so that its own rules of matching hold."""
        asked = [{"$documents": {"$literal": [{"d": change.get("fullDocument")}]}}, {"$match": under("d", trigger.match)}]
        return any(True for _ in self._client[trigger.database].aggregate([*asked, {"$project": {"_id": 1}}]))

    def _move(self, token: Mapping[str, Any] | None, cluster: Timestamp | None) -> None:
        """A token whose time is unknown leaves the time where it was: it never runs ahead."""
        told = (cluster.time, cluster.inc) if cluster is not None else cluster_of(token)
        self.position = Position(token or self.position.token, told or self.position.cluster)

    def _drop_token(self, error: OperationFailure) -> None:
        """The server does not take the token (triggers changed, a restored backup): its cluster time says the same, and repeats."""
        if self._without_token == self.position.cluster:
            told = f"watching {self._named()}: code {error.code}, with the resume token and with its cluster time alike"
            raise Lost(f"{told}. {GO_ON}", self.group.name) if error.code == FATAL_STREAM else Fatal(told)
        self._without_token = self.position.cluster
        log.warning("resume token refused, going on from its cluster time", code=error.code, group=self.group.name)
        self.position = Position(None, self.position.cluster)

    def _filter_refused(self, error: OperationFailure) -> Misconfigured:
        message = (error.details or {}).get("errmsg", "")
        matching = ", ".join(t.name for t in self.group.triggers if t.match)
        return Misconfigured(f"the match of a trigger ({matching}) is refused by MongoDB: {message}")

    def _named(self) -> str:
        return ", ".join(f"{database}.{collection}" for database, collection in self.group.namespaces)
