# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any
"""Many keys as bytes, in one pass (columnar/saved.py says what they mean): words first, then values by their ranks, then bytes.

1. `keys_dump` writes the words of all keys behind each other, and what they are: a piece for each section and each set's own words.
2. `values_met` finds which values are named; Python says how these are written, and ranks them by that.
3. `states_laid` gives each state the values that it names, in the order of their ranks, and has its words say which of them.
4. `states_written` puts msgpack together, from words, from what Python has written of values, and from the plan's own texts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from compiled.kernel import inlined, kernel
from compiled.records import at, record, words_in
from windows.kernels import dumps, tables
from windows.kernels import words as w
from windows.kernels.history.segments import segments_held
from windows.kernels.history.tree import data_of
from windows.kernels.memory.arena import EMPTY
from windows.kernels.memory.rowlist import row_of, rows_dump
from windows.kernels.slots import ANYHOW, SPELLED, alike
from windows.kernels.tables import group_at, plan_of, set_at
from windows.kernels.words import chain_at, grid_at, history_at, keeper_at, node_at, rolling_at, root_at, rowlist_at, segment_at

# A piece: words [begin, begin + n), and which of the plan's texts stands in front of them. what, mask: the group and the sets of a
# section; of one whose history has segments these, as -1 - group, and then the words (mask MORE); a set and OWN; rows, SEGMENT.
PIECE = record("what mask begin n text")
piece_at = at(PIECE)
PIECE_WORDS = words_in(PIECE)
OWN, MORE, SEGMENT = -1, -2, -3
HELD_WORDS = 6  # of a segment's row go into a dump: all but whether it is as it was saved
MASKS = 64  # different masks that slices, or histories, of one key have, at most

# A state: the watermark it was changed under, its pieces, those of its values, where its bytes begin, and whether it is only rows.
STATE = record("floor pieces end values last at rows")
state_at = at(STATE)
STATE_WORDS = words_in(STATE)
STATE_BYTES = 5  # which of its words says where its bytes begin

# A text of the plan's: of a group for some sets, or of a set (OWN); bytes [at, at + n) of all of them.
TEXT = record("what mask at n")
text_at = at(TEXT)
TEXT_WORDS = words_in(TEXT)

UNRANKED, MET = -1, -2
INT, ARRAY, MAP, BIN = 0xD3, 0x90, 0x80, 0xC4  # msgpack's


class Book(NamedTuple):
    """words: of all states; coded: which set of values each is a code of, -1 none. pieces, states: tables. used: how many words and
    pieces are written."""

    words: Any
    coded: Any
    pieces: Any
    states: Any
    used: Any


@kernel
def keys_dump(core, roots, n, begin, masks, book, most_words, most_pieces):
    """The keys of these roots, from the begin-th on, while there is room: the first one that is not in."""
    for i in range(begin, n):
        nwords, npieces = key_size(core, roots[i], masks)
        if book.used[0] + nwords > most_words or book.used[1] + npieces > most_pieces:
            return i
        state = state_at(book.states, i * STATE_WORDS)
        state.floor = EMPTY
        state.pieces = book.used[1]
        state.rows = 0
        if roots[i] != 0:
            state.floor = root_at(core.M, roots[i]).floor
            key_dump(core, roots[i], masks, book)
        state.end = book.used[1]
    return n


@kernel
def key_size(core, root, masks):
    """(words, pieces) that a key takes, at most."""
    M, P = core.M, core.P
    nwords = 0
    npieces = 0
    for k in range(plan_of(P).ngroups if root != 0 else 0):
        g = P[plan_of(P).groups + k]
        group = group_at(P, g)
        if group.route != root_at(M, root).route:
            continue
        if group.kind == tables.GRID:
            npieces += dumps.slices_masks(core, g, root, masks, MASKS)
            nwords += dumps.slices_size(core, g, root)
        else:
            h = chain_at(M, root + group.chain).head
            while h != 0:
                npieces += 2
                held, segments = segments_held(M, h)
                nwords += (history_at(M, h).n - held) * group.ncolumns + segments * HELD_WORDS
                h = history_at(M, h).next
        for j in range(group.nsets):
            npieces += 1
            nwords += 3
            e = root + set_at(P, P[group.sets + j]).entity
            if group.kind == tables.GRID:
                nwords += rowlist_at(M, e + w.GRID_RECORDS).n * w.CLOSED_SAVED
            elif group.kind != tables.ROLLING:
                nwords += (rowlist_at(M, e + w.SPANS).n + rowlist_at(M, e + w.EMPTIED).n) * w.SPAN_SAVED
    return nwords, npieces


@inlined
def piece_put(book, what, mask, words):
    """One more piece, of so many words."""
    piece = piece_at(book.pieces, book.used[1] * PIECE_WORDS)
    piece.what = what
    piece.mask = mask
    piece.begin = book.used[0]
    piece.n = words
    book.used[0] += words
    book.used[1] += 1


@inlined
def word_put(book, i, word):
    """A word that is no code."""
    book.words[book.used[0] + i] = word
    book.coded[book.used[0] + i] = -1


@kernel
def key_dump(core, root, masks, book):
    """A key's pieces: its groups' sections; then, group by group, what sets say of themselves."""
    M, P = core.M, core.P
    first = book.used[1]
    for k in range(plan_of(P).ngroups):
        g = P[plan_of(P).groups + k]
        if group_at(P, g).route == root_at(M, root).route:
            if group_at(P, g).kind == tables.GRID:
                slices_put(core, g, root, masks, book)
            else:
                histories_put(core, g, root, book)
    last = book.used[1]
    for k in range(plan_of(P).ngroups):
        g = P[plan_of(P).groups + k]
        if group_at(P, g).route == root_at(M, root).route:
            for j in range(group_at(P, g).nsets):
                own_put(core, g, P[group_at(P, g).sets + j], root, book, first, last)


@kernel
def slices_put(core, g, root, masks, book):
    """The slices of a group, in a section for each mask."""
    for m in range(dumps.slices_masks(core, g, root, masks, MASKS)):
        words = dumps.slices_dump(core, g, root, masks[m], book.words, book.coded, book.used[0]) - book.used[0]
        if words > 0:
            piece_put(book, g, masks[m], words)


@kernel
def histories_put(core, g, root, book):
    """The histories of a group, a section each."""
    M = core.M
    h = chain_at(M, root + group_at(core.P, g).chain).head
    while h != 0:
        held, segments = segments_held(M, h)
        if segments > 0:
            held_put(M, h, book)
            piece_put(book, -1 - g, history_at(M, h).mask, segments * HELD_WORDS)
        words = rows_put(core, g, h, held, history_at(M, h).n, book)
        if words > 0 or segments > 0:
            piece_put(book, g, MORE if segments > 0 else history_at(M, h).mask, words)
        h = history_at(M, h).next


@kernel
def rows_put(core, g, h, begin, end, book):
    """Events [begin, end) of a history, a row each: how many words."""
    M, P = core.M, core.P
    group = group_at(P, g)
    ncols = group.ncolumns
    end -= begin
    leaf, begin = leaf_of_row(M, h, begin)
    end += begin
    n = book.used[0]
    while leaf != 0 and begin < end:
        d = leaf + data_of(core, g)
        for i in range(begin, min(end, node_at(M, leaf).n)):
            for c in range(ncols):
                word = M[d + c * node_at(M, leaf).cap + i]
                book.coded[n + c] = -1
                if c >= w.FIELDS and P[group.columns + c] < 0:
                    book.coded[n + c] = n + c
                    if P[group.shown + c] == 0 and word >= 0:
                        word |= ANYHOW
                book.words[n + c] = word
            n += ncols
        begin = 0
        end -= node_at(M, leaf).n
        leaf = node_at(M, leaf).next
    return n - book.used[0]


@inlined
def remembers(core, s, e):
    """Whether a set of sessions has let one go, whose times it must know."""
    keeper = keeper_at(core.M, e)
    return set_at(core.P, s).kind == tables.SESSION and keeper.gone_first < keeper.gone_end


@kernel
def leaf_of_row(M, h, row):
    """(the leaf that an event is in, by how many there are before it, its place there), from the end that is nearer."""
    if 2 * row <= history_at(M, h).n:
        leaf = history_at(M, h).first
        while leaf != 0 and row >= node_at(M, leaf).n:
            row -= node_at(M, leaf).n
            leaf = node_at(M, leaf).next
        return leaf, row
    leaf = history_at(M, h).last
    row -= history_at(M, h).n - node_at(M, leaf).n
    while row < 0:
        leaf = node_at(M, leaf).prev
        row += node_at(M, leaf).n
    return leaf, row


@kernel
def held_put(M, h, book):
    """What a key's head says of the segments of a history."""
    j = history_at(M, h).segments + w.SEGMENT_ROWS
    n = book.used[0]
    for i in range(rowlist_at(M, j).n):
        segment = segment_at(M, row_of(M, j, w.SEGMENT_WORDS, i))
        book.words[n] = segment.number
        book.words[n + 1] = segment.skip
        book.words[n + 2] = segment.n
        book.words[n + 3] = segment.first
        book.words[n + 4] = segment.last
        book.words[n + 5] = segment.sum
        for c in range(HELD_WORDS):
            book.coded[n + c] = -1
        n += HELD_WORDS


@kernel
def segments_dump(core, g, h, rows, n, book):
    """Stretches of a history as states of their own: rows holds n of them, [from, to) of its events each."""
    for i in range(n):
        state = state_at(book.states, i * STATE_WORDS)
        state.pieces = book.used[1]
        state.rows = 1
        piece_put(book, g, SEGMENT, rows_put(core, g, h, rows[2 * i], rows[2 * i + 1], book))
        state.end = book.used[1]


@kernel
def large(core, roots, n, begin, most, found, room):
    """Which histories of the keys of these roots, from the begin-th on, are saved in segments, or may have to be since more than
    `most` words are not: found holds [key, group, history] of each; (how many these are, where to go on)."""
    M, P = core.M, core.P
    many = 0
    for i in range(begin, n):
        root = roots[i]
        before = many
        for k in range(plan_of(P).ngroups if root != 0 else 0):
            g = P[plan_of(P).groups + k]
            group = group_at(P, g)
            h = 0
            if group.route == root_at(M, root).route and group.kind != tables.GRID:
                h = chain_at(M, root + group.chain).head
            while h != 0:
                if history_at(M, h).segments != 0 or history_at(M, h).n * group.ncolumns > most:
                    if many == room:
                        return before, i
                    found[3 * many] = i
                    found[3 * many + 1] = g
                    found[3 * many + 2] = h
                    many += 1
                h = history_at(M, h).next
    return many, n


@kernel
def own_put(core, g, s, root, book, first, last):
    """What a set says of itself at a key, if it is anything; [first, last): the key's sections."""
    M, P = core.M, core.P
    e = root + set_at(P, s).entity
    kind = group_at(P, g).kind
    n = book.used[0]
    words = 0
    if kind == tables.GRID:
        records = rowlist_at(M, e + w.GRID_RECORDS).n
        there = records > 0
        for i in range(first, last):
            there = there or piece_at(book.pieces, i * PIECE_WORDS).what == g
        if there:
            word_put(book, 0, grid_at(M, e).open)
            words = 1 + rows_own(M, e + w.GRID_RECORDS, w.CLOSED_WORDS, w.CLOSED_SAVED, book, n + 1)
    elif kind == tables.ROLLING:
        if rolling_at(M, e).last != EMPTY:
            word_put(book, 0, rolling_at(M, e).last)
            word_put(book, 1, rolling_at(M, e).as_of)
            words = 2
    elif rowlist_at(M, e + w.SPANS).n + rowlist_at(M, e + w.EMPTIED).n > 0 or remembers(core, s, e):
        word_put(book, 0, keeper_at(M, e).gone_first if remembers(core, s, e) else 0)
        word_put(book, 1, keeper_at(M, e).gone_end if remembers(core, s, e) else 0)
        word_put(book, 2, rowlist_at(M, e + w.SPANS).n)
        words = 3 + rows_own(M, e + w.SPANS, w.SPAN_WORDS, w.SPAN_SAVED, book, n + 3)
        words += rows_own(M, e + w.EMPTIED, w.SPAN_WORDS, w.SPAN_SAVED, book, n + words)
    if words > 0:
        piece_put(book, s, OWN, words)


@kernel
def rows_own(M, j, width, saved, book, n):
    """The first words of each row of a list, to word n on: how many words."""
    words = rowlist_at(M, j).n * saved
    rows_dump(M, j, width, saved, book.words, n)
    for i in range(n, n + words):
        book.coded[i] = -1
    return words


@inlined
def index_of(word, ncodes, others, nothers):
    """Where a value stands among all: as its code; as the code of whatever equals it; as one of another spelling than the first."""
    if word < SPELLED:
        return word
    if word >= ANYHOW:
        return ncodes + alike(word - ANYHOW)
    low = 0
    high = nothers
    while low < high:
        mid = (low + high) >> 1
        if others[mid] < word:
            low = mid + 1
        else:
            high = mid
    return 2 * ncodes + low


@kernel
def values_met(words, coded, n, ncodes, others, nothers, ranks, met):
    """Codes become places among all values, of which those that are named go to `met`, each once: (how many these are, how many
    words are codes)."""
    found = 0
    many = 0
    for i in range(n):
        if coded[i] >= 0 and words[i] >= 0:
            many += 1
            words[i] = index_of(words[i], ncodes, others, nothers)
            if ranks[words[i]] == UNRANKED:
                ranks[words[i]] = MET
                met[found] = words[i]
                found += 1
    return found, many


@kernel
def texts_found(pieces, npieces, texts, ntexts):
    """Each piece's text: the first piece that has none, or -1."""
    for i in range(npieces):
        piece = piece_at(pieces, i * PIECE_WORDS)
        piece.text = -1
        for k in range(ntexts):
            if text_at(texts, k * TEXT_WORDS).what == piece.what and text_at(texts, k * TEXT_WORDS).mask == piece.mask:
                piece.text = k
        if piece.text < 0:
            return i
    return -1


@kernel
def sort(A, at, n):
    """n words from A[at] on, rising (heap sort)."""
    for top in range((n >> 1) - 1, -1, -1):
        sink(A, at, top, n)
    for end in range(n - 1, 0, -1):
        A[at], A[at + end] = A[at + end], A[at]
        sink(A, at, 0, end)


@kernel
def sink(A, at, top, n):
    """A heap is one again below `top`."""
    word = A[at + top]
    while 2 * top + 1 < n:
        child = 2 * top + 1
        if child + 1 < n and A[at + child + 1] > A[at + child]:
            child += 1
        if A[at + child] <= word:
            break
        A[at + top] = A[at + child]
        top = child
    A[at + top] = word


@kernel
def states_laid(book, n, ranks, lengths, seen, places, values, texts, ntexts):
    """Words that are codes become places among the values of their state, which go to `values`; of equal states all alike. seen,
    places: by rank, what is needed on the way. lengths: by rank, how many bytes a value takes. How many bytes there are; where a
    piece has no text, -1 less that piece, and nothing has changed."""
    missing = texts_found(book.pieces, book.used[1], texts, ntexts)
    if missing >= 0:
        return -1 - missing
    nvalues = 0
    nbytes = 0
    for i in range(n):
        state = state_at(book.states, i * STATE_WORDS)
        state.values = nvalues
        state.at = nbytes
        sections = 0
        own = 0
        for k in range(state.pieces, state.end):
            piece = piece_at(book.pieces, k * PIECE_WORDS)
            nbytes += bin_size(8 * piece.n) + text_at(texts, piece.text * TEXT_WORDS).n
            sections += piece.mask >= 0
            own += piece.mask == OWN
            for j in range(piece.begin, piece.begin + piece.n):
                if book.coded[j] >= 0 and book.words[j] >= 0:
                    rank = ranks[book.words[j]]
                    book.words[j] = rank
                    if seen[rank] != i + 1:
                        seen[rank] = i + 1
                        values[nvalues] = rank
                        nvalues += 1
                        nbytes += lengths[rank]
        state.last = nvalues
        sort(values, state.values, nvalues - state.values)
        for v in range(state.values, nvalues):
            places[values[v]] = v - state.values
        for k in range(state.pieces, state.end):
            own_places(book, k, places)
        nbytes += 1 + many_size(nvalues - state.values)
        if state.rows == 0:
            nbytes += 9 + many_size(sections) + many_size(own)
    return nbytes


@kernel
def own_places(book, k, places):
    """A piece's codes become places among values; what stands in one set of values rises."""
    piece = piece_at(book.pieces, k * PIECE_WORDS)
    j = piece.begin
    while j < piece.begin + piece.n:
        first = j
        while j < piece.begin + piece.n and book.coded[j] == book.coded[first] and book.coded[j] >= 0:
            if book.words[j] >= 0:
                book.words[j] = places[book.words[j]]
            j += 1
        if j > first + 1:
            sort(book.words, first, j - first)
        j = max(j, first + 1)


@kernel
def many_size(n):
    """How many bytes msgpack takes to say that so many items follow."""
    return 1 if n < 16 else 3 if n < 1 << 16 else 5


@kernel
def bin_size(n):
    """How many bytes n bytes take, with what says that they follow."""
    return n + (2 if n < 1 << 8 else 3 if n < 1 << 16 else 5)


@inlined
def byte(n):
    """Eight bits as a word of eight bits that has a sign."""
    return ((n + 128) & 0xFF) - 128


@inlined
def number_put(out, p, head, n, size):
    """A byte, and a number of so many bytes behind it, the highest first: the next free byte."""
    out[p] = byte(head)
    for i in range(size):
        out[p + 1 + i] = byte(n >> (8 * (size - 1 - i)))
    return p + 1 + size


@kernel
def many_put(out, p, kind, n):
    """That n items follow, of an array or a map."""
    if n < 16:
        out[p] = byte(kind | n)
        return p + 1
    head = 0xDC if kind == ARRAY else 0xDE
    return number_put(out, p, head, n, 2) if n < 1 << 16 else number_put(out, p, head + 1, n, 4)


@kernel
def bin_put(out, p, n):
    """That n bytes follow."""
    if n < 1 << 8:
        return number_put(out, p, BIN, n, 1)
    return number_put(out, p, BIN + 1, n, 2) if n < 1 << 16 else number_put(out, p, BIN + 2, n, 4)


@inlined
def bytes_put(out, p, source, begin, n):
    """n bytes of another memory."""
    for i in range(n):
        out[p + i] = source[begin + i]
    return p + n


class Said(NamedTuple):
    """What Python has written. texts: table, and their bytes; values: how they are written, from `starts` on, by rank."""

    texts: Any
    text_bytes: Any
    value_bytes: Any
    starts: Any


@kernel
def states_written(book, raw, n, values, said, out):
    """All states as msgpack, each where it begins. raw: the bytes of the words."""
    for i in range(n):
        state = state_at(book.states, i * STATE_WORDS)
        p = state.at
        p = many_put(out, p, ARRAY, 2 if state.rows else 4)
        if state.rows == 0:
            p = number_put(out, p, INT, state.floor, 8)
        p = many_put(out, p, ARRAY, state.last - state.values)
        for v in range(state.values, state.last):
            begin = said.starts[values[v]]
            p = bytes_put(out, p, said.value_bytes, begin, said.starts[values[v] + 1] - begin)
        k = state.pieces
        if state.rows == 0:
            sections = 0
            while k < state.end and piece_at(book.pieces, k * PIECE_WORDS).mask != OWN:
                sections += piece_at(book.pieces, k * PIECE_WORDS).mask >= 0
                k += 1
            p = many_put(out, p, ARRAY, sections)
        for j in range(state.pieces, state.end):
            if j == k and state.rows == 0:
                p = many_put(out, p, MAP, state.end - k)
            piece = piece_at(book.pieces, j * PIECE_WORDS)
            text = text_at(said.texts, piece.text * TEXT_WORDS)
            p = bytes_put(out, p, said.text_bytes, text.at, text.n)
            p = bin_put(out, p, 8 * piece.n)
            p = bytes_put(out, p, raw, 8 * piece.begin, 8 * piece.n)
        if k == state.end and state.rows == 0:
            p = many_put(out, p, MAP, 0)
