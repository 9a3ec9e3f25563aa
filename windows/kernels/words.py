"""What lies in the arena, as records of words (see compiled/records.py), and in the rows of results.

A place is the index of a word in the arena, 0 is none. Times are ms. Who holds what:

    root ── chain of a group ──┬─ slices, the newest first             (windows on a fixed grid)
      │                        └─ histories ── a tree of nodes         (rolling sets; sets that keep their events)
      └─── entity of a set: what is known of it at this key
"""

from __future__ import annotations

from compiled.records import at, record, words_in

NONE = (1 << 63) - 1  # no timer, no time
LONG_AGO = -(1 << 61)

# Root of a key: the watermark that it has been judged by, the step in which it changed last, its slot, its route. Behind it stand
# the chains of groups and the entities of sets.
ROOT = record("floor changed slot route")
root_at = at(ROOT)

# Chain of a group at a key: the newest slice (or the history), the oldest slice, when the group's timer rings, how many slices.
CHAIN = record("head tail due n")
chain_at = at(CHAIN)

# What the entities of all sets begin with: when something happens next, NONE if nothing does.
ENTITY = record("due")
entity_at = at(ENTITY)

# Entity of a fixed grid: the records of its closed windows (a list of rows); windows before `open` (a number) are closed; on
# slices older than `finger` all are.
GRID = record("due block cap head n open finger")
grid_at = at(GRID)
GRID_RECORDS = 1  # where the list stands in it

# Entity of a rolling set: its last event, the time that its view is as of, the step in which that was queued; the stretch
# [low, high] of what moves along (empty: low > high); of the stretch [begin, end] that was asked for last the history's epoch, its
# first and last leaf and the joined cells of all leaves between them; where its view stands among the rows of this step. Behind it
# stand the places of what moves along.
ROLLING = record("due last as_of stamp low high epoch begin end left right middle row")
rolling_at = at(ROLLING)
ROLLING_WORDS = words_in(ROLLING)

# Entity of a set that keeps its events: its spans (sessions, or windows of a grid) and its emptied sessions, two lists of rows;
# how many events came late; of the last session that was frozen and let go [its first event, the ms behind its last one)
# (empty: there was none).
KEEPER = record("due block cap head n emptied emptied_cap emptied_head emptied_n lates gone_first gone_end")
keeper_at = at(KEEPER)
SPANS, EMPTIED = 1, 5  # where the lists stand in it

# A list of rows by rising key (see memory/rowlist.py): its block, for how many rows that has room, how many were dropped at the
# front, how many there are.
ROWLIST = record("block cap head n")
rowlist_at = at(ROWLIST)

# A row of a list: of a closed window its number, revision, how many values came late, what closed it, the step in which it was
# queued last.
CLOSED = record("key revision late cause stamp")
closed_at = at(CLOSED)
CLOSED_WORDS = words_in(CLOSED)
CLOSED_SAVED = 4  # of these go into a dump: all but when it was queued

# Or a span: the start of a session (or the number of a window), its last event, revision, state, late events in it, what closed
# it, the step in which it was queued last.
SPAN = record("key last revision state late cause stamp")
span_at = at(SPAN)
SPAN_WORDS = words_in(SPAN)
SPAN_SAVED = 6  # the same
EVER, FINAL = 1, 2  # bits of a state: it has been final; it is

# A slice [begin, end): the older and the newer one, which sets may read it, when all windows on it are frozen, the step in which it
# was queued last. Behind it stand its cells, then for each set of the group the number of the last window on it.
SLICE = record("next prev begin end mask dead stamp")
slice_at = at(SLICE)
SLICE_CELLS = words_in(SLICE)

# What is remembered of the slice of a group that was asked for last: [begin, end), when its first window closes, when all are
# frozen. Behind it stands the last window on it for each set.
MEMO = record("begin end safe dead")
memo_at = at(MEMO)
MEMO_LASTS = words_in(MEMO)

# A history: the next one of this key, the sets that it serves, the tree's root, first and last leaf, how many events, which
# documents brought them. epoch: a number of all histories, another one whenever more has changed than an event at the end.
# segments: what is saved of it apart, 0 if nothing is; until: the last time that is in there (see history/segments.py).
HISTORY = record("root first last n documents epoch segments until next mask")
history_at = at(HISTORY)
HISTORY_WORDS = words_in(HISTORY)

# What is saved of a history in segments: how many events have gone from its front since that was looked at, and a list of rows.
SEGMENTS = record("trimmed block cap head n")
segments_at = at(SEGMENTS)
SEGMENTS_WORDS = words_in(SEGMENTS)
SEGMENT_ROWS = 1  # where the list stands in it

# A segment, in the order of the history: the first time in it, its number, the last time, how many of its events are still in the
# history, how many of its first ones are not any more, whether it is as it was saved no longer, its checksum.
SEGMENT = record("first number last n skip dirty sum")
segment_at = at(SEGMENT)
SEGMENT_WORDS = words_in(SEGMENT)

# A node of a history: a leaf (level 0) holds columns of events, another one holds children and their lowest times. Its cells stand
# behind it, then its data.
NODE = record("level parent n cap dirty prev next")
node_at = at(NODE)
NODE_CELLS = words_in(NODE)
LEAF = 16  # events of a leaf, once it has grown
FAN = 16  # children of a node
TIMES, MASKS, FIELDS = 0, 1, 2  # columns of a leaf: times, which conditions hold, then the events' fields

# A cell of a number: how many, their sum as a pair (high, low), the least, the greatest.
NUMBER = record("n high low least most", high="f8", low="f8", least="f8", most="f8")
number_at = at(NUMBER)
NUMBER_WORDS = words_in(NUMBER)

# Head of a kind of rows of a result: where they begin, how many words fit, how many are written, how many must be free whenever a
# kernel begins with something. A set has two kinds: closed windows; or views and values of events; or windows and sessions, and
# what became of which of them: [slot, key, TOUCHED], or, of one whose document is removed, [slot, key, how many of the set's rows
# were written before]. Then slices that were touched, one kind a group, [slot, from, to]; keys that changed (their slots);
# windows that were revised, [set, slot, number].
OUT = record("at cap n spare")
out_at = at(OUT)
OUT_WORDS = words_in(OUT)
SPARE = 144  # rows of each kind that must be free, if no more: one ring closes 64 windows, and freezes 64
TOUCHED = -1

# A row of a window; its measures stand behind it.
ROW = record("slot number start end events revision late cause")
row_at = at(ROW)
ROW_WORDS = words_in(ROW)

# A row of a view; as_of is EMPTY where its values are asked for after the step, else they stand behind it.
VIEW = record("slot as_of expires")
view_at = at(VIEW)
VIEW_WORDS = words_in(VIEW)
