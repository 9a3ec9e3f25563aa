"""Stored pre- and post-images, which a trigger with `before = true` needs on its collection."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from pymongo.errors import CollectionInvalid, OperationFailure

from config.specs import Trigger
from contract.errors import Misconfigured
from edge.mongo import NO_RIGHTS, Client
from producer.mongo import in_our_words

log = structlog.get_logger("producer")
ON = {"enabled": True}
EXISTS, UNKNOWN_OPTION, OLD_FORMAT = 48, 40415, 72


def ensure(client: Client, triggers: Iterable[Trigger]) -> None:
    """Switch them on where they are not. Raises Misconfigured with the command to run where we may not."""
    for database, collection in sorted({(t.database, t.collection) for t in triggers if t.before}):
        with in_our_words(f"switching on pre- and post-images of {database}.{collection}"):
            if not _switched_on(client, database, collection):
                _switch_on(client, database, collection)


def _switched_on(client: Client, database: str, collection: str) -> bool:
    found = next(iter(client[database].list_collections(filter={"name": collection})), None)
    return found is not None and found.get("options", {}).get("changeStreamPreAndPostImages") == ON


def _switch_on(client: Client, database: str, collection: str) -> None:
    try:
        try:
            client[database].create_collection(collection, changeStreamPreAndPostImages=ON)
        except (CollectionInvalid, OperationFailure) as error:
            if isinstance(error, OperationFailure) and error.code not in (EXISTS, *NO_RIGHTS):
                raise
            client[database].command("collMod", collection, changeStreamPreAndPostImages=ON)
    except OperationFailure as error:
        if error.code in (*NO_RIGHTS, UNKNOWN_OPTION, OLD_FORMAT):
            raise Misconfigured(
                f"a trigger with before = true needs stored pre- and post-images (MongoDB 6.0 or later) on {database}.{collection},"
                f" and they cannot be switched on from here (code {error.code}). Run this as a user with dbAdmin:"
                f"\n{_command(database, collection)}"
            ) from error
        raise
    log.info("pre- and post-images switched on", namespace=f"{database}.{collection}")


def _command(database: str, collection: str) -> str:
    return f"db.getSiblingDB({database!r}).runCommand({{collMod: {collection!r}, changeStreamPreAndPostImages: {{enabled: true}}}})"
