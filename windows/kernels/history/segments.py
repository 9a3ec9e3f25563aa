# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""What is saved of a history apart from its key: segments, each a stretch of its events, all together the front of it.

Which events a segment holds follows from how many are in those before it. One that an event came into, or went out of, is dirty,
and is saved anew under another number; what leaves a history at its front is only counted. Where events of one time are in several
segments, which of them one goes out of is not known; then all of them are dirty, so that only their sum matters.

    events     1 2 3 4 5 6 7 8 9        4 comes again        1 2 3 are forgotten
    segments   [1 2 3][4 5 6] 7 8 9     [1 2 3][4 4 5 6]     [4 4 5 6] 7 8 9
    dirty                               no     yes           yes
"""

from __future__ import annotations

from compiled.kernel import kernel
from windows.kernels import words as w
from windows.kernels.memory.arena import EMPTY, alloc, release
from windows.kernels.memory.rowlist import row_from, row_of, row_put, rows_free
from windows.kernels.words import history_at, rowlist_at, segment_at, segments_at


@kernel
def segment_changed(M, h, t, by):
    """An event of a time that is in the segments of a history comes (by 1) or goes (by -1)."""
    j = history_at(M, h).segments + w.SEGMENT_ROWS
    i = max(row_from(M, j, w.SEGMENT_WORDS, t + 1) - 1, 0)
    segment = segment_at(M, row_of(M, j, w.SEGMENT_WORDS, i))
    segment.n += by
    segment.dirty = 1
    while i > 0 and segment_at(M, row_of(M, j, w.SEGMENT_WORDS, i - 1)).last >= t:
        i -= 1
        segment_at(M, row_of(M, j, w.SEGMENT_WORDS, i)).dirty = 1


@kernel
def segments_trimmed(M, h, k):
    """The first k events of a history go."""
    if history_at(M, h).segments != 0:
        segments_at(M, history_at(M, h).segments).trimmed += k


@kernel
def segments_held(M, h):
    """(how many events are in the segments of a history, how many segments there are), once these have been set."""
    at = history_at(M, h).segments
    if at == 0:
        return 0, 0
    held = 0
    segments = rowlist_at(M, at + w.SEGMENT_ROWS).n
    for i in range(segments):
        held += segment_at(M, row_of(M, at + w.SEGMENT_ROWS, w.SEGMENT_WORDS, i)).n
    return held, segments


@kernel
def segments_set(M, h, rows, n):
    """The segments of a history are these n."""
    segments_free(M, h)
    if n == 0:
        return
    at = alloc(M, w.SEGMENTS_WORDS)
    for word in range(at, at + w.SEGMENTS_WORDS):
        M[word] = 0
    history_at(M, h).segments = at
    for i in range(n):
        r = row_put(M, at + w.SEGMENT_ROWS, w.SEGMENT_WORDS, i, rows[i * w.SEGMENT_WORDS])
        for word in range(w.SEGMENT_WORDS):
            M[r + word] = rows[i * w.SEGMENT_WORDS + word]
        history_at(M, h).until = max(history_at(M, h).until, segment_at(M, r).last)


@kernel
def segments_free(M, h):
    """Nothing is known of segments any more."""
    at = history_at(M, h).segments
    if at != 0:
        rows_free(M, at + w.SEGMENT_ROWS, w.SEGMENT_WORDS)
        release(M, at, w.SEGMENTS_WORDS)
    history_at(M, h).segments = 0
    history_at(M, h).until = EMPTY
