"""Checks of MongoDB: there, letting us in, a replica set, change streams, stored images, rights on the views, the clock."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from config.environment import shape
from config.specs import ALL, Pipeline, Trigger
from edge.mongo import NO_RIGHTS, STANDALONE
from sandbox.finding import Check, Finding, ok, skipped, wrong

Document = dict[str, Any]
SKEW = 2.0  # seconds
ADDRESS = "check MONGODB_URI, that the cluster runs, and that this machine may reach it (Atlas: Network Access)"
PASSWORD = "check user and password in MONGODB_URI (special characters must be percent-encoded), and authSource"


def checks(client: MongoClient[Document], uri: str, spec: Pipeline | None) -> Sequence[tuple[str, Check]]:
    """All of them, in the order in which one depends on another; what needs the configuration only with one."""
    always: list[tuple[str, Check]] = [
        ("MongoDB", lambda: reachable(client, uri)),
        ("MongoDB login", lambda: login(client)),
        ("replica set", lambda: replica_set(client)),
        ("MongoDB's clock", lambda: clock(client)),
    ]
    if spec is None:
        return [*always, ("change streams, rights", lambda: skipped("change streams, rights", "pipeline.toml has mistakes"))]
    of_triggers: list[tuple[str, Check]] = []
    for trigger in spec.triggers:
        of_triggers.append((f"change stream of {trigger.name}", lambda t=trigger: change_stream(client, t)))  # type: ignore[misc]
        if trigger.before:
            of_triggers.append((f"stored images of {trigger.name}", lambda t=trigger: images(client, t)))  # type: ignore[misc]
    return [*always, *of_triggers, ("rights on the views", lambda: rights(client, spec.views.database))]


def reachable(client: MongoClient[Document], uri: str) -> Finding:
    """Somebody answers there."""
    try:
        hello = client.admin.command("hello")
        client.server_info()
    except ConfigurationError as error:
        return wrong("MongoDB", f"{shape(uri)}: {error}", ADDRESS)
    except OperationFailure:
        return ok("MongoDB", f"{shape(uri)} answers")
    except PyMongoError as error:
        return wrong("MongoDB", f"{shape(uri)} does not answer: {str(error).splitlines()[0][:200]}", ADDRESS)
    return ok("MongoDB", f"{shape(uri)} answers, wire version {hello['maxWireVersion']}")


def login(client: MongoClient[Document]) -> Finding:
    """It knows us, or asks for nothing."""
    try:
        client.admin.command("ping")
        who = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
    except OperationFailure as error:
        return wrong("MongoDB login", f"refused ({error.code})", PASSWORD)
    return ok("MongoDB login", f"as {who[0]['user']}" if who else "no user (the server may ask for one later)")


def replica_set(client: MongoClient[Document]) -> Finding:
    """Change streams and transactions need one."""
    hello = client.admin.command("hello")
    if hello.get("msg") == "isdbgrid":
        return ok("replica set", "a sharded cluster")
    if "setName" not in hello:
        do = "start mongod with --replSet and run rs.initiate(); on this machine the sandbox does so (unset MONGODB_URI)"
        return wrong("replica set", "this is a standalone mongod: no change streams, no transactions", do)
    if not hello.get("isWritablePrimary"):
        return wrong("replica set", f"{hello['setName']}: this member is not its primary", "name the whole set in MONGODB_URI")
    return ok("replica set", str(hello["setName"]))


def clock(client: MongoClient[Document]) -> Finding:
    """Watermarks are MongoDB's time, watched from here."""
    begin = time.time()
    there = client.admin.command("hello")["localTime"].timestamp()
    skew = there - (begin + time.time()) / 2
    return judged("MongoDB's clock", skew)


def judged(name: str, skew: float) -> Finding:
    """A clock by its distance from this machine's, in seconds."""
    if abs(skew) > SKEW:
        side = "ahead of" if skew > 0 else "behind"
        return wrong(name, f"{abs(skew):.1f} s {side} this machine's", "let NTP set the clocks (timedatectl set-ntp true)")
    return ok(name, f"within {abs(skew):.1f} s of this machine's")


def change_stream(client: MongoClient[Document], trigger: Trigger) -> Finding:
    """It opens."""
    name, place = f"change stream of {trigger.name}", trigger.named
    database: Any = client if trigger.database == ALL else client[trigger.database]
    target = database if trigger.collection == ALL else database[trigger.collection]
    try:
        with target.watch(max_await_time_ms=100) as stream:
            stream.try_next()
    except OperationFailure as error:
        if error.code in STANDALONE:
            return wrong(name, f"{place} cannot be watched: no replica set", "see `replica set` above")
        if error.code in NO_RIGHTS:
            return wrong(name, f"{place} must not be watched", f"grant the user `read` on the database {trigger.database}")
        raise
    return ok(name, f"{place} opens")


def images(client: MongoClient[Document], trigger: Trigger) -> Finding:
    """before = true needs the collection's stored pre- and post-images."""
    name = f"stored images of {trigger.name}"
    found = list(client[trigger.database].list_collections(filter={"name": trigger.collection}))
    if found and found[0].get("options", {}).get("changeStreamPreAndPostImages", {}).get("enabled"):
        return ok(name, "stored")
    command = f'db.runCommand({{collMod: "{trigger.collection}", changeStreamPreAndPostImages: {{enabled: true}}}})'
    do = f"in mongosh, on the database {trigger.database}: {command}\nor set before = false for this trigger"
    return wrong(name, "not stored" if found else "the collection does not exist yet", do)


def rights(client: MongoClient[Document], database: str) -> Finding:
    """Create, index, write, transaction, drop: all in a collection that is thrown away."""
    probe = client[database][f"_doctor_{uuid.uuid4().hex[:8]}"]
    step = "create"
    try:
        client[database].create_collection(probe.name)
        step = "createIndex"
        probe.create_index("at")
        step = "a transaction"
        with client.start_session() as session, session.start_transaction():
            probe.insert_one({"_id": 1}, session=session)
            probe.update_one({"_id": 1}, {"$set": {"at": 1}}, session=session)
        step = "drop"
        probe.drop()
    except OperationFailure as error:
        do = f"grant the user `readWrite` on the database {database} (dropping {probe.name} again if it was left behind)"
        return wrong("rights on the views", f"{step} on {database} is refused ({error.code})", do)
    return ok("rights on the views", f"{database}: create, index, write, transaction, drop")
