"""`python -m producer restart`: the operator's way to have the relay go on from another place, none of it in silence.

Forward: what is skipped is a gap, which the next start tells on the stream before all else. Back: changes come again, and the
consumer drops those that it has counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import structlog

from contract.errors import Misconfigured, Rejected
from contract.times import time_ms
from producer import skips
from producer.bookmark import Bookmark, Bookmarks
from producer.lease import Lease
from producer.relay import Position
from producer.source import Group, cluster_of

log = structlog.get_logger("producer")
TOKEN = re.compile(r"82[0-9A-Fa-f]{16,}")
FORMS = "now, a time as 2026-11-27T08:00:00Z, or a resume token's _data (82...)"


def place(text: str, now: Position) -> Position:
    """Where that is. now: right behind the last thing that the server has done. Raises Misconfigured.

    >>> place("1970-01-01T00:01:00Z", Position(None, (100, 1)))
    Position(token=None, cluster=(60, 0))
    """
    if text == "now":
        return now
    if TOKEN.fullmatch(text):
        token = {"_data": text}
        cluster = cluster_of(token)
        assert cluster is not None  # the form says so
        return _not_ahead(text, Position(token, cluster), now)
    try:
        at = time_ms(text)
    except Rejected:
        at = None
    if at is None or at < 0:
        raise Misconfigured(f"--from {text}: is none of {FORMS}")
    return _not_ahead(text, Position(None, (at // 1000, 0)), now)


def restart(held: Lease, bookmarks: Bookmarks, groups: Sequence[Group], to: Position) -> Mapping[str, Bookmark]:
    """Move the bookmarks of all groups, under a lease that is ours. What they are then."""
    bookmarks.claim()
    found = bookmarks.load()
    moved = {}
    for group in groups:
        before = found.get(group.name) or Bookmark(to)
        moved[group.name] = before.skipping(to, [trigger.name for trigger in group.triggers])
        how = "goes back" if to.cluster < before.position.cluster else "stays" if to.cluster == before.position.cluster else "skips"
        log.info("restarted", group=group.name, how=how, epoch=held.epoch, **skips.told(moved[group.name].gap))
    bookmarks.begin(moved)
    return moved


def _not_ahead(text: str, found: Position, now: Position) -> Position:
    if found.cluster > now.cluster:
        raise Misconfigured(f"--from {text}: lies in the future of MongoDB's clock; for what is there now say --from now")
    return found
