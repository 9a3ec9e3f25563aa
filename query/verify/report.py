"""What a check found: of each view how much was compared, what differs, and what cannot be told any more and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Why a value that is not as recomputed is no difference: the sources do not tell any more what was counted.
REASONS: Mapping[str, str] = {
    "before": "begins before its window set did, or before the first change that was relayed",
    "incomplete": "says complete: false itself",
    "former": "made by a former definition of the view, which stays",
    "young": "holds events that the shard may not have read yet",
    "updated": "holds documents that were changed since; their earlier states were counted",
    "deleted": "holds documents that were deleted since",
    "expired": "holds documents that the collection no longer keeps: it is capped, or has a TTL",
    "history": "counts updates as events of their own, and the collection holds the last state alone",
    "late": "the set has refused events that came too late, and the documents do not say when they came",
    "order": "hangs on the order in which events arrived, and the documents do not tell it",
    "undated": "holds events that are dated by when they were written, which documents do not say",
    "since": "a session that may have begun before what --since has read",
    "too_large": "a key whose events do not fit into --memory",
}
SHOWN = 10


class Wrong(NamedTuple):
    """One field that is not as it should be. field "" is the whole document: stored or expected is None then."""

    field: str
    stored: Any
    expected: Any


@dataclass(frozen=True, slots=True)
class Example:
    """A document and the first of its fields that is wrong. verdict: differs, missing, surplus, or one of REASONS."""

    view: str
    id: Any
    verdict: str
    wrong: Wrong

    def __str__(self) -> str:
        what = f"{self.view} {_text(self.id)}"
        if self.verdict == "surplus":
            return f"{what}: is there, and no event is in it"
        if self.verdict == "missing":
            return f"{what}: is missing{f', with {self.wrong.expected}' if self.wrong.expected is not None else ''}"
        return f"{what} {self.wrong.field}: is {self.wrong.stored!r}, should be {self.wrong.expected!r}"


@dataclass(slots=True)
class Count:
    """Of one view, in documents. checked: those that are as they should be, or differ."""

    checked: int = 0
    differ: int = 0
    missing: int = 0
    surplus: int = 0
    unverifiable: Counter[str] = field(default_factory=Counter)

    @property
    def wrong(self) -> int:
        """All that is not as it should be."""
        return self.differ + self.missing + self.surplus

    def add(self, other: Count) -> None:
        """These and those."""
        self.checked += other.checked
        self.differ += other.differ
        self.missing += other.missing
        self.surplus += other.surplus
        self.unverifiable += other.unverifiable


@dataclass(slots=True)
class Tally:
    """What was found of one key, or of all. ids, earliest: the source documents and the first time that something wrong is of.

    windows: closed ones; still_open: those that cannot be closed yet; rolling: measures of rolling values; carts; scores.
    """

    views: dict[str, Count] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    hints: list[Example] = field(default_factory=list)
    ids: list[Any] = field(default_factory=list)
    earliest: int | None = None
    shown: int = SHOWN
    windows: int = 0
    still_open: int = 0
    rolling: int = 0
    carts: int = 0
    scores: int = 0

    def of(self, view: str) -> Count:
        """The counts of a view."""
        found = self.views.get(view)
        if found is None:
            found = self.views[view] = Count()
        return found

    def right(self, view: str) -> None:
        """One document is as it should be."""
        self.of(view).checked += 1

    def wrong(self, view: str, id: Any, verdict: str, wrong: Sequence[Wrong]) -> None:
        """One document is not: it differs, is missing, or is surplus; or it is unverifiable, for one of REASONS."""
        count, first = self.of(view), Example(view, id, verdict, wrong[0])
        if verdict in REASONS:
            count.unverifiable[verdict] += 1
            if sum(h.verdict == verdict for h in self.hints) < 2:
                self.hints.append(first)
            return
        count.checked += 1
        if verdict == "missing":
            count.missing += 1
        elif verdict == "surplus":
            count.surplus += 1
        else:
            count.differ += 1
        if len(self.examples) < self.shown:
            self.examples.append(first)

    def add(self, other: Tally) -> None:
        """These and those."""
        for view, count in other.views.items():
            self.of(view).add(count)
        self.examples += other.examples[: self.shown - len(self.examples)]
        for hint in other.hints:
            if sum(h.verdict == hint.verdict for h in self.hints) < 2:
                self.hints.append(hint)
        for name in ("windows", "still_open", "rolling", "carts", "scores"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def differ(self) -> int:
        """How many documents differ, are missing or are surplus."""
        return sum(count.wrong for count in self.views.values())


@dataclass(slots=True)
class Report(Tally):
    """All of it. notes: what a reader has to know of how it was looked at."""

    notes: list[str] = field(default_factory=list)

    @property
    def checked(self) -> int:
        """How many values were compared."""
        return sum(count.checked for count in self.views.values())

    @property
    def unverifiable(self) -> Counter[str]:
        """How many could not be, by reason."""
        return sum((count.unverifiable for count in self.views.values()), Counter())

    @property
    def good(self) -> bool:
        """Nothing differs, nothing is unverifiable, and there was something of each kind to compare: what a demo has to show."""
        return self.differ == 0 and not self.unverifiable and min(self.windows, self.rolling, self.carts) > 0

    def note(self, text: str) -> None:
        """Once."""
        if text not in self.notes:
            self.notes.append(text)

    def line(self) -> str:
        """The line that a demo ends with."""
        more = f" ({self.still_open} windows still open and {self.scores} scores were compared too)"
        return f"checked {self.windows} windows, {self.rolling} rolling values, {self.carts} carts: {self.differ} differ" + more

    def last_line(self) -> str:
        """The line that a check ends with."""
        return f"verify: {self.differ} of {self.checked} values differ, {self.unverifiable.total()} unverifiable"


def _text(id: Any) -> str:
    if isinstance(id, Mapping) and set(id) == {"k", "s"}:
        return f"{id['k']!r} {id['s']:%Y-%m-%d %H:%M:%S.%f}"[:-3] if hasattr(id["s"], "year") else f"{id['k']!r} {id['s']!r}"
    return repr(id)
