"""Which changes of a batch have been counted before: resume tokens only grow within trigger, route and key.

key a    t1 t2 t1          the third is a repeat
key b    t5 ..... a day and more ..... t5          b is not known any more: a change as any other
"""

from __future__ import annotations

from collections.abc import Sequence

from consumer.intake.batch import NONE, REPEAT, Batch
from consumer.step.keys import KeyBook
from windows.engine import NEVER, Key


def repeats(batch: Batch, keys: Sequence[Key], book: KeyBook, watermark: int) -> list[int]:
    """Takes the repeats out of a batch, whose keys are all known, in front of which the watermark stands: the rows at which a key
    begins anew, as it had been forgotten."""
    if not batch.n:
        return []
    end = max(watermark, int(batch.columns.mark.max()))
    far = end - book.forget
    if watermark > far and not any(NEVER < book.known[key].last <= far for key in keys):
        _usual(batch, keys, book)
        return []
    return _long(batch, keys, book, watermark)


def _usual(batch: Batch, keys: Sequence[Key], book: KeyBook) -> None:
    """Nobody is forgotten on the way."""
    slots, pairs, triggers = batch.columns.key.tolist(), batch.pair.tolist(), [trigger for trigger, _ in batch.pairs]
    latest = dict[tuple[int, int], str]()
    for row, token in enumerate(batch.tokens):
        if token:
            name = (slots[row], pairs[row])
            last = latest.get(name)
            if last is None:
                last = book.known[keys[name[0]]].tokens.get(triggers[name[1]], "")
            if token <= last:
                batch.void(row, REPEAT)
            else:
                latest[name] = token


def _long(batch: Batch, keys: Sequence[Key], book: KeyBook, watermark: int) -> list[int]:
    """Row by row, with the time that passes."""
    slots, pairs, marks = batch.columns.key.tolist(), batch.pair.tolist(), batch.columns.mark.tolist()
    tokens, lasts = [dict(book.known[key].tokens) for key in keys], [book.known[key].last for key in keys]
    anew = []
    for row, token in enumerate(batch.tokens):
        now = max(watermark, marks[row])
        if batch.verdict[row] == NONE:
            slot, trigger = slots[row], batch.pairs[pairs[row]][0]
            if NEVER < lasts[slot] <= now - book.forget:
                tokens[slot].clear()
                anew.append(row)
            if token and token <= tokens[slot].get(trigger, ""):
                batch.void(row, REPEAT)
                continue
            lasts[slot] = now
            if token:
                tokens[slot][trigger] = token
        watermark = now
    return anew
