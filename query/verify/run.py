"""The whole check: trigger by trigger everything is read, key by key it is compared, and what differs is looked at once more.

1 watermarks, views and source are read at one moment, and dealt out by key     2 each key is recomputed and compared
3 of keys at which something differs: what the oplog and the dead letters say of their documents
4 those keys are read again, at another moment, and compared again: what differs now, differs
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Protocol

from config.specs import ALL, Pipeline, Trigger
from contract.errors import Misconfigured
from contract.times import date, date_ms, spelled
from contract.values import value
from query.verify.case import Key
from query.verify.check import HEALTH, check_health
from query.verify.history import dead_letters, history
from query.verify.report import Report, Tally, Wrong
from query.verify.rows import Document
from query.verify.source import Client, Moment, Question, Source, Unpinned, moment
from query.verify.spill import Spill, TooLarge
from query.verify.terms import NOTHING, Evidence, Terms

MOST_KEYS, MOST_IDS = 5_000, 50_000  # that are looked at once more
LIVE_MS = 60_000  # a shard that has committed within that time is at work
SETTLES_MS = 12_000  # how long what is on its way may take


class Watch(Protocol):
    """Who is told how far it is."""

    def begin(self, what: str, total: int) -> None:
        """Something begins that takes about so many steps."""
        ...

    def step(self, n: int) -> None:
        """So many are done."""
        ...


class Silent:
    """Nobody."""

    def begin(self, what: str, total: int) -> None:
        """Nothing."""

    def step(self, n: int) -> None:
        """Nothing."""


class Verification:
    """Nothing is written; `read` on the watched databases and on that of the views is enough. Raises pymongo's errors as they come,
    Misconfigured for a view that is not there. whole: the stream holds every change since the first, and its counts must say so.
    """

    def __init__(
        self,
        client: Client,
        spec: Pipeline,
        question: Question,
        watch: Watch | None = None,
        shown: int = 10,
        whole: bool = False,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client, self._spec, self._question, self._watch, self._whole, self._wait = (
            client,
            spec,
            question,
            watch or Silent(),
            whole,
            wait,
        )
        self.report = Report(shown=shown)
        self.read = 0  # source documents

    def run(self) -> Report:
        """All of it."""
        self._known_views()
        rows: dict[str, int] = {}
        for trigger in self._spec.triggers:
            source = Source(self._client, self._spec, trigger, self._question, self._watch.step)
            if any(laws.views for laws in source.laws.values()) or self._whole:
                if trigger.collection == ALL:
                    raise Misconfigured(
                        f"trigger {trigger.name} watches more than one collection: not to be verified; name other --views"
                    )
                self._trigger(source)
                rows[trigger.name] = source.rows
                self.read += source.rows
        if self._question.views is None or HEALTH in self._question.views:
            health = Moment(self._client, None).documents(self._spec.views.database, HEALTH, {})
            check_health(self.report, self._spec, health, rows if self._whole else None)
        return self.report

    def _known_views(self) -> None:
        spec = self._spec
        known = {HEALTH, *(name for s in spec.windows for name in (s.name, s.shown_in))}
        known |= {section.view for section in (spec.fraud, spec.abandonment) if section is not None}
        unknown = sorted((self._question.views or frozenset()) - known)
        if unknown:
            raise Misconfigured(f'--views: there is no view "{unknown[0]}"; there are {", ".join(sorted(known))}')

    def _trigger(self, source: Source) -> None:
        self._watch.begin(source.trigger.collection, source.size())
        suspects: dict[tuple[str, Hashable], Tally] = {}
        ids = 0
        for key, tally in self._compared(source, None, NOTHING):
            if tally.differ and not self._question.strict:
                if len(suspects) < MOST_KEYS and ids + len(tally.ids) <= MOST_IDS:
                    suspects[key.route, key.value] = tally
                    ids += len(tally.ids)
                    continue
                self.report.note(
                    f"more than {MOST_KEYS:,} keys differ: the others were looked at only once, and not for what changed since"
                )
            self.report.add(tally)
        if suspects:
            rows = source.rows
            self._once_more(source, suspects)
            source.rows = rows

    def _compared(
        self, source: Source, keys: Mapping[str, frozenset[Hashable]] | None, evidence: Evidence
    ) -> Iterator[tuple[Key, Tally]]:
        """Every key, or these keys, with what was found of it."""
        spill, terms = self._dealt_out(source, keys)
        with spill:
            for found in source.keys(spill):
                if isinstance(found, Key):
                    yield found, source.laws[found.route].check(found, terms, evidence)
                else:
                    self._too_large(source, *found)

    def _dealt_out(self, source: Source, keys: Mapping[str, frozenset[Hashable]] | None) -> tuple[Spill, Terms]:
        for pinned in (True, False):
            spill = Spill(self._question.memory // 2)
            try:
                with moment(self._client, pinned) as at:
                    return spill, source.read(at, spill, keys)
            except Unpinned:
                spill.close()
                self.report.note(
                    f"{source.trigger.collection}: the server could not read all as it was at one moment, so views may have been "
                    "in motion; what differed was looked at twice"
                )
            except BaseException:
                spill.close()
                raise
        raise AssertionError("without a moment there is nothing that could be too old")

    def _too_large(self, source: Source, found: TooLarge, route: str) -> None:
        """A key whose events do not fit: its documents are there, and nobody knows of them."""
        tally = Tally()
        for what, n in found.counts.items():
            view = source.whats[what][1]
            if view is not None:
                wrong = [Wrong("", f"{n} documents", None)]
                tally.wrong(view, f"a key of {route}", "too_large", wrong)
                tally.of(view).unverifiable["too_large"] = n
        self.report.add(tally)
        self.report.note(f"a key of {route} does not fit into --memory: its documents were not compared; give it more")

    def _once_more(self, source: Source, suspects: Mapping[tuple[str, Hashable], Tally]) -> None:
        self._let_settle()
        ids = [id for tally in suspects.values() for id in tally.ids]
        begin = min((t.earliest for t in suspects.values() if t.earliest is not None), default=0)
        evidence = self._evidence(source.trigger, ids, begin)
        keys: dict[str, set[Hashable]] = {}
        for route, key in suspects:
            keys.setdefault(route, set()).add(key)
        self._watch.begin(f"{source.trigger.collection}, {len(suspects)} keys again", source.size())
        for _, tally in self._compared(source, {route: frozenset(own) for route, own in keys.items()}, evidence):
            self.report.add(tally)

    def _evidence(self, trigger: Trigger, ids: Sequence[object], begin: int) -> Evidence:
        unique = list({value(id): id for id in ids}.values())
        now = date_ms(self._client.admin.command("hello")["localTime"])
        table = self._client[trigger.database][trigger.collection]
        found = history(table, trigger, unique, begin, now)
        name = trigger.collection
        if found.reaches is None:
            self.report.note(f"{name}: which documents were updated or deleted since cannot be told: {found.why_not}")
        elif found.reaches > begin:
            reaches = spelled(date(found.reaches))
            self.report.note(f"{name}: what was updated or deleted before {reaches} the oplog does not tell any more")
        counted = ["counted", "repeat"]  # of letters that were put in again, and are none of the dead any more
        wanted, fields = {"trigger": trigger.name, "requeued.outcome": {"$nin": counted}}, {"record": 1, "route": 1}
        letters = self._client[self._spec.views.database]["dead_letters"].find(wanted, fields)
        return Evidence(found.changed, found.moved, found.deleted, dead_letters(letters, {value(id) for id in unique}))

    def _let_settle(self) -> None:
        """Where consumers are at work: until every shard has come past what may have been on its way."""
        waited = 0
        first = self._health()
        now = date_ms(self._client.admin.command("hello")["localTime"])
        if not any(date_ms(d["updated_at"]) > now - LIVE_MS for d in first):
            return
        while waited < SETTLES_MS:
            self._wait(1.0)
            waited += 1_000
            if all(d["watermark"] is not None and date_ms(d["watermark"]) > now for d in self._health()):
                return

    def _health(self) -> Sequence[Document]:
        """Of the shards that go on: one that has ended comes no further."""
        return Moment(self._client, None).documents(self._spec.views.database, HEALTH, {"ended": {"$ne": True}})
