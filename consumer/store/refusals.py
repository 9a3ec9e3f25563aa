"""What a failed write says of the documents in it: that MongoDB is away, or that it will never take one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bson import encode
from bson.errors import BSONError
from pymongo.errors import BulkWriteError, OperationFailure

from consumer.store.contract import Doc
from contract.errors import Unstorable
from edge.mongo import REFUSED, code_of, passes, said_of

NOT_BSON = (BSONError, OverflowError, UnicodeError, RecursionError)  # a number beyond 64 bits, more than 16 MB, far too deep
LARGEST, DEEPEST = 16 << 20, 180  # of what MongoDB stores: bytes, levels
TAKEN = 11000  # by another document, in an index that allows each value once
BY_ONE = frozenset({15, 22, 10334})  # a document that is too deep, is none, or is too large
BY_ALL = frozenset({257, 388, 10334, 17419, 17420})  # too much in one statement or one transaction; a part of it may do


@contextmanager
def named(collection: str, docs: Sequence[Doc]) -> Iterator[None]:
    """Raises Unstorable, with the document's place, where one of these documents is why their write fails."""
    try:
        yield
    except BulkWriteError as error:
        failed = next(iter(error.details.get("writeErrors", [])), None)
        if failed is not None and not is_there(failed) and (_taken(failed) or not (passes(error) or code_of(error) in REFUSED)):
            id = docs[failed["index"]]["_id"]
            raise Unstorable(f"MongoDB refuses a document of {collection}: {said_of(error)}", (collection, id)) from error
        raise
    except OperationFailure as error:
        if code_of(error) in BY_ONE:
            raise Unstorable(f"MongoDB refuses a document of {collection}: {said_of(error)}", _place(collection, docs)) from error
        raise
    except NOT_BSON as error:
        raise Unstorable(f"no document of {collection}: {type(error).__name__}", _place(collection, docs)) from error


@contextmanager
def not_too_much() -> Iterator[None]:
    """Raises Unstorable where a transaction is too large."""
    try:
        yield
    except OperationFailure as error:
        if code_of(error) in BY_ALL:
            raise Unstorable(f"MongoDB takes no more at once: {said_of(error)}") from error
        raise


def is_there(failed: Any) -> bool:
    """Whether a document of that `_id` is there already."""
    return failed.get("code") == TAKEN and set(failed.get("keyPattern", ["_id"])) == {"_id"}


def _taken(failed: Any) -> bool:
    """Whether an index of somebody's keeps the document out. That two upserts of one `_id` meet passes."""
    return failed.get("code") == TAKEN and not is_there(failed)


def _place(collection: str, docs: Sequence[Doc]) -> tuple[str, Any] | None:
    """The first one that cannot be written, if any is too large, too deep or no BSON by itself."""
    return next(((collection, doc["_id"]) for doc in docs if not _writable(doc)), None)


def _writable(doc: Doc) -> bool:
    try:
        return len(encode(doc)) <= LARGEST and not _deeper(doc, DEEPEST)
    except NOT_BSON:
        return False


def _deeper(v: Any, levels: int) -> bool:
    inner = v.values() if isinstance(v, dict) else v if isinstance(v, list) else ()
    return levels < 0 or any(_deeper(one, levels - 1) for one in inner)
