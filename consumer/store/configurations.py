"""Which configurations have kept the views of a stream, in the order in which they were first seen.

Two consumers share a stream, and one of them is given a new pipeline.toml. Whichever shard comes to the other one from then on
would be kept by the old definitions again, and by the new ones when it comes back: its window sets would begin anew each time. So
a worker whose configuration was followed by a newer one is refused. Who wants an old one back says so; it is the newest then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pymongo.collection import Collection as Table
from pymongo.errors import DuplicateKeyError

from contract.errors import Misconfigured

AGAIN = "--again"
KEPT = 1_000  # configurations that are remembered


def admit(table: Table[dict[str, Any]], stream: str, config: str, at: datetime, again: bool) -> None:
    """config: the fingerprint of one. again: it is to be the newest, whatever came after it. Raises Misconfigured."""
    while not _admitted(table, stream, config, at, again):
        pass


def _admitted(table: Table[dict[str, Any]], stream: str, config: str, at: datetime, again: bool) -> bool:
    """False if somebody else was admitted meanwhile."""
    found = table.find_one({"_id": stream})
    seen = [] if found is None else found["seen"]
    if seen and seen[-1]["config"] == config:
        return True
    earlier = next((one for one in reversed(seen) if one["config"] == config), None)
    if earlier is not None and not again:
        newest = seen[-1]
        raise Misconfigured(
            f"this configuration ({config}, first seen {_said(earlier['at'])}) was followed by a newer one ({newest['config']}, "
            f"{_said(newest['at'])}) on stream {stream}: run that one here too. To go back to this one on purpose start the "
            f'consumer with {AGAIN} (make run-consumer ARGS="{AGAIN}"); the others then need it as well'
        )
    now = [*(one for one in seen if one["config"] != config), {"config": config, "at": at}][-KEPT:]
    if found is None:
        try:
            table.insert_one({"_id": stream, "changes": 1, "seen": now})
        except DuplicateKeyError:
            return False
        return True
    here = {"_id": stream, "changes": found["changes"]}
    return table.update_one(here, {"$set": {"seen": now}, "$inc": {"changes": 1}}).matched_count == 1


def _said(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
