"""Reading one TOML table: every value with its type, every mistake kept with its path, so that all can be told at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from windows.law.shown import cut
from windows.law.spec import DAY, MS
from windows.law.spec import duration as duration

T = TypeVar("T")
Word = TypeVar("Word", bound=str)
LONGEST = 36_500 * DAY  # a century: longer is a slip, and would leave what a time can hold
SIZE = re.compile(r"([0-9]{1,9})\s*(kB|MB|GB)")
BYTES = {"kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
MOST_BYTES = 1_000 * BYTES["GB"]
UNITS = {"d": "d", "h": "h", "m": "min", "s": "s", "ms": "ms"}
NAMES: dict[type, str] = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", dict: "a table"}


def spoken(ms: int) -> str:
    """A duration for people.

    >>> spoken(180_000), spoken(1_500)
    ('3 min', '1500 ms')
    """
    unit = next(u for u in UNITS if ms % MS[u] == 0)
    return f"{ms // MS[unit]} {UNITS[unit]}"


def close_to(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` where some known word is near, else `; known: ...`."""
    options = sorted({cut(name) for name in known})
    near = difflib.get_close_matches(cut(word), options, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(options)}" if options else ""


class Problems:
    """All mistakes of one file, in the order in which they were found."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, path: str, what: str) -> None:
        """One line: `<path>: <what is wrong; what would be right>`."""
        line = " ".join(f"{path}: {what}".split())
        if line not in self.lines:
            self.lines.append(line)


class Table:
    """One table of the file. Each reader gives the fallback where the value is absent or wrong; wrong names are in `bad`.

    `finish` must be called last: it tells of keys that nothing has asked for.
    """

    def __init__(self, problems: Problems, path: str, data: Mapping[str, Any]) -> None:
        self.problems = problems
        self.path = path
        self.data = data
        self.bad: set[str] = set()
        self.known: list[str] = []

    def place(self, name: str) -> str:
        """The path of a value in here."""
        return f"{self.path}.{cut(name)}" if self.path else cut(name)

    def problem(self, name: str, what: str) -> None:
        """Note what is wrong with one value."""
        self.bad.add(name)
        self.problems.add(self.place(name), what)

    def given(self, name: str) -> bool:
        """Whether the file says anything about it."""
        return name in self.data

    def right(self, *names: str) -> bool:
        """Whether all of them are there, or have a default, and nothing was wrong with them so far."""
        return not self.bad.intersection(names)

    def read(self, name: str, kind: type[T], fallback: T, need: str = "") -> T:
        """A value of a plain type. need: what to write where it is required and missing."""
        self.known.append(name)
        if name not in self.data:
            if need:
                self.problem(name, f"missing; write {need}")
            return fallback
        try:
            return msgspec.convert(self.data[name], kind, strict=True)
        except (msgspec.ValidationError, OverflowError):
            self.problem(name, f"{shown(self.data[name])} is not {NAMES[kind]}")
            return fallback

    def choice(self, name: str, options: Collection[Word], fallback: Word) -> Word:
        """One of several words."""
        text = self.read(name, str, str(fallback))
        for option in options:
            if text == option:
                return option
        self.problem(name, f'"{cut(text)}" is not one of {", ".join(options)}')
        return fallback

    def fraction(self, name: str, fallback: float, need: str = "") -> float:
        """A number from 0 to 1."""
        number = self.read(name, float, fallback, need)
        if 0 <= number <= 1:
            return number
        self.problem(name, f"{number:g} is not from 0 to 1")
        return fallback

    def duration(self, name: str, fallback: int, positive: bool = False, need: str = "") -> int:
        """Milliseconds of a duration text."""
        self.known.append(name)
        if name not in self.data:
            if need:
                self.problem(name, f"missing; write {need}")
            return fallback
        ms = self._milliseconds(name, self.data[name])
        if ms == 0 and positive:
            self.problem(name, "must be longer than nothing")
        return fallback if ms is None else ms

    def _milliseconds(self, name: str, value: Any) -> int | None:
        if not isinstance(value, str):
            whole = isinstance(value, int) and not isinstance(value, bool)
            hint = f'; with its unit, as in "{abs(value)}s"' if whole and abs(value) < 1 << 64 else ""
            self.problem(name, f"{shown(value)} is not a duration text{hint}")
            return None
        if value.strip().startswith("-"):
            self.problem(name, f'"{cut(value)}" is negative')
            return None
        try:
            ms = duration(value)
        except ValueError as error:
            self.problem(name, str(error))
            return None
        if ms > LONGEST:
            self.problem(name, f'"{cut(value)}" is longer than {spoken(LONGEST)}')
            return None
        return ms

    def size(self, name: str, fallback: int, least: int) -> int:
        """Bytes of a text like "512MB"."""
        text = self.read(name, str, "")
        if not text:
            return fallback
        match = SIZE.fullmatch(text.strip())
        if match is None:
            self.problem(name, f"{shown(text)} is not a size; write a whole number and kB, MB or GB, as in 512MB")
            return fallback
        found = int(match[1]) * BYTES[match[2]]
        if not least <= found <= MOST_BYTES:
            self.problem(name, f'"{cut(text)}" is not from {least // BYTES["MB"]}MB to {MOST_BYTES // BYTES["GB"]}GB')
            return fallback
        return found

    def texts(self, name: str, fallback: Sequence[str], need: str = "") -> tuple[str, ...]:
        """A list of texts, none twice."""
        self.known.append(name)
        if name not in self.data:
            if need:
                self.problem(name, f"missing; write {need}")
            return tuple(fallback)
        value = self.data[name]
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.problem(name, f"{shown(value)} is not a list of texts")
            return tuple(fallback)
        for twice in sorted({v for v in value if value.count(v) > 1}):
            self.problem(name, f'"{cut(twice)}" stands there twice')
        return tuple(dict.fromkeys(value))

    def table(self, name: str) -> Table:
        """An inner table; an empty one where there is none."""
        return Table(self.problems, self.place(name), self.read(name, dict, {}))

    def tables(self, name: str) -> list[Table]:
        """An array of tables."""
        self.known.append(name)
        value = self.data.get(name, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            self.problem(name, f"is not an array of tables; write [[{self.place(name)}]]")
            return []
        return [Table(self.problems, f"{self.place(name)}[{i}]", v) for i, v in enumerate(value)]

    def finish(self) -> None:
        """Tell of every key that is not known here."""
        for name in self.data:
            if name not in self.known:
                self.problem(name, f"unknown{close_to(name, self.known)}")


def shown(value: Any) -> str:
    """A value as the file may have it, short."""
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "a whole number of more than 64 bits"
    try:
        text = "true" if value is True else "false" if value is False else f'"{value}"' if isinstance(value, str) else repr(value)
    except ValueError:  # Python writes no number of thousands of digits
        return "what holds a whole number of thousands of digits"
    return cut(text)
