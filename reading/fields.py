"""The fields of a document read in place, by a plan of the names that matter, into the cells of a row.

A row that is anything but plain (a needed name or text with escapes, a type that a field may not have, a path into a field) is not
read at all. As in reading/kernels.py places are addresses and NO says "not mine".
"""

from __future__ import annotations

from compiled.kernel import inlined, kernel
from contract.times import MAX_MS, MIN_MS
from reading.documents import ESCAPED, FAR, WHOLE, iso, number, same, skip, spaces, text, word
from reading.documents import ODD as UNREAD
from reading.kernels import NO, WIDE, equal, get8, load1, set8, setf
from reading.spellings import code

# The box: all that a run over a batch works with, 8 bytes each, and behind it the CELLS of the row at hand
NAMES, PAIRS, PAIRS_N, LAYOUT, BARE, KEYS, VALUES, LATER, LATER_N, FRESH, CELLS_N, NUMBERS, FLAGS, VALUES_N, ROW = range(15)
TRIGGER, TRIGGER_END, ROUTE, ROUTE_END, RAW_KEY, RAW_KEY_END, CELLS = range(15, 22)  # of the envelope at hand
KIND, PAIR, OP, KEY, AT, CLUSTER, HAS, ID, ID_END, DOC, DOC_END, FIXED = range(12)  # the first cells; then come the fields
DOCUMENT = 1  # bit of HAS
LENGTH, PLACE, NUMBER_AT, FLAG_AT, VALUE_AT, ROLES, NAME = range(7)  # of a name in the plan; *_AT: its cells, -1 for none
P_TRIGGER, P_TRIGGER_N, P_ROUTE, P_ROUTE_N, P_FIRST, P_LAST, P_TAG, P_LAYOUT, P_SIZE = range(9)  # of a pair in the plan
IS_KEY, IS_TIME, IS_ID, IS_DEEP = 1, 2, 4, 8  # ROLES, in a bare document
S_NEED, S_LENGTH, S_FOUND, S_TEXT, S_SIZE = 0, 1, 2, 4, 8  # of a step of a layout
STEPS = 32  # members of an object that a layout remembers
END = -2  # in place of a name: the object ends here
LONGEST = 128  # bytes of a spelling that gets a code
DATE = 0x226574616424227B  # {"$date"


@inlined
def fix(box: int, cell: int, value: int) -> None:
    """A value of the row at hand."""
    set8(box + 8 * (CELLS + cell), value)


@kernel
def later(box: int, cell: int, p: int, q: int) -> None:
    """Notes a number that Python is to read."""
    n = get8(box + 8 * LATER_N)
    to = get8(box + 8 * LATER) + 32 * n
    set8(to, get8(box + 8 * ROW))
    set8(to + 8, cell - FIXED)
    set8(to + 16, p)
    set8(to + 24, q)
    set8(box + 8 * LATER_N, n + 1)


@kernel
def which_name(names: int, p: int, length: int, first: int, last: int) -> int:
    """The name of the plan, in a range of it, that stands at p; NO for any other."""
    for i in range(first, last):
        entry = names + 8 * NAME * i
        if get8(entry) == length and same(get8(entry + 8 * PLACE), p, length):
            return i
    return NO


@kernel
def named(p: int, names: int, first: int, last: int) -> tuple[int, int]:
    """(place of the value, name in the plan or NO) of the member of an object at p."""
    if load1(p) != 34:
        return NO, NO
    q, odd = text(p + 1, p + FAR)
    if q < 0 or odd & ESCAPED:
        return NO, NO
    found = which_name(names, p + 1, q - p - 1, first, last)
    q = spaces(q + 1)
    return (spaces(q + 1) if load1(q) == 58 else NO), found


@inlined
def member(p: int, i: int, layout: int, names: int, first: int, last: int) -> tuple[int, int]:
    """The same of an object's next member: number i, where p is the object's place or the one after the value before. The name is
    END where the object ends, and the place is the one after it.

    Records of one origin are much alike. So a layout remembers, for each i, the last bytes that stood between two values there and
    what they were found to say: where the very same bytes stand again, they say the same."""
    if i < STEPS:
        step = layout + 8 * S_SIZE * i
        need = get8(step + 8 * S_NEED)
        if need != 0 and equal(p, step + 8 * S_TEXT) & need == need:
            p += get8(step + 8 * S_LENGTH)
            return (p if load1(p) > 32 else spaces(p)), get8(step + 8 * S_FOUND)  # where more space stands than did last time
    if i > 0 and load1(p) == 125:
        return p + 1, END
    return unforeseen(p, i, layout, names, first, last)


@kernel
def unforeseen(p: int, i: int, layout: int, names: int, first: int, last: int) -> tuple[int, int]:
    """The same of a member, or an end, that the layout does not tell; it is remembered there."""
    begin, step = p, layout + 8 * S_SIZE * i
    p = spaces(p + 1 if i == 0 else p)
    if load1(p) == 125:
        return p + 1, END
    if i > 0:
        if load1(p) != 44:
            return NO, NO
        p = spaces(p + 1)
    p, found = named(p, names, first, last)
    if i < STEPS and 0 < p <= begin + WIDE:
        set8(step + 8 * S_NEED, (1 << (p - begin)) - 1)
        set8(step + 8 * S_LENGTH, p - begin)
        set8(step + 8 * S_FOUND, found)
        for at in range(0, WIDE, 8):
            set8(step + 8 * S_TEXT + at, get8(begin + at))
    return p, found


@kernel
def document(p: int, entry: int, box: int) -> int:
    """The place after the object at p; the fields that a pair of the plan needs go to their cells."""
    names, layout, seen, i = get8(box + 8 * NAMES), get8(entry + 8 * P_LAYOUT), 0, 0
    first, last = get8(entry + 8 * P_FIRST), get8(entry + 8 * P_LAST)
    if load1(p) != 123:
        return NO
    while True:
        p, found = member(p, i, layout, names, first, last)
        if p < 0 or found == END:
            return p
        if found < 0:
            p = skip(p)
        else:
            bit = 1 << (found - first)
            if seen & bit:
                return NO
            seen |= bit
            p = taken(p, names + 8 * NAME * found, box, entry)
        if p < 0:
            return NO
        i += 1


@inlined
def taken(p: int, name: int, box: int, entry: int) -> int:
    """The place after a field's value at p, which goes to the cells that its name has in the plan."""
    c = load1(p)
    if get8(name + 8 * ROLES) & IS_DEEP:
        return NO
    if c == 34:
        return taken_text(p, name, box, entry)
    if c == 45 or 48 <= c <= 57:
        return taken_number(p, name, box, entry)
    if c == 123 or c == 91:
        return taken_nested(p, name, box, entry)
    return taken_word(p, name, box, entry)


@inlined
def spelled(p: int, q: int, name: int, box: int, entry: int) -> int:
    """What a value's spelling is needed for: a value's or a key's code, the document's id. Gives q."""
    value_at, roles = get8(name + 8 * VALUE_AT), get8(name + 8 * ROLES)
    if (value_at >= 0 or roles & IS_KEY) and q - p > LONGEST:
        return NO
    if value_at >= 0:
        fix(box, value_at, code(get8(box + 8 * VALUES), p, q - p, 0))
    if roles & IS_KEY:
        fix(box, KEY, code(get8(box + 8 * KEYS), p, q - p, get8(entry + 8 * P_TAG)))
    if roles & IS_ID:
        fix(box, DOC, p)
        fix(box, DOC_END, q)
    return q


@inlined
def taken_text(p: int, name: int, box: int, entry: int) -> int:
    """A text: a value, a key, an id, or a time."""
    q, odd = text(p + 1, p + FAR)
    if q < 0 or odd & ESCAPED or get8(name + 8 * NUMBER_AT) >= 0 or get8(name + 8 * FLAG_AT) >= 0:
        return NO
    if get8(name + 8 * ROLES) & IS_TIME:
        after, ms = iso(p + 1)
        if after != q + 1:
            return NO
        fix(box, AT, ms)
    return spelled(p, q + 1, name, box, entry)


@inlined
def taken_number(p: int, name: int, box: int, entry: int) -> int:
    """A number, which may be a time too."""
    q, value, form = number(p)
    roles = get8(name + 8 * ROLES)
    if q < 0 or get8(name + 8 * FLAG_AT) >= 0 or (roles & IS_ID and form == UNREAD):
        return NO
    number_at = get8(name + 8 * NUMBER_AT)
    if number_at >= 0:
        if form == UNREAD:
            later(box, number_at, p, q)
        else:
            setf(box + 8 * (CELLS + number_at), value)
    if roles & IS_TIME:
        if form != WHOLE or not MIN_MS <= value <= MAX_MS:
            return NO
        fix(box, AT, int(value))
    return spelled(p, q, name, box, entry)


@kernel
def taken_word(p: int, name: int, box: int, entry: int) -> int:
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
        fix(box, flag_at, value)
    return spelled(p, q, name, box, entry)


@kernel
def taken_nested(p: int, name: int, box: int, entry: int) -> int:
    """An array or object. Of Extended JSON only a date as a time is read here; other values are Python's."""
    q = skip(p)
    if q < 0 or get8(name + 8 * FLAG_AT) >= 0:
        return NO
    number_at = get8(name + 8 * NUMBER_AT)
    if number_at >= 0:
        if q - p > LONGEST:
            return NO
        later(box, number_at, p, q)
    if get8(name + 8 * ROLES) & IS_TIME:
        if get8(p) != DATE or load1(p + 8) != 58 or load1(p + 9) != 34:
            return NO
        after, ms = iso(p + 10)
        if after != q - 1:
            return NO
        fix(box, AT, ms)
    return spelled(p, q, name, box, entry)
