"""Time that passes only through records: what a record vouches for, and how long a window lives."""

from __future__ import annotations

from dataclasses import dataclass

from windows.law.spec import WindowSet


def event_mark(at: int, out_of_order: int = 0) -> int:
    """The watermark an event vouches for, ms.

    >>> event_mark(10_000, out_of_order=2_000)
    8000
    """
    return at - out_of_order


def heartbeat_mark(cluster: int, settle: int) -> int:
    """The watermark a heartbeat (everything up to `cluster` is relayed) or an idle wall clock vouches for, ms."""
    return cluster - settle


@dataclass(frozen=True, slots=True)
class Lives:
    """How long windows of a set live, counted from their end (ms).

        start        end     + lateness       + retain
        |--- open ----|--- open ---|-- closed, kept --|--- frozen

    Only `late = "update"` keeps closed windows; else they are frozen at once.
    """

    lateness: int
    hold: int

    @staticmethod
    def of(spec: WindowSet) -> Lives:
        """The lives of a set's windows."""
        return Lives(spec.lateness, spec.lateness + (spec.retain if spec.late == "update" else 0))

    def closed(self, end: int, watermark: int) -> bool:
        """Its value is final."""
        return watermark >= end + self.lateness

    def frozen(self, end: int, watermark: int) -> bool:
        """Its value changes no more."""
        return watermark >= end + self.hold
