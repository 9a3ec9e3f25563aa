"""What becomes of each row that was read in place, as far as the row itself can tell: no Python object a row.

A row is put in, a heartbeat, ignored, or odd: an odd one is read again, one by one, which alone says why. Where Python looks at
rows too, it does so between `judge` and `settle`.
"""

from __future__ import annotations

from typing import NamedTuple

from compiled.kernel import inlined, kernel
from consumer.intake.batch import CONTROL, IGNORED, NONE
from consumer.intake.records import UNKNOWN
from contract.times import MAX_MS, MIN_MS
from reading.envelope import EVENT, HEARTBEAT
from reading.kernels import Bytes, Halves, Ints, Shorts
from reading.rows import SMALL_HAS, SMALL_KIND, SMALL_OP, WORDS_AT, WORDS_CLUSTER, WORDS_ID, WORDS_ID_END
from windows.engine import BY_EVENT, BY_HEARTBEAT, CHANGE, NEVER, TIME, VOID
from windows.law.lives import event_mark, heartbeat_mark

NOT, PUTS, MUST = 0, 1, 2  # what an operation does with the document it has; MUST: without one it is no event of ours
PASSED, PUT, ODD = 0, 1, 2  # fates of rows
KIND, CAUSE, VERDICT, PUTS_IN, TAKES_OUT, NARROW = range(6)  # rows of Made.narrow
PAIR, STREAM, SHORT = range(3)  # rows of Made.short
MARK, AT, OLD_AT, WIDE = range(4)  # rows of Made.wide
mark_of_event, mark_of_heartbeat = inlined(event_mark), inlined(heartbeat_mark)


class Found(NamedTuple):
    """What the scanner read: small (.., n) and words (.., n) as in reading/rows.py, pair and key (n,). arrived: (n,) ms, UNKNOWN
    where nobody knows."""

    small: Bytes
    words: Ints
    pair: Shorts
    key: Halves
    arrived: Ints


class Rules(NamedTuple):
    """How a stream's times count, ms. asks: for each pair and operation NOT, PUTS or MUST; number: each pair's window stream. The
    last of both are for no pair."""

    max_future: int
    out_of_order: int
    settle: int
    asks: Bytes
    number: Shorts


class Made(NamedTuple):
    """Rows as the engine takes them, where they are written to: narrow (NARROW, n), short (SHORT, n), wide (WIDE, n), key (n,)."""

    narrow: Bytes
    short: Shorts
    wide: Ints
    key: Halves


@kernel
def judge(found: Found, rules: Rules, fate: Bytes) -> None:
    """The fate of each row."""
    for row in range(fate.size):
        kind, came = found.small[SMALL_KIND, row], found.arrived[row]
        at, cluster = found.words[WORDS_AT, row], found.words[WORDS_CLUSTER, row]
        fate[row] = PASSED
        if kind == EVENT:
            asked = rules.asks[found.pair[row], found.small[SMALL_OP, row]]
            if found.small[SMALL_HAS, row] == 0:
                fate[row] = ODD if asked == MUST else PASSED
            elif asked != NOT:
                ours = found.words[WORDS_ID, row] < found.words[WORDS_ID_END, row]
                ahead = (ours or came != UNKNOWN) and at - rules.max_future > (cluster if came == UNKNOWN else came)
                fate[row] = ODD if ahead or cluster < MIN_MS or cluster > MAX_MS else PUT
        elif kind == HEARTBEAT:
            if cluster < MIN_MS or cluster > MAX_MS or (came != UNKNOWN and cluster - rules.max_future > came):
                fate[row] = ODD
        else:
            fate[row] = ODD


@kernel
def judge_and_settle(found: Found, rules: Rules, fate: Bytes, order: Ints, place: Halves, made: Made) -> tuple[int, int]:
    """Both at once: a call of a kernel costs as much as a hundred rows."""
    judge(found, rules, fate)
    return settle(found, rules, fate, order, place, made)


@kernel
def settle(found: Found, rules: Rules, fate: Bytes, order: Ints, place: Halves, made: Made) -> tuple[int, int]:
    """Rows as the engine takes them; odd ones are VOID. Of the keys, whose codes are in `order`, those that are put in get the
    places 0, 1, 2 .. in their order, their codes come to the front. Gives how many, and how many rows are odd. place: ours."""
    n, keys, odd = fate.size, 0, 0
    for i in range(order.size):
        place[i] = -1
    for row in range(n):
        if fate[row] == PUT:
            place[found.key[row]] = 0
    for i in range(order.size):
        if place[i] == 0:
            place[i] = keys
            order[keys] = order[i]
            keys += 1
    for row in range(n):
        odd += fate[row] == ODD
        made.narrow[KIND, row], made.narrow[CAUSE, row], made.narrow[VERDICT, row] = VOID, BY_EVENT, IGNORED
        made.narrow[PUTS_IN, row], made.narrow[TAKES_OUT, row] = fate[row] == PUT, False
        made.wide[MARK, row], made.wide[AT, row], made.wide[OLD_AT, row] = NEVER, 0, 0
        made.short[PAIR, row], made.short[STREAM, row], made.key[row] = -1, -1, -1
        at, cluster, came = found.words[WORDS_AT, row], found.words[WORDS_CLUSTER, row], found.arrived[row]
        if fate[row] == PUT:
            # an event of ours has an id; of when a bare document was written only its arrival tells
            ours = found.words[WORDS_ID, row] < found.words[WORDS_ID_END, row]
            written = cluster if ours else at if came == UNKNOWN else came
            made.narrow[KIND, row], made.narrow[VERDICT, row] = CHANGE, NONE
            made.wide[MARK, row], made.wide[AT, row] = mark_of_event(at, written, rules.out_of_order), at
            made.short[PAIR, row], made.short[STREAM, row] = found.pair[row], rules.number[found.pair[row]]
            made.key[row] = place[found.key[row]]
        elif fate[row] == PASSED and found.small[SMALL_KIND, row] == HEARTBEAT:
            made.narrow[KIND, row], made.narrow[CAUSE, row], made.narrow[VERDICT, row] = TIME, BY_HEARTBEAT, CONTROL
            made.wide[MARK, row] = mark_of_heartbeat(cluster, rules.settle)
    return keys, odd
