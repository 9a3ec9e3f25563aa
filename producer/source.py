"""Change streams: the triggers in groups by what they ask of the server, each group one stream that goes on where it was.

The level is the narrowest that holds the group: a collection, a database, or the cluster.

A change is larger than the 16 MB that a server sends where an update has two large images. A server that can takes it apart, and
its fragments are put together here (`fragments.py`). From one that cannot (code 10334) it is read in pieces: the change is looked
for one by one, and then read once without the one document and once without the other. Either way it goes on whole, as any change
that is too large for Kinesis, and what is saved never lies inside of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from bson import Timestamp
from pymongo.change_stream import ChangeStream
from pymongo.errors import OperationFailure, PyMongoError

from config.specs import ALL, Trigger
from contract.errors import Fatal, HistoryLost, Misconfigured, Retryable
from edge.mongo import NO_RIGHTS, STANDALONE, Client
from producer import images
from producer.changes import Change
from producer.fragments import Fragments
from producer.match import in_doubt, stages
from producer.mongo import GO_ON, HISTORY_LOST, TOO_LARGE, Document, in_our_words, reaction
from producer.relay import Position

log = structlog.get_logger("producer")
AWAIT_MS = 200  # how long one look for changes waits for some: until then an idle stream's time stands still
BATCH = 1_000
DATA = ("insert", "update", "replace", "delete")
NO_CHANGE_STREAMS = 40573  # of a standalone
FATAL_STREAM = 280  # ChangeStreamFatalError: also where the event of the resume token is not in the stream any more
BAD_FILTER = frozenset({2, 9})
UNKNOWN_STAGE = 40324
SPLIT = {"$changeStreamSplitLargeEvent": dict[str, Any]()}
DOCUMENTS = ("fullDocument", "fullDocumentBeforeChange")
LARGE = (*DOCUMENTS, "updateDescription")  # what may be large in a change; of these the documents are used
MOST_PLACES = 10_000  # namespaces of which it is remembered whose they are
LOOKS = 25  # for a change that is known to be there
TELLING = {
    "drop": "its documents went without a change of their own; windows keep what they counted, and what is made anew is watched",
    "rename": "it was, or is now, watched under that name: its documents are relayed no more, or only as they change from now on",
    "dropDatabase": "as if each of its collections were dropped",
    "invalidate": "the stream ended there, and goes on right behind",
}


@dataclass(frozen=True, slots=True)
class Group:
    """Triggers that one change stream serves. name: "images", "lookup" or "plain", by what they ask; behind it a trigger's name
    where that one has a stream of its own."""

    name: str
    triggers: tuple[Trigger, ...]

    @property
    def options(self) -> dict[str, str]:
        """Which documents the server adds: stored pre- and post-images, the current document of an update, or none."""
        if self.asks == "images":
            return {"full_document": "required", "full_document_before_change": "required"}
        return {"full_document": "updateLookup"} if self.asks == "lookup" else {}

    @property
    def asks(self) -> str:
        """The kind of stream: "images", "lookup" or "plain"."""
        return self.name.partition("/")[0]

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
    """The triggers that are enabled, by what they ask; each is in one group only, so its changes keep their order. Two of which a
    change would not say whose it is are in two: what matches is the server's to say, and it says so by what it sends."""
    enabled = [t for t in triggers if t.enabled]
    images = [t for t in enabled if t.before]
    lookup = [t for t in enabled if not t.before and t.full_document]
    plain = [t for t in enabled if not t.before and not t.full_document]
    return [*_apart("images", images), *_apart("lookup", lookup), *_apart("plain", plain)]


def _apart(asks: str, triggers: Sequence[Trigger]) -> list[Group]:
    """Those without a match stay together, and with them all that can."""
    together: list[Trigger] = []
    for trigger in sorted(triggers, key=lambda t: bool(t.match)):
        if not any(in_doubt(trigger, other) for other in together):
            together.append(trigger)
    rest = [t for t in triggers if t not in together]
    main = [Group(asks, tuple(t for t in triggers if t in together))] if together else []
    return [*main, *(Group(f"{asks}/{t.name}", (t,)) for t in rest)]


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

    def __init__(self, client: Client, group: Group, position: Position, since: Mapping[str, Timestamp] | None = None) -> None:
        """since: triggers whose changes up to then have come another way, as a backfill."""
        self.group, self.position = group, position
        self._since = since or {}
        self._client = client
        self._stream: ChangeStream[Document] | None = None
        self._stages = stages(group.triggers)
        self._without_token: tuple[int, int] | None = None
        self._whose: dict[tuple[str, str, str], tuple[Trigger, ...]] = {}
        self._fragments = Fragments()
        self._splits: bool | None = None
        self._careful = 0  # so many changes are read one by one, as one of them is too large
        self._large = False  # the next one is

    def open(self) -> Position:
        """Open the stream at its position. Raises Retryable, Misconfigured (standalone, rights, a bad match), HistoryLost."""
        doing = f"watching {self._named()}"
        try:
            self._stream = self._watch(start_after=self.position.token) if self.position.token else self._watch_at()
        except OperationFailure as error:
            if error.code == TOO_LARGE and not self._large:
                self._too_large()
                return self.position
            if error.code == UNKNOWN_STAGE and self._splits:
                self._splits = False
                return self.open()
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
        if self._stream is None and not self._large:
            self.open()
        stream = self._stream
        change: Document | None
        try:
            if self._large:
                change = self._in_pieces()
            elif stream is None:
                return Captured(None, (), self.position)
            else:
                self._careful = max(0, self._careful - 1)
                change = stream.try_next()
                if change is not None:
                    change = self._fragments.add(change)
                elif not self._fragments.begun:
                    self._move(stream.resume_token, None)
            if change is None:
                return Captured(None, (), self.position)
        except Retryable:
            self.close()
            raise
        except PyMongoError as error:
            self.close()
            if isinstance(error, OperationFailure) and error.code == TOO_LARGE and not self._large:
                self._too_large()
                return Captured(None, (), self.position)
            if isinstance(error, OperationFailure) and error.code == FATAL_STREAM and self.position.token is not None:
                self._drop_token(error)
                return Captured(None, (), self.position)
            raise self._reaction(error, f"reading changes of {self._named()}") from error
        if self.group.name == "images" and change["operationType"] in ("drop", "rename", "dropDatabase"):
            self._images_again()
        self._move(change["_id"], change.get("clusterTime"))
        if change["operationType"] in DATA:
            return Captured(change, self._concerned(change), self.position)
        self._tell(change)
        if change["operationType"] == "invalidate":
            self.close()
        return Captured(None, (), self.position)

    def more(self) -> bool:
        """Whether the next change is here already, so that `next` will not ask the server. The driver has no public word for it."""
        return self._stream is not None and bool(getattr(self._stream._cursor, "_data", ()))

    def close(self) -> None:
        """Let the server's cursor go."""
        stream, self._stream = self._stream, None
        self._fragments = Fragments()
        try:
            if stream is not None:
                stream.close()
        except PyMongoError:
            pass  # the server is away, and its cursor times out

    def _images_again(self) -> None:
        """A collection that is made anew stores none. Where that cannot be done now, the drop is read again."""
        try:
            images.ensure(self._client, self.group.triggers)
        except Retryable:
            self.close()
            raise

    def _reaction(self, error: PyMongoError, doing: str) -> Retryable | Fatal:
        told = reaction(error, doing)
        return Lost(str(told), self.group.name) if isinstance(told, HistoryLost) else told

    def _watch_at(self) -> ChangeStream[Document]:
        return self._watch(start_at_operation_time=Timestamp(*self.position.cluster))

    def _watch(self, more: Sequence[Mapping[str, Any]] = (), batch: int | None = None, **where: Any) -> ChangeStream[Document]:
        namespaces = self.group.namespaces
        databases = {name for name, _ in namespaces}
        if len(databases) > 1 or ALL in databases:
            target: Any = self._client
        else:
            target = self._client[namespaces[0][0]]
            if len(namespaces) == 1 and namespaces[0][1] != ALL:
                target = target[namespaces[0][1]]
        pipeline = [*self._stages, *more, *([SPLIT] if self._able_to_split() and not more else [])]
        size = batch or (1 if self._careful else BATCH)
        stream: ChangeStream[Document] = target.watch(
            pipeline, max_await_time_ms=AWAIT_MS, batch_size=size, **self.group.options, **where
        )
        return stream

    def _able_to_split(self) -> bool:
        """Servers from 7.0 and 6.0.9 on are."""
        if self._splits is None:
            version = tuple(self._client.server_info()["versionArray"][:3])
            self._splits = (6, 0, 9) <= version < (6, 1) or version >= (7, 0)
        return self._splits

    def _too_large(self) -> None:
        """A change that the server cannot send. Which one, it does not say: the first after what is read one by one."""
        if self._careful:
            self._large = True
        else:
            self._careful = BATCH

    def _in_pieces(self) -> Document:
        """The next change, which is known to be too large, from streams that each leave out what the others bring."""
        whole: Document | None = None
        for wanted in (None, *DOCUMENTS):
            piece = self._first([{"$unset": [name for name in LARGE if name != wanted]}])
            if whole is None:
                whole = piece
            elif piece["_id"] != whole["_id"]:
                raise Retryable("a change that is too large to be sent was another one when it was read again")
            elif wanted in piece:
                whole[wanted] = piece[wanted]
        assert whole is not None
        log.warning("change over 16 MB, read in pieces", id=whole["_id"]["_data"], namespace=whole.get("ns"))
        self._large, self._careful = False, 0
        return whole

    def _first(self, more: Sequence[Mapping[str, Any]]) -> Document:
        """The first change from where the stream stands."""
        token, cluster = self.position.token, Timestamp(*self.position.cluster)
        where: dict[str, Any] = {"start_after": token} if token is not None else {"start_at_operation_time": cluster}
        with self._watch(more, 1, **where) as stream:
            for _ in range(LOOKS):
                if (change := stream.try_next()) is not None:
                    return dict(change)
        self._large = False
        raise Retryable("a change that is too large to be sent is not there any more")

    def _concerned(self, change: Change) -> Sequence[Trigger]:
        """The triggers that this change is for: all of the group that watch there, for what matches was the server's to say."""
        op, ns = change["operationType"], change.get("ns", {})
        place = (ns.get("db", ""), ns.get("coll", ""), op)
        found = self._whose.get(place)
        if found is None:
            found = tuple(t for t in self.group.triggers if op in t.operations and t.watches(place[0], place[1]))
            if len(self._whose) < MOST_PLACES:
                self._whose[place] = found
        if not self._since:
            return found
        return [t for t in found if (since := self._since.get(t.name)) is None or change["clusterTime"] > since]

    def _tell(self, change: Change) -> None:
        """What is no change of a document is relayed to nobody, and said. The stream of the others goes on."""
        op, ns, to = change["operationType"], change.get("ns", {}), change.get("to", {})
        places = [(n.get("db", ""), n.get("coll")) for n in (ns, to) if n]
        names = [
            t.name
            for t in self.group.triggers
            if not places or any(t.watches(db, t.collection if coll is None else coll) for db, coll in places)
        ]
        log.warning("namespace changed", operation=op, namespace=ns, to=to or None, triggers=names, what=TELLING.get(op))

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
