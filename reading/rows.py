"""All records of a batch to columns: each is read into the cells of one row, and from there goes to arrays of the least width."""

from __future__ import annotations

from compiled.kernel import kernel
from reading.envelope import EVENT, ODD, bare, envelope
from reading.fields import (
    AT,
    BARE,
    CELLS,
    CELLS_N,
    CLUSTER,
    DOC,
    DOC_END,
    FIXED,
    FLAGS,
    FRESH,
    HAS,
    ID,
    ID_END,
    KEY,
    KEYS,
    KIND,
    NUMBERS,
    OP,
    PAIR,
    ROW,
    VALUES,
    VALUES_N,
)
from reading.kernels import WIDE, Bytes, Floats, Halves, Ints, Shorts, first_bit, get8, getf, load1, newlines, set8
from reading.spellings import ALIASED, ANY_BAD, BAD, FIRST

SMALL_KIND, SMALL_OP, SMALL_HAS, SMALL = range(4)  # rows of `small`; then come the flags
WORDS_AT, WORDS_CLUSTER, WORDS_ID, WORDS_ID_END, WORDS_DOC, WORDS_DOC_END, WORDS = range(7)  # rows of `words`; then the values


@kernel
def read_rows(begin: int, places: Ints, box: int, small: Bytes, pair: Shorts, key: Halves, words: Ints, numbers: Floats) -> None:
    """Every record of a batch that begins at an address; places are the records' own within it, a newline behind each."""
    cells, fresh, count = box + 8 * CELLS, get8(box + 8 * FRESH), get8(box + 8 * CELLS_N)
    one = get8(box + 8 * BARE) >= 0
    for row in range(places.size - 1):
        for i in range(count):
            set8(cells + 8 * i, get8(fresh + 8 * i))
        set8(box + 8 * ROW, row)
        p = begin + places[row]
        q = bare(p, box) if one else envelope(p, box)
        if q != begin + places[row + 1] - 1:
            for i in range(count):
                set8(cells + 8 * i, get8(fresh + 8 * i))
        put(cells, box, row, small, pair, key, words, numbers)


@kernel
def put(cells: int, box: int, row: int, small: Bytes, pair: Shorts, key: Halves, words: Ints, numbers: Floats) -> None:
    """The cells of a row to its place in the arrays."""
    small[SMALL_KIND, row] = get8(cells + 8 * KIND)
    small[SMALL_OP, row] = get8(cells + 8 * OP)
    small[SMALL_HAS, row] = get8(cells + 8 * HAS)
    pair[row] = get8(cells + 8 * PAIR)
    key[row] = get8(cells + 8 * KEY)
    words[WORDS_AT, row] = get8(cells + 8 * AT)
    words[WORDS_CLUSTER, row] = get8(cells + 8 * CLUSTER)
    words[WORDS_ID, row] = get8(cells + 8 * ID)
    words[WORDS_ID_END, row] = get8(cells + 8 * ID_END)
    words[WORDS_DOC, row] = get8(cells + 8 * DOC)
    words[WORDS_DOC_END, row] = get8(cells + 8 * DOC_END)
    at = cells + 8 * FIXED
    for i in range(get8(box + 8 * NUMBERS)):
        numbers[i, row] = getf(at)
        at += 8
    for i in range(get8(box + 8 * FLAGS)):
        small[SMALL + i, row] = get8(at)
        at += 8
    for i in range(get8(box + 8 * VALUES_N)):
        words[WORDS + i, row] = get8(at)
        at += 8


@kernel
def settle(box: int, small: Bytes, pair: Shorts, key: Halves, words: Ints, numbers: Floats, place: Halves, order: Ints) -> int:
    """Rows that are odd, or hold a spelling that is, hold nothing; keys become places among the distinct keys of the batch, in the
    order of first sight, whose codes go to `order`: gives how many. place: -1 for every code, and so again afterwards."""
    fresh, n = get8(box + 8 * FRESH), 0
    keys, values = get8(box + 8 * KEYS), get8(box + 8 * VALUES)
    bad_keys, bad_values = get8(keys + 8 * ANY_BAD) != 0, get8(values + 8 * ANY_BAD) != 0
    aliased, first = get8(keys + 8 * ALIASED) != 0, get8(keys + 8 * FIRST)
    for row in range(key.size):
        c = int(key[row])
        if c >= 0 and bad_keys and load1(get8(keys + 8 * BAD) + c) != 0:
            small[SMALL_KIND, row] = ODD
        for i in range(WORDS, words.shape[0] if bad_values else WORDS):
            if words[i, row] >= 0 and load1(get8(values + 8 * BAD) + words[i, row]) != 0:
                small[SMALL_KIND, row] = ODD
        if small[SMALL_KIND, row] == ODD:
            put(fresh, box, row, small, pair, key, words, numbers)
        elif small[SMALL_KIND, row] == EVENT:
            c = get8(first + 8 * c) if aliased else c
            if place[c] < 0:
                place[c] = n
                order[n] = c
                n += 1
            key[row] = place[c]
    for i in range(n):
        place[order[i]] = -1
    return n


@kernel
def line_ends(p: int, length: int, places: Ints) -> int:
    """The places behind the newlines in some bytes, in which there are no more than there is room for: how many."""
    n, at = 0, 0
    while at + WIDE <= length:
        found = newlines(p + at)
        while found != 0:
            places[n] = at + first_bit(found) + 1
            n += 1
            found &= found - 1
        at += WIDE
    for last in range(at, length):
        if load1(p + last) == 10:
            places[n] = last + 1
            n += 1
    return n
