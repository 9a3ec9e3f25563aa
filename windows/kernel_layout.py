"""Where things stand: words of the plan `P` (what the window sets mean, laid flat once) and of the objects in the arena.

P is int64; `PX` is the same as float64, for constants. Tables are rows of so many words; a "list" in P is (place, length).
"""

from __future__ import annotations

# head of P
P_STREAMS, P_GROUPS, P_SETS = 0, 1, 2
P_NSTREAMS, P_NGROUPS, P_NSETS = 3, 4, 5
P_FEATURES = 6  # columns of features
P_HOLD = 7  # the shortest time for which a window of a fixed grid is held after its end
P_HEAD = 8

# a stream: one (trigger, route)
ST_CODE, ST_CODEN, ST_GROUPS, ST_NGROUPS, ST_ROOT = 0, 1, 2, 3, 4
ST_WORDS = 6

# a group: sets of one stream that share slices, or a history of events
G_KIND, G_CHAIN, G_SETS, G_NSETS, G_BITS, G_NBITS, G_CELLS, G_NCELLS, G_CELLWORDS = 0, 1, 2, 3, 4, 5, 6, 7, 8
G_PERIOD, G_RES, G_NRES, G_ZONE = 9, 10, 11, 12
G_COLS, G_NCOLS, G_KEEP, G_RETRACT, G_FULL, G_ROUTE = 13, 14, 15, 16, 17, 18
G_WORDS = 20
SLICES, HISTORY = 0, 1

# a set
S_GROUP, S_KIND, S_ENT, S_LAT, S_HOLD, S_LATE, S_BIT, S_CNT = 0, 1, 2, 3, 4, 5, 6, 7
S_SIZE, S_EVERY, S_OFF, S_ZONE, S_MEASURES, S_NMEASURES = 8, 9, 10, 11, 12, 13
S_CLOSED, S_CURRENT, S_DELAY, S_STEP, S_INC, S_NINC, S_FEATURE = 14, 15, 16, 17, 18, 19, 20
S_GAP, S_MAX, S_INDEX, S_RETRACT = 21, 22, 23, 24
S_WORDS = 26
GRID, ROLLING, SESSION = 0, 1, 2
UPDATE, DEAD_LETTER, DROP = 0, 1, 2

# a cell: part of a measure that is kept in every slice and node
C_TYPE, C_BIT, C_COL, C_AT, C_CNT, C_SUM = 0, 1, 2, 3, 4, 5
C_WORDS = 6
CNT, SUM, M2, MIN, MAX, FIRST, LAST, DISTINCT, QUANT = 0, 1, 2, 3, 4, 5, 6, 7, 8
INLINE = 3  # values that a cell of distinct values holds itself: [how many or the place of a list or map, values...]

# a measure; words of cells in a node, the column of an event in a leaf, the place of what is kept incrementally
F_FN, F_BIT, F_BIT2, F_CNT, F_CNT2, F_SUM, F_CELL, F_COL, F_Q, F_INC = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9
F_WORDS = 10
F_COUNT, F_TOTAL, F_MEAN, F_MIN, F_MAX, F_VAR, F_STD, F_DISTINCT, F_FIRST, F_LAST, F_QUANTILE, F_SHARE = range(12)

# what a rolling set keeps beside its history: (kind, bit, column of the event)
I_KIND, I_BIT, I_COL = 0, 1, 2
I_WORDS = 3
I_MAP, I_SORTED = 0, 1

# terms of a bit: (what, index)
B_TRUE, B_KNOWN, B_NUMBER, B_VALUE = 0, 1, 2, 3

# root of a key: [floor, generation, changed in step, slot, route, place in the order of keys], then chains of groups (two words),
# then entities of sets
R_FLOOR, R_GENERATION, R_CHANGED, R_SLOT, R_ROUTE, R_ORDER, R_DATA = 0, 1, 2, 3, 4, 5, 6

# entity of a set at a key. Grid and session: records of windows in a block, [key, ...] by rising key
E_DUE = 0  # when a timer rings, NONE if none does
E_RECORDS, E_CAP, E_HEAD, E_N = 1, 2, 3, 4
E_OPEN, E_FINGER = 5, 6  # grid: windows before this one (its number) are closed; on slices older than this one all are
E_LAST, E_ASOF, E_STAMP, E_LO, E_HI, E_INC = 1, 2, 3, 4, 5, 6
E_GRID_WORDS = 7
E_ROLLING_WORDS = 6  # and one for each thing kept incrementally

# a record of a closed window: number, revision, how many came late, what closed it, when it was last queued
W_KEY, W_REVISION, W_LATE, W_CAUSE, W_STAMP = 0, 1, 2, 3, 4
W_WORDS = 5

# a slice: next (older), previous (newer), [from, to), sets that may read it, no set is late before, all is frozen at, step of
# queueing
L_NEXT, L_PREV, L_FROM, L_TO, L_MASK, L_SAFE, L_DEAD, L_STAMP, L_CELLS = 0, 1, 2, 3, 4, 5, 6, 7, 8

# a history: next history of this key, sets that it serves, root, first and last leaf, events
H_NEXT, H_MASK, H_ROOT, H_FIRST, H_LAST, H_N, H_DOCS, H_WORDS = 0, 1, 2, 3, 4, 5, 6, 8

# a node of a history: a leaf (level 0) holds columns of events, another one holds children and their lowest times
N_LEVEL, N_PARENT, N_N, N_CAP, N_DIRTY, N_PREV, N_NEXT, N_CELLS = 0, 1, 2, 3, 4, 5, 6, 7
LEAF = 32
FAN = 16
V_T, V_MASK, V_EXTRA = 0, 1, 2  # columns of an event: time, bits, then its fields

NONE = (1 << 63) - 1  # no timer
LONG_AGO = -(1 << 61)
