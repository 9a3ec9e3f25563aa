"""A client of MongoDB as the producer needs it, and what MongoDB's errors ask of us: sorted by class, label and code."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, PyMongoError

from contract.errors import Fatal, HistoryLost, Misconfigured, Retryable
from edge import mongo

Document = dict[str, Any]
Client = MongoClient[Document]
LABELS = ("ResumableChangeStreamError", "TransientTransactionError", "RetryableWriteError")
# unreachable, time-outs, no or another primary, shutting down, cursor gone, busy, disk full: all may pass
AWAY = frozenset({6, 7, 24, 43, 50, 63, 64, 79, 89, 91, 112, 133, 134, 136, 150, 189, 202, 216, 234, 262, 290, 317, 358, 384, 9001})
AWAY |= frozenset({10107, 11600, 11602, 13388, 13435, 13436, 14031})
NO_RIGHTS = frozenset({13, 18, 33, 8000})  # 8000 is what Atlas says to all of these
NO_REPLICA_SET = 40573
HISTORY_LOST, NO_IMAGE, TOO_LARGE = 286, 47, 10334
GO_ON = (
    "To go on from now, with a gap in the views: delete this producer's documents in _bookmarks of the views database, and start"
    " again. A larger oplog, or a longer time that it is kept, prevents it"
)


def connect(uri: str) -> Client:
    """A client that gives up on an absent server after seconds, so that we wait ourselves and say so.

    Dates outside the years 1..9999 and broken UTF-8 come through instead of ending the stream. Raises Misconfigured.
    """
    try:
        return MongoClient(
            uri, appname="eddy-producer", connectTimeoutMS=5_000, serverSelectionTimeoutMS=3_000, socketTimeoutMS=30_000,
            datetime_conversion="DATETIME_AUTO", unicode_decode_error_handler="replace",
        )  # fmt: skip
    except (ConfigurationError, ValueError) as error:
        raise Misconfigured(f"MONGODB_URI: cannot be used: {error}") from None


def in_our_words(doing: str) -> AbstractContextManager[None]:
    """Turn an error of pymongo into one that is named by its reaction. `doing` begins its text."""
    return mongo.in_our_words(doing, reaction)


def reaction(error: PyMongoError, doing: str) -> Retryable | Fatal:
    """Retryable: away or busy. Misconfigured: will not have us. HistoryLost: cannot go on exactly. Fatal: nobody should guess."""
    code, said = mongo.code_of(error), f"{doing}: {mongo.said_of(error)}"
    if code == NO_REPLICA_SET:
        return Misconfigured(
            f"{said}: this mongod is a standalone, which has no change streams; it must be a replica set. Start it with"
            " --replSet rs0, then once: mongosh --eval 'rs.initiate()'. Atlas and `make sandbox` always are one"
        )
    if code in NO_RIGHTS:
        return Misconfigured(
            f"{said}: wrong credentials, or not enough rights. The user in MONGODB_URI needs find and changeStream on what the"
            " triggers watch, and readWrite on the views database; `make doctor` checks both"
        )
    if code == HISTORY_LOST:
        return HistoryLost(f"{said}: the oplog no longer holds the changes that come next. {GO_ON}")
    if code == NO_IMAGE:
        return HistoryLost(
            f"{said}: a pre- or post-image is not stored: the images were switched off, or expired, before the change was read."
            f" {GO_ON}"
        )
    if code == TOO_LARGE:
        return Fatal(f"{said}: a change with its documents is larger than the 16 MB that a change stream can give")
    if isinstance(error, ConfigurationError):
        return Misconfigured(f"MONGODB_URI: cannot be used: {error}")
    if isinstance(error, mongo.PASSING) or code in AWAY or any(error.has_error_label(label) for label in LABELS):
        return Retryable(said)
    return Fatal(said)
