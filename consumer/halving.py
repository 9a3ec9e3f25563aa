"""Which record brings the document that the store never takes, or breaks the code that it goes through: fewer and fewer go at
once, until it is one.

Where a document was refused, the suspect's time alone is tried then. If that goes, the record is a dead letter. If it does not, the
document is none of the record's: time closes a window of others, say. The record goes in after all, and of the document a letter
is kept in its place. A record that breaks code is a dead letter unseen; if it breaks all the same, or every record does, then it
is not the record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from consumer.intake.batch import Batch, Budget
from consumer.intake.judge import refusal
from consumer.intake.records import Raw
from consumer.store.contract import Doc, Effects
from consumer.store.layout import CURSORS, DEAD_LETTERS, HEALTH, KEYS
from contract.errors import Misconfigured, Rejected, Unstorable

LEAST = Budget(1, 1, 1)
TOO_MANY = 20  # records in a row that break code, and none between them that does not
MOST = 500  # characters of an error
OURS = (CURSORS, DEAD_LETTERS, HEALTH, KEYS)


class Halving:
    """What is known so far. begun: something was refused, and not all that was fed is in yet. budget: of the next part."""

    def __init__(self, whole: Budget) -> None:
        self._whole = whole
        self.over()

    def over(self) -> None:
        """All is in. What is found later is found anew."""
        self.begun, self.budget = False, self._whole
        self._suspect: Rejected | None = None  # why the first record that is not in yet may be one
        self._left_out: dict[tuple[str, str], Unstorable] = {}
        self._broken = 0  # records in a row

    def broke(self, error: Exception, tried: int) -> None:
        """So many records broke the code that they went through. Raises the error where it is not a record's."""
        self.begun = True
        if tried > 1:
            self.budget = replace(self.budget, rows=max(min(self.budget.rows, tried) // 2, 1))
        elif self._suspect is not None or self._broken >= TOO_MANY:
            raise error
        else:
            self._suspect = Rejected("fault", f"{type(error).__name__}: {error}"[:MOST])
            self._broken += 1

    def unseen(self, raws: list[Raw]) -> list[Raw]:
        """Records, the first of which is a suspect that breaks code: it is not looked into."""
        if self._suspect is None or self._suspect.reason != "fault" or not raws:
            return raws
        return [replace(raws[0], message=self._suspect), *raws[1:]]

    def mark(self, batch: Batch, row: int) -> None:
        """Of a suspect, the first row that is not committed, only the time goes in."""
        if self._suspect is not None and self._suspect.reason == "refused":
            batch.condemn(row, self._suspect)

    def failed(self, error: Unstorable, tried: int) -> None:
        """So many rows were not taken; none where it was time alone. Raises Misconfigured where nothing could be left out.

        One row alone is found only where no more than one could go at once: a commit that has gathered, and a part of more rows,
        may have behind its only row what the next one's time has brought.
        """
        alone, least = self.begun and self.budget.rows == 1, self.begun and self.budget == LEAST
        self.begun = True
        if (tried and not alone) or (error.place is None and not least):
            rows, windows, judged = min(self.budget.rows, tried), self.budget.windows, self.budget.judged
            self.budget = Budget(max(rows // 2, 1), max(windows // 2, 1), max(judged // 2, 1))
        elif tried and self._suspect is None:
            self._suspect = Rejected("refused", str(error))
        else:
            self._suspect = None
            self._leave_out(error)

    def _leave_out(self, error: Unstorable) -> None:
        if error.place is None or error.place[0] in OURS or _name(error.place) in self._left_out:
            raise Misconfigured(f"{error}; nothing was written, and there is nothing that could be left out") from error
        self._left_out[_name(error.place)] = error

    def committed(self, rows: int) -> None:
        """So many rows are in. If this was the record that was looked for, all that follow go at once again."""
        if rows and self._suspect is None:
            self._broken = 0
        elif rows:
            self._suspect, self.budget = None, self._whole

    def without(self, effects: Effects) -> Effects:
        """Effects with a letter in the place of each document that is left out."""
        if not self._left_out:
            return effects
        letters: list[tuple[str, Doc]] = []

        def kept(documents: Iterable[tuple[str, Doc]]) -> list[tuple[str, Doc]]:
            found = []
            for name, document in documents:
                error = self._left_out.get(_name((name, document["_id"])))
                if error is None:
                    found.append((name, document))
                else:
                    letters.append(refusal(effects.cursor, name, document, error))
            return found

        puts, new, unless_final = kept(effects.puts), kept(effects.new), kept(effects.unless_final)
        closings = [
            closing._replace(ids=[d["_id"] for _, d in kept((closing.collection, {"_id": id}) for id in closing.ids)])
            for closing in effects.closings
        ]
        return replace(effects, puts=[*puts, *letters], new=new, unless_final=unless_final, closings=closings)


def _name(place: tuple[str, Any]) -> tuple[str, str]:
    return place[0], repr(place[1])  # of an `_id` that perhaps nothing else can be made of
