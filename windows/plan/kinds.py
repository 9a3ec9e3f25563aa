"""What window sets say of their times, as the plan needs it."""

from __future__ import annotations

from windows.law.spec import Rolling, Sliding, Tumbling, WindowSet

Edges = tuple[str | None, int, tuple[int, ...]]  # zone, period, rising edges in [0, period)


def every_of(spec: WindowSet) -> int:
    """How far windows of a fixed grid lie apart; rolling sets come last."""
    kind = spec.kind
    return kind.every if isinstance(kind, Sliding) else kind.size if isinstance(kind, Tumbling) else 1 << 62


def hold_of(spec: WindowSet) -> int:
    """How long after its end a window may still change."""
    return spec.lateness + (spec.retain if spec.late == "update" else 0)


def natural(kind: Tumbling | Sliding) -> Edges:
    """The coarsest slices that serve a set: the windows' edges, which come again with each period."""
    every = kind.every if isinstance(kind, Sliding) else kind.size
    return kind.zone, every, tuple(sorted({kind.offset % every, (kind.offset + kind.size) % every}))


def leaves_after(spec: WindowSet) -> int:
    """How long after an event a rolling view is without it again."""
    assert isinstance(spec.kind, Rolling)
    return spec.kind.size + spec.kind.delay + (spec.kind.closed == "both")


def span_of(spec: WindowSet) -> int:
    """The most windows of a fixed grid that one event is in, and two for clock changes."""
    assert isinstance(spec.kind, (Tumbling, Sliding))
    return spec.kind.size // every_of(spec) + 2
