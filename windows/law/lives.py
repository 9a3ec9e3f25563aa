"""Time that passes only through records: what a record vouches for, and how long a window lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from windows.law.spec import WindowSet

T = TypeVar("T", int, npt.NDArray[np.int64])
LONG_AGO = -(1 << 61)  # ms; what is written before has no time that can be counted from


def event_mark(at: T, written: T, out_of_order: int) -> T:
    """The watermark that an event vouches for, ms: its time, but not beyond when it was written (its change's cluster time; of a
    bare document, its arrival). So a clock that runs ahead dates its own event, and closes no other key's windows.

    >>> int(event_mark(10_000, 11_000, out_of_order=2_000)), int(event_mark(300_000, 11_000, out_of_order=0))
    (8000, 11000)
    """
    return np.minimum(at, np.maximum(written, LONG_AGO)) - out_of_order  # type: ignore[no-any-return]


def heartbeat_mark(cluster: T, settle: int) -> T:
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
