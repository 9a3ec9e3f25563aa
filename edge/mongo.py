"""MongoDB from our side: its clients, and what its errors ask of us: sorted by class, label and code, never by message text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dns.exception import Timeout
from dns.resolver import NoNameservers
from pymongo import MongoClient
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WaitQueueTimeoutError,
)

from contract.errors import Fatal, Misconfigured, Retryable

Client = MongoClient[dict[str, Any]]
# An absent server is given up on after seconds, so that we wait ourselves and say so; and an answer may never come. In ms.
WAITS = {"serverSelectionTimeoutMS": 5_000, "connectTimeoutMS": 5_000, "socketTimeoutMS": 120_000}
PASSING = (ConnectionFailure, WaitQueueTimeoutError, ExecutionTimeout)
NO_NAMES = (Timeout, NoNameservers, OSError)  # nobody says where mongodb+srv:// is; that there is no such name is an answer
LABELS = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError", "ResumableChangeStreamError")
# lock timeout, write conflict, no such transaction, snapshot gone, two upserts that met
CONFLICTS = frozenset({24, 112, 246, 251, 11000})
# a primary that steps down, shuts down or cannot reach the others; limits of time; a cursor that is gone; a full disk. 11601:
# somebody ended what we were at, as the next owner of a shard does; asked again the store says Fenced
AWAY = frozenset({6, 7, 43, 50, 63, 64, 79, 89, 91, 133, 134, 136, 150, 189, 202, 216, 234, 262, 290, 317, 358, 384, 9001, 10107})
AWAY |= frozenset({11600, 11601, 11602, 13388, 13435, 13436, 14031})
NO_RIGHTS = frozenset({13, 18, 33, 8000})  # or wrong credentials; 8000 is what Atlas says to all of these
STANDALONE = frozenset({20, 40573})  # no transactions, no change streams
REFUSED = NO_RIGHTS | STANDALONE | {26, 115, 263}  # what this server does not do


def connect(uri: str, who: str, **own: Any) -> Client:
    """A client, not yet connected: what its first command says of the address is sorted as all errors are. `who` we are in the
    server's log; what the URI says of times goes before `own`, and that before ours. Dates beyond Python's come as DatetimeMS.
    Raises Misconfigured."""
    options = {name: v for name, v in {**WAITS, **own}.items() if name.lower() not in uri.lower()}
    how: dict[str, Any] = {"connect": False, "tz_aware": True, "datetime_conversion": "DATETIME_AUTO"}
    try:
        return MongoClient(uri, appname=f"eddy-{who}", **how, **options)
    except (ConfigurationError, ValueError) as error:
        raise Misconfigured(f"MONGODB_URI: cannot be used: {error}") from None


def reaction(error: PyMongoError, doing: str) -> Retryable | Fatal:
    """Retryable: away or busy. Misconfigured: will not have us. Fatal: neither, so nobody should guess."""
    if code_of(error) in REFUSED:
        return Misconfigured(f"MongoDB refused, {doing}: {said_of(error)}")
    if isinstance(error, (ConfigurationError, InvalidURI)) and not passes(error):
        return Misconfigured(f"MONGODB_URI: cannot be used: {error}")
    if passes(error):
        return Retryable(f"MongoDB is away or busy, {doing}: {said_of(error)}")
    return Fatal(f"MongoDB, {doing}: {said_of(error)}")


def passes(error: PyMongoError) -> bool:
    """Whether the same may succeed later."""
    unnamed = isinstance(error, ConfigurationError) and isinstance(error.__cause__, NO_NAMES)
    return unnamed or isinstance(error, PASSING) or code_of(error) in AWAY | CONFLICTS or _labelled(error)


@contextmanager
def in_our_words(doing: str, reaction: Callable[[PyMongoError, str], BaseException] = reaction) -> Iterator[None]:
    """Turn an error of pymongo into one that is named by its reaction. `doing` begins its text."""
    try:
        yield
    except PyMongoError as error:
        raise reaction(error, doing) from error


def worth_again(error: PyMongoError) -> bool:
    """Whether the whole transaction may succeed at once, because another one was in the way. Not where the server is away."""
    return not isinstance(error, ConnectionFailure) and (_labelled(error) or code_of(error) in CONFLICTS)


def _labelled(error: PyMongoError) -> bool:
    return any(error.has_error_label(label) for label in LABELS)


def code_of(error: PyMongoError) -> int | None:
    """The server's error code, of a bulk write its first one."""
    if isinstance(error, BulkWriteError):
        failed = [*error.details.get("writeErrors", []), *error.details.get("writeConcernErrors", [])]
        return failed[0].get("code") if failed else error.code
    return error.code if isinstance(error, OperationFailure) else None


def said_of(error: PyMongoError) -> str:
    """Class, code and code name. Not the message: it may quote a document."""
    name = (error.details or {}).get("codeName", "") if isinstance(error, OperationFailure) else ""
    code = code_of(error)
    parts = [type(error).__name__, "" if code is None else f"code {code}", str(name)]
    if isinstance(error, (ConnectionFailure, ConfigurationError)):
        parts.append(str(error).split(", Timeout:")[0])
    return " ".join(part for part in parts if part)
