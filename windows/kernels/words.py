"""Where things stand: words of the plan `P` (what the window sets mean, laid flat once) and of the objects in the arena.

P is int64; `PX` is the same as float64, for constants. Tables are rows of so many words; a "list" in P is (place, length).
"""

from __future__ import annotations

# head of P
P_STREAMS, P_GROUPS, P_SETS = 0, 1, 2
P_NSTREAMS, P_NGROUPS, P_NSETS = 3, 4, 5
P_FEATURES = 6  # columns of features
P_ROUTES = 7  # words of a key's root, one number a route
P_CHANGED, P_REVISED = 8, 9  # heads of results
P_HEAD = 10

# a stream: one (trigger, route)
ST_CODE, ST_CODEN, ST_GROUPS, ST_NGROUPS, ST_ROUTE = 0, 1, 2, 3, 4
ST_WORDS = 6

# a group: sets of one stream that share slices, or a history of events
G_KIND, G_CHAIN, G_SETS, G_NSETS, G_BITS, G_NBITS, G_CELLS, G_NCELLS, G_CELLWORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
G_PERIOD, G_RES, G_NRES, G_ZONE = 9, 10, 11, 12
G_COLS, G_NCOLS, G_KEEP, G_RETRACT, G_FULL, G_ROUTE = 13, 14, 15, 16, 17, 18
G_INDEX, G_MEMO, G_ALIKE, G_WANT, G_TOUCHED = (
    19,
    20,
    21,
    22,
    23,
)  # number, what is remembered, whether all its sets read the same rows, which
G_DATA, G_ROOT = 24, 25  # words from a node to its data, words of a key's root that are this group's
G_WORDS = 26
SLICES, HISTORY, KEPT = 0, 1, 2  # kept: a history of events, and the spans of one set over it
RAW = 1 << 40  # the column of a kept event that is no field: how it came

# a set
S_GROUP, S_KIND, S_ENT, S_LAT, S_HOLD, S_LATE, S_BIT, S_CNT = 0, 1, 2, 3, 4, 5, 6, 7
S_SIZE, S_EVERY, S_OFF, S_ZONE, S_MEASURES, S_NMEASURES = 8, 9, 10, 11, 12, 13
S_CLOSED, S_CURRENT, S_DELAY, S_STEP, S_INC, S_NINC, S_FEATURE = 14, 15, 16, 17, 18, 19, 20
S_GAP, S_MAX, S_INDEX, S_RETRACT = 21, 22, 23, 24
S_J, S_CELLS, S_NCELLS, S_SPAN, S_WIDTH, S_OUT = (
    25,
    26,
    27,
    28,
    29,
    30,
)  # which of its group's sets; cells that its measures are made of
S_WORDS = 31
GRID, ROLLING, SESSION, TAKEN = 0, 1, 2, 3  # taken: a fixed grid whose values can be taken out
UPDATE, DEAD_LETTER, DROP = 0, 1, 2

# a cell: part of a measure that is kept in every slice and node
C_TYPE, C_BIT, C_COL, C_AT, C_FLAGS = 0, 1, 2, 3, 4
C_WORDS = 5
CNT, STATS, FIRST, LAST, DISTINCT, QUANT, SQUARED = 0, 1, 2, 3, 4, 5, 6
# a cell of a number: how many, their sum as a pair (high, low), least, greatest; the sum of its squares is a cell of its own
X_N, X_HIGH, X_LOW, X_MIN, X_MAX, X_WORDS = 0, 1, 2, 3, 4, 5
EXTREMES = 1  # flag of a cell of a number: the least and the greatest are kept
INLINE = 3  # values that a cell of distinct values holds itself: [how many or the place of a list or map, values...]

# a measure; words of cells in a node, the column of an event in a leaf, the place of what is kept incrementally
F_FN, F_BIT, F_CELL, F_CELL2, F_COL, F_Q, F_INC = 0, 1, 2, 3, 4, 5, 6
F_WORDS = 7
F_COUNT, F_TOTAL, F_MEAN, F_MIN, F_MAX, F_VAR, F_STD, F_DISTINCT, F_FIRST, F_LAST, F_QUANTILE, F_SHARE = range(12)

# what a rolling set keeps beside its history: (kind, bit, column of the event)
I_KIND, I_BIT, I_COL = 0, 1, 2
I_WORDS = 3
I_MAP, I_SORTED = 0, 1

# terms of a bit: (what, index)
B_TRUE, B_KNOWN, B_NUMBER, B_VALUE = 0, 1, 2, 3

# root of a key: [floor, changed in step, slot, route], then chains of groups, then entities of sets
R_FLOOR, R_CHANGED, R_SLOT, R_ROUTE, R_DATA = 0, 1, 2, 3, 4
# chain of a group: the newest and the oldest slice (or the history), when the group's timer rings, how many slices
CH_HEAD, CH_TAIL, CH_DUE, CH_N, CH_WORDS = 0, 1, 2, 3, 4

# entity of a set at a key. Grid: records of windows in a block, [key, ...] by rising key
E_DUE = 0  # when a timer rings, NONE if none does
E_RECORDS, E_CAP, E_HEAD, E_N = 1, 2, 3, 4
E_OPEN, E_FINGER = 5, 6  # grid: windows before this one (its number) are closed; on slices older than this one all are
E_LAST, E_ASOF, E_STAMP, E_LO, E_HI = 1, 2, 3, 4, 5
# rolling: of the stretch [from, to] that was asked for last its first and last leaf, and the joined cells of all between them
E_EPOCH, E_FROM, E_TO, E_LEFT, E_RIGHT, E_MIDDLE = 6, 7, 8, 9, 10, 11
E_ROW, E_INC = 12, 13  # where its view stands among the rows of this step
E_GRID_WORDS = 7
E_ROLLING_WORDS = 13  # and one for each thing kept incrementally

# a record of a closed window: number, revision, how many came late, what closed it, when it was last queued
W_KEY, W_REVISION, W_LATE, W_CAUSE, W_STAMP = 0, 1, 2, 3, 4
W_WORDS = 5

# a slice: next (older), previous (newer), [from, to), sets that may read it, all is frozen at, step of queueing, then its cells,
# then for each set of the group the number of the last window on it
L_NEXT, L_PREV, L_FROM, L_TO, L_MASK, L_DEAD, L_STAMP, L_CELLS = 0, 1, 2, 3, 4, 5, 6, 7

# a history: next history of this key, sets that it serves, root, first and last leaf, events
# epoch: a number of all histories, another one whenever more has changed than an event at the end
H_NEXT, H_MASK, H_ROOT, H_FIRST, H_LAST, H_N, H_DOCS, H_EPOCH, H_WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8

# a node of a history: a leaf (level 0) holds columns of events, another one holds children and their lowest times
N_LEVEL, N_PARENT, N_N, N_CAP, N_DIRTY, N_PREV, N_NEXT, N_CELLS = 0, 1, 2, 3, 4, 5, 6, 7
LEAF = 16
FAN = 16
V_T, V_MASK, V_EXTRA = 0, 1, 2  # columns of an event: time, bits, then its fields

# what is remembered of a group's slice that was asked for last: [from, to), safe, dead, then the last window on it for each set
MEMO_FROM, MEMO_TO, MEMO_SAFE, MEMO_DEAD, MEMO_LAST = 0, 1, 2, 3, 4

# a row of a result: slot, number, start, end, events, revision, late, what closed it, then measures
ROW_SLOT, ROW_NUMBER, ROW_START, ROW_END, ROW_EVENTS, ROW_REVISION, ROW_LATE, ROW_CAUSE, ROW_WORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# results: a head of four words each kind of row (where they begin, how many words fit, how many are written, how many must be free
# whenever a kernel begins with something), then the rows. A set has two kinds: closed windows; or views (their slots) and values of
# events; or windows and sessions, and what became of which of them: [slot, key, TOUCHED], or, of one whose document is removed,
# [slot, key, how many of the set's rows were written before]. Then slices that were touched, one kind a group, [slot, from, to];
# keys that changed (their slots); windows that were revised, [set, slot, number]
VIEW_SLOT, VIEW_ASOF, VIEW_EXPIRES, VIEW_WORDS = 0, 1, 2, 3  # a view: as_of EMPTY where it is asked for after the step
OUT_AT, OUT_CAP, OUT_N, OUT_SPARE, OUT_WORDS = 0, 1, 2, 3, 4
SPARE = 80  # rows of each kind that must be free, if no more
TOUCHED = -1

# entity of a set that keeps its events: spans (sessions, or windows of a grid), emptied sessions, late events held
E_SPANS, E_EMPTIED, E_LATES = 1, 5, 9
E_KEPT_WORDS = 10

# a list of spans by rising key: its block, room, how many were dropped at the front, how many there are
J_BLOCK, J_CAP, J_HEAD, J_N = 0, 1, 2, 3

# a span: the start of a session (or number of a window), its last event, revision, state, late events in it, what closed it, when
# it was last queued
K_KEY, K_LAST, K_REVISION, K_STATE, K_LATE, K_CAUSE, K_STAMP = 0, 1, 2, 3, 4, 5, 6
K_WORDS = 7
EVER, FINAL = 1, 2  # bits of a state: it has been final; it is

NONE = (1 << 63) - 1  # no timer
LONG_AGO = -(1 << 61)
