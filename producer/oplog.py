"""How far back MongoDB's oplog reaches: what is older than that no change stream can give any more."""

from __future__ import annotations

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from contract.errors import Retryable
from edge.mongo import Client
from producer.mongo import reaction

log = structlog.get_logger("producer")
UNTOUCHED = "initiating set"  # what the first entry of an oplog says that nothing was cut off from


def first(client: Client) -> int | None:
    """Cluster time, s, of its oldest entry. None where nothing has been cut off yet, or where we may not look (a mongos, no `read`
    on `local`). Raises Retryable."""
    try:
        found = client.local["oplog.rs"].find_one({}, {"ts": 1, "o.msg": 1}, sort=[("$natural", 1)])
    except OperationFailure as error:
        told = reaction(error, "looking at the oplog")
        if isinstance(told, Retryable):
            raise told from error
        return None
    except PyMongoError as error:
        raise reaction(error, "looking at the oplog") from error
    if found is None or (found.get("o") or {}).get("msg") == UNTOUCHED:
        return None
    return int(found["ts"].time)
