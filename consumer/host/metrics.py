"""The consumer's metrics: from what its shards' children said last to Prometheus' families. Never a key as a label.

Counters of records are the cursor's: they go on over restarts, and with the shard to another worker. Histograms are the child's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from consumer.figures import BOUNDS, Figures
from consumer.host.reports import Progress, Status
from edge.metrics import Family

HOPS = ("arrived", "processed", "sent", "visible")


class _Families:
    """All of them, in the order in which they are shown. docs/operations.md says what to make of each."""

    def __init__(self) -> None:
        self.running = Family("eddy_kcl_running", "gauge", "Whether KCL runs here.")
        self.starts = Family("eddy_kcl_starts_total", "counter", "How often this supervisor has started KCL.")
        self.reading = Family(
            "eddy_shard_reading", "gauge", "Whether the shard is opened and fed: 0 while it opens, waits or failed."
        )
        self.stalled = Family("eddy_shard_stalled_seconds", "gauge", "How long the shard has been held up without a move.")
        self.behind = Family("eddy_shard_behind_seconds", "gauge", "How far behind the end of the stream KCL reads the shard.")
        self.word = Family("eddy_shard_last_word_timestamp_seconds", "gauge", "When the shard's child spoke last.")
        self.moved = Family("eddy_shard_moved_timestamp_seconds", "gauge", "When the shard's cursor moved last.")
        self.watermark = Family("eddy_watermark_timestamp_seconds", "gauge", "The event time up to which the shard is complete.")
        self.records = Family("eddy_records_total", "counter", "Records read, by what became of them.")
        self.dead = Family("eddy_dead_letters_total", "counter", "Records that could not be used, by reason.")
        self.hop = Family("eddy_hop_seconds", "gauge", "How long the last commit's newest record was on a hop: up to being that.")
        self.commit = Family("eddy_commit_seconds", "histogram", "How long commits took.")
        self.fresh = Family(
            "eddy_freshness_seconds", "histogram", "From a commit's newest change in MongoDB to its effects in the views."
        )
        self.keys = Family("eddy_keys", "gauge", "Keys in memory.")
        self.state = Family("eddy_state_bytes", "gauge", "About how many bytes the keys in memory take.")
        self.saved = Family(
            "eddy_snapshot_watermark_timestamp_seconds", "gauge", "The watermark at which the window states are saved."
        )
        self.made = Family("eddy_snapshot_timestamp_seconds", "gauge", "When this owner's last snapshot was done.")
        self.unsaved = Family("eddy_snapshot_behind_records", "gauge", "Records that would be read again after a crash.")
        self.epoch = Family("eddy_shard_epoch", "gauge", "Which owner in a row this one is.")


def families(
    stream: str, statuses: Sequence[Status], standing: Mapping[str, float], running: bool, starts: int
) -> Sequence[Family]:
    """What is known. Shards that have ended here are left out: another worker tells of them."""
    f = _Families()
    f.running.set(int(running), stream=stream)
    f.starts.set(starts, stream=stream)
    for s in statuses:
        if s.state != "ended":
            _shard(f, s, standing, {"stream": stream, "shard": s.shard})
    return list(vars(f).values())


def _shard(f: _Families, s: Status, standing: Mapping[str, float], of: Mapping[str, str]) -> None:
    f.reading.set(int(s.state == "reading"), **of)
    f.stalled.set(standing.get(s.shard), **of)
    f.behind.set(_seconds(s.behind), **of)
    f.word.set(_seconds(s.at), **of)
    f.moved.set(_seconds(s.moved), **of)
    if s.progress is not None:
        _progress(f, s.progress, of)
    if s.figures is not None:
        _figures(f, s.figures, of)


def _progress(f: _Families, progress: Progress, of: Mapping[str, str]) -> None:
    f.watermark.set(_seconds(progress.watermark), **of)
    f.saved.set(_seconds(progress.snapshot_watermark), **of)
    f.unsaved.set(progress.unsaved, **of)
    f.epoch.set(progress.epoch, **of)
    for name, n in progress.classes.items():
        f.records.set(n, **of, **{"class": name})
    for name, n in progress.dead_by_reason.items():
        f.dead.set(n, **of, reason=name)


def _figures(f: _Families, figures: Figures, of: Mapping[str, str]) -> None:
    f.keys.set(figures.keys, **of)
    f.state.set(figures.bytes, **of)
    f.made.set(_seconds(figures.snapshot_at), **of)
    f.commit.spread(BOUNDS, figures.commits.counts, figures.commits.sum, **of)
    f.fresh.spread(BOUNDS, figures.freshness.counts, figures.freshness.sum, **of)
    if figures.hops is not None:
        for hop in HOPS:
            f.hop.set(_seconds(getattr(figures.hops, hop)), **of, hop=hop)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
