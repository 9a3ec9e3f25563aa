"""Makes the views database what schema.py says, and checks that it is one that can hold us. Others may be doing the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import OperationFailure

from config.specs import Pipeline
from consumer.store.contract import Doc
from consumer.store.layout import PREFIX, Index, internals, views
from contract.errors import Misconfigured
from edge.mongo import in_our_words

THERE_ALREADY = 48
THEIRS = (85, 86)  # the same index under a person's own name or options: it serves as well
AGE = "expireAfterSeconds"


def check(client: MongoClient[Doc]) -> None:
    """Raises Retryable when MongoDB is away, Misconfigured when it refuses us or has no transactions."""
    with in_our_words("saying hello"):
        hello = client.admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise Misconfigured(
                "MongoDB is a standalone server: it has no transactions and no change streams. Use a replica set "
                "(one member will do: mongod --replSet rs0, then rs.initiate()), or Atlas"
            )
        client.admin.command("connectionStatus")  # logs in: wrong credentials show here


def prepare(db: Database[Doc], spec: Pipeline, only_missing: bool = False) -> None:
    """Make collections and indexes. only_missing: leave collections that are there as they are."""
    there = set(db.list_collection_names())
    for name, indexes in {**internals(), **views(spec)}.items():
        if name not in there:
            _create(db, name)
        elif only_missing:
            continue
        _index(db, name, indexes)


def _create(db: Database[Doc], name: str) -> None:
    try:
        db.command("create", name)
    except OperationFailure as error:
        if error.code != THERE_ALREADY:
            raise


def _index(db: Database[Doc], name: str, indexes: tuple[Index, ...]) -> None:
    wanted = {index.name: _definition(index) for index in indexes}
    there = {index["name"]: index for index in db[name].list_indexes() if index["name"].startswith(PREFIX)}
    for old in [n for n, index in there.items() if index.get(AGE) != wanted.get(n, {}).get(AGE)]:
        db[name].drop_index(old)  # documents are to be kept for another time now, or for ever
        del there[old]
    for new in wanted.keys() - there.keys():
        try:
            db.command("createIndexes", name, indexes=[wanted[new]])
        except OperationFailure as error:
            if error.code not in THEIRS:
                raise


def _definition(index: Index) -> Mapping[str, Any]:
    options: dict[str, Any] = {"key": dict(index.fields), "name": index.name}
    if index.ttl is not None:
        options[AGE] = max(1, index.ttl // 1000)
    if index.only_if is not None:
        options["partialFilterExpression"] = {index.only_if: {"$exists": True}}
    return options
