"""Records that were dead letters and come again: which of them count now.

    letter L          stands
    L comes again     counts; its letter says so, and by which record, in the transaction that its effects are in
    L comes again     a repeat, whoever put it in twice; and so is another letter of the same change
    after a crash     the record that counted is read again: it is the one that the letter names, and counts as it did

So a letter may be put in again as often as one likes, and whoever does it may die on the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from consumer.intake.batch import NONE, REPEAT, Batch
from consumer.intake.judge import Again, place
from consumer.store.contract import Doc, ShardId
from contract import requeued
from contract.errors import Rejected

Ask = Callable[[Sequence[Doc], Sequence[str]], Sequence[Doc]]  # (`_id`s, ids of events) -> letters, and letters counted as those


def requeue(batch: Batch, silent: int, shard: ShardId, ask: Ask) -> None:
    """Takes those out of a batch that do not count; what the others come to belongs into their letters. silent: rows whose effects
    are in the views already. ask: for what the store has, all that was committed."""
    rows = [row for row in batch.requeued if batch.verdict[row] == NONE or row >= silent]
    named = {row: name for row in rows if (name := _name(batch, row)) is not None}
    if not named:
        return
    events = {row: event.id for row in named if (event := batch.event(row)) is not None and event.id}
    found = {_hashable(letter["_id"]): letter for letter in ask(list(named.values()), list(events.values()))}
    counted = {of: by for letter in found.values() if (by := _counted(letter)) is not None for of in _both(letter)}
    here = set[str]()
    for row, name in named.items():
        mine = [_hashable(name), *([events[row]] if row in events else [])]
        by, letter = place(shard, batch.raws[row]), found.get(mine[0])
        before = next((counted[of] for of in mine if of in counted), None)
        batch.tokens[row] = ""  # older than what has come of its key since, and no repeat for that
        if row < silent:
            if before != by:
                batch.passed(row)
        elif letter is None and before is None:
            batch.refuse(row, Rejected("requeued", "its dead letter, which says whether it has counted, is not there any more"))
        elif before is not None and before != by:
            if batch.verdict[row] == NONE:
                batch.void(row, REPEAT)
            if letter is not None and mine[0] not in here and _counted(letter) is None:
                batch.letters = {**batch.letters, row: Again(letter, by)}
        elif letter is not None:
            batch.letters = {**batch.letters, row: Again(letter, by)}
            counted |= dict.fromkeys(mine, by)
        here.add(mine[0])


def _name(batch: Batch, row: int) -> Doc | None:
    """The letter's `_id`; None where the record does not tell."""
    try:
        return requeued.decode(batch.raws[row].data).letter
    except Rejected:
        return None


def _counted(letter: Doc) -> Doc | None:
    """The place of the record that counted; None where none has."""
    how: Doc = letter.get("requeued") or {}
    by: Doc | None = how["by"] if how.get("outcome") == "counted" else None
    return by


def _both(letter: Doc) -> Sequence[str]:
    """What names a change that was counted: its letter, and its event's id."""
    event = letter["requeued"]["event"]
    return [_hashable(letter["_id"]), *([event] if event else [])]


def _hashable(id: Doc) -> str:
    return json.dumps(id, sort_keys=True)
