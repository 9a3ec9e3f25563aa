"""Records read in place into columns: bare documents, and events in our envelope (contract/event.py).

A row that is anything but plain (another version, a pre-image, a document in front of its trigger, what reading/fields.py leaves)
stays ODD, and is for the general decoder. As in reading/kernels.py places are addresses and NO says "not mine".
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from contract.times import MAX_MS, MIN_MS
from reading.documents import ESCAPED, FAR, WHOLE, number, same, skip, text, word
from reading.fields import (
    AT,
    BARE,
    CELLS,
    CLUSTER,
    DOC,
    DOC_END,
    DOCUMENT,
    END,
    HAS,
    ID,
    ID_END,
    KEY,
    KEYS,
    KIND,
    LAYOUT,
    LONGEST,
    NAMES,
    OP,
    P_ROUTE,
    P_ROUTE_N,
    P_SIZE,
    P_TAG,
    P_TRIGGER,
    P_TRIGGER_N,
    PAIR,
    PAIRS,
    PAIRS_N,
    RAW_KEY,
    RAW_KEY_END,
    ROUTE,
    ROUTE_END,
    TRIGGER,
    TRIGGER_END,
    document,
    fix,
    member,
    which_name,
)
from reading.kernels import NO, NULL, get8, load1, set8
from reading.spellings import code

ODD, EVENT, HEARTBEAT = 0, 1, 2  # kind of a row

# The names of an envelope come first in the plan, then the words that its fields may hold
ENVELOPE = b"kind v id trigger route op key at cluster doc_id document before origin".split()
E_KIND, E_V, E_ID, E_TRIGGER, E_ROUTE, E_OP, E_KEY, E_AT, E_CLUSTER, E_DOC, E_DOCUMENT, E_BEFORE, E_ORIGIN = range(13)
WORDS = b"insert update replace delete change heartbeat stream backfill".split()
W_OPS, W_KINDS, W_ORIGINS, W_END = 13, 17, 19, 21
CHANGE_NEEDS = (1 << E_DOC + 1) - 1  # all but document, before and origin
BEAT_HAS = 1 << E_KIND | 1 << E_V | 1 << E_CLUSTER  # these and no others


@kernel
def bare(p: int, box: int) -> int:
    """The place after a bare document, which must have its key and its time."""
    pair = get8(box + 8 * BARE)
    q = document(p, get8(box + 8 * PAIRS) + 8 * P_SIZE * pair, box)
    fix(box, KIND, EVENT)
    fix(box, PAIR, pair)
    fix(box, HAS, DOCUMENT)
    there = get8(box + 8 * (CELLS + KEY)) >= 0 and get8(box + 8 * (CELLS + AT)) != NULL
    return q if there else NO


@kernel
def envelope(p: int, box: int) -> int:
    """The place after an envelope of our version."""
    names, layout, seen, i = get8(box + 8 * NAMES), get8(box + 8 * LAYOUT), 0, 0
    if load1(p) != 123:
        return NO
    while True:
        p, found = member(p, i, layout, names, 0, E_ORIGIN + 1)
        if p < 0:
            return NO
        if found == END:
            break
        if found < 0:
            p = skip(p)
        elif seen & (1 << found):
            return NO
        else:
            p = enveloped(p, found, seen, box)
            seen |= 1 << found
        if p < 0:
            return NO
        i += 1
    if get8(box + 8 * (CELLS + KIND)) == HEARTBEAT:
        return p if seen == BEAT_HAS else NO
    if seen & CHANGE_NEEDS != CHANGE_NEEDS:
        return NO
    return p if keyed(box) else NO


@inlined
def enveloped(p: int, field: int, seen: int, box: int) -> int:
    """The place after the value of one of the envelope's own fields."""
    if load1(p) == 34 and field != E_KEY and field != E_DOC:
        return said(p, field, box)
    if field in (E_V, E_AT, E_CLUSTER):
        return counted(p, field, box)
    if field in (E_KEY, E_DOC):
        q = skip(p)
        if field == E_KEY:
            set8(box + 8 * RAW_KEY, p)
            set8(box + 8 * RAW_KEY_END, q)
        else:
            fix(box, DOC, p)
            fix(box, DOC_END, q)
        return q
    if field == E_DOCUMENT and load1(p) == 123:
        known = 1 << E_TRIGGER | 1 << E_ROUTE
        pair = paired(box) if seen & known == known else NO
        if pair < 0:
            return NO
        fix(box, HAS, DOCUMENT)
        fix(box, PAIR, pair)
        return document(p, get8(box + 8 * PAIRS) + 8 * P_SIZE * pair, box)
    if field in (E_DOCUMENT, E_BEFORE):
        q, value = word(p)
        return q if value < 0 else NO
    return NO


@inlined
def said(p: int, field: int, box: int) -> int:
    """A field of the envelope that is a text: one of a few words, or the id, trigger or route."""
    p += 1
    q, odd = text(p, p + FAR)
    if q < 0 or odd & ESCAPED:
        return NO
    names = get8(box + 8 * NAMES)
    good = True
    if field == E_KIND:
        kind = which_name(names, p, q - p, W_KINDS, W_ORIGINS)
        fix(box, KIND, kind - W_KINDS + EVENT)
        good = kind >= 0
    elif field == E_OP:
        op = which_name(names, p, q - p, W_OPS, W_KINDS)
        fix(box, OP, op - W_OPS)
        good = op >= 0
    elif field == E_ID:
        fix(box, ID, p)
        fix(box, ID_END, q)
    elif field == E_ORIGIN:
        good = which_name(names, p, q - p, W_ORIGINS, W_END) >= 0
    else:
        at = TRIGGER if field == E_TRIGGER else ROUTE
        good = field in (E_TRIGGER, E_ROUTE)
        set8(box + 8 * at, p)
        set8(box + 8 * at + 8, q)
    return q + 1 if good else NO


@inlined
def counted(p: int, field: int, box: int) -> int:
    """A field of the envelope that is a whole number."""
    q, value, form = number(p)
    if q < 0 or form != WHOLE or (field == E_V and value != 1):
        return NO
    if field == E_AT and not MIN_MS <= value <= MAX_MS:
        return NO
    if field != E_V:
        fix(box, AT if field == E_AT else CLUSTER, int(value))
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
def keyed(box: int) -> bool:
    """Whether the envelope at hand has a (trigger, route) of the plan; its key gets a code."""
    known = get8(box + 8 * (CELLS + PAIR))
    pair = known if known >= 0 else paired(box)
    length = get8(box + 8 * RAW_KEY_END) - get8(box + 8 * RAW_KEY)
    if pair < 0 or length > LONGEST:
        return False
    fix(box, PAIR, pair)
    entry = get8(box + 8 * PAIRS) + 8 * P_SIZE * pair
    fix(box, KEY, code(get8(box + 8 * KEYS), get8(box + 8 * RAW_KEY), length, get8(entry + 8 * P_TAG)))
    return True
