"""Every error of ours, named by the reaction it asks for. Sorted by code where a service answered, never by message text."""

from __future__ import annotations

from typing import Any


class Retryable(Exception):
    """Wait and do the same again. `after` is the least wait in seconds; None leaves it to the caller's back-off."""

    def __init__(self, what: str, after: float | None = None) -> None:
        super().__init__(what)
        self.after = after


class Rejected(Exception):
    """This one record cannot be used. It becomes a dead letter with this reason, and the shard goes on.

    `reason` is one of REASONS, for counting; `why` says it for a human, without the document's content.
    """

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(f"{reason}: {why}")
        self.reason = reason
        self.why = why


REASONS = ("json", "envelope", "key", "time", "future", "type", "not_finite", "late", "trigger", "size", "refused", "fault")


class Unstorable(Exception):
    """Among the documents that were to be written at once is one that the store will never take, or they are too many. Write
    fewer; of a single record make a dead letter. place: (collection, _id) of the document, where it is known."""

    def __init__(self, what: str, place: tuple[str, Any] | None = None) -> None:
        super().__init__(what)
        self.place = place


class Fatal(SystemExit):
    """Nothing to retry: the process ends loudly with `status`, and nothing is acknowledged.

    A SystemExit, so that amazon_kclpy, which swallows every Exception, lets it through.
    """

    status = 70

    def __init__(self, what: str) -> None:
        super().__init__(self.status)
        self.what = what

    def __str__(self) -> str:
        return self.what


class Misconfigured(Fatal):
    """The configuration or the environment is wrong; `what` holds every error at once, a line each."""

    status = 78


class Fenced(Fatal):
    """Another owner has claimed this shard; whatever this process was about to write is not written."""

    status = 75


class HistoryLost(Fatal):
    """What is needed to go on exactly is gone: oplog history, stream retention, or a checkpoint beyond the state."""

    status = 76
