"""Whether the server takes the triggers' filters. What they mean is its own to say, so it is asked before anything is relayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson.errors import BSONError
from pymongo.errors import OperationFailure, PyMongoError

from config.specs import Trigger
from contract.errors import Fatal, Misconfigured
from edge.mongo import Client
from producer.match import under
from producer.mongo import reaction


def check(client: Client, triggers: Sequence[Trigger]) -> None:
    """Raises Misconfigured with a line for each filter that is refused; Retryable where nobody answers."""
    wrong = [f"trigger[{place}].match: {why}" for place, t in enumerate(triggers) if t.match and (why := _refusal(client, t))]
    if wrong:
        raise Misconfigured("\n".join(wrong))


def _refusal(client: Client, trigger: Trigger) -> str | None:
    """What the server says against a filter: tried on one document at most, moved as it is for a change stream."""
    try:
        asked: list[dict[str, Any]] = [{"$limit": 1}, {"$match": under("fullDocument", trigger.match)}]
        next(client[trigger.database][trigger.collection].aggregate(asked), None)
    except OperationFailure as error:
        told = reaction(error, f"trying the match of trigger {trigger.name}")
        if type(told) is not Fatal:
            raise told from error
        return f"MongoDB refuses it (code {error.code}): {(error.details or {}).get('errmsg', '')}"
    except PyMongoError as error:
        raise reaction(error, f"trying the match of trigger {trigger.name}") from error
    except BSONError as error:
        return f"it cannot be sent to MongoDB: {error}"
    return None
