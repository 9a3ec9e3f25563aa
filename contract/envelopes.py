"""Records read in place into columns: bare documents, and events in our envelope (contract/event.py).

A row that is anything but plain (another version, a pre-image, a document in front of its trigger, what contract/fields.py leaves)
stays ODD, and is for the general decoder. As in contract/scan.py places are addresses and NO says "not mine".
"""

from __future__ import annotations

from contract.documents import FAR, WHOLE, number, skip, spaces, word
from contract.fields import (
    AT,
    BARE,
    CLUSTER,
    DOC,
    DOC_END,
    DOCUMENT,
    FIXED,
    HAS,
    ID,
    ID_END,
    KEY,
    KEYS,
    KIND,
    LONGEST,
    NAMES,
    OP,
    PAIR,
    PAIRS,
    PAIRS_N,
    RAW_KEY,
    RAW_KEY_END,
    ROUTE,
    ROUTE_END,
    TRIGGER,
    TRIGGER_END,
    column,
    document,
    fix,
    member,
    which_name,
)  # fmt: skip
from contract.interned import code
from contract.scan import ESCAPED, NO, NULL, Ints, get8, kernel, load1, same, set8, text
from contract.times import MAX_MS, MIN_MS

ODD, EVENT, HEARTBEAT = 0, 1, 2  # kind of a row

# The names of an envelope come first in the plan, then the words that its fields may hold
ENVELOPE = b"kind v id trigger route op key at cluster doc_id document before origin".split()
E_KIND, E_V, E_ID, E_TRIGGER, E_ROUTE, E_OP, E_KEY, E_AT, E_CLUSTER, E_DOC, E_DOCUMENT, E_BEFORE, E_ORIGIN = range(13)
WORDS = b"insert update replace delete change heartbeat stream backfill".split()
W_OPS, W_KINDS, W_ORIGINS, W_END = 13, 17, 19, 21
CHANGE_NEEDS = (1 << E_DOC + 1) - 1  # all but document, before and origin
BEAT_HAS = 1 << E_KIND | 1 << E_V | 1 << E_CLUSTER  # these and no others
P_TRIGGER, P_TRIGGER_N, P_ROUTE, P_ROUTE_N, P_FIRST, P_LAST, P_KEYS, P_SIZE = range(8)  # of a (trigger, route) in the plan


@kernel
def read_rows(begin: int, places: Ints, box: int) -> None:
    """Every record of a batch that begins at an address; places are the records' own within it, a newline behind each."""
    for row in range(places.size - 1):
        p = begin + places[row]
        q = bare(p, box, row) if get8(box + 8 * BARE) >= 0 else envelope(p, box, row)
        if q != begin + places[row + 1] - 1:
            fix(box, KIND, row, ODD)


@kernel
def bare(p: int, box: int, row: int) -> int:
    """The place after a bare document, which must have its key and its time."""
    pair = get8(box + 8 * PAIRS) + 8 * P_SIZE * get8(box + 8 * BARE)
    set8(box + 8 * KEYS, get8(pair + 8 * P_KEYS))
    q = document(p, get8(pair + 8 * P_FIRST), get8(pair + 8 * P_LAST), box, row)
    fix(box, KIND, row, EVENT)
    fix(box, PAIR, row, get8(box + 8 * BARE))
    fix(box, HAS, row, DOCUMENT)
    there = get8(column(box, FIXED, KEY, row)) >= 0 and get8(column(box, FIXED, AT, row)) != NULL
    return q if there else NO


@kernel
def envelope(p: int, box: int, row: int) -> int:
    """The place after an envelope of our version."""
    seen, found = 0, NO
    if load1(p) != 123:
        return NO
    p = spaces(p + 1)
    while True:
        p, found = member(p, get8(box + 8 * NAMES), 0, E_ORIGIN + 1, found + 1)  # ours are in that order
        if p < 0 or (seen & (1 << max(found, 0)) and found >= 0):
            return NO
        if found < 0:
            p = skip(p)
        else:
            p = enveloped(p, found, seen, box, row)
            seen |= 1 << found
        if p < 0:
            return NO
        p = spaces(p)
        if load1(p) == 125:
            break
        if load1(p) != 44:
            return NO
        p = spaces(p + 1)
    if get8(column(box, FIXED, KIND, row)) == HEARTBEAT:
        return p + 1 if seen == BEAT_HAS else NO
    if seen & CHANGE_NEEDS != CHANGE_NEEDS:
        return NO
    return p + 1 if keyed(box, row) else NO


@kernel
def enveloped(p: int, field: int, seen: int, box: int, row: int) -> int:
    """The place after the value of one of the envelope's own fields."""
    if load1(p) == 34 and field != E_KEY and field != E_DOC:
        return said(p, field, box, row)
    if field in (E_V, E_AT, E_CLUSTER):
        return counted(p, field, box, row)
    if field in (E_KEY, E_DOC):
        q = skip(p)
        if field == E_KEY:
            set8(box + 8 * RAW_KEY, p)
            set8(box + 8 * RAW_KEY_END, q)
        else:
            fix(box, DOC, row, p)
            fix(box, DOC_END, row, q)
        return q
    if field == E_DOCUMENT and load1(p) == 123:
        known = 1 << E_TRIGGER | 1 << E_ROUTE
        pair = paired(box) if seen & known == known else NO
        if pair < 0:
            return NO
        fix(box, HAS, row, DOCUMENT)
        entry = get8(box + 8 * PAIRS) + 8 * P_SIZE * pair
        return document(p, get8(entry + 8 * P_FIRST), get8(entry + 8 * P_LAST), box, row)
    if field in (E_DOCUMENT, E_BEFORE):
        q, value = word(p)
        return q if value < 0 else NO
    return NO


@kernel
def said(p: int, field: int, box: int, row: int) -> int:
    """A field of the envelope that is a text: one of a few words, or the id, trigger or route."""
    p += 1
    q, odd = text(p, p + FAR)
    if q < 0 or odd & ESCAPED:
        return NO
    names = get8(box + 8 * NAMES)
    good = True
    if field == E_KIND:
        kind = which_name(names, p, q - p, W_KINDS, W_ORIGINS, NO)
        fix(box, KIND, row, kind - W_KINDS + EVENT)
        good = kind >= 0
    elif field == E_OP:
        op = which_name(names, p, q - p, W_OPS, W_KINDS, NO)
        fix(box, OP, row, op - W_OPS)
        good = op >= 0
    elif field == E_ID:
        fix(box, ID, row, p)
        fix(box, ID_END, row, q)
    elif field == E_ORIGIN:
        good = which_name(names, p, q - p, W_ORIGINS, W_END, NO) >= 0
    else:
        at = TRIGGER if field == E_TRIGGER else ROUTE
        good = field in (E_TRIGGER, E_ROUTE)
        set8(box + 8 * at, p)
        set8(box + 8 * at + 8, q)
    return q + 1 if good else NO


@kernel
def counted(p: int, field: int, box: int, row: int) -> int:
    """A field of the envelope that is a whole number."""
    q, value, form = number(p)
    if q < 0 or form != WHOLE or (field == E_V and value != 1):
        return NO
    if field == E_AT and not MIN_MS <= value <= MAX_MS:
        return NO
    if field != E_V:
        fix(box, AT if field == E_AT else CLUSTER, row, int(value))
    return q


@kernel
def paired(box: int) -> int:
    """The (trigger, route) of the envelope at hand; NO if the plan has it not."""
    trigger, route = get8(box + 8 * TRIGGER), get8(box + 8 * ROUTE)
    for pair in range(get8(box + 8 * PAIRS_N)):
        entry = get8(box + 8 * PAIRS) + 8 * P_SIZE * pair
        a, b = get8(entry + 8 * P_TRIGGER_N), get8(entry + 8 * P_ROUTE_N)
        if a != get8(box + 8 * TRIGGER_END) - trigger or b != get8(box + 8 * ROUTE_END) - route:
            continue
        if same(get8(entry + 8 * P_TRIGGER), trigger, a) and same(get8(entry + 8 * P_ROUTE), route, b):
            return pair
    return NO


@kernel
def keyed(box: int, row: int) -> bool:
    """Whether the envelope at hand has a (trigger, route) of the plan; its key gets a code."""
    pair = paired(box)
    length = get8(box + 8 * RAW_KEY_END) - get8(box + 8 * RAW_KEY)
    if pair < 0 or length > LONGEST:
        return False
    fix(box, PAIR, row, pair)
    entry = get8(box + 8 * PAIRS) + 8 * P_SIZE * pair
    fix(box, KEY, row, code(get8(entry + 8 * P_KEYS), get8(box + 8 * RAW_KEY), length))
    return True
