"""Documents of a commit as commands: each is encoded once, which tells its size, and a command holds as many as it may.

pymongo's own bulk writes take twice the time a document, in objects that say what to do with each. They are for large documents:
those they find room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bson import encode
from bson.raw_bson import RawBSONDocument
from pymongo import InsertOne, ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection as Table
from pymongo.errors import BulkWriteError

from consumer.store.contract import Doc
from consumer.store.refusals import is_there, named

LARGE = 1 << 20  # bytes of a document
MOST = 8 << 20  # bytes in a command; MongoDB takes 16 MB
Encoded = list[tuple[Doc, bytes]]


class NotNew(Exception):
    """Something that was thought to be new is in this collection already."""

    def __init__(self, collection: str) -> None:
        super().__init__(collection)
        self.collection = collection


def insert(table: Table[Doc], docs: Sequence[Doc], session: ClientSession) -> None:
    """Documents that are thought not to be there. Raises NotNew, Unstorable."""
    small, large = _encoded(table.name, docs)
    try:
        for some in _commands(small):
            command = {"insert": table.name, "documents": [RawBSONDocument(raw) for _, raw in some]}
            _run(table, command, [doc for doc, _ in some], session)
        if large:
            with named(table.name, large):
                table.bulk_write([InsertOne(doc) for doc in large], ordered=False, session=session)
    except BulkWriteError as error:
        if any(is_there(failed) for failed in error.details["writeErrors"]):
            raise NotNew(table.name) from error
        raise


def replace(table: Table[Doc], docs: Sequence[Doc], session: ClientSession) -> None:
    """Documents whole, made where they are missing. Raises Unstorable."""
    small, large = _encoded(table.name, docs)
    for some in _commands(small):
        updates = [{"q": {"_id": doc["_id"]}, "u": RawBSONDocument(raw), "upsert": True} for doc, raw in some]
        _run(table, {"update": table.name, "updates": updates}, [doc for doc, _ in some], session)
    if large:
        with named(table.name, large):
            table.bulk_write([ReplaceOne({"_id": doc["_id"]}, doc, upsert=True) for doc in large], ordered=False, session=session)


def update(table: Table[Doc], updates: Sequence[tuple[Doc, Doc]], session: ClientSession) -> None:
    """Small changes of documents that are there, each by its `_id` and what it must still be. Raises Unstorable."""
    statements = [{"q": still, "u": change} for still, change in updates]
    _run(table, {"update": table.name, "updates": statements}, [still for still, _ in updates], session)


def _encoded(collection: str, docs: Sequence[Doc]) -> tuple[Encoded, list[Doc]]:
    """(small ones with their bytes, large ones)."""
    with named(collection, docs):
        pairs = [(doc, encode(doc)) for doc in docs]
    return [pair for pair in pairs if len(pair[1]) <= LARGE], [doc for doc, raw in pairs if len(raw) > LARGE]


def _commands(pairs: Encoded) -> Iterator[Encoded]:
    """As many at once as a command may hold."""
    some: Encoded = []
    size = 0
    for pair in pairs:
        if size + len(pair[1]) > MOST:
            yield some
            some, size = [], 0
        some.append(pair)
        size += len(pair[1])
    if some:
        yield some


def _run(table: Table[Doc], command: dict[str, Any], docs: Sequence[Doc], session: ClientSession) -> None:
    """Raises what pymongo's bulk writes raise."""
    with named(table.name, docs):
        answer = table.database.command({**command, "ordered": False}, session=session, codec_options=table.codec_options)
        if answer.get("writeErrors"):
            raise BulkWriteError({"writeErrors": answer["writeErrors"], "writeConcernErrors": []})
