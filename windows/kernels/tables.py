"""The plan as kernels read it: tables of records in one array of words `P` (see compiled/records.py), laid by windows/plan.

A set, a group, a stream, a cell or a measure is known by its place in P. `(place, n)` says where n words, or rows, stand.
"""

from __future__ import annotations

from compiled.kernel import inlined
from compiled.records import at, record, words_in

# The head of P: tables and how many rows they have; the words of a key's root, one number a route; the heads of the results for
# keys that changed and for windows that were revised.
PLAN = record("streams groups sets ngroups nsets routes changed revised")
_plan_at = at(PLAN)


@inlined
def plan_of(P):  # type: ignore[no-untyped-def]
    """The head of a plan."""
    return _plan_at(P, 0)


# A stream, one (trigger, route): its conditions as operations (code, ncode), its groups.
STREAM = record("code ncode groups ngroups route")
stream_at = at(STREAM)

# A group: sets of one stream that share slices, or a history of events.
#   kind        of all its sets: GRID, ROLLING, SESSION or RETRACTED
#   chain       words from a key's root to its chain;  root_words: how many of the root are this group's
#   bits        its conditions (at most 63): lists of terms that must all hold;  wanted: which of them let an event in
#   cells       what its slices or nodes keep, cell_words in all;  data: words from a node to its data
#   period      slices come again with it, at these `edges`;  zone: where the clocks stand in Z, -1 for UTC
#   columns     of a history's events: a number's, or -1 - a value's, or RAW;  shown: which are shown as they are spelled
#   document    which column says who brought an event, 0 none
#   keep        how long a rolling set needs an event;  memo: where is remembered what is known of a slice
#   full        one bit for each of its sets;  alike: whether all its sets read the same rows;  touched: head of results
GROUP = record(
    "kind chain sets nsets bits nbits cells ncells cell_words period edges nedges zone columns ncolumns keep document full route"
    " index memo alike wanted touched data root_words shown"
)
group_at = at(GROUP)

# A set.
#   entity      words from a key's root to its entity;  member: which of its group's sets it is;  index: which of all
#   lateness    a window closes so long after its end;  hold: it is frozen so long after;  late: UPDATE, DEAD_LETTER or DROP
#   bit         its condition;  count: where in the cells its events are counted
#   size every offset zone span     of a grid; span: how many windows an event is in, 0 where that differs;  last: words from a
#               slice to the number of the last window on it
#   size closed current delay decay    of a rolling set; decay: its view is refreshed in such steps;  shared: whether others show
#               their values in the same view
#   gap max     of sessions
#   moving      what a rolling set keeps beside its history; of a set that keeps its events only how many (nmoving)
#   cells       those that its measures are made of;  out: head of its results;  width: words of one
SET = record(
    "group kind entity lateness hold late bit count size every offset zone measures nmeasures closed current delay decay moving"
    " nmoving shared gap max index member cells ncells span last width out"
)
set_at = at(SET)
GRID, ROLLING, SESSION, RETRACTED = 0, 1, 2, 3  # retracted: a grid whose values can be taken out
UPDATE, DEAD_LETTER, DROP = 0, 1, 2
RAW = 1 << 40  # the column of a kept event that is no field: how it came

# A cell, part of a measure that is kept in every slice and node: its type, whose condition, the column that it takes, where it
# stands among the cells.
CELL = record("type bit column at flags")
cell_at = at(CELL)
COUNT, NUMBER, FIRST, LAST, DISTINCT, QUANTILE, SQUARES = range(7)  # types
EXTREMES = 1  # flag of a cell of a number: the least and the greatest are kept
INLINE = 3  # values that a cell of distinct values holds itself: [how many, or the place of a block, values...]

# A measure: its function, condition, cells, the column of an event in a leaf, where its quantile stands in P, which of the things
# that move along has it (-1 none).
MEASURE = record("fn bit cell cell2 column q moving")
measure_at = at(MEASURE)
F_COUNT, F_SUM, F_MEAN, F_MIN, F_MAX, F_VAR, F_STD, F_DISTINCT, F_FIRST, F_LAST, F_QUANTILE, F_SHARE = range(12)

# What a rolling set keeps beside its history and moves along with its window: counts of values, or sorted numbers.
MOVING = record("kind bit column")
moving_at = at(MOVING)
COUNTS, SORTED = 0, 1

# Terms of a condition: a flag's register is true; it is known; a number's column is known; a value's is.
TRUE, KNOWN, HAS_NUMBER, HAS_VALUE = 0, 1, 2, 3

SET_WORDS, STREAM_WORDS, CELL_WORDS, MEASURE_WORDS, MOVING_WORDS = map(words_in, (SET, STREAM, CELL, MEASURE, MOVING))
