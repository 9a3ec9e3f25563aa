"""The fields of a document read in place, by a plan of the names that matter, into columns.

A row that is anything but plain (a needed name or text with escapes, a type that a field may not have, a path into a field) is not
read at all. As in contract/scan.py places are addresses and NO says "not mine".
"""

from __future__ import annotations

from contract.documents import FAR, WHOLE, iso, number, skip, spaces, word
from contract.documents import ODD as UNREAD
from contract.interned import code
from contract.scan import ESCAPED, NO, get8, kernel, load1, same, set8, setf, text
from contract.times import MAX_MS, MIN_MS

# The box: all that a run over a batch works with, 8 bytes each. Columns lie STRIDE rows apart.
STRIDE, KEYS, VALUES, LATER, LATER_N, NAMES, PAIRS, PAIRS_N, NUMBER, FLAG, VALUE, FIXED, BARE = range(13)
TRIGGER, TRIGGER_END, ROUTE, ROUTE_END, RAW_KEY, RAW_KEY_END, BOX = range(13, 20)  # of the envelope at hand
KIND, PAIR, OP, KEY, AT, CLUSTER, HAS, ID, ID_END, DOC, DOC_END, COLUMNS = range(12)  # the FIXED columns
DOCUMENT = 1  # bit of HAS
LENGTH, PLACE, NUMBER_AT, FLAG_AT, VALUE_AT, ROLES, NAME = range(7)  # of a name in the plan; *_AT: its columns, -1 for none
IS_KEY, IS_TIME, IS_ID, IS_DEEP = 1, 2, 4, 8  # ROLES, in a bare document
LONGEST = 128  # bytes of a spelling that gets a code
DATE = 0x226574616424227B  # {"$date"


@kernel
def column(box: int, base: int, which: int, row: int) -> int:
    """Where a row's value of a column lies."""
    return get8(box + 8 * base) + 8 * (which * get8(box + 8 * STRIDE) + row)


@kernel
def fix(box: int, which: int, row: int, value: int) -> None:
    """A value of a FIXED column."""
    set8(column(box, FIXED, which, row), value)


@kernel
def later(box: int, row: int, which: int, p: int, q: int) -> None:
    """Notes a number that Python is to read."""
    n = get8(box + 8 * LATER_N)
    to = get8(box + 8 * LATER) + 32 * n
    set8(to, row)
    set8(to + 8, which)
    set8(to + 16, p)
    set8(to + 24, q)
    set8(box + 8 * LATER_N, n + 1)


@kernel
def which_name(names: int, p: int, length: int, first: int, last: int, guess: int) -> int:
    """The name of the plan, in a range of it, that stands at p; NO for any other. guess: which to try first."""
    if first <= guess < last:
        entry = names + 8 * NAME * guess
        if get8(entry) == length and same(get8(entry + 8 * PLACE), p, length):
            return guess
    for i in range(first, last):
        entry = names + 8 * NAME * i
        if get8(entry) == length and same(get8(entry + 8 * PLACE), p, length):
            return i
    return NO


@kernel
def member(p: int, names: int, first: int, last: int, guess: int) -> tuple[int, int]:
    """(place of the value, name in the plan or NO) of the member of an object at p."""
    if load1(p) != 34:
        return NO, NO
    q, odd = text(p + 1, p + FAR)
    if q < 0 or odd & ESCAPED:
        return NO, NO
    found = which_name(names, p + 1, q - p - 1, first, last, guess)
    q = spaces(q + 1)
    return (spaces(q + 1) if load1(q) == 58 else NO), found


@kernel
def document(p: int, first: int, last: int, box: int, row: int) -> int:
    """The place after the object at p; the fields in a range of the plan's names go to their columns."""
    names, seen = get8(box + 8 * NAMES), 0
    if load1(p) != 123:
        return NO
    p = spaces(p + 1)
    if load1(p) == 125:
        return p + 1
    while True:
        p, found = member(p, names, first, last, NO)
        if p < 0:
            return NO
        if found < 0:
            p = skip(p)
        else:
            bit = 1 << (found - first)
            if seen & bit:
                return NO
            seen |= bit
            p = taken(p, names + 8 * NAME * found, box, row)
        if p < 0:
            return NO
        p = spaces(p)
        if load1(p) == 125:
            return p + 1
        if load1(p) != 44:
            return NO
        p = spaces(p + 1)


@kernel
def taken(p: int, name: int, box: int, row: int) -> int:
    """The place after a field's value at p, which goes to the columns that its name has in the plan."""
    c = load1(p)
    if get8(name + 8 * ROLES) & IS_DEEP:
        return NO
    if c == 34:
        return taken_text(p, name, box, row)
    if c == 45 or 48 <= c <= 57:
        return taken_number(p, name, box, row)
    if c == 123 or c == 91:
        return taken_nested(p, name, box, row)
    return taken_word(p, name, box, row)


@kernel
def spelled(p: int, q: int, name: int, box: int, row: int) -> int:
    """What a value's spelling is needed for: a value's or a key's code, the document's id. Gives q."""
    value_at, roles = get8(name + 8 * VALUE_AT), get8(name + 8 * ROLES)
    if (value_at >= 0 or roles & IS_KEY) and q - p > LONGEST:
        return NO
    if value_at >= 0:
        set8(column(box, VALUE, value_at, row), code(get8(box + 8 * VALUES), p, q - p))
    if roles & IS_KEY:
        fix(box, KEY, row, code(get8(box + 8 * KEYS), p, q - p))
    if roles & IS_ID:
        fix(box, DOC, row, p)
        fix(box, DOC_END, row, q)
    return q


@kernel
def taken_text(p: int, name: int, box: int, row: int) -> int:
    """A text: a value, a key, an id, or a time."""
    q, odd = text(p + 1, p + FAR)
    if q < 0 or odd & ESCAPED or get8(name + 8 * NUMBER_AT) >= 0 or get8(name + 8 * FLAG_AT) >= 0:
        return NO
    if get8(name + 8 * ROLES) & IS_TIME:
        after, ms = iso(p + 1)
        if after != q + 1:
            return NO
        fix(box, AT, row, ms)
    return spelled(p, q + 1, name, box, row)


@kernel
def taken_number(p: int, name: int, box: int, row: int) -> int:
    """A number, which may be a time too."""
    q, value, form = number(p)
    roles = get8(name + 8 * ROLES)
    if q < 0 or get8(name + 8 * FLAG_AT) >= 0 or (roles & IS_ID and form == UNREAD):
        return NO
    number_at = get8(name + 8 * NUMBER_AT)
    if number_at >= 0:
        if form == UNREAD:
            later(box, row, number_at, p, q)
        else:
            setf(column(box, NUMBER, number_at, row), value)
    if roles & IS_TIME:
        if form != WHOLE or not MIN_MS <= value <= MAX_MS:
            return NO
        fix(box, AT, row, int(value))
    return spelled(p, q, name, box, row)


@kernel
def taken_word(p: int, name: int, box: int, row: int) -> int:
    """true, false, or null, which is as good as missing."""
    q, value = word(p)
    if q < 0 or get8(name + 8 * ROLES) & IS_TIME:
        return NO
    if value < 0:
        return q
    if get8(name + 8 * NUMBER_AT) >= 0:
        return NO
    flag_at = get8(name + 8 * FLAG_AT)
    if flag_at >= 0:
        set8(column(box, FLAG, flag_at, row), value)
    return spelled(p, q, name, box, row)


@kernel
def taken_nested(p: int, name: int, box: int, row: int) -> int:
    """An array or object. Of Extended JSON only a date as a time is read here; other values are Python's."""
    q = skip(p)
    if q < 0 or get8(name + 8 * FLAG_AT) >= 0:
        return NO
    number_at = get8(name + 8 * NUMBER_AT)
    if number_at >= 0:
        if q - p > LONGEST:
            return NO
        later(box, row, number_at, p, q)
    if get8(name + 8 * ROLES) & IS_TIME:
        if get8(p) != DATE or load1(p + 8) != 58 or load1(p + 9) != 34:
            return NO
        after, ms = iso(p + 10)
        if after != q - 1:
            return NO
        fix(box, AT, row, ms)
    return spelled(p, q, name, box, row)
