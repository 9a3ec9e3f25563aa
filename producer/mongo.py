"""MongoDB as the producer reads it: its client, and what errors of change streams ask of us beside what all errors do."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from pymongo.errors import PyMongoError

from contract.errors import Fatal, HistoryLost, Misconfigured, Retryable
from edge import mongo
from edge.mongo import Client

Document = dict[str, Any]
HISTORY_LOST, NO_IMAGE, TOO_LARGE = 286, 47, 10334
GO_ON = (
    "To go on behind it, with a gap of which the views say complete: false: run `python -m producer restart --from now`"
    ' (make restart-producer ARGS="--from now") and start again; or set on_history_lost = "gap_and_continue" in [producer], which'
    " does so by itself. A larger oplog, or a longer time that it is kept, prevents it"
)


def connect(uri: str) -> Client:
    """A client in which broken UTF-8 comes through instead of ending the stream. Raises Misconfigured."""
    return mongo.connect(
        uri, "producer", serverSelectionTimeoutMS=3_000, socketTimeoutMS=30_000, unicode_decode_error_handler="replace"
    )


def in_our_words(doing: str) -> AbstractContextManager[None]:
    """Turn an error of pymongo into one that is named by its reaction. `doing` begins its text."""
    return mongo.in_our_words(doing, reaction)


def reaction(error: PyMongoError, doing: str) -> Retryable | Fatal:
    """Retryable: away or busy. Misconfigured: will not have us. HistoryLost: cannot go on exactly. Fatal: nobody should guess."""
    code, said = mongo.code_of(error), f"{doing}: {mongo.said_of(error)}"
    if code in mongo.STANDALONE:
        return Misconfigured(
            f"{said}: this mongod is a standalone, which has no change streams; it must be a replica set. Start it with"
            " --replSet rs0, then once: mongosh --eval 'rs.initiate()'. Atlas and `make sandbox` always are one"
        )
    if code in mongo.NO_RIGHTS:
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
    return mongo.reaction(error, doing)
