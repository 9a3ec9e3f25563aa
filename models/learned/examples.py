"""The files that models are judged on: scored.jsonl as a replay writes it, labels.jsonl, and scores.jsonl."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from contract.errors import Misconfigured, Rejected
from contract.times import time_ms
from contract.values import value

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
DAY_ALONE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
AS_OF = ".as_of"  # the end of names that say when a looked-up value was true, and are no features


class Examples(NamedTuple):
    """Scored events in the order of the file. key: the same number for the same key; at: ms; x: (n, names), null as NaN.
    entities: of each field that names another entity its values, hashable, None for null."""

    ids: list[Any]
    keys: list[Any]
    key: Ints
    at: Ints
    names: tuple[str, ...]
    x: Floats
    entities: Mapping[str, list[Hashable]]

    @property
    def n(self) -> int:
        """How many."""
        return len(self.ids)


class Label(NamedTuple):
    """Whether an event was fraud, and since when that is known, ms."""

    fraud: bool
    at: int


class _Line(msgspec.Struct):
    id: Any
    key: Any
    at: Any
    features: dict[str, Any]


class _Label(msgspec.Struct):
    id: Any
    fraud: bool
    at: Any = None


class _Score(msgspec.Struct):
    id: Any
    key: Any
    at: Any
    score: float


def hashable(given: Any) -> Hashable:
    """An id, a key or an entity so that it can be compared: ObjectIds, dates and numbers by what they are.

    >>> hashable({"$oid": "65f000000000000000000001"}), hashable(5.0) == hashable(5)
    (('o', '65f000000000000000000001'), True)
    """
    try:
        return value(given)
    except Rejected:
        return msgspec.json.encode(given, order="deterministic")


def names_in(file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(features that are numbers, the others) of the first lines of a file; `<view>.as_of` is neither."""
    numbers: dict[str, bool] = {}
    for _, line in zip(range(1_000), _lines(file, _Line), strict=False):
        for name, given in line.features.items():
            if not name.endswith(AS_OF) and given is not None:
                numbers[name] = numbers.get(name, True) and isinstance(given, (int, float))
            elif not name.endswith(AS_OF):
                numbers.setdefault(name, True)
    return tuple(n for n, yes in numbers.items() if yes), tuple(n for n, yes in numbers.items() if not yes)


def read(file: Path, names: Sequence[str], entities: Sequence[str] = ()) -> Examples:
    """The examples of a file, with these features. Raises Misconfigured for what is no such file."""
    ids, keys, at, rows = [], [], [], []
    known: dict[Hashable, int] = {}
    key = []
    others: dict[str, list[Hashable]] = {name: [] for name in entities}
    for line in _lines(file, _Line):
        own = line.features
        ids.append(line.id)
        keys.append(line.key)
        key.append(known.setdefault(hashable(line.key), len(known)))
        at.append(_time(file, line.at))
        rows.append([_number(own.get(name)) for name in names])
        for name, column in others.items():
            column.append(hashable(own.get(name)))
    x = np.array(rows, np.float64).reshape(len(rows), len(names))
    x[~np.isfinite(x)] = np.nan
    return Examples(ids, keys, np.array(key, np.int64), np.array(at, np.int64), tuple(names), x, others)


def labels(file: Path) -> dict[Hashable, Label]:
    """What is known of events by their ids. One without a time was known always; of two the first that was known."""
    found: dict[Hashable, Label] = {}
    for line in _lines(file, _Label):
        label = Label(line.fraud, np.iinfo(np.int64).min if line.at is None else _time(file, line.at))
        name = hashable(line.id)
        before = found.get(name)
        if before is None or label.at < before.at:
            found[name] = label
    return found


def scores(file: Path) -> Examples:
    """A file of scores, as examples with the one feature `score`."""
    ids, keys, at, rows, key = [], [], [], [], []
    known: dict[Hashable, int] = {}
    for line in _lines(file, _Score):
        ids.append(line.id)
        keys.append(line.key)
        key.append(known.setdefault(hashable(line.key), len(known)))
        at.append(_time(file, line.at))
        rows.append([line.score])
    x = np.array(rows, np.float64).reshape(len(rows), 1)
    return Examples(ids, keys, np.array(key, np.int64), np.array(at, np.int64), ("score",), x, {})


def write_scores(file: Path, made: Examples, found: Floats) -> None:
    """A line for each example: {"id", "key", "at", "score"}."""
    encode = msgspec.json.Encoder().encode
    with file.open("wb") as out:
        for id, key, at, score in zip(made.ids, made.keys, made.at.tolist(), found.tolist(), strict=True):
            out.write(encode({"id": id, "key": key, "at": at, "score": score}) + b"\n")


def _lines(file: Path, kind: type[Any]) -> Iterator[Any]:
    decode = msgspec.json.Decoder(kind).decode
    with file.open("rb") as lines:
        for number, line in enumerate(_filled(lines), start=1):
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise Misconfigured(f"{file}:{number}: {error}") from None


def _filled(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (text for line in lines if (text := line.strip()))


def moment(given: Any) -> int | None:
    """A time in ms, None for null: as the law on times has it, or a day alone, which is its beginning. Raises Rejected.

    >>> moment("1970-01-02"), moment("1970-01-02T00:00:01Z"), moment(5)
    (86400000, 86401000, 5)
    """
    if isinstance(given, str) and DAY_ALONE.fullmatch(given):
        given += "T00:00:00Z"
    return time_ms(int(given) if isinstance(given, float) and given.is_integer() else given)


def _time(file: Path, given: Any) -> int:
    try:
        at = moment(given)
    except Rejected as error:
        raise Misconfigured(f"{file}: at: {error.why}") from None
    if at is None:
        raise Misconfigured(f"{file}: at: missing; write a date, whole milliseconds or a text as in 2018-04-01T12:00:00Z")
    return at


def _number(given: Any) -> float:
    return float(given) if isinstance(given, (int, float)) else np.nan
