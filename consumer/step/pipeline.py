"""The pure middle: a batch and what is in memory of its keys -> Effects. No client, no clock, no logger.

In one part of a batch: windows first, then the models on their values. A row belongs to a part whole, or the part ends in front of
it; what time alone brings at a row may take several parts, and the cursor stands in front of the row until all of it is in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from config.specs import Pipeline
from consumer.gaps import Gaps, Mark, marks, of
from consumer.intake.batch import COUNTED, LATE, NONE, Batch, Budget, Work
from consumer.intake.in_place import Reader
from consumer.intake.judge import TOO_LATE, letter
from consumer.intake.records import Raw
from consumer.step.documents import Changes, read
from consumer.step.keys import KeyBook, remembered
from consumer.step.repeats import repeats
from consumer.step.rolling import RollingViews
from consumer.step.silences import Watching
from consumer.store.contract import CLASSES, Cursor, Position
from contract.event import Gap
from contract.keys import untyped
from models.abandonment import AbandonmentWatcher
from models.base import Happening, Scorer
from models.features import by_row
from models.fraud import RuleScorer
from models.inputs import Inputs
from windows import engine as law
from windows.engine import Engine, Key, StepResult

AFTER_READING = ("refused", "fault")  # why records are dead letters that by themselves could be read
NO_FEATURES: Mapping[str, Mapping[str, Any]] = {}


class Seen(NamedTuple):
    """An event that was put in, and its features: of every rolling set of its (trigger, route). Of one that is scored, the id of
    its document and all that a model may use."""

    id: Any
    trigger: str
    key: Any
    at: int
    features: Mapping[str, Mapping[str, Any]]
    doc_id: Any = None
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What one step did. done: the first row that is not finished; of time alone, 1 once all that is due has happened, else 0.
    cursor: the value behind it; touched: the keys whose state is no longer what it was. newest: its last row with a change, where
    there is none its last row, None where it has no rows; change: which of the two. marks: what
    of the views is not complete after all."""

    done: int
    changes: Changes
    cursor: Cursor
    touched: Collection[Key]
    seen: Sequence[Seen] = ()
    newest: Raw | None = None
    change: bool = False
    marks: Sequence[Mark] = ()


class ShardPipeline:
    """One shard's windows and models in memory, and their steps. observed=True gives the events of each part, with features."""

    def __init__(self, spec: Pipeline, engine: Engine, observed: bool = False) -> None:
        self._spec, self._engine, self._observed = spec, engine, observed
        self._rolling = RollingViews(spec.windows, engine)
        self._scorers: list[Scorer] = [RuleScorer(spec.fraud)] if spec.fraud is not None else []
        self._inputs = Inputs(spec.fraud, spec.windows) if spec.fraud is not None and spec.fraud.features and observed else None
        self._watching = Watching([AbandonmentWatcher(spec.abandonment)] if spec.abandonment is not None else [])
        self.book = KeyBook(engine, self._watching, remembered(spec))
        self.reader = Reader(spec, [*((s.trigger, s.route) for s in self._scorers), *self._watching.pairs])

    def begin(self, batch: Batch) -> Work:
        """Finds the repeats of a batch, whose keys are all in memory, and how its watermark moves."""
        self.book.meet(batch.columns.keys, batch.hashes)
        columns, keys = batch.columns, list(batch.columns.keys)
        anew = repeats(batch, keys, self.book, self._engine.watermark)
        return Work(batch, keys, np.maximum.accumulate(np.maximum(columns.mark, self._engine.watermark)), anew)

    def wanted(self, batch: Batch) -> Mapping[str, Mapping[Hashable, Any]]:
        """What a batch's scored rows need to know of other entities: view -> an entity's `_id`, by its hashable form."""
        if self._inputs is None:
            return {}
        return self._inputs.wanted(h for h in batch.happenings.values() if self._scored(h))

    def begin_at(self, watermark: int) -> None:
        """Time stands there. To be said before anything else."""
        self._engine.watermark = watermark

    def size(self) -> int:
        """About how many bytes the windows of the keys in memory take."""
        return self._engine.size()

    def lift(self, work: Work) -> None:
        """Time has passed that is not in the rows."""
        work.watermarks = np.maximum(work.watermarks, self._engine.watermark)

    def step(self, work: Work, begin: int, end: int, cursor: Cursor, budget: Budget) -> Part:
        """Takes rows from `begin` on, at most to `end`, as far as the budget goes. All keys due on the way are in memory."""
        end = self._room(work, begin, min(end, begin + budget.rows), budget.judged)
        if end == begin:
            changes = Changes(cursor.since, cursor.gaps)
            changes.signals(self._watching.time(int(work.watermarks[begin]), budget.judged))
            return Part(begin, changes, cursor, self._touched(set()))
        result = self._engine.step(work.upto(end), begin, budget.windows)
        rows = range(begin, result.done)
        changes, touched = Changes(cursor.since, cursor.gaps), set(result.changed)
        changes.windows(result, self._rolling)
        seen = self._model(work, rows, result, changes)
        moved = self._count(work, rows, result, changes, cursor)
        touched |= self._remember(work, rows)
        missing = [self._missing(gap) for row, gap in work.batch.gaps.items() if row in rows]
        found = [mark for gaps in missing for mark in marks(self._spec.windows, gaps)]
        return Part(result.done, changes, moved, self._touched(touched), seen, *_newest(work.batch, rows), found)

    def pass_time(self, watermark: int, cause: int, cursor: Cursor, moved: Cursor, budget: Budget) -> Part:
        """What silence brings up to a watermark, for the keys in memory; cause is windows.engine's. Once all of it has happened the
        cursor is `moved`. With END every window closes and every silence is judged."""
        changes = Changes(cursor.since, cursor.gaps)
        result = self._engine.advance(watermark, cause, budget.windows)
        changes.windows(result, self._rolling)
        done = bool(result.done)
        if done:
            changes.signals(self._watching.time(watermark, budget.judged))
            done = self._watching.next_due(watermark) is None
        return Part(int(done), changes, moved if done else cursor, self._touched(set(result.changed)))

    def _room(self, work: Work, begin: int, end: int, judged: int) -> int:
        """Where to end, so that not too many silences are judged in one part; `begin` if they are too many in front of that row."""
        crowd = self._watching.crowded(judged, int(work.watermarks[end - 1]))
        return end if crowd is None else begin + int(np.searchsorted(work.watermarks[begin:end], crowd))

    def _touched(self, touched: set[Key]) -> set[Key]:
        touched |= self._watching.changed
        self._watching.changed = set()
        return touched

    def _remember(self, work: Work, rows: range) -> set[Key]:
        """Notes the last change of each key; the keys of these rows."""
        batch, keys, known = work.batch, work.keys, self.book.known
        anew = {keys[batch.columns.key[row]]: row for row in work.anew if row in rows}
        for key in anew:
            known[key].tokens.clear()
        taken = np.flatnonzero(batch.verdict[rows.start : rows.stop] == NONE) + rows.start
        slots, pairs = batch.columns.key[taken], batch.pair[taken]
        _, last = np.unique((slots.astype(np.int64) * len(batch.pairs) + pairs)[::-1], return_index=True)
        for i in (len(taken) - 1 - last).tolist():
            row, key = int(taken[i]), keys[slots[i]]
            known[key].last = max(known[key].last, int(work.watermarks[row]))
            if batch.tokens[row] and row >= anew.get(key, 0):
                known[key].tokens[batch.pairs[pairs[i]][0]] = batch.tokens[row]
        return {keys[slot] for slot in np.unique(slots).tolist()}

    def _count(self, work: Work, rows: range, result: StepResult, changes: Changes, cursor: Cursor) -> Cursor:
        """The cursor behind these rows, each counted in one class; dead letters are kept."""
        batch = work.batch
        own = batch.verdict[rows.start : rows.stop]
        verdict = np.where(own != NONE, own, np.where(result.outcome == law.COUNTED, COUNTED, LATE))
        found = np.bincount(verdict, minlength=len(CLASSES)).tolist()
        dead: Counter[str] = Counter()
        late = (verdict == LATE) & (result.outcome == law.LATE_KEEP)
        rejected = [row for row in batch.rejected if row in rows]
        for row in sorted([*(np.flatnonzero(late) + rows.start).tolist(), *rejected]):
            cause = batch.rejected.get(row, TOO_LATE)
            dead[cause.reason] += 1
            if row in batch.letters:
                changes.put(*batch.letters[row].came_to("dead_letter", batch.event(row), cause))
            else:
                changes.put(*letter(cursor.shard, batch.raws[row], batch.event(row), cause), how="new")
        for row in batch.letters.keys() & set(rows) - set(rejected):
            if not late[row - rows.start]:
                changes.put(*batch.letters[row].came_to(CLASSES[verdict[row - rows.start]], batch.event(row)))
        cursor = cursor.skipping([_skip(batch, row) for row in rejected if batch.rejected[row].reason in AFTER_READING])
        for gap in (gap for row, gap in batch.gaps.items() if row in rows):
            cursor = cursor.torn(self._missing(gap))
        counters = cursor.counters.add({name: n for name, n in zip(CLASSES, found, strict=True) if n}, result.late, dead)
        if not rows:
            return cursor.moved(cursor.sequence, cursor.sub, cursor.watermark, counters)
        last = batch.raws[rows.stop - 1]
        return cursor.moved(last.sequence, last.sub, int(work.watermarks[rows.stop - 1]), counters)

    def _missing(self, gap: Gap) -> Gaps:
        return of(gap, self._spec.stream.settle, [trigger.name for trigger in self._spec.triggers])

    def _model(self, work: Work, rows: range, result: StepResult, changes: Changes) -> list[Seen]:
        """Scores and watches these rows, in their order."""
        happenings = work.batch.happenings
        shown = [row for row in work.put_in(rows) if self._observed or row in happenings]
        features = by_row(read(result.features), frozenset(shown)) if self._scorers or self._observed else {}
        for row in shown:
            happening = happenings.get(row)
            for s in self._scorers:
                if happening is not None and (happening.trigger, happening.route) == (s.trigger, s.route):
                    changes.put(s.view, s.score(happening, features.get(row, NO_FEATURES)), how="new")
        if self._watching.pairs:
            self._watch(work, rows, frozenset(shown), changes)
        if not self._observed:
            return []
        seen = {row: _seen(work, row, features.get(row, NO_FEATURES)) for row in shown}
        if self._inputs is not None:
            scored = [row for row in shown if row in happenings and self._scored(happenings[row])]
            own = [happenings[row] for row in scored]
            inputs = self._inputs.shown(own, [features.get(row, NO_FEATURES) for row in scored], work.looked)
            for row, happening, given in zip(scored, own, inputs, strict=True):
                seen[row] = seen[row]._replace(doc_id=happening.doc_id, inputs=given)
        return list(seen.values())

    def _scored(self, happening: Happening) -> bool:
        return any((happening.trigger, happening.route) == (s.trigger, s.route) for s in self._scorers)

    def _watch(self, work: Work, rows: range, shown: Collection[int], changes: Changes) -> None:
        """Lets watchers see these rows and the time that passes on the way."""
        columns, happenings, due = work.batch.columns, work.batch.happenings, self._watching.first_due()
        for row, watermark in zip(rows, work.watermarks[rows.start : rows.stop].tolist(), strict=True):
            if watermark >= due:
                changes.signals(self._watching.time(watermark))
                due = self._watching.first_due()
            if row in shown and row in happenings:
                key = work.keys[columns.key[row]]
                changes.signals(self._watching.event(key, self.book.known[key].hash, happenings[row], watermark))
                due = self._watching.first_due()


def _skip(batch: Batch, row: int) -> tuple[Position, str]:
    raw = batch.raws[row]
    return (raw.sequence, raw.sub), batch.rejected[row].reason


def _newest(batch: Batch, rows: range) -> tuple[Raw | None, bool]:
    """The last of the rows that went to the windows, and True; else the last of them, and False."""
    if not rows:
        return None, False
    changes = np.flatnonzero(batch.verdict[rows.start : rows.stop] == NONE)
    last = rows.start + int(changes[-1]) if len(changes) else rows.stop - 1
    return batch.raws[last], bool(len(changes))


def _seen(work: Work, row: int, features: Mapping[str, Mapping[str, Any]]) -> Seen:
    batch, columns = work.batch, work.batch.columns
    event = batch.event(row)
    assert event is not None  # only a change is put in
    return Seen(event.id or event.doc_id, event.trigger, untyped(work.keys[columns.key[row]][1]), int(columns.at[row]), features)
